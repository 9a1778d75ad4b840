"""Describe the corpus at a commit: documents, sources, signers, recipe."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from ragguard.errors import LedgerError, UsageError
from ragguard.ledger import commits, log, versions_at
from ragguard.ledger.commits import CommitRow, ManifestRow
from ragguard.ledger.versions import VersionRow
from ragguard.lineage.timeline import Moment, moment_of
from ragguard.trust import scope
from ragguard.trust.canonical import digest_bytes
from ragguard.trust.scope import PUBLIC
from ragguard.workspace import Workspace

LICENSES = ("license", "licence")  # keys of signed metadata that name one


@dataclass(frozen=True)
class SourceAt:
    """A source at a commit.

    Attributes:
        documents: Those that served, by id.
        manifests: Manifests that they stand on, the oldest first.
        restricted: Whether its documents are for some readers only, by its contract of today, or
            for nobody.
    """

    name: str
    documents: Sequence[VersionRow]
    manifests: Sequence[ManifestRow]
    restricted: bool

    @property
    def signers(self) -> list[str]:
        """Principals who signed what its documents stand on."""
        return sorted({str(who) for m in self.manifests for _, who in m.signers})


@dataclass(frozen=True)
class CorpusAt:
    """The corpus at a commit.

    Attributes:
        previous: Digest of the corpus before it; empty for the first commit.
        moment: What the commit changed, by source.
        manifest: The manifest that it accepted; `None` where it accepted none.
        sources: By name.
        recipe: How its documents are cut and embedded.
        log_index: The commit's entry in the log.
    """

    name: str
    row: CommitRow
    previous: str
    moment: Moment
    manifest: ManifestRow | None
    sources: Sequence[SourceAt]
    recipe: Mapping[str, Any]
    log_index: int

    @property
    def documents(self) -> int:
        """How many documents served."""
        return sum(len(source.documents) for source in self.sources)

    def uuid(self, subject: str) -> str:
        """Return a UUID (version 8) of something about this commit, the same each time."""
        raw = bytearray.fromhex(
            digest_bytes(f"{subject} {self.name} {self.row.plan}".encode())[:32]
        )
        raw[6] = raw[6] & 0x0F | 0x80
        raw[8] = raw[8] & 0x3F | 0x80
        return str(UUID(bytes=bytes(raw)))


def license_of(row: VersionRow) -> str:
    """Return the licence that a document's metadata names; empty where it names none."""
    for key in LICENSES:
        value = row.metadata.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()[:200]
    return ""


def corpus_at(workspace: Workspace, at: int | None) -> CorpusAt:
    """Read the corpus at a commit, whose digest has to be the logged one.

    Raises:
        UsageError: No such commit, or nothing was ingested yet.
        LedgerError: The ledger has another corpus than was logged.
        LogError: The commit's entry in the log is missing or damaged.
    """
    with workspace.ledger.reading() as conn:
        rows = commits.listed(conn, limit=1) if at is None else [commits.get(conn, at)]
        row = rows[0] if rows else None
        if row is None or row.log_index is None:
            reason = "nothing was ingested yet" if at is None else f"commit {at}: no such commit"
            raise UsageError(reason, hint="`ragguard history` lists the commits.")
        entry = log.body(conn, row.log_index)
        serving = list(versions_at.members_at(conn, "serving", row.id).values())
        before = [r for r in commits.listed(conn) if r.id < row.id][:1]
        manifests = commits.manifests_by_digest(conn)
        recipes = Counter(r.recipe for r in serving).most_common(1)
        recipe = commits.recipe_body(conn, recipes[0][0]) if recipes else {}
        moment = moment_of(conn, row)
    if not versions_at.digest_of(serving) == row.corpus == entry.get("corpus"):
        raise LedgerError(
            f"commit {row.id}: the ledger's corpus is not the one that was logged",
            hint="Run `ragguard audit`; nothing is exported.",
        )
    return CorpusAt(
        workspace.origin,
        row,
        before[0].corpus if before else "",
        moment,
        manifests.get(row.manifest),
        _sources(workspace, serving, manifests),
        recipe,
        row.log_index,
    )


def _sources(
    workspace: Workspace, serving: Sequence[VersionRow], manifests: Mapping[str, ManifestRow]
) -> list[SourceAt]:
    by_source: dict[str, list[VersionRow]] = defaultdict(list)
    for row in sorted(serving, key=lambda r: (r.source, r.document)):
        by_source[row.source].append(row)
    scoped = scope.is_on(workspace.root)
    sources = []
    for name, rows in by_source.items():
        known = workspace.root.sources.get(name)
        rules = known.policy.scope if known is not None else ()
        names = {row.manifest for row in rows}
        stood = sorted((manifests[n] for n in names if n in manifests), key=lambda m: m.version)
        sources.append(SourceAt(name, rows, stood, scoped and PUBLIC not in rules))
    return sources
