"""Whoever can write to the index: speaks to the engine alone and knows nothing of ragguard."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import qdrant_edge as edge

Stored = dict[str, tuple[np.ndarray, dict[str, Any]]]  # id to vector and payload


class Raw:
    """One shard folder, opened with the engine's own binding.

    Args:
        folder: The shard.
    """

    def __init__(self, folder: Path) -> None:
        self._shard = edge.EdgeShard.load(str(folder))

    def points(self) -> Stored:
        """Everything in it."""
        found: Stored = {}
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=500, with_payload=True, with_vector=True
            )
            records, offset = self._shard.scroll(request)
            for r in records:
                vector = np.asarray(r.vector, dtype=np.float32)
                found[str(r.id)] = (vector, copy.deepcopy(r.payload or {}))
            if offset is None:
                return found

    def put(self, point: str | int, vector: Any, payload: dict[str, Any]) -> None:
        """Write a point."""
        name = point if isinstance(point, int) else UUID(point)
        rows = np.asarray(vector, dtype=np.float32).tolist()
        self._shard.update(edge.UpdateOperation.upsert_points([edge.Point(name, rows, payload)]))

    def put_many(self, points: Stored) -> None:
        """Write many."""
        made = [edge.Point(UUID(i), v.tolist(), p) for i, (v, p) in points.items()]
        self._shard.update(edge.UpdateOperation.upsert_points(made))

    def delete(self, *ids: str) -> None:
        """Remove points."""
        wanted = [UUID(i) if "-" in i else int(i) for i in ids]
        self._shard.update(edge.UpdateOperation.delete_points(wanted))

    def change(self, point: str, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change the payload of a point in place; its vector stays as it is."""
        vector, payload = self.points()[point]
        change(payload)
        self.put(point, vector, payload)

    def close(self) -> None:
        """Let go of it."""
        self._shard.flush()
        self._shard.close()


class Index:
    """A folder of shards, found by looking at it.

    Args:
        folder: Where the engine keeps its collections.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def shard(self, collection: str) -> Path:
        """The shard folder of a collection."""
        (found,) = (self.folder / collection).glob("shard-*")
        return found

    @contextmanager
    def open(self, collection: str) -> Iterator[Raw]:
        """A collection, for a moment."""
        raw = Raw(self.shard(collection))
        try:
            yield raw
        finally:
            raw.close()

    def restore(self, collection: str, points: Stored) -> None:
        """Put a collection back as it was."""
        with self.open(collection) as raw:
            now = raw.points()
            if extra := [i for i in now if i not in points]:
                raw.delete(*extra)
            raw.put_many(points)

    def rebuild(self, folder: Path, size: int, distance: str, points: Stored) -> None:
        """Make a shard of another shape where one was, and say nothing of it anywhere else."""
        folder.mkdir()
        params = edge.EdgeVectorParams(size=size, distance=getattr(edge.Distance, distance))
        shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=params))
        shard.update(
            edge.UpdateOperation.upsert_points(
                [edge.Point(UUID(i), v.tolist()[:size], p) for i, (v, p) in points.items()]
            )
        )
        shard.flush()
        shard.close()

    def point_alias(self, alias: str, collection: str | None) -> None:
        """Turn an alias away, or take it out."""
        path = self.folder / "aliases.json"
        aliases = json.loads(path.read_text())
        aliases.pop(alias)
        if collection:
            aliases[alias] = collection
        path.write_text(json.dumps(aliases))


def nudged(vector: np.ndarray, place: int = 7) -> np.ndarray:
    """A vector with one float moved to the next one there is."""
    moved = vector.copy()
    moved[place] = np.nextafter(moved[place], np.float32(2))
    return moved


def noise(n: int, d: int, seed: int, spread: float = 1.0) -> Stored:
    """Points with random directions; the smaller `spread`, the more alike."""
    rng = np.random.default_rng(seed)
    centre = rng.standard_normal(d)
    rows = centre * (1 - spread) + rng.standard_normal((n, d)) * spread
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return {str(uuid4()): (row, {"page_content": "buy now"}) for row in rows}
