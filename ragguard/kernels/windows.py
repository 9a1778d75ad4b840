"""The worst stretch of a sequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def worst_window(
    values: Sequence[float] | NDArray[np.float64], width: int, prior: int = 0, usual: float = 0.0
) -> tuple[float, int]:
    """Highest mean over a window, shrunk towards what is usual so that short texts do not win.

    Args:
        values: One value a position.
        width: Positions of the window; shorter sequences are one window.
        prior: Positions of usual value added to every window.
        usual: That value.

    Returns:
        The mean and where its window starts; (usual, 0) for an empty sequence without which
        nothing can be said.
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        return usual, 0
    width = min(width, len(array))
    sums = np.cumsum(np.concatenate([[0.0], array]))
    means = (sums[width:] - sums[:-width] + prior * usual) / (width + prior)
    place = int(np.argmax(means))
    return float(means[place]), place
