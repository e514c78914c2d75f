"""The results of the workflow, read off what its rules mark with Snakemake's `report(...)`.

A result is in one place only: at its rule, with the file of its caption. The HTML report, the index
of results and the pages of tables are all made from that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from snakemake.io import apply_wildcards, get_flag_value, is_flagged

from tracrlab.report.captions import caption_text
from tracrlab.report.results import Result, arm_of, label

if TYPE_CHECKING:
    from snakemake.workflow import Workflow


def file_reports_by_arm(workflow: Workflow) -> None:
    """Puts everything that rules mark with `report(...)` under its arm, with its name as label.

    A .csv is taken out, which a browser only offers for download: its page is shown instead.
    """
    for rule in _own_rules(workflow):
        for output in _reported(rule):
            stated = output.flags.pop("report")
            if output.endswith(".csv"):
                continue
            output.flags["report"] = stated._replace(
                category=arm_of(str(rule.snakefile)), labels={"Result": label(output)}
            )


def results_of(workflow: Workflow, targets: Iterable[str], config: Mapping) -> list[Result]:
    """Lists the results that the targets of a run stand for, by arm and in the rules' order.

    Args:
      workflow: Snakemake's workflow, with every rule of ours read.
      targets: the files that a run is to make; a result is listed once, whatever its formats;
        functions, which give their files later, are left out.
      config: the configuration, which captions may name.
    """
    wanted = [str(target) for target in targets if not callable(target)]
    found: dict[tuple[str, ...], Result] = {}
    for rule in _own_rules(workflow):
        for shown in _reported(rule):
            stem = shown.rpartition(".")[0]
            formats = [shown] + [
                output
                for output in rule.output
                if output != shown and output.rpartition(".")[0] == stem
            ]
            # A rule that makes two tables may have only one of them among the targets.
            asked = {
                tuple(sorted(match.groupdict().items()))
                for output in rule.output
                for target in wanted
                if (match := output.match(target))
            }
            for wildcards in map(dict, sorted(asked)):
                files = tuple(apply_wildcards(str(path), wildcards) for path in formats)
                file = get_flag_value(shown, "report").caption
                with workflow.sourcecache.open(file) as opened:
                    caption = caption_text(opened.read(), wildcards, config)
                arm = arm_of(str(rule.snakefile))
                found[files] = Result(files, arm, caption, rule.name)
    return sorted(found.values(), key=lambda result: result.arm)


def _own_rules(workflow: Workflow) -> list:
    """This workflow's rules, without those of another that uses it as a module."""
    return [rule for rule in workflow.rules if rule in workflow.modifier.rules]


def _reported(rule) -> list:
    return [output for output in rule.output if is_flagged(output, "report")]
