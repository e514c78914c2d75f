import pytest

from tracrlab.injection.base_models import gpt2_tokenizer
from tracrlab.tasks.encoding import compile_task
from tracrlab.tasks.registry import BUILT_IN, load_task


@pytest.fixture(scope="session")
def tokenizer():
    return gpt2_tokenizer()


@pytest.fixture(scope="session", params=BUILT_IN)
def task(request):
    return load_task(request.param)


@pytest.fixture(scope="session")
def compiled():
    """The compiled program of each built-in task, by name."""
    return {name: compile_task(load_task(name)) for name in BUILT_IN}
