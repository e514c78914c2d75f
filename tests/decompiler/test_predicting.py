"""Predictions on test programs, from the zoo to the file and back."""

import numpy as np
import pytest

from tracrlab.config import load_config
from tracrlab.decompiler.predicting import predict
from tracrlab.decompiler.predictions import read_all, read_predictions
from tracrlab.errors import TracrLabError


def settings(**changes):
    return load_config(
        {"decompiler": {"rows": {"ops": [3, 5]}, "evaluation": {"beam": 2} | changes}}
    ).decompiler


@pytest.fixture(scope="module")
def predictions(small_zoo, knowing, tmp_path_factory):
    """Predictions of both methods, which know the test programs by heart."""
    folder = tmp_path_factory.mktemp("predictions")
    for method, decompiler in knowing.items():
        predict(
            settings(),
            small_zoo.manifest,
            decompiler,
            folder / f"{method}.parquet",
            zoo="standard",
            name=method,
        )
    return folder


def test_every_test_program_has_a_row(predictions, test_rows):
    found = read_predictions(predictions / "tokens.parquet")
    assert (found.zoo, found.name) == ("standard", "tokens")
    assert found.description["method"] == "tokens"
    assert found.table["id"].to_list() == [row["id"] for row in test_rows]
    assert found.true == [row.program for row in test_rows]


def test_what_is_known_by_heart_is_exact_and_verified(predictions):
    found = read_predictions(predictions / "tokens.parquet")
    assert found.first == found.true
    assert np.array_equal(found.lines, found.true_lines)
    for column in ("first_exact", "first_equivalent", "answer_exact", "verifiable"):
        assert all(found.table[column]), column
    assert set(found.table["verdict"]) == {"verified"}
    assert set(found.table["agreement"]) == {1.0}


def test_lines_are_exact_where_programs_need_not_be(predictions):
    found = read_predictions(predictions / "lines.parquet")
    assert np.array_equal(found.lines, found.true_lines)
    for row in found.table.itertuples():
        assert (row.verdict == "verified") == row.answer_equivalent
        assert row.first_equivalent >= row.first_exact


def test_at_most_so_many_programs(small_zoo, knowing, tmp_path, test_rows):
    chosen = settings(test_programs=3)
    out = tmp_path / "few.parquet"
    predict(chosen, small_zoo.manifest, knowing["tokens"], out, zoo="standard", name="few")
    assert read_predictions(out).table["id"].to_list() == [row["id"] for row in test_rows[:3]]


def test_no_program_of_that_size(small_zoo, knowing, tmp_path):
    chosen = load_config({"decompiler": {"rows": {"ops": [12, 14]}}}).decompiler
    with pytest.raises(TracrLabError, match="has no test program with 12 to 14 ops within"):
        predict(chosen, small_zoo.manifest, knowing["tokens"], tmp_path / "no", zoo="a", name="b")


def test_files_that_are_not_predictions(tmp_path, small_zoo):
    with pytest.raises(TracrLabError, match=r"there is no file of predictions .*none\.parquet"):
        read_predictions(tmp_path / "none.parquet")
    with pytest.raises(TracrLabError, match="is no file of predictions of this version"):
        read_predictions(small_zoo.shards[0])
    (tmp_path / "text.parquet").write_text("text")
    with pytest.raises(TracrLabError, match="is no file of predictions of this version"):
        read_predictions(tmp_path / "text.parquet")
    with pytest.raises(TracrLabError, match="give at least one file"):
        read_all([])
