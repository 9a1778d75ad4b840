"""Verify again the manifests that documents stand on, under the trust root of today.

- A key counts when it may speak for the source today, or might when the manifest was accepted, and
  was not revoked by then. The logged order and time of acceptance decide, which no signer can set.
  A revocation since a date counts from that date.
- The threshold is the one of the acceptance; one that was raised since is a matter of the contract.
- What a revoked key brought stands nevertheless where a reviewer released it after the revocation,
  where a rebuild, cut-over, rollback or restoration after it took it over for that reason, or where
  a later manifest with good signatures lists the same bytes and metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from ragguard.corpus import log_check
from ragguard.corpus.documents import format_of
from ragguard.errors import IntegrityError, RagguardError
from ragguard.ledger import audit_queries, commits, log
from ragguard.ledger.audit_queries import StandingRow
from ragguard.ledger.versions import VersionRow, ZoneStay
from ragguard.model import Manifest, Metadata, Policy, Root, Subject
from ragguard.trust import adoption, contract, dsse, root
from ragguard.trust import manifest as manifests
from ragguard.trust.canonical import digest, parse_time
from ragguard.workspace import Workspace

RELEASING = ("release", "reindex", "stage", "cutover", "rollback", "restore")
Row = VersionRow | StandingRow
MAX_BYTES = 1 << 30  # it was accepted once, under the limits of that day


@dataclass(frozen=True)
class ManifestStanding:
    """A manifest that documents stand on, looked at today.

    Attributes:
        manifest: Parsed; `None` for an adoption, or when it cannot be read.
        adopted: Documents and digests of the adoption that it is the record of, if it is one.
        damaged: Why the vault does not give it.
        forged: Why it is not the manifest the ledger names.
        revoked: Why its signatures are no longer enough.
        lost: Keys that counted for it and were revoked.
        contract: What of today's rules on signatures it breaks.
    """

    manifest: Manifest | None = None
    adopted: Mapping[str, str] | None = None
    damaged: str = ""
    forged: str = ""
    revoked: str = ""
    lost: frozenset[str] = frozenset()
    contract: str = ""

    @property
    def signed(self) -> bool:
        """Whether it is a manifest with enough valid signatures."""
        return self.manifest is not None and not self.revoked


class Signatures:
    """Looks manifests up in ledger and vault.

    Args:
        root: The trust root that counts; the one in force by default.

    Attributes:
        rows: Accepted manifests by digest.
    """

    def __init__(self, workspace: Workspace, root: Root | None = None) -> None:
        self._vault = workspace.vault
        self._root = workspace.root if root is None else root
        with workspace.ledger.reading() as conn:
            self.rows = commits.manifests_by_digest(conn)
            self._commits = {row.id: row for row in commits.listed(conn)}
            self._roots = {version: data for version, data, _ in audit_queries.all_roots(conn)}
            self._in_force, self._since = _history(log.entries(conn))
        self._later: dict[str, Mapping[str, Subject]] = {}

    def examine(self, name: str) -> ManifestStanding:
        """Look at a manifest by digest."""
        kept = self.rows.get(name)
        if kept is None:
            return ManifestStanding(forged="its manifest was never accepted")
        try:
            data = self._vault.get(kept.envelope)
        except RagguardError as error:
            return ManifestStanding(damaged=error.message)
        try:
            record = adoption.parse(data, max_bytes=MAX_BYTES)
            if record is not None:
                return ManifestStanding(adopted=record.documents)
            envelope = dsse.parse_envelope(data, max_bytes=MAX_BYTES)
            manifest = manifests.parse(envelope.payload, max_bytes=MAX_BYTES)
        except IntegrityError as error:
            return ManifestStanding(forged=f"its manifest cannot be read ({error.message})")
        if (manifest.digest, manifest.source) != (name, kept.source):
            return ManifestStanding(forged="its manifest is not the one of its digest and source")
        return ManifestStanding(manifest, **self._verify(envelope, manifest.source, kept.commit))

    def vouched(self, row: ZoneStay | StandingRow, standing: ManifestStanding) -> bool:
        """Tell whether a document on a manifest of too few signatures stands on something else.

        Args:
            row: With the stay that is asked about.
        """
        if standing.manifest is None or row.source not in self._root.sources:
            return False
        began = self._commits.get(row.since)
        # The others ask the same question of every document before they take it over.
        if began is not None and began.kind in RELEASING and standing.lost:
            return standing.lost <= self.root_at(began.id).revoked.keys()
        subject = self._listed_again(row.source, standing.manifest.version).get(row.subject)
        return subject is not None and not unlike(row, subject)

    def _listed_again(self, source: str, version: int) -> Mapping[str, Subject]:
        """What the newest manifest of a source lists, if it is a later one with good signatures."""
        if source not in self._later:
            own = [r for r in self.rows.values() if r.source == source and r.version >= 1]
            newest = max(own, key=lambda r: r.version, default=None)
            standing = self.examine(newest.digest) if newest is not None else ManifestStanding()
            listed = standing.manifest if standing.signed else None
            self._later[source] = {s.name: s for s in listed.subjects} if listed else {}
        return self._later[source]

    def _verify(self, envelope: dsse.Envelope, source: str, commit: int) -> dict[str, Any]:
        """Tell what is wrong with its signatures by the rules of its own day, and by today's."""
        row = self._commits.get(commit)
        today = self._root.sources.get(source)
        if row is None or today is None:
            return {"revoked": "no commit or no source of today's trust root accounts for it"}
        accepted = parse_time(row.at)
        then = self.root_at(commit)
        before = then.sources.get(source, today)
        known = {**then.keys, **self._root.keys}
        granted = {g.keyid for g in (*today.signers, *before.signers)} & known.keys()
        lost = frozenset(i for i in granted if self._revoked_by(i, then, accepted))
        alive = {i: known[i] for i in granted - lost}

        def verify(threshold: int, distinct: Any) -> dsse.VerificationResult:
            return dsse.verify(
                envelope,
                alive,
                payload_type=dsse.IN_TOTO,
                threshold=threshold,
                distinct=distinct,
            )

        by_then = verify(before.threshold, before.distinct)
        if not by_then:
            names = ", ".join(sorted(known[i].principal for i in lost))
            who = f"; revoked: {names}" if names else ""
            reason = f"{by_then.counted} of {by_then.threshold} valid signatures{who}"
            return {"revoked": reason, "lost": lost}
        now = verify(today.threshold, today.distinct)
        if now:
            return {}
        return {"contract": f"needs {today.threshold} {now.distinct} today, has {now.counted}"}

    def root_at(self, commit: int) -> Root:
        """Return the trust root that was in force at a commit."""
        version = self._in_force.get(commit, self._root.version)
        data = self._roots.get(version)
        return _parse_root(data) if data is not None else self._root

    def all_roots(self) -> list[Root]:
        """List every trust root that this workspace has seen, the newest first."""
        return [_parse_root(data) for _, data in sorted(self._roots.items(), reverse=True)]

    def _revoked_by(self, keyid: str, then: Root, accepted: datetime) -> bool:
        """Tell whether a key counts no more for a manifest accepted under a root at a time.

        Which came first is told by the root in force; the time of the revocation counts where this
        workspace learned of it late.
        """
        gone = self._root.revoked.get(keyid)
        if gone is None:
            return False
        since = self._since.get(keyid)
        if since is not None and since <= accepted:
            return True
        return keyid in then.revoked or gone.at < accepted


@lru_cache(maxsize=8)
def _parse_root(data: bytes) -> Root:
    return root.parse_root(dsse.parse_envelope(data, max_bytes=1 << 24).payload)


def _history(
    entries: Sequence[tuple[int, str, bytes]],
) -> tuple[dict[int, int], dict[str, datetime]]:
    """From the log: the trust root in force at each commit, and dates that revocations name."""
    version = 1
    in_force: dict[int, int] = {}
    since: dict[str, datetime] = {}
    for body in log_check.bodies(entries):
        if isinstance(body.get("version"), int) and "root" in body:
            version = body["version"]
            keyid, day = body.get("key"), body.get("since")
            if isinstance(keyid, str) and isinstance(day, str):
                with suppress(ValueError):
                    since[keyid] = parse_time(day)
        elif isinstance(body.get("commit"), int):
            in_force[body["commit"]] = version
    return in_force, since


def unlike(row: Row, subject: Subject | None) -> str:
    """Tell what of a document is not as a signed subject has it; empty when all is."""
    if subject is None or subject.digest != row.subject_digest:
        return "its manifest does not list its bytes"
    if any(row.metadata.get(k) != v for k, v in subject.metadata.items()):
        return "its metadata is not the signed one"
    return ""


def forgery(row: Row, standing: ManifestStanding, subjects: Mapping[str, Subject]) -> str:
    """Tell what of a document is not as its manifest signs it; empty when all is."""
    if standing.forged:
        return standing.forged
    if standing.adopted is not None:
        same = standing.adopted.get(row.document) == row.digest
        return "" if same else "the record of its adoption does not list its bytes"
    if standing.manifest is None:
        return ""
    if digest(dict(row.metadata)) != row.metadata_digest:
        return "its metadata is not the one of its digest"
    return unlike(row, subjects.get(row.subject))


def signed_metadata(row: Row, subject: Subject | None) -> Metadata:
    """What of a document's metadata its signer wrote, not the document itself in its front matter.

    A record's own count: whoever signs a record file writes them.
    """
    return row.metadata if subject is None or row.document != row.subject else subject.metadata


def violations(allowed: Policy, row: Row, subject: Subject | None) -> Iterator[str]:
    """Tell what of today's contract a document breaks.

    Args:
        subject: As its manifest lists it; `None` for an adopted document.
    """
    signed = signed_metadata(row, subject)
    for finding in contract.violations(allowed, format_of(row.subject), row.metadata, signed):
        yield finding.detail
    if subject is not None and subject.length > allowed.max_document_bytes:
        yield f"more than {allowed.max_document_bytes} bytes"
