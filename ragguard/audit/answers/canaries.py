"""Ask the canary set in force at night, and compare with what it answered before.

A poisoned corpus shows here first: something that must not appear does, or honest questions lose
their answers. Each audit keeps its rankings in the vault, and an entry of the log (`canary run`)
names them, so that queries are compared one by one. Only runs of the same set are, and only by
documents that serve today: what was taken out on purpose is no loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ragguard import canary
from ragguard.audit.drift import REMEMBERED
from ragguard.audit.findings import AuditFinding, Note, RunningAudit
from ragguard.audit.snapshot import AuditSnapshot
from ragguard.canary.comparison import TOLERANCE, Comparison
from ragguard.canary.formats import dump_run, load_run
from ragguard.canary.measures import NDCG
from ragguard.canary.result import Run, told
from ragguard.canary.sets import RUN_ACT, acts
from ragguard.errors import VaultError
from ragguard.ledger import versions
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

FALSE_ALARM_RATE = 0.01  # of both comparisons together
LOST = 0.02  # least mean loss of nDCG@10 that is worth a person's time
NAMED = 20  # queries that a finding names

Series = Mapping[str, Sequence[tuple[str, float]]]


def check_canaries(
    workspace: Workspace,
    course: RunningAudit,
    note: Note,
    taken: AuditSnapshot | None,
    series: Series,
) -> tuple[AuditSnapshot | None, Series]:
    """Ask the canary set in force.

    Args:
        workspace: Open and locked.
        course: Gets the findings.
        note: Of the part that runs.
        taken: What this audit remembers; `None` where the index could not be read.
        series: Measures over the last audits.

    Returns:
        The same two, with the canaries' measures.
    """
    canaries = canary.in_force(workspace)
    if canaries is None:
        note.skip("this workspace has no canary queries")
        return taken, series
    if taken is None:
        note.skip("the index could not be read")
        return taken, series
    answered = canary.run(workspace, canaries)
    note.looked_at = len(canaries.queries) + len(canaries.triggers)
    if answered.dropped:
        note.less(f"{len(answered.dropped)} relevant documents are not in the index any more")
    course.add(_forbidden(answered))
    course.add(_lost(answered, _earlier(workspace, canaries, answered, course)))
    _keep(workspace, answered)
    measures = {f"canary {name}": value for name, value in answered.means.items()}
    told_now = {
        name: [*series.get(name, ()), (taken.at, value)] for name, value in measures.items()
    }
    return replace(taken, measures={**taken.measures, **measures}), {**series, **told_now}


def _forbidden(answered: Run) -> list[AuditFinding]:
    """One finding for each document that must not have appeared."""
    by_document: dict[str, list[tuple[str, str]]] = {}
    for hit in answered.forbidden:
        by_document.setdefault(hit.document, []).append((hit.query, told(hit)))
    for trigger in answered.alive:
        sentence = f"trigger {trigger.text!r}: {trigger.reason}"
        by_document.setdefault(trigger.document, []).append((trigger.text, sentence))
    return [
        AuditFinding(
            "canary-forbidden",
            sentences[0][1] + (f", and {len(sentences) - 1} times more" if sentences[1:] else ""),
            document=document,
            collection=answered.name,
            count=len(sentences),
            facts={"queries": list(dict.fromkeys(query for query, _ in sentences))[:NAMED]},
        )
        for document, sentences in by_document.items()
    ]


def _earlier(
    workspace: Workspace, canaries: canary.Canaries, answered: Run, course: RunningAudit
) -> list[tuple[str, Run]]:
    """Return the last run of this set, and the oldest that is remembered: drop by drop adds up."""
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving").keys()
    same = [
        body
        for body in acts(workspace, RUN_ACT)
        if body.get("canaries") == answered.canaries and body.get("k") == answered.k
    ][-REMEMBERED:]
    runs = []
    for body in same[-1:] if len(same) < 2 else (same[-1], same[0]):
        at = str(body.get("at"))
        try:
            data = workspace.vault.get(str(body.get("run")))
        except VaultError as error:
            detail = f"an earlier canary run cannot be read: {error.message}"
            course.add([AuditFinding("vault-damaged", detail, about=detail)])
            continue
        rankings = load_run(data.decode(), f"canary run of {at}")
        runs.append((at, canary.judged(at, canaries, answered.k, rankings, serving)))
    return runs


def _lost(answered: Run, earlier: Sequence[tuple[str, Run]]) -> list[AuditFinding]:
    """Tell what nDCG@10 lost, where that is no chance; the worse of the two comparisons."""
    compared = [(at, canary.compare(run, answered)) for at, run in earlier if run.rankings]
    worse = [
        finding
        for at, comparison in compared
        if (finding := _worse(at, comparison, len(compared))) is not None
    ]
    return sorted(worse, key=lambda finding: -float(finding.facts["lost"]))[:1]


def _worse(since: str, comparison: Comparison, tests: int) -> AuditFinding | None:
    difference = comparison.differences.get(NDCG)
    if difference is None:
        return None
    p_value = difference.paired.p_value
    raised = None if p_value is None else min(1.0, p_value * tests)
    lost = -difference.paired.mean
    chance = raised is None or raised > FALSE_ALARM_RATE
    if lost <= TOLERANCE and (chance or lost < LOST):
        return None
    losers = [q.query for q in comparison.queries if q.loss > 0]
    return AuditFinding(
        "canary-quality",
        f"{NDCG} of {difference.paired.pairs} canary queries falls from {difference.before:.3f} to "
        f"{difference.after:.3f} since {since}; {len(losers)} are answered worse",
        count=len(losers),
        score=1.0 - (raised or 0.0),
        p_value=raised,
        facts={
            **{
                "since": since,
                "before": difference.before,
                "after": difference.after,
                "lost": lost,
            },
            "queries": losers[:NAMED],
        },
        about="canaries",
    )


def _keep(workspace: Workspace, answered: Run) -> None:
    entry = {
        "act": RUN_ACT,
        "at": format_time(workspace.now),
        "canaries": answered.canaries,
        "k": answered.k,
        "run": workspace.vault.put(dump_run(answered.rankings).encode()),
    }
    workspace.log_act(entry)
