"""Export what reviewers said for documents: releases, and all opinions on their cases.

What was held and serves is exported only with its release: nobody else could be shown why it does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ragguard.corpus.clean_set import ExcludedDocument
from ragguard.errors import VaultError
from ragguard.export import inventory as inventories
from ragguard.export.inventory import ReviewerWord, about_of
from ragguard.ledger import audit_queries, commits, opinions, versions
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding
from ragguard.trust.quorum import About, Opinion
from ragguard.workspace import Workspace


@dataclass
class ReleaseWords:
    """Releases of documents, as far as the vault has all that was said.

    Attributes:
        decisions: Deciding words, and those that agreed.
        opinions: All opinions on their cases.
        data: Envelopes by digest.
        lost: Of whom some word is lost, a sentence each by document.
    """

    decisions: list[ReviewerWord] = field(default_factory=list)
    opinions: list[ReviewerWord] = field(default_factory=list)
    data: dict[str, bytes] = field(default_factory=dict)
    lost: dict[About, str] = field(default_factory=dict)

    def unproved(self, rows: Iterable[VersionRow]) -> list[ExcludedDocument]:
        """List documents that were held, serve, and have no release that can be shown."""
        shown = {about_of(decision) for decision in self.decisions}
        return [
            _unproved(row, self.lost.get(about_of(row), "no release of it is in the ledger"))
            for row in rows
            if row.outcome != "admit" and about_of(row) not in shown
        ]

    def of(self, rows: Iterable[VersionRow]) -> ReleaseWords:
        """Those of some documents."""
        wanted = {about_of(row) for row in rows}
        decisions = [decision for decision in self.decisions if about_of(decision) in wanted]
        heard = [opinion for opinion in self.opinions if about_of(opinion) in wanted]
        names = {word.envelope for word in (*decisions, *heard)}
        data = {name: body for name, body in self.data.items() if name in names}
        lost = {about: why for about, why in self.lost.items() if about in wanted}
        return ReleaseWords(decisions, heard, data, lost)

    def missing(self) -> list[str]:
        """Tell what is lost of them, a sentence each."""
        return [f"release of '{s}/{d}': {why}" for (s, d, _, _), why in self.lost.items()]

    def files(self) -> Mapping[str, bytes]:
        """Their files, by path in the export."""
        return {inventories.decision_path(name): data for name, data in self.data.items()}


def gather(workspace: Workspace, rows: Sequence[VersionRow]) -> ReleaseWords:
    """Return the releases that speak for documents."""
    wanted = {about_of(row) for row in rows}
    with workspace.ledger.reading() as conn:
        tables = audit_queries.small_tables(conn)
        indices = {row.id: row.log_index or 0 for row in commits.listed(conn)}
        heard = opinions.heard(conn)
        cases = {row["id"]: row["version"] for row in tables["cases"]}
        names: dict[tuple[int, int], list[str]] = {}
        for row in tables["decisions"]:
            if row["action"] == "release" and cases[row["case"]] is not None:
                names.setdefault((row["commit"], row["case"]), []).append(row["envelope"])
        versions_by_case = {case: versions.version(conn, cases[case]) for _, case in names}
    releases = ReleaseWords()
    for (commit, case), envelopes in names.items():
        version = versions_by_case[case]
        if version is None or about_of(version) not in wanted:
            continue
        decisions = [vouched(version, name, indices[commit]) for name in envelopes]
        more = opinions_on(heard.get(case, ()), version)
        try:
            data = {
                word.envelope: workspace.vault.get(word.envelope) for word in (*decisions, *more)
            }
        except VaultError as error:
            releases.lost[about_of(version)] = error.message
            continue
        releases.decisions += decisions
        releases.opinions += more
        releases.data |= data
    return releases


def opinions_on(heard: Iterable[tuple[int, Opinion]], version: VersionRow) -> list[ReviewerWord]:
    """List opinions on the case of a version."""
    return [vouched(version, opinion.envelope, index) for index, opinion in heard]


def vouched(version: VersionRow, envelope: str, log_index: int) -> ReviewerWord:
    """Return a word about a version."""
    return ReviewerWord(envelope, *about_of(version), version.manifest, log_index)


def _unproved(row: VersionRow, why: str) -> ExcludedDocument:
    finding = Finding("unproved", 1.0, None, f"it was held, and nothing shows its release: {why}")
    return ExcludedDocument(row, (finding,), waits=False)
