"""The accelerator of a training: its precision, and that its processes train together."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import torch

from tracrlab.errors import TracrLabError
from tracrlab.sections.section import Precision

if TYPE_CHECKING:
    from accelerate import Accelerator


def join_accelerator(
    precision: Precision, *, unused_parameters: bool, cpu: bool = False
) -> Accelerator:
    """The accelerator of this process, which trains with all that were launched beside it.

    Args:
      precision: of the arithmetic.
      unused_parameters: whether a step may leave parameters without a gradient.
      cpu: stay on the processor whatever the machine has.

    Raises:
      TracrLabError: if processes were launched together, but this one would train by itself.
    """
    from accelerate import Accelerator, DistributedDataParallelKwargs

    accelerator = Accelerator(
        mixed_precision=mixed_precision(precision),
        cpu=cpu,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=unused_parameters)],
    )
    launched = os.environ.get("WORLD_SIZE", "1")
    if accelerator.num_processes != int(launched):
        raise TracrLabError(
            f"{launched} processes were launched, but each trains by itself; give "
            "the job as many GPUs as CUDA_VISIBLE_DEVICES names."
        )
    return accelerator


def mixed_precision(precision: Precision) -> str:
    """What `accelerate` calls it; `auto` is bfloat16 where a GPU computes in it."""
    if precision == "auto":
        has = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return "bf16" if has else "no"
    return "bf16" if precision == "bfloat16" else "no"
