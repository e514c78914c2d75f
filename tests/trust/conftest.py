"""Two scales of every large test, and the counts that `docs/reliability.md` is written from."""

import pytest

from tests.workflow.conftest import finished_smoke_run, workflow  # noqa: F401

QUICK, FULL = "quick", "full"


@pytest.fixture(params=[QUICK, pytest.param(FULL, marks=pytest.mark.trust)])
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
