"""An injected model on disk: an ordinary Hugging Face folder, with what was aligned beside it.

``AutoModelForCausalLM.from_pretrained`` reads the folder like any other. Beside the model lie
``injection.safetensors`` (the linear map), ``injection.json`` (what faces what, the variables, the
pieces of prompts) and ``program.safetensors`` (the compiled model with its labels and program).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from tracrlab.checkpoint_files import DAMAGE
from tracrlab.compiler.model import CompiledModel
from tracrlab.errors import TracrLabError
from tracrlab.files import atomic_path, write_text
from tracrlab.folders import atomic_folder, check_folder, damaged_folder
from tracrlab.injection.alignment import Alignment, LinearMap
from tracrlab.injection.base_models import SAFE
from tracrlab.injection.compiled import CompiledProgram, Variable
from tracrlab.injection.prompts import Examples
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.training import Injected
from tracrlab.tasks.encoding import Encoded
from tracrlab.tasks.protocol import COMPUTE, OTHER

_VERSION = 1


@dataclass
class InjectedModel:
    """A model read from its folder.

    Attributes:
      model: the language model.
      tokenizer: its tokenizer.
      linear_map: the map, None for a model without alignment.
      alignment: what faces what.
      variables: the program's variables.
      labels: of the compiled residual stream.
      numbers: the values that each numerical variable takes in training, by its name.
      pieces: texts of prompt pieces, with the symbol of each.
      meta: task, method, seed, base and configuration.
    """

    model: StreamModel
    tokenizer: object
    linear_map: LinearMap | None
    alignment: Alignment
    variables: tuple[Variable, ...]
    labels: tuple[str, ...]
    numbers: dict[str, list[float]]
    pieces: dict[str, str]
    meta: dict = field(default_factory=dict)

    def to(self, device: str | torch.device) -> InjectedModel:
        """Moves the weights to a device."""
        self.model.to(device)
        if self.linear_map is not None:
            self.linear_map.to(device)
        return self


def save_model(
    folder: Path,
    injected: Injected,
    tokenizer,
    program: CompiledProgram,
    encoded: Encoded,
    codes: np.ndarray,
    meta: dict,
) -> None:
    """Writes the folder; it is there whole or not at all.

    Args:
      folder: where; what is there is replaced.
      injected: the trained model.
      tokenizer: its tokenizer.
      program: the compiled program.
      encoded: training examples, whose pieces are noted.
      codes: values of the variables at supervised positions, float32 [positions, variables].
      meta: task, method, seed, base and configuration; JSON.

    Raises:
      TracrLabError: where the machine refuses to write.
    """
    from safetensors.torch import save_file

    with atomic_folder(folder) as temporary:
        injected.model.model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        program.model.save(temporary / "program.safetensors")
        if injected.linear_map is not None:
            tensors = {name: v.detach().cpu() for name, v in injected.linear_map.named_parameters()}
            save_file(tensors, temporary / "injection.safetensors")
        record = {
            "version": _VERSION,
            **meta,
            "compiled_stages": injected.alignment.compiled_stages,
            "model_stages": injected.alignment.model_stages,
            "directions": injected.alignment.directions,
            "variables": [vars(variable) for variable in program.variables],
            "labels": program.model.labels,
            "numbers": {
                variable.name: np.unique(codes[:, number]).tolist()
                for number, variable in enumerate(program.variables)
                if variable.numerical
            },
            "pieces": pieces_of(encoded),
        }
        write_text(temporary / "injection.json", json.dumps(record, indent=1) + "\n")


def load_model(folder: str | Path) -> InjectedModel:
    """Reads a folder.

    Raises:
      TracrLabError: if it is not there, is no injected model, or is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = Path(folder)
    if not (folder / "injection.json").is_file():
        raise TracrLabError(f"{folder} is no injected model: it has no injection.json.")
    try:
        check_folder(folder)
        record = json.loads((folder / "injection.json").read_text(encoding="utf-8"))
        alignment = Alignment(
            *(tuple(record.pop(k)) for k in ("compiled_stages", "model_stages", "directions"))
        )
        variables = tuple(
            Variable(v["name"], tuple(v["directions"]), tuple(v["values"]), v["stage"], v["ref"])
            for v in record.pop("variables")
        )
        model = StreamModel(AutoModelForCausalLM.from_pretrained(folder, **SAFE).eval())
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        linear_map = None
        if (folder / "injection.safetensors").is_file():
            tensors = load_file(folder / "injection.safetensors")
            rows, width = tensors["weight"].shape
            generator = torch.Generator().manual_seed(0)
            linear_map = LinearMap(width, rows, bias="bias" in tensors, generator=generator)
            linear_map.load_state_dict(tensors)
            linear_map.requires_grad_(False)
        return InjectedModel(
            model.requires_grad_(False),
            tokenizer,
            linear_map,
            alignment,
            variables,
            tuple(record.pop("labels")),
            record.pop("numbers"),
            record.pop("pieces"),
            record,
        )
    except (*DAMAGE, SafetensorError) as error:
        raise damaged_folder(folder, error) from None


def load_program(folder: str | Path) -> CompiledModel:
    """The compiled model of an injected model."""
    return CompiledModel.load(Path(folder) / "program.safetensors")


def pieces_of(encoded: Encoded) -> dict[str, str]:
    """The pieces that prompts are made of, with their symbols; `COMPUTE`'s comes last."""
    found: dict[str, str] = {}
    last = ""
    for example in encoded.examples:
        front = example.supervised[0]
        for text, symbol in zip(example.pieces[:front], example.symbols[:front], strict=True):
            found.setdefault(text, symbol)
        last = example.pieces[front]
    found.setdefault(last, OTHER)
    return found | {COMPUTE: last}


def read_prompt(model: InjectedModel, prompt: str) -> tuple[list[int], list[str], list[str]]:
    """Splits a prompt as the task does: every piece by itself, what is no piece as plain text.

    Returns:
      tokens, the text of each, and the symbol of each; the last token's is `COMPUTE`.

    Raises:
      TracrLabError: if the prompt is empty, or does not end as the task's prompts do.
    """
    pieces = dict(model.pieces)
    last = pieces.pop(COMPUTE)
    if not prompt.endswith(last):
        raise TracrLabError(
            f"the prompt {prompt!r} does not end in {last!r}, where the answer of the task begins."
        )
    known = sorted(pieces, key=len, reverse=True)
    splitter = re.compile("|".join(f"({re.escape(piece)})" for piece in known))
    tokens, symbols, start = [], [], 0
    front = prompt[: len(prompt) - len(last)]

    def add(text: str, symbol: str) -> None:
        ids = model.tokenizer.encode(text, add_special_tokens=False) if text else []
        tokens.extend(ids)
        symbols.extend([symbol] * len(ids))

    for match in splitter.finditer(front):
        add(front[start : match.start()], OTHER)
        add(match.group(), pieces[match.group()])
        start = match.end()
    add(front[start:], OTHER)
    add(last, OTHER)
    symbols[-1] = COMPUTE
    texts = [model.tokenizer.decode([token]) for token in tokens]
    return tokens, texts, symbols


def as_examples(tokens: list[int], symbols: list[int]) -> Examples:
    """One prompt as examples without a known answer; its last position is marked."""
    supervised = np.zeros((1, len(tokens)), dtype=bool)
    supervised[0, -1] = True
    return Examples(
        np.array([tokens]),
        np.array([len(tokens)]),
        np.array([symbols]),
        supervised,
        np.zeros((1, len(tokens)), dtype=np.int64),
    )


def write_losses(path: Path, injected: Injected) -> None:
    """The loss table as CSV."""
    with atomic_path(path) as temporary:
        injected.losses.to_csv(temporary, index=False, lineterminator="\n")
