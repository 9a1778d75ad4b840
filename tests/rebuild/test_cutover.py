"""Cut-over: a candidate is tried beside what serves, then serves, and nobody reads half of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ragguard.audit.log_check import check_log
from ragguard.errors import RecipeMismatchError, UsageError
from ragguard.ledger import versions
from ragguard.quarantine import review
from ragguard.rebuild import cutover
from ragguard.rebuild.reindex import reindex
from ragguard.rebuild.rollback import rollback
from tests.support.simulator import HONEST, NEWS, SUSPECT, Gate
from tests.support.workspaces.candidates import (
    ASKED,
    WEEK,
    aliases,
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
    answers,
    corpus,
    falsify,
    proved,
    refusing,
    same_but_for_the_last_bits,
    serve_near_denied,
    settings,
    sound,
    states,
)

# --- a candidate ----------------------------------------------------------------------------------


def test_a_staged_rebuild_serves_nobody_until_it_is_finished(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    before, waiting = answers(gate), gate.cases()
    state = corpus(gate)
    done = stage(gate)
    assert (done.staged, done.commit, done.generation, done.exit_code) == (True, 2, 2, 0)
    assert states(gate) == {1: "serving", 2: "candidate"}
    assert aliases(gate) == {"corpus": "corpus-g1"}
    assert (answers(gate), gate.cases()) == (before, waiting)
    assert corpus(gate) == state
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
    said = falsify(gate, {2: "serving"})
    assert "generation 2: is serving, by the log it is candidate" in said


def test_what_a_later_manifest_does_not_list_does_not_come_with_the_candidate(gate: Gate) -> None:
    """It was not in the corpus when that manifest came: no commit took it out."""
    gate.publish({**HONEST, "news.md": NEWS})
    (gate.publisher.folder / "news.md").unlink()
    gate.publish()
    assert stage(gate, at=1).kept == 7  # with the news
    gate.publish({"leave.md": LEAVE})
    assert cutover.finish(gate.workspace).came == []
    assert gate.documents() == set(HONEST)
    sound(gate)


def test_what_waits_goes_on_waiting_although_another_version_serves_by_then(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.publish({"leave.md": LEAVE})
    gate.publish({"leave.md": SUSPECT})
    stage(gate)
    assert rollback(gate.workspace, "1").back == ["wiki/leave.md"]
    (case,) = gate.cases()
    cutover.finish(gate.workspace)
    assert (gate.documents("quarantine"), gate.cases()) == ({"leave.md"}, [case])
    assert gate.documents() == set(HONEST)
    sound(gate)


# --- the end of it --------------------------------------------------------------------------------


@pytest.mark.parametrize("sections", [{}, SMALL], ids=["the same recipe", "smaller chunks"])
def test_what_came_meanwhile_is_caught_up_as_a_rebuild_would(
    gate: Gate, new_gate: Callable[..., Gate], sections: dict[str, Any]
) -> None:
    """One stages, changes and finishes, the other changes and rebuilds: the same must come out."""
    other = new_gate()
    for one in (gate, other):
        one.publish({**HONEST, "safe.md": SUSPECT})
    settings(gate, **sections)
    stage(gate)
    for one in (gate, other):  # an ingest, a removal and a rejection
        settings(one)
        (one.publisher.folder / "visitors.md").unlink()
        one.publish({"news.md": NEWS, "leave.md": LEAVE})
        (case,) = [c for c in one.cases() if c.document == "safe.md"]
        review.decide(one.workspace, case, "reject", one.bob, "poison")
        settings(one, **sections)
    cutover.finish(gate.workspace)
    assert reindex(other.workspace).commit is not None
    same_but_for_the_last_bits(answers(gate, 50), answers(other, 50))
    for zone in ("serving", "quarantine"):
        assert gate.points(zone).keys() == other.points(zone).keys()
    assert [(c.document, c.state) for c in gate.cases()] == [
        (c.document, c.state) for c in other.cases()
    ]
    assert corpus(gate) == corpus(other)
    assert gate.documents() == {*HONEST, "news.md"} - {"visitors.md"}
    if sections:
        assert max(len(p["page_content"]) for p in gate.points().values()) <= 120
    sound(gate)


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
    serve_near_denied(gate)
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
    assert len(proved(gate.workspace)["acts"]) == 1
    with pytest.raises(RecipeMismatchError) as raised:
        cutover.finish(gate.workspace)
    assert raised.value.hint == (
        "Set [chunks] size = 120, [chunks] overlap = 10 and finish again: ingest goes on by them."
    )
    assert states(gate) == {1: "serving", 2: "candidate"}
    settings(gate, **SMALL)
    assert cutover.finish(gate.workspace).generation == 2
    assert len(proved(gate.workspace)["acts"]) == 3
    gate.publish({"news.md": NEWS})
    assert "news.md" in gate.documents()
    sound(gate)


def test_a_gate_that_refuses_switches_nothing_and_the_trial_goes_on(gate: Gate) -> None:
    try_honest(gate)
    gate.publish({"news.md": NEWS})
    refuse, asked = refusing(gate)
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
