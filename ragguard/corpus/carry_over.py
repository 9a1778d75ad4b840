"""Carrying documents over into a new generation: what of a rebuild goes into its plan.

A document whose chunks come out as they were keeps its version, and only its points are sealed for
the new collection. Another recipe makes other points, and so a new version with the verdict of the
old one; a case about the old version gives way to one about the new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragguard.corpus import changes as corpus_changes
from ragguard.corpus.changes import Draft, finding_body
from ragguard.corpus.clean_set import Left
from ragguard.corpus.documents import Incoming
from ragguard.corpus.embed import Embedded
from ragguard.ledger.cases import CaseRow
from ragguard.ledger.seals import point_id
from ragguard.ledger.versions import VersionRow


@dataclass(frozen=True)
class Now:
    """What stands before the rebuild.

    Attributes:
        zones: Zone of each version that is in one now.
        points: Rows of the points of versions.
        cases: Open document cases by `source/id`.
    """

    zones: Mapping[int, str]
    points: Mapping[int, Sequence[Any]]
    cases: Mapping[str, CaseRow]


@dataclass(frozen=True)
class Ready:
    """A document from the vault, with chunks and vectors by the new generation's recipe."""

    row: VersionRow
    item: Incoming
    embedded: Embedded


def fill(
    plan: Draft,
    kept: Sequence[VersionRow],
    left: Sequence[Left],
    waiting: Sequence[VersionRow],
    ready: Mapping[int, Ready],
    now: Now,
) -> None:
    """Everything that a rebuild does with documents.

    Args:
        plan: Empty draft on the new generation.
        kept: What will serve; all of it is ready.
        left: What is left out.
        waiting: What waits for a reviewer now.
        ready: Documents by version.
        now: What stands before.
    """
    generation = plan.generation
    plan.writes = {generation.serving: [], generation.quarantine: []}
    for row in kept:
        carry(plan, row, ready[row.id].item, ready[row.id].embedded, "serving", now)
    for one in left:
        got = ready.get(one.version.id)
        leave_out(plan, one, got.item if got else None, got.embedded if got else None, now)
    named = {row.id for row in kept} | {one.version.id for one in left}
    for number, zone in now.zones.items():  # not there at the commit asked for
        if zone == "serving" and number not in named:
            plan.leave.append((number, "serving"))
            plan.counts["gone"] += 1
    moved = {one.label for one in left if one.waits}
    for row in waiting:
        got = ready.get(row.id)
        if f"{row.source}/{row.document}" in moved:  # one version of a document waits at a time
            drop_waiting(plan, row, now, "superseded")
        elif got is None:
            drop_waiting(plan, row, now, "withdrawn")
        else:
            carry(plan, row, got.item, got.embedded, "quarantine", now)


def zones_after(plan: Draft, now: Now) -> dict[str, list[int]]:
    """Versions that each zone would hold after a plan, by zone, in order."""
    zones: dict[str, set[int]] = {"serving": set(), "quarantine": set()}
    for number, zone in now.zones.items():
        zones[zone].add(number)
    for number, zone in plan.leave:
        zones[zone].discard(number)
    for number, zone in plan.enter:
        zones[zone].add(number)
    return {zone: sorted(numbers) for zone, numbers in zones.items()}


def only_build(plan: Draft) -> None:
    """Leave of a plan what makes collections: nobody enters or leaves, no case changes."""
    for listed in (plan.enter, plan.leave, plan.opens, plan.closes):
        listed.clear()


def carry(
    plan: Draft, row: VersionRow, item: Incoming, embedded: Embedded, zone: str, now: Now
) -> None:
    """Take a document over as it is.

    Args:
        plan: Draft on the new generation.
        row: Its version.
        item: The document, from the vault.
        embedded: Its chunks and vectors by the new generation's recipe.
        zone: Where it stands, and will.
        now: What stands before.
    """
    here = now.zones.get(row.id) == zone
    recipe = plan.generation.recipe
    outcome = "kept" if zone == "serving" else "waiting"
    if row.recipe == recipe and same(row, embedded, now.points.get(row.id, ())):
        writes = corpus_changes.point_writes(
            plan, row.id, row.commit, item, embedded, zone, recipe, row.manifest
        )
        plan.writes.setdefault(plan.collection(zone), []).extend(writes)
        if not here:
            plan.enter.append((row.id, zone))
    else:
        number = renew(plan, row, embedded, {})
        writes = corpus_changes.point_writes(
            plan, number, plan.commit, item, embedded, zone, recipe, row.manifest
        )
        plan.points += corpus_changes.point_rows(number, writes, embedded)
        plan.put_in(number, zone, writes)
        if here:
            plan.leave.append((row.id, zone))
        case = now.cases.get(f"{row.source}/{row.document}")
        if zone == "quarantine" and case is not None:
            plan.closes.append((case.id, "superseded"))
            corpus_changes.open_case(plan, row.source, row.document, number)
    plan.counts[outcome] += 1
    _leaf(plan, row, outcome, [[w.id, w.payload["ragguard"]["seal"]] for w in writes])


def leave_out(
    plan: Draft, left: Left, item: Incoming | None, embedded: Embedded | None, now: Now
) -> None:
    """Take a document out of the serving zone: into quarantine with a case, or out altogether.

    Args:
        plan: Draft on the new generation.
        left: Which, and why.
        item: The document, from the vault; `None` where it could not be read.
        embedded: Its chunks and vectors; `None` where there are none.
        now: What stands before; a case about it must be closed by the caller.
    """
    row = left.version
    if now.zones.get(row.id) == "serving":
        plan.leave.append((row.id, "serving"))
    if not left.waits or item is None or embedded is None:
        outcome = "denied" if left.findings[0].check == "denied" else "removed"
        plan.counts[outcome] += 1
        _leaf(plan, row, outcome, [])
        return
    changes = {
        "outcome": "quarantine",
        "score": left.score,
        "p_value": left.p_value,
        "findings": [finding_body(f) for f in left.findings],
    }
    number = renew(plan, row, embedded, changes)
    writes = corpus_changes.point_writes(
        plan,
        number,
        plan.commit,
        item,
        embedded,
        "quarantine",
        plan.generation.recipe,
        row.manifest,
    )
    plan.points += corpus_changes.point_rows(number, writes, embedded)
    plan.put_in(number, "quarantine", writes)
    corpus_changes.open_case(plan, row.source, row.document, number)
    plan.counts["pulled"] += 1
    _leaf(plan, row, "pulled", [[w.id, w.payload["ragguard"]["seal"]] for w in writes])


def drop_waiting(plan: Draft, row: VersionRow, now: Now, state: str) -> None:
    """End a document's waiting without a decision."""
    plan.leave.append((row.id, "quarantine"))
    case = now.cases.get(f"{row.source}/{row.document}")
    if case is not None:
        plan.closes.append((case.id, state))


def same(row: VersionRow, embedded: Embedded, points: Sequence[Any]) -> bool:
    """Whether chunks and points come out as the ledger has them."""
    made = [
        (
            point_id(row.source, row.document, row.digest, chunk.start, chunk.end, row.recipe),
            chunk.start,
            chunk.end,
            text,
        )
        for chunk, text in zip(embedded.prepared.chunks, embedded.text_digests, strict=True)
    ]
    return made == [(p.point, p.start, p.end, p.text_digest) for p in points]


def renew(plan: Draft, row: VersionRow, embedded: Embedded, changes: Mapping[str, Any]) -> int:
    """A new version of a document by the new recipe; returns its number."""
    number = plan.next_version
    plan.next_version += 1
    body = {name: getattr(row, name) for name in VersionRow.__dataclass_fields__}
    hidden = embedded.prepared.hidden[: corpus_changes.MAX_HIDDEN]
    plan.versions.append(
        {
            **body,
            "id": number,
            "metadata": dict(row.metadata),
            "recipe": plan.generation.recipe,
            "hidden": [[h.kind, h.text[: corpus_changes.MAX_HIDDEN_TEXT]] for h in hidden],
            "chunks": len(embedded.prepared.chunks),
            "commit": plan.commit,
            **changes,
        }
    )
    return number


def _leaf(plan: Draft, row: VersionRow, outcome: str, points: list[list[str]]) -> None:
    plan.leaves.append(
        {
            "source": row.source,
            "document": row.document,
            "digest": row.digest,
            "metadata": row.metadata_digest,
            "outcome": outcome,
            "points": points,
        }
    )
