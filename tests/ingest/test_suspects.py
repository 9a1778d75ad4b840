"""An undecided case is a suspect, not a witness: a full desk neither blinds nor sharpens the gate.

The handbook and the ordinary documents are indexed, and every tenth of them was held. The same
batch, campaigns of a simulator among the handbook's next edition, is then judged twice: while those
cases wait, and once a reviewer has released them all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest

from ragguard.ingest import judge
from ragguard.ingest.judge import undecided
from ragguard.ingest.report import Report
from ragguard.quarantine.hold import hold
from ragguard.quarantine.review import decide_cases
from ragguard.redteam import attacks
from ragguard.redteam.attacks import HonestDocument, Question, Target
from tests.support.simulator import HONEST, SUSPECT, Gate
from tests.support.workspaces.handbook import CORPORA, add, judged_handbook_gate

CAMPAIGNS = 20  # of five documents
SEED = 5


class Judged(NamedTuple):
    """The same batch beside undecided cases, and after their release."""

    gate: Gate
    poison: frozenset[str]
    waiting: Report
    released: Report


def ordinary(edition: str) -> dict[str, str]:
    root = CORPORA / "ordinary" / edition
    return {
        f"ordinary/{path.relative_to(root).as_posix()}": path.read_text("utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def campaigns(gate: Gate) -> dict[str, str]:
    """Question-led poison against the handbook's own questions."""
    root = CORPORA / "handbook/v1"
    names = sorted(p for p in root.rglob("*") if p.is_file())
    texts = [p.read_text("utf-8") for p in names]
    lines = (CORPORA / "handbook/canaries/queries.jsonl").read_text("utf-8").splitlines()
    asked = [json.loads(line) for line in lines]
    encode = gate.workspace.encoder.encode
    passages = [
        HonestDocument(str(p.relative_to(root)), text, vector)
        for p, text, vector in zip(names, texts, encode([t[:1000] for t in texts]), strict=True)
    ]
    questions = [
        Question(row["id"], row["text"], vector)
        for row, vector in zip(asked, encode([row["text"] for row in asked]), strict=True)
    ]
    entry = attacks.registry()["question_led"]
    made = attacks.plant(entry, Target(passages, questions), SEED, CAMPAIGNS)
    # Names say nothing, and neither does their order.
    order = np.random.default_rng(SEED).permutation(len(made))
    return {f"new/{number:03d}.txt": made[at].text for number, at in enumerate(order.tolist())}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    gate = judged_handbook_gate(tmp_path_factory.mktemp("suspects") / "handbook")
    report = add(gate, ordinary("v1"))
    assert report.counts["admitted"] >= 100
    held = sorted(gate.documents())[::10]
    hold(gate.workspace, [f"wiki/{name}" for name in held], "the desk is full")
    poison = campaigns(gate)
    edition = CORPORA / "handbook/v2"
    batch = {
        f"edition/{path.relative_to(edition).as_posix()}": path.read_text("utf-8")
        for path in sorted(edition.rglob("*"))
        if path.is_file()
    } | poison
    gate.publisher.write(batch)
    path = gate.publisher.publish(
        mode="delta",
        paths=[gate.publisher.folder / name for name in batch],
        keep=False,
        now=gate.now,
    )
    waiting = gate.ingest(path, dry_run=True)
    decide_cases(gate.workspace, gate.cases(), "release", gate.bob, "nothing was wrong")
    released = gate.ingest(path, dry_run=True)
    yield Judged(gate, frozenset(poison), waiting, released)
    gate.close()


def held(report: Report) -> set[str]:
    return {v.id for v in report.documents if v.outcome == "quarantine"}


def test_a_full_desk_holds_no_more_of_the_ordinary_documents(judged: Judged) -> None:
    """Four of 18 are held, which arrive beside 100 that are poison; no more beside a full desk."""
    waiting, released = (held(r) - judged.poison for r in (judged.waiting, judged.released))
    assert len(released) <= 4
    assert len(waiting - released) <= 1


def test_what_is_found_is_the_same_whether_cases_wait_or_were_released(judged: Judged) -> None:
    waiting, released = (len(held(r) & judged.poison) for r in (judged.waiting, judged.released))
    print(f"found {waiting} while cases wait, {released} released, of {len(judged.poison)}")
    assert abs(waiting - released) <= 0.01 * len(judged.poison)
    assert released >= 0.5 * len(judged.poison)


# --- expiry ---------------------------------------------------------------------------------------


def suspects(gate: Gate) -> list[str]:
    generation = gate.workspace.generation()
    assert generation is not None
    return [p.document.id for p in undecided(gate.workspace, generation, len(HONEST))]


def test_an_undecided_case_is_a_suspect_for_as_long_as_an_arrival_is_recent(gate: Gate) -> None:
    gate.publish(HONEST)
    assert suspects(gate) == []
    gate.publish({"safe.md": SUSPECT})
    assert suspects(gate) == ["safe.md"]
    gate.reopen(days=29)
    assert suspects(gate) == ["safe.md"]
    gate.reopen(days=2)
    assert suspects(gate) == []
    assert gate.documents("quarantine") == {"safe.md"}  # it waits for a person all the same


def test_how_long_that_is_is_configured(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate(judge={"recent_days": 3})
    gate.publish({**HONEST, "safe.md": SUSPECT})
    gate.reopen(days=2)
    assert suspects(gate) == ["safe.md"]
    gate.reopen(days=2)
    assert suspects(gate) == []


def test_a_decided_case_is_no_suspect(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT, "vault.md": f"{SUSPECT} It is in the vault."})
    first, second = gate.cases()
    decide_cases(gate.workspace, [first], "release", gate.bob, "a quotation")
    assert suspects(gate) == [second.document]
    decide_cases(gate.workspace, [second], "reject", gate.bob, "poison")
    assert suspects(gate) == []


def test_of_a_full_desk_the_newest_are_looked_at(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "LEAST_SUSPECTS", 2)
    gate.publish({**HONEST, "safe-0.md": SUSPECT})
    for number in (1, 2):
        gate.publish({f"safe-{number}.md": f"{SUSPECT} It is safe {number}."})
    assert suspects(gate) == ["safe-1.md", "safe-2.md"]
