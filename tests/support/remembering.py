"""Vectors of texts that a model has embedded once, for the rest of a test process.

Most workspaces of the tests hold the same few texts, and embedding them is a third of what the
tests cost. The vectors are the model's own; each asker gets copies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ragguard.model import Floats

Encode = Callable[..., Floats]


def remembering(encode: Encode) -> Encode:
    """Embed only what a model was not given before.

    Args:
        encode: `encode` of a class of encoders.

    Returns:
        A method for that class.
    """
    known: dict[tuple[str, str, int], dict[str, Floats]] = {}

    def recalled(self: Any, texts: Sequence[str], progress: Any = None) -> Floats:
        recipe = self.recipe
        vectors = known.setdefault((recipe.model_digest, recipe.pooling, recipe.max_tokens), {})
        new = [text for text in dict.fromkeys(texts) if text not in vectors]
        if len(new) == len(texts):
            made = encode(self, texts, progress)
            vectors.update(zip(texts, made.copy(), strict=True))
            return made
        if new:
            vectors.update(zip(new, encode(self, new), strict=True))
        if progress is not None:
            progress(len(texts), len(texts))
        return np.stack([vectors[text] for text in texts])

    return recalled
