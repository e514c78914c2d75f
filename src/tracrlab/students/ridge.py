"""Least squares with a ridge."""

from __future__ import annotations

import numpy as np


def ridge_solution(
    features: np.ndarray, target: np.ndarray, ridge: float, weight: np.ndarray | None = None
) -> np.ndarray:
    """The matrix that makes targets [points, width] of features [points, features].

    Args:
      features: what is mapped.
      target: to what.
      ridge: over the mean square of a feature.
      weight: how often each point counts [points]; None for once.
    """
    if weight is not None and (weight != 1).any():
        root = np.sqrt(weight)[:, None]
        features, target = features * root, target * root
    moments = (features.T @ features).astype(np.float64)
    moments[np.diag_indices_from(moments)] += ridge * max(np.trace(moments) / len(moments), 1e-12)
    return np.linalg.solve(moments, features.T @ target).astype(np.float32)
