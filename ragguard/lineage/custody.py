"""Verify the chain of custody of a document, link by link.

The chain is verified with what `log prove` gives a stranger, and beyond it what only the workspace
can: bytes in the vault, points and seals in the index, decisions of reviewers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragguard.errors import RagguardError
from ragguard.ledger import commits, versions_at
from ragguard.ledger import versions as version_rows
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.versions_at import DecidedCase, Membership
from ragguard.lineage.prove import find_version, prove, verify_bundle
from ragguard.trust import decision as decisions
from ragguard.trust import dsse
from ragguard.trust.review_statement import MAX_BYTES
from ragguard.workspace import Workspace


@dataclass(frozen=True)
class Custody:
    """The chain of custody of a document's newest version.

    Attributes:
        zone: Where it is now: `serving`, `quarantine` or empty.
        proof: What the log proves of it: acts, signers, tree size; empty when it proves nothing.
        revoked: Key ids of its manifest's signers that are revoked today.
        versions: All its versions, oldest first, with verdict, findings and stays.
        decisions: What reviewers decided, and whether their signature verifies.
        points: Its points, and whether each is the one that was written.
        problems: Links that do not hold, one sentence each.
    """

    source: str
    document: str
    digest: str
    metadata: Mapping[str, Any]
    zone: str
    generation: Mapping[str, Any]
    manifest: Mapping[str, Any]
    proof: Mapping[str, Any]
    revoked: Sequence[str]
    versions: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    points: Sequence[Mapping[str, Any]]
    problems: Sequence[str]


def trace_document(workspace: Workspace, what: str) -> Custody:
    """Follow a document back to who signed it.

    Args:
        workspace: Open and locked.
        what: Point id, or `source/document`.

    Raises:
        UsageError: Nothing of that name was ever committed.
    """
    problems: list[str] = []
    row = find_version(workspace, what)
    proof: Mapping[str, Any] = {}
    try:
        bundle = json.dumps(prove(workspace, what)).encode()
        proof = verify_bundle(bundle, workspace.log_key, workspace.root.keys)
    except RagguardError as error:
        problems.append(error.message)
    try:
        workspace.vault.get(row.subject_digest)
    except RagguardError as error:
        if row.outcome != "reject":  # what was rejected is not kept
            problems.append(f"signed bytes: {error.message}")
    with workspace.ledger.reading() as conn:
        manifest = commits.manifest_row(conn, row.manifest)
        rows = versions_at.versions_named(conn, row.source, row.document)
        stays = versions_at.stays_named(conn, [r.id for r in rows])
        decided = versions_at.decisions_on(conn, row.source, row.document)
    here = [s for s in stays if s.until is None]
    zone = str(here[-1].zone) if here else ""
    signers = [list(s) for s in manifest.signers] if manifest else []
    if proof and set(proof["signed_by"]) != {principal for _, principal in signers}:
        problems.append("manifest: its signatures are not by those whom the ledger names")
    generation = workspace.generation()
    return Custody(
        row.source,
        row.document,
        row.digest,
        dict(row.metadata),
        zone,
        {"id": generation.id, "recipe": generation.recipe} if generation else {},
        {
            "digest": row.manifest,
            "version": manifest.version if manifest else None,
            "expires": manifest.expires if manifest else None,
            "signers": signers,
        },
        proof,
        [keyid for keyid, _ in signers if keyid in workspace.root.revoked],
        [_version(r, [s for s in stays if s.version == r.id]) for r in rows],
        [_decision(workspace, d, {r.id: r for r in rows}, problems) for d in decided],
        _points(workspace, row, here[-1].version, zone, problems) if here else [],
        problems,
    )


def _version(row: VersionRow, stays: Sequence[Membership]) -> dict[str, Any]:
    keys = ("digest", "manifest", "commit", "outcome", "score", "p_value")
    return {
        "version": row.id,
        **{key: getattr(row, key) for key in keys},
        "findings": [{k: f[k] for k in ("check", "score", "p_value")} for f in row.findings],
        "stays": [{"zone": s.zone, "since": s.since, "until": s.until} for s in stays],
    }


def _decision(
    workspace: Workspace, row: DecidedCase, versions: Mapping[int, VersionRow], problems: list[str]
) -> dict[str, Any]:
    by, about = "", versions.get(row.version or 0)
    try:
        data = workspace.vault.get(row.envelope)
        envelope = dsse.parse_envelope(data, max_bytes=MAX_BYTES)
        keys = workspace.root.keys
        result = dsse.verify(envelope, keys, payload_type=dsse.IN_TOTO, threshold=1)
        result.require(f"decision on case {row.case}")
        decision, by = decisions.parse(envelope.payload), result.signed[0].principal
        if about is None or (decision.case, decision.action, decision.digest, by) != (
            row.case,
            row.action,
            about.digest,
            row.reviewer,
        ):
            problems.append(f"decision on case {row.case}: is not the one the ledger has")
    except RagguardError as error:
        problems.append(error.message)
    keys_ = ("case", "action", "reviewer", "reason", "commit")
    return {**{key: getattr(row, key) for key in keys_}, "verified": bool(by)}


def _points(
    workspace: Workspace, row: VersionRow, version: int, zone: str, problems: list[str]
) -> list[dict[str, Any]]:
    generation = workspace.generation()
    if generation is None:
        return []
    name = generation.serving if zone == "serving" else generation.quarantine
    with workspace.ledger.reading() as conn:
        listed = version_rows.points_of(conn, [version])[version]
        seals = {p.point: version_rows.seal_of(conn, name, p.point) for p in listed}
    store = workspace.open_store()
    stored = {p.id: p for p in store.get(name, [p.point for p in listed], vectors=True)}
    points = []
    for place in listed:
        point, ok = stored.get(place.point), False
        if point is not None:
            own = point.payload.get("ragguard") or {}
            sealed = workspace.committer.seal(name, point.id, point.vector, point.payload)
            ok = sealed == seals[place.point] == own.get("seal")
        if not ok:
            state = "is not the one that was written" if point else "is missing"
            problems.append(f"point {place.point} in {name!r} {state}")
        points.append({"point": place.point, "start": place.start, "end": place.end, "sealed": ok})
    return points
