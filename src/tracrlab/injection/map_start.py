"""A start of the linear map that reads what the base model holds already."""

from __future__ import annotations

import numpy as np
import torch

from tracrlab.injection.alignment import Alignment, LinearMap
from tracrlab.injection.compiled import CompiledProgram
from tracrlab.injection.prompts import Examples
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.targets import TargetStreams

#: Training examples that are read; examples at once.
READ, AT_ONCE = 512, 64
#: Added to the diagonal, as a share of its mean, so that directions of no extent stay small.
RIDGE = 1e-3


@torch.no_grad()
def fit_map(
    linear_map: LinearMap,
    model: StreamModel,
    program: CompiledProgram,
    alignment: Alignment,
    examples: Examples,
    codes: np.ndarray,
) -> None:
    """Sets a map's weight to the least squares from a model's streams to the compiled ones.

    Streams are divided by their length first: the cosine does not depend on it, and the stream of
    a late layer is many times longer than that of an early one. A direction that none of the
    examples has keeps its random start: rows of zeros span nothing, and a projection onto them has
    no gradient.

    Args:
      linear_map: the map; its bias, where it has one, stays 0.
      model: the language model as it is.
      program: the compiled program.
      alignment: which stages and directions face each other.
      examples: training examples; the first ones are read.
      codes: values of the program's variables on them.
    """
    width, device = model.width, model.model.device
    products = torch.zeros(width, width, dtype=torch.float64, device=device)
    targets = torch.zeros(width, len(alignment.directions), dtype=torch.float64, device=device)
    streams_of = TargetStreams(program, alignment).to(device)
    for start in range(0, min(READ, len(examples)), AT_ONCE):
        rows = np.arange(start, min(start + AT_ONCE, READ, len(examples)))
        part = examples.take(rows)
        real = part.symbols >= 0
        own = torch.from_numpy(codes[rows, : part.tokens.shape[1]][real]).to(device)
        run = model(torch.from_numpy(part.tokens).to(device), keep=alignment.model_stages)
        stages = [run.streams[stage][torch.from_numpy(real)] for stage in alignment.model_stages]
        streams = torch.nn.functional.normalize(torch.stack(stages), dim=-1).flatten(0, 1).double()
        products += streams.T @ streams
        targets += streams.T @ streams_of(own).flatten(0, 1).double()
    products += RIDGE * products.diagonal().mean() * torch.eye(width, device=device)
    fitted = torch.linalg.solve(products, targets).T.to(linear_map.weight.dtype)
    seen = targets.any(dim=0)
    linear_map.weight[seen] = fitted[seen]
