"""Judge documents of the index again, as if each had only now come in.

They are judged in a few parts, each held against the index without that part, with the reference
that ingest uses. What a reviewer released is not suspect again for what the release covered.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragguard.detect.view import PreparedDocument
from ragguard.ingest.judge import judge_batch
from ragguard.ledger import decided as decided_rows
from ragguard.ledger.versions import VersionRow
from ragguard.model import Policy, Progress, Skipped, Verdict
from ragguard.workspace import Workspace

PARTS = 5
STRONG = 0.1  # of the false-alarm rate: a document below it is no false alarm to be lived with
LIKENESS = "denylist"  # the check that compares with what reviewers rejected


@dataclass(frozen=True)
class ScreeningResult:
    """Verdicts of today's gate on documents that serve.

    Attributes:
        strong: Suspects that do not stay, by label.
        weak: Suspects that stay, by label.
    """

    strong: Mapping[str, Verdict]
    weak: Mapping[str, Verdict]
    crashed: tuple[Skipped, ...] = ()


def screen(
    workspace: Workspace,
    rows: Sequence[VersionRow],
    prepared: Sequence[PreparedDocument],
    progress: Progress,
) -> ScreeningResult:
    """Judge documents again.

    Args:
        prepared: The same documents, with vectors of the serving generation's recipe.
    """
    policies = {row.source: Policy() for row in rows}  # an adopted source may have no contract
    policies |= {name: source.policy for name, source in workspace.root.sources.items()}
    covered = _covered(workspace, {row.source for row in rows})
    versions = {row.label: row for row in rows}
    parts: list[list[PreparedDocument]] = [[] for _ in range(PARTS)]
    for document in sorted(prepared, key=lambda p: p.label):
        parts[hashlib.sha256(document.label.encode()).digest()[0] % PARTS].append(document)
    strong: dict[str, Verdict] = {}
    weak: dict[str, Verdict] = {}
    crashed: dict[str, Skipped] = {}
    for number, batch in enumerate(parts):
        progress("screen", number, PARTS)
        if not batch:
            continue
        labels = frozenset(p.label for p in batch)
        judged = judge_batch(workspace, batch, policies, _silent, absent=labels)
        crashed |= {s.check: s for s in judged.skipped if s.crashed}
        for verdict in judged.verdicts:
            label = f"{verdict.source}/{verdict.id}"
            if verdict.outcome != "quarantine" or _released(verdict, versions[label], covered):
                continue
            tier = policies[verdict.source].tier
            rate = workspace.settings.judge.false_alarm_rate * (10.0 if tier == "low" else 1.0)
            (strong if _is_strong(verdict, rate) else weak)[label] = verdict
    progress("screen", PARTS, PARTS)
    return ScreeningResult(strong, weak, tuple(crashed.values()))


def _is_strong(verdict: Verdict, rate: float) -> bool:
    if any(f.check == LIKENESS for f in verdict.findings):
        return True
    return verdict.p_value is not None and verdict.p_value <= STRONG * rate


def _covered(workspace: Workspace, sources: set[str]) -> dict[tuple[str, str, str, str], set[str]]:
    """Tell what reviewers released, and the checks that each release covers."""
    with workspace.ledger.reading() as conn:
        return {
            (source, *key): checks
            for source in sources
            for key, checks in decided_rows.released(conn, source).items()
        }


def _released(
    verdict: Verdict, row: VersionRow, covered: Mapping[tuple[str, str, str, str], set[str]]
) -> bool:
    checks = covered.get((row.source, row.document, row.digest, row.metadata_digest))
    return checks is not None and {f.check for f in verdict.findings} <= checks


def _silent(stage: str, done: int, total: int) -> None:
    """A part's own stages are no news."""
