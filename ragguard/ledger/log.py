"""Append every act to the log, a Merkle tree as in RFC 6962.

An entry is canonical JSON; its leaf hash is stored beside it, and both are compared when the log
is verified. A tree head is signed as a C2SP checkpoint by the caller; here notes are only kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.errors import LogError
from ragguard.ledger.tables import checkpoints, log_entries
from ragguard.trust import merkle
from ragguard.trust.canonical import canonical


@dataclass(frozen=True)
class LogLeaf:
    """What the entry of a commit commits to about one document: a leaf of `documents_root`.

    Attributes:
        metadata: Digest of its metadata.
        outcome: What became of it, as in the counts of the commit.
        points: Id and seal of each of its points, in chunk order.
        decision: Envelope of the decision it stands on; empty where the entry names it, or none.
    """

    source: str
    document: str
    digest: str
    metadata: str
    outcome: str
    points: Sequence[Sequence[str]]
    decision: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As it is hashed; without a decision as before there were any."""
        return {name: value for name, value in vars(self).items() if name != "decision" or value}


def append(conn: sa.Connection, body: Mapping[str, Any]) -> int:
    """Append an entry; return its index, from 0."""
    index = size(conn)
    text = canonical(dict(body))
    conn.execute(
        sa.insert(log_entries),
        {"index": index, "body": text.decode(), "leaf": merkle.leaf_hash(text)},
    )
    return index


def size(conn: sa.Connection) -> int:
    """Number of entries."""
    return int(conn.execute(sa.select(sa.func.count()).select_from(log_entries)).scalar() or 0)


def leaves(conn: sa.Connection) -> list[bytes]:
    """Stored leaf hashes in order."""
    query = sa.select(log_entries.c.leaf).order_by(log_entries.c.index)
    return [bytes(leaf) for (leaf,) in conn.execute(query)]


def entries(conn: sa.Connection) -> list[tuple[int, str, bytes]]:
    """List all entries: index, body text, stored leaf hash."""
    query = sa.select(log_entries).order_by(log_entries.c.index)
    return [(index, str(text), bytes(leaf)) for index, text, leaf in conn.execute(query)]


def read(text: str) -> dict[str, Any] | None:
    """Read an entry; `None` where it is none any more, by whoever could write the ledger."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def body(conn: sa.Connection, index: int) -> dict[str, Any]:
    """Return the entry at an index.

    Raises:
        LogError: It is missing, or is no entry any more.
    """
    query = sa.select(log_entries.c.body).where(log_entries.c.index == index)
    value = read(conn.execute(query).scalar() or "")
    if value is None:
        raise LogError(
            f"log: entry {index} is missing or damaged", hint="Run `ragguard log verify`."
        )
    return value


def keep_checkpoint(conn: sa.Connection, tree_size: int, note: str) -> None:
    """Keep a signed checkpoint; one for each size."""
    conn.execute(sa.delete(checkpoints).where(checkpoints.c.size == tree_size))
    conn.execute(sa.insert(checkpoints), {"size": tree_size, "note": note})


def kept_checkpoints(conn: sa.Connection) -> list[tuple[int, str]]:
    """Kept checkpoints by size."""
    query = sa.select(checkpoints).order_by(checkpoints.c.size)
    return [(row.size, row.note) for row in conn.execute(query)]
