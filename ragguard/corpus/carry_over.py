"""Carry documents over into a new generation: what of a rebuild goes into its plan.

A document whose chunks come out as they were keeps its version, and only its points are sealed for
the new collection. Another recipe makes other points, and so a new version with the verdict of the
old one; a case about the old version gives way to one about the new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragguard.corpus.changes import Draft
from ragguard.corpus.clean_set import ExcludedDocument
from ragguard.corpus.embed import EmbeddedDocument
from ragguard.corpus.sealing import seals_of
from ragguard.ledger.seals import point_id
from ragguard.ledger.versions import PointRow, VersionRow


def fill(
    plan: Draft,
    kept: Sequence[VersionRow],
    left: Sequence[ExcludedDocument],
    waiting: Sequence[VersionRow],
    ready: Mapping[int, EmbeddedDocument],
) -> None:
    """Everything that a rebuild does with documents.

    Args:
        plan: Empty draft on the new generation.
        kept: What will serve; all of it is ready.
        waiting: What waits for a reviewer now.
        ready: Chunks and vectors by the new generation's recipe, by version.
    """
    generation = plan.generation
    plan.look_up([*kept, *waiting])
    plan.writes = {generation.serving: [], generation.quarantine: []}
    for row in kept:
        carry(plan, row, ready[row.id], "serving")
    for left_out in left:
        leave_out(plan, left_out, ready.get(left_out.version.id))
    named = {row.id for row in kept} | {left_out.version.id for left_out in left}
    for number, zone in plan.zones.items():  # not there at the commit asked for
        if zone == "serving" and number not in named:
            plan.leave.append((number, "serving"))
            plan.counts["gone"] += 1
    moved = {left_out.label for left_out in left if left_out.waits}
    for row in waiting:
        got = ready.get(row.id)
        if row.label in moved:  # one version of a document waits at a time
            drop_waiting(plan, row, "superseded")
        elif got is None:
            drop_waiting(plan, row, "withdrawn")
        else:
            carry(plan, row, got, "quarantine")


def zones_after(plan: Draft) -> dict[str, list[int]]:
    """List versions that each zone would hold after a plan, by zone, in order."""
    zones: dict[str, set[int]] = {"serving": set(), "quarantine": set()}
    for number, zone in plan.zones.items():
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


def carry(plan: Draft, row: VersionRow, embedded: EmbeddedDocument, zone: str) -> None:
    """Take a document over as it is.

    Args:
        plan: Draft on the new generation.
        embedded: Its chunks and vectors by the new generation's recipe.
        zone: Where it stands, and will.
    """
    here = plan.zones.get(row.id) == zone
    if row.recipe == plan.generation.recipe and same(row, embedded, plan.spans(row)):
        writes = plan.seal(row, embedded, zone)
        plan.add_writes(zone, writes)
        if not here:
            plan.enter.append((row.id, zone))
    else:
        new, writes = plan.migrate(row, embedded, zone)
        if here:
            plan.leave.append((row.id, zone))
        case = plan.open_cases.get(row.label)
        if zone == "quarantine" and case is not None:
            plan.closes.append((case.id, "superseded"))
            plan.open_case(new)
    plan.tell(row, "kept" if zone == "serving" else "waiting", seals_of(writes))


def leave_out(plan: Draft, left: ExcludedDocument, embedded: EmbeddedDocument | None) -> None:
    """Take a document out of the serving zone: into quarantine with a case, or out altogether.

    An open case about it must be closed by the caller.

    Args:
        plan: Draft on the new generation.
        left: Which, and why.
        embedded: Its chunks and vectors; `None` where it could not be read.
    """
    row = left.version
    if plan.zones.get(row.id) == "serving":
        plan.leave.append((row.id, "serving"))
    if not left.waits or embedded is None:
        plan.tell(row, "denied" if left.findings[0].check == "denied" else "removed")
        return
    new, writes = plan.migrate(
        row,
        embedded,
        "quarantine",
        outcome="quarantine",
        score=left.score,
        p_value=left.p_value,
        findings=[f.as_dict() for f in left.findings],
    )
    plan.open_case(new)
    plan.tell(row, "pulled", seals_of(writes))


def drop_waiting(plan: Draft, row: VersionRow, state: str) -> None:
    """End a document's waiting without a decision."""
    plan.leave.append((row.id, "quarantine"))
    case = plan.open_cases.get(row.label)
    if case is not None:
        plan.closes.append((case.id, state))


def same(row: VersionRow, embedded: EmbeddedDocument, points: Sequence[PointRow]) -> bool:
    """Tell whether chunks and points come out as the ledger has them."""
    computed = [
        (
            point_id(row.source, row.document, row.digest, chunk.start, chunk.end, row.recipe),
            chunk.start,
            chunk.end,
            text,
        )
        for chunk, text in zip(embedded.prepared.chunks, embedded.text_digests, strict=True)
    ]
    return computed == [(p.point, p.start, p.end, p.text_digest) for p in points]
