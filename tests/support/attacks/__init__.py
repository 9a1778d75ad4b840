"""What every attack is put through: refused by verify and ingest alike, and nothing left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ragguard.errors import IntegrityError
from ragguard.ingest.verify import verify
from ragguard.ledger import commits, log
from ragguard.ledger.versions import members
from ragguard.trust import dsse
from tests.support.simulator import HONEST, LIMIT, Gate

TEXTS = {name: HONEST[name] for name in ("leave.md", "visitors.md")}


def state(gate: Gate) -> tuple[Any, ...]:
    """All that a refused manifest must leave as it was."""
    with gate.workspace.ledger.reading() as conn:
        known = (
            len(commits.listed(conn)),
            len(commits.pending(conn)),
            log.size(conn),
            commits.last_manifest(conn, "wiki"),
            sorted(members(conn, "serving")),
            sorted(members(conn, "quarantine")),
        )
    if gate.workspace.generation() is None:
        return known
    return (*known, sorted(gate.points()), sorted(gate.points("quarantine")))


def refuse(gate: Gate, path: Path, error: type[IntegrityError], says: str = ".") -> None:
    """A manifest is refused by verify and by ingest, with this error, and changes nothing."""
    before = state(gate)
    with pytest.raises(error, match=says) as caught:
        verify(gate.workspace, path, root=gate.publisher.folder)
    assert caught.type is error
    report = gate.ingest(path)
    (result,) = report.manifests
    assert (result.error, result.exit_code) == (caught.value.message, 3)
    assert (result.commit, report.exit_code, report.documents) == (None, 3, [])
    assert state(gate) == before


def accept(gate: Gate, path: Path, names: set[str] | None = None) -> None:
    """The honest manifest still comes in."""
    report = gate.ingest(path)
    assert (report.manifests[0].error, report.exit_code) == (None, 0)
    assert gate.documents() == (names or set(TEXTS))


def honest(gate: Gate) -> Path:
    """The first manifest of the wiki: two documents."""
    return gate.publisher.publish(TEXTS)


def refuse_altered(
    gate: Gate,
    error: type[IntegrityError],
    says: str = ".",
    change: Callable[[dict[str, Any]], Any] | None = None,
    **how: Any,
) -> None:
    """The first manifest as `Publisher.hostile` alters it is refused; as it was it comes in."""
    path = honest(gate)
    refuse(gate, gate.publisher.hostile(path, change, **how), error, says)
    accept(gate, path)


def payload_of(path: Path) -> bytes:
    """The signed bytes in a manifest file."""
    return dsse.parse_envelope(path.read_bytes(), max_bytes=LIMIT).payload
