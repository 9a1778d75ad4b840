from __future__ import annotations

import random
from uuid import UUID, uuid4

import pytest

from ragguard.audit.findings import AuditReport, Part
from ragguard.audit.rotation import MOST, FinishedSlice, Slice, measured_pace, plan, position, turns
from ragguard.errors import UsageError

EVERY = Slice(0, 1)


def night(number: int) -> str:
    return f"2026-03-{number + 1:02}T02:00:00Z" if number < 31 else f"2027-{number:06}"


@pytest.mark.parametrize("of", [1, 2, 8, MOST])
def test_every_id_is_in_exactly_one_slice(of: int) -> None:
    drawn = random.Random(of)
    ids = [str(UUID(int=drawn.getrandbits(128))) for _ in range(50)]
    edges = [Slice(i, of).first for i in range(of)] + [Slice(i, of).last for i in range(of)]
    foreign = ["17", "not-a-uuid", "", "\udc80"]
    slices = [Slice(i, of) for i in range(of)]
    for point in [*ids, *edges[:8], *edges[-8:], *foreign]:
        assert sum(s.holds(point) for s in slices) == 1


def test_a_slice_is_one_stretch_of_ids_in_order() -> None:
    part = Slice(2, 4)
    assert (part.first, part.last) == (
        "80000000-0000-0000-0000-000000000000",
        "bfffffff-ffff-ffff-ffff-ffffffffffff",
    )
    assert part.holds(part.first)
    assert part.holds(part.last)
    assert not part.holds("7fffffff-ffff-ffff-ffff-ffffffffffff")
    assert not part.holds("c0000000-0000-0000-0000-000000000000")


def test_digests_fill_slices_evenly() -> None:
    ids = [str(position(str(n))) for n in range(4000)]
    counts = [sum(Slice(i, 4).holds(str(UUID(int=int(p)))) for p in ids) for i in range(4)]
    assert min(counts) > 850


def test_what_fits_is_looked_at_whole() -> None:
    assert plan(1000, max_minutes=10, seconds_per_point=0.001) == EVERY
    assert EVERY.whole
    assert EVERY.holds(str(uuid4()))
    assert plan(0, max_minutes=1, seconds_per_point=0.001) == EVERY


def test_a_slice_takes_less_than_the_time_there_is() -> None:
    part = plan(1_000_000, max_minutes=10, seconds_per_point=0.006, fixed_seconds=60)
    assert part.nights == 16
    assert 1_000_000 * 0.006 / part.nights + 60 < 0.8 * 600


def test_all_of_the_index_is_looked_at_within_the_promised_nights() -> None:
    history: list[FinishedSlice] = []
    for number in range(32):
        part = plan(1_000_000, history, max_minutes=10, seconds_per_point=0.006)
        assert part.nights == 16
        history.append(FinishedSlice(night(number), part))
    first = {t.part.number for t in history[:16]}
    assert first == set(range(16))
    assert [t.part.number for t in history[:16]] == [t.part.number for t in history[16:]]


def test_a_pace_that_changes_every_night_breaks_no_promise() -> None:
    """Whatever the slices were, no part of the ids waits longer than the most slices there were."""
    drawn = random.Random(0)
    history: list[FinishedSlice] = []
    cells = 64
    waited = [0] * cells
    for number in range(400):
        pace = drawn.choice([0.001, 0.004, 0.008, 0.015])
        part = plan(1_000_000, history, max_minutes=10, seconds_per_point=pace)
        assert part.of <= 32
        history.append(FinishedSlice(f"{number:06}", part))
        wide = cells // part.of
        waited = [0 if c // wide == part.number else w + 1 for c, w in enumerate(waited)]
        assert max(waited) < 32
    assert len({t.part.of for t in history}) > 2


def test_a_night_that_was_missed_is_made_up_for_first() -> None:
    """What failed is not in the history: its slice is the oldest still."""
    history = [FinishedSlice(night(n), Slice(n, 4)) for n in range(4) if n != 1]
    assert plan(4000, history, max_minutes=1, seconds_per_point=0.03) == Slice(1, 4)


def test_the_order_of_the_history_does_not_matter() -> None:
    history = [FinishedSlice(night(n), Slice((n * 3) % 8, 8)) for n in range(6)]
    wanted = plan(8000, history, max_minutes=1, seconds_per_point=0.04)
    assert plan(8000, history[::-1], max_minutes=1, seconds_per_point=0.04) == wanted
    assert wanted == Slice(2, 8)


def test_a_promise_is_not_broken_for_little() -> None:
    last = [FinishedSlice(night(0), Slice(0, 16))]
    assert plan(100_000, last, max_minutes=10, seconds_per_point=0.037).of == 16
    assert plan(100_000, last, max_minutes=10, seconds_per_point=0.025).of == 8
    assert plan(100_000, (), max_minutes=10, seconds_per_point=0.037).of == 8


def test_pace_is_the_median_of_the_last_nights() -> None:
    history = [
        FinishedSlice(night(n), EVERY, 1000, s) for n, s in enumerate([99.0, 2, 3, 4, 500, 3])
    ]
    assert measured_pace(history) == 0.003
    assert measured_pace([]) == measured_pace([FinishedSlice(night(0), EVERY, 0, 5.0)]) == 0.001


@pytest.mark.parametrize(("minutes", "fixed"), [(0.0, 0.0), (-1.0, 0.0), (1.0, 60.0), (0.001, 0.0)])
def test_too_little_time_is_refused_with_what_it_would_take(minutes: float, fixed: float) -> None:
    with pytest.raises(UsageError, match="too little for 1000000 points"):
        plan(1_000_000, max_minutes=minutes, seconds_per_point=0.01, fixed_seconds=fixed)


def report(number: int, state: str, rotation: dict[str, int]) -> AuditReport:
    parts = (Part("log", "done", seconds=1.0), Part("index", state, "", 500, 4.0))
    return AuditReport(night(number), "0.1", "w", "c", parts=parts, rotation=rotation)


def test_turns_come_from_the_reports_of_audits_that_looked() -> None:
    reports = [
        report(0, "partial", {"slice": 3, "of": 4}),
        report(1, "failed", {"slice": 0, "of": 4}),
        report(2, "done", {}),
        report(3, "partial", {"slice": 4, "of": 4}),
        report(4, "partial", {"slice": 0, "of": 3}),
    ]
    assert turns(reports) == [
        FinishedSlice(night(0), Slice(3, 4), 500, 4.0),
        FinishedSlice(night(2), EVERY, 500, 4.0),
    ]
