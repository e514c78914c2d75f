"""Tables on predictions that are worked out by hand."""

import numpy as np
import pytest

from tracrlab.decompiler.predictions import Predictions, read_predictions, write_predictions
from tracrlab.decompiler.program_encoding import line_form
from tracrlab.decompiler.published import PUBLISHED
from tracrlab.decompiler.result_tables import (
    COLUMNS,
    by_ops_table,
    confusion_table,
    decompiler_table,
    mistakes_table,
)
from tracrlab.rasp import Program

TRUE = {
    "one": "a = Map(x == 1, tokens)",
    "two": "a = Map(x == 1, tokens)\nb = SequenceMap(x and y, a, tokens)",
}


def row(number, true, first, answer, verdict, **flags):
    ids = {
        name: None if text is None else Program.from_text(text).tokens()
        for name, text in (("true", true), ("first", first), ("answer", answer))
    }
    lines = line_form([ids["first"] or []])[0]
    same = {name: ids[name] == ids["true"] for name in ("first", "answer")}
    return {
        "id": number,
        "n_ops": len(Program.from_text(true)),
        "true_tokens": ids["true"],
        "lines": lines.ravel().tolist(),
        "first_tokens": ids["first"],
        "first_log_probability": -0.5 if first else None,
        "first_exact": same["first"],
        "first_equivalent": flags.get("first_equivalent", same["first"]),
        "answer_tokens": ids["answer"],
        "answer_log_probability": -1.0 if answer else None,
        "answer_exact": same["answer"],
        "answer_equivalent": flags.get("answer_equivalent", same["answer"]),
        "verdict": verdict,
        "agreement": flags.get("agreement", 1.0),
        "tried": flags.get("tried", 1),
        "verifiable": flags.get("verifiable", True),
        "seconds": 0.5,
    }


ROWS = [
    # Exact at once.
    row(0, TRUE["one"], TRUE["one"], TRUE["one"], "verified"),
    # A wrong lambda at first; execution finds the true program as the third candidate.
    row(1, TRUE["one"], "a = Map(x < 1, tokens)", TRUE["one"], "verified", tried=3),
    # A missing line, a plausible answer, and a model that is not exact itself.
    row(2, TRUE["two"], TRUE["one"], TRUE["one"], "plausible", agreement=0.95, verifiable=False),
    # No program.
    row(3, TRUE["two"], None, None, "none", agreement=0.0, tried=0),
]


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "hand.parquet"
    training = {"parameters": 1234, "programs": 90, "minutes": 1.5, "steps": 10}
    write_predictions(path, "standard", "tokens", {"training": training}, ROWS)
    return read_predictions(path)


def test_the_file_gives_back_what_was_written(predictions):
    assert isinstance(predictions, Predictions)
    assert [one and one.text() for one in predictions.first] == [
        one and Program.from_tokens(one).text() for one in (row["first_tokens"] for row in ROWS)
    ]


def test_decompiler_table(predictions):
    table = decompiler_table([predictions])
    assert tuple(table.columns) == COLUMNS
    ours = table.iloc[0]
    assert (ours["source"], ours["zoo"], ours["method"]) == ("this run", "standard", "tokens")
    assert (ours["parameters"], ours["train_programs"], ours["test_programs"]) == (1234, 90, 4)
    assert ours["scale"] == "1 to 2 ops"
    # Lines of five slots: 5 of 5, 4 of 5, 5 of 10; of no program the empty third argument of
    # Map(x == 1, tokens) is right, 1 of 10.
    assert ours["token_accuracy"] == pytest.approx(100 * 15 / 30, abs=0.01)
    # Map, lambda and variable: 3 of 3, 2 of 3; then SequenceMap, lambda and two variables:
    # 3 of 7 and 0 of 7.
    assert ours["content_token_accuracy"] == pytest.approx(100 * 8 / 20, abs=0.01)
    assert [ours[f"program_at_{level}"] for level in (100, 90, 80, 70, 60, 50)] == [
        25, 25, 50, 50, 50, 75,
    ]  # fmt: skip
    assert (ours["exact_lines"], ours["exact"], ours["equivalent"]) == (25, 25, 25)
    assert (ours["verified"], ours["plausible"]) == (50, 25)
    # What execution chose: 3 of 3, 3 of 3, 3 of 7 and 0 of 7.
    assert ours["content_token_accuracy_executed"] == pytest.approx(100 * 9 / 20, abs=0.01)
    assert (ours["exact_executed"], ours["equivalent_executed"]) == (50, 50)
    assert (ours["verifiable"], ours["candidates_run"]) == (75, 1.25)


def test_the_table_ends_with_what_papers_report(predictions):
    table = decompiler_table([predictions]).iloc[1:]
    assert len(table) == len(PUBLISHED)
    thesis = table[table["source"].str.startswith("Inverse Tracr")].set_index("zoo")
    assert thesis["token_accuracy"].to_dict() == {
        "standard": 73.04,
        "compressed": 66.38,
        "natural": 60.18,
    }
    assert thesis["program_at_50"].to_list() == [95.4, 87.0, 88.9]
    assert thesis["exact"].isna().all()
    assert 60.0 in table["exact"].to_list()


def test_by_ops(predictions):
    table = by_ops_table([predictions]).set_index("ops")
    assert table["programs"].to_dict() == {"1": 2, "2": 2, "all": 4}
    assert table["exact"].to_dict() == {"1": 50, "2": 0, "all": 25}
    assert table["verified"].to_dict() == {"1": 100, "2": 0, "all": 50}


def test_mistakes(predictions):
    table = mistakes_table([predictions]).set_index("mistake")
    found = {kind: count for kind, count in table["mistakes"].to_dict().items() if count}
    assert found == {"wrong lambda": 1, "missing line": 3, "not a program": 1}
    assert table.loc["missing line", "share_of_wrong"] == pytest.approx(66.67)
    assert set(table["wrong_programs"]) == {3}
    assert set(table["programs"]) == {4}


def test_confusion(predictions):
    table = confusion_table([predictions])
    counts = {(row.true, row.predicted): row.ops for row in table.itertuples() if row.ops}
    assert counts == {("Map", "Map"): 3, ("Map", "none"): 1, ("SequenceMap", "none"): 2}
    assert np.sum(table["ops"]) == 6
