"""Settings that every test shares."""

import os
import sys
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# Tests compile many small JAX programs and run each for a moment: unoptimised code saves half.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# The same examples on every machine; nothing is written beside the tests.
settings.register_profile(
    "tests",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.register_profile(
    "explore",
    database=None,
    deadline=None,
    max_examples=1000,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # a folder's own order goes before this one
def pytest_collection_modifyitems(items):
    """Puts files with the most slow tests first: a worker that began one last would end late.

    The tests of SLURM share one cluster and run one by one: theirs stay where they are.
    """
    slow = Counter(
        item.path
        for item in items
        if item.get_closest_marker("slow") and not item.get_closest_marker("slurm")
    )
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="module", autouse=True)
def compiled_functions_are_forgotten():
    """JAX keeps every function that it compiled, gigabytes in a run; files share none of them."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
