"""`tracrlab plan`: what a configuration costs."""

from __future__ import annotations

from typing import Annotated

import typer

from tracrlab.options import ConfigOption, JsonOption


def plan(
    config: ConfigOption = "config/config.yaml",
    cores: Annotated[
        int, typer.Option(min=1, help="Cores of the machine or partition, for the wall time.")
    ] = 2,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs, likewise.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Say what a configuration costs: jobs, arrays, core-hours, GPU-hours, wall time and bytes.

    Rates are measured ones; what has none says so, and is null in JSON.

    Example: tracrlab plan --config config/paper.yaml --cores 256 --gpus 8
    """
    from tracrlab.config import load_config
    from tracrlab.planning import plan_table, sources, steps
    from tracrlab.show import aligned

    configuration = load_config(config)
    if as_json:
        import json

        from tracrlab.records import plan_record

        print(json.dumps(plan_record(steps(configuration), cores, gpus)))
        return
    print(aligned(plan_table(configuration, cores, gpus)))
    print("\nThe rates are of\n  " + "\n  ".join(sources()))
