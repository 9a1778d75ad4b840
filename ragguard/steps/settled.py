"""What is settled already: documents whose verdict stands, and those that have to be judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragguard.ledger.corpus import VersionRow
from ragguard.model import Finding, Manifest, Outcome, Verdict
from ragguard.steps.gather import Incoming
from ragguard.steps.planning import Standing
from ragguard.workspace import Workspace


def to_retry(manifest: Manifest, latest: Mapping[str, VersionRow]) -> bool:
    """Whether documents of an accepted manifest never came in, their bytes being wrong.

    Args:
        manifest: Accepted before.
        latest: Newest version of each document of its source.
    """
    return any(
        row.manifest == manifest.digest
        and row.outcome == "reject"
        and any(f["facts"].get("integrity") for f in row.findings)
        for row in latest.values()
    )


def as_before(
    manifest: Manifest, standing: Standing, latest: Mapping[str, VersionRow]
) -> list[Verdict]:
    """Verdicts of the documents of an accepted manifest that comes again: as they stand."""
    names = {s.name for s in manifest.subjects}
    verdicts = []
    for row in latest.values():
        if row.subject in names:
            here = row.document in standing.serving or row.document in standing.waiting
            verdicts.append(stands(row) if not here else stands(row, "unchanged"))
    return verdicts


def stands(row: VersionRow, outcome: Outcome | None = None) -> Verdict:
    """A recorded verdict, as it was or under another name.

    Args:
        row: The version it is on.
        outcome: `unchanged` drops its findings; none: as recorded.
    """
    findings = tuple(
        Finding(f["check"], f["score"], f["p_value"], f["detail"], f["facts"]) for f in row.findings
    )
    return Verdict(
        row.source,
        row.document,
        row.digest,
        outcome or _outcome(row),
        row.score,
        row.p_value,
        () if outcome == "unchanged" else findings,
    )


def _outcome(row: VersionRow) -> Outcome:
    return "reject" if row.outcome == "reject" else "quarantine"


def _same(item: Incoming, row: VersionRow, policy_digest: str, recipe: str) -> bool:
    return (
        row.digest,
        row.metadata_digest,
        row.policy_digest,
        row.recipe,
    ) == (item.document.digest, item.metadata_digest, policy_digest, recipe)


def sort_out(
    workspace: Workspace,
    items: Sequence[Incoming],
    standing: Standing,
    policy_digest: str,
) -> tuple[dict[str, Verdict], list[Incoming]]:
    """Documents whose verdict stands, and documents to be judged."""
    generation = workspace.generation()
    recipe = generation.recipe if generation else ""
    settled: dict[str, Verdict] = {}
    fresh: list[Incoming] = []
    for item in items:
        name = item.document.id
        serving, waiting = standing.serving.get(name), standing.waiting.get(name)
        here = serving if waiting is None else waiting
        if item.findings or here is None or not _same(item, here, policy_digest, recipe):
            fresh.append(item)
        elif waiting is None:
            settled[name] = stands(here, "unchanged")
        else:
            settled[name] = stands(here)
    return settled, fresh
