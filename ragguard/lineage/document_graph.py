"""Draw the lineage of a document or a chunk, points to checkpoint, each step verified.

Beside the chain of custody (`custody`), which is what the log proves to a stranger, this holds
every row of the ledger about the document against the plan that the log names, and says of each
step by itself whether it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import sqlalchemy as sa

from ragguard.corpus.cosigners import signed_by
from ragguard.corpus.provenance import ManifestStanding, Signatures, forgery
from ragguard.errors import IntegrityError, LedgerError, RagguardError, VaultError
from ragguard.ledger import cases, versions, versions_at
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.commits import Generation, ManifestRow
from ragguard.ledger.tables import cases as case_table
from ragguard.ledger.tables import commits as commit_table
from ragguard.ledger.versions import PointRow, VersionRow, ZoneStay
from ragguard.ledger.versions_at import DecidedCase, Membership
from ragguard.lineage.graph import Lineage, Sketch, State, differing, unproved, verified, wrong
from ragguard.lineage.logged import LogNodes
from ragguard.lineage.prove import find_version
from ragguard.trust import decision as decisions
from ragguard.trust import dsse
from ragguard.trust.canonical import format_time, parse_time
from ragguard.workspace import Workspace

SWITCHING = ("reindex", "stage", "cutover", "rollback")  # they seal documents that do not move
MAX_BYTES = 1 << 30  # it was accepted once, under the limits of that day
_COLUMNS = [column.name for column in fields(VersionRow)]

Checked = tuple[State, str]


@dataclass(frozen=True)
class _Rows:
    """What the ledger has about a document."""

    versions: Sequence[VersionRow]
    stays: Sequence[Membership]
    cases: Sequence[CaseRow]
    decided: Sequence[DecidedCase]
    points: Mapping[int, Sequence[PointRow]]
    switching: Sequence[int]
    at: Mapping[int, VersionRow] = field(default_factory=dict)


def document_lineage(workspace: Workspace, what: str) -> Lineage:
    """Verify where a document comes from, step by step.

    Args:
        workspace: Open; the index is read.
        what: Point id, or `source/id`.

    Raises:
        UsageError: Nothing of that name was ever committed.
        StoreError, LockedError: The index cannot be read.
    """
    row = find_version(workspace, what)
    return _Document(workspace, row, what).whole()


def _read(workspace: Workspace, row: VersionRow) -> _Rows:
    with workspace.ledger.reading() as conn:
        rows = versions_at.versions_named(conn, row.source, row.document)
        stays = versions_at.stays_named(conn, [r.id for r in rows])
        here = [s.version for s in stays if s.until is None]
        switches = sa.select(commit_table.c.id).where(
            commit_table.c.kind.in_(SWITCHING),
            commit_table.c.state == "confirmed",
            commit_table.c.id > min(r.commit for r in rows),
        )
        about = sa.select(case_table.c.id).where(
            case_table.c.source == row.source, case_table.c.document == row.document
        )
        numbers = conn.execute(about.order_by(case_table.c.id)).scalars().all()
        return _Rows(
            rows,
            stays,
            [case for n in numbers if (case := cases.get(conn, n)) is not None],
            versions_at.decisions_on(conn, row.source, row.document),
            versions.points_of(conn, here),
            list(conn.execute(switches).scalars()),
            {r.id: r for r in rows},
        )


class _Document:
    """One document being looked at."""

    def __init__(self, workspace: Workspace, row: VersionRow, what: str) -> None:
        self._workspace = workspace
        self._row = row
        self._what = what
        self._sketch = Sketch()
        self._rows = _read(workspace, row)
        self._signatures = Signatures(workspace)
        self._standings: dict[str, ManifestStanding] = {}
        self._logged = LogNodes(workspace, self._sketch)

    def whole(self) -> Lineage:
        """Draw all steps, the newest version first."""
        newest = ""
        for row in reversed(self._rows.versions):
            name = self._version(row)
            if newest:
                self._sketch.link(newest, "replaced", name)
            newest = name
        for case in self._rows.cases:
            self._case(case)
        for decided in self._rows.decided:
            self._decision(decided)
        generation = self._workspace.generation()
        for stay in self._rows.stays:
            self._stay(stay, generation)
        asked = f"point:{self._what}"
        focus = asked if asked in self._sketch else f"version:{self._row.id}"
        return self._sketch.finish(self._row.label, "document", focus)

    # --- what was signed, and what was judged -----------------------------------------------------

    def _version(self, row: VersionRow) -> str:
        commit = self._logged.add(row.commit)
        manifest = self._manifest(row)
        facts = {
            "version": row.id,
            "digest": row.digest,
            "metadata": dict(row.metadata),
            "verdict": row.outcome,
            "score": row.score,
            "p_value": row.p_value,
            "checks": [str(f["check"]) for f in row.findings],
            "subject": row.subject,
            "recipe": row.recipe,
        }
        label = f"version {row.id}: {row.outcome}"
        name = self._sketch.add("version", row.id, label, self._check_version(row), facts)
        self._sketch.link(name, "judged in", commit)
        self._sketch.link(name, "listed in", manifest)
        self._sketch.link(name, "read from", self._bytes(row))
        return name

    def _check_version(self, row: VersionRow) -> Checked:
        plan = self._logged.plan(row.commit)
        if plan is None:
            return unproved(f"commit {row.commit} is not proved")
        planned = {version.id: version for version in plan.versions}.get(row.id)
        if planned is None:
            return wrong(f"commit {row.commit} made no such version")
        if others := differing(row, planned, _COLUMNS):
            return wrong(f"its {' and '.join(others)} in the ledger: commit {row.commit} has other")
        standing = self._standing(row.manifest)
        subjects = {s.name: s for s in standing.manifest.subjects} if standing.manifest else {}
        if standing.forged or standing.damaged:
            return unproved("its manifest is not proved")
        if reason := forgery(row, standing, subjects):
            return wrong(reason)
        if self._sketch.state(f"commit:{row.commit}") != "verified":
            return unproved(f"commit {row.commit} is not proved")
        return verified("bytes, metadata and verdict are as its manifest and its commit have them")

    def _bytes(self, row: VersionRow) -> str:
        name = row.subject_digest
        kept = [r for r in self._rows.versions if r.subject_digest == name]
        try:
            size = len(self._workspace.vault.get(name))
            checked = verified("the vault's bytes have this digest")
        except VaultError as error:
            size = None
            if all(r.outcome == "reject" for r in kept):
                checked = unproved("what was rejected on arrival is not kept")
            else:
                checked = wrong(error.message)
        facts = {"sha256": name, "bytes": size}
        return self._sketch.add("bytes", name, f"signed bytes {name[:12]}…", checked, facts)

    def _standing(self, digest: str) -> ManifestStanding:
        if digest not in self._standings:
            self._standings[digest] = self._signatures.examine(digest)
        return self._standings[digest]

    def _manifest(self, row: VersionRow) -> str:
        """Return the manifest of a version, its signers, and the commit that accepted it."""
        name = f"manifest:{row.manifest}"
        if name in self._sketch:
            return name
        standing, kept = self._standing(row.manifest), self._signatures.rows.get(row.manifest)
        adopted = standing.adopted is not None
        kind = "record of an adoption" if adopted else "manifest"
        if kept is None:
            label = f"{kind} {row.manifest[:12]}…"
            return self._sketch.add("manifest", row.manifest, label, wrong(standing.forged))
        accepted = self._logged.add(kept.commit)
        label = f"{kind} of {kept.source}" + ("" if adopted else f", version {kept.version}")
        facts = {
            "digest": row.manifest,
            "source": kept.source,
            "version": kept.version,
            "expires": kept.expires,
            "envelope": kept.envelope,
            "contract": standing.contract or None,
        }
        self._sketch.add("manifest", row.manifest, label, self._check_manifest(kept), facts)
        self._sketch.link(name, "accepted in", accepted)
        self._signers(kept, standing, name)
        return name

    def _check_manifest(self, kept: ManifestRow) -> Checked:
        standing = self._standing(kept.digest)
        if standing.damaged or standing.forged:
            return wrong(standing.damaged or standing.forged)
        plan = self._logged.plan(kept.commit)
        if plan is not None and self._logged.manifest_of(kept.commit) != kept.digest:
            return wrong(f"commit {kept.commit} accepted another manifest")
        if standing.revoked and not standing.lost:
            return wrong(standing.revoked)
        if plan is None or self._sketch.state(f"commit:{kept.commit}") != "verified":
            return unproved(f"commit {kept.commit} is not proved")
        if standing.adopted is not None:
            return verified("as it was logged; nobody signed it")
        return verified("its payload has this digest, and the log names it")

    def _signers(self, kept: ManifestRow, standing: ManifestStanding, manifest: str) -> None:
        """Whose signatures are on a manifest, and whether each verifies."""
        listed = {str(keyid): str(principal) for keyid, principal in kept.signers}
        root = self._workspace.root
        verified_keyids: set[str] = set()
        readable = standing.manifest is not None
        if readable:
            try:
                data = self._workspace.vault.get(kept.envelope)
                parsed = dsse.parse_envelope(data, max_bytes=MAX_BYTES)
                result = dsse.verify(parsed, root.keys, payload_type=dsse.IN_TOTO, threshold=1)
                verified_keyids = {key.keyid for key in result.signed}
            except RagguardError:
                readable = False
        vouched = bool(standing.lost) and self._vouched(kept.digest, standing)
        for keyid in sorted(listed.keys() | verified_keyids):
            key, gone = root.keys.get(keyid), root.revoked.get(keyid)
            principal = key.principal if key is not None else listed.get(keyid, "?")
            if not readable:
                checked = unproved("the manifest cannot be read")
            elif key is None:
                checked = unproved("the trust root of today does not know this key")
            elif keyid not in verified_keyids:
                checked = wrong("the ledger names it, and its signature does not verify")
            elif keyid in standing.lost and not vouched:
                since = format_time(gone.at) if gone is not None else "before"
                checked = wrong(f"its signature verifies; the key was revoked, {since}")
            elif keyid in standing.lost:
                checked = unproved("the key was revoked; a reviewer or a later manifest vouches")
            else:
                checked = verified("its Ed25519 signature over the manifest verifies")
            facts = {
                "principal": principal,
                "keyid": keyid,
                "counted": keyid in listed,
                "revoked": format_time(gone.at) if gone is not None else None,
            }
            name = self._sketch.add(
                "signer", f"{kept.digest[:12]}:{keyid}", principal, checked, facts
            )
            self._sketch.link(manifest, "signed by", name)

    def _vouched(self, digest: str, standing: ManifestStanding) -> bool:
        """Tell whether what stands on a manifest of a revoked key stands on something else too."""
        here = [s for s in self._rows.stays if s.until is None]
        rows = [ZoneStay(**vars(self._rows.at[s.version]), since=s.since) for s in here]
        mine = [row for row in rows if row.manifest == digest]
        return bool(mine) and all(self._signatures.vouched(row, standing) for row in mine)

    # --- what people decided ----------------------------------------------------------------------

    def _case(self, case: CaseRow) -> None:
        opened = self._logged.add(case.opened)
        facts = {
            "case": case.id,
            "state": case.state,
            "opened": case.opened,
            "closed": case.closed,
        }
        label = f"case {case.id}: {case.state}"
        name = self._sketch.add("case", case.id, label, self._check_case(case), facts)
        self._sketch.link(name, "opened in", opened)
        if case.version is not None:
            self._sketch.link(f"version:{case.version}", "waits as", name)
        if case.closed is not None:
            self._sketch.link(name, "closed in", self._logged.add(case.closed))

    def _check_case(self, case: CaseRow) -> Checked:
        plan = self._logged.plan(case.opened)
        if plan is None:
            return unproved(f"commit {case.opened} is not proved")
        planned = {opened.id: opened for opened in plan.opens}.get(case.id)
        names = ("kind", "source", "document", "version")
        if planned is None or differing(case, planned, names):
            return wrong(f"commit {case.opened} opened no such case")
        if case.closed is None:
            return verified("opened as the log has it, and not decided")
        ending = self._logged.plan(case.closed)
        if ending is None:
            return unproved(f"commit {case.closed} is not proved")
        if (case.id, case.state) not in ending.closes:
            return wrong(f"commit {case.closed} did not close it as {case.state}")
        return verified("opened and closed as the log has it")

    def _decision(self, row: DecidedCase) -> None:
        checked, keyid = self._check_decision(row)
        facts = {
            "case": row.case,
            "action": row.action,
            "reviewer": row.reviewer,
            "reason": row.reason,
            "covers": list(row.covers),
            "envelope": row.envelope,
        }
        label = f"{row.action} by {row.reviewer}"
        name = self._sketch.add(
            "decision", f"{row.case}:{row.envelope[:16]}", label, checked, facts
        )
        self._sketch.link(f"case:{row.case}", "decided by", name)
        self._sketch.link(name, "carried out in", self._logged.add(row.commit))
        key = self._workspace.root.keys.get(keyid)
        if key is not None:
            gone = self._workspace.root.revoked.get(keyid)
            about = {
                "principal": key.principal,
                "keyid": keyid,
                "revoked": format_time(gone.at) if gone is not None else None,
            }
            proved = verified("its Ed25519 signature over the decision verifies")
            person = self._sketch.add("reviewer", keyid, key.principal, proved, about)
            self._sketch.link(name, "signed by", person)

    def _check_decision(self, row: DecidedCase) -> tuple[Checked, str]:
        """Tell whether a reviewer of that day signed just this, and the key that did."""
        about = self._rows.at.get(row.version or 0)
        if about is None:
            return wrong("it is about a version that there is not"), ""
        try:
            decision, keyid = self._authenticate(row, about)
        except RagguardError as error:
            return wrong(error.message), ""
        known = self._workspace.root.keys.get(keyid)
        principal = known.principal if known is not None else row.reviewer
        told = (
            decision.case,
            decision.action,
            decision.digest,
            decision.metadata_digest,
            decision.reason,
        )
        mine = (row.case, row.action, about.digest, about.metadata_digest, row.reason)
        same = (told, keyid, principal) == (mine, row.keyid, row.reviewer)
        if not same and not (self._taken_over(row) and told[1:4] == mine[1:4]):
            return wrong("what was signed is not what the ledger has"), keyid
        if self._sketch.state(f"commit:{row.commit}") != "verified":
            return unproved(f"commit {row.commit} is not proved"), keyid
        return verified("signed by a reviewer of its day who did not sign the document"), keyid

    def _taken_over(self, row: DecidedCase) -> bool:
        """Tell whether a decision was made in another workspace, on a case with another number."""
        commit = self._logged.rows.get(row.commit)
        return commit is not None and commit.kind == "restore"

    def _authenticate(self, row: DecidedCase, about: VersionRow) -> tuple[decisions.Decision, str]:
        """The decision that the vault has, by a reviewer of one of the trust roots that may count.

        Raises:
            RagguardError: It is gone, or nobody of them signed it.
        """
        self._logged.add(row.commit)
        data = self._workspace.vault.get(row.envelope)
        roots, at = [self._signatures.root_at(row.commit)], decisions.unverified(data).at
        commit = self._logged.rows.get(row.commit)
        if self._taken_over(row):
            roots = [*roots, *self._signatures.all_roots()]
        elif commit is not None:
            at = parse_time(commit.at)
        kept = self._signatures.rows.get(about.manifest)
        signers = []
        if kept is not None:
            try:
                signers = [i for i, _ in signed_by(self._workspace, kept.envelope, kept.signers)]
            except VaultError:  # its own step says so
                signers = [str(keyid) for keyid, _ in kept.signers]
        refused: IntegrityError | None = None
        for root in roots:
            try:
                decision, key = decisions.authenticate(data, root, signers, at)
            except IntegrityError as error:
                refused = refused or error
            else:
                return decision, key.keyid
        raise refused or LedgerError(f"decision on case {row.case}: no trust root to ask")

    # --- where it stands --------------------------------------------------------------------------

    def _stay(self, stay: Membership, generation: Generation | None) -> None:
        since = self._logged.add(stay.since)
        ends = f" until commit {stay.until}" if stay.until is not None else ""
        word = "serves" if stay.zone == "serving" else "waits"
        label = f"{word} since commit {stay.since}{ends}"
        facts = {"zone": stay.zone, "since": stay.since, "until": stay.until}
        key = f"{stay.version}:{stay.zone}:{stay.since}"
        name = self._sketch.add("stay", key, label, self._check_stay(stay), facts)
        self._sketch.link(name, "of", f"version:{stay.version}")
        self._sketch.link(name, "began in", since)
        if stay.until is not None:
            self._sketch.link(name, "ended in", self._logged.add(stay.until))
        elif generation is not None:
            serving = stay.zone == "serving"
            collection = generation.serving if serving else generation.quarantine
            self._points(stay, collection, name)

    def _check_stay(self, stay: Membership) -> Checked:
        began = self._logged.plan(stay.since)
        if began is None:
            return unproved(f"commit {stay.since} is not proved")
        pair = (stay.version, stay.zone)
        if pair not in began.enter:
            return wrong(f"commit {stay.since} did not put it there")
        if stay.until is None:
            return verified("the commit that began it says so")
        ended = self._logged.plan(stay.until)
        if ended is None:
            return unproved(f"commit {stay.until} is not proved")
        if pair not in ended.leave:
            return wrong(f"commit {stay.until} did not take it out")
        return verified("the commits that began and ended it say so")

    def _points(self, stay: Membership, collection: str, name: str) -> None:
        """Points of what stands in a zone, and their seals, in the ledger and as logged."""
        listed = self._rows.points.get(stay.version, ())
        with self._workspace.ledger.reading() as conn:
            kept = {p.point: versions.seal_of(conn, collection, p.point) for p in listed}
        own = {row.commit for row in self._rows.versions} | set(self._rows.switching)
        own |= {membership.since for membership in self._rows.stays}
        own |= {decided.commit for decided in self._rows.decided}
        written = self._logged.newest_seals(kept, collection, own)
        logged = {point: value for point, (value, _) in written.items()}
        seals = self._seals(stay, collection, kept, logged)
        self._sketch.link(seals, "of", name)
        for number in sorted({number for _, number in written.values()}):
            self._sketch.link(seals, "written in", self._logged.add(number))
        store = self._workspace.open_store()
        stored = {p.id: p for p in store.get(collection, list(kept), vectors=True)}
        for place in listed:
            point = stored.get(place.point)
            expected = logged.get(place.point) or kept[place.point]
            if point is None:
                checked = wrong("the index has no such point")
            else:
                payload = point.payload
                seal = self._workspace.committer.seal(collection, point.id, point.vector, payload)
                carried = (payload.get("ragguard") or {}).get("seal")
                if seal != expected:
                    checked = wrong("its vector or payload is not what was written")
                elif carried != seal:
                    checked = wrong("it carries another seal than its own")
                else:
                    checked = verified("vector and payload have the seal that was logged")
            facts = {
                "point": place.point,
                "collection": collection,
                "passage": place.ordinal + 1,
                "start": place.start,
                "end": place.end,
                "text": place.text_digest,
            }
            label = f"passage {place.ordinal + 1}, point {place.point[:8]}…"
            dot = self._sketch.add("point", place.point, label, checked, facts)
            self._sketch.link(dot, "sealed by", seals)

    def _seals(
        self,
        stay: Membership,
        collection: str,
        kept: Mapping[str, str | None],
        logged: Mapping[str, str],
    ) -> str:
        """Return the ledger's seals of points, held against those that the log's plans have."""
        lacking = [point for point in kept if point not in logged]
        others = [p for p, value in kept.items() if p in logged and value != logged[p]]
        if others:
            checked = wrong(f"{len(others)} of {len(kept)} in the ledger are not the logged ones")
        elif lacking:
            checked = unproved(f"no proved commit wrote {len(lacking)} of {len(kept)} points")
        else:
            checked = verified("the ledger's are those of the logged plan")
        facts = {"collection": collection, "points": len(kept), "zone": stay.zone}
        label = f"{len(kept)} seal{'s' if len(kept) != 1 else ''} in {collection}"
        return self._sketch.add("seals", f"{stay.version}:{collection}", label, checked, facts)
