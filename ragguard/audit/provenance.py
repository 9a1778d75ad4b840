"""Verify the provenance of what stands in the corpus under the trust of today.

Each manifest that documents stand on is verified again (`corpus.provenance`), and the contract of
today is asked about every serving document as ingest would ask it. An expired manifest makes its
source stale; its documents stay. Documents that ragguard adopted from elsewhere stand on no
signature; their source is `unsigned`.

Retrieval health: how much of what serves is current, verifiable and signed.

Shares of serving documents, from the ledger and the vault alone; one number each, to be followed
over the nights. What is wrong with a single document is for the findings to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from ragguard.audit.findings import SAMPLE, AuditFinding
from ragguard.corpus.provenance import ManifestStanding, Signatures, forgery, violations
from ragguard.ledger import audit_queries, commits, versions
from ragguard.ledger.audit_queries import StandingRow
from ragguard.ledger.commits import ManifestRow
from ragguard.model import Subject
from ragguard.trust import root, scope
from ragguard.trust.canonical import parse_time
from ragguard.workspace import Workspace

MOST = 100_000  # digests looked for in the vault, spread evenly over all


@dataclass(frozen=True)
class Provenance:
    """What was found about where documents come from.

    Attributes:
        findings: One for each source and rule.
        states: By source: `current`, `stale`, `revoked`, `gone` or `unsigned`, the gravest.
        documents: Documents that stand, serving and quarantined.
        serving: Of them, serving.
        signed: Serving documents whose manifest has enough valid signatures.
        current: Serving documents whose source is not stale.
    """

    findings: list[AuditFinding]
    states: Mapping[str, str]
    documents: int = 0
    serving: int = 0
    signed: int = 0
    current: int = 0


@dataclass
class _Tally:
    """Documents of one source that break one rule."""

    count: int = 0
    documents: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, document: str, *reasons: str) -> None:
        self.count += 1
        if len(self.documents) < SAMPLE:
            self.documents.append(document)
        for reason in reasons:
            if reason in self.reasons or len(self.reasons) < SAMPLE:
                self.reasons[reason] += 1


def check_provenance(workspace: Workspace) -> Provenance:
    """Verify again what every standing document stands on."""
    look = _Look(workspace)
    with workspace.ledger.reading() as conn:
        for name, rows in groupby(audit_queries.standing(conn), key=lambda r: r.manifest):
            look.take(name, rows)
    return look.result()


class _Look:
    """One pass over the documents, a manifest at a time."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._root = workspace.root
        self._signatures = Signatures(workspace)
        self._tallies: dict[tuple[str, str], _Tally] = {}
        self._serving: Counter[str] = Counter()
        self._signed = 0
        self._documents: Counter[str] = Counter()
        self._unsigned: set[str] = set()
        self._stale = self._find_stale()

    def _tally(self, rule: str, source: str) -> _Tally:
        return self._tallies.setdefault((rule, source), _Tally())

    def _find_stale(self) -> dict[str, str]:
        """List sources whose last accepted manifest has expired, with the day."""
        last: dict[str, ManifestRow] = {}
        for row in self._signatures.rows.values():
            if row.version >= 1 and row.version >= last.get(row.source, row).version:
                last[row.source] = row
        now = self._workspace.now
        return {s: r.expires for s, r in last.items() if parse_time(r.expires) <= now}

    def take(self, name: str, rows: Iterable[StandingRow]) -> None:
        """Documents that stand on one manifest."""
        standing = self._signatures.examine(name)
        subjects = {s.name: s for s in standing.manifest.subjects} if standing.manifest else {}
        for row in rows:
            label = row.label
            self._documents[row.source] += 1
            vouched = standing.signed or self._signatures.vouched(row, standing)
            if row.zone == "serving":
                self._serving[row.source] += 1
                self._signed += vouched
            if standing.adopted is not None:
                self._unsigned.add(row.source)
            if standing.damaged:
                self._tally("vault-damaged", row.source).add(label, standing.damaged)
            forged = forgery(row, standing, subjects)
            if forged:
                self._tally("ledger-inconsistent", row.source).add(label, forged)
            if row.zone != "serving":
                continue  # it waits for a person anyway
            if row.source in self._root.sources:
                self._judge(row, label, standing, subjects, vouched)
            elif standing.adopted is None:
                self._tally("source-gone", row.source).add(label)

    def _judge(
        self,
        row: StandingRow,
        label: str,
        standing: ManifestStanding,
        subjects: Mapping[str, Subject],
        vouched: bool,
    ) -> None:
        """A serving document under today's trust."""
        if standing.revoked and not vouched:
            self._tally("key-revoked", row.source).add(label, standing.revoked)
        broken = [standing.contract] if standing.contract else []
        allowed = scope.enforced(self._root, self._root.sources[row.source].policy)
        broken += violations(allowed, row, subjects.get(row.subject))
        if broken:
            self._tally("contract-broken", row.source).add(label, *broken)

    # --- what it comes to -------------------------------------------------------------------------

    def result(self) -> Provenance:
        """Return the findings and states of all sources."""
        findings = [
            AuditFinding(
                "source-stale",
                f"{source}: its last manifest expired {day}",
                about=source,
                count=self._documents[source],
                facts={"source": source, "expired": day},
            )
            for source, day in sorted(self._stale.items())
            if self._documents[source]
        ]
        findings += [_told(rule, source, t) for (rule, source), t in sorted(self._tallies.items())]
        fresh = sum(n for source, n in self._serving.items() if source not in self._stale)
        return Provenance(
            findings,
            {source: self._state(source) for source in {*self._documents, *self._root.sources}},
            self._documents.total(),
            self._serving.total(),
            self._signed,
            fresh,
        )

    def _state(self, source: str) -> str:
        known = self._root.sources.get(source)
        if source in self._unsigned:
            return "unsigned"
        if known is None:
            return "gone"
        if ("key-revoked", source) in self._tallies:
            return "revoked"
        speakers = root.active(known.signers, self._root, self._workspace.now)
        if not speakers and any(g.keyid in self._root.revoked for g in known.signers):
            return "revoked"
        return "stale" if source in self._stale else "current"


_SAYS = {
    "key-revoked": "serve on manifests without enough valid signatures",
    "contract-broken": "would be refused by the contract of today",
    "source-gone": "are of a source that the trust root no longer knows",
    "vault-damaged": "stand on a manifest that the vault does not give",
    "ledger-inconsistent": "are not what their manifest signs",
}


def _told(rule: str, source: str, tally: _Tally) -> AuditFinding:
    many = "document" if tally.count == 1 else "documents"
    why = f" ({tally.reasons.most_common(1)[0][0]})" if tally.reasons else ""
    return AuditFinding(
        rule,
        f"{source}: {tally.count:,} {many} {_SAYS[rule]}{why}",
        about=source,
        count=tally.count,
        facts={
            "source": source,
            "documents": tally.documents,
            "reasons": dict(tally.reasons.most_common()),
        },
    )


def health(
    workspace: Workspace, provenance: Provenance | None = None, *, most: int = MOST
) -> dict[str, float]:
    """List shares of the serving documents, in [0, 1], higher is better; empty when nothing serves.

    Args:
        provenance: What the audit found already; looked at now when not given.
        most: Bytes of at most so many files are looked for in the vault; above it, of a sample.

    Returns:
        `current`: its source's last manifest has not expired, and no newer version of it waits for
        a reviewer. `verifiable`: the bytes that were signed are in the vault. `signed`: its
        manifest has signatures enough under today's trust.
    """
    examined = provenance if provenance is not None else check_provenance(workspace)
    now = workspace.now
    current = serving = 0
    files: Counter[str] = Counter()
    with workspace.ledger.reading() as conn:
        expiry: dict[str, str] = {}
        for accepted in commits.accepted_manifests(conn):
            if accepted.version >= 1:  # a later one of a source overwrites the earlier
                expiry[accepted.source] = accepted.expires
        stale = {source for source, text in expiry.items() if parse_time(text) <= now}
        waiting = versions.members(conn, "quarantine").keys()
        for row in audit_queries.standing(conn):
            if row.zone == "serving":
                serving += 1
                current += row.source not in stale and row.label not in waiting
                files[row.subject_digest] += 1
    if not serving:
        return {}
    digests = sorted(files)
    sample = digests[:: max(1, -(-len(digests) // most))]
    there = sum(files[d] for d in sample if workspace.vault.has(d))
    return {
        "current": current / serving,
        "verifiable": there / sum(files[d] for d in sample),
        "signed": examined.signed / max(1, examined.serving),
    }
