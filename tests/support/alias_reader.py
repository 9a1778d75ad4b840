"""A reader that asks the alias all the time, in a thread of its own, while an index is rebuilt.

Which collection answered is told by the seals in the answers: each is made for one collection.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qdrant_client import QdrantClient, models

from ragguard.model import Floats

Answer = tuple[tuple[str, str], ...]


def ask(client: QdrantClient, name: str, vector: list[float], k: int) -> Answer:
    """Point id and seal of the k nearest passages, as a retriever asks for them."""
    params = models.SearchParams(exact=True)
    found = client.query_points(name, query=vector, limit=k, search_params=params)
    return tuple((str(p.id), str((p.payload or {})["ragguard"]["seal"])) for p in found.points)


@dataclass
class Told:
    """What a reader was answered.

    Attributes:
        by: Collection to answers it gave; `nobody`: answers of no complete collection.
        failed: Queries that were not answered.
        returned: Answers of the first collection after one of a later.
    """

    by: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    returned: int = 0


class Reader:
    """Asks in a thread until it is stopped.

    Args:
        client: Shared with whoever writes: the embedded engine is one process.
        alias: What readers ask.
        vectors: Queries, (q, d).
        k: Passages asked for.
    """

    def __init__(self, client: QdrantClient, alias: str, vectors: Floats, k: int = 10) -> None:
        self._client, self._alias, self._k = client, alias, k
        self._vectors = vectors.tolist()
        self._heard: list[tuple[int, Answer]] = []
        self._failed: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def asked(self) -> int:
        """Queries so far."""
        return len(self._heard) + len(self._failed)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        turn = 0
        while not self._stop.is_set():
            row = turn % len(self._vectors)
            turn += 1
            try:
                self._heard.append(
                    (row, ask(self._client, self._alias, self._vectors[row], self._k))
                )
            except Exception as error:  # whatever it is: a query without an answer
                self._failed.append(f"{type(error).__name__}: {error}")

    def told(self, whole: Mapping[str, Sequence[Answer]]) -> Told:
        """Sort what was heard by who answered it.

        Args:
            whole: Collection to its answers when nothing was going on, oldest collection first.
        """
        made, newest = Told(failed=self._failed), 0
        names = list(whole)
        for row, answer in self._heard:
            who = [n for n, name in enumerate(names) if whole[name][row] == answer]
            made.by[names[who[0]] if who else "nobody"] += 1
            if who:
                made.returned += who[0] < newest
                newest = max(newest, who[0])
        return made


def all_of(client: QdrantClient, name: str, vectors: Floats, k: int = 10) -> list[Any]:
    """What a collection answers when nothing is going on."""
    return [ask(client, name, row, k) for row in vectors.tolist()]
