"""Parts of a batch against the whole: the same losses and gradients, on average."""

import numpy as np
import pytest
import torch

from tests.injection.tiny import counting_task, gpt2
from tracrlab.errors import TracrLabError
from tracrlab.injection.alignment import Alignment, LinearMap, carried_directions
from tracrlab.injection.batches import Batches, BatchSettings
from tracrlab.injection.methods import InjectionStep, Terms
from tracrlab.injection.prompts import PromptInterchange
from tracrlab.injection.reference import Reference
from tracrlab.injection.sharing import check_shareable, share
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.windows import TextWindows

ROWS = 8


@pytest.fixture(scope="module")
def batches():
    program, examples, _ = counting_task()
    codes = program.codes(examples.symbols)
    directions = carried_directions(program, codes[examples.supervised])
    alignment = Alignment((0, 2, 4, 6), (0, 2, 4, 6), directions)
    interchange = PromptInterchange(program, examples, codes, np.arange(40, 50))
    drawn = {"prompts": 0.5, "variables": 0.4, "windows": 3, "text_length": 9, "text_places": 4}
    settings = BatchSettings(seed=0, rows=ROWS, width=64, align="all", **drawn)
    return Batches(settings, program, alignment, examples, codes, 20, interchange)


def step_of(batches: Batches, swap: str, swap_share: float) -> tuple[InjectionStep, Reference]:
    streams = StreamModel(gpt2())
    text = TextWindows(np.random.default_rng(2).integers(0, 60, size=(20, 9)))
    linear_map = LinearMap(
        64, len(batches.alignment.directions), generator=torch.Generator().manual_seed(3)
    )
    terms = Terms(alignment=0.7, swap=swap, swap_share=swap_share)
    reference = Reference(streams, text, torch.device("cpu"))
    with torch.no_grad():  # away from the original, so that the text has a gradient
        generator = torch.Generator().manual_seed(4)
        for weight in streams.parameters():
            weight.add_(0.02 * torch.randn(weight.shape, generator=generator))
    return InjectionStep(streams, batches.program, batches.alignment, terms, linear_map), reference


def losses_and_gradients(step: InjectionStep, reference: Reference, batch):
    step.zero_grad()
    losses = step(batch, reference.part(batch))
    losses["loss"].backward()
    found = {name: w.grad.clone() for name, w in step.named_parameters() if w.grad is not None}
    return {name: loss.item() for name, loss in losses.items()}, found


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize(("swap", "swap_share"), [("none", 1.0), ("answer", 1.0), ("answer", 0.5)])
def test_the_average_over_parts_is_the_whole(batches, processes, swap, swap_share):
    step, reference = step_of(batches, swap, swap_share)
    batch = next(b for b in map(batches.batch, range(20)) if len(b.patches.rows) >= 3)
    swapped = 0 if swap == "none" else round(swap_share * ROWS)
    whole, gradients = losses_and_gradients(step, reference, batch)
    parts = [
        losses_and_gradients(step, reference, share(batch, process, processes, swapped))
        for process in range(processes)
    ]
    for name, value in whole.items():
        assert np.mean([part[0][name] for part in parts]) == pytest.approx(value, rel=1e-5)
    for name, gradient in gradients.items():
        mean = sum(part[1][name] for part in parts) / processes
        assert (mean - gradient).norm() <= 1e-4 * gradient.norm() + 1e-7, name


def test_a_part_runs_its_own_rows_and_those_they_read_from(batches):
    batch = next(b for b in map(batches.batch, range(20)) if b.patches is not None)
    second = share(batch, 1, 2, ROWS)
    assert len(second.tokens) >= ROWS // 2 + 1  # the row before the first one
    assert set(second.rows.tolist()) == set(np.flatnonzero(second.donors >= 0).tolist())
    assert len(second.text) == 2
    assert share(batch, 0, 1, ROWS) is batch


def test_more_processes_than_rows_are_refused():
    with pytest.raises(
        TracrLabError, match=r"injection\.text_batch is 1, which 2 processes cannot"
    ):
        check_shareable(8, 1, 2)
    check_shareable(8, 0, 2)
