"""Cut-over: a candidate is tried beside what serves, then serves, and nobody reads half of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from ragguard.audit.log_check import check_log
from ragguard.config import Settings
from ragguard.corpus import generations
from ragguard.errors import LedgerError, RecipeMismatchError, StoreError, UsageError
from ragguard.ledger import commits, tables, versions
from ragguard.ledger.writer import Committer, append_entry
from ragguard.lineage import prove
from ragguard.lineage.prove import verify_log
from ragguard.quarantine import review
from ragguard.rebuild import cutover
from ragguard.rebuild.reindex import Rebuilt, reindex
from ragguard.rebuild.rollback import rollback
from ragguard.serving import divergence
from ragguard.serving.ab_split import query_digest, takes_part
from ragguard.serving.search import Hit, search
from ragguard.serving.trial import Trial
from ragguard.store import edge, edge_shards
from ragguard.trust import files
from ragguard.workspace import alias
from tests.rebuild.test_reindex import NEWS, QUESTIONS, SUSPECT, answers, sound
from tests.support.simulator import HONEST, Gate

ASKED = [f"{question} {word}" for question in QUESTIONS for word in ("now", "then", "here", "ever")]
WEEK = timedelta(days=7)
SMALL = {"chunks": {"size": 120, "overlap": 10}}


def stage(gate: Gate, **rest: Any) -> Rebuilt:
    done = reindex(gate.workspace, stage=True, **rest)
    assert done.commit is not None, done.stops
    return done


def start(gate: Gate, share: float = 1.0, **rest: Any) -> Trial:
    return cutover.start(gate.workspace, share, WEEK, **rest)


def settings(gate: Gate, **sections: Any) -> None:
    """Other settings of the workspace, from the next start on."""
    gate.settings = Settings.model_validate(sections)
    gate.reopen()


def states(gate: Gate) -> dict[int, str]:
    with gate.workspace.ledger.reading() as conn:
        return {n: state for n, (state, _) in commits.generation_states(conn).items()}


def aliases(gate: Gate) -> dict[str, str]:
    return gate.workspace.open_store().aliases()


def ask(gate: Gate, query: str, k: int = 10) -> list[Hit]:
    return search(gate.workspace, query, k)


def by(gate: Gate, query: str) -> int:
    """The generation that answers a query."""
    (number,) = {hit.generation for hit in ask(gate, query, 3)}
    return number


def texts(gate: Gate, query: str = "which rules are there") -> set[str]:
    return {hit.text for hit in ask(gate, query, 50)}


def shown(gate: Gate) -> cutover.Status:
    found = cutover.status(gate.workspace)
    assert found is not None
    return found


def proved(gate: Gate) -> int:
    """Prove a document as a stranger would; how many acts of the log its proof holds."""
    bundle = json.dumps(prove.prove(gate.workspace, "wiki/leave.md")).encode()
    signers = {gate.alice.public.keyid: gate.alice.public}
    told = prove.verify_bundle(bundle, gate.workspace.log_key, signers)
    assert (told["document"], told["signed_by"]) == ("wiki/leave.md", ["alice"])
    return len(told["acts"])


# --- a candidate ----------------------------------------------------------------------------------


def test_a_staged_rebuild_serves_nobody_until_it_is_finished(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    before, waiting = answers(gate), gate.cases()
    with gate.workspace.ledger.reading() as conn:
        state = versions.corpus_digest(conn)
    done = stage(gate)
    assert (done.staged, done.commit, done.generation, done.exit_code) == (True, 2, 2, 0)
    assert states(gate) == {1: "serving", 2: "candidate"}
    assert aliases(gate) == {"corpus": "corpus-g1"}
    assert (answers(gate), gate.cases()) == (before, waiting)
    with gate.workspace.ledger.reading() as conn:
        assert versions.corpus_digest(conn) == state
    assert by(gate, QUESTIONS[0]) == 1
    assert shown(gate).state == "staged"
    sound(gate)
    with pytest.raises(UsageError, match="generation 2 is a candidate") as raised:
        reindex(gate.workspace)
    assert "cutover abort" in raised.value.hint
    finished = cutover.finish(gate.workspace)
    assert (finished.commit, finished.generation, finished.exit_code) == (3, 2, 0)
    assert (finished.documents, finished.behind, finished.came, finished.gone) == (6, 0, [], [])
    assert states(gate) == {1: "retired", 2: "serving"}
    assert aliases(gate) == {"corpus": "corpus-g2"}
    assert (answers(gate), gate.cases()) == (before, waiting)
    assert cutover.status(gate.workspace) is None
    sound(gate)


def test_without_a_candidate_there_is_nothing_to_start_finish_or_abort(gate: Gate) -> None:
    gate.publish(HONEST)
    assert cutover.status(gate.workspace) is None
    for call in (cutover.finish, cutover.abort, lambda w: cutover.start(w, 0.1, WEEK)):
        with pytest.raises(UsageError, match="there is no candidate") as raised:
            call(gate.workspace)
        assert "--stage" in raised.value.hint


def test_an_aborted_candidate_leaves_nothing_but_its_history(gate: Gate) -> None:
    gate.publish(HONEST)
    before = answers(gate)
    stage(gate)
    start(gate)
    gone = cutover.abort(gate.workspace)
    assert (gone.generation, gone.commit) == (2, 3)
    assert gone.dropped == ["corpus-g2", "corpus-g2-quarantine"]
    store = gate.workspace.open_store()
    assert [store.exists(name) for name in gone.dropped] == [False, False]
    assert states(gate) == {1: "serving", 2: "dropped"}
    assert aliases(gate) == {"corpus": "corpus-g1"}
    assert answers(gate) == before
    sound(gate)
    assert stage(gate).generation == 3
    assert cutover.finish(gate.workspace).generation == 3
    sound(gate)


def test_a_candidate_that_serves_behind_the_logs_back_is_found(gate: Gate) -> None:
    gate.publish(HONEST)
    stage(gate)
    assert check_log(gate.workspace) == []
    table = tables.generations
    with gate.workspace.ledger.writing() as conn:
        conn.execute(sa.update(table).where(table.c.id == 2).values(state="serving"))
    said = " ".join(f.detail for f in check_log(gate.workspace))
    assert "generation 2: is serving, by the log it is candidate" in said


# --- the trial ------------------------------------------------------------------------------------


def test_search_honours_the_split_and_counts_who_answered(gate: Gate) -> None:
    gate.publish(HONEST)
    stage(gate)
    trial = start(gate, 0.5)
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
    gate.publish(HONEST)
    stage(gate)
    start(gate)
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
    gate.publish(HONEST)
    stage(gate)
    start(gate)
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


@pytest.mark.parametrize(("shadow", "compared"), [("candidate", 6), ("all", 16), ("none", 0)])
def test_what_both_are_asked_is_what_was_said(gate: Gate, shadow: Any, compared: int) -> None:
    gate.publish(HONEST)
    stage(gate)
    trial = start(gate, 0.5, shadow=shadow)
    for query in ASKED:
        ask(gate, query, 3)
    figures = shown(gate).figures
    assert figures is not None
    chosen = sum(takes_part(q, 0.5, trial.salt) for q in ASKED)
    assert figures.compared == (chosen if shadow == "candidate" else compared)


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
    changed = HONEST["leave.md"].replace("27 days", "28 days")
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
    gate.publish(HONEST)
    stage(gate)
    start(gate)
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
    gate.publish(HONEST)
    stage(gate)
    start(gate)
    gate.publish({"news.md": NEWS, "leave.md": HONEST["leave.md"].replace("27", "28")})
    assert "wiki/news.md" not in {hit.document for hit in ask(gate, "when is the canteen open")}
    ask(gate, QUESTIONS[0])
    figures = shown(gate).figures
    assert figures is not None
    assert (figures.compared, figures.mean) == (2, 0.0)
    assert shown(gate).behind == 1


def test_a_line_that_a_kill_cut_short_is_passed_over(gate: Gate) -> None:
    gate.publish(HONEST)
    stage(gate)
    trial = start(gate)
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
    gate.publish(HONEST)
    stage(gate)
    start(gate)
    assert by(gate, QUESTIONS[0]) == 2
    path = divergence.path_of(gate.workspace, 2)
    path.unlink()
    path.mkdir()
    assert by(gate, QUESTIONS[0]) == 1
    assert "g2.jsonl: Is a directory; the serving index answers" in caplog.text
    assert shown(gate).figures == divergence.TrialFigures({}, 0, None, None, None, (), {})


def test_what_a_later_manifest_does_not_list_does_not_come_with_the_candidate(gate: Gate) -> None:
    """It was not in the corpus when that manifest came: no commit took it out."""
    gate.publish({**HONEST, "news.md": NEWS})
    (gate.publisher.folder / "news.md").unlink()
    gate.publish()
    assert stage(gate, at=1).kept == 7  # with the news
    gate.publish({"leave.md": HONEST["leave.md"].replace("27", "28")})
    assert cutover.finish(gate.workspace).came == []
    assert gate.documents() == set(HONEST)
    sound(gate)


def test_what_waits_goes_on_waiting_although_another_version_serves_by_then(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.publish({"leave.md": HONEST["leave.md"].replace("27", "28")})
    gate.publish({"leave.md": SUSPECT})
    stage(gate)
    assert rollback(gate.workspace, "1").back == ["wiki/leave.md"]
    (case,) = gate.cases()
    cutover.finish(gate.workspace)
    assert (gate.documents("quarantine"), gate.cases()) == ({"leave.md"}, [case])
    assert gate.documents() == set(HONEST)
    sound(gate)


# --- the end of it --------------------------------------------------------------------------------


def both_ways(gate: Gate, other: Gate, meanwhile: Callable[[Gate], None], **sections: Any) -> None:
    """One stages, changes and finishes, the other changes and rebuilds: the same must come out."""
    for one in (gate, other):
        one.publish({**HONEST, "safe.md": SUSPECT})
    settings(gate, **sections)
    stage(gate)
    for one in (gate, other):
        settings(one)
        meanwhile(one)
        settings(one, **sections)
    cutover.finish(gate.workspace)
    assert reindex(other.workspace).commit is not None
    for one, two in zip(answers(gate, 50), answers(other, 50), strict=True):
        assert [hit[:2] for hit in one] == [hit[:2] for hit in two]
        for a, b in zip(one, two, strict=True):  # a text embedded among others: the last bits
            apart = np.frombuffer(a[2], "<f4") - np.frombuffer(b[2], "<f4")
            assert float(np.linalg.norm(apart)) < 1e-4
    for zone in ("serving", "quarantine"):
        assert gate.points(zone).keys() == other.points(zone).keys()
    assert [(c.document, c.state) for c in gate.cases()] == [
        (c.document, c.state) for c in other.cases()
    ]
    with gate.workspace.ledger.reading() as here, other.workspace.ledger.reading() as there:
        assert versions.corpus_digest(here) == versions.corpus_digest(there)
    sound(gate)


def changed(gate: Gate) -> None:
    """An ingest, a rejection and a removal."""
    (gate.publisher.folder / "visitors.md").unlink()
    gate.publish({"news.md": NEWS, "leave.md": HONEST["leave.md"].replace("27", "28")})
    (case,) = [c for c in gate.cases() if c.document == "safe.md"]
    review.decide(gate.workspace, case, "reject", gate.bob, "poison")


def test_what_came_meanwhile_is_caught_up_as_a_rebuild_would(
    gate: Gate, new_gate: Callable[..., Gate]
) -> None:
    both_ways(gate, new_gate(), changed)
    assert gate.documents() == {*HONEST, "news.md"} - {"visitors.md"}


def test_it_is_caught_up_by_another_chunk_size_too(
    gate: Gate, new_gate: Callable[..., Gate]
) -> None:
    both_ways(gate, new_gate(), changed, **SMALL)
    assert max(len(p["page_content"]) for p in gate.points().values()) <= 120


def test_a_release_and_a_further_suspect_are_caught_up(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    stage(gate)
    review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "looks fine")
    gate.publish({"vault.md": SUSPECT.replace("safe", "vault")})
    assert gate.documents("quarantine") == {"vault.md"}
    done = cutover.finish(gate.workspace)
    assert (done.came, done.gone) == ([], [])
    assert gate.documents() == {*HONEST, "safe.md"}
    assert gate.documents("quarantine") == {"vault.md"}
    assert [case.document for case in gate.cases()] == ["vault.md"]
    sound(gate)


@pytest.mark.parametrize("updated", [False, True])
def test_a_suspect_of_the_candidate_waits_unless_a_newer_version_came(
    gate: Gate, updated: bool
) -> None:
    """What the rebuild would pull is pulled when it is finished; an update is judged by itself."""
    near = SUSPECT + " It is kept behind the picture in the hall of the office."
    gate.publish({**HONEST, "safe.md": SUSPECT, "vault.md": near})
    by_name = {c.document: c for c in gate.cases()}
    review.decide(gate.workspace, by_name["vault.md"], "release", gate.bob, "looks fine")
    review.decide(gate.workspace, by_name["safe.md"], "reject", gate.bob, "poison")
    assert [one.label for one in stage(gate).left] == ["wiki/vault.md"]
    assert "vault.md" in gate.documents()
    if updated:
        (gate.publisher.folder / "safe.md").unlink()
        gate.publish({"vault.md": NEWS})
    done = cutover.finish(gate.workspace)
    assert done.gone == ([] if updated else ["wiki/vault.md"])
    assert ("vault.md" in gate.documents()) is updated
    assert gate.documents("quarantine") == (set() if updated else {"vault.md"})
    assert [(c.document, c.opened) for c in gate.cases()] == (
        [] if updated else [("vault.md", done.commit)]
    )
    sound(gate)


def test_a_contract_that_changed_meanwhile_is_asked_about(gate: Gate) -> None:
    gate.publish(HONEST, metadata={name: {"label": "guide"} for name in [*HONEST][1:]})
    stage(gate)
    gate.set_policy(labels=["guide"])
    done = cutover.finish(gate.workspace)
    first = next(iter(HONEST))
    assert [(one.label, one.findings[0].check) for one in done.left] == [
        (f"wiki/{first}", "contract")
    ]
    assert done.exit_code == 1
    assert gate.documents() == {*HONEST} - {first}
    assert [case.document for case in gate.cases()] == [first]


def test_finish_names_the_settings_that_ingest_would_need(gate: Gate) -> None:
    gate.publish(HONEST)
    settings(gate, **SMALL)
    stage(gate)
    start(gate, 0.5)
    assert {by(gate, q) for q in ASKED} == {1, 2}  # asked with either's settings
    settings(gate)
    assert {by(gate, q) for q in ASKED} == {1, 2}
    serving = gate.workspace.generation()
    assert serving is not None
    with gate.workspace.ledger.reading() as conn:  # versions of the candidate are nobody's yet
        assert {row.recipe for row in versions.latest(conn, "wiki").values()} == {serving.recipe}
    assert proved(gate) == 1
    with pytest.raises(RecipeMismatchError) as raised:
        cutover.finish(gate.workspace)
    assert raised.value.hint == (
        "Set [chunks] size = 120, [chunks] overlap = 10 and finish again: ingest goes on by them."
    )
    assert states(gate) == {1: "serving", 2: "candidate"}
    settings(gate, **SMALL)
    assert cutover.finish(gate.workspace).generation == 2
    assert proved(gate) == 3
    gate.publish({"news.md": NEWS})
    assert "news.md" in gate.documents()
    sound(gate)


def test_a_gate_that_refuses_switches_nothing_and_the_trial_goes_on(gate: Gate) -> None:
    gate.publish(HONEST)
    stage(gate)
    start(gate)
    gate.publish({"news.md": NEWS})
    asked = []

    def refuse(old: str, new: str) -> Sequence[str]:
        store = gate.workspace.open_store()
        asked.append((old, new, store.count(old), store.count(new)))
        return ["answers are lost"]

    done = cutover.finish(gate.workspace, gate=refuse)
    assert asked == [("corpus-g1", "corpus-g2", 7, 7)]  # caught up before it is compared
    assert (done.exit_code, done.commit, done.refused) == (4, None, ["answers are lost"])
    assert states(gate) == {1: "serving", 2: "candidate"}
    assert by(gate, QUESTIONS[0]) == 2
    assert NEWS not in texts(gate)  # there, and not in the ledger yet
    sound(gate)
    done = cutover.finish(gate.workspace, gate=lambda old, new: [])
    assert (done.commit, done.gated) == (4, True)
    assert NEWS in texts(gate)
    sound(gate)


def test_only_the_last_generations_are_kept(gate: Gate) -> None:
    gate.publish(HONEST)
    for number in (2, 3):
        stage(gate)
        done = cutover.finish(gate.workspace)
        assert done.generation == number
    assert done.dropped == ["corpus-g1", "corpus-g1-quarantine"]
    assert states(gate) == {1: "dropped", 2: "retired", 3: "serving"}
    sound(gate)


# --- readers and kills ----------------------------------------------------------------------------


@contextmanager
def at_every_write(look: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Call something before every write to engine, ledger and files that are replaced."""
    reads = {"load", "info", "retrieve", "scroll", "count", "facet", "query", "query_batch"}
    busy = False

    def seen() -> None:
        nonlocal busy
        if not busy:
            busy = True
            look()
            busy = False

    real, put = edge_shards.call, files.replace_file

    def call(method: Callable[..., Any], *args: Any) -> Any:
        if getattr(method, "__name__", "") not in reads:
            seen()
        return real(method, *args)

    def statement(_conn: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.split()[0].upper() not in ("SELECT", "PRAGMA", "BEGIN"):
            seen()

    def replaced(*args: Any) -> None:
        seen()
        put(*args)

    def ended(_conn: Any) -> None:
        seen()

    aliased = edge_shards.replace_json

    def aliasing(*args: Any) -> None:
        seen()
        aliased(*args)
        seen()

    with monkeypatch.context() as patch:
        patch.setattr(edge_shards, "call", call)
        patch.setattr(edge, "call", call)
        patch.setattr(edge_shards, "replace_json", aliasing)
        patch.setattr(files, "replace_file", replaced)
        sa.event.listen(sa.Engine, "before_cursor_execute", statement)
        sa.event.listen(sa.Engine, "commit", ended)
        try:
            yield
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", statement)
            sa.event.remove(sa.Engine, "commit", ended)


@pytest.mark.parametrize("end", ["finish", "abort"])
def test_whoever_asks_the_alias_at_any_write_gets_one_whole_index(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    stage(gate)
    (gate.publisher.folder / "visitors.md").unlink()
    gate.publish({"news.md": NEWS})
    gate.reopen()
    store = gate.workspace.open_store()
    vectors = gate.workspace.encoder.encode(QUESTIONS)
    seen: list[tuple[str, list[list[str]]]] = []

    def look() -> None:
        target = store.aliases()["corpus"]
        found = store.search("corpus", vectors, 10)
        seen.append((target, found.ids))

    look()
    with at_every_write(look, monkeypatch):
        start(gate)
        getattr(cutover, end)(gate.workspace)
    look()
    whole = {"corpus-g1": seen[0][1]}
    if end == "finish":
        whole["corpus-g2"] = seen[-1][1]
    assert {target for target, _ in seen} == whole.keys()
    wrong = [(target, ids) for target, ids in seen if ids != whole[target]]
    assert wrong == []
    answered = Counter(target for target, _ in seen)
    print(f"{end}: {answered}")
    assert answered["corpus-g1"] > 15


def _die(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("place", "done"),
    [
        ("build", False),
        ("commit", False),
        ("_finish", True),
        ("_confirm", True),
        ("point", True),
        ("drop", True),
    ],
)
def test_a_finish_cut_short_anywhere_is_whole_afterwards(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, place: str, done: bool
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    stage(gate)
    start(gate)
    gate.publish({"news.md": NEWS})
    gate.workspace.encoder.encode(["x"])
    where: Any = {"point": alias, "drop": generations}.get(place, Committer)
    with monkeypatch.context() as patch:
        patch.setattr(where, place, _die)
        with pytest.raises(KeyboardInterrupt):
            cutover.finish(gate.workspace)
    gate.reopen()
    gate.workspace.recover()
    assert states(gate) == (
        {1: "retired", 2: "serving"} if done else {1: "serving", 2: "candidate"}
    )
    if not done:
        assert by(gate, QUESTIONS[0]) == 2
        assert cutover.finish(gate.workspace).commit == 4
    assert aliases(gate) == {"corpus": "corpus-g2"}
    assert gate.documents() == {*HONEST, "news.md"}
    assert by(gate, QUESTIONS[0]) == 2
    sound(gate)


@pytest.mark.parametrize("place", ["commit", "_confirm", "drop"])
def test_an_abort_cut_short_anywhere_is_whole_afterwards(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    gate.publish(HONEST)
    before = answers(gate)
    stage(gate)
    start(gate)
    with monkeypatch.context() as patch:
        patch.setattr(generations if place == "drop" else Committer, place, _die)
        with pytest.raises(KeyboardInterrupt):
            cutover.abort(gate.workspace)
    gate.reopen()
    gate.workspace.recover()
    done = place != "commit"
    assert states(gate) == {1: "serving", 2: "dropped" if done else "candidate"}
    assert ("corpus-candidate" in aliases(gate)) is not done
    if not done:
        cutover.abort(gate.workspace)
    assert answers(gate) == before
    assert stage(gate).generation == 3
    assert not gate.workspace.open_store().exists("corpus-g2")
    sound(gate)
