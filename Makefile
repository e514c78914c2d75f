# `make` on a fresh machine builds .venv from the lock file and runs the whole workflow.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := run

PYTHON ?= python3
LOCK := envs/requirements-cpu.lock.txt
DATA := envs/data.txt
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)

.PHONY: setup run report test test-trust test-slurm test-slurm-everything bench lint format reference lock clean

setup: .venv/.installed ## .venv with the locked packages and this package in it

# Each stamp is written last: a set-up that was interrupted starts again.
.venv/.locked: $(LOCK) $(DATA)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit(f"error: Tracr Lab needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}; call make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(LOCK)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r $(DATA)
	@touch $@

.venv/.installed: .venv/.locked pyproject.toml envs/requirements.in envs/requirements-dev.in
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: setup ## the workflow with config/config.yaml, into results/
	$(BIN)/snakemake --profile profiles/local all

report: run ## every table and figure on one page that works offline: results/report.html
	$(BIN)/snakemake --profile profiles/local all --report results/report.html

test: setup lint ## lint, then every test, a file at a time on each core
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-trust: setup ## the full counts of faults, bad input and determinism, into docs/reliability.md
	$(BIN)/python -m tests.trust

test-slurm: setup ## the SLURM profile, on a cluster that the tests start on this machine (docs/cluster.md)
	$(BIN)/python -m pytest tests/slurm -m "slurm and not accounting and not everything" -rs

test-slurm-everything: setup ## the whole smoke run on that cluster, against a local one
	$(BIN)/python -m pytest tests/slurm -m everything -rs

bench: setup ## ratios against peers and baselines, into benchmarks/results.md
	$(BIN)/python -m benchmarks

lint: setup ## style of the Python files and of the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow tests/slurm/faults.smk tests/slurm/training.smk
	$(BIN)/snakemake --lint

format: setup ## mend what can be mended by a tool
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow tests/slurm/faults.smk tests/slurm/training.smk

reference: setup ## config schema and key table, from the models of tracrlab.config
	$(BIN)/python -m tracrlab.config

lock: ## the newest versions that envs/*.in allow, into the lock file
	scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$(PYTHON) -m venv "$$scratch"; \
	"$$scratch/bin/python" -m pip install --upgrade -r envs/requirements.in -r envs/requirements-dev.in; \
	{ sed -n '/^#/p;/^[^#]/q' $(LOCK); \
	  "$$scratch/bin/python" -m pip freeze --all | sed -E '/^(pip|wheel|uv)==|^nvidia-|^cuda-|^triton==| @ /d; s/\+cpu$$//'; \
	} > "$$scratch/lock"; \
	mv "$$scratch/lock" $(LOCK)

clean: ## everything that make and snakemake have written, .venv too
	rm -rf .venv .snakemake results logs build .pytest_cache .ruff_cache .hypothesis src/*.egg-info
