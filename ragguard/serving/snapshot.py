"""Sign the snapshot that readers without a secret hold passages against.

A file: the line `ragguard-snapshot-v1`, the length of an envelope (8 bytes, little-endian), the
envelope, and the table. The envelope is DSSE by the log's key over an in-toto statement whose
subject is the table; its predicate names log, checkpoint, commit, collection and recipe. The table
has four columns, one after the other, of rows sorted by point id, 60 bytes a point:

    id 16 | digest of id and payload 24 | digest of id and vector 12 | commit 4 | log entry 4

and a fifth where it was made for ranking: merit without corroboration, 1 byte, 0 for 0 and 255
for -1 (`ranking`).

Numbers are little-endian; the highest bit of the log entry says that a newer version of the
document waits. The digests are the first bytes of SHA-256, nothing in them is secret, and they
leave the seal out and the collection too: a copy of the collection has the same.

It is read into memory before it is verified, and never again from the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from ragguard.errors import IntegrityError, LogError, MalformedError, PredicateError
from ragguard.model import PublicKey, Recipe
from ragguard.trust import dsse, keys, signed_note, strict_json
from ragguard.trust.canonical import canonical, digest_bytes, format_time, parse_time
from ragguard.trust.manifest import STATEMENT_TYPE
from ragguard.trust.signed_note import Checkpoint

MAGIC = b"ragguard-snapshot-v1\n"
PREDICATE_TYPE = "urn:ragguard:snapshot:v1"
SUBJECT = "points"
MAX_ENVELOPE = 1_000_000
PAYLOAD, VECTOR = 24, 12  # bytes of the digests
HONEYTOKEN = 24  # hex digits
ROW = 16 + PAYLOAD + VECTOR + 4 + 4
WAITS = 1 << 31


@dataclass(frozen=True)
class SnapshotRow:
    """What a snapshot has of a point."""

    point: str
    payload: bytes
    vector: bytes
    commit: int
    log_index: int
    newer_waits: bool
    merit: float = 0.0


@dataclass(frozen=True)
class SnapshotHead:
    """What the signed statement says beside the table.

    Attributes:
        checkpoint: Its newest signed tree head.
        at: When it was signed.
        commit: Newest commit of the corpus.
        generation: Number of the generation that serves.
        root: Version of the trust root it was made under.
        scoped: Whether that root has access scopes on.
        recipe: Of the collection.
        honeytokens: Digests of planted points, sorted, see `honeytoken_digest`; they stand in no
            row of the table. A head without any is written as it was before there were some.
        groups: Sources by number, those that share signers by one, see `ranking.Merits`; `None`
            where it was not made for ranking, and then it is written as before.
    """

    log: str
    checkpoint: str
    at: datetime
    commit: int
    generation: int
    collection: str
    root: int
    scoped: bool
    recipe: Recipe
    honeytokens: Sequence[str] = ()
    groups: Mapping[str, int] | None = None

    @property
    def row(self) -> int:
        """Bytes of a row of its table."""
        return ROW + (self.groups is not None)


def payload_digest(point: str, payload: Mapping[str, Any]) -> bytes:
    """Return the digest of what a reader sees of a point: its id and its payload without the seal.

    Raises:
        ValueError, TypeError, RecursionError: The payload has no canonical form.
    """
    own = dict(payload.get("ragguard") or {})
    own.pop("seal", None)
    return sha256(UUID(point).bytes + canonical({**payload, "ragguard": own})).digest()[:PAYLOAD]


def vector_digest(point: str, vector: bytes) -> bytes:
    """Return the digest of a point's id and vector bytes (float32, little-endian)."""
    return sha256(UUID(point).bytes + vector).digest()[:VECTOR]


def honeytoken_digest(point: str) -> str:
    """Name of a planted point in a snapshot: it tells one who has the point's id, nobody else."""
    return sha256(b"honeytoken" + UUID(point).bytes).hexdigest()[:HONEYTOKEN]


def dump_table(rows: Sequence[SnapshotRow], *, ranked: bool = False) -> bytes:
    """Return the table's bytes, with merits where it is for ranking."""
    ordered = sorted(rows, key=lambda row: UUID(row.point).bytes)
    numbers = np.array(
        [[r.commit, r.log_index | (WAITS if r.newer_waits else 0)] for r in ordered], dtype="<u4"
    ).reshape(len(ordered), 2)
    return b"".join(
        (
            *(UUID(r.point).bytes for r in ordered),
            *(r.payload for r in ordered),
            *(r.vector for r in ordered),
            numbers[:, 0].tobytes(),
            numbers[:, 1].tobytes(),
            bytes(round(-255 * min(0.0, max(-1.0, r.merit))) for r in ordered if ranked),
        )
    )


def dump(head: SnapshotHead, table: bytes, key: keys.KeyPair) -> bytes:
    """Return a snapshot's bytes, signed by the log's key."""
    predicate: dict[str, Any] = {f.name: getattr(head, f.name) for f in fields(head)}
    predicate.update({"at": format_time(head.at), "recipe": asdict(head.recipe)})
    if head.honeytokens:
        predicate["honeytokens"] = sorted(head.honeytokens)
    else:
        del predicate["honeytokens"]
    if head.groups is None:
        del predicate["groups"]
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": SUBJECT, "digest": {"sha256": digest_bytes(table)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": predicate,
    }
    pair = (key.public.keyid, key.signing_key)
    envelope = dsse.sign(canonical(statement), dsse.IN_TOTO, [pair])
    return MAGIC + len(envelope).to_bytes(8, "little") + envelope + table


class Snapshot:
    """A verified snapshot; `load` makes it.

    Attributes:
        head: What was signed.
        tree: The tree head it was made under.
        table: Its bytes.
        points: Rows of the table.
    """

    def __init__(self, head: SnapshotHead, tree: Checkpoint, table: bytes) -> None:
        self.head, self.tree = head, tree
        n = self.points = len(table) // head.row
        ids = np.frombuffer(table, dtype=">u8", count=2 * n).reshape(n, 2)
        self._high: NDArray[np.uint64] = ids[:, 0].astype(np.uint64)
        self._low: NDArray[np.uint64] = ids[:, 1].astype(np.uint64)
        self.table = table
        self._planted = frozenset(head.honeytokens)
        self._payloads, self._vectors = 16 * n, (16 + PAYLOAD) * n
        numbers = np.frombuffer(table, dtype="<u4", count=2 * n, offset=(16 + PAYLOAD + VECTOR) * n)
        self._merits = ROW * n
        self._commits, self._entries = numbers[:n], numbers[n:]

    def is_honeytoken(self, point: str) -> bool:
        """Tell whether a point is planted."""
        if not self._planted:
            return False
        try:
            return honeytoken_digest(point) in self._planted
        except ValueError:
            return False

    def find(self, point: str) -> SnapshotRow | None:
        """Tell what it has of a point, found by bisection; `None` where it has none of that id."""
        try:
            raw = UUID(point).bytes
        except ValueError:
            return None
        high, low = (np.uint64(int.from_bytes(raw[i : i + 8], "big")) for i in (0, 8))
        row = int(np.searchsorted(self._high, high))
        while row < self.points and self._high[row] == high and self._low[row] < low:
            row += 1
        if row == self.points or self._high[row] != high or self._low[row] != low:
            return None
        payload, vector = self._payloads + PAYLOAD * row, self._vectors + VECTOR * row
        entry = int(self._entries[row])
        return SnapshotRow(
            point,
            self.table[payload : payload + PAYLOAD],
            self.table[vector : vector + VECTOR],
            int(self._commits[row]),
            entry & ~WAITS,
            bool(entry & WAITS),
            -self.table[self._merits + row] / 255 if self.head.groups is not None else 0.0,
        )


def load(data: bytes, log_key: str) -> Snapshot:
    """Verify and read a snapshot.

    Args:
        log_key: Verifier key of the log, `name+keyid+base64`.

    Raises:
        LogError: The key is none, or the checkpoint is not one of its log.
        SignatureError, PayloadTypeError: Not signed by that key.
        IntegrityError: The table is not the one that was signed.
        MalformedError, PredicateError: No snapshot.
    """
    name, public = signed_note.parse_verifier_key(log_key)
    if not data.startswith(MAGIC):
        raise MalformedError(
            "snapshot: not one that this ragguard reads",
            hint="`ragguard publish` makes one for readers.",
        )
    start = len(MAGIC) + 8
    size = int.from_bytes(data[len(MAGIC) : start], "little")
    if size > MAX_ENVELOPE or start + size > len(data):
        raise MalformedError("snapshot: cut off, or its envelope is too large")
    envelope = dsse.parse_envelope(data[start : start + size], max_bytes=MAX_ENVELOPE)
    keyid = keys.keyid(public)
    known = {keyid: PublicKey(keyid, public, "log")}
    dsse.verify(envelope, known, payload_type=dsse.IN_TOTO, threshold=1).require("snapshot")
    head, digest = _parse(envelope.payload)
    table = data[start + size :]
    if len(table) % head.row or digest_bytes(table) != digest:
        raise IntegrityError(
            "snapshot: its table is not the one that was signed",
            hint="Copy it again, whole; if it stays so, find out who changed it.",
        )
    tree = signed_note.parse_checkpoint(dsse.open_note(head.checkpoint, name, public))
    if (head.log, tree.origin) != (name, name):
        raise LogError(f"snapshot: of log {head.log!r}, the key given is of {name!r}")
    return Snapshot(head, tree, table)


def _parse(payload: bytes) -> tuple[SnapshotHead, str]:
    try:
        body = strict_json.parse(payload, what="snapshot", max_bytes=MAX_ENVELOPE, max_depth=8)
        predicate: dict[str, Any] = body["predicate"]
        (subject,) = body["subject"]
        if (body["_type"], body["predicateType"], subject["name"]) != (
            STATEMENT_TYPE,
            PREDICATE_TYPE,
            SUBJECT,
        ):
            raise ValueError("another statement")
        planted = predicate.setdefault("honeytokens", [])
        if not isinstance(planted, list) or not all(isinstance(digest, str) for digest in planted):
            raise ValueError("honeytokens are no list of digests")
        groups = predicate.setdefault("groups", None)
        if groups is not None and not all(type(number) is int for number in groups.values()):
            raise ValueError("groups are no numbers by source")
        if predicate.keys() != {f.name for f in fields(SnapshotHead)}:
            raise ValueError("other fields than documented")
        for key in ("commit", "generation", "root"):
            if type(predicate[key]) is not int:
                raise ValueError(f"{key} is no whole number")
        if type(predicate["scoped"]) is not bool:
            raise ValueError("scoped is neither true nor false")
        head = SnapshotHead(
            **{
                **predicate,
                "log": str(predicate["log"]),
                "checkpoint": str(predicate["checkpoint"]),
                "collection": str(predicate["collection"]),
                "at": parse_time(predicate["at"]),
                "recipe": Recipe(**predicate["recipe"]),
                "honeytokens": tuple(planted),
            }
        )
        return head, str(subject["digest"]["sha256"])
    except (KeyError, TypeError, ValueError, AttributeError, MalformedError) as error:
        raise PredicateError(f"snapshot: malformed ({error})") from None
