"""Draw the lineage of a source: what it brought, under whose signatures, what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragguard.corpus.provenance import Signatures
from ragguard.errors import UsageError
from ragguard.ledger import commits, observed, versions_at
from ragguard.ledger.commits import ManifestRow
from ragguard.ledger.observed import ObservedRate
from ragguard.ledger.tables import cases, manifests, membership, versions
from ragguard.ledger.tables import commits as commit_table
from ragguard.lineage.graph import State, unproved, verified, wrong
from ragguard.trust.canonical import format_time
from ragguard.trust.scope import PUBLIC
from ragguard.workspace import Workspace

NOTHING = ObservedRate(0, 0, 0, 0)


@dataclass(frozen=True)
class SourceManifest:
    """A manifest of a source.

    Attributes:
        version: Below 1 for the record of an adoption.
        checked: State and reason of its signatures, verified again under the trust of today.
        counts: Documents by what became of them in the commit that accepted it.
    """

    digest: str
    version: int
    commit: int
    at: str
    expires: str
    signers: Sequence[str]
    checked: tuple[State, str]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class HeldCase:
    """A document of a source that was held, and what a person said.

    Attributes:
        decisions: Action, reviewer and reason of each decision on it.
    """

    case: int
    document: str
    state: str
    opened: int
    closed: int | None
    decisions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class SourceRow:
    """A source beside others.

    Attributes:
        trusted: Whether the trust root of today has it.
        manifests: How many were accepted.
        serving: Documents that serve.
        record: What became of those that were judged.
        last: Time of its last commit.
    """

    name: str
    trusted: bool
    manifests: int
    serving: int
    waiting: int
    record: ObservedRate
    last: str

    def as_dict(self) -> dict[str, Any]:
        """Return the source as a JSON object."""
        record = self.record
        counts = {k: getattr(record, k) for k in ("admitted", "released", "rejected", "open")}
        told = {**counts, "rate": record.rate, "interval": list(record.interval)}
        return {**vars(self), "record": told}


@dataclass(frozen=True)
class SourceLineage:
    """History of a source.

    Attributes:
        keys: Principal, key id, and time of revocation of each of its signers, if there was one.
        threshold: Signatures that a manifest needs today; 0 where nobody may speak for it.
        restricted: Whether its contract says which readers its documents are for.
        manifests: Some of its manifests, the newest first, and how many there are (`brought`).
        cases: Some of its cases, the newest first, and how many there are (`held`).
    """

    row: SourceRow
    keys: Sequence[Mapping[str, str | None]]
    threshold: int
    restricted: bool
    manifests: Sequence[SourceManifest]
    brought: int
    cases: Sequence[HeldCase]
    held: int

    def as_dict(self) -> dict[str, Any]:
        """Return the source as docs/schemas/source.json describes it, but for the canaries."""
        return {
            **self.row.as_dict(),
            "threshold": self.threshold,
            "restricted": self.restricted,
            "signers": [dict(key) for key in self.keys],
            "brought": [
                {
                    **{k: getattr(m, k) for k in ("digest", "version", "commit", "at", "expires")},
                    "signed_by": list(m.signers),
                    "state": m.checked[0],
                    "reason": m.checked[1],
                    "counts": dict(m.counts),
                }
                for m in self.manifests
            ],
            "cases": self.held,
            "held": [{**vars(c), "decisions": [dict(d) for d in c.decisions]} for c in self.cases],
        }


def sources(workspace: Workspace) -> list[SourceRow]:
    """List every source that ever brought something, or may."""
    with workspace.ledger.reading() as conn:
        names = commits.sources(conn) | set(workspace.root.sources)
        rates = observed.observed(conn).by_source
        return [_row(workspace, conn, name, rates.get(name, NOTHING)) for name in sorted(names)]


def _row(workspace: Workspace, conn: sa.Connection, name: str, record: ObservedRate) -> SourceRow:
    standing = (
        sa.select(membership.c.zone, sa.func.count())
        .join(versions, versions.c.id == membership.c.version)
        .where(versions.c.source == name, membership.c.until.is_(None))
        .group_by(membership.c.zone)
    )
    zones = {zone: int(number) for zone, number in conn.execute(standing)}
    accepted = sa.select(sa.func.count()).select_from(manifests).where(manifests.c.source == name)
    last = sa.select(sa.func.max(commit_table.c.at)).where(
        commit_table.c.source == name, commit_table.c.state == "confirmed"
    )
    return SourceRow(
        name,
        name in workspace.root.sources,
        int(conn.execute(accepted).scalar_one()),
        zones.get("serving", 0),
        zones.get("quarantine", 0),
        record,
        str(conn.execute(last).scalar() or ""),
    )


def source_lineage(
    workspace: Workspace, name: str, *, offset: int = 0, limit: int = 50
) -> SourceLineage:
    """Look at one source; the manifests that are told are verified again.

    Args:
        offset: Manifests and cases to pass over.
        limit: Manifests and cases to read, each.

    Raises:
        UsageError: There is no such source, and never was.
    """
    root = workspace.root
    with workspace.ledger.reading() as conn:
        if name not in commits.sources(conn) and name not in root.sources:
            raise UsageError(
                f"source {name[:80]!r}: there is no such source",
                hint="`ragguard trust list` shows the sources of the trust root.",
            )
        record = observed.observed(conn).by_source.get(name, NOTHING)
        row = _row(workspace, conn, name, record)
        query = sa.select(manifests).where(manifests.c.source == name)
        query = query.order_by(manifests.c.commit.desc(), manifests.c.version.desc())
        manifest_rows = [ManifestRow(*r) for r in conn.execute(query.offset(offset).limit(limit))]
        accepted = {kept.digest: commits.get(conn, kept.commit) for kept in manifest_rows}
        held, listed = _cases(conn, name, offset, limit)
    signatures = Signatures(workspace)
    brought = []
    for kept in manifest_rows:
        commit = accepted[kept.digest]
        brought.append(
            SourceManifest(
                kept.digest,
                kept.version,
                kept.commit,
                commit.at if commit else "",
                kept.expires,
                sorted({str(who) for _, who in kept.signers}),
                _check(signatures, kept.digest),
                dict(commit.counts) if commit else {},
            )
        )
    contract = root.sources.get(name)
    keys = []
    for grant in contract.signers if contract else ():
        gone = root.revoked.get(grant.keyid)
        key = root.keys.get(grant.keyid)
        keys.append(
            {
                "principal": key.principal if key else None,
                "keyid": grant.keyid,
                "revoked": format_time(gone.at) if gone else None,
            }
        )
    return SourceLineage(
        row,
        keys,
        contract.threshold if contract else 0,
        bool(contract and contract.policy.scope and PUBLIC not in contract.policy.scope),
        brought,
        row.manifests,
        listed,
        held,
    )


def _check(signatures: Signatures, digest: str) -> tuple[State, str]:
    standing = signatures.examine(digest)
    if standing.damaged or standing.forged:
        return wrong(standing.damaged or standing.forged)
    if standing.adopted is not None:
        return unproved("taken over unsigned: nobody vouches for it")
    if standing.revoked:
        return wrong(standing.revoked)
    return verified("its signatures verify under the trust of today")


def _cases(conn: sa.Connection, name: str, offset: int, limit: int) -> tuple[int, list[HeldCase]]:
    mine = (cases.c.source == name, cases.c.kind == "document")
    total = int(
        conn.execute(sa.select(sa.func.count()).select_from(cases).where(*mine)).scalar_one()
    )
    query = sa.select(cases).where(*mine).order_by(cases.c.id.desc()).offset(offset).limit(limit)
    held = []
    for row in conn.execute(query).all():
        decided = [
            {"action": d.action, "reviewer": d.reviewer, "reason": d.reason}
            for d in versions_at.decisions_on(conn, row.source, row.document)
            if d.case == row.id
        ]
        held.append(HeldCase(row.id, row.document, row.state, row.opened, row.closed, decided))
    return total, held
