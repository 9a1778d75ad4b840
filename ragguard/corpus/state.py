"""Compute what the zones held after a commit, what was done later, what is good of it today.

A rollback and a cut-over both ask for a state that is put together from these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import sqlalchemy as sa

from ragguard.corpus.clean_set import ExcludedDocument, sift
from ragguard.corpus.provenance import MAX_BYTES
from ragguard.ledger import cases, commits, log, versions_at
from ragguard.ledger import versions as version_rows
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.versions import PointRow, VersionRow
from ragguard.trust import adoption, dsse
from ragguard.trust import manifest as manifests
from ragguard.workspace import Workspace

ZONES = ("serving", "quarantine")
SWITCHING = ("reindex", "stage", "cutover")  # kinds of commits that always carry a generation
# What two versions of a document may differ in and be the same but for how they were cut.
_OWN = frozenset({"id", "recipe", "hidden", "chunks", "commit"})

Members = Mapping[str, VersionRow]


@dataclass(frozen=True)
class Zones:
    """What the two zones hold: versions by `source/document`."""

    serving: Members
    quarantine: Members

    def of(self, zone: str) -> Members:
        """Return the versions of a zone."""
        return self.serving if zone == "serving" else self.quarantine


@dataclass(frozen=True)
class SourceState:
    """What of a source is there.

    Attributes:
        waiting: Quarantined versions by document id.
        cases: Open document cases by document id.
        removals: Open removal cases.
    """

    serving: Mapping[str, VersionRow]
    waiting: Mapping[str, VersionRow]
    cases: Mapping[str, CaseRow]
    removals: Sequence[CaseRow]


def state_of(workspace: Workspace, source: str) -> SourceState:
    """Tell what of a source is there now."""
    prefix = f"{source}/"
    with workspace.ledger.reading() as conn:
        serving = version_rows.members(conn, "serving", source)
        waiting = version_rows.members(conn, "quarantine", source)
        return SourceState(
            {k.removeprefix(prefix): v for k, v in serving.items()},
            {k.removeprefix(prefix): v for k, v in waiting.items()},
            cases.open_for(conn, source),
            cases.open_removals(conn, source),
        )


def zones_at(conn: sa.Connection, commit: int | None = None) -> Zones:
    """Return the zones after a commit; `None` is now."""
    if commit is None:
        return Zones(
            version_rows.members(conn, "serving"), version_rows.members(conn, "quarantine")
        )
    return Zones(
        versions_at.members_at(conn, "serving", commit),
        versions_at.members_at(conn, "quarantine", commit),
    )


def replayed(workspace: Workspace, conn: sa.Connection, start: Zones, after: int) -> Zones:
    """Tell what later commits did, done to another state.

    Documents are told by `source/document`, since another generation has other versions of them. A
    commit that made another generation serve, or staged or gave up one, is left out: it is told by
    its kind, and a rollback by what the log says of it. A manifest takes out what it does not list,
    also where the corpus did not have it then.

    Args:
        workspace: Open; its vault holds the manifests.
        start: The state.
        after: Number of a commit; all confirmed ones above it are done again.
    """
    zones = {zone: dict(start.of(zone)) for zone in ZONES}
    then = zones_at(conn, after)
    stays = Counter(label for zone in ZONES for label in then.of(zone))  # in the corpus itself
    for row in reversed(commits.listed(conn)):
        if row.id <= after:
            continue
        moved = versions_at.moves(conn, row.id)
        known = {label for label, number in stays.items() if number} if row.manifest else set()
        for version, _, entered in moved:
            stays[version.label] += 1 if entered else -1
        if switches(conn, row):
            continue
        strange = [
            version
            for zone in ZONES
            for label, version in zones[zone].items()
            if row.manifest and version.source == row.source and label not in known
        ]
        for version in _unlisted(workspace, conn, row, strange):
            for members in zones.values():
                members.pop(version.label, None)
        for version, zone, entered in moved:
            if not entered:
                zones[zone].pop(version.label, None)
        come = {version.label for version, _, entered in moved if entered}
        for version, zone, entered in moved:
            if entered:
                zones[zone][version.label] = version
            elif version.label not in come and not stays[version.label]:
                # It left the corpus, from wherever it stood then; here it may stand elsewhere.
                for members in zones.values():
                    members.pop(version.label, None)
    return Zones(zones["serving"], zones["quarantine"])


def _unlisted(
    workspace: Workspace, conn: sa.Connection, row: CommitRow, rows: Sequence[VersionRow]
) -> list[VersionRow]:
    """Which documents the manifest of a commit takes out, by what it says and not by what it did.

    Whatever of them it lists was judged as new then, and came back or was refused with that commit.
    """
    if not rows or row.manifest is None or cases.asks_removal(conn, row.id):
        return []
    kept = commits.manifest_row(conn, row.manifest)
    if kept is None or kept.commit != row.id:
        return []
    data = workspace.vault.get(kept.envelope)
    if adoption.parse(data, max_bytes=MAX_BYTES) is not None:
        return []
    payload = dsse.parse_envelope(data, max_bytes=MAX_BYTES).payload
    manifest = manifests.parse(payload, max_bytes=MAX_BYTES)
    if manifest.mode == "full":
        return list(rows)
    named = {*manifest.removes, *(subject.name for subject in manifest.subjects)}
    return [version for version in rows if {version.document, version.subject} & named]


def switches(conn: sa.Connection, row: CommitRow) -> bool:
    """Tell whether a commit is about a generation: made, staged, given up or brought back it."""
    if row.kind in SWITCHING:
        return True
    if row.kind != "rollback" or row.log_index is None:
        return False
    return "generation" in log.body(conn, row.log_index)


def retirements(conn: sa.Connection) -> dict[int, int]:
    """List generations that ceased to serve, and the commit with which each last did."""
    ended: dict[int, int] = {}
    serving = newest = 1
    for row in reversed(commits.listed(conn)):
        if not switches(conn, row) or row.log_index is None:
            continue
        # A rebuild of a workspace from before the log named generations always made the next one.
        logged = log.body(conn, row.log_index).get("generation") or {"id": newest + 1}
        newest = max(newest, int(logged["id"]))
        if logged.get("state", "serving") == "serving":
            ended[serving] = row.id
            serving = int(logged["id"])
    return ended


def good_today(
    workspace: Workspace, versions: Iterable[VersionRow]
) -> tuple[list[VersionRow], list[ExcludedDocument]]:
    """List versions that may serve by the trust of today, and the others with the reason.

    Signatures, contract and denials are looked at; bytes are not read. A commit with which
    documents begin to serve again has to ask this of them: later the audit takes it as asked.
    """
    with workspace.ledger.reading() as conn:
        rows = versions_at.last_stays(conn, [v.id for v in versions])
    return sift(workspace, rows)


@dataclass(frozen=True)
class ZonedDocument:
    """A document in a zone: the version asked for, and the one that will be there.

    Attributes:
        wanted: As asked for.
        version: With the generation's recipe; `None` where it has to be made.
        spans: Rows of points that the same bytes have by the recipe; empty where they have none.
    """

    zone: str
    wanted: VersionRow
    version: VersionRow | None
    spans: Sequence[PointRow]


def places_of(conn: sa.Connection, target: Zones, recipe: str) -> list[ZonedDocument]:
    """List every document of the target with the version that will be there, serving ones first."""
    wanted = [(zone, row) for zone in ZONES for _, row in sorted(target.of(zone).items())]
    strange = [row for _, row in wanted if row.recipe != recipe]
    twins = versions_at.same_bytes(conn, strange, recipe)
    taken = {row.id for _, row in wanted if row.recipe == recipe}
    chosen: list[tuple[str, VersionRow, VersionRow | None, int | None]] = []
    for zone, row in wanted:
        if row.recipe == recipe:
            chosen.append((zone, row, row, row.id))
            continue
        alike = twins.get((row.source, row.document, row.digest), [])
        same = next((v for v in alike if v.id not in taken and _but_for_recipe(v, row)), None)
        if same is not None:
            taken.add(same.id)
        cut = same or next(iter(alike), None)
        chosen.append((zone, row, same, cut.id if cut else None))
    points = version_rows.points_of(conn, sorted({n for *_, n in chosen if n is not None}))
    return [
        ZonedDocument(zone, row, version, points[n] if n is not None else ())
        for zone, row, version, n in chosen
    ]


def _but_for_recipe(a: VersionRow, b: VersionRow) -> bool:
    names = [f.name for f in fields(VersionRow) if f.name not in _OWN]
    return all(getattr(a, name) == getattr(b, name) for name in names)
