"""Plan the commit that makes a generation hold a given corpus state.

What a rollback and a cut-over share. `state` says what the two zones are to hold; `turn` plans one
commit after which they hold just that, in the collections of one generation.

- The serving generation is changed by the difference. Any other one was out of ragguard's sight: it
  is read point by point, and whatever the ledger has no current seal for is written again.
- Bytes and vectors come from the vault, never from an index. Nothing is embedded unless that is
  asked for, and then only texts that the vault has no vector of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from ragguard.corpus import changes
from ragguard.corpus import embed as prepare
from ragguard.corpus.carry_over import same
from ragguard.corpus.changes import Draft
from ragguard.corpus.clean_set import read_back
from ragguard.corpus.embed import EmbeddedDocument
from ragguard.corpus.reuse_vectors import recut
from ragguard.corpus.sealing import seals_of
from ragguard.corpus.state import (
    ZONES,
    ZonedDocument,
    Zones,
    good_today,
    places_of,
    replayed,
    switches,
    zones_at,
)
from ragguard.errors import IntegrityError, RecipeMismatchError
from ragguard.ledger import audit_queries, versions
from ragguard.ledger.commits import Generation, Switch
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Plan, Write
from ragguard.model import Progress
from ragguard.store import Point
from ragguard.workspace import Workspace

__all__ = ["Zones", "good_today", "replayed", "switches", "turn", "zones_at"]

NAMED = 20  # documents named in an error


def turn(
    workspace: Workspace,
    generation: Generation,
    target: Zones,
    *,
    kind: str,
    actor: str,
    embed: bool,
    row: Switch | None,
    progress: Progress = lambda stage, done, total: None,
) -> Plan:
    """Plan the commit after which the two zones hold exactly what is asked for.

    Nothing is changed but that, with `embed`, vectors come into the vault.

    Args:
        workspace: Open and locked, no commit unfinished.
        generation: Whose collections are to hold it; they are there.
        target: What the zones are to hold. A version by another recipe gives way to one that is the
            same but for the recipe, or else to a new one.
        kind: Of the commit.
        actor: Who causes it.
        embed: Embed texts that the vault has no vector of, by the recipe of the settings, which
            then must be the generation's.
        row: The plan's generation, see `Plan`; `None` for the one that serves.

    Raises:
        IntegrityError: A collection of the generation is gone or holds what cannot be removed, or
            bytes of a document are gone.
        RecipeMismatchError: There are texts to embed, and `embed` is not given or the settings are
            of another recipe.
    """
    work = _Turn(workspace, generation, target)
    current = workspace.generation()
    if current is not None and current.id == generation.id:
        work.compare_zones()
    else:
        work.compare_points(progress)
    work.make(embed, progress)
    work.settle_cases()
    return work.plan.finish(kind, actor, "", generation=row)


class _Turn:
    """One plan in the making."""

    def __init__(self, workspace: Workspace, generation: Generation, target: Zones) -> None:
        self._workspace = workspace
        self._generation = generation
        self.plan: Draft = changes.draft(workspace, generation)
        with workspace.ledger.reading() as conn:
            self._now = zones_at(conn)
            self._places = places_of(conn, target, generation.recipe)
        self._stale: dict[str, set[str]] | None = None  # ids to write by zone; none: all of them
        self._seals: dict[str, dict[str, str]] = {zone: {} for zone in ZONES}
        self._waits: dict[str, VersionRow] = {}  # the version that will wait, by label

    # --- what has to be written and dropped -------------------------------------------------------

    def compare_zones(self) -> None:
        """The serving generation: what leaves is dropped, what comes is written."""
        stay = {(p.zone, p.version.id) for p in self._places if p.version is not None}
        leaving = [
            (zone, row)
            for zone in ZONES
            for row in self._now.of(zone).values()
            if (zone, row.id) not in stay
        ]
        with self._workspace.ledger.reading() as conn:
            points = versions.points_of(conn, [row.id for _, row in leaving])
        for zone, row in leaving:
            self.plan.add_drops(zone, [p.point for p in points[row.id]])

    def compare_points(self, progress: Progress) -> None:
        """Another generation: every point is held against the ledger's current seals."""
        self._stale = {}
        for zone in ZONES:
            name = self.plan.collection(zone)
            there = self._sound_points(zone, name, progress)
            with self._workspace.ledger.reading() as conn:
                sealed = dict(audit_queries.current_seals(conn, name))
            wanted = {
                p.point: place.version.id
                for place in self._places
                if place.zone == zone and place.version is not None
                for p in place.spans
            }
            good = {
                point
                for point, (version, seal) in there.items()
                if wanted.get(point) == version and sealed.get(point) == seal
            }
            self._stale[zone] = set(wanted) - good
            self._seals[zone] = {point: sealed[point] for point in good}
            self.plan.add_drops(zone, (there.keys() | sealed.keys()) - set(wanted))

    def _sound_points(self, zone: str, name: str, progress: Progress) -> dict[str, tuple[int, str]]:
        """Points of a collection: version and seal as computed, empty where it is not its own."""
        store = self._workspace.open_store()
        if not store.exists(name):
            raise IntegrityError(
                f"index: collection {name!r} of generation {self._generation.id} is gone",
                hint="Restore the index from its backup, or `ragguard reindex --from-clean`.",
            )
        sound_points: dict[str, tuple[int, str]] = {}
        total = store.count(name)
        for block in store.scan(name, vectors=True):
            for point in block:
                _check_id(point, name)
                sound_points[point.id] = self._sealed(name, point)
            progress(f"read {zone}", len(sound_points), total)
        return sound_points

    def _sealed(self, name: str, point: Point) -> tuple[int, str]:
        try:
            own = point.payload["ragguard"]
            seal = self._workspace.committer.seal(name, point.id, point.vector, point.payload)
            return int(own["version"]), seal if own.get("seal") == seal else ""
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return 0, ""  # nothing that ragguard wrote

    # --- the plan ---------------------------------------------------------------------------------

    def make(self, embed: bool, progress: Progress) -> None:
        """Membership, versions and points."""
        ready = self._load([p for p in self._places if self._is_written(p)], embed, progress)
        stay = {(p.zone, self._put(p, ready)) for p in self._places}
        will = {zone: {p.wanted.label for p in self._places if p.zone == zone} for zone in ZONES}
        told = {(leaf.source, leaf.document) for leaf in self.plan.leaves}
        for zone in ZONES:
            for label, row in self._now.of(zone).items():
                if (zone, row.id) in stay:
                    continue
                self.plan.leave.append((row.id, zone))
                goes = label not in will["serving"]
                if zone == "quarantine":
                    goes = goes and label not in will[zone] and label not in self._now.serving
                if goes and (row.source, row.document) in told:
                    self.plan.counts["removed"] += 1
                elif goes:
                    self.plan.tell(row, "removed")

    def _is_written(self, place: ZonedDocument) -> bool:
        if place.version is None:
            return True
        if self._stale is not None:
            return any(p.point in self._stale[place.zone] for p in place.spans)
        here = self._now.of(place.zone).get(place.wanted.label)
        return here is None or here.id != place.version.id

    def _load(
        self,
        places: Sequence[ZonedDocument],
        embed: bool,
        progress: Progress,
    ) -> dict[int, EmbeddedDocument]:
        """List chunks and vectors of documents, by the version asked for."""
        workspace, recipe = self._workspace, self._generation.recipe
        rows = [p.wanted for p in places]
        items, damaged = read_back(workspace, rows)
        if damaged:
            raise IntegrityError(
                f"vault: bytes of {len(damaged)} documents are not there as they were signed "
                f"({_named(left_out.label for left_out in damaged)})",
                hint="Restore the vault from its backup, or `ragguard reindex --from-clean`.",
            )
        spans = {p.wanted.id: p.spans for p in places}
        ready = recut(workspace, items, spans, recipe)
        lacking = [row for row in rows if row.id not in ready]
        if not lacking:
            return ready
        if not embed:
            raise RecipeMismatchError(
                f"{len(lacking)} documents were never embedded by the recipe of generation "
                f"{self._generation.id} ({_named(row.label for row in lacking)})",
                hint="`ragguard reindex --from-clean --at COMMIT` embeds them.",
            )
        if workspace.encoder.recipe.digest != recipe:
            raise RecipeMismatchError(
                f"{len(lacking)} documents have to be embedded by the recipe of generation "
                f"{self._generation.id}, and [model] and [chunks] are of another one",
                hint="Set [model] and [chunks] back to what that generation was built with.",
            )
        listed = [items[row.id] for row in lacking]
        parts, unreadable = prepare.take_apart(workspace, listed)
        if unreadable:
            first = next(iter(unreadable))
            raise IntegrityError(
                f"{lacking[first].label}: cannot be read ({unreadable[first].detail})",
                hint="`ragguard reindex --from-clean` leaves it out.",
            )
        by_place = prepare.embed(
            workspace,
            listed,
            parts,
            {},
            keep=True,
            progress=lambda done, total: progress("embed", done, total),
        )
        return ready | {lacking[place].id: embedded for place, embedded in by_place.items()}

    def _put(self, place: ZonedDocument, ready: Mapping[int, EmbeddedDocument]) -> int:
        """A document into its zone, or left where it is; returns the version that is there then."""
        plan, zone, wanted, version = self.plan, place.zone, place.wanted, place.version
        embedded = ready.get(wanted.id)
        writes: list[Write] = []
        if (
            embedded is not None
            and version is not None
            and not same(version, embedded, place.spans)
        ):
            plan.add_drops(zone, [p.point for p in place.spans])
            version = None  # its text is read otherwise now than when it was cut
        here = self._now.of(zone).get(wanted.label)
        if version is None:
            there, writes = plan.migrate(wanted, ready[wanted.id], zone)
        else:
            there = version
            if embedded is not None:
                writes = plan.seal(version, embedded, zone)
                if self._stale is not None:
                    writes = [w for w in writes if w.id in self._stale[zone]]
                plan.add_writes(zone, writes)
            if here is None or here.id != there.id:
                plan.enter.append((there.id, zone))
        if zone == "quarantine":
            self._waits[wanted.label] = there
        if here is not None and here.id == there.id and self._stale is None:
            return there.id  # in the serving generation, where it was: nothing to tell
        outcome = "kept" if _bytes(wanted) == _bytes(here) else "back"
        outcome = "waiting" if zone == "quarantine" else outcome
        seals = dict(seals_of(writes))
        ids = [p.point for p in place.spans] if version else list(seals)
        plan.tell(wanted, outcome, [[i, seals.get(i) or self._seals[zone][i]] for i in ids])
        return there.id

    def settle_cases(self) -> None:
        """Cases whose document waits no more are closed; what waits without one gets one."""
        serving = {p.wanted.label: p.wanted for p in self._places if p.zone == "serving"}
        with self._workspace.ledger.reading() as conn:
            about = {
                label: versions.version(conn, case.version) if case.version else None
                for label, case in self.plan.open_cases.items()
            }
        for label, case in self.plan.open_cases.items():
            if label in self._waits and self._waits[label].id == case.version:
                continue
            now = about[label]
            over = now is not None and _bytes(serving.get(label)) == _bytes(now)
            over = over or label in self._waits
            self.plan.closes.append((case.id, "superseded" if over else "withdrawn"))
        for label, row in self._waits.items():
            known = self.plan.open_cases.get(label)
            if known is None or known.version != row.id:
                self.plan.open_case(row)


def _check_id(point: Point, name: str) -> None:
    try:
        if str(UUID(point.id)) == point.id:
            return
    except (ValueError, AttributeError, TypeError):
        pass
    raise IntegrityError(
        f"index: point {str(point.id)[:60]!r} in {name!r} is none that ragguard wrote, nor one "
        "that it can remove",
        hint="Remove it by hand, or `ragguard reindex --from-clean`.",
    )


def _bytes(row: VersionRow | None) -> tuple[str, str] | None:
    return (row.digest, row.metadata_digest) if row is not None else None


def _named(labels: Iterable[str]) -> str:
    every = sorted(labels)
    more = f" and {len(every) - NAMED} more" if len(every) > NAMED else ""
    return ", ".join(every[:NAMED]) + more
