"""Hold passages found against a signed snapshot, in a process that has no secret.

The snapshot is what could be proved when it was made, so it has to be fresh: what was removed,
denied or revoked since is still in it. Too old is refused. A snapshot that is put in its place is
taken up at the next question; one of an older or of another log is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ragguard.detect.view import own
from ragguard.errors import (
    EquivocationError,
    ExpiredError,
    NotYetValidError,
    RollbackError,
    UsageError,
)
from ragguard.serving import snapshot
from ragguard.serving.answer import HONEYTOKEN, PLANTED, Proof, RefusedPassage
from ragguard.serving.receipt import Basis
from ragguard.serving.snapshot import Snapshot, payload_digest, vector_digest
from ragguard.store import Point
from ragguard.trust import canonical

AHEAD = timedelta(minutes=5)  # by which clocks may differ


class AgainstSnapshot:
    """Evidence of a reader.

    Args:
        max_age: How old it may be.
        collection: What the collection is called where it is asked; as in the snapshot by default.

    Attributes:
        snapshot: The one that is in use.

    Raises:
        UsageError: It cannot be read.
        ExpiredError, NotYetValidError: It is too old, or of the future.
        IntegrityError and those below it: See `snapshot.load`.
    """

    def __init__(
        self,
        path: Path,
        log_key: str,
        max_age: timedelta,
        *,
        collection: str = "",
        clock: Callable[[], datetime] = canonical.now,
    ) -> None:
        self._path, self._log_key, self._max_age = path, log_key, max_age
        self._collection, self._clock = collection, clock
        self._mark = self._look()
        self.snapshot = self._load()
        self._check_age()

    @property
    def collection(self) -> str:
        """Collection to ask."""
        return self._collection or self.snapshot.head.collection

    @property
    def basis(self) -> Basis:
        """What answers are proved under."""
        head = self.snapshot.head
        return Basis(head.log, head.checkpoint, head.generation)

    @property
    def scoped(self) -> bool:
        """Whether scopes were on when the snapshot was made."""
        return self.snapshot.head.scoped

    @property
    def groups(self) -> Mapping[str, int] | None:
        """See `Merits.groups`; `None` where the snapshot was not made for ranking."""
        return self.snapshot.head.groups

    def merits(self, proofs: Sequence[Proof]) -> list[float]:
        """Merit of passages that the last call of `judge` proved, as of the snapshot."""
        rows = (self.snapshot.find(proof.point) for proof in proofs)
        return [0.0 if row is None else row.merit for row in rows]

    def judge(self, points: Sequence[Point]) -> list[Proof | RefusedPassage] | None:
        """See `Evidence.judge`.

        Raises:
            ExpiredError: The snapshot is too old.
            RollbackError, EquivocationError: One of an older, or of another log, is in its place.
        """
        if self._changed():
            return None
        self._check_age()
        return [self._judge(point) for point in points]

    def _judge(self, point: Point) -> Proof | RefusedPassage:
        fields, head = own(point), self.snapshot.head
        label = f"{fields.get('source', '?')}/{fields.get('document', '?')}"
        if self.snapshot.is_honeytoken(point.id):
            return RefusedPassage(point.id, label, HONEYTOKEN, PLANTED, True)
        row = self.snapshot.find(point.id)
        try:
            same = row is not None and payload_digest(point.id, point.payload) == row.payload
        except (ValueError, TypeError, RecursionError):  # nothing that ever had a canonical form
            same = False
        if row is None or not same:
            claimed = fields.get("commit")
            if isinstance(claimed, int) and claimed > head.commit:
                why = f"it says it came after the snapshot, which is of commit {head.commit}"
                return RefusedPassage(point.id, label, "newer", why, False)
        if row is None:
            return RefusedPassage(
                point.id, label, "unknown", "the snapshot has no such point: nobody proved it", True
            )
        if not same:
            why = "its text, metadata or fields are not those of the snapshot"
            return RefusedPassage(point.id, label, "digest", why, True)
        if vector_digest(point.id, point.vector.tobytes()) != row.vector:
            why = "its vector is not the one of the snapshot: it was moved"
            return RefusedPassage(point.id, label, "digest", why, True)
        return Proof(
            point=point.id,
            digest=str(fields.get("digest")),
            manifest=str(fields.get("manifest")),
            commit=row.commit,
            log_index=row.log_index,
            generation=head.generation,
            newer_waits=row.newer_waits,
            scope=tuple(map(str, fields.get("scope") or ())),
        )

    def _look(self) -> tuple[int, int, int] | None:
        try:
            there = self._path.stat()
        except OSError:
            return None
        return there.st_ino, there.st_size, there.st_mtime_ns

    def _changed(self) -> bool:
        """Whether another snapshot was put in the place of the one in use, and is in use now."""
        mark = self._look()
        if mark in (None, self._mark):
            return False  # a state that is no longer kept leaves what was read good until it is old
        new, old = self._load(), self.snapshot
        self._mark = mark
        if new.tree.size < old.tree.size or new.head.at < old.head.at:
            raise RollbackError(
                f"{self._path}: a snapshot of an older log ({new.tree.size} entries, "
                f"{canonical.format_time(new.head.at)}) was put in the place of one of "
                f"{old.tree.size}",
                hint="Somebody put an old one back: find out who, and publish again.",
            )
        if new.tree.size == old.tree.size and new.tree.root != old.tree.root:
            raise EquivocationError(
                f"{self._path}: two snapshots of {new.tree.size} entries name different logs",
                hint="Run `ragguard log verify` where the workspace is.",
            )
        self.snapshot = new
        return True

    def _load(self) -> Snapshot:
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{self._path}: {error.strerror}", hint="`ragguard publish` writes a snapshot."
            ) from None
        return snapshot.load(data, self._log_key)

    def _check_age(self) -> None:
        at, now = self.snapshot.head.at, self._clock()
        if at - now > AHEAD:
            raise NotYetValidError(
                f"{self._path}: signed {canonical.format_time(at)}, it is "
                f"{canonical.format_time(now)} here",
                hint="Set the clocks.",
            )
        if now - at > self._max_age:
            raise ExpiredError(
                f"{self._path}: signed {canonical.format_time(at)}, which is {now - at} ago; at "
                f"most {self._max_age} was asked for",
                hint="`ragguard publish` again: what was removed or revoked since is not known "
                "here.",
            )
