"""Two scales of every large test, and the counts that `docs/reliability.md` is written from."""

import resource
from collections.abc import Iterator

import pytest

from tests.workflow.conftest import finished_smoke_run, workflow  # noqa: F401

QUICK, FULL = "quick", "full"
STARTED = pytest.StashKey[float]()


def processor_seconds() -> float:
    """Of this process and its ended children."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in used)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The kills of a whole run take longest and come first, so that others run beside them."""
    items.sort(key=lambda item: "test_killed_runs" not in item.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.stash[STARTED] = processor_seconds()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Processor time goes into the report of a test, whichever process it ran in."""
    try:
        return (yield)
    finally:
        seconds = processor_seconds() - item.stash[STARTED]
        item.user_properties.append(("seconds", round(seconds, 2)))


@pytest.fixture(
    params=[
        pytest.param(QUICK, marks=pytest.mark.quick),
        pytest.param(FULL, marks=pytest.mark.trust),
    ]
)
def scale(request) -> str:
    """`quick` in every run of the tests; `full` in `make test-trust` only."""
    return request.param


@pytest.fixture
def tally(record_property):
    """Notes how many cases of a kind a test has seen pass; a promise has the task's number."""

    def note(promise: int, what: str, cases: int) -> None:
        assert cases > 0
        record_property("tally", (promise, what, cases))

    return note
