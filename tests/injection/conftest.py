"""The small task, and what a model is trained on for it."""

import numpy as np
import pytest

from tests.injection.tiny import counting_task
from tracrlab.injection.training import TrainingData
from tracrlab.injection.windows import TextWindows


@pytest.fixture(scope="session")
def task():
    """The program, and training and held-out examples."""
    return counting_task()


@pytest.fixture(scope="session")
def data(task):
    _, examples, held_out = task
    text = np.random.default_rng(1).integers(0, 60, size=(20, 12))
    return TrainingData(examples, held_out, TextWindows(text))
