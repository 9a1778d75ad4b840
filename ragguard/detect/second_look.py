"""Look again at the companions of a document that is caught: campaign-level evidence.

The first documents of a campaign that comes drop by drop look like any lone newcomer and are let
in. When a later one is caught colluding, those it colludes with that were admitted lately are
judged once more, as if all of them arrived together now. What fails then is pulled back into
quarantine; a person decides, as always.

A source pulls only documents of its own, or of a source that is vouched for less (tier): whoever
may sign for one source would else take out any fresh document of another by writing around it.
Within that, an honest document admitted lately can be pulled by poison written around it. It is
missing from the index until a reviewer releases it; it is never rejected, and what a reviewer
released, or what is long in the index, is never pulled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ragguard.detect.checks import Check
from ragguard.detect.scoring import Profile, judge, measure
from ragguard.detect.view import PreparedDocument, Surroundings, build_view
from ragguard.model import Policy, Verdict

MOST = 256  # companions looked at again at once
CHECKS = frozenset({"collusion", "accord"})


@dataclass(frozen=True)
class JudgingMethod:
    """How documents are judged: the same for newcomers and for their companions.

    Attributes:
        checks: The checks in force, with their parameters.
        profile: What clean documents score.
        false_alarm_rate: Share of honest documents accepted in quarantine.
    """

    checks: Mapping[str, tuple[Check, object]]
    profile: Profile
    policies: Mapping[str, Policy]
    false_alarm_rate: float


def second_look(
    batch: Sequence[PreparedDocument],
    verdicts: Sequence[Verdict],
    around: Surroundings,
    judging: JudgingMethod,
    fetch: Callable[[Sequence[str]], Sequence[PreparedDocument]],
) -> list[tuple[PreparedDocument, Verdict]]:
    """Judge the recent companions of what was caught colluding.

    Args:
        verdicts: Theirs, in the same order.
        around: What they were held against.
        judging: How they were judged.
        fetch: Indexed documents by label, as if they came in now; unknown labels are left out.

    Returns:
        Recent documents that would be quarantined today, with their new verdicts.
    """
    caught: dict[str, list[int]] = {}
    for i, verdict in enumerate(verdicts):
        if verdict.outcome == "quarantine" and _colludes(verdict):
            caught.setdefault(verdict.source, []).append(i)
    companions: dict[str, tuple[PreparedDocument, Verdict]] = {}
    for source, numbers in sorted(caught.items()):
        for prepared, verdict in _look(source, numbers, batch, verdicts, around, judging, fetch):
            companions.setdefault(prepared.label, (prepared, verdict))
    return list(companions.values())


def _look(
    source: str,
    caught: Sequence[int],
    batch: Sequence[PreparedDocument],
    verdicts: Sequence[Verdict],
    around: Surroundings,
    judging: JudgingMethod,
    fetch: Callable[[Sequence[str]], Sequence[PreparedDocument]],
) -> list[tuple[PreparedDocument, Verdict]]:
    """Return the recent companions of what was caught of one source."""
    arriving = {p.label for p in batch}
    named = {
        str(label)
        for i in caught
        for finding in verdicts[i].findings
        if finding.check in CHECKS
        for label in finding.facts.get("companions", ())
    }
    wanted = sorted((named & around.recent) - arriving)[:MOST]
    companions = [p for p in (fetch(wanted) if wanted else ()) if _may_pull(source, p, judging)]
    if not companions:
        return []
    again = [*companions, *(batch[i] for i in caught)]
    labels = frozenset(p.label for p in again)
    beside = replace(around, recent=around.recent - labels)
    view = build_view(again, beside, absent=labels)
    second = judge(
        again,
        view,
        measure(view, judging.checks),
        judging.profile,
        judging.checks,
        judging.policies,
        judging.false_alarm_rate,
    )
    return [
        (prepared, verdict)
        for prepared, verdict in zip(companions, second[: len(companions)], strict=True)
        if verdict.outcome == "quarantine" and _colludes(verdict)
    ]


def _may_pull(source: str, companion: PreparedDocument, judging: JudgingMethod) -> bool:
    """Tell whether a source's documents may have a companion judged once more."""
    theirs = companion.document.source
    if theirs == source:
        return True
    low = {name for name, policy in judging.policies.items() if policy.tier == "low"}
    return theirs in low and source not in low


def _colludes(verdict: Verdict) -> bool:
    return any(finding.check in CHECKS for finding in verdict.findings)
