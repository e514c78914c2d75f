"""Settings that every test shares."""

import os

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
