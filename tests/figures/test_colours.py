"""Colours that are told apart in one figure stay apart for every kind of colour vision."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from tracrlab.figures.injection import COLOURS as METHODS
from tracrlab.figures.students import COLOURS as OUTCOMES
from tracrlab.figures.style import BLUE, GREEN, GREY, ORANGE, VERMILION

#: Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
#: Deficiency", 2009, severity 1.0, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
    # Printed without colour: everyone's luminance, three times.
    "grey": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}

#: Colours of one figure; what differs in place and name as well may be closer.
FIGURES = {
    "two kinds": [BLUE, ORANGE],
    "methods": list(METHODS.values()),
    "subspaces": [VERMILION, GREY],
    "palette": [BLUE, ORANGE, GREEN, VERMILION],
    "outcomes": list(OUTCOMES.values()),
}


def lab(colour: str, vision: np.ndarray) -> np.ndarray:
    """A colour as someone sees it, in CIE L*a*b* of daylight (D65)."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(vision @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.maximum(np.array(to_xyz) @ seen / [0.9505, 1, 1.089], 1e-6))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(first: str, second: str, vision: str) -> float:
    return float(np.linalg.norm(lab(first, VISION[vision]) - lab(second, VISION[vision])))


def test_distances_of_known_colours():
    assert lab("white", np.eye(3)) == pytest.approx([100, 0, 0], abs=0.1)
    assert lab("red", np.eye(3)) == pytest.approx([53.24, 80.09, 67.2], abs=0.1)
    # The pair that everyone warns of.
    assert distance("#D62728", "#8C6D1F", "deuteranopia") < 10 < distance("red", "green", "normal")


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("vision", ["normal", "protanopia", "deuteranopia", "tritanopia"])
def test_colours_of_a_figure_can_be_told_apart(name, vision):
    """A distance of 2.3 is just noticeable; lines and bars ask for several times that."""
    closest = min(distance(a, b, vision) for a, b in combinations(FIGURES[name], 2))
    assert closest > 15


def test_the_two_colours_of_most_figures_stay_apart_in_grey():
    assert distance(BLUE, ORANGE, "grey") > 15
