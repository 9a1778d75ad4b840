"""Read and write commits: one atomic change of the corpus each, first pending, then confirmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from ragguard.ledger.tables import (
    commits,
    generations,
    manifests,
    points,
    recipes,
    roots,
    seals,
    versions,
)
from ragguard.ledger.versions import PointRow, VersionRow


@dataclass(frozen=True)
class CommitRow:
    """A commit as recorded.

    Attributes:
        corpus: Digest of the serving corpus after it; empty while pending.
        log_index: Its entry in the log; `None` while pending.
    """

    id: int
    kind: str
    state: str
    at: str
    actor: str
    source: str
    manifest: str
    plan: str
    corpus: str
    log_index: int | None
    counts: Mapping[str, int]


def _row(row: sa.Row[*tuple[Any, ...]]) -> CommitRow:
    return CommitRow(
        row.id,
        row.kind,
        row.state,
        row.at,
        row.actor,
        row.source or "",
        row.manifest or "",
        row.plan,
        row.corpus or "",
        row.log_index,
        row.counts,
    )


def next_id(conn: sa.Connection, table: sa.Table) -> int:
    """Return the id the next row of a table gets; valid while the workspace lock is held."""
    return int(conn.execute(sa.select(sa.func.max(table.c.id))).scalar() or 0) + 1


def record_pending(
    conn: sa.Connection,
    commit: Mapping[str, Any],
    version_rows: Sequence[VersionRow],
    point_rows: Sequence[PointRow],
) -> None:
    """First phase: the commit, its verdicts and its points, belonging to nobody yet."""
    conn.execute(sa.insert(commits), dict(commit, state="pending"))
    if version_rows:
        conn.execute(sa.insert(versions), [vars(row) for row in version_rows])
    if point_rows:
        conn.execute(sa.insert(points), [vars(row) for row in point_rows])


def confirm(conn: sa.Connection, commit: int, corpus: str, log_index: int) -> None:
    """Last phase: the commit counts."""
    conn.execute(
        sa.update(commits)
        .where(commits.c.id == commit)
        .values(state="confirmed", corpus=corpus, log_index=log_index)
    )


def give_up(conn: sa.Connection, commit: int) -> None:
    """Forget a pending commit with its verdicts and points, which belong to nobody."""
    own_versions = sa.select(versions.c.id).where(versions.c.commit == commit)
    conn.execute(sa.delete(points).where(points.c.version.in_(own_versions)))
    conn.execute(sa.delete(versions).where(versions.c.commit == commit))
    conn.execute(sa.delete(commits).where(commits.c.id == commit, commits.c.state == "pending"))


def pending(conn: sa.Connection) -> list[CommitRow]:
    """List commits that were begun and not confirmed, oldest first."""
    query = sa.select(commits).where(commits.c.state == "pending").order_by(commits.c.id)
    return [_row(r) for r in conn.execute(query)]


def listed(conn: sa.Connection, *, limit: int | None = None) -> list[CommitRow]:
    """Confirmed commits, newest first."""
    query = sa.select(commits).where(commits.c.state == "confirmed").order_by(commits.c.id.desc())
    return [_row(r) for r in conn.execute(query.limit(limit) if limit else query)]


def get(conn: sa.Connection, commit: int) -> CommitRow | None:
    """Return a confirmed commit by number."""
    query = sa.select(commits).where(commits.c.id == commit, commits.c.state == "confirmed")
    row = conn.execute(query).first()
    return _row(row) if row else None


# --- manifests ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ManifestRow:
    """An accepted manifest, or the record of an adoption.

    Attributes:
        version: Below 1 for an adoption.
        envelope: Its bytes in the vault.
        signers: Key id and principal of each signature that counted.
        expires: Time as text.
        commit: The commit that accepted it.
    """

    digest: str
    source: str
    version: int
    envelope: str
    signers: Sequence[Sequence[str]]
    expires: str
    commit: int


@dataclass(frozen=True)
class AcceptedManifest(ManifestRow):
    """A manifest with the log entry of its commit."""

    log_index: int


def accept_manifest(conn: sa.Connection, row: ManifestRow) -> None:
    """Record an accepted manifest; one that comes again for what it did not bring stays as is."""
    if manifest_row(conn, row.digest) is None:
        conn.execute(sa.insert(manifests), vars(row))


def last_manifest(conn: sa.Connection, source: str) -> tuple[int, str] | None:
    """Version and digest of the last accepted manifest of a source; adoptions are none."""
    query = (
        sa.select(manifests.c.version, manifests.c.digest)
        .where(manifests.c.source == source, manifests.c.version >= 1)
        .order_by(manifests.c.version.desc())
        .limit(1)
    )
    row = conn.execute(query).first()
    return (row.version, row.digest) if row else None


def sources(conn: sa.Connection) -> set[str]:
    """List sources that a manifest was ever accepted of, adoptions included."""
    return set(conn.execute(sa.select(manifests.c.source).distinct()).scalars())


def next_adoption(conn: sa.Connection, source: str) -> int:
    """Version of a source's next adoption record: 0 and below, so that manifests begin at 1."""
    query = sa.select(sa.func.min(manifests.c.version)).where(
        manifests.c.source == source, manifests.c.version < 1
    )
    lowest = conn.execute(query).scalar()
    return 0 if lowest is None else int(lowest) - 1


def manifest_row(conn: sa.Connection, digest: str) -> ManifestRow | None:
    """Return an accepted manifest by digest."""
    row = conn.execute(sa.select(manifests).where(manifests.c.digest == digest)).first()
    return ManifestRow(*row) if row else None


def manifests_by_digest(conn: sa.Connection) -> dict[str, ManifestRow]:
    """List every manifest in the ledger, whatever its commit."""
    return {row.digest: ManifestRow(*row) for row in conn.execute(sa.select(manifests))}


def accepted_manifests(conn: sa.Connection) -> list[AcceptedManifest]:
    """List all accepted manifests, oldest first."""
    query = (
        sa.select(manifests, commits.c.log_index)
        .join(commits, commits.c.id == manifests.c.commit)
        .where(commits.c.state == "confirmed")
        .order_by(manifests.c.commit, manifests.c.digest)
    )
    return [AcceptedManifest(*row) for row in conn.execute(query)]


# --- recipes and generations ----------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A pair of collections, by the number of its generation."""

    id: int
    serving: str
    quarantine: str


@dataclass(frozen=True)
class Generation(Pair):
    """One pair of collections, built with one recipe."""

    recipe: str

    @property
    def pair(self) -> Pair:
        """Its collections alone."""
        return Pair(self.id, self.serving, self.quarantine)


@dataclass(frozen=True)
class Switch(Generation):
    """A generation that a commit makes, brings back or gives up.

    Attributes:
        drops: Generations that are given up with it.
        state: What it is afterwards, see `after_switch`; `serving` where it is empty.
        again: Whether the ledger has it already: then it has neither `body` nor `at`.
        body: Of its recipe.
        at: When it was built.
        zones: Versions that a candidate holds, by zone.
    """

    drops: Sequence[Pair] = ()
    state: str = ""
    again: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    zones: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def becomes(self) -> str:
        """Its state after the commit."""
        return self.state or "serving"

    def as_dict(self) -> dict[str, Any]:
        """As a plan has it: without what is empty, but for `drops`."""
        every = {**vars(self), "drops": [vars(pair) for pair in self.drops]}
        return {name: value for name, value in every.items() if value or name == "drops"}


def load_switch(body: Mapping[str, Any]) -> Switch:
    """Read what `Switch.as_dict` wrote."""
    return Switch(**{**body, "drops": [Pair(**row) for row in body.get("drops", ())]})


def serving_generation(conn: sa.Connection) -> Generation | None:
    """Return the generation that serves."""
    row = conn.execute(sa.select(generations).where(generations.c.state == "serving")).first()
    return Generation(row.id, row.serving, row.quarantine, row.recipe) if row else None


def generations_in(conn: sa.Connection, state: str) -> list[Generation]:
    """List generations in a state, oldest first."""
    query = sa.select(generations).where(generations.c.state == state).order_by(generations.c.id)
    return [Generation(r.id, r.serving, r.quarantine, r.recipe) for r in conn.execute(query)]


def add_generation(
    conn: sa.Connection,
    generation: Generation,
    body: Mapping[str, Any],
    at: str,
    state: str = "serving",
) -> None:
    """Record a generation and its recipe."""
    known = conn.execute(
        sa.select(recipes.c.digest).where(recipes.c.digest == generation.recipe)
    ).scalar()
    if known is None:
        conn.execute(sa.insert(recipes), {"digest": generation.recipe, "body": dict(body)})
    conn.execute(
        sa.insert(generations),
        {
            "id": generation.id,
            "serving": generation.serving,
            "quarantine": generation.quarantine,
            "recipe": generation.recipe,
            "state": state,
            "at": at,
        },
    )


def generation_states(conn: sa.Connection) -> dict[int, tuple[str, str]]:
    """Return the state (see `after_switch`) and time of building of every generation, by number."""
    query = sa.select(generations).order_by(generations.c.id)
    return {r.id: (r.state, r.at) for r in conn.execute(query)}


def after_switch(states: Mapping[int, str], row: Switch) -> dict[int, str]:
    """States of the generations once a commit with a generation is done.

    - `serving`: the alias points at it; one at a time;
    - `retired`: it served, and is kept;
    - `candidate`: it is built and sealed, and does not serve;
    - `dropped`: it is given up; its collections go, its number is never used again.

    Args:
        states: Before, by number.
        row: What the commit does.
    """
    after = dict(states)
    if row.becomes == "serving":
        after |= {number: "retired" for number, was in states.items() if was == "serving"}
    after |= {old.id: "dropped" for old in row.drops}
    after[row.id] = row.becomes
    return after


def switch_generation(conn: sa.Connection, row: Switch) -> None:
    """Record a generation that a commit makes or brings back, and what becomes of the others."""
    before = {number: state for number, (state, _) in generation_states(conn).items()}
    after = after_switch(before, row)
    for number, state in after.items():
        if number in before and before[number] != state:
            conn.execute(
                sa.update(generations).where(generations.c.id == number).values(state=state)
            )
    for old in row.drops:
        names = (old.serving, old.quarantine)
        conn.execute(sa.delete(seals).where(seals.c.collection.in_(names)))
    if not row.again:
        add_generation(conn, row, row.body, row.at, after[row.id])


def recipe_body(conn: sa.Connection, digest: str) -> Mapping[str, Any]:
    """Return the recipe behind a digest."""
    row = conn.execute(sa.select(recipes.c.body).where(recipes.c.digest == digest)).scalar()
    return dict(row or {})


# --- trust roots ----------------------------------------------------------------------------------


def last_root(conn: sa.Connection) -> tuple[int, bytes, str] | None:
    """Version, envelope and digest of the newest trust root this workspace has seen."""
    row = conn.execute(sa.select(roots).order_by(roots.c.version.desc()).limit(1)).first()
    return (row.version, row.envelope, row.digest) if row else None


def add_root(conn: sa.Connection, version: int, envelope: bytes, digest: str) -> None:
    """Remember a verified trust root."""
    conn.execute(sa.insert(roots), {"version": version, "envelope": envelope, "digest": digest})
