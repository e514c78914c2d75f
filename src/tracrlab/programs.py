"""Finding a program by what a person types: a library name, a file, Python code, or its text."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracrlab.errors import TracrLabError
from tracrlab.rasp.domain import Domain
from tracrlab.rasp.program import Program
from tracrlab.rasp.values import Value

if TYPE_CHECKING:
    from tracrlab.compiler import CompiledModel


@dataclass(frozen=True)
class FoundProgram:
    """A program with the domain that comes with it, if one does.

    Attributes:
      program: a `Program`, or a ``tracr.rasp`` SOp that a Python function returned.
      name: what to call it.
      vocab, max_seq_len, causal, inputs, example: of a library program; None or False for others.
    """

    program: object
    name: str
    vocab: tuple[Value, ...] | None = None
    max_seq_len: int | None = None
    causal: bool = False
    inputs: tuple | None = None
    example: tuple[Value, ...] | None = None

    def as_program(self) -> Program:
        """The program in this package's own form."""
        if isinstance(self.program, Program):
            return self.program
        return Program.from_tracr(self.program)


def find_program(source: str) -> FoundProgram:
    """Finds a program.

    Args:
      source: the name of a library program, ``path.py:function`` (a function without arguments that
        returns a program or a ``tracr.rasp`` SOp), the path of a ``.rasp`` file, ``-`` for text on
        standard input, or program text itself.

    Raises:
      TracrLabError: if it is none of these, or what it names is not a program.
    """
    from tracrlab.rasp.library import LIBRARY

    if source in LIBRARY:
        entry = LIBRARY[source]
        return FoundProgram(
            entry.program,
            entry.name,
            entry.vocab,
            entry.max_seq_len,
            entry.causal,
            entry.inputs,
            entry.example,
        )
    path, _, function = source.rpartition(":")
    if path.endswith(".py"):
        return FoundProgram(_from_python(Path(path), function), function)
    if source == "-":
        return FoundProgram(Program.from_text(sys.stdin.read()), "program")
    if "=" in source and "(" in source:
        return FoundProgram(Program.from_text(source), "program")
    if Path(source).is_file():
        text = Path(source).read_text(encoding="utf-8", errors="replace")
        return FoundProgram(Program.from_text(text), Path(source).stem)
    raise TracrLabError(
        f"{source!r} is not a library program ({', '.join(LIBRARY)}), a path.py:function, a .rasp "
        "file, or program text."
    )


def _from_python(path: Path, name: str) -> object:
    if not path.is_file():
        raise TracrLabError(f"there is no Python file {path}.")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        program = getattr(module, name)()
    except AttributeError as error:
        raise TracrLabError(f"{path} has no function {name!r} ({error}).") from None
    except Exception as error:
        raise TracrLabError(f"{path}:{name} fails with {type(error).__name__}: {error}") from None
    from tracr.rasp import rasp

    if not isinstance(program, Program | rasp.SOp):
        raise TracrLabError(
            f"{path}:{name} returns a {type(program).__name__}; it must return a Program or a "
            "tracr.rasp SOp."
        )
    return program


def domain_of(
    found: FoundProgram, vocab: str | None, length: int | None, *, causal: bool = False
) -> Domain:
    """The domain that a person asks for; what is not asked for is the library program's own.

    Raises:
      TracrLabError: if neither says what the symbols and the longest input are.
    """
    symbols = parse_symbols(vocab) if vocab else found.vocab
    longest = length or found.max_seq_len
    if not symbols or not longest:
        raise TracrLabError(f"{found.name} has no domain of its own; give --vocab and --length.")
    inputs = found.inputs if not vocab and not length else None
    return Domain(symbols, longest, causal or found.causal, inputs)


def find_with_domain(
    source: str, vocab: str | None, length: int | None, *, causal: bool = False
) -> tuple[FoundProgram, Domain]:
    """A program and the domain that a person asks for; see `find_program` and `domain_of`."""
    found = find_program(source)
    return found, domain_of(found, vocab, length, causal=causal)


def compile_found(found: FoundProgram, domain: Domain, *, reference: bool = False) -> CompiledModel:
    """Compiles a program for a domain; errors are those of `tracrlab.compiler.compile`.

    Args:
      found: the program.
      domain: its inputs.
      reference: give Tracr's own weights, bit for bit.
    """
    from tracrlab.compiler import compile as compile_program

    return compile_program(
        found.program,
        domain.vocab,
        domain.max_seq_len,
        domain.causal,
        reference=reference,
        inputs=domain.inputs,
    )


def parse_symbols(text: str) -> tuple[Value, ...]:
    """Input symbols as a person types them: ``a,b,c`` or ``0 1 2``; numbers are numbers.

    A text without commas or spaces is split into its characters: ``({)}`` is four symbols.
    """
    text = text.strip()
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
    elif " " in text:
        parts = text.split()
    else:
        parts = list(text)
    return tuple(_symbol(part) for part in parts if part)


def _symbol(text: str) -> Value:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text.strip('"') if text.startswith('"') and text.endswith('"') else text
