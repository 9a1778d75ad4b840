"""Look seals up that a collection should hold: 49 bytes a point, found by binary search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from ragguard.ledger import audit_queries
from ragguard.model import Ints

_SEAL = 32
_NEVER = b"\0" * _SEAL  # no keyed digest is all zeros


def raw_id(point: str) -> bytes | None:
    """Return the 16 bytes of a UUID, `None` for anything else (an engine may hold integer ids)."""
    try:
        raw = bytes.fromhex(point.replace("-", ""))
    except ValueError:
        return None
    return raw if len(raw) == 16 else None


def raw_seal(seal: str) -> bytes:
    """Return the 32 bytes of a seal; what is none equals no seal."""
    try:
        raw = bytes.fromhex(seal)
    except ValueError:
        return _NEVER
    return raw if len(raw) == _SEAL else _NEVER


class SealTable:
    """Current seals of a collection, by point id.

    Attributes:
        ids: Point ids, 16 bytes each, ascending (n,).
        seals: Their seals, uint8 (n, 32).
        marked: Which of them the caller has come across, bool (n,).
        odd: Ids in the ledger that are no UUIDs.
    """

    def __init__(self, conn: sa.Connection, collection: str) -> None:
        n = audit_queries.count_seals(conn, collection)
        ids = np.zeros(n, dtype="S16")
        seals = np.zeros((n, _SEAL), dtype=np.uint8)
        self.odd: list[str] = []
        place = 0
        for block in _blocks(audit_queries.current_seals(conn, collection)):
            good = [(i, raw_seal(s)) for p, s in block if (i := raw_id(p)) is not None]
            self.odd += [p for p, _ in block if raw_id(p) is None] if len(good) < len(block) else []
            stop = place + len(good)
            ids[place:stop] = [i for i, _ in good]
            raw = b"".join(s for _, s in good)
            seals[place:stop] = np.frombuffer(raw, dtype=np.uint8).reshape(-1, _SEAL)
            place = stop
        order = np.argsort(ids[:place], kind="stable")
        self.ids: NDArray[np.bytes_] = ids[order]
        self.seals: NDArray[np.uint8] = seals[order]
        self.marked = np.zeros(place, dtype=np.bool_)

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, points: Sequence[str]) -> Ints:
        """Row of each point id, -1 for one that is not in the table.

        Args:
            points: Point ids as the engine gives them.

        Returns:
            int64 (len(points),).
        """
        if not len(self.ids):
            return np.full(len(points), -1, dtype=np.int64)
        raw = [raw_id(p) for p in points]
        wanted = np.array([i or b"" for i in raw], dtype="S16")
        rows = np.searchsorted(self.ids, wanted).astype(np.int64)
        np.minimum(rows, len(self.ids) - 1, out=rows)
        known = (self.ids[rows] == wanted) & np.array([i is not None for i in raw], dtype=np.bool_)
        return np.where(known, rows, -1)

    def same(self, rows: Ints, seals: Sequence[bytes]) -> NDArray[np.bool_]:
        """Tell whether rows of the table hold these seals; False for row -1.

        Args:
            rows: int64 (k,).
            seals: 32 bytes each.
        """
        if not len(self.ids):
            return np.zeros(len(rows), dtype=np.bool_)
        given = np.frombuffer(b"".join(seals), dtype=np.uint8).reshape(-1, _SEAL)
        equal: NDArray[np.bool_] = (self.seals[rows] == given).all(axis=1) & (rows >= 0)
        return equal

    def unmarked(self) -> Iterator[str]:
        """Yield ids of points that were not come across, ascending."""
        for row in np.flatnonzero(~self.marked):
            yield text_id(bytes(self.ids[row]))


def text_id(raw: bytes) -> str:
    """UUID text of 16 bytes (numpy cuts trailing zeros off)."""
    hexed = raw.ljust(16, b"\0").hex()
    return "-".join((hexed[:8], hexed[8:12], hexed[12:16], hexed[16:20], hexed[20:]))


def _blocks(rows: Iterator[tuple[str, str]], size: int = 10_000) -> Iterator[list[tuple[str, str]]]:
    block: list[tuple[str, str]] = []
    for row in rows:
        block.append(row)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
