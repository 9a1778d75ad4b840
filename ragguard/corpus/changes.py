"""Planning: from verdicts to everything a commit will do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ragguard.corpus.documents import Incoming
from ragguard.corpus.embed import Embedded
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.commits import Generation, next_id
from ragguard.ledger.seals import point_id
from ragguard.ledger.tables import cases as case_table
from ragguard.ledger.tables import commits as commit_table
from ragguard.ledger.tables import versions as version_table
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Plan, Write
from ragguard.model import Finding, Verdict
from ragguard.trust.canonical import digest, format_time
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
    versions: list[dict[str, Any]] = field(default_factory=list)
    points: list[dict[str, Any]] = field(default_factory=list)
    writes: dict[str, list[Write]] = field(default_factory=dict)
    drops: dict[str, list[str]] = field(default_factory=dict)
    enter: list[tuple[int, str]] = field(default_factory=list)
    leave: list[tuple[int, str]] = field(default_factory=list)
    opens: list[dict[str, Any]] = field(default_factory=list)
    closes: list[tuple[int, str]] = field(default_factory=list)
    leaves: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def collection(self, zone: str) -> str:
        """Collection of a zone."""
        return self.generation.serving if zone == "serving" else self.generation.quarantine

    def take_out(self, row: VersionRow, zone: str, points: Sequence[Any]) -> None:
        """End a version's stay in a zone; points written again in this commit stay."""
        self.leave.append((row.id, zone))
        self.drops.setdefault(self.collection(zone), []).extend(p.point for p in points)

    def put_in(self, version: int, zone: str, writes: Sequence[Write]) -> None:
        """Begin a version's stay in a zone."""
        self.enter.append((version, zone))
        self.writes.setdefault(self.collection(zone), []).extend(writes)

    def finish(
        self,
        kind: str,
        actor: str,
        source: str,
        manifest: Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> Plan:
        """The plan; point ids that are written are not dropped."""
        for name, ids in self.drops.items():
            written = {w.id for w in self.writes.get(name, ())}
            self.drops[name] = sorted(set(ids) - written)
        return Plan(
            commit=self.commit,
            kind=kind,
            at=format_time(self.workspace.now),
            actor=actor,
            source=source,
            manifest=dict(manifest or {}),
            versions=self.versions,
            points=self.points,
            writes=self.writes,
            drops={name: ids for name, ids in self.drops.items() if ids},
            enter=self.enter,
            leave=self.leave,
            opens=self.opens,
            closes=self.closes,
            leaves=self.leaves,
            counts=dict(self.counts),
            **rest,
        )


def draft(workspace: Workspace, generation: Generation) -> Draft:
    """An empty draft with its numbers."""
    with workspace.ledger.reading() as conn:
        return Draft(
            workspace,
            generation,
            next_id(conn, commit_table),
            next_id(conn, version_table),
            next_id(conn, case_table),
        )


@dataclass(frozen=True)
class Standing:
    """What of a source is there now.

    Attributes:
        serving: Serving versions by document id.
        waiting: Quarantined versions by document id.
        cases: Open document cases by document id.
        removals: Open removal cases.
    """

    serving: Mapping[str, VersionRow]
    waiting: Mapping[str, VersionRow]
    cases: Mapping[str, CaseRow]
    removals: Sequence[CaseRow]


def add_document(
    plan: Draft,
    item: Incoming,
    verdict: Verdict,
    embedded: Embedded | None,
    standing: Standing,
    policy_digest: str,
    recipe: str,
    manifest: str,
    points: Mapping[int, Sequence[Any]],
) -> None:
    """Put a judged document into the plan.

    Args:
        plan: Draft.
        item: The document.
        verdict: Its verdict: admit, quarantine or reject.
        embedded: Its chunks and vectors; `None` when rejected.
        standing: What of its source is there now.
        policy_digest: Digest of the contract it was judged under.
        recipe: Recipe digest.
        manifest: Manifest digest.
        points: Points of the versions now there.
    """
    document = item.document
    number = plan.next_version
    plan.next_version += 1
    hidden = embedded.prepared.hidden if embedded else ()
    plan.versions.append(
        {
            "id": number,
            "source": document.source,
            "document": document.id,
            "digest": document.digest,
            "metadata": dict(document.metadata),
            "metadata_digest": item.metadata_digest,
            "policy_digest": policy_digest,
            "recipe": recipe,
            "subject": document.subject,
            "subject_digest": document.subject_digest,
            "manifest": manifest,
            "outcome": verdict.outcome,
            "score": verdict.score,
            "p_value": verdict.p_value,
            "findings": [finding_body(f) for f in verdict.findings],
            "hidden": [[h.kind, h.text[:MAX_HIDDEN_TEXT]] for h in hidden[:MAX_HIDDEN]],
            "chunks": len(embedded.prepared.chunks) if embedded else 0,
            "commit": plan.commit,
        }
    )
    plan.counts[verdict.outcome] += 1
    leaf = {
        "source": document.source,
        "document": document.id,
        "digest": document.digest,
        "metadata": item.metadata_digest,
        "outcome": verdict.outcome,
    }
    if embedded is None:
        plan.leaves.append({**leaf, "points": []})
        return
    zone = "serving" if verdict.outcome == "admit" else "quarantine"
    writes = point_writes(plan, number, plan.commit, item, embedded, zone, recipe, manifest)
    plan.points += point_rows(number, writes, embedded)
    plan.put_in(number, zone, writes)
    plan.leaves.append({**leaf, "points": [[w.id, w.payload["ragguard"]["seal"]] for w in writes]})
    before = standing.serving.get(document.id)
    if zone == "serving" and before is not None:
        plan.take_out(before, "serving", points[before.id])
    close_waiting(plan, document.id, standing, points, "superseded")
    if zone == "quarantine":
        open_case(plan, document.source, document.id, number)


def open_case(plan: Draft, source: str, document: str, version: int) -> None:
    """Ask a reviewer about a document."""
    plan.opens.append(
        {
            "id": plan.next_case,
            "kind": "document",
            "source": source,
            "document": document,
            "version": version,
            "detail": {},
            "opened": plan.commit,
        }
    )
    plan.next_case += 1


def close_waiting(
    plan: Draft,
    document: str,
    standing: Standing,
    points: Mapping[int, Sequence[Any]],
    state: str,
) -> None:
    """Close the open case of a document, if there is one, and take its version out."""
    case, row = standing.cases.get(document), standing.waiting.get(document)
    if case is not None:
        plan.closes.append((case.id, state))
    if row is not None:
        plan.take_out(row, "quarantine", points[row.id])


def remove_document(
    plan: Draft, document: str, standing: Standing, points: Mapping[int, Sequence[Any]]
) -> None:
    """Take a document out, wherever it is."""
    row = standing.serving.get(document) or standing.waiting[document]
    if document in standing.serving:
        plan.take_out(row, "serving", points[row.id])
    close_waiting(plan, document, standing, points, "withdrawn")
    plan.counts["removed"] += 1
    plan.leaves.append(
        {
            "source": row.source,
            "document": row.document,
            "digest": row.digest,
            "metadata": row.metadata_digest,
            "outcome": "removed",
            "points": [],
        }
    )


def open_removal(plan: Draft, source: str, documents: Sequence[str], manifest: str) -> None:
    """Ask a reviewer whether a source may lose so much at once."""
    plan.opens.append(
        {
            "id": plan.next_case,
            "kind": "removal",
            "source": source,
            "document": "",
            "version": None,
            "detail": {"documents": list(documents), "manifest": manifest},
            "opened": plan.commit,
        }
    )
    plan.next_case += 1


def finding_body(finding: Finding) -> dict[str, Any]:
    """A finding as a JSON object."""
    body = asdict(finding)
    body["facts"] = dict(finding.facts)
    return body


def point_writes(
    plan: Draft,
    version: int,
    commit: int,
    item: Incoming,
    embedded: Embedded,
    zone: str,
    recipe: str,
    manifest: str,
) -> list[Write]:
    """The points of a version, sealed for the collection of a zone, in chunk order.

    Args:
        plan: Names the collections.
        version: Number of the version.
        commit: Commit that made the version.
        item: The document.
        embedded: Its chunks and where their vectors are.
        zone: `serving` or `quarantine`.
        recipe: Recipe digest.
        manifest: Digest of the manifest that brought it.
    """
    document = item.document
    name = plan.collection(zone)
    metadata = dict(document.metadata)
    metadata.setdefault("source", f"{document.source}/{document.id}")
    writes = []
    prepared = embedded.prepared
    for ordinal, chunk in enumerate(prepared.chunks):
        point = point_id(
            document.source, document.id, document.digest, chunk.start, chunk.end, recipe
        )
        payload = {
            "page_content": chunk.text,
            "metadata": metadata,
            "ragguard": {
                "source": document.source,
                "document": document.id,
                "digest": document.digest,
                "metadata_digest": digest(dict(document.metadata)),
                "manifest": manifest,
                "recipe": recipe,
                "version": version,
                "commit": commit,
                "ordinal": ordinal,
                "start": chunk.start,
                "end": chunk.end,
            },
        }
        payload = seal_payload(plan.workspace, name, point, prepared.vectors[ordinal], payload)
        pack, row = embedded.places[ordinal]
        writes.append(Write(point, payload, pack, row))
    return writes


def point_rows(version: int, writes: Sequence[Write], embedded: Embedded) -> list[dict[str, Any]]:
    """Rows of a version's points."""
    return [
        {
            "version": version,
            "ordinal": ordinal,
            "point": write.id,
            "start": chunk.start,
            "end": chunk.end,
            "text_digest": text_digest,
        }
        for ordinal, (write, chunk, text_digest) in enumerate(
            zip(writes, embedded.prepared.chunks, embedded.text_digests, strict=True)
        )
    ]


def seal_payload(
    workspace: Workspace, collection: str, point: str, vector: Any, payload: Mapping[str, Any]
) -> dict[str, Any]:
    """A payload with the seal of its point in a collection."""
    own = {k: v for k, v in payload["ragguard"].items() if k != "seal"}
    body = {**payload, "ragguard": own}
    seal = workspace.committer.seal(collection, point, vector, body)
    return {**body, "ragguard": {**own, "seal": seal}}


def standing_of(workspace: Workspace, source: str) -> Standing:
    """What of a source is there now."""
    from ragguard.ledger import cases

    prefix = f"{source}/"
    with workspace.ledger.reading() as conn:
        serving = version_rows.members(conn, "serving", source)
        waiting = version_rows.members(conn, "quarantine", source)
        return Standing(
            {k.removeprefix(prefix): v for k, v in serving.items()},
            {k.removeprefix(prefix): v for k, v in waiting.items()},
            cases.open_for(conn, source),
            cases.open_removals(conn, source),
        )
