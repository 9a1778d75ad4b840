"""Hold passages found against the ledger, in the process that has the workspace.

A passage is proved now when the point is the one that was sealed for this collection, its document
serves in the ledger's view and is not denied, and what it stands on has signatures enough under the
trust of today. Membership, seal and denial are read again whenever anything was committed to the
ledger's database; signatures are verified again whenever the log has grown or the trust root is
another one.

In between, a point that comes back as it was, byte for byte, is still proved: what was proved is
kept with a digest of vector and payload, and forgotten with what was read.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest

from ragguard.corpus.provenance import ManifestStanding, Signatures, forgery, signed_metadata
from ragguard.detect.view import own
from ragguard.errors import UsageError
from ragguard.ledger import log
from ragguard.ledger.commits import Generation
from ragguard.ledger.serving_points import (
    ServingPoint,
    log_size,
    serving_points,
    stays_of,
    zone_of_point,
)
from ragguard.ledger.versions import ZoneStay
from ragguard.model import Subject
from ragguard.serving.answer import HONEYTOKEN, PLANTED, Proof, RefusedPassage
from ragguard.serving.ranking import Merits
from ragguard.serving.receipt import Basis
from ragguard.store import Point
from ragguard.trust import scope
from ragguard.workspace import Workspace

MOST = 100_000  # points and versions that are remembered


class AgainstLedger:
    """Evidence of the process that holds the workspace.

    Args:
        workspace: Open and locked; it stays open as long as this is used.
        asked: Whether questions are put to the index: then the encoder must be the index's.
        ranked: Whether it is asked for merits.

    Raises:
        UsageError: Nothing was ingested yet.
        ModelDigestError, RecipeMismatchError: The settings are not those of the serving index.
    """

    def __init__(self, workspace: Workspace, *, asked: bool = True, ranked: bool = False) -> None:
        self._workspace, self._asked, self._ranked = workspace, asked, ranked
        self._merits: Merits | None = None
        # By version and commit of its stay: without, and with a newer version that waits.
        self._merit: dict[tuple[int, int], tuple[float, float]] = {}
        self._seen = (-1, -1)  # size of the log and version of the root that all below is of
        self._generation: Generation | None = None
        self._scoped, self._checkpoint = False, ""
        self._watch = workspace.ledger.watch()
        self._mark: int | None = None  # of the state of the database that `_rows` are of
        self._rows: dict[str, ServingPoint] = {}
        # By point, as long as `_rows` holds: digest of what it was, and what proved it.
        self._proved: dict[str, tuple[bytes, Proof]] = {}
        self._signatures: Signatures | None = None
        self._standings: dict[str, tuple[ManifestStanding, Mapping[str, Subject]]] = {}
        # By version and commit of its stay: what today's trust has against it, and its scope.
        self._known: dict[tuple[int, int], tuple[str, tuple[str, ...]]] = {}
        self._take_up()

    @property
    def collection(self) -> str:
        """Collection to ask."""
        return self._serving().serving

    @property
    def basis(self) -> Basis:
        """What answers are proved under."""
        return Basis(self._workspace.origin, self._checkpoint, self._serving().id)

    @property
    def scoped(self) -> bool:
        """Whether scopes are on."""
        return self._scoped

    @property
    def groups(self) -> Mapping[str, int] | None:
        """See `Merits.groups`; `None` where it was not opened for ranking."""
        return None if self._merits is None else self._merits.groups

    def merits(self, proofs: Sequence[Proof]) -> list[float]:
        """Merit of passages that the last call of `judge` proved, see `ranking`."""
        rows = (self._rows[proof.point] for proof in proofs)
        unknown = (0.0, 0.0)
        return [self._merit.get((row.version, row.since), unknown)[row.newer_waits] for row in rows]

    def judge(self, points: Sequence[Point]) -> list[Proof | RefusedPassage] | None:
        """Say of each point what proves it, or why nothing does.

        Returns:
            `None` where corpus or trust have changed since the last call.
        """
        serving = self._serving()
        ids = [point.id for point in points]
        self._workspace.follow_root()
        zones = self._look_up(serving.serving, ids)
        if zones is None:
            self._take_up()
            return None
        rows, proved = self._rows, self._proved
        judgements: list[Proof | RefusedPassage] = []
        for point in points:
            row, content = rows.get(point.id), _content(point)
            if row is None:
                judgements.append(_unknown(point, zones[point.id]))
                continue
            before, proof = proved.get(point.id, (None, None))
            if proof is not None and before == content:
                judgements.append(proof)
                continue
            judgements.append(self._judge(point, serving, row))
            if content is not None and isinstance(judgements[-1], Proof):
                proved[point.id] = content, judgements[-1]
        return judgements

    def _look_up(self, collection: str, ids: Sequence[str]) -> dict[str, str | None] | None:
        """Read what the ledger has of points, as far as it may have changed.

        Returns:
            Zones of those that no serving document has; `None` where the log has grown or another
            root is in force.
        """
        mark = self._watch()
        fresh = mark is not None and mark == self._mark
        if len(self._known) >= MOST:
            self._known, self._merit, fresh = {}, {}, False
        if not fresh or len(self._rows) >= MOST:
            self._rows, self._proved = {}, {}
        new = [i for i in ids if i not in self._rows]
        if fresh and not new and self._workspace.root.version == self._seen[1]:
            return {}
        with self._workspace.ledger.reading() as conn:
            if (log_size(conn), self._workspace.root.version) != self._seen:
                return None
            rows = serving_points(conn, collection, new)
            zones = {i: zone_of_point(conn, i) for i in new if i not in rows}
            unknown = {r.version for r in rows.values() if (r.version, r.since) not in self._known}
            stays = stays_of(conn, sorted(unknown)) if unknown else {}
        for stay in stays.values():
            self._remember(stay)
        self._rows |= rows
        self._mark = mark
        return zones

    def _take_up(self) -> None:
        """Read what serves, and under which trust, anew."""
        workspace = self._workspace
        workspace.follow_root()
        with workspace.ledger.reading() as conn:
            seen = (log_size(conn), workspace.root.version)
            self._checkpoint = log.kept_checkpoints(conn)[-1][1]
        self._generation = workspace.generation()
        self._serving()
        if self._asked:
            workspace.check_recipe(workspace.encoder.recipe, cut=False)
        self._signatures, self._scoped = Signatures(workspace), scope.is_on(workspace.root)
        self._standings, self._known, self._seen = {}, {}, seen
        self._rows, self._proved, self._mark = {}, {}, None
        self._merit, self._merits = {}, Merits(workspace) if self._ranked else None

    def _serving(self) -> Generation:
        if self._generation is None:
            raise UsageError(
                "nothing to search: no manifest was ingested yet",
                hint="`ragguard sign` documents, then `ragguard ingest` the manifest.",
            )
        return self._generation

    def _judge(self, point: Point, asked: Generation, row: ServingPoint) -> Proof | RefusedPassage:
        if not self._sealed(point, asked.serving, row.seal):
            return RefusedPassage(
                point.id, row.label, "seal", "the point is not the one the ledger knows", True
            )
        if row.denied:
            return RefusedPassage(
                point.id, row.label, "denied", "a reviewer rejected exactly these bytes", True
            )
        known = self._workspace.root.sources.get(row.source)
        if known is not None and known.policy.honeytoken:
            return RefusedPassage(point.id, row.label, HONEYTOKEN, PLANTED, True)
        unknown = ("its provenance is unknown", ())
        wrong, tokens = self._known.get((row.version, row.since), unknown)
        if wrong:
            return RefusedPassage(point.id, row.label, "provenance", wrong, False)
        if self.scoped and (not tokens or own(point).get("scope") != list(tokens)):
            why = "its access scope is not one that its source's contract gives it today"
            return RefusedPassage(point.id, row.label, "scope", why, False)
        return Proof(
            point=point.id,
            digest=row.digest,
            manifest=row.manifest,
            commit=row.since,
            log_index=row.log_index,
            generation=asked.id,
            newer_waits=row.newer_waits,
            scope=tokens,
        )

    def _sealed(self, point: Point, collection: str, known: str) -> bool:
        """Tell whether a point is the one that was sealed; its payload may be anything."""
        carried = own(point).get("seal")
        try:
            seal = self._workspace.committer.seal(collection, point.id, point.vector, point.payload)
        except (ValueError, TypeError, RecursionError):  # nothing that ever had a canonical form
            return False
        return carried == seal and compare_digest(seal, known)

    def _remember(self, stay: ZoneStay) -> None:
        wrong, subject = self._provenance(stay)
        self._known[stay.id, stay.since] = wrong, self._scope(stay, subject)
        if self._merits is not None:
            plain, waits = self._merits.of(stay, False), self._merits.of(stay, True)
            self._merit[stay.id, stay.since] = plain, waits

    def _scope(self, row: ZoneStay, subject: Subject | None) -> tuple[str, ...]:
        """List tokens of a document by its source's contract of today; none where it says none."""
        known = self._workspace.root.sources.get(row.source)
        rules = known.policy.scope if known is not None else ()
        try:
            return scope.tokens(rules, signed_metadata(row, subject))
        except ValueError:
            return ()

    def _provenance(self, row: ZoneStay) -> tuple[str, Subject | None]:
        """Tell what today's trust has against a document, empty when nothing; and what signs it."""
        signatures = self._signatures
        if signatures is None:
            return "its provenance is unknown", None
        if row.manifest not in self._standings:
            examined = signatures.examine(row.manifest)
            subjects = {s.name: s for s in examined.manifest.subjects} if examined.manifest else {}
            self._standings[row.manifest] = examined, subjects
        standing, listed = self._standings[row.manifest]
        subject = listed.get(row.subject)
        if wrong := standing.damaged or forgery(row, standing, listed):
            return wrong, subject
        if standing.adopted is not None:
            return "", None  # nobody signs for it, and a reviewer or the operator let it serve
        if row.source not in self._workspace.root.sources:
            return f"the trust root knows no source {row.source!r} any more", subject
        if standing.revoked and not signatures.vouched(row, standing):
            return standing.revoked, subject
        return "", subject


def _content(point: Point) -> bytes | None:
    """SHA-256 of a point's payload, value by value, and vector; `None`: not of plain values.

    Finer than the seal: what differs for it, such as `true` and `1`, differs here too.
    """
    try:
        payload = marshal.dumps(dict(point.payload), 2)  # of this version: by value, no references
    except ValueError:
        return None
    return sha256(payload + point.vector.tobytes()).digest()


def _unknown(point: Point, zone: str | None) -> RefusedPassage:
    """A point of the serving collection that no serving document has, as the ledger sees it."""
    fields = own(point)
    label = f"{fields.get('source', '?')}/{fields.get('document', '?')}"
    if zone is None:
        return RefusedPassage(point.id, label, "unknown", "no commit put such a point there", True)
    if zone == "quarantine":
        return RefusedPassage(point.id, label, "waiting", "its document waits for a reviewer", True)
    why = (
        "its document serves, and not with this point in this collection"
        if zone == "serving"
        else "its document serves no more"
    )
    return RefusedPassage(point.id, label, "not-current", why, True)
