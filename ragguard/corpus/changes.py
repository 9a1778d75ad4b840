"""Build what a commit does: what of each document stands there now, and what becomes of it.

Every job says what it wants of documents: `admit`, `quarantine`, `remove`, `release`, `deny`,
`migrate`. What that means for versions, points, zones, cases and the log stands here and nowhere
else. One version of a document serves and one waits, at most: who comes takes the other's place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.embed import EmbeddedDocument
from ragguard.corpus.sealing import seal_payload, seals_of
from ragguard.corpus.state import SourceState, state_of
from ragguard.corpus.stored_points import Packs, stored_by_version
from ragguard.ledger import cases
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import CaseRow, DecisionRow, NewCase
from ragguard.ledger.commits import Generation, ManifestRow, next_id
from ragguard.ledger.decided import DenialRow
from ragguard.ledger.log import LogLeaf
from ragguard.ledger.seals import point_id
from ragguard.ledger.tables import cases as case_table
from ragguard.ledger.tables import commits as commit_table
from ragguard.ledger.tables import versions as version_table
from ragguard.ledger.versions import PointRow, VersionRow
from ragguard.ledger.writer import Plan, Write
from ragguard.model import Hidden, Metadata, PublicKey, Verdict
from ragguard.trust import scope
from ragguard.trust.canonical import digest, format_time
from ragguard.trust.decision import Decision
from ragguard.workspace import Workspace

MAX_HIDDEN = 10  # hidden pieces kept with a version
MAX_HIDDEN_TEXT = 1000  # characters of each


@dataclass
class Draft:
    """A plan in the making. Numbers are taken under the workspace lock, so they are final."""

    workspace: Workspace
    generation: Generation
    commit: int
    next_version: int
    next_case: int
    packs: Packs
    versions: list[VersionRow] = field(default_factory=list)
    points: list[PointRow] = field(default_factory=list)
    writes: dict[str, list[Write]] = field(default_factory=dict)
    drops: dict[str, list[str]] = field(default_factory=dict)
    enter: list[tuple[int, str]] = field(default_factory=list)
    leave: list[tuple[int, str]] = field(default_factory=list)
    opens: list[NewCase] = field(default_factory=list)
    closes: list[tuple[int, str]] = field(default_factory=list)
    decisions: list[DecisionRow] = field(default_factory=list)
    denials: list[DenialRow] = field(default_factory=list)
    leaves: list[LogLeaf] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    _standing: dict[str, SourceState] = field(default_factory=dict)
    _spans: dict[int, list[PointRow]] = field(default_factory=dict)
    _stored: dict[int, list[Write]] = field(default_factory=dict)

    # --- what is there now ------------------------------------------------------------------------

    def collection(self, zone: str) -> str:
        """Collection of a zone."""
        return self.generation.serving if zone == "serving" else self.generation.quarantine

    def standing(self, source: str) -> SourceState:
        """Tell what of a source is there before the commit."""
        if source not in self._standing:
            self._standing[source] = state_of(self.workspace, source)
        return self._standing[source]

    def stored(self, rows: Sequence[VersionRow]) -> Mapping[int, Sequence[Write]]:
        """List points of versions as they were planned when they came in, by version.

        Raises:
            LedgerError: See `stored_by_version`.
        """
        lacking = [row for row in rows if row.id not in self._stored]
        if lacking:
            self._stored |= stored_by_version(self.workspace, lacking)
        return self._stored

    @cached_property
    def zones(self) -> Mapping[int, str]:
        """Zone of each version that is in one before the commit."""
        with self.workspace.ledger.reading() as conn:
            return version_rows.zones(conn)

    @cached_property
    def open_cases(self) -> Mapping[str, CaseRow]:
        """Open document cases before the commit, by `source/id`."""
        with self.workspace.ledger.reading() as conn:
            return cases.open_by_label(conn)

    def spans(self, row: VersionRow) -> Sequence[PointRow]:
        """List points of a version that was looked up; none where it was not."""
        return self._spans.get(row.id, ())

    def look_up(self, rows: Iterable[VersionRow]) -> None:
        """Read the points of versions."""
        numbers = [row.id for row in rows if row.id not in self._spans]
        with self.workspace.ledger.reading() as conn:
            self._spans |= version_rows.points_of(conn, numbers)

    def _look_up(self, documents: Iterable[tuple[str, str]]) -> None:
        """Read the points of what documents (source and id) have in either zone."""
        zones = (
            (zone, name)
            for source, name in documents
            for zone in (self.standing(source).serving, self.standing(source).waiting)
        )
        self.look_up(zone[name] for zone, name in zones if name in zone)

    # --- what becomes of documents ----------------------------------------------------------------

    def admit(
        self,
        judged: Sequence[tuple[IncomingDocument, Verdict]],
        embedded: Mapping[str, EmbeddedDocument],
        source: str,
        policy_digest: str,
        manifest: str,
    ) -> None:
        """Bring in what was judged: to serve, to wait for a reviewer, or to be on record only.

        Args:
            judged: Documents of one source, each with its verdict: admit, quarantine or reject.
            embedded: Chunks and vectors of those that are not rejected, by document id.
            source: Whose they are.
            policy_digest: Digest of the contract they were judged under.
            manifest: Digest of the manifest that lists them.
        """
        self._look_up((source, item.document.id) for item, _ in judged)
        for item, verdict in judged:
            document = item.document
            ready = embedded.get(document.id) if verdict.outcome != "reject" else None
            row = VersionRow(
                id=self._next_version(),
                source=document.source,
                document=document.id,
                digest=document.digest,
                metadata=dict(document.metadata),
                metadata_digest=item.metadata_digest,
                policy_digest=policy_digest,
                recipe=self.generation.recipe,
                subject=document.subject,
                subject_digest=document.subject_digest,
                manifest=manifest,
                outcome=verdict.outcome,
                score=verdict.score,
                p_value=verdict.p_value,
                findings=[f.as_dict() for f in verdict.findings],
                hidden=_hidden(ready),
                chunks=len(ready.prepared.chunks) if ready else 0,
                commit=self.commit,
            )
            self.versions.append(row)
            if ready is None:
                self.tell(row, verdict.outcome)
                continue
            zone = "serving" if verdict.outcome == "admit" else "quarantine"
            self.tell(row, verdict.outcome, seals_of(self._bring_in(row, ready, zone)))
            if zone == "serving":
                self._take_place(row)
            self._end_waiting(row, "superseded")
            if zone == "quarantine":
                self.open_case(row)

    def quarantine(self, held: Sequence[tuple[VersionRow, Verdict]]) -> None:
        """Take serving documents back into quarantine, each with a case for a reviewer.

        A version that waits already gives way: it would not have been released as it is, and comes
        again with its next manifest.

        Args:
            held: Serving versions, each with what is said of it now.
        """
        rows = [row for row, _ in held]
        self._look_up((row.source, row.document) for row in rows)
        stored = self.stored(rows)
        for row, verdict in held:
            self._end_waiting(row, "superseded")
            new = replace(
                row,
                id=self._next_version(),
                outcome=verdict.outcome,
                score=verdict.score,
                p_value=verdict.p_value,
                findings=[f.as_dict() for f in verdict.findings],
                commit=self.commit,
            )
            self.versions.append(new)
            self.points += [replace(span, version=new.id) for span in self._spans[row.id]]
            own = {"version": new.id, "commit": self.commit}
            writes = [self._move(write, "quarantine", own) for write in stored[row.id]]
            self._take_out(row, "serving")
            self._put_in(new, "quarantine", writes)
            self.open_case(new)
            self.tell(row, "pulled", seals_of(writes))

    def remove(self, source: str, documents: Sequence[str]) -> None:
        """Take documents of a source out, wherever they are.

        Args:
            source: Whose they are.
            documents: Ids; each serves or waits.
        """
        self._look_up((source, name) for name in documents)
        there = self.standing(source)
        for name in documents:
            row = there.serving.get(name) or there.waiting[name]
            if name in there.serving:
                self._take_out(row, "serving")
            self._end_waiting(row, "withdrawn")
            self.tell(row, "removed")

    def release(self, decided: Sequence[tuple[VersionRow, str]]) -> None:
        """Let waiting versions serve, each in place of the one that does.

        Args:
            decided: The versions, each with the envelope of its decision.
        """
        rows = [row for row, _ in decided]
        self._look_up((row.source, row.document) for row in rows)
        stored = self.stored(rows)
        for row, decision in decided:
            writes = [self._move(write, "serving", {}) for write in stored[row.id]]
            self._put_in(row, "serving", writes)
            self._take_place(row)
            self._end_waiting(row, "released")
            self.tell(row, "released", seals_of(writes), decision)

    def deny(self, decided: Sequence[tuple[VersionRow, str]]) -> None:
        """Take waiting versions out for good; `decided` as for `release`."""
        self._look_up((row.source, row.document) for row, _ in decided)
        for row, decision in decided:
            self._end_waiting(row, "rejected")
            self.tell(row, "denied", decision=decision)

    def migrate(
        self, row: VersionRow, embedded: EmbeddedDocument, zone: str, **changes: Any
    ) -> tuple[VersionRow, list[Write]]:
        """Bring a document in again as the generation's recipe cuts and embeds it.

        Args:
            row: A version of it, by any recipe.
            embedded: Its chunks and vectors by the generation's.
            zone: Where to.
            changes: Fields of the verdict, where that is another one now.

        Returns:
            The new version and its points.
        """
        new = replace(
            row,
            id=self._next_version(),
            recipe=self.generation.recipe,
            hidden=_hidden(embedded),
            chunks=len(embedded.prepared.chunks),
            commit=self.commit,
            **changes,
        )
        self.versions.append(new)
        return new, self._bring_in(new, embedded, zone)

    def deny_like(self, row: VersionRow, text_digest: str, looks: Sequence[bytes]) -> None:
        """Deny the bytes of a version, and keep what it looked like, so that its like is known.

        Args:
            text_digest: Digest of its normalised text.
            looks: MinHash rows, vectors and texts of its chunks, as files.
        """
        sketches, vectors, texts = self.workspace.vault.put_many(looks)
        denial = DenialRow(row.id, row.digest, text_digest, sketches, vectors, texts, self.commit)
        self.denials.append(denial)

    # --- parts ------------------------------------------------------------------------------------

    def open_case(self, row: VersionRow) -> int:
        """Ask a reviewer about a version; returns the number of the case."""
        return self._open("document", row.source, row.document, row.id, {})

    def decide(self, case: int, decision: Decision, reviewer: PublicKey, envelope: str) -> None:
        """Record what a reviewer signed about a case."""
        who = (reviewer.principal, reviewer.keyid)
        row = DecisionRow(
            case,
            decision.action,
            *who,
            decision.reason,
            list(decision.covers),
            envelope,
            self.commit,
        )
        self.decisions.append(row)

    def ask_removal(self, source: str, documents: Sequence[str], manifest: str) -> None:
        """Ask a reviewer whether a source may lose so much at once."""
        detail = {"documents": list(documents), "manifest": manifest}
        self._open("removal", source, "", None, detail)

    def ask_person(self, detail: Mapping[str, Any]) -> int:
        """Ask a person a question that nothing answered; returns the number of the case."""
        return self._open("question", "", "", None, detail)

    def seal(self, row: VersionRow, embedded: EmbeddedDocument, zone: str) -> list[Write]:
        """Return the points of a version, sealed for the collection of a zone, in chunk order."""
        metadata = dict(row.metadata)
        metadata.setdefault("source", row.label)
        writes = []
        for ordinal, chunk in enumerate(embedded.prepared.chunks):
            own = {
                "source": row.source,
                "document": row.document,
                "digest": row.digest,
                "metadata_digest": digest(dict(row.metadata)),
                "manifest": row.manifest,
                "recipe": row.recipe,
                "version": row.id,
                "commit": row.commit,
                "ordinal": ordinal,
                "start": chunk.start,
                "end": chunk.end,
                **self._scope(row.source, row.metadata),
            }
            payload = {"page_content": chunk.text, "metadata": metadata, "ragguard": own}
            point = point_id(
                row.source, row.document, row.digest, chunk.start, chunk.end, row.recipe
            )
            vector = embedded.prepared.vectors[ordinal]
            payload = seal_payload(self.workspace, self.collection(zone), point, vector, payload)
            writes.append(Write(point, payload, *embedded.places[ordinal]))
        return writes

    def _scope(self, source: str, metadata: Metadata) -> dict[str, list[str]]:
        """Which readers a document is for by its source's contract of now; what has none, nobody.

        A point whose scope cannot be told gets none, and no scoped reader sees it.
        """
        known = self.workspace.root.sources.get(source)
        try:
            tokens = scope.tokens(known.policy.scope, metadata) if known else ()
        except ValueError:
            tokens = ()
        return {"scope": list(tokens)} if tokens else {}

    def tell(
        self,
        row: VersionRow,
        outcome: str,
        seals: Sequence[Sequence[str]] = (),
        decision: str = "",
    ) -> None:
        """Count a document, and say in the log what became of it.

        Args:
            outcome: What became of it.
            seals: Id and seal of each of its points.
            decision: Envelope of the decision that it stands on, if it stands on one.
        """
        self.counts[outcome] += 1
        about = (row.source, row.document, row.digest, row.metadata_digest)
        self.leaves.append(LogLeaf(*about, outcome, seals, decision))

    def add_writes(self, zone: str, writes: Iterable[Write]) -> None:
        """Write points into the collection of a zone."""
        self.writes.setdefault(self.collection(zone), []).extend(writes)

    def add_drops(self, zone: str, points: Iterable[str]) -> None:
        """Delete points from the collection of a zone, but for those that are written again."""
        self.drops.setdefault(self.collection(zone), []).extend(points)

    def _next_version(self) -> int:
        self.next_version += 1
        return self.next_version - 1

    def _open(
        self, kind: str, source: str, document: str, version: int | None, detail: Mapping[str, Any]
    ) -> int:
        case = NewCase(self.next_case, kind, source, document, version, detail, self.commit)
        self.opens.append(case)
        self.next_case += 1
        return case.id

    def _bring_in(self, row: VersionRow, embedded: EmbeddedDocument, zone: str) -> list[Write]:
        writes = self.seal(row, embedded, zone)
        self.points += [
            PointRow(row.id, ordinal, write.id, chunk.start, chunk.end, text_digest)
            for ordinal, (write, chunk, text_digest) in enumerate(
                zip(writes, embedded.prepared.chunks, embedded.text_digests, strict=True)
            )
        ]
        self._put_in(row, zone, writes)
        return writes

    def _put_in(self, row: VersionRow, zone: str, writes: Sequence[Write]) -> None:
        self.enter.append((row.id, zone))
        self.add_writes(zone, writes)

    def _take_out(self, row: VersionRow, zone: str) -> None:
        self.leave.append((row.id, zone))
        self.add_drops(zone, [span.point for span in self._spans[row.id]])

    def _take_place(self, row: VersionRow) -> None:
        before = self.standing(row.source).serving.get(row.document)
        if before is not None:
            self._take_out(before, "serving")

    def _end_waiting(self, row: VersionRow, state: str) -> None:
        """Close the open case of a document, if there is one, and take what waits of it out."""
        there = self.standing(row.source)
        case, waiting = there.cases.get(row.document), there.waiting.get(row.document)
        if case is not None:
            self.closes.append((case.id, state))
        if waiting is not None:
            self._take_out(waiting, "quarantine")

    def _move(self, write: Write, zone: str, own: Mapping[str, Any]) -> Write:
        """Return a point as it was planned, sealed for the collection of another zone."""
        before = {k: v for k, v in write.payload["ragguard"].items() if k != "scope"}
        signed = write.payload["metadata"]
        scoped = self._scope(str(before["source"]), signed)
        payload = {**write.payload, "ragguard": {**before, **own, **scoped}}
        vector = self.packs.vector(write)
        name = self.collection(zone)
        return replace(write, payload=seal_payload(self.workspace, name, write.id, vector, payload))

    def finish(
        self,
        kind: str,
        actor: str,
        source: str,
        manifest: ManifestRow | None = None,
        **rest: Any,
    ) -> Plan:
        """Return the plan; point ids that are written are not dropped."""
        for name, ids in self.drops.items():
            written = {w.id for w in self.writes.get(name, ())}
            self.drops[name] = sorted(set(ids) - written)
        return Plan(
            commit=self.commit,
            kind=kind,
            at=format_time(self.workspace.now),
            actor=actor,
            source=source,
            manifest=manifest,
            versions=self.versions,
            points=self.points,
            writes=self.writes,
            drops={name: ids for name, ids in self.drops.items() if ids},
            enter=self.enter,
            leave=self.leave,
            opens=self.opens,
            closes=self.closes,
            decisions=self.decisions,
            denials=self.denials,
            leaves=self.leaves,
            counts=dict(self.counts),
            **rest,
        )


def draft(
    workspace: Workspace, generation: Generation, known: Mapping[str, SourceState] | None = None
) -> Draft:
    """Return an empty draft with its numbers.

    Args:
        workspace: Open and locked.
        generation: Whose collections it changes.
        known: What of some sources is there, where that was read already.
    """
    with workspace.ledger.reading() as conn:
        return Draft(
            workspace,
            generation,
            next_id(conn, commit_table),
            next_id(conn, version_table),
            next_id(conn, case_table),
            Packs(workspace.vault),
            _standing=dict(known or {}),
        )


def _hidden(embedded: EmbeddedDocument | None) -> list[list[str]]:
    pieces: Sequence[Hidden] = embedded.prepared.hidden[:MAX_HIDDEN] if embedded else ()
    return [[piece.kind, piece.text[:MAX_HIDDEN_TEXT]] for piece in pieces]
