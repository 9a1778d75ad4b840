"""A workspace with all that may honestly happen behind it, whose index can be tampered with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragguard.audit.findings import AuditFinding
from ragguard.ledger.tables import seals
from ragguard.quarantine.review import decide
from tests.support.audit.tamper import Index, Stored
from tests.support.audit.whole_index import check_index
from tests.support.simulator import HONEST, SUSPECT, Gate

S, Q = "corpus-g1", "corpus-g1-quarantine"
METADATA: dict[str, Any] = {
    "department": "Legal",
    "permitted_roles": ["counsel"],
    "pages": 3,
    "weight": 0.5,
    "public": False,
}


def live(gate: Gate, metadata: dict[str, Any], department: str) -> Iterator[str]:
    """Ingest, release, reject; then update, change of metadata, removal. Stops before and between.

    Args:
        gate: A workspace, which is closed at each stop and at the end.
        metadata: Of every document.
        department: To which one document goes.
    """
    listed = {name: dict(metadata) for name in HONEST}
    gate.publish(HONEST, metadata=listed)
    names = ("safe", "door", "gate")
    gate.publish({f"{n}.md": SUSPECT.replace("safe", n) for n in names}, metadata=listed)
    cases = {c.document: c for c in gate.cases()}
    gate.close()
    yield "undecided"
    decide(gate.workspace, cases["safe.md"], "release", gate.bob, "a drill")
    decide(gate.workspace, cases["door.md"], "reject", gate.bob, "poison")
    gate.close()
    yield "decided"
    for name in ("visitors.md", "door.md"):
        (gate.publisher.folder / name).unlink()
    del listed["visitors.md"]
    listed["invoices.md"]["department"] = department
    gate.publish({"leave.md": HONEST["leave.md"].replace("27", "28")}, metadata=listed)
    gate.close()


class World:
    """A workspace that has seen everything that may honestly happen, and copies of its points.

    Attributes:
        before: The serving collection before the last update and removal.
        waiting_before: The quarantine before the first decision.
        points: What each collection holds, to be put back after a test.
        seals: What the ledger holds of them, likewise.
    """

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.index = Index(gate.folder / "w" / "index")
        for moment in live(gate, METADATA, "Finance"):
            if moment == "undecided":
                self.waiting_before = self.read(Q)
            else:
                self.before = self.read(S)
        assert gate.documents() == {*HONEST, "safe.md"} - {"visitors.md"}
        assert gate.documents("quarantine") == {"gate.md"}
        gate.close()
        self.points = {name: self.read(name) for name in (S, Q)}
        with gate.workspace.ledger.reading() as conn:
            self.seals = [row._asdict() for row in conn.execute(sa.select(seals))]
        gate.close()

    def read(self, collection: str) -> Stored:
        """What a collection holds."""
        with self.index.open(collection) as raw:
            return raw.points()

    def one(self, document: str, points: Stored | None = None) -> str:
        """The first point of a document."""
        every = points if points is not None else {**self.points[Q], **self.points[S]}
        return next(i for i, (_, p) in every.items() if p["ragguard"]["document"] == document)

    def vector(self, document: str) -> np.ndarray:
        """That of the first point of a document that serves."""
        return self.points[S][self.one(document)][0]

    def audit(self) -> list[AuditFinding]:
        """What an audit of the index finds."""
        workspace = self.gate.workspace
        try:
            return check_index(workspace)
        finally:
            self.gate.close()

    def restore(self) -> None:
        """Put index and seals back as they were."""
        with self.gate.workspace.ledger.writing() as conn:
            conn.execute(sa.delete(seals))
            conn.execute(sa.insert(seals), self.seals)
        self.gate.close()
        for name, points in self.points.items():
            self.index.restore(name, points)


def rules(found: list[AuditFinding]) -> set[str]:
    """Under which names."""
    return {f.rule for f in found}


def says(found: list[AuditFinding]) -> str:
    """In which words."""
    return "\n".join(f.detail for f in found)
