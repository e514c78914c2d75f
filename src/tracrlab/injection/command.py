"""`tracrlab inject`, `evaluate`, `decode`, and the steps of the injection that rules call."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tracrlab.errors import TracrLabError
from tracrlab.options import ConfigOption, Tables

app = typer.Typer(help="Steps of the injection; rules call them.", no_args_is_help=True)

BaseFolder = Annotated[
    Path | None, typer.Option("--base-folder", help="Folder of the pretrained base model `tiny`.")
]
Model = Annotated[Path, typer.Argument(help="Folder of an injected model.")]


def inject(
    task: Annotated[str, typer.Argument(help="A task's name, or a Python file that holds one.")],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    method: Annotated[
        str, typer.Option(help="finetune_kl, tracr_injection or interchange.")
    ] = "tracr_injection",
    run: Annotated[int, typer.Option(help="Number of the run; its seed is seed + run.")] = 0,
    losses: Annotated[Path | None, typer.Option(help="CSV of losses and accuracies.")] = None,
    timing: Annotated[Path | None, typer.Option(help="JSON of what took how long.")] = None,
    text: Annotated[
        Path | None, typer.Option(help="Windows that `injection text` wrote; none: made anew.")
    ] = None,
    base_folder: BaseFolder = None,
    config: ConfigOption = "{}",
) -> None:
    """Distil a task's compiled program into a language model.

    A run that is stopped goes on from its checkpoint when it is started again.

    Example: tracrlab inject count --base-folder results/injection/tiny --out count_model
    """
    from tracrlab.cluster.launching import launch, processes_of_job
    from tracrlab.config import load_config
    from tracrlab.injection.methods import FINETUNE, INJECTION, INTERCHANGE

    if method not in (FINETUNE, INJECTION, INTERCHANGE):
        raise TracrLabError(
            f"--method is {method!r}; it takes {FINETUNE}, {INJECTION} or {INTERCHANGE}."
        )
    load_config(config)  # a wrong one is refused once, and not by every process
    arguments = (task, out, method, run, losses, timing, text, base_folder, config)
    launch(_inject, processes_of_job(), *arguments)


def _inject(
    task: str,
    out: Path,
    method: str,
    run: int,
    losses: Path | None,
    timing: Path | None,
    text: Path | None,
    base_folder: Path | None,
    config: str,
) -> None:
    """Trains one model, alone or as one of several processes; the main one writes."""
    import json

    from tracrlab.checkpoint_files import remove_checkpoint
    from tracrlab.config import load_config
    from tracrlab.files import write_text
    from tracrlab.injection.base_models import load_base
    from tracrlab.injection.data import load_data
    from tracrlab.injection.model_folder import save_model, write_losses
    from tracrlab.injection.training import TrainingData, train
    from tracrlab.injection.windows import load_windows, make_windows
    from tracrlab.tasks.registry import load_task

    settings = load_config(config)
    found = load_task(task)
    own = settings.injection.of_task(found.name)
    model, tokenizer = load_base(own.base, base_folder)
    data = load_data(found, tokenizer, model.config.max_position_embeddings, settings, train=True)
    if text is None:
        windows = make_windows(model, tokenizer, own, own.seed)
    else:
        windows = load_windows(text, own)
    checkpoint = out.with_name(f"{out.name}.checkpoint.safetensors")
    seed = own.seed + run
    material = TrainingData(data.train, data.held_out, windows, data.excluded())
    injected = train(model, data.program, material, own, method, seed, checkpoint)
    if not injected.writes:
        return
    codes = data.program.codes(data.train.symbols)[data.train.supervised]
    meta = {"task": task, "method": method, "seed": seed, "run": run, "base": own.base}
    meta["example"] = data.encoded.examples[0].prompt
    save_model(out, injected, tokenizer, data.program, data.encoded, codes, meta)
    if losses is not None:
        write_losses(losses, injected)
    if timing is not None:
        write_text(timing, json.dumps(injected.timing, indent=1) + "\n")
    remove_checkpoint(checkpoint)
    print(injected.losses.tail(1).to_string(index=False))


def evaluate(
    out: Tables,
    model: Annotated[
        Path | None, typer.Argument(help="Folder of an injected model; none: the base model.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Task; of an injected model its own.")] = None,
    base_folder: BaseFolder = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    config: ConfigOption = "{}",
) -> None:
    """Measure a model: answers on every set, perplexity, LAMBADA, SST-2 and MRPC.

    Example: tracrlab evaluate count_model --out count.csv
    """
    from tracrlab.config import load_config
    from tracrlab.injection.base_models import load_base
    from tracrlab.injection.data import load_data
    from tracrlab.injection.measuring import measure
    from tracrlab.injection.model_folder import load_model
    from tracrlab.injection.streams import StreamModel, fastest_device
    from tracrlab.tables import write_tables
    from tracrlab.tasks.registry import load_task

    settings = load_config(config)
    if model is None:
        if task is None:
            raise TracrLabError("without a model, --task says what the base model is measured on.")
        language_model, tokenizer = load_base(settings.injection.base, base_folder)
        streams, method, run = StreamModel(language_model), "no_edit", 0
    else:
        injected = load_model(model)
        streams, tokenizer = injected.model, injected.tokenizer
        method, run = injected.meta["method"], injected.meta["run"]
        task = task or injected.meta["task"]
    streams.to(fastest_device())
    positions = streams.model.config.max_position_embeddings
    data = load_data(load_task(task), tokenizer, positions, settings, train=False)
    own = settings.injection
    table = measure(streams, tokenizer, data, own, method, own.seed + run)
    write_tables(table, out)
    if as_json:
        print(table.to_json(orient="records"))
        return
    print(table[["set", "count", "accuracy", "low", "high"]].round(1).to_string(index=False))


def decode(
    model: Model,
    prompt: Annotated[str, typer.Argument(help="A prompt of the task, up to its answer.")],
    layer: Annotated[
        int | None, typer.Option(help="Layer of the model to read; the last aligned one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the table as .csv or .md.")] = None,
) -> None:
    """Print every RASP variable at every token of a prompt, read from the model's stream.

    Example: tracrlab decode count_model "What is the number of 'X' in this text? x y x. Answer: "
    """
    from tracrlab import api
    from tracrlab.tables import write_tables

    table = api.decode(model, prompt, layer=layer)
    if out is not None:
        write_tables(table, [out])
    print(table.to_string())


@app.command("text")
def write_text_windows(
    out: Annotated[Path, typer.Option(help="The .safetensors file to write.")],
    base_folder: BaseFolder = None,
    config: ConfigOption = "{}",
) -> None:
    """Cut the text that models stay close on into windows, and draw words that the base model says.

    Example: tracrlab injection text --base-folder results/injection/tiny --out text.safetensors
    """
    from tracrlab.config import load_config
    from tracrlab.injection.base_models import load_base
    from tracrlab.injection.windows import make_windows, save_windows

    settings = load_config(config)
    model, tokenizer = load_base(settings.injection.base, base_folder)
    windows = make_windows(model, tokenizer, settings.injection, settings.injection.seed)
    save_windows(out, windows)
    print(f"{out}: {len(windows.tokens):,} windows of {settings.injection.text_length} tokens")


@app.command()
def tables(
    evaluations: Annotated[list[Path], typer.Argument(help="Tables that evaluate wrote.")],
    task_table: Annotated[list[Path], typer.Option(help="Where to write it; again for more.")],
    ood_table: Annotated[list[Path], typer.Option(help="Where to write it; again for more.")],
) -> None:
    """Put evaluations together: accuracies and retention, and the sets outside the range.

    Example: tracrlab injection tables count.csv --task-table task_table.csv --ood-table
    ood_table.csv
    """
    import pandas as pd

    from tracrlab.injection import result_tables
    from tracrlab.tables import write_tables

    table = result_tables.merged([pd.read_csv(path) for path in evaluations])
    write_tables(result_tables.task_table(table), task_table)
    write_tables(result_tables.ood_table(table), ood_table)


@app.command()
def look(
    model: Model,
    variables: Annotated[Path, typer.Option(help="CSV: decoded variables.")],
    noise: Annotated[Path, typer.Option(help="CSV: accuracy under noise.")],
    interchange: Annotated[Path, typer.Option(help="CSV: interchange accuracy.")],
    config: ConfigOption = "{}",
) -> None:
    """Look into an injected model: decoded variables, noise, interchange interventions.

    Example: tracrlab injection look count_model --variables variables.csv --noise noise.csv
    --interchange interchange.csv
    """
    from tracrlab.config import load_config
    from tracrlab.injection.data import load_data
    from tracrlab.injection.interchange import interchange_table
    from tracrlab.injection.model_folder import load_model
    from tracrlab.injection.noise import noise_table
    from tracrlab.injection.streams import fastest_device
    from tracrlab.injection.variables import variable_table
    from tracrlab.tables import write_tables
    from tracrlab.tasks.registry import load_task

    settings = load_config(config)
    injected = load_model(model).to(fastest_device())
    positions = injected.model.model.config.max_position_embeddings
    task = load_task(injected.meta["task"])
    data = load_data(task, injected.tokenizer, positions, settings, train=False)
    decoded = variable_table(injected, data.program, data.held_out)
    write_tables(decoded, [variables])
    norms = settings.injection.noise_norms
    write_tables(noise_table(injected, data.held_out, norms, settings.injection.seed), [noise])
    swapped = interchange_table(injected, data.program, data.held_out, settings.injection.seed)
    write_tables(swapped, [interchange])
    last = decoded[decoded["compiled_stage"] == decoded["compiled_stage"].max()]
    print(last[["variable", "accuracy", "chance"]].round(1).to_string(index=False))
    print(swapped.round(1).to_string(index=False))
