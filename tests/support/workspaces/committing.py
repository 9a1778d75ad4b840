"""A committer with real ledger and vault, over the in-memory store made to fail on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.errors import StoreError
from ragguard.ledger import cases, commits, log, versions
from ragguard.ledger.log import LogLeaf
from ragguard.ledger.tables import Ledger
from ragguard.ledger.vault import Vault
from ragguard.ledger.writer import Committer, Plan, Write, dump_vectors
from ragguard.store import Point, Store
from ragguard.store.memory import MemoryStore
from ragguard.trust import dsse, keys
from tests.support.workspaces.ledger_rows import AT, case_row, manifest_row, point_row, version_row

KEY = keys.generate("checkpoint")
VECTORS = np.eye(4, dtype=np.float32)
ROW = manifest_row(1, digest="ab" * 32)


class Faulty(MemoryStore):
    """The memory store with a method that goes wrong once, at a given call of it."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: dict[str, Callable[..., Any]] = {}

    def _maybe(self, name: str, *args: Any, **rest: Any) -> Any:
        fault = self.faults.pop(name, None)
        return fault(*args, **rest) if fault else getattr(super(), name)(*args, **rest)

    def upsert(self, collection: str, points: Sequence[Point]) -> None:
        self._maybe("upsert", collection, points)

    def delete(self, collection: str, ids: Sequence[str]) -> None:
        self._maybe("delete", collection, ids)

    def flush(self, collection: str) -> None:
        self._maybe("flush", collection)

    def get(self, collection: str, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        found: list[Point] = self._maybe("get", collection, ids, vectors=vectors)
        return found


class World:
    """A committer with all that it writes to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = Ledger(f"sqlite:///{folder / 'ledger.db'}", create=True)
        self.vault = Vault(str(folder / "vault"))
        self.store = Faulty()
        for name in ("serving", "waiting"):
            self.store.create(name, 4)
        self.committer = self.with_store(lambda: self.store)

    def with_store(self, store: Callable[[], Store]) -> Committer:
        def sign(text: str) -> str:
            return dsse.sign_note(text, "log.test", KEY.signing_key)

        return Committer(self.ledger, self.vault, store, "log.test", sign, b"k" * 32)

    def write(self, number: int, collection: str = "serving") -> Write:
        pack = self.vault.put(dump_vectors(VECTORS))
        payload = {"page_content": f"text {number}", "metadata": {}, "ragguard": {}}
        vector = VECTORS[number % 4]
        name = point(number)
        seal = self.committer.seal(collection, name, vector, payload)
        return Write(name, {**payload, "ragguard": {"seal": seal}}, pack, number % 4)

    def first(self, points: int = 2) -> Plan:
        """A manifest with a document that comes in and one that waits."""
        return Plan(
            commit=1,
            kind="ingest",
            at=AT,
            actor="alice",
            source="wiki",
            manifest=ROW,
            versions=[version_row(1, "a.md", 1), version_row(2, "b.md", 1, outcome="quarantine")],
            points=[point_row(1, n, point(n)) for n in range(points)],
            writes={
                "serving": [self.write(n) for n in range(points)],
                "waiting": [self.write(9999, "waiting")],
            },
            enter=[(1, "serving"), (2, "quarantine")],
            opens=[case_row(1, "b.md", version=2)],
            leaves=[leaf_row("a.md", "admit"), leaf_row("b.md", "quarantine")],
            counts={"admit": 1, "quarantine": 1},
        )

    def second(self) -> Plan:
        """The document that came in goes."""
        return Plan(
            commit=2,
            kind="removal",
            at=AT,
            actor="bob",
            source="wiki",
            drops={"serving": [point(0), point(1)]},
            leave=[(1, "serving")],
            closes=[(1, "withdrawn")],
            leaves=[leaf_row("a.md", "removed")],
        )

    def state(self) -> dict[str, Any]:
        """Everything a reader of ledger and store can see."""
        with self.ledger.reading() as conn:
            return {
                "pending": [c.id for c in commits.pending(conn)],
                "commits": commits.listed(conn),
                "manifest": commits.last_manifest(conn, "wiki"),
                "serving": sorted(versions.members(conn, "serving")),
                "waiting": sorted(versions.members(conn, "quarantine")),
                "cases": cases.listed(conn, state=None),
                "log": log.entries(conn),
                "seals": [versions.seal_of(conn, "serving", point(n)) for n in range(2)],
                "points": [
                    sorted(
                        (p.id, p.payload["page_content"])
                        for block in self.store.scan(c)
                        for p in block
                    )
                    for c in ("serving", "waiting")
                ],
            }


def point(number: int) -> str:
    """A point id."""
    return f"00000000-0000-4000-8000-{number:012x}"


def leaf_row(document: str, outcome: str) -> LogLeaf:
    """What a log says of a document of the wiki."""
    return LogLeaf("wiki", document, "ef" * 32, "cd" * 32, outcome, [])


def fail(*args: Any, **rest: Any) -> Any:
    """A fault: the store cannot be reached."""
    raise StoreError("store: unreachable")
