"""The trial of a candidate: who is asked what, what is written down, and what ends it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from ragguard.errors import LedgerError, StoreError, UsageError
from ragguard.ledger.writer import append_entry
from ragguard.lineage.prove import verify_log
from ragguard.quarantine import review
from ragguard.rebuild import cutover
from ragguard.serving import divergence
from ragguard.serving.ab_split import query_digest, takes_part
from ragguard.serving.search import search
from ragguard.serving.trial import Trial
from tests.support.simulator import HONEST, NEWS, SUSPECT, Gate
from tests.support.workspaces.candidates import (
    ASKED,
    WEEK,
    aliases,
    ask,
    by,
    shown,
    stage,
    start,
    texts,
    try_honest,
)
from tests.support.workspaces.rebuilding import (
    LEAVE,
    QUESTIONS,
    SMALL,
    settings,
    sound,
)

# --- the trial ------------------------------------------------------------------------------------


def test_search_honours_the_split_and_counts_who_answered(gate: Gate) -> None:
    trial = try_honest(gate, 0.5)
    assert aliases(gate) == {"corpus": "corpus-g1", "corpus-candidate": "corpus-g2"}
    wanted = {q: 2 if takes_part(q, 0.5, trial.salt) else 1 for q in ASKED}
    assert {q: by(gate, q) for q in ASKED} == wanted
    assert set(wanted.values()) == {1, 2}
    asked = Counter(wanted.values())
    figures = shown(gate).figures
    assert figures is not None
    assert figures.queries == asked
    assert figures.compared == asked[2]  # those that the candidate answered
    assert (figures.mean, figures.low, figures.high, figures.worst) == (0.0, 0.0, 0.0, [])
    assert figures.ms.keys() == {1, 2}
    written = divergence.path_of(gate.workspace, 2).read_text()
    assert query_digest(ASKED[0]) in written
    assert all(word not in written for q in ASKED for word in q.split() if len(word) > 3)
    sound(gate)


def test_the_trial_ends_with_its_days_and_the_candidate_waits(gate: Gate) -> None:
    try_honest(gate)
    assert by(gate, QUESTIONS[0]) == 2
    gate.reopen(days=6, hours=23)
    assert by(gate, QUESTIONS[0]) == 2
    gate.reopen(hours=1)
    assert by(gate, QUESTIONS[0]) == 1
    assert aliases(gate) == {"corpus": "corpus-g1"}
    assert shown(gate).state == "over"
    start(gate, 0.2)  # once more
    assert shown(gate).state == "running"
    assert shown(gate).figures == divergence.TrialFigures({}, 0, None, None, None, (), {})
    assert cutover.finish(gate.workspace).generation == 2


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(gate: Gate, share: float) -> None:
    with pytest.raises(UsageError, match="expected more than 0"):
        cutover.start(gate.workspace, share, WEEK)


def test_a_second_start_is_refused_while_the_trial_runs(gate: Gate) -> None:
    try_honest(gate)
    with pytest.raises(UsageError, match="is on trial until 2026-03-08"):
        start(gate)


@pytest.mark.parametrize("change", [{"share": 7.0}, {"ends": "never"}])
def test_an_entry_of_the_log_that_begins_no_trial_is_named(
    gate: Gate, change: dict[str, Any]
) -> None:
    gate.publish(HONEST)
    stage(gate)
    body = {"act": "cutover", "did": "start", "generation": 2, "at": "2026-03-01T12:00:00Z"}
    body |= {"share": 0.1, "shadow": "none", "ends": "2026-03-08T12:00:00Z", "salt": "s"}
    workspace = gate.workspace
    with workspace.ledger.writing() as conn:
        append_entry(conn, body | change, workspace.origin, workspace.sign_note)
    with pytest.raises(LedgerError, match="on a trial is not as ragguard writes it"):
        ask(gate, QUESTIONS[0])


@pytest.mark.parametrize("shadow", ["candidate", "all", "none"])
def test_what_both_are_asked_is_what_was_said(gate: Gate, shadow: Any) -> None:
    trial = try_honest(gate, 0.5, shadow=shadow)
    for query in ASKED:
        ask(gate, query, 3)
    figures = shown(gate).figures
    assert figures is not None
    chosen = sum(takes_part(q, 0.5, trial.salt) for q in ASKED)
    assert figures.compared == {"candidate": chosen, "all": len(ASKED), "none": 0}[shadow]


def test_what_serves_no_more_is_given_by_neither(gate: Gate) -> None:
    """Denied, removed or updated since the candidate was built, or taken out with its metadata."""
    gate.publish({**HONEST, "safe.md": SUSPECT})
    review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "looks fine")
    stage(gate)
    start(gate)
    assert {SUSPECT, HONEST["visitors.md"], HONEST["leave.md"]} <= texts(gate)
    gate.publish({"copy.md": SUSPECT})
    review.decide(gate.workspace, gate.cases()[0], "reject", gate.bob, "poison")
    assert by(gate, "what is the pin of the safe") == 2
    assert SUSPECT not in texts(gate)  # at once, though it serves until it is finished
    (gate.publisher.folder / "visitors.md").unlink()
    changed = LEAVE
    gate.publish({"leave.md": changed})
    found = ask(gate, "how many days of leave do I have", 50)
    assert {hit.generation for hit in found} == {2}
    assert {hit.document for hit in found} == {
        f"wiki/{name}" for name in HONEST if name not in ("visitors.md", "leave.md")
    }
    done = cutover.finish(gate.workspace)
    assert [(one.label, one.findings[0].check) for one in done.left] == [("wiki/safe.md", "denied")]
    assert (done.exit_code, done.gone, done.behind) == (1, ["wiki/safe.md"], 3)
    assert changed in texts(gate)
    assert all(text not in texts(gate) for text in (SUSPECT, HONEST["visitors.md"]))
    sound(gate)


def test_a_point_of_another_hand_in_the_candidate_is_not_given(gate: Gate) -> None:
    gate.publish(HONEST)
    stage(gate)
    store = gate.workspace.open_store()
    vector = gate.workspace.encoder.encode([QUESTIONS[0]])[0]
    point = next(iter(store.scan("corpus-g2")))[0]
    forged = {**point.payload, "page_content": "You get 99 days."}
    strange = "00000000-0000-4000-8000-000000000001"
    store.upsert("corpus-g2", [type(point)(strange, vector, forged)])
    start(gate)
    assert strange not in {hit.point for hit in ask(gate, QUESTIONS[0])}
    assert by(gate, QUESTIONS[0]) == 2
    cutover.finish(gate.workspace)
    assert not gate.workspace.open_store().get("corpus-g2", [strange])
    sound(gate)


def test_a_candidate_that_cannot_answer_is_stood_in_for(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    try_honest(gate)
    store = gate.workspace.open_store()
    real = store.search

    def broken(collection: str, *args: Any, **rest: Any) -> Any:
        if collection == "corpus-g2":
            raise StoreError("unreachable")
        return real(collection, *args, **rest)

    monkeypatch.setattr(store, "search", broken)
    assert by(gate, QUESTIONS[0]) == 1
    assert "generation 2, which is on trial, did not answer: unreachable" in caplog.text


def test_the_proof_of_a_candidates_passage_is_its_own(gate: Gate) -> None:
    gate.publish(HONEST)
    settings(gate, **SMALL)
    stage(gate)
    start(gate)
    hits = search(gate.workspace, QUESTIONS[0], 3, proof=True)
    assert {hit.generation for hit in hits} == {2}
    assert [hit.proof and (hit.proof["ok"], hit.proof["commit"]) for hit in hits] == [(True, 2)] * 3


def apart(gate: Gate, least: int) -> Trial:
    """A candidate that lacks half of what serves, on trial for all queries."""
    half = dict(list(HONEST.items())[:3])
    gate.publish(half)
    gate.publish(dict(list(HONEST.items())[3:]))
    settings(gate, cutover={"divergence": 0.5, "least_queries": least})
    stage(gate, at=1, yes=True)
    return start(gate)


ALIKE = ["how many days of annual leave", "when are supplier invoices paid"]
APART = ["who may sign contracts", "where do visitors sign in", "when do we deploy releases"]


def test_a_trial_ends_by_itself_above_the_bound_and_not_before(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    trial = apart(gate, least=4)
    for query, mean in zip([*APART[:2], *ALIKE], (1.0, 1.0, 2 / 3, 0.5), strict=True):
        assert {hit.generation for hit in ask(gate, query, 1)} == {2}
        assert shown(gate).figures.mean == pytest.approx(mean)
    assert shown(gate).state == "running"  # at the bound, not above it
    (hit,) = ask(gate, APART[2], 1)
    assert (hit.generation, hit.document) == (1, "wiki/releases.md")
    assert "answers diverge by 0.600" in caplog.text
    found = shown(gate)
    assert found.state == "stopped"
    stopped = {k: found.trial.stopped[k] for k in ("compared", "divergence", "bound", "generation")}
    assert stopped == {"compared": 5, "divergence": 0.6, "bound": 0.5, "generation": 2}
    assert aliases(gate) == {"corpus": "corpus-g1"}
    assert by(gate, ALIKE[0]) == 1
    assert found.figures is not None
    assert {one.query for one in found.figures.worst} == {query_digest(q) for q in APART}
    assert verify_log(gate.workspace).problems == []
    with pytest.raises(UsageError, match=r"ended by itself: its answers diverge by 0\.600"):
        cutover.finish(gate.workspace)
    assert trial.number is not None
    assert cutover.finish(gate.workspace, yes=True).generation == 2


def test_few_queries_end_no_trial_however_far_apart(gate: Gate) -> None:
    apart(gate, least=4)
    for query in APART:
        ask(gate, query, 1)
    found = shown(gate)
    assert (found.state, found.figures and found.figures.mean) == ("running", 1.0)


def test_what_came_since_is_no_divergence(gate: Gate) -> None:
    try_honest(gate)
    gate.publish({"news.md": NEWS, "leave.md": LEAVE})
    assert "wiki/news.md" not in {hit.document for hit in ask(gate, "when is the canteen open")}
    ask(gate, QUESTIONS[0])
    figures = shown(gate).figures
    assert figures is not None
    assert (figures.compared, figures.mean) == (2, 0.0)
    assert shown(gate).behind == 1


def test_a_line_that_a_kill_cut_short_is_passed_over(gate: Gate) -> None:
    trial = try_honest(gate)
    ask(gate, ASKED[0])
    path = divergence.path_of(gate.workspace, 2)
    path.write_text(path.read_text() + path.read_text()[:40])
    ask(gate, ASKED[1])
    assert trial.number is not None
    found = list(divergence.lines(path, trial.number))
    assert [one.query for one in found] == [query_digest(q) for q in ASKED[:2]]
    assert [one.compared for one in found] == [1, 2]


def _line(**other: Any) -> str:
    """A line of the first trial in which something is not as it is written."""
    good = divergence.TrialQuery("x", 1, "q", 1, 1, {"1": 2.0}, 0.5, 0.5, 1, 0.5)
    return json.dumps({**asdict(good), **other})


@pytest.mark.parametrize(
    "text",
    [
        "null",
        "[]",
        '{"at": "x"}',
        '{"at":"x","trial":1,"query":"q","answered":1,"k":1,"ms":{"1":1e999},"rbo":0.5}',
        '{"at":"x","trial":1,"query":"q","answered":1,"k":1,"ms":{},"rbo":7.0}',
        '{"at":"x","trial":1,"query":"q","answered":1,"k":1,"ms":[],"rbo":0.5}',
        '{"at":"x","trial":1,"query":"q","answered":1,"k":1,"ms":{},"total":NaN}',
        "\x00\xff",
        "[" * 10_000,
        "x" * 100_000,
        _line(compared=-1),
        _line(total=-5.0),
        _line(total=int("9" * 400)),
        _line(ms={"1": int("9" * 400)}),
        _line(ms={"\u00b2": 1.0}),
        _line(ms={"1": -1.0}),
        _line(k=int("9" * 400)),
        _line(overlap=None),
        _line(compared=True),
    ],
)
def test_a_line_of_another_hand_is_passed_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "g2.jsonl"
    good = divergence.TrialQuery("x", 1, "q", 1, 1, {"1": 2.0}, 0.5, 0.5)
    divergence.record(path, good)
    path.write_bytes(path.read_bytes() + text.encode("utf-8", "replace") + b"\n")
    divergence.record(path, good)
    assert [one.compared for one in divergence.lines(path, 1)] == [1, 2]
    assert divergence.figures(path, 1).mean == 0.5


def test_where_nothing_can_be_written_down_the_serving_index_answers(
    gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    try_honest(gate)
    assert by(gate, QUESTIONS[0]) == 2
    path = divergence.path_of(gate.workspace, 2)
    path.unlink()
    path.mkdir()
    assert by(gate, QUESTIONS[0]) == 1
    assert "g2.jsonl: Is a directory; the serving index answers" in caplog.text
    assert shown(gate).figures == divergence.TrialFigures({}, 0, None, None, None, (), {})
