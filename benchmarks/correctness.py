"""How many programs end in the zoo, and how many stored rows are wrong.

The programs of 10 ops come from a plain Monte Carlo sampler (thesis section 4) that tracks no
domains, so that they are not tuned to our compiler. Those that pass RASP's own checks (they can be
evaluated, and Tracr's validation has nothing against them) are compiled with both compilers.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import tempfile
from collections import Counter
from pathlib import Path

from benchmarks.measure import Result

VOCAB = (0, 1, 2, 3, 4)
LENGTH = 5
MAPS = (
    "x < c",
    "x <= c",
    "x > c",
    "x >= c",
    "x != c",
    "x == c",
    "not x",
    "x + c",
    "x - c",
    "x * c",
)
PAIRS = ("x + y", "x * y", "x - y", "x or y", "x and y")
PREDICATES = ("==", "!=", "<", "<=", ">", ">=")


def plain_program(rng: random.Random, length: int):
    """A random well-typed program of `length` ops, or None if the draw came out otherwise."""
    from tracrlab.rasp.primitives import Primitive, constant_count
    from tracrlab.rasp.program import CATEGORICAL, NUMERICAL, Op, Program

    ops: list[Op] = []
    encodings: list[str | None] = [CATEGORICAL, CATEGORICAL]

    def pick(*wanted: str | None) -> int | None:
        refs = [ref for ref, encoding in enumerate(encodings) if encoding in wanted]
        weights = [n * (n + 1) for n in range(1, len(refs) + 1)]
        return rng.choices(refs, weights)[0] if refs else None

    while len(ops) < length + 4:
        kind = rng.choice(("Map", "SequenceMap", "Select", "Aggregate", "SelectorWidth"))
        encoding = rng.choice((CATEGORICAL, CATEGORICAL, NUMERICAL))
        if kind == "Map":
            template = rng.choice(MAPS)
            constants = (rng.choice(VOCAB),) if constant_count(template) else ()
            operand = pick(CATEGORICAL, NUMERICAL)
            op = Op(kind, (operand,), Primitive(kind, template, constants), encoding)
        elif kind == "SequenceMap":
            operands = (pick(CATEGORICAL), pick(CATEGORICAL))
            if operands[0] == operands[1]:
                continue
            op = Op(kind, operands, Primitive(kind, rng.choice(PAIRS)), CATEGORICAL)
        elif kind == "Select":
            predicate = Primitive(kind, f"key {rng.choice(PREDICATES)} query")
            op = Op(kind, (pick(CATEGORICAL), pick(CATEGORICAL)), predicate, None)
        else:
            selector = pick(None)
            if selector is None:
                continue
            if kind == "SelectorWidth":
                op = Op(kind, (selector,), None, encoding)
            else:
                operand = pick(CATEGORICAL, NUMERICAL)
                op = Op(kind, (selector, operand), None, encodings[operand])
        ops.append(op)
        encodings.append(op.encoding)
        if not op.is_selector:
            program = Program.of(ops)
            if len(program) == length:
                return program
    return None


def passes_rasp_checks(program, table, rng: random.Random) -> bool:
    """Whether Tracr's static and dynamic validation accept a program, and it is not constant."""
    from tracr.compiler import validating

    sop = program.to_tracr()
    if len(table.output.values) < 2:
        return False
    for _ in range(200):
        inputs = [rng.choice(VOCAB) for _ in range(rng.randint(1, LENGTH))]
        if validating.validate(sop, inputs):
            return False
    return True


def ten_ops(count: int) -> list[Result]:
    """What becomes of plain programs of 10 ops with our compiler and with Tracr's."""
    from tracrlab.compiler import Limits, ModelTooLargeError, compile_table, verify
    from tracrlab.compiler import compile as compile_program
    from tracrlab.errors import TracrLabError
    from tracrlab.rasp import Domain, UndefinedProgramError, evaluate

    domain = Domain(VOCAB, LENGTH)
    limits = Limits(d_model=1024, mlp_hidden=8192, weights=20_000_000)
    ours: Counter[str] = Counter()
    theirs: Counter[str] = Counter()
    rng = random.Random(0)
    while ours.total() < count:
        program = plain_program(rng, 10)
        if program is None:
            continue
        try:
            table = evaluate(program, domain)
        except UndefinedProgramError:
            continue
        if not passes_rasp_checks(program, table, rng):
            continue
        try:
            ours["right" if verify(compile_table(table, limits), table).passed else "wrong"] += 1
        except ModelTooLargeError:
            ours["refused for size"] += 1
        except TracrLabError as error:
            ours[str(error).split(": ")[1].split(";")[0]] += 1
        try:
            reference = compile_program(
                program,
                VOCAB,
                LENGTH,
                reference=True,
                limits=Limits(d_model=2048, mlp_hidden=20000),
            )
            theirs["right" if verify(reference, table).passed else "wrong"] += 1
        except TracrLabError:
            theirs["refused or crashed"] += 1

    def words(counts: Counter[str]) -> str:
        return ", ".join(f"{number} {what}" for what, number in counts.most_common())

    share = (ours["right"] + ours["refused for size"]) / ours.total()
    return [
        Result(
            f"{count} plain programs of 10 ops that pass RASP's checks",
            f"{share:.1%} right or refused for size ({words(ours)})",
            f"Tracr: {words(theirs)}",
            None,
            "at least 99 % (of sampled programs); 0 wrong",
        )
    ]


def sampled_ten_ops(count: int) -> Result:
    """The same for the zoo's own sampler."""
    from tracrlab.compiler import Limits, ModelTooLargeError, compile_table, verify
    from tracrlab.rasp.sampler import SamplerSettings, sample

    settings = SamplerSettings(VOCAB, LENGTH, min_ops=10, max_ops=10)
    counts: Counter[str] = Counter()
    for index in range(count):
        table = sample(settings, 2, index).table
        try:
            model = compile_table(table, Limits(d_model=256, mlp_hidden=1024, weights=500_000))
            counts["right" if verify(model, table).passed else "wrong"] += 1
        except ModelTooLargeError:
            counts["refused for size"] += 1
    words = ", ".join(f"{number} {what}" for what, number in counts.most_common())
    share = (counts["right"] + counts["refused for size"]) / count
    return Result(
        f"{count} sampled programs of 10 ops", f"{share:.1%} ({words})", "", None, "at least 99 %"
    )


def stored_rows(rows: int, inputs: int | None) -> Result:
    """Makes a zoo, reads it back, and runs every row's weights again."""
    from tracrlab.config import load_config
    from tracrlab.zoo.building import build_shard
    from tracrlab.zoo.sampling import sample_shard
    from tracrlab.zoo.selecting import select_programs
    from tracrlab.zoo.verifying import verify_shard

    config = load_config(
        {"zoo": {"programs": rows, "shard_size": rows, "oversample": 1.6, "ops": [4, 8]}}
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = [folder / f"p{shard}.parquet" for shard in range(config.zoo.program_shards)]
        for shard, path in enumerate(programs):
            sample_shard(config, shard, path)
        select_programs(config, programs, [folder / "s.parquet"])
        build_shard(config, folder / "s.parquet", folder / "z.parquet")
        report = verify_shard(folder / "z.parquet", inputs)
    return Result(
        f"{report.rows:,} stored rows, verified from the file alone",
        f"{len(report.failures)} mismatches on {report.inputs:,} runs",
        "",
        None,
        "0 mismatches",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--all-inputs", action="store_true")
    parser.add_argument("--plain", type=int, default=0)
    arguments = parser.parse_args()
    lines = itertools.chain(
        ten_ops(arguments.plain) if arguments.plain else [],
        [stored_rows(arguments.rows, None if arguments.all_inputs else 256)]
        if arguments.rows
        else [],
    )
    for line in lines:
        print(json.dumps(line.__dict__))
