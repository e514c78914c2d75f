"""No test program is known from training: the rule counts, and a planted leak fails."""

import pyarrow.parquet as pq
import pytest

from tests.zoo.conftest import make_zoo
from tracrlab.errors import TracrLabError
from tracrlab.zoo.leaks import leak_table, require_no_leak
from tracrlab.zoo.manifest import write_content
from tracrlab.zoo.schema import open_parquet
from tracrlab.zoo.writing import row_writer
from tracrlab.zoo_command import zoo_leaks


@pytest.fixture(scope="module")
def small_zoo(tmp_path_factory):
    return make_zoo(tmp_path_factory.mktemp("leaks"), programs=30, shard_size=30)


def planted(zoo, folder, change):
    """A second zoo with the rows of the first, changed."""
    rows = pq.read_table(zoo.shards[0]).to_pylist()
    _, info = open_parquet(zoo.shards[0], "zoo")
    out = folder / "shards" / "00000.parquet"
    with row_writer(out, info) as writer:
        for row in change(rows):
            writer.write(row)
    write_content(folder / "manifest.json", "natural", 0, {}, [out], {})
    return folder / "manifest.json"


def moved(rows, split="train", **columns):
    """The test programs again, in another split."""
    found = [row | {"split": split} | columns for row in rows if row["split"] == "test"]
    assert found
    return found


def test_a_zoo_and_its_students_have_no_leak(small_zoo, tmp_path, tally):
    table = leak_table([small_zoo.manifest, planted(small_zoo, tmp_path, list)])
    assert table["test"].tolist() == [table["test"][0]] * 2
    assert table["programs"].tolist() == [30, 30]
    columns = ["equal_to_one_in_training", "behave_like_one_in_training"]
    assert table[columns].to_numpy().sum() == 0
    require_no_leak(table)
    tally(10, "test programs compared with training", int(table["test"].sum()))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_same_program_in_training_of_another_zoo_is_counted(small_zoo, tmp_path, split, tally):
    other = planted(small_zoo, tmp_path, lambda rows: moved(rows, split))
    table = leak_table([small_zoo.manifest, other]).set_index("zoo")
    tests = table.loc["standard", "test"]
    assert table.loc["standard", "equal_to_one_in_training"] == tests
    assert table.loc["standard", "behave_like_one_in_training"] == tests
    out = tmp_path / "leaks.csv"
    with pytest.raises(TracrLabError, match=rf"^{tests} test programs of the standard zoo equal "):
        zoo_leaks([small_zoo.manifest, other], [out])
    assert not out.exists()
    tally(10, "leaks planted and found", int(tests))


def test_another_program_that_behaves_the_same_is_counted(small_zoo, tmp_path, tally):
    def rewritten(rows):
        other = next(row["tokens"] for row in rows if row["split"] == "train")
        return moved(rows, tokens=other)

    table = leak_table([small_zoo.manifest, planted(small_zoo, tmp_path, rewritten)])
    assert table["equal_to_one_in_training"].tolist() == [0, 0]
    assert table["behave_like_one_in_training"][0] == table["test"][0]
    tally(10, "leaks planted and found", int(table["test"][0]))


def test_a_changed_behaviour_hash_does_not_hide_an_equal_program(small_zoo, tmp_path, tally):
    other = planted(small_zoo, tmp_path, lambda rows: moved(rows, behaviour="0" * 32))
    table = leak_table([small_zoo.manifest, other])
    assert table["equal_to_one_in_training"][0] == table["test"][0]
    assert table["behave_like_one_in_training"][0] == 0
    with pytest.raises(TracrLabError, match="equal one in training or validation and 0 behave"):
        require_no_leak(table)
    tally(10, "leaks planted and found", int(table["test"][0]))


def test_an_unknown_split_is_named(small_zoo, tmp_path):
    other = planted(small_zoo, tmp_path, lambda rows: moved(rows, "testing"))
    with pytest.raises(TracrLabError, match=r"00000\.parquet has rows of an unknown split, 'testi"):
        leak_table([other])
