"""What a run asks of a cluster: the settings of a SLURM profile and the resources of rules.

They come from the profile's file (`tracrlab cluster-check`) or from a running Snakemake, where the
command line may have changed them; both give the same object, so that one check serves both.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tracrlab.errors import TracrLabError

#: Snakemake's and the plugin's own defaults, for keys that a profile leaves out.
DEFAULT_RATE = 100
DEFAULT_ARRAY_LIMIT = 1000
DEFAULT_FIRST_CHECK = 40
#: The pseudo-rule of `default-resources`.
DEFAULT_RULE = "default-resources"

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class ClusterSettings:
    """Settings of a SLURM run.

    Attributes:
      source: where they come from, for messages.
      jobs: most jobs that wait or run at a time.
      rate: most jobs that are submitted within one timespan of `max-jobs-per-timespan`.
      array_rules: names of rules whose jobs go as arrays; ``all`` for every rule.
      array_limit: most tasks of an array.
      status_command: `squeue` or `sacct`.
      first_check: seconds before the first status check.
      retries: how often a job is repeated.
      partition_file: the file that partitions are chosen by, if any.
      resources: unevaluated resources, by rule.
      capped: resources that the run as a whole may only use so much of.
    """

    source: str
    jobs: int
    rate: int
    array_rules: frozenset[str]
    array_limit: int
    status_command: str
    first_check: int
    retries: int
    partition_file: Path | None
    resources: Mapping[str, Raw] = field(default_factory=dict)
    capped: frozenset[str] = frozenset()

    def is_array(self, rule: str) -> bool:
        """Whether the jobs of a rule go as an array."""
        return rule in self.array_rules or "all" in self.array_rules

    def values(self, rule: str, resource: str) -> set[Any]:
        """Every value that a resource of a rule can take, over all attempts."""
        raw = self.resources.get(rule, {}).get(resource)
        return possible_values(raw, range(1, self.retries + 2))


def possible_values(raw: Any, attempts: Iterable[int]) -> set[Any]:
    """The values that a resource of a profile can take.

    Args:
      raw: what stands in the profile: a number, a word, or a Python expression of `attempt`,
        `input`, `wildcards` and `threads`, as Snakemake takes it.
      attempts: the attempts there can be.

    Returns:
      both branches of a conditional, a formula's value at each attempt, or the word itself; nothing
      where only Snakemake can tell.
    """
    if raw is None or callable(raw):
        return set()
    if not isinstance(raw, str):
        return {raw}
    try:
        expression = ast.parse(raw.strip(), mode="eval").body
    except SyntaxError:
        return {raw}
    return _branches(expression, raw.strip(), list(attempts))


def _branches(node: ast.expr, text: str, attempts: list[int]) -> set[Any]:
    if isinstance(node, ast.IfExp):
        return _branches(node.body, text, attempts) | _branches(node.orelse, text, attempts)
    if isinstance(node, ast.Constant):
        return {node.value}
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    if names <= {"attempt", "min", "max"}:
        code = compile(ast.Expression(node), "resource", "eval")
        scope = {"min": min, "max": max, "__builtins__": {}}
        return {eval(code, scope | {"attempt": attempt}) for attempt in attempts}
    if names & {"input", "wildcards", "threads", "attempt"}:
        return set()
    return {ast.get_source_segment(text, node)}


def from_profile(folder: str | Path) -> ClusterSettings:
    """Reads the settings of a profile.

    Args:
      folder: the profile's folder, or its `config.yaml`.

    Raises:
      TracrLabError: if it cannot be read or is no SLURM profile.
    """
    path = Path(folder)
    path = path / "config.yaml" if path.is_dir() else path
    values = _yaml(path)
    if values.get("executor") != "slurm":
        raise TracrLabError(
            f"{path}: executor is {values.get('executor')!r}, but a SLURM profile has 'slurm'."
        )
    default = _pairs(values.get("default-resources"))
    rules = values.get("set-resources") or {}
    resources = {DEFAULT_RULE: default} | {rule: default | own for rule, own in rules.items()}
    file = values.get("slurm-partition-config")
    if file and (path.parent / file).exists():  # as Snakemake reads it
        file = path.parent / file
    return ClusterSettings(
        source=str(path),
        jobs=_whole(path, values, "jobs", 0),
        rate=int(str(values.get("max-jobs-per-timespan", DEFAULT_RATE)).split("/")[0]),
        array_rules=rule_names(values.get("slurm-array-jobs")),
        array_limit=_whole(path, values, "slurm-array-limit", DEFAULT_ARRAY_LIMIT),
        status_command=values.get("slurm-status-command", "sacct"),
        first_check=_whole(
            path, values, "slurm-init-seconds-before-status-checks", DEFAULT_FIRST_CHECK
        ),
        retries=_whole(path, values, "retries", 0),
        partition_file=Path(file) if file else None,
        resources=resources,
        capped=frozenset(_pairs(values.get("resources"))),
    )


def from_workflow(workflow: Any) -> ClusterSettings:
    """Reads the settings of a running Snakemake whose executor is SLURM."""
    plugin, resources = workflow.executor_settings, {}
    for rule in workflow.rules:
        resources[rule.name] = {
            name: getattr(value, "raw", value) for name, value in dict(rule.resources).items()
        }
    rate = workflow.scheduling_settings.max_jobs_per_timespan
    return ClusterSettings(
        source="the profile",
        jobs=workflow.resource_settings.nodes,
        rate=rate.max_jobs if rate else workflow.resource_settings.nodes,
        array_rules=rule_names(plugin.array_jobs),
        array_limit=plugin.array_limit,
        status_command=plugin.status_command,
        first_check=plugin.init_seconds_before_status_checks,
        retries=workflow.execution_settings.retries,
        partition_file=plugin.partition_config,
        resources=resources,
        capped=frozenset(set(workflow.global_resources) - {"_cores", "_nodes"}),
    )


def rule_names(listed: str | None) -> frozenset[str]:
    """The rules of `slurm-array-jobs`, as the plugin splits them."""
    return frozenset(filter(None, (name.strip() for name in re.split("[,;]", listed or ""))))


def read_partition_file(path: Path) -> dict[str, dict[str, Any]]:
    """The partitions of a partition file, by name.

    Raises:
      TracrLabError: if it cannot be read or holds none.
    """
    partitions = _yaml(path).get("partitions")
    if not isinstance(partitions, dict) or not partitions:
        raise TracrLabError(f"{path}: partitions must be a mapping of names to limits.")
    return {str(name): limits or {} for name, limits in partitions.items()}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TracrLabError(f"there is no file {path}; name the folder of a profile.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise TracrLabError(f"{path} cannot be read ({reason}).") from None
    if not isinstance(values, dict):
        raise TracrLabError(f"{path} must be a mapping of keys to values.")
    return values


def _pairs(values: Any) -> dict[str, Any]:
    """A mapping, or a list of `name=value`, as a mapping."""
    if isinstance(values, dict):
        return values
    return dict(pair.split("=", 1) for pair in values or [])


def _whole(path: Path, values: dict[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TracrLabError(f"{path}: {key} is {value!r}, but it takes a whole number.")
    return value
