"""What of the compiled residual stream faces what of the model's, and the linear map between them.

Tracr-injection, section 3. A *stage* is a point of either stream: 0 after the embedding, ``2i - 1``
after the attention and ``2i`` after the MLP of layer i (counted from 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from tracrlab.errors import TracrLabError
from tracrlab.injection.compiled import CompiledProgram


@dataclass(frozen=True)
class Alignment:
    """Which stages face each other, and which basis directions count.

    Attributes:
      compiled_stages, model_stages: pairs of stages, in order.
      directions: the basis directions that are aligned, in order.
    """

    compiled_stages: tuple[int, ...]
    model_stages: tuple[int, ...]
    directions: tuple[int, ...]

    @property
    def last_layer(self) -> int:
        """The last aligned layer of the model: 0 is the embedding, i is behind layer i."""
        return self.model_stages[-1] // 2

    def stage_of_layer(self, layer: int | None = None) -> int:
        """Number of the aligned stage behind a layer (0: the embedding); None is the last one.

        Raises:
          TracrLabError: if the program was not aligned with that layer.
        """
        if layer is None:
            return len(self.model_stages) - 1
        if 2 * layer not in self.model_stages:
            known = sorted({stage // 2 for stage in self.model_stages if stage % 2 == 0})
            raise TracrLabError(
                f"layer is {layer}; the program was aligned with {', '.join(map(str, known))}."
            )
        return self.model_stages.index(2 * layer)


def pair_stages(
    compiled_layers: int, model_layers: int, pairing: str = "same", stages: str = "layers"
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Which stage of the compiled model faces which stage of the model.

    Args:
      compiled_layers: number of layers of the compiled model (the paper's k).
      model_layers: number of layers of the language model.
      pairing: "same" lets layer i face layer i (the paper's); "spread" spreads the compiled layers
        evenly over the model's depth, so that the last faces the last but one (the last, where
        there are no more layers than k).
      stages: "layers" aligns the embedding and every layer (the paper's), "half_layers" also the
        stream between attention and MLP.

    Raises:
      TracrLabError: if the program has more layers than the model.
    """
    if compiled_layers > model_layers:
        raise TracrLabError(
            f"the program needs {compiled_layers} layers and the model has {model_layers}; take a "
            "deeper model or a shorter program."
        )
    step = 2 if stages == "layers" else 1
    compiled = tuple(range(0, 2 * compiled_layers + 1, step))
    if pairing == "same":
        return compiled, compiled
    depth = max(compiled_layers, model_layers - 1)
    layer_of = [round(layer * depth / compiled_layers) for layer in range(compiled_layers + 1)]
    # The attention of compiled layer i faces the attention of the model layer that layer i faces.
    return compiled, tuple(2 * layer_of[(s + 1) // 2] - s % 2 for s in compiled)


def carried_directions(
    program: CompiledProgram, codes: np.ndarray, rule: str = "carried", min_share: float = 0.0
) -> tuple[int, ...]:
    """The basis directions that are aligned.

    Args:
      program: the compiled program.
      codes: values of its variables at the supervised positions, float32 [positions, variables].
      rule: "all" takes every direction; "carried" those that are not zero at some supervised
        position; "varying" those of them that are not the same at all of them.
      min_share: leaves out directions that are not zero at less than this share of the positions.

    Returns:
      indices into the compiled residual stream, ascending.

    Raises:
      TracrLabError: if none is left.
    """
    if rule == "all":
        return tuple(range(len(program.written)))
    last = program.stages - 1
    count = np.zeros(len(program.written))
    low = np.full(len(program.written), np.inf)
    high = np.full(len(program.written), -np.inf)
    for start in range(0, len(codes), 4096):
        streams = program.streams(codes[start : start + 4096], [last])[:, 0]
        count += (streams != 0).sum(axis=0)
        low, high = np.minimum(low, streams.min(axis=0)), np.maximum(high, streams.max(axis=0))
    kept = (count > 0) & (count >= min_share * len(codes))
    if rule == "varying":
        kept &= high > low
    if not kept.any():
        raise TracrLabError(
            "no basis direction carries anything at the supervised positions; lower "
            "injection.min_share."
        )
    return tuple(np.flatnonzero(kept).tolist())


class LinearMap(nn.Module):
    """The linear map from the model's residual stream to the aligned basis directions.

    Args:
      width: width of the model's residual stream.
      directions: number of aligned directions.
      bias: whether it has a bias; the projection does not depend on it.
      generator: seed of the start (uniform, as ``nn.Linear``).
    """

    def __init__(
        self, width: int, directions: int, *, bias: bool = False, generator: torch.Generator
    ):
        super().__init__()
        bound = width**-0.5
        start = torch.empty(directions, width).uniform_(-bound, bound, generator=generator)
        self.weight = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(directions)) if bias else None

    def forward(self, stream: Tensor) -> Tensor:
        """Maps [..., width] to [..., directions], in float32."""
        return nn.functional.linear(stream.float(), self.weight.float(), self.bias)


def basis_of_rows(rows: Tensor) -> Tensor:
    """An orthonormal basis of a matrix's row space, by QR in float32; differentiable.

    Args:
      rows: [rows, width] of full rank, with at most as many rows as columns.

    Returns:
      float32 [width, rows] with orthonormal columns.

    Raises:
      TracrLabError: if there are more rows than columns.
    """
    if rows.shape[0] > rows.shape[1]:
        raise TracrLabError(
            f"{rows.shape[0]} aligned directions span all of a residual stream {rows.shape[1]} "
            "wide, so nothing is left to swap; set injection.swap to answer or none, or raise "
            "injection.min_share."
        )
    return torch.linalg.qr(rows.float().T).Q


def project(stream: Tensor, basis: Tensor) -> Tensor:
    """The orthogonal projection of streams [..., width] onto the span of a basis [width, n]."""
    return (stream.float() @ basis) @ basis.T


def partners(
    lengths: Tensor, positions: int, donors: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """For each row and position of a batch, the row and position it is swapped with.

    The partner row is the one before (`torch.roll` by 1); where it is shorter, its last position
    stands for what it does not have.

    Args:
      lengths: real positions of each row, int64 [rows].
      positions: padded length.
      donors: other partner rows, int64 [rows].

    Returns:
      two int64 [rows, positions].
    """
    rows = torch.arange(len(lengths), device=lengths.device).roll(1) if donors is None else donors
    places = torch.arange(positions, device=lengths.device)
    return (
        rows[:, None].expand(-1, positions),
        torch.minimum(places[None, :], lengths[rows][:, None] - 1),
    )


def swap_orthogonal(
    stream: Tensor,
    basis: Tensor,
    lengths: Tensor,
    share: float = 1.0,
    donors: Tensor | None = None,
) -> Tensor:
    """``h' = roll(h - h_proj) + h_proj`` (Tracr-injection, equation 2).

    Args:
      stream: [rows, positions, width].
      basis: an orthonormal basis of the subspace that stays, float32 [width, n].
      lengths: real positions of each row [rows].
      share: share of the rows that are swapped, the first ones; the paper swaps all.
      donors: instead of that, the row that each is swapped with, -1 for none [rows].

    Returns:
      the stream with the part orthogonal to the subspace taken from another row, where no gradient
      goes; same type as `stream`.
    """
    inside = project(stream, basis)
    outside = (stream.float() - inside).detach()
    if donors is not None:
        rows, places = partners(lengths, stream.shape[1], donors.clamp(min=0))
        swapped = (outside[rows, places] + inside).to(stream.dtype)
        return torch.where((donors >= 0)[:, None, None], swapped, stream)
    rows, places = partners(lengths, stream.shape[1])
    swapped = (outside[rows, places] + inside).to(stream.dtype)
    count = round(share * len(stream))
    return swapped if count == len(stream) else torch.cat([swapped[:count], stream[count:]])


def rows_of(alignment: Alignment, directions: Sequence[int]) -> list[int]:
    """Rows of the linear map that belong to some basis directions; those not aligned have none."""
    row_of = {direction: row for row, direction in enumerate(alignment.directions)}
    return [row_of[direction] for direction in directions if direction in row_of]
