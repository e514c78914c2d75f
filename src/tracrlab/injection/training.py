"""Distilling a compiled program into a language model (Tracr-injection, section 3; appendix B).

A run's batches depend on the seed and the step alone and the model has no dropout, so a run that
was stopped goes on from its checkpoint exactly as if it had not been. Where `accelerate` finds
several processes, each computes its part of the batch (`sharing`), and only the main one writes.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from tracrlab.cluster.accelerating import join_accelerator
from tracrlab.errors import TracrLabError
from tracrlab.injection.alignment import Alignment, LinearMap, carried_directions, pair_stages
from tracrlab.injection.batches import Batches, BatchSettings
from tracrlab.injection.checkpoint import array_digest, load_checkpoint, save_checkpoint
from tracrlab.injection.compiled import CompiledProgram
from tracrlab.injection.evaluation import accuracy
from tracrlab.injection.map_start import fit_map
from tracrlab.injection.methods import FINETUNE, INTERCHANGE, InjectionStep, Terms
from tracrlab.injection.prompts import Examples, PromptInterchange
from tracrlab.injection.reference import Reference
from tracrlab.injection.sharing import check_shareable, share
from tracrlab.injection.streams import StreamModel
from tracrlab.injection.windows import TextWindows
from tracrlab.muon import MuonAdamW, block_matrices
from tracrlab.sections.injection import InjectionConfig
from tracrlab.stopping import Stop, StoppedError, stopping

#: Examples on which the compiled model's own forward pass is compared with the targets.
CHECKED = 4
#: Share of the rate at which weights that are no matrices move beside Muon's.
OTHERS_RATE = 0.4
#: Held-out examples whose accuracy stands in the loss table.
WATCHED = 200


@dataclass
class TrainingData:
    """What a run learns from.

    Attributes:
      train, held_out: examples of the training range.
      text: windows of plain text.
      excluded: prompts that no interchange may make: those of every test set.
    """

    train: Examples
    held_out: Examples
    text: TextWindows
    excluded: set[bytes] = field(default_factory=set)


@dataclass
class Injected:
    """A trained model.

    Attributes:
      model: the model.
      linear_map: its linear map; None where nothing was aligned.
      alignment: what faces what.
      losses: one line a measured step.
      timing: seconds of steps, of batches and targets, and counts.
      writes: whether this process, of several that train together, writes the results.
    """

    model: StreamModel
    linear_map: LinearMap | None
    alignment: Alignment
    losses: pd.DataFrame
    timing: dict[str, float]
    writes: bool = True


def align(
    program: CompiledProgram, model: StreamModel, codes: np.ndarray, config: InjectionConfig
) -> Alignment:
    """What faces what, by configuration.

    Args:
      program: the compiled program.
      model: the language model.
      codes: values at the supervised positions, float32 [positions, variables].
      config: the configuration.
    """
    settings = config.alignment
    compiled, facing = pair_stages(program.layers, model.layers, settings.pairing, settings.stages)
    directions = carried_directions(program, codes, settings.directions, settings.min_share)
    return Alignment(compiled, facing, directions)


def train(
    model: torch.nn.Module,
    program: CompiledProgram,
    data: TrainingData,
    config: InjectionConfig,
    method: str,
    seed: int,
    checkpoint: Path | None = None,
) -> Injected:
    """Trains a model by one method.

    Args:
      model: a causal language model; it is trained in place.
      program: the compiled program.
      data: what to learn from.
      config: how.
      method: "finetune_kl", "tracr_injection" or "interchange".
      seed: root of the run's random numbers.
      checkpoint: where the run is kept while it lasts, and continued from; removed at its end by
        the caller.

    Raises:
      StoppedError: after SIGTERM, once the checkpoint is written.
      TracrLabError: where program, model and configuration do not fit together, processes that
        were launched together do not train so, or the loss is no longer a number.
    """
    start = time.perf_counter()
    torch.manual_seed(seed)
    streams = StreamModel(model.eval())
    if config.trained == "blocks":
        freeze_embeddings(model)
    codes = program.codes(data.train.symbols)
    program.check_streams(data.train.take(np.arange(min(CHECKED, len(data.train)))).symbols)
    alignment = align(program, streams, codes[data.train.supervised], config)
    target_seconds = time.perf_counter() - start

    weights = config.weights
    unused = weights.answer == 0 or (method != FINETUNE and weights.alignment == 0)
    accelerator = join_accelerator(config.precision, unused_parameters=unused)
    batches = _batches(program, alignment, data, codes, config, method, seed, accelerator, streams)
    linear_map = None
    if method != FINETUNE:
        generator = torch.Generator().manual_seed(seed)
        linear_map = LinearMap(
            streams.width,
            len(alignment.directions),
            bias=config.alignment.bias,
            generator=generator,
        )
        if config.alignment.start == "fitted":
            fit_map(linear_map, streams, program, alignment, data.train, codes)
    reference = Reference(streams, data.text, accelerator.device)
    module = InjectionStep(
        streams,
        program,
        alignment,
        _terms(config, method, program),
        linear_map,
        batches.answers,
        codes[data.train.symbols >= 0],
    ).to(accelerator.device)
    if linear_map is not None and module.terms.swap != "none":
        module.kept_basis()  # an empty swap is refused before anything is trained
    optimizer = _optimizer(module, config)
    prepared, optimizer = accelerator.prepare(module, optimizer)

    identity = {
        "config": config.model_dump(mode="json"),
        "method": method,
        "seed": seed,
        "inputs": array_digest(
            [*model.state_dict().values(), data.train.tokens, *data.text.arrays.values()]
        ),
    }
    state = {"step": 0, "lines": []}
    if checkpoint is not None:
        state = load_checkpoint(checkpoint, module, optimizer, identity) or state
        if state["step"]:
            print(f"going on from step {state['step']:,} of {checkpoint}", file=sys.stderr)
    run = _Run(accelerator, prepared, module, optimizer, config, batches, reference, data, identity)
    timing = run.steps(state, checkpoint)
    timing |= {
        "target_seconds": target_seconds + batches.seconds,
        "examples": len(data.train),
        "aligned_directions": len(alignment.directions),
    }
    lines = pd.DataFrame(state["lines"])
    writes = accelerator.is_main_process
    return Injected(streams, linear_map, alignment, lines, timing, writes)


class _Run:
    """The loop over steps, with its table, checkpoints and clock."""

    def __init__(
        self, accelerator, prepared, module, optimizer, config, batches, reference, data, identity
    ):
        self.accelerator, self.prepared, self.module = accelerator, prepared, module
        self.optimizer, self.config, self.batches = optimizer, config, batches
        self.reference, self.data, self.identity = reference, data, identity

    def steps(self, state: dict, checkpoint: Path | None) -> dict[str, float]:
        """Runs the steps that are left; `state` is kept up to date."""
        from tracrlab.progress import progress

        config, first = self.config, state["step"]
        watched = self.data.held_out.take(np.arange(min(WATCHED, len(self.data.held_out))))
        seconds, recent = 0.0, state.pop("recent", [])
        with stopping() as stop:
            left = range(first, config.steps)
            if self.accelerator.is_main_process:
                left = progress(left, len(left), "training")
            for step in left:
                start = time.perf_counter()
                losses, stops = self._step(step, stop)
                recent.append(losses)
                seconds += time.perf_counter() - start
                state["step"] = step + 1
                if (step + 1) % config.measure_steps == 0 or step + 1 == config.steps:
                    if self.accelerator.is_main_process:
                        state["lines"].append(self._line(step + 1, recent, watched))
                    recent = []
                ended = step + 1 == config.steps
                due = (step + 1) % config.checkpoint_steps == 0 and not ended
                if checkpoint is not None and (due or stops) and not ended:
                    self._keep(checkpoint, state | {"recent": recent})
                if stops and not ended:
                    raise StoppedError(f"stopped at step {step + 1:,}; {checkpoint} holds the run")
        return {"steps": config.steps - first, "step_seconds": seconds}

    def _step(self, step: int, stop: Stop) -> tuple[dict[str, float], bool]:
        """Takes a step; gives its losses, and whether any process has been asked to stop."""
        config, accelerator = self.config, self.accelerator
        rate = schedule(step, config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["peak"]
        terms = self.module.terms
        swapped = 0 if terms.swap == "none" else round(terms.swap_share * config.batch)
        batch = share(
            self.batches.batch(step), accelerator.process_index, accelerator.num_processes, swapped
        )
        with accelerator.autocast():
            losses = self.prepared(batch, self.reference.part(batch))
        accelerator.backward(losses["loss"])
        # One exchange for both: processes that stopped at different steps would wait for ever.
        values = torch.stack([*(loss.detach().float() for loss in losses.values())])
        told = torch.cat([values, torch.tensor([float(stop.asked)], device=values.device)])
        *means, anyone = accelerator.reduce(told, "mean").tolist()
        found = dict(zip(losses, means, strict=True))
        if not math.isfinite(found["loss"]):
            raise TracrLabError(
                f"the loss is {found['loss']} at step {step + 1:,}; lower "
                "injection.learning_rate or set injection.clip."
            )
        if config.clip:
            accelerator.clip_grad_norm_(self.module.parameters(), config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return found, anyone > 0

    def _line(self, step: int, recent: list[dict], watched: Examples) -> dict:
        means = {name: float(np.mean([entry[name] for entry in recent])) for name in recent[0]}
        with self.accelerator.autocast():
            share = accuracy(self.module.model, watched).percent
        return {"step": step, **means, "held_out_accuracy": share}

    def _keep(self, checkpoint: Path, state: dict) -> None:
        if self.accelerator.is_main_process:
            save_checkpoint(checkpoint, self.module, self.optimizer, self.identity, state)
        self.accelerator.wait_for_everyone()


def schedule(step: int, config: InjectionConfig) -> float:
    """The share of the peak rate at a step (from 0)."""
    rise = round(config.warm_up * config.steps)
    if step < rise:
        return (step + 1) / rise
    if config.schedule == "constant":
        return 1.0
    done = (step - rise) / max(1, config.steps - rise)
    return 1 - done if config.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


def freeze_embeddings(model: torch.nn.Module) -> None:
    """Keeps the token embeddings, and the head that reads them or has its own, as they are.

    Their gradients are as large as the vocabulary and cost a third of a step of a small model.
    """
    for part in (model.get_input_embeddings(), model.get_output_embeddings()):
        part.requires_grad_(False)


def _terms(config: InjectionConfig, method: str, program: CompiledProgram) -> Terms:
    weights = config.weights
    if method == FINETUNE:
        return Terms(answer=weights.answer, alignment=0.0, text=weights.text, swap="none")
    return Terms(
        answer=weights.answer,
        alignment=weights.alignment,
        text=weights.text,
        divisor=program.layers if config.alignment.divisor == "layers" else None,
        alignment_loss=config.alignment.loss,
        # Interchanged variables say what the swap says, to each variable by itself.
        swap="none" if method == INTERCHANGE else config.swap,
        swap_share=config.swap_share,
    )


def _batches(
    program, alignment, data: TrainingData, codes, config, method, seed, accelerator, streams
) -> Batches:
    windows, text = config.text_batch if config.weights.text > 0 else 0, data.text.tokens
    check_shareable(config.batch, windows, accelerator.num_processes)
    interchange = None
    if method == INTERCHANGE:
        fillers = np.unique(text)
        interchange = PromptInterchange(program, data.train, codes, fillers, data.excluded)
    settings = BatchSettings(
        seed=seed,
        rows=config.batch,
        width=streams.width,
        align="none" if method == FINETUNE else config.alignment.positions,
        prompts=config.interchange.prompts if method == INTERCHANGE else 0.0,
        balanced=config.interchange.balanced,
        variables=config.interchange.variables if method == INTERCHANGE else 0.0,
        windows=windows,
        text_length=text.shape[1],
        text_places=config.text_places,
        negatives=config.answer_negatives,
        vocabulary=len(streams.model.get_output_embeddings().weight),
    )
    return Batches(settings, program, alignment, data.train, codes, len(text), interchange)


def _optimizer(module: InjectionStep, config: InjectionConfig) -> torch.optim.Optimizer:
    own = [] if module.linear_map is None else list(module.linear_map.parameters())
    of_map = {"params": own, "peak": config.map_learning_rate}
    if config.optimizer == "adamw":
        trained = [weight for weight in module.model.parameters() if weight.requires_grad]
        groups = [{"params": trained, "peak": config.learning_rate}, of_map]
        return torch.optim.AdamW(groups[: 1 + bool(own)], lr=0.0, weight_decay=0.0, fused=True)
    matrices, others = block_matrices(module.model)
    rate = config.learning_rate
    groups = [
        {"params": matrices, "peak": rate, "muon": True},
        {"params": others, "peak": OTHERS_RATE * rate},
    ]
    return MuonAdamW([*groups, *([of_map] if own else [])])
