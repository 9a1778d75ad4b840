"""Attacking the shipped handbook in a scratch view."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

from ragguard.errors import ConfigError, UsageError
from ragguard.model import Chunk
from ragguard.redteam import attacks, staging
from ragguard.redteam.attacks import PoisonDocument, Target, attack
from ragguard.redteam.run import RedteamResult, redteam
from tests.support.simulator import HONEST, Gate
from tests.support.workspaces.handbook import handbook_gate

NAMES = ("fact_edit", "hidden_text", "noise_vectors", "question_led")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = handbook_gate(tmp_path / "handbook")
    yield gate
    gate.close()


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file of a workspace; what merely opening the ledger makes is left out."""
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith(("-wal", "-shm", ".lock"))
    }


@cache
def _run() -> tuple[RedteamResult, dict[str, str], dict[str, str]]:
    gate = handbook_gate(Path(mkdtemp()) / "handbook")
    folder = gate.workspace.folder
    # The engine writes notes of its own when a folder is first read; the ledger's shadow likewise.
    store = gate.workspace.open_store()
    for name in ("corpus-g1", "corpus-g1-quarantine"):
        store.search(name, np.eye(1, 384, dtype=np.float32), 1)
    gate.close()
    before = contents(folder)
    found = redteam(gate.workspace, names=NAMES, campaigns=3)
    gate.close()
    return found, before, contents(folder)


def outcome(name: str) -> dict[str, Any]:
    return next(a for a in _run()[0].as_dict()["attacks"] if a["attack"] == name)


def test_nothing_is_written() -> None:
    _, before, after = _run()
    assert after == before
    assert len(before) > 10


def test_every_attack_is_told_with_its_share_by_document_and_by_campaign() -> None:
    body = _run()[0].as_dict()
    assert [a["attack"] for a in body["attacks"]] == list(NAMES)
    led = outcome("question_led")
    assert (led["planted"], led["campaigns"]) == (15, 3)
    assert led["quarantined"] + led["rejected"] == round(15 * led["stopped"]["documents"]["share"])
    assert led["stopped"]["campaigns_any"]["share"] >= led["stopped"]["campaigns_all"]["share"]


def test_hidden_instructions_are_stopped_and_say_by_which_check() -> None:
    found = outcome("hidden_text")
    assert found["stopped"]["documents"]["share"] == 1.0
    assert "hidden" in found["first_findings"]
    assert found["examples"] == []


def test_vectors_written_straight_into_the_index_are_judged_in_the_texts_place() -> None:
    assert outcome("noise_vectors")["direct"]
    assert not outcome("question_led")["direct"]


def test_honest_documents_beside_are_counted() -> None:
    body = _run()[0].as_dict()
    honest = body["honest"]
    assert honest["judged"] == sum(a["honest"]["judged"] for a in body["attacks"])
    assert honest["held"] == sum(a["honest"]["held"] for a in body["attacks"])
    for own in (a["honest"] for a in body["attacks"]):
        assert own["held"] == sum(own["first_findings"].values())
        assert own["interval"][0] <= own["share"] <= own["interval"][1]
    assert honest["judged"] >= 16 * len(NAMES)
    assert honest["stopped"]["share"] < 0.2


def test_the_same_seed_plants_and_judges_the_same(gate: Gate) -> None:
    again = redteam(gate.workspace, names=["question_led"], campaigns=3).as_dict()
    assert again["attacks"] == [outcome("question_led")]


def test_examples_are_what_was_admitted_those_that_readers_see_first() -> None:
    for found in _run()[0].outcomes:
        admitted = int((~found.stopped).sum())
        assert len(found.examples) == min(admitted, 5)
        reached = [e.reached for e in found.examples]
        assert reached == sorted(reached, reverse=True)
        assert found.reached <= found.admitted_with_question <= admitted


# --- an attack that gets through ------------------------------------------------------------------


@dataclass(frozen=True)
class Plain:
    """No parameters."""


@pytest.fixture
def open_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulator that plants nothing wrong: an answer to a question, in plain words."""
    known = dict(attacks.registry())
    monkeypatch.setattr(attacks, "_REGISTRY", {})

    @attack("plain", family="collusion", params=Plain)
    def plain(
        target: Target, rng: np.random.Generator, campaigns: int, params: Plain
    ) -> list[PoisonDocument]:
        """Answer a question."""
        return [
            PoisonDocument(f"plain-{n}", f"{q.text} {q.text}", q.id, q.text)
            for n, q in enumerate(target.questions[:campaigns])
        ]

    known |= attacks._REGISTRY
    monkeypatch.setattr(staging, "registry", lambda: known)
    monkeypatch.setattr(
        "ragguard.detect.scoring.active_checks", lambda *_: {"secrets": checked()["secrets"]}
    )


def checked() -> Any:
    from ragguard.detect import checks

    entry = checks.registry()["secrets"]
    return {"secrets": (entry, entry.params())}


def test_what_gets_through_and_reaches_readers_is_told(gate: Gate, open_door: None) -> None:
    found = redteam(gate.workspace, names=["plain"], campaigns=4)
    (one,) = found.outcomes
    assert one.share == 0.0
    assert (one.admitted_with_question, one.reached) == (4, 4)
    assert [e.reached for e in one.examples] == [True] * 4
    assert all(0 < len(e.text) <= 80 for e in one.examples)
    assert not one.holds
    assert found.exit_code == 1


# --- floors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "floor", "code"),
    [
        ({"floor": 0.5}, None, 1),
        ({"floor": 0.5}, 0.0, 0),
        ({"floor": 0.9, "floors": {"plain": 0.0}}, None, 0),
        ({"floors": {"plain": 0.5}}, 0.0, 1),
    ],
)
def test_an_attack_under_its_floor_fails_the_run(
    gate: Gate, open_door: None, settings: dict[str, Any], floor: float | None, code: int
) -> None:
    gate.settings = gate.settings.model_validate({"redteam": settings})
    gate.reopen()
    found = redteam(gate.workspace, names=["plain"], campaigns=1, floor=floor)
    assert found.exit_code == code


def test_a_floor_for_an_attack_that_is_not_there_is_refused(gate: Gate) -> None:
    gate.settings = gate.settings.model_validate({"redteam": {"floors": {"fact-edit": 0.1}}})
    gate.reopen()
    with pytest.raises(ConfigError, match="fact-edit"):
        redteam(gate.workspace)


def test_an_unknown_attack_is_refused(gate: Gate) -> None:
    with pytest.raises(UsageError, match="'nothing'"):
        redteam(gate.workspace, names=["nothing"])


def test_an_index_of_a_few_documents_is_refused(new_gate: Any) -> None:
    gate = new_gate()
    gate.publish(HONEST)
    with pytest.raises(UsageError, match="are indexed: too few"):
        redteam(gate.workspace)


# --- staging --------------------------------------------------------------------------------------


def test_a_document_is_put_together_without_what_its_chunks_share() -> None:
    text = "abcdefghij"
    chunks = [Chunk(0, 6, text[:6]), Chunk(4, 10, text[4:])]
    assert staging.whole_text(chunks) == text
    apart = [Chunk(0, 3, "abc"), Chunk(5, 8, "fgh")]
    assert staging.whole_text(apart) == "abc\nfgh"
