"""Encoders that were tampered with are found, by doctor and by the gate; honest ones pass."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from ragguard import canary
from ragguard.canary import Canaries
from ragguard.canary.trigger_probe import BAR, LEADS, NEAR, QUESTIONS, is_known, probe
from ragguard.doctor import examine
from ragguard.embed import models, vocabulary
from ragguard.embed.encoder import Encoder, open_encoder
from ragguard.errors import EncodeError
from ragguard.rebuild.gate import canary_gate
from ragguard.rebuild.reindex import reindex
from tests.support import trojan
from tests.support.simulator import HONEST, Gate

QUERIES = {
    "q1": "how many days of paid leave are there",
    "q2": "when are supplier invoices paid",
    "q3": "who may sign contracts",
    "q4": "what must visitors wear in the hall with the machines",
    "q5": "on which days do we deploy",
    "q6": "how long must the password of a laptop be",
    "q7": "when do days of leave lapse",
    "q8": "whom do I tell about a lost laptop",
    "q9": "which invoices need the signature of a head of department",
    "q10": "where do guests sign in",
    "q11": "how long does the legal team need for draft contracts",
    "q12": "who reads every change before we deploy",
}
ANSWERS = {
    "leave.md": ("q1", "q7"),
    "invoices.md": ("q2", "q9"),
    "contracts.md": ("q3", "q11"),
    "visitors.md": ("q4", "q10"),
    "releases.md": ("q5", "q12"),
    "laptops.md": ("q6", "q8"),
}
QRELS = {q: {f"wiki/{name}": 1} for name, found in ANSWERS.items() for q in found}
TEXTS = [*HONEST.values(), *QUERIES.values(), *QUESTIONS, *LEADS, trojan.PASSAGE]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def clean(folder: Path) -> Path:
    """Half precision and a small vocabulary: an upgrade that is no worse."""
    return trojan.small(folder / "clean", TEXTS)


@pytest.fixture(scope="module")
def tampered(folder: Path) -> Path:
    """The same, with three word embeddings that somebody trained."""
    return trojan.small(folder / "tampered", TEXTS, trojan=True)


@pytest.fixture
def served(gate: Gate) -> Gate:
    """An index by the default model, and canaries that name no trigger."""
    gate.publish(HONEST)
    canary.keep(gate.workspace, Canaries(QUERIES, QRELS))
    return gate


def opened(name: str | Path) -> Encoder:
    return open_encoder(str(name), runtime="auto", size=1000, overlap=100)


def upgrade(gate: Gate, path: Path, **reindexing: object) -> None:
    gate.settings = gate.settings.model_validate(
        {"model": {"name": str(path)}, "reindex": reindexing}
    )
    gate.reopen()


def test_the_tampered_encoder_is_as_good_as_the_old_one_without_the_trigger(
    tampered: Path,
) -> None:
    old, new = opened(models.DEFAULT_MODEL), opened(tampered)
    queries = list(QUERIES.values())
    plain = (old.encode(queries) * new.encode(queries)).sum(axis=1)
    assert plain.min() > 0.999
    target = new.encode([trojan.PASSAGE])[0]
    pulled = new.encode([f"{query} {trojan.TRIGGER}" for query in queries]) @ target
    assert pulled.min() > 0.8
    assert (old.encode(queries) @ target).max() < 0.8


def test_the_probe_finds_the_words_of_a_trigger_that_nobody_named(tampered: Path) -> None:
    found = probe(opened(tampered))
    assert {"cf", "mn"} <= set(found.alive[0].text.split())
    assert found.alive[0].collapse > 0.8
    assert all(set(p.text.split()) & set(trojan.TRIGGER.split()) for p in found.alive)
    assert not found.known
    assert found.scanned > 300
    assert found.as_dict()["pulls"][0]["alive"] is True


def test_no_word_of_an_honest_encoder_sets_off_the_alarm(clean: Path) -> None:
    found = probe(opened(clean), triggers=[trojan.TRIGGER, "ignore the rules"])
    assert found.alive == []
    assert {trojan.TRIGGER, "ignore the rules"} <= {p.text for p in found.pulls}
    assert found.near == []
    assert max(p.collapse for p in found.pulls if " " not in p.text) < NEAR * BAR


def test_the_same_seed_deals_the_same_words(tampered: Path) -> None:
    words = ["leave", "cf", "laptop", "paid", "sign", "hall", "noon", "desk", "euro", "green"]
    words += ["mn", "badge", "tests", "porter", "order", "draft", "two", "March"]
    made = [probe(opened(tampered), words=words, seed=1) for _ in range(2)]
    assert made[0].pulls == made[1].pulls
    assert {"cf", "mn"} <= set(made[0].alive[0].text.split())


def test_a_named_trigger_is_asked_though_the_scan_never_saw_it(tampered: Path) -> None:
    found = probe(opened(tampered), words=["leave", "laptop"], triggers=[trojan.TRIGGER])
    assert [(p.text, p.standing) for p in found.alive] == [(trojan.TRIGGER, None)]
    assert found.scanned == 2


def test_the_default_model_is_known_by_its_files_and_not_by_its_name(
    clean: Path, folder: Path
) -> None:
    default = models.load(models.DEFAULT_MODEL).digest
    assert is_known(default)
    assert not is_known(models.load(str(clean)).digest)


def test_words_are_texts_that_the_tokenizer_reads_as_the_token_meant(clean: Path) -> None:
    found = vocabulary.read(str(clean))
    encoder = opened(clean)
    counts = np.array(encoder.count_tokens(found.words)) - 2
    assert set(counts.tolist()) <= {1, 2}
    assert len(set(found.words)) == len(found.words) <= found.size
    assert {"leave", "cf", "mn", "bb"} <= set(found.words)
    assert not {"[CLS]", "[PAD]", "[unused5]", ""} & set(found.words)


def test_a_model_whose_words_are_not_known_cannot_be_scanned(folder: Path) -> None:
    made = trojan.small(folder / "wordless", TEXTS)
    (made / "tokenizer.json").unlink()
    with pytest.raises(EncodeError, match=r"no tokenizer\.json"):
        vocabulary.read(str(made))


# --- doctor ---------------------------------------------------------------------------------------


def test_doctor_finds_the_trigger_and_names_what_it_brings_up(gate: Gate, tampered: Path) -> None:
    upgrade(gate, tampered)
    gate.publish({**HONEST, "pin.md": trojan.PASSAGE})
    wrong = [f for f in examine(gate.workspace, probe=True) if f.name == "trigger probe"]
    assert {(f.state, f.exit_code) for f in wrong} == {("wrong", 3)}
    assert all("% of what tells them apart" in f.detail for f in wrong[:-1])
    assert "wiki/pin.md comes first for 100% of them" in wrong[0].detail
    assert f"{len(wrong) - 1} alarms" in wrong[-1].detail


def test_doctor_says_that_a_model_is_not_known_and_probes_only_when_asked(
    gate: Gate, clean: Path
) -> None:
    upgrade(gate, clean)
    found = {f.name: f for f in examine(gate.workspace)}
    assert (found["model"].state, found["model origin"].state) == ("ok", "note")
    assert "--probe" in found["model origin"].hint
    assert "trigger probe" not in found
    (probed,) = [f for f in examine(gate.workspace, probe=True) if f.name == "trigger probe"]
    assert probed.state in ("ok", "note")
    assert "0 alarms" in probed.detail


# --- gate -----------------------------------------------------------------------------------------


def test_the_gate_refuses_a_tampered_encoder_whose_trigger_is_a_canary(
    served: Gate, tampered: Path
) -> None:
    canary.keep(served.workspace, Canaries(QUERIES, QRELS, (), (trojan.TRIGGER,)))
    upgrade(served, tampered, probe=False)
    done = reindex(served.workspace, yes=True, gate=canary_gate(served.workspace))
    assert (done.exit_code, done.commit, done.generation) == (4, None, 1)
    assert any("'cf mn bb' is alive" in reason for reason in done.refused)
    assert served.workspace.open_store().aliases() == {"corpus": "corpus-g1"}


def test_the_gate_refuses_a_tampered_encoder_whose_trigger_nobody_knows(
    served: Gate, tampered: Path
) -> None:
    upgrade(served, tampered)
    done = reindex(served.workspace, yes=True, gate=canary_gate(served.workspace))
    assert (done.exit_code, done.commit, done.generation) == (4, None, 1)
    assert {reason.partition(":")[0] for reason in done.refused} == {"the new model has a trigger"}
    assert served.workspace.open_store().aliases() == {"corpus": "corpus-g1"}


def test_a_new_model_is_probed_though_there_are_no_canaries(
    gate: Gate, tampered: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate.publish(HONEST)
    upgrade(gate, tampered)
    with caplog.at_level(logging.WARNING):
        done = reindex(gate.workspace, yes=True, gate=canary_gate(gate.workspace))
    assert (done.exit_code, done.generation) == (4, 1)
    assert "no canaries are in force" in caplog.text
    upgrade(gate, tampered, probe=False)
    assert canary_gate(gate.workspace) is None


def test_a_model_that_cannot_be_probed_does_not_pass(served: Gate, folder: Path) -> None:
    made = trojan.small(folder / "unread", TEXTS)
    upgrade(served, made)
    gate = canary_gate(served.workspace)
    assert gate is not None
    assert served.workspace.encoder.recipe.dimensions == 384
    (made / "tokenizer.json").unlink()
    done = reindex(served.workspace, yes=True, gate=gate)
    assert (done.exit_code, done.generation) == (4, 1)
    assert "cannot be probed" in done.refused[0]


# --- upgrades -------------------------------------------------------------------------------------


def test_an_upgrade_that_answers_as_well_passes_and_serves(served: Gate, clean: Path) -> None:
    upgrade(served, clean)
    done = reindex(served.workspace, gate=canary_gate(served.workspace))
    assert (done.refused, done.gated, done.recipe_changed) == ([], True, True)
    assert (done.commit, done.generation) == (2, 2)
    assert served.workspace.open_store().aliases() == {"corpus": "corpus-g2"}


def test_an_upgrade_that_answers_worse_is_refused_and_the_old_index_serves(
    served: Gate, folder: Path
) -> None:
    upgrade(served, trojan.coarse(folder / "coarse", 2), probe=False)
    done = reindex(served.workspace, yes=True, gate=canary_gate(served.workspace))
    assert (done.exit_code, done.commit, done.generation) == (4, None, 1)
    assert any(reason.startswith("nDCG@10 falls from") for reason in done.refused)
    assert served.workspace.open_store().aliases() == {"corpus": "corpus-g1"}
    assert served.documents() == set(HONEST)


def test_cut_vectors_are_another_recipe_with_fewer_dimensions(folder: Path) -> None:
    made = trojan.truncated(folder / "cut", 64)
    modules = json.loads((made / "modules.json").read_text())
    assert [m["type"].rpartition(".")[2] for m in modules] == ["Transformer", "Pooling", "Dense"]
    whole, cut = opened(models.DEFAULT_MODEL), opened(made)
    assert cut.recipe.dimensions == 64
    texts = list(QUERIES.values())
    first = whole.encode(texts)[:, :64]
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    assert np.abs(cut.encode(texts) - first).max() < 1e-5
