"""What a configuration costs, computed from rates that were measured and from nothing else.

A step without a measured rate has no figure, and the sums say how many steps they leave out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from tracrlab.config import Config
from tracrlab.sections.study import StudyScale

#: Seconds that a SLURM job takes beside its work: three starts of Python, measured at 7 to 10.
JOB_OVERHEAD = 10.0
#: Tasks of a job array in `profiles/slurm`.
ARRAY_LIMIT = 32
#: Programs that the thesis sampled and compiled a second and core (55 a second on 12 threads).
THESIS_RATE = 55 / 12
#: Core-seconds of the thesis for a student: 20,000 and 5,000 core-hours.
THESIS_STUDENTS = {"compressed": 20_000 * 3600 / 150_000, "natural": 5_000 * 3600 / 71_000}
#: Seconds of an A40 for a training step of Tracr-injection: 80,000 steps of GPT-2-large in 10 h.
PAPER_STEP = 10 * 3600 / 80_000
PAPER_BASE = "gpt2-large"
#: What the papers report for the rest: (what, number of them, core-hours, GPU-hours).
REPORTED = (
    ("the thesis, 150,000 compressed models", 150_000, 20_000, 0),
    ("the thesis, 71,000 natural models", 71_000, 5_000, 0),
    ("Tracr-injection, one GPT-2-large, A40", 1, 0, 10),
)
#: What stands where no rate was measured.
UNKNOWN = "not measured"


@dataclass(frozen=True)
class Step:
    """A rule of the workflow: its jobs, all alike, and what they cost together.

    Attributes:
      name: what is done.
      jobs: how many jobs do it.
      programs: how many programs, models or runs they go through.
      seconds: seconds of work on one core, or on one GPU where `gpus` says so, the jobs' own
        overhead left out; None where no rate was measured.
      size: bytes that stay on disk.
      gpus: GPUs of a job.
      array: whether the jobs go as job arrays.
    """

    name: str
    jobs: int
    programs: int
    seconds: float | None
    size: float = 0
    gpus: int = 0
    array: bool = False

    @property
    def core_seconds(self) -> float | None:
        return None if self.seconds is None else self.seconds + self.jobs * JOB_OVERHEAD

    @property
    def gpu_seconds(self) -> float | None:
        return None if self.core_seconds is None else self.core_seconds * self.gpus

    def wall_seconds(self, cores: int, gpus: int = 0) -> float | None:
        """Seconds from the first job's start to the last one's end, on so many cores and GPUs.

        None where no rate was measured, or the job has more GPUs than there are.
        """
        places = gpus // self.gpus if self.gpus else cores
        if self.core_seconds is None or not places:
            return None
        return math.ceil(self.jobs / places) * self.core_seconds / self.jobs

    @property
    def arrays(self) -> int:
        return math.ceil(self.jobs / ARRAY_LIMIT) if self.array else 0


@cache
def measured_rates() -> dict:
    """Rates with the machine, and the command or page, that they were measured with.

    `zoo` by sampler preset; `trained` on CPUs; `gpu` what was measured on GPUs, by model of GPU:
    seconds of a training step of `inject`, by base model.
    """
    text = files("tracrlab").joinpath("measured_rates.json").read_text(encoding="utf-8")
    return json.loads(text)


def steps(config: Config, gpu_model: str = "a40") -> Iterator[Step]:
    """The steps of the workflow that cost more than a moment, in order.

    Args:
      config: the configuration.
      gpu_model: the GPU that rules run on which the SLURM profile sends to one.
    """
    yield from _zoo_steps(config)
    yield from _student_steps(config)
    yield from _study_steps(config)
    yield from _decompiler_steps(config)
    yield from _injection_steps(config, gpu_model)


def _zoo_steps(config: Config) -> Iterator[Step]:
    zoo = config.zoo
    rates = measured_rates()["zoo"][zoo.preset]
    yield Step(
        "sample candidates",
        zoo.program_shards,
        zoo.candidates,
        zoo.candidates / rates["sampled_per_core_second"],
        array=True,
    )
    yield Step("select", 1, zoo.candidates, zoo.candidates / 100_000)
    yield Step(
        "compile, verify, write",
        zoo.shards,
        zoo.programs,
        zoo.programs / rates["built_per_core_second"],
        zoo.programs * rates["bytes_per_program"],
        array=True,
    )


def _student_steps(config: Config) -> Iterator[Step]:
    rates = measured_rates()["trained"]["students"]
    for kind in ("compressed", "natural"):
        own = getattr(config.students, kind)
        seconds = own.models * rates[f"{kind}_core_seconds"]
        yield Step(f"{kind} students (CPU)", own.shards, own.models, seconds, array=True)


def _study_steps(config: Config) -> Iterator[Step]:
    rate = measured_rates()["trained"]["study"]["core_seconds_per_input"]
    study = config.study
    for what, scale, names in (
        ("superposition study (CPU)", study, study.programs),
        ("its library programs (CPU)", study.library, study.library.chosen),
    ):
        runs = sum(_runs(scale, name) for name in names)
        yield Step(what, len(names), runs, runs * scale.steps * scale.batch * rate)


def _runs(scale: StudyScale, name: str) -> int:
    """Seeds and widths of a program: as many as are asked for, up to its model's own."""
    if not isinstance(scale.widths, int):
        return scale.seeds * len(scale.widths)
    from tracrlab.compiler.compiling import compile_table
    from tracrlab.rasp.domain import Domain
    from tracrlab.rasp.library import LIBRARY
    from tracrlab.rasp.truth_table import evaluate

    entry = LIBRARY[name]
    domain = Domain(entry.vocab, entry.max_seq_len, entry.causal, entry.inputs)
    model = compile_table(evaluate(entry.program, domain))
    return scale.seeds * min(scale.widths, model.architecture.d_model)


def _injection_steps(config: Config, gpu_model: str) -> Iterator[Step]:
    from tracrlab.tasks.registry import task_names

    own = config.injection
    if own.base == "tiny":
        yield Step("pretrain tiny (CPU)", 1, 1, None)
    on_gpu = measured_rates()["gpu"].get(gpu_model, {}).get("inject", {}).get(own.base)
    rate = measured_rates()["trained"]["injection"]
    known = {"layers": rate["layers"], "width": rate["width"]}
    on_cpu = own.base == "tiny" and {name: getattr(own.tiny, name) for name in known} == known
    trained = [own.of_task(task) for task in task_names(own.tasks)]
    steps = own.seeds * sum(task.steps for task in trained)
    examples = own.seeds * sum(task.steps * task.batch for task in trained)
    runs = len(trained) * own.seeds
    for method in own.methods:
        name = f"inject, {method}"
        if on_gpu is not None:
            yield Step(f"{name} ({gpu_model})", runs, runs, steps * on_gpu, gpus=1)
        elif on_cpu:
            seconds = examples * rate["core_seconds_per_step"][method] / rate["batch"]
            yield Step(f"{name} (CPU)", runs, runs, seconds)
        else:
            yield Step(f"{name} ({own.base})", runs, runs, None, gpus=1)


def _decompiler_steps(config: Config) -> Iterator[Step]:
    """The trainings; a size that was not measured has no figure."""
    own = config.decompiler
    rates = measured_rates()["trained"]["decompiler"]
    for method in dict.fromkeys(own.method_of(name) for _, name in own.runs()):
        training = getattr(own, method)
        samples = runs = 0
        for zoo, name in own.runs():
            if own.method_of(name) != method:
                continue
            variant = own.variants.get(name)
            steps = training.steps if zoo == "standard" else training.fine_tuning.steps
            samples += training.batch * ((variant.steps if variant else None) or steps)
            runs += 1
        if any(
            own.start_of(zoo, name) == "stand_ins" and own.method_of(name) == method
            for zoo, name in own.runs()
        ):
            samples += training.batch * training.fine_tuning.stand_ins.steps
            runs += 1
        rate = rates["core_seconds_per_sample"].get(f"{method} {training.size}")
        # A rate of a core says nothing of a GPU.
        seconds = None if rate is None or own.gpus else samples * rate
        what = f"decompilers, {method} {training.size}" + ("" if own.gpus else " (CPU)")
        yield Step(what, runs, runs, seconds, gpus=own.gpus)


def plan_table(config: Config, cores: int = 2, gpus: int = 0) -> list[tuple[str, ...]]:
    """A line for each step, the sum, and what the papers report; the first line is the heading.

    Args:
      config: the configuration.
      cores: cores of the machine, or of the partition, that run jobs at the same time.
      gpus: GPUs, likewise.
    """
    wall = f"wall time on {cores:,}" + (f" and {gpus:,} GPUs" if gpus else "")
    rows = [("step", "jobs", "arrays", "programs", "core-hours", "GPU-hours", wall, "bytes")]
    planned = list(steps(config))
    rows += [_row(step, cores, gpus) for step in planned]
    rows.append(_total(planned, cores, gpus))
    rows += _papers_rates(config, cores)
    for what, count, core_hours, gpu_hours in REPORTED:
        cpu, gpu = (hours(value * 3600) if value else "" for value in (core_hours, gpu_hours))
        rows.append((what, "", "", f"{count:,}", cpu, gpu, "", ""))
    return rows


def sources() -> list[str]:
    """Where the rates come from, a line each."""
    rates = measured_rates()
    lines = [f"zoo: {rates['command']}, {rates['machine']}"]
    lines += [f"{name}: {rate['source']}" for name, rate in rates["trained"].items()]
    return [*lines, f"GPUs: {rates['gpu']['source']}"]


def _row(step: Step, cores: int, gpus: int) -> tuple[str, ...]:
    wall = step.wall_seconds(cores, gpus)
    return (
        step.name,
        f"{step.jobs:,}",
        f"{step.arrays:,} of {min(step.jobs, ARRAY_LIMIT)}" if step.array else "",
        f"{step.programs:,}",
        "" if step.gpus else _hours_or_unknown(step.core_seconds),
        _hours_or_unknown(step.gpu_seconds) if step.gpus else "",
        "" if wall is None else duration(wall),
        amount(step.size),
    )


def _total(planned: list[Step], cores: int, gpus: int) -> tuple[str, ...]:
    """Sums of what has a rate; the name says how many steps have none."""
    known = [step for step in planned if step.core_seconds is not None]
    missing = len(planned) - len(known)
    on_gpus = [step.gpu_seconds for step in known if step.gpus]
    on_cores = [step.core_seconds for step in known if not step.gpus]
    walls = [step.wall_seconds(cores, gpus) or 0 for step in known]
    return (
        f"total, {missing} {'step' if missing == 1 else 'steps'} left out" if missing else "total",
        f"{sum(step.jobs for step in planned):,}",
        f"{sum(step.arrays for step in planned):,}",
        "",
        hours(sum(on_cores)),
        hours(sum(on_gpus)) if on_gpus else "",
        duration(sum(walls)),
        amount(sum(step.size for step in planned)),
    )


def _papers_rates(config: Config, cores: int) -> Iterator[tuple[str, ...]]:
    """What the same work would cost at the papers' rates."""
    work = [("the thesis's rate for this zoo", config.zoo.programs, 1 / THESIS_RATE)]
    for kind, seconds in THESIS_STUDENTS.items():
        models = getattr(config.students, kind).models
        work.append((f"the thesis's rate for these {kind} students", models, seconds))
    for what, count, seconds in work:
        total = count * seconds
        yield (what, "", "", f"{count:,}", hours(total), "", duration(total / cores), "")
    own = config.injection
    if own.base == PAPER_BASE:
        runs = len(own.tasks) * own.seeds * len(own.methods)
        seconds = hours(runs * own.steps * PAPER_STEP)
        yield (
            "Tracr-injection's rate for these runs, A40",
            "",
            "",
            f"{runs:,}",
            "",
            seconds,
            "",
            "",
        )


def _hours_or_unknown(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else hours(seconds)


def hours(seconds: float) -> str:
    """Core-hours with two digits that mean something."""
    value = seconds / 3600
    digits = max(0, 1 - math.floor(math.log10(value))) if 0 < value < 10 else 0
    return f"{value:,.{digits}f}"


def duration(seconds: float) -> str:
    """A time as a person says it."""
    minutes = math.ceil(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes / 60:,.1f} h" if minutes < 2880 else f"{minutes / 1440:,.1f} days"


def amount(size: float) -> str:
    """Bytes in the unit that a person would use."""
    if not size:
        return ""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"
