"""Models and rows that the tests of the decompiler share."""

from functools import cache

import numpy as np
import torch

from tracrlab.compiler import compile_table
from tracrlab.decompiler.model_folder import Description
from tracrlab.decompiler.program_encoding import pad_programs
from tracrlab.rasp.sampler import SamplerSettings, sample
from tracrlab.students.folding import fold

SETTINGS = SamplerSettings((0, 1, 2), 4, min_ops=3, max_ops=8)

LIMITS = {"max_tokens": 256, "max_blocks": 96}
#: Meta-models so small that tests make them by the dozen.
TOKENS = Description(
    "tokens",
    {"width": 32, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0},
    "default",
    8,
    LIMITS,
    {"steps": 0},
)
CIRCUITS = Description(
    "circuits",
    {"width": 32, "encoder_layers": 1, "decoder_layers": 1, "heads": 2, "dropout": 0.0},
    "default",
    8,
    LIMITS,
)
LINES = Description(
    "lines", {"width": 32, "layers": 1, "heads": 2, "dropout": 0.0}, "default", 8, LIMITS
)


@cache
def table(index):
    """The truth table of a sampled program."""
    return sample(SETTINGS, 7, index).table


@cache
def compiled(index):
    """The compiled model of a sampled program."""
    return compile_table(table(index))


@cache
def dense(index):
    """The same with its residual stream in a random rotated basis."""
    model = compiled(index)
    size = model.architecture.d_model
    matrix = np.random.default_rng(index).standard_normal((size, size))
    rotation = np.linalg.qr(matrix)[0].astype(np.float32)
    return fold(model, rotation)


def programs(count=6):
    """Programs of the first samples as padded token ids."""
    return torch.from_numpy(pad_programs([table(k).program.tokens() for k in range(count)]))


def flat(model):
    return model.architecture.flatten(model.weights)
