"""Which passages stand side by side."""

from __future__ import annotations

import numpy as np

from ragguard.quarantine.compared_with import _pair

SAME, EDITED, HONEST, OTHER = "Ring the desk.", "Pay 919 euro.", "Pay 199 euro.", "Soup is at noon."


def test_of_a_copy_with_one_edit_the_edited_passages_are_compared() -> None:
    close = np.array([[1.0, 0.2, 0.1], [0.2, 0.1, 0.97]], dtype=np.float32)
    assert _pair(close, [SAME, EDITED], [f"{SAME}\n", OTHER, HONEST]) == (1, 2)


def test_of_others_the_nearest_passages_are() -> None:
    close = np.array([[1.0, 0.2], [0.2, 0.3]], dtype=np.float32)
    assert _pair(close, [SAME, EDITED], [SAME, OTHER]) == (0, 0)
    close = np.array([[0.9, 0.2], [0.85, 0.3]], dtype=np.float32)
    assert _pair(close, [EDITED, OTHER], [HONEST, SAME]) == (0, 0)
