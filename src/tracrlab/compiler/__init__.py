"""RASP to transformer weights: exact value sets, direct numpy assembly, verified models."""

from tracrlab.compiler.architecture import Architecture, Layer, Limits, ModelTooLargeError
from tracrlab.compiler.compiling import UnsupportedProgramError, compile, compile_table
from tracrlab.compiler.model import BOS, PAD, CompiledModel
from tracrlab.compiler.verification import Verification, verify

__all__ = [
    "BOS",
    "PAD",
    "Architecture",
    "CompiledModel",
    "Layer",
    "Limits",
    "ModelTooLargeError",
    "UnsupportedProgramError",
    "Verification",
    "compile",
    "compile_table",
    "verify",
]
