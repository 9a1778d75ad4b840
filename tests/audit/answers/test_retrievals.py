"""Who dominates answers: a text for everything is an alarm, a page that everybody asks for none."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ragguard.audit.answers import retrievals
from ragguard.audit.answers.retrievals import Window, bursts, dominating, likeness
from ragguard.model import Floats
from ragguard.serving.retrieval_log import AnswerRecord, RetrievedPassage
from ragguard.trust.canonical import digest_bytes, format_time
from tests.support.simulator import NOW

RATE = 0.002
SUBJECTS, EACH, DIMENSIONS = 30, 10, 32
CAME = "2026-02-20T00:00:00Z"
LONG_AGO = "2025-01-01T00:00:00Z"
EVERYTHING, HOLIDAYS = "blog/everything.md", "wiki/holidays.md"


def questions(rng: np.random.Generator) -> list[tuple[int, Floats]]:
    """Subject and vector of questions: those on one subject are alike."""
    centres = rng.normal(size=(SUBJECTS, DIMENSIONS))
    made = []
    for subject in range(SUBJECTS):
        rows = centres[subject] + 0.4 * rng.normal(size=(EACH, DIMENSIONS))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        made += [(subject, row.astype(np.float32)) for row in rows]
    return made


def window_of(records: Sequence[AnswerRecord]) -> Window:
    window = Window()
    for one in records:
        window.add(one)
    window.end()
    return window


def record(number: int, documents: Sequence[str], vector: Floats | None) -> AnswerRecord:
    packed = "" if vector is None else b64encode(vector.astype("<f2").tobytes()).decode()
    return AnswerRecord(
        at=format_time(NOW - timedelta(minutes=number % 500)),
        question=digest_bytes(str(number).encode()),
        log=9,
        hits=[RetrievedPassage(point=f"p-{name}", document=name) for name in documents],
        vector=packed,
    )


def asked(
    extra: dict[str, Any], *, vectors: bool = True, seed: int = 0
) -> tuple[Window, dict[str, str]]:
    """Questions answered by two documents of their subject each, and by who else answers them."""
    records, came = answered(extra, vectors=vectors, seed=seed)
    return window_of(records), came


def answered(
    extra: dict[str, Any], *, vectors: bool = True, seed: int = 0
) -> tuple[list[AnswerRecord], dict[str, str]]:
    rng = np.random.default_rng(seed)
    records, came = [], {}
    for number, (subject, vector) in enumerate(questions(rng)):
        names = [f"wiki/{subject}-{part}.md" for part in "ab"]
        came.update(dict.fromkeys(names, LONG_AGO))
        names += [name for name, answers in extra.items() if answers(number, subject, rng)]
        records.append(record(number, names, vector if vectors else None))
    came.update(dict.fromkeys(extra, CAME))
    return records, came


def rules(window: Window, came: dict[str, str], new: Sequence[str]) -> dict[str, str]:
    return {f.document: f.rule for f in dominating(window, set(new), came, RATE)}


def test_a_newcomer_that_answers_everything_is_an_alarm() -> None:
    window, came = asked({EVERYTHING: lambda n, s, rng: rng.random() < 0.4})
    (found,) = dominating(window, {EVERYTHING}, came, RATE)
    assert (found.rule, found.level, found.document) == ("answers-dominated", "warning", EVERYTHING)
    assert found.p_value is not None
    assert found.p_value <= RATE
    assert found.facts["most"] == EACH


def test_a_newcomer_on_what_everybody_asks_now_is_a_note() -> None:
    window, came = asked({HOLIDAYS: lambda n, s, rng: s < 6})
    (found,) = dominating(window, {HOLIDAYS}, came, RATE)
    assert (found.rule, found.level) == ("popular-newcomer", "note")


def test_without_vectors_nobody_is_accused() -> None:
    window, came = asked({EVERYTHING: lambda n, s, rng: rng.random() < 0.4}, vectors=False)
    assert rules(window, came, [EVERYTHING]) == {EVERYTHING: "popular-newcomer"}


def test_a_popular_document_that_stood_before_is_nobody_s_alarm_and_raises_the_bar() -> None:
    extra = {EVERYTHING: lambda n, s, rng: rng.random() < 0.4}
    window, came = asked({**extra, "wiki/faq.md": lambda n, s, rng: rng.random() < 0.45})
    assert rules(window, came, [EVERYTHING]) == {}


def test_one_question_asked_a_thousand_times_is_one_question() -> None:
    records, came = answered({HOLIDAYS: lambda n, s, rng: n == 7})
    assert rules(window_of([*records, *[records[7]] * 1000]), came, [HOLIDAYS]) == {}


def test_a_newcomer_is_held_against_the_questions_since_it_came() -> None:
    window, came = asked({EVERYTHING: lambda n, s, rng: n % 500 < 40})
    came[EVERYTHING] = format_time(NOW - timedelta(minutes=39))
    (found,) = dominating(window, {EVERYTHING}, came, RATE)
    assert found.facts["of"] == 40


@pytest.mark.parametrize("stood", [(), ("wiki/0-a.md",)])
def test_where_nothing_stood_before_there_is_nothing_to_compare_with(stood: Any) -> None:
    window, came = asked({EVERYTHING: lambda n, s, rng: rng.random() < 0.4})
    new = set(came) - set(stood)
    found = rules(window, dict.fromkeys(came, CAME), [*new])
    assert (found == {}) == (not stood)


def test_honest_newcomers_raise_no_alarm_in_forty_nights() -> None:
    alarms = 0
    for seed in range(40):
        window, came = asked({}, seed=seed)
        new = {name for name in came if digest_bytes(f"{seed} {name}".encode())[0] == "0"}
        alarms += len(dominating(window, new, {**came, **dict.fromkeys(new, CAME)}, RATE))
    assert alarms == 0


def test_questions_on_one_subject_are_more_alike_than_any() -> None:
    window, _ = asked({EVERYTHING: lambda n, s, rng: True})
    one = likeness(window, window.documents["wiki/3-a.md"])
    everything = likeness(window, window.documents[EVERYTHING])
    assert one is not None
    assert everything is not None
    assert one > 0.5 > everything
    assert likeness(window, {1, 2}) is None


def test_vectors_of_another_encoder_are_left_out() -> None:
    records, _ = answered({})
    odd = record(9999, ["wiki/0-a.md"], np.ones(7, dtype=np.float32))
    assert set(window_of([*records, odd]).vectors) == set(window_of(records).vectors)


def test_only_so_many_vectors_are_held_and_which_is_no_matter_of_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retrievals, "SAMPLED", 100)
    records, came = answered({EVERYTHING: lambda n, s, rng: rng.random() < 0.4})
    one, other = window_of(records), window_of(records[::-1])
    assert 50 <= len(one.vectors) <= 100
    assert len(one.vectors) == len(other.vectors)
    assert rules(one, came, [EVERYTHING]) == {EVERYTHING: "answers-dominated"}


def test_a_new_source_that_is_in_more_answers_for_its_size_is_noted() -> None:
    flood = {f"blog/{n}.md": lambda n, s, rng: rng.random() < 0.1 for n in range(4)}
    window, came = asked(flood)
    serving: Any = {name: SimpleNamespace(source=name.partition("/")[0]) for name in came}
    serving |= {f"wiki/unasked-{n}.md": SimpleNamespace(source="wiki") for n in range(400)}
    (found,) = bursts(window, serving, set(flood), came, RATE)
    assert (found.rule, found.level, found.about) == ("new-source-in-answers", "note", "blog")
    assert found.facts["documents"] == 4
    # The same source, had it stood before, is none.
    assert bursts(window, serving, set(), dict.fromkeys(came, LONG_AGO), RATE) == []
