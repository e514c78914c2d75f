import pytest

from tracrlab.injection.base_models import gpt2_tokenizer
from tracrlab.tasks.encoding import compile_task
from tracrlab.tasks.registry import BUILT_IN, load_task

#: Without the paper's own program, which is 34 million weights large.
SMALL = [name for name in BUILT_IN if name != "shuffle_dyck_paper"]


@pytest.fixture(scope="session")
def tokenizer():
    return gpt2_tokenizer()


@pytest.fixture(scope="session", params=SMALL)
def task(request):
    return load_task(request.param)


@pytest.fixture(scope="session")
def compiled():
    """The compiled program of each small built-in task, by name."""
    return {name: compile_task(load_task(name)) for name in SMALL}
