"""`tracrlab pretrain-tiny` and `tracrlab check-tasks`: what an injection starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.options import ConfigOption

Outputs = Annotated[
    list[Path] | None,
    typer.Option("--out", help="Table to write; .csv or .md. Give it again for more."),
]


def pretrain_tiny(
    folder: Annotated[Path, typer.Argument(help="Folder for the model and its tokenizer.")],
    out: Outputs = None,
    config: ConfigOption = "{}",
) -> None:
    """Pretrain the base model `tiny`, a small GPT-2 with GPT-2's own tokenizer.

    A run that is stopped goes on from its checkpoint when it is started again.

    Example: tracrlab pretrain-tiny results/injection/tiny --config '{"injection": {"tiny":
    {"steps": 100}}}'
    """
    from tracrlab.config import load_config
    from tracrlab.injection.pretraining import pretrain

    settings = load_config(config)
    pretrain(settings.injection.tiny, settings.injection.seed, folder, out or ())


def check_tasks(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(help="Names, or Python files that hold a task; those of the configuration."),
    ] = None,
    out: Outputs = None,
    config: ConfigOption = "{}",
) -> None:
    """Run the compiled programs of tasks on every set of examples, and print what they solve.

    Example: tracrlab check-tasks config/tasks/last_vowel.py
    """
    from tracrlab.config import load_config
    from tracrlab.injection.base_models import TINY, gpt2_tokenizer, load_base
    from tracrlab.tables import write_tables
    from tracrlab.tasks.checking import task_table
    from tracrlab.tasks.registry import load_task

    settings = load_config(config)
    base = settings.injection.base
    tokenizer = gpt2_tokenizer() if base == TINY else load_base(base)[1]
    found = [load_task(reference) for reference in tasks or settings.injection.tasks]
    table = task_table(found, tokenizer, settings.injection.seed)
    shown = ["task", "set", "solved", "examples", "program", "layers", "width", "neurons"]
    print(table[shown].to_string(index=False, float_format="%.1f"))
    write_tables(table, out or ())
