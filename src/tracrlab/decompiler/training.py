"""Training of meta-models, on one processor core or many accelerators.

What a step does is a function of the seed, the step and the weights: its samples, what is drawn of
them and the dropout. So a run that was stopped ends with the weights of one that was not.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tracrlab.cluster.accelerating import join_accelerator
from tracrlab.config import Config
from tracrlab.decompiler.batch_stream import BatchStream, Piece, read_ahead
from tracrlab.decompiler.building import build, start_from
from tracrlab.decompiler.checkpoint import Checkpoints
from tracrlab.decompiler.curve import CURVE, write_curve
from tracrlab.decompiler.grammar import Grammar
from tracrlab.decompiler.loading import Choice
from tracrlab.decompiler.model_folder import METHODS, Description, save
from tracrlab.decompiler.objectives import Encoder, loss_of, parts_of, predict
from tracrlab.decompiler.optimisation import optimizer_of, schedule, step_seed
from tracrlab.decompiler.run_state import RunState
from tracrlab.decompiler.settings import Run, resolve
from tracrlab.decompiler.validation import ValidationSet
from tracrlab.errors import TracrLabError
from tracrlab.files import sha256
from tracrlab.progress import progress
from tracrlab.stopping import StoppedError, stopping
from tracrlab.zoo.manifest import load_manifest


@dataclass
class Trained:
    """A trained meta-model.

    Attributes:
      run: what it is.
      model: the model, with the weights of its lowest validation loss.
      lines: of the curve.
      summary: what is written beside the weights: steps, samples, zoo and figures.
      checkpoints: of the run.
      writes: whether this process, of several that train together, writes the results.
    """

    run: Run
    model: nn.Module
    lines: list[dict[str, Any]]
    summary: dict[str, Any]
    checkpoints: Checkpoints
    writes: bool = True

    def write(self, config: Config, folder: Path, half: bool = False) -> None:
        """Writes the model's folder and removes the checkpoints.

        Args:
          config: what it was trained with.
          folder: where; the curve is there already. An auto-encoder leaves a curve alone.
          half: float16 weights.
        """
        if self.run.method in METHODS:
            rows = config.decompiler.rows
            limits = {"max_tokens": rows.max_tokens, "max_blocks": rows.max_blocks}
            description = Description(
                self.run.method,
                self.run.sizes,
                config.zoo.preset,
                rows.ops[1],
                limits,
                self.summary,
            )
            save(folder, self.model, description, half)
        self.checkpoints.remove()


def train(
    config: Config,
    zoo: str,
    name: str,
    manifests: Sequence[Path],
    folder: Path,
    start: Path | None = None,
) -> Trained:
    """Trains a meta-model; it goes on from a checkpoint in `folder` if there is one.

    Under `cluster.launching.launch` several processes train one model; they share each step's
    samples.

    Args:
      config: the configuration.
      zoo: standard, compressed or natural, or stand_ins, of the standard one's models.
      name: the method or variant.
      manifests: of that zoo; of several zoos, which are read as one.
      folder: where the curve, the events and the checkpoints go.
      start: folder of the trained model that a fine-tuning run starts from.

    Raises:
      StoppedError: after SIGTERM, once the checkpoint is written.
      TracrLabError: where configuration, zoo and files do not fit together, processes that were
        launched together do not train so, or the loss is no longer a number.
    """
    own = config.decompiler
    run = resolve(own, zoo, name)
    if run.goes_on != (start is not None):
        raise TracrLabError(
            f"the run {name} on {zoo} starts from {run.start} weights; "
            + ("give --start the folder of their model." if start is None else "no --start.")
        )
    torch.set_num_threads(own.threads)
    accelerator = join_accelerator(
        own.precision, unused_parameters=True, cpu=not torch.cuda.is_available()
    )
    torch.manual_seed(config.seed)
    model = build(run)
    if start is not None:
        start_from(model, start)
    identity = {
        "run": run.identity(),
        "seed": config.seed,
        "zoo": [sha256(manifest) for manifest in manifests],
        "start": None if start is None else sha256(start / "model.safetensors"),
        "rows": own.rows.model_dump(mode="json"),
        "similar": own.similar,
    }
    loop = _Loop(config, run, manifests, folder, accelerator, model, identity)
    return loop.run_to_the_end()


class _Loop:
    """The loop over steps, with its curve, checkpoints and early stopping."""

    def __init__(
        self,
        config: Config,
        run: Run,
        manifests: Sequence[Path],
        folder: Path,
        accelerator: Any,
        model: nn.Module,
        identity: dict[str, Any],
    ):
        self.config, self.own, self.run = config, config.decompiler, run
        self.folder, self.accelerator, self.identity = folder, accelerator, identity
        self.rank, self.world = accelerator.process_index, accelerator.num_processes
        self.shards = [
            shard for manifest in manifests for shard in load_manifest(manifest).checked_shards()
        ]
        if run.training.batch // run.training.accumulate < self.world:
            raise TracrLabError(
                f"decompiler.{run.method}.batch is {run.training.batch} in "
                f"{run.training.accumulate} parts, which {self.world} processes cannot share; "
                "raise it."
            )
        self.module = model.to(accelerator.device)
        self.prepared, self.optimizer = accelerator.prepare(
            self.module, optimizer_of(self.module, run.training)
        )
        self.checkpoints = Checkpoints(folder / "checkpoints", identity)
        self.validation = self._validation()
        found = self.checkpoints.load(self.module, self.optimizer)
        self.state = RunState() if found is None else RunState.of(*found)
        if found is not None and accelerator.is_main_process:
            print(f"going on from step {self.state.step:,}", file=sys.stderr)

    def run_to_the_end(self) -> Trained:
        """Takes the steps that are left."""
        state, run = self.state, self.run
        pieces = read_ahead(self._stream(), self.own.loader_workers)
        first = state.step
        began = time.perf_counter() - state.seconds
        steps: Iterable[int] = range(first, run.steps)
        if self.accelerator.is_main_process:
            steps = progress(steps, run.steps - first, f"{run.zoo} {run.name}", self._note)
        with stopping() as stop:
            for step in steps:
                if self._ended_early():
                    break
                self._step(step, [next(pieces) for _ in range(run.training.accumulate)])
                state.step = step + 1
                state.seconds = time.perf_counter() - began
                last = step + 1 == run.steps
                if (step + 1) % self.own.validate_steps == 0 or last:
                    self._line(step)
                stopped = self._anyone(stop.asked) and not last
                if stopped or ((step + 1) % self.own.checkpoint_steps == 0 and not last):
                    self._keep()
                if stopped:
                    raise StoppedError(
                        f"stopped at step {step + 1:,}; {self.checkpoints.folder} holds the run"
                    )
        return self._result()

    def _step(self, step: int, pieces: list[Piece]) -> None:
        run, accelerator = self.run, self.accelerator
        rate = run.learning_rate * schedule(step, run.steps, run.training.warm_up)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        own = sum(parts_of(run, piece.batch) for piece in pieces if piece.counts)
        total = self._sum(float(own))
        loss_sum = 0.0
        for number, piece in enumerate(pieces):
            torch.manual_seed(step_seed(self.config.seed, step, number, self.rank))
            last = number + 1 == len(pieces)
            with accelerator.autocast():
                predicted, targets = predict(run, self.prepared, piece.batch, accelerator.device)
                loss = loss_of(run, predicted, targets)
            # Gradients are averaged over processes: the whole batch's mean is a sum over its
            # predictions, wherever they are computed.
            share = parts_of(run, piece.batch) / total if piece.counts else 0.0
            if last or self.world == 1:
                accelerator.backward(loss * share * self.world)
            else:
                with accelerator.no_sync(self.prepared):
                    accelerator.backward(loss * share * self.world)
            loss_sum += float(loss.detach()) * share
        loss_value = self._sum(loss_sum)
        if not math.isfinite(loss_value):
            raise TracrLabError(
                f"the loss is {loss_value} at step {step + 1:,}; lower "
                f"decompiler.{run.method}.learning_rate or set its clip."
            )
        if run.training.clip:
            accelerator.clip_grad_norm_(self.module.parameters(), run.training.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.recent.append(loss_value)
        self.state.samples += sum(piece.samples for piece in pieces)
        self.state.position = pieces[-1].after

    def _line(self, step: int) -> None:
        """A line of the curve; early stopping goes by its validation loss."""
        state, run = self.state, self.run
        line: dict[str, Any] = dict.fromkeys(CURVE)
        line["step"], line["samples"] = step + 1, state.samples
        line["loss"] = float(np.mean(state.recent))
        line["learning_rate"] = run.learning_rate * schedule(step, run.steps, run.training.warm_up)
        state.recent = []
        if self.validation is not None:
            line |= self._measured(self.validation)
            state.since_best += 1
            if line["validation_loss"] < state.best_loss:
                state.best_loss, state.best_step, state.since_best = (
                    line["validation_loss"],
                    step + 1,
                    0,
                )
                state.best = {
                    name: value.detach().cpu().clone()
                    for name, value in self.module.named_parameters()
                }
        state.lines.append(line)
        if self.accelerator.is_main_process:
            write_curve(self.folder, state.lines)

    def _measured(self, validation: ValidationSet) -> dict[str, float]:
        with self.accelerator.autocast():
            tally = validation.measure(
                self.run, self.module, self.accelerator.device, self.rank, self.world
            )
        for name, value in vars(tally).items():
            setattr(tally, name, self._sum(float(value)))
        return tally.figures()

    def _ended_early(self) -> bool:
        return bool(self.own.patience) and self.state.since_best >= self.own.patience

    def _result(self) -> Trained:
        state = self.state
        if state.best:
            with torch.no_grad():
                for name, value in self.module.named_parameters():
                    value.copy_(state.best[name])
        summary = {
            "zoo": self.run.zoo,
            "name": self.run.name,
            "seed": self.config.seed,
            "zoo_manifest_sha256": self.identity["zoo"],
            "start_sha256": self.identity["start"],
            "parameters": sum(value.numel() for value in self.module.parameters()),
            "steps": state.step,
            "best_step": state.best_step if state.best else state.step,
            "samples": state.samples,
            "programs": sum(len(self._choice("train").rows_of(path)) for path in self.shards),
            "minutes": round(state.seconds / 60, 2),
            "processes": self.world,
            "device": self.accelerator.device.type,
            "settings": self.run.training.model_dump(mode="json"),
        }
        if state.lines:
            summary["last_line"] = state.lines[-1]
        writes = self.accelerator.is_main_process
        return Trained(self.run, self.module, state.lines, summary, self.checkpoints, writes)

    def _keep(self) -> None:
        if self.accelerator.is_main_process:
            state = self.state
            self.checkpoints.save(self.module, self.optimizer, state.best, state.header())
        self.accelerator.wait_for_everyone()

    def _choice(self, split: str) -> Choice:
        rows = self.own.rows
        return Choice(split, rows.ops, max_tokens=rows.max_tokens, max_blocks=rows.max_blocks)

    def _stream(self) -> BatchStream:
        training = self.run.training
        return BatchStream(
            self.shards,
            self._choice("train"),
            training.batch // training.accumulate,
            Encoder(self.run),
            seed=self.config.seed,
            similar=self.own.similar,
            rank=self.rank,
            world=self.world,
            position=self.state.position,
        )

    def _validation(self) -> ValidationSet | None:
        """What the curve is measured on; None, with a line on stderr, where the zoo has nothing."""
        own = self.own
        grammar = Grammar.of_preset(self.config.zoo.preset, own.rows.ops[1])
        choice, programs = self._choice("validation"), own.validation_programs
        found = ValidationSet.read(
            self.run, self.shards, choice, programs, grammar, self.config.seed
        )
        if found is None and own.patience:
            raise TracrLabError(
                f"the {self.run.zoo} zoo has no model for validation within the limits, and "
                "decompiler.patience needs some; set it to 0 or take a larger zoo."
            )
        if found is None and self.accelerator.is_main_process:
            print(
                f"the {self.run.zoo} zoo has no model for validation: the curve has training "
                "losses alone",
                file=sys.stderr,
            )
        return found

    def _sum(self, value: float) -> float:
        """The sum over all processes."""
        if self.world == 1:
            return value
        tensor = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(tensor, reduction="sum"))

    def _anyone(self, flag: bool) -> bool:
        return self._sum(float(flag)) > 0

    def _note(self) -> str:
        known = [line for line in self.state.lines if line["content_accuracy"] is not None]
        loss = f", loss {self.state.recent[-1]:.3f}" if self.state.recent else ""
        return loss + (f", content {known[-1]['content_accuracy']:.1f}%" if known else "")
