"""Judge later what came in while the index was too small to say what is usual.

A document that came in so is part of the index by now, and part of what would say what is usual:
held against itself, no document is ever unusual. So they are judged in blocks, each against the
documents of the index that are not in the block: what is promised for newcomers holds for them.
Blocks are drawn at random, as those of the rehearsal are. Blocks in order of arrival hold pages of
one folder, which are more alike than any that are drawn: 18 of 132 honest documents of the shipped
handbook were pulled back so, at 1 % asked.

What breaks it: a campaign that falls into several blocks is partly in the reference, and counts
there as usual. The audit, which looks at the whole index at once, is for campaigns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from ragguard.detect import reference, scoring
from ragguard.detect.second_look import JudgingMethod
from ragguard.detect.view import PreparedDocument, Surroundings, build_view, near_suspects
from ragguard.model import Policy, Progress, Verdict

BLOCK = 256  # documents judged together at most
LARGEST, SMALLEST = 0.5, 0.2  # shares of the index that may be, and must be, judged together


def block(indexed: int, least: int) -> int:
    """Count how many documents can be judged together; 0 while too few would be left beside them.

    Args:
        least: Documents that are needed to say what is usual.
    """
    size = min(BLOCK, int(LARGEST * indexed), indexed - least)
    if size < min(BLOCK, SMALLEST * indexed):
        return 0
    return ceil(indexed / ceil(indexed / size))  # the index in blocks of nearly the same size


def judge_later(
    documents: Sequence[PreparedDocument],
    usual: Sequence[PreparedDocument],
    around: Surroundings,
    judging: JudgingMethod,
    size: int,
    arrived: Mapping[str, int],
    progress: Progress,
) -> dict[str, Verdict]:
    """Judge indexed documents as if they came in now.

    Args:
        documents: Those that were not judged yet.
        usual: Indexed documents that say what is usual, these possibly among them.
        around: What they are held against, they included.
        judging: How they are judged; its profile is not used.
        size: Documents judged together, see `block`.
        arrived: Commit of each indexed document, by label.

    Returns:
        Verdicts on those that would not be let in, by label.
    """
    policies = {p.document.source: Policy() for p in documents} | dict(judging.policies)
    raw = reference.bring_in(
        usual,
        around,
        judging.checks,
        reference.Rounds(size),
        lambda done, total: progress("calibrate", done, total),
    )
    order = np.random.default_rng(0).permutation(len(documents))
    documents = [documents[i] for i in order]
    caught: dict[str, Verdict] = {}
    for start in range(0, len(documents), size):
        progress("judge what was not yet judged", start, len(documents))
        batch = documents[start : start + size]
        labels = frozenset(p.label for p in batch)
        others = reference.leave_out(raw, np.array([p.label in labels for p in usual]))
        profile = reference.assemble(
            judging.profile.name,
            others.scores,
            others.owners,
            others.units,
            others.digests,
            judging.profile.shares,
        )
        known = reference.as_if_new(replace(around, recent=around.recent - labels), batch)
        beside = near_suspects(batch, around.suspects)
        view = build_view(batch, known, absent=labels, beside=beside)
        verdicts = scoring.judge(
            batch,
            view,
            scoring.measure(view, judging.checks),
            profile,
            judging.checks,
            policies,
            judging.false_alarm_rate,
        )
        caught |= {
            p.label: verdict
            for p, verdict in zip(batch, verdicts, strict=True)
            if verdict.outcome == "quarantine" and not _copied_later(verdict, p.label, arrived)
        }
    return caught


def _copied_later(verdict: Verdict, label: str, arrived: Mapping[str, int]) -> bool:
    """Tell whether a document is suspect first of all for a twin that is no older than itself.

    Of two twins the newcomer is suspect: an original must not be pulled back for its forgery. What
    is not indexed, arriving now or waiting, is the newer one: twins that were there before were
    looked for when the document came in, however small the index was. Of two that arrived together
    nobody can say which it is.
    """
    first = verdict.findings[0] if verdict.findings else None
    if first is None or first.check != "twin_edit":
        return False
    twin = arrived.get(str(first.facts.get("twin")))  # none: it arrives now, or waits
    return twin is None or twin >= arrived[label]
