"""Detect drift since the last audits: sources, labels, scores, arrivals, size.

What came since the last audit is held against what was there then; what came since the oldest audit
that is remembered, and all that is there, against what was there at that one, so that drop by drop
adds up. The
p-values of all tests of an audit are corrected together (Holm): an honest audit has any finding
with at most the asked rate. A finding also needs an effect worth a person's time.

Honest: documents that come are as those that were there, up to what they did at the last audits.
A source that turns to a new subject drifts, honestly; the finding is a note, and asks to look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import exp, log

import numpy as np

from ragguard.audit.findings import AuditFinding
from ragguard.audit.snapshot import SAMPLE, AuditSnapshot, SampledGroup
from ragguard.model import Floats
from ragguard.stats import two_sample
from ragguard.stats.two_sample import NO_SHIFT, Shift
from ragguard.trust.canonical import parse_time

FALSE_ALARM_RATE = 0.01
REMEMBERED = 30  # audits
ARRIVED = 10  # documents that must have come before they are a sample
STOOD = 20  # documents that must have been there before
MOVED = 0.02  # least energy coefficient, of the whole group: 2 % of it gone to the other end
MIXED = 0.05  # least Cramér's V of a label
RESCORED = 0.1  # least difference of two distributions of scores
BURST = 20  # documents
TIMES = log(3)  # least logarithm of arrivals over those expected
GREW = log(1.1)  # least logarithm of the growth of the index, where its usual growth is known
LEAPT = log(2)  # where it is not
USUAL = 3  # earlier counts or steps from which something is usual
MOST_SHOWN = 5  # sources with a series of their own
DAY_S = 86_400.0
HOUR_DAYS = 1 / 24


@dataclass(frozen=True)
class DriftResult:
    """What drift has to say.

    Attributes:
        findings: The most surprising first.
        shifts: Source to the shift of its embeddings since the last audit.
        series: Measure to (time, value), oldest first, this audit last.
        snapshot: This audit's, its shifts filled in: to be remembered.
        tests: How many p-values were corrected together.
    """

    findings: Sequence[AuditFinding]
    shifts: Mapping[str, Shift]
    series: Mapping[str, Sequence[tuple[str, float]]]
    snapshot: AuditSnapshot
    tests: int


@dataclass(frozen=True)
class _Test:
    """A question asked of two snapshots.

    Attributes:
        found: Effect and p-value; the p-value counts only where `counted`.
        least: Effect below which nobody needs to look.
    """

    rule: str
    about: str
    found: Shift
    least: float
    detail: str
    count: int = 1
    facts: Mapping[str, float | str] = field(default_factory=dict)
    counted: bool = True


def compare(
    now: AuditSnapshot,
    before: Sequence[AuditSnapshot],
    *,
    false_alarm_rate: float = FALSE_ALARM_RATE,
) -> DriftResult:
    """Hold an audit against the last ones.

    Args:
        now: This audit's snapshot.
        before: Those of the last audits, oldest first; the last `REMEMBERED` count.
        false_alarm_rate: How often an honest audit may have a finding here, in (0, 1).
    """
    before = before[-REMEMBERED:]
    moved = dict(_moved(now, before))
    tests = [
        *(test for group in moved.values() for test in group),
        *_relabelled(now, before),
        *_rescored(now, before),
        *_arrived(now, before),
        *_resized(now, before),
    ]
    counted = [test for test in tests if test.counted]
    raised = two_sample.holm(np.array([test.found.p_value for test in counted], dtype=np.float64))
    corrected = {id(t): p for t, p in zip(counted, raised.tolist(), strict=True)}
    best: dict[tuple[str, str], tuple[float, AuditFinding]] = {}
    for test in tests:
        p_value = corrected.get(id(test))
        if (p_value is not None and p_value > false_alarm_rate) or test.found.effect < test.least:
            continue
        key, rank = (test.rule, test.about), p_value or 0.0
        if key not in best or rank < best[key][0]:
            best[key] = (rank, _finding(test, p_value))
    lately = {
        name: min((t.found for t in group), key=lambda s: (s.p_value, -s.effect))
        for name, tests_of in moved.items()
        if (group := [t for t in tests_of if t.facts["since"] == before[-1].at])
    }
    taken = replace(now, shifts={name: s.effect for name, s in lately.items()})
    prefix = "source "
    return DriftResult(
        findings=[f for _, f in sorted(best.values(), key=lambda pair: pair[0])],
        shifts={n.removeprefix(prefix): s for n, s in lately.items() if n.startswith(prefix)},
        series=_series([*before, taken]),
        snapshot=taken,
        tests=len(counted),
    )


def _finding(test: _Test, p_value: float | None) -> AuditFinding:
    facts = {**test.facts, "effect": round(test.found.effect, 4)}
    if p_value is not None:
        facts["p_value_alone"] = test.found.p_value
    return AuditFinding(
        test.rule,
        test.detail,
        count=test.count,
        score=1.0 - (p_value or 0.0),
        p_value=p_value,
        facts=facts,
        about=test.about,
    )


# --- embeddings -----------------------------------------------------------------------------------


def _moved(
    now: AuditSnapshot, before: Sequence[AuditSnapshot]
) -> Iterator[tuple[str, list[_Test]]]:
    """Tests of the embeddings of each group."""
    alike = [past for past in before if past.space == now.space]
    if not alike:
        return
    last = alike[-1]
    for name, group in now.groups.items():
        tests = []
        fresh = now.fresh.get(name)
        for past in alike[-1:] if alike[0] is last else [last, alike[0]]:
            if (stood := past.groups.get(name)) is None:
                continue
            if past is last and fresh is not None:
                new, share = fresh.sample, min(1.0, fresh.documents / group.documents)
            else:
                new, share = _newcomers(group, stood)
            tests += _came(name, new, stood, share, past.at)
            tests += _whole(name, group, stood, past.at)
        yield name, tests


def _came(name: str, new: Floats, stood: SampledGroup, share: float, since: str) -> list[_Test]:
    """Tell what came against what was there; the effect is that on the whole group."""
    if not _enough(new, stood):
        return []
    shift = two_sample.energy_shift(stood.sample, new)
    return [
        _Test(
            "embedding-drift",
            name,
            Shift(share * shift.effect, shift.p_value),
            MOVED,
            f"{name}: what came since {since}, {share:.0%} of it, is about other things than the "
            f"{stood.documents} documents that were there",
            facts={"since": since, "arrived_share": round(share, 4)},
        )
    ]


def _newcomers(group: SampledGroup, stood: SampledGroup) -> tuple[Floats, float]:
    """Sampled documents that were not there, and their share.

    Two samples by digest are complete up to the smaller of their largest digests; beyond it, a
    document may merely not have been sampled.
    """
    full = [g.keys[-1] for g in (group, stood) if len(g.keys) == SAMPLE]
    seen = group.keys <= min(full) if full else np.ones(len(group.keys), dtype=np.bool_)
    new = seen & ~np.isin(group.keys, stood.keys)
    return group.sample[new], float(new.sum()) / max(1, int(seen.sum()))


def _whole(name: str, group: SampledGroup, stood: SampledGroup, since: str) -> list[_Test]:
    """List all that is there against all that was: what left counts too."""
    if not _enough(group.sample, stood):
        return []
    changed = not np.array_equal(stood.sample, group.sample)
    return [
        _Test(
            "embedding-drift",
            name,
            two_sample.energy_shift(stood.sample, group.sample) if changed else NO_SHIFT,
            MOVED,
            f"{name}: its documents are about other things than on {since}",
            facts={"since": since},
        )
    ]


def _enough(new: Floats, stood: SampledGroup) -> bool:
    fits = new.shape[1] == stood.sample.shape[1]
    return fits and len(new) >= ARRIVED and len(stood.sample) >= STOOD


# --- labels ---------------------------------------------------------------------------------------


def _relabelled(now: AuditSnapshot, before: Sequence[AuditSnapshot]) -> Iterator[_Test]:
    """Tests of the labels of each source."""
    if not before:
        return
    for name, group in now.groups.items():
        for label, counts in group.labels.items():
            about = f"{name}, {label}"
            fresh, stood = now.fresh.get(name), before[-1].groups.get(name)
            if fresh is not None and stood is not None and fresh.documents >= ARRIVED:
                old, new = stood.labels.get(label, {}), fresh.labels.get(label, {})
                whole = _share_shift(old, counts)
                yield _Test(
                    "label-drift",
                    about,
                    Shift(whole.effect, _share_shift(old, new).p_value),
                    MIXED,
                    f"{name}: what came since {before[-1].at} has other values of {label!r} than "
                    f"what was there; most of all {_most(old, new)!r}",
                    fresh.documents,
                    {"since": before[-1].at},
                )
            stood = before[0].groups.get(name)
            if stood is not None:
                old = stood.labels.get(label, {})
                yield _Test(
                    "label-drift",
                    about,
                    _share_shift(old, counts),
                    MIXED,
                    f"{name}: the shares of the values of {label!r} are not those of "
                    f"{before[0].at}; most of all {_most(old, counts)!r}",
                    group.documents,
                    {"since": before[0].at},
                )


def _share_shift(before: Mapping[str, int], after: Mapping[str, int]) -> Shift:
    names = sorted({*before, *after})
    rows = [np.array([side.get(n, 0) for n in names], np.int64) for side in (before, after)]
    return two_sample.share_shift(rows[0], rows[1]) if before and after else NO_SHIFT


def _most(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Return the value whose share changed most."""
    totals = max(1, sum(before.values())), max(1, sum(after.values()))
    return max(
        sorted({*before, *after}) or [""],
        key=lambda n: abs(after.get(n, 0) / totals[1] - before.get(n, 0) / totals[0]),
    )


# --- scores, arrivals, size -----------------------------------------------------------------------


def _rescored(now: AuditSnapshot, before: Sequence[AuditSnapshot]) -> Iterator[_Test]:
    """Tests of the scores of each check, against the last audit and against the oldest."""
    for past in {id(p): p for p in (*before[-1:], *before[:1])}.values():
        for check, scores in now.scores.items():
            if check in past.scores:
                shift, moved = two_sample.score_shift(past.scores[check], scores)
                way = "higher" if moved > 0 else "lower"
                yield _Test(
                    "score-drift",
                    check,
                    shift,
                    RESCORED,
                    f"{check}: its scores are {way} than on {past.at}, by {abs(moved):.3g} on "
                    "average",
                    facts={"since": past.at, "moved": round(moved, 6)},
                )


def _arrived(now: AuditSnapshot, before: Sequence[AuditSnapshot]) -> Iterator[_Test]:
    """Tests of how much each source sent since the last audit."""
    if not before:
        return
    length = _days(before[-1], now)
    for source, count in now.arrived.items():
        earlier = [
            (after.arrived.get(source, 0), _days(first, after))
            for first, after in pairwise(before)
            if source in first.arrived or f"source {source}" in first.groups
        ]
        if len(earlier) < USUAL:
            continue
        counts, lengths = np.array(earlier, dtype=np.float64).T
        shift = two_sample.burst(count, length, counts, lengths)
        usual = count / exp(shift.effect)
        yield _Test(
            "arrival-burst",
            f"source {source}",
            shift,
            TIMES if count >= BURST else np.inf,
            f"source {source}: {count} documents came since {before[-1].at}; about {usual:.0f} "
            "would be usual",
            count,
            {"since": before[-1].at, "days": round(length, 3)},
        )


def _days(first: AuditSnapshot, after: AuditSnapshot) -> float:
    seconds = (parse_time(after.at) - parse_time(first.at)).total_seconds()
    return max(seconds / DAY_S, HOUR_DAYS)


def _resized(now: AuditSnapshot, before: Sequence[AuditSnapshot]) -> Iterator[_Test]:
    """Tests of how much the index grew or shrank since the last audit."""
    if not before:
        return
    for measure in ("documents", "points"):
        sizes = np.array([getattr(s, measure) for s in (*before, now)], dtype=np.float64)
        way = "grown" if sizes[-1] >= sizes[-2] else "shrunk"
        detail = (
            f"the index has {way} from {sizes[-2]:.0f} to {sizes[-1]:.0f} {measure} since "
            f"{before[-1].at}"
        )
        facts = {"since": before[-1].at}
        if len(before) > USUAL:
            shift = two_sample.jump(sizes)
            yield _Test("size-jump", measure, shift, GREW, detail, facts=facts)
        else:
            step = abs(log(max(sizes[-1], 1.0)) - log(max(sizes[-2], 1.0)))
            shift = Shift(step, 1.0)
            yield _Test("size-jump", measure, shift, LEAPT, detail, facts=facts, counted=False)


def _series(every: Sequence[AuditSnapshot]) -> dict[str, list[tuple[str, float]]]:
    series = {
        "documents": [(s.at, float(s.documents)) for s in every],
        "points": [(s.at, float(s.points)) for s in every],
        "arrived": [(s.at, float(sum(s.arrived.values()))) for s in every[1:]],
    }
    for name in sorted({name for s in every for name in s.measures}):
        series[name] = [(s.at, s.measures[name]) for s in every if name in s.measures]
    shifts = every[-1].shifts
    sources = [name for name in shifts if name.startswith("source ")]
    for name in sorted(sources, key=lambda n: (-shifts[n], n))[:MOST_SHOWN]:
        series[f"drift of {name}"] = [(s.at, s.shifts[name]) for s in every if name in s.shifts]
    return series
