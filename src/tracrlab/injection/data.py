"""A task for one model: compiled, encoded, split, checked, with its out-of-distribution sets."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from tracrlab.config import Config
from tracrlab.errors import TracrLabError
from tracrlab.injection.compiled import CompiledProgram
from tracrlab.injection.prompts import Examples, of_encoded
from tracrlab.tasks.encoding import Encoded, check, compile_task, encode, splits
from tracrlab.tasks.protocol import Task, TestSet

#: Held-out and out-of-distribution examples on which the compiled program is run before training.
CHECKED = 200


@dataclass
class TaskData:
    """A task's examples as a model sees them.

    Attributes:
      task: the task.
      program: its compiled program.
      train, held_out: examples of the training range, without a prompt in common.
      sets: the out-of-distribution sets, each with its examples.
      encoded: the training examples with their texts.
    """

    task: Task
    program: CompiledProgram
    train: Examples
    held_out: Examples
    sets: list[tuple[TestSet, Examples]]
    encoded: Encoded

    def excluded(self) -> set[bytes]:
        """Every prompt that is measured: no interchange may make one of them."""
        keys = self.held_out.prompt_keys()
        for _, examples in self.sets:
            keys |= examples.prompt_keys()
        return keys


def load_data(task: Task, tokenizer, positions: int, config: Config, *, train: bool) -> TaskData:
    """Draws, encodes and checks a task's examples.

    Every method and seed sees the same ones: they depend on the root seed alone.

    Args:
      task: the task.
      tokenizer: the model's.
      positions: how many tokens the model takes.
      config: seed and numbers of examples.
      train: whether training examples are wanted; else 1,000 stand for them.

    Raises:
      TracrLabError: if the compiled program does not solve the task, or an example is too long.
    """
    settings = config.injection
    seed = settings.seed
    count = settings.train_examples if train else min(1000, settings.train_examples)
    compiled = compile_task(task)
    program = CompiledProgram(compiled)
    trained, held = splits(task, count, settings.test_examples, seed)
    encoded, held_out = encode(task, tokenizer, trained), encode(task, tokenizer, held)
    for part in (encoded, held_out):
        check(task, compiled, _first(part, CHECKED))
    sets = []
    for test_set in task.test_sets:
        generator = np.random.default_rng([seed, zlib.crc32(test_set.name.encode())])
        examples = encode(task, tokenizer, test_set.examples(settings.ood_examples, generator))
        if test_set.solved:
            check(task, compiled, _first(examples, CHECKED))
        sets.append((test_set, of_encoded(examples)))
    data = TaskData(task, program, of_encoded(encoded), of_encoded(held_out), sets, encoded)
    longest = max(
        int(part.lengths.max()) for part in (data.train, data.held_out, *(e for _, e in sets))
    )
    if longest > positions:
        raise TracrLabError(
            f"the task {task.name} has an example of {longest} tokens and the model takes "
            f"{positions}; take a model with more positions."
        )
    _check_answers(data)
    return data


def _check_answers(data: TaskData) -> None:
    """The interpreter, which is cheap, on every training example: the program says the targets."""
    codes = data.program.codes(data.train.symbols)[data.train.supervised]
    outputs = data.program.outputs(codes)
    if (outputs < 0).any():
        raise TracrLabError(
            f"the program of the task {data.task.name} gives no answer on some training example; "
            "mend the program or the examples."
        )
    targets = data.train.targets[data.train.supervised]
    pairs = np.unique(np.stack([outputs, targets]), axis=1)
    if len(np.unique(pairs[0])) < pairs.shape[1]:
        raise TracrLabError(
            f"the program of the task {data.task.name} gives one answer where the examples have "
            "two; mend the program or the examples."
        )


def _first(encoded: Encoded, count: int) -> Encoded:
    return Encoded(
        encoded.tokens[:count],
        encoded.lengths[:count],
        encoded.symbols[:count],
        encoded.supervised[:count],
        encoded.targets[:count],
        encoded.examples[:count],
    )
