"""Embed with the encoder of another package, under a recipe that names package and version.

What the plug-in is asked for is a model: an object with `dimensions`, `max_tokens`, `digest`
(SHA-256, hex, over all that decides its vectors), `count_tokens(texts)` and `encode(texts)`. What
it returns is checked: as many vectors as texts, each of the recipe's length, finite and not zero.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ragguard.embed.encoder import TOLERANCE, Progress, make_recipe, unit
from ragguard.embed.models import Model
from ragguard.errors import EncodeError
from ragguard.model import Floats
from ragguard.parse.document import PARSER
from ragguard.trust.canonical import digest
from ragguard.trust.plugins import Plugin, PluginError, running

BATCH = 64  # texts at a time
PLUGGED = "plugin "  # begins what a recipe has for pooling


class PluggedModel(Protocol):
    """A model that a plug-in's entry point gives for a name.

    Attributes:
        max_tokens: Longest text it takes.
        digest: SHA-256, hex, over the files and settings that decide its vectors.
    """

    dimensions: int
    max_tokens: int
    digest: str

    def count_tokens(self, texts: Sequence[str]) -> Sequence[int]:
        """Count the tokens of each text, special tokens included, not truncated."""

    def encode(self, texts: Sequence[str]) -> Any:
        """Embed texts as (n, dimensions), of any length but 0."""


class PluginEncoder:
    """A plug-in's model; see `Encoder`.

    Args:
        plugin: Its entry point is called with the name of the model.
        size: Upper characters of a chunk, for the recipe.
        overlap: Overlap of chunks, for the recipe.
        parser: How documents are read, for the recipe.

    Raises:
        EncodeError: It cannot be loaded, or is no such model.
    """

    tolerance = TOLERANCE
    pins = b""

    def __init__(
        self, plugin: Plugin, name: str, size: int, overlap: int, parser: str = PARSER
    ) -> None:
        self._plugin = plugin
        try:
            with running(plugin):
                self._model: PluggedModel = plugin.load()(name)
                dimensions, longest = int(self._model.dimensions), int(self._model.max_tokens)
                own = str(self._model.digest)
        except PluginError as error:
            raise self._wrong(f"cannot be loaded ({error.said})") from error
        if dimensions < 1 or longest < 16 or not re.fullmatch("[0-9a-f]{64}", own):
            raise self._wrong("has no dimensions, takes no text, or has no SHA-256 for a digest")
        model = Model(
            name=name,
            folder=Path(),
            files={},
            digest=digest([plugin.identity, own]),
            pooling=f"{PLUGGED}{plugin.identity}",
            normalise=True,
            max_tokens=longest,
            dimensions=dimensions,
        )
        self.recipe = make_recipe(model, dimensions, size, overlap, parser)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """See `Encoder.count_tokens`."""
        try:
            with running(self._plugin):
                counts = [int(n) for n in self._model.count_tokens(list(texts))]
        except PluginError as error:
            raise self._wrong(f"cannot count tokens ({error.said})") from error
        if len(counts) != len(texts) or min(counts, default=0) < 0:
            raise self._wrong(f"counts {len(counts)} texts of {len(texts)}, or less than no token")
        return counts

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> Floats:
        """See `Encoder.encode`."""
        vectors = np.empty((len(texts), self.recipe.dimensions), dtype=np.float32)
        for start in range(0, len(texts), BATCH):
            block = list(texts[start : start + BATCH])
            try:
                with running(self._plugin):
                    part = np.asarray(self._model.encode(block), dtype=np.float32)
            except PluginError as error:
                raise self._wrong(f"cannot embed ({error.said})") from error
            if part.shape != (len(block), self.recipe.dimensions):
                raise self._wrong(
                    f"gave vectors of the shape {part.shape}, expected "
                    f"{(len(block), self.recipe.dimensions)}"
                )
            vectors[start : start + len(block)] = unit(part)
            if progress is not None:
                progress(start + len(block), len(texts))
        return vectors

    def _wrong(self, problem: str) -> EncodeError:
        return EncodeError(
            f"encoder {self._plugin.identity}: {problem}"[:400],
            hint="Look at [model] name and [plugins] encoder, and at the package.",
        )
