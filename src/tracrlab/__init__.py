"""Programs into transformer weights, and back.

`sample` draws programs, `compile` turns one into a `CompiledModel`, `compress` and `distil` train
students of it, `decompile` writes its program from its weights, and `decode` reads the variables of
a program that was injected into a language model (docs/python.md). The public names are loaded on
first use, so that `import tracrlab` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tracrlab.errors import TracrLabError

if TYPE_CHECKING:
    from tracrlab.api import compress, decode, decompile, distil, sample
    from tracrlab.compiler import CompiledModel, compile
    from tracrlab.rasp import Program

__version__ = "0.1.0"
__all__ = [
    "CompiledModel",
    "Program",
    "TracrLabError",
    "__version__",
    "compile",
    "compress",
    "decode",
    "decompile",
    "distil",
    "sample",
]

_HOMES = {
    "CompiledModel": "tracrlab.compiler",
    "Program": "tracrlab.rasp",
    "compile": "tracrlab.compiler",
    "compress": "tracrlab.api",
    "decode": "tracrlab.api",
    "decompile": "tracrlab.api",
    "distil": "tracrlab.api",
    "sample": "tracrlab.api",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the subpackage that defines it (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
