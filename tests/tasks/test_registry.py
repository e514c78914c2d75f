import numpy as np
import pytest

from tests.workflow.conftest import ROOT
from tracrlab.config import load_config
from tracrlab.errors import TracrLabError
from tracrlab.tasks import Task
from tracrlab.tasks.checking import task_table
from tracrlab.tasks.registry import BUILT_IN, load_task, task_names

OWN = ROOT / "config" / "tasks" / "last_vowel.py"


def test_built_in_tasks_are_tasks(task):
    assert isinstance(task, Task)
    assert load_task(task.name) is task


def test_the_example_of_a_user_s_own_task_works(tokenizer):
    """Its program is right on every set that it says it solves, and wrong on the other."""
    task = load_task(str(OWN))
    table = task_table([task], tokenizer, seed=0, count=200)
    assert table["program"].tolist()[:2] == [100, 100]
    for example in [task.sample(np.random.default_rng(n)) for n in range(50)]:
        letters = example.prompt.split("? ")[1].removesuffix(". Answer:").split()
        assert example.answer == [letter for letter in letters if letter in "aeiou"][-1]


def test_a_file_s_task_is_called_like_the_file():
    assert task_names(["count", str(OWN)]) == {"count": "count", "last_vowel": str(OWN)}
    config = load_config({"injection": {"tasks": ["count", str(OWN)]}})
    assert config.injection.tasks == ("count", str(OWN))


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (["cuont"], "injection.tasks is .*'cuont' is none of count, addition"),
        (["count", "own/count.py"], "two tasks are called 'count'"),
    ],
)
def test_a_wrong_list_of_tasks_is_named(tasks, message):
    with pytest.raises(TracrLabError, match=message):
        load_config({"injection": {"tasks": tasks}})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "has no object named `task`"),
        ("task = 1", "the `task` of .* has no 'name'"),
        ("1 / 0", "fails with ZeroDivisionError: division by zero"),
        (None, "there is no task file"),
        (
            "from tracrlab.tasks.count import Count\ntask = Count()",
            "is named 'count'; give the task and its file the same name",
        ),
        (
            "from tracrlab.tasks.count import Count\ntask = Count(name='own', answers=('1',))",
            r"lacks the end '\\n' among its answers",
        ),
    ],
)
def test_a_file_without_a_task_is_named(tmp_path, text, message):
    path = tmp_path / "own.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(TracrLabError, match=message):
        load_task(str(path))


def test_a_task_may_not_take_a_built_in_name(tmp_path):
    path = tmp_path / "count.py"
    path.write_text("from tracrlab.tasks.count import Count\ntask = Count()")
    with pytest.raises(TracrLabError, match="has the name of a task of the package, count"):
        load_task(str(path))


def test_an_unknown_name_is_named():
    with pytest.raises(TracrLabError, match=f"'sums' is no task; give one of {BUILT_IN[0]}"):
        load_task("sums")
