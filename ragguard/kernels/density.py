"""Distance of unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ragguard.model import Floats


def chord(similarities: Floats) -> NDArray[np.float64]:
    """Euclidean distance of unit vectors from their cosine; 2 where there is no neighbour (-1)."""
    distances: NDArray[np.float64] = np.sqrt(
        np.maximum(0.0, 2.0 - 2.0 * similarities.astype(np.float64))
    )
    return distances
