"""Calibrating on the shipped handbook: what is learned, refused, written and used."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from ragguard import doctor
from ragguard.detect import scoring
from ragguard.detect.reference import load_fitted
from ragguard.errors import ConfigError, IntegrityError
from ragguard.ingest import calibration
from ragguard.ingest.calibration import Calibration
from ragguard.ledger import versions
from ragguard.lineage import prove
from ragguard.redteam import attacks, calibrate
from ragguard.trust.canonical import canonical, digest
from tests.support.simulator import Gate
from tests.support.workspaces.handbook import CORPORA, add, handbook_gate

JUDGE = {"least_documents": 100, "false_alarm_rate": 0.05}
FEW = ("fact_edit", "hidden_text", "question_led")
SCHEMA = CORPORA.parent / "docs/schemas/calibration.json"


@pytest.fixture(autouse=True)
def _few_attacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of the simulators: what is tested here does not depend on which."""
    known = {name: attacks.registry()[name] for name in FEW}
    monkeypatch.setattr("ragguard.redteam.staging.registry", lambda: known)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = handbook_gate(tmp_path / "handbook", judge=JUDGE)
    yield gate
    gate.close()


@cache
def _made() -> bytes:
    gate = handbook_gate(Path(mkdtemp()) / "handbook", judge=JUDGE)
    try:
        return calibration.dump(calibrate.calibrate(gate.workspace, campaigns=3))
    finally:
        gate.close()


@pytest.fixture
def made(_few_attacks: None) -> Calibration:
    """What calibrating the handbook gives."""
    return calibration.load(_made())


def changed(body: bytes, seal: bool = True, **values: Any) -> bytes:
    """The file with fields changed, its digest made to fit or left as it was."""
    found = json.loads(body) | values
    if seal:
        found["digest"] = digest({k: v for k, v in found.items() if k != "digest"})
    return canonical(found)


# --- what is learned ------------------------------------------------------------------------------


def test_a_dry_run_with_the_same_seed_gives_the_same_weights_and_writes_nothing(
    gate: Gate, made: Calibration
) -> None:
    before = set(gate.workspace.folder.rglob("*"))
    again = calibrate.calibrate(gate.workspace, campaigns=3, dry_run=True)
    assert again.weights == made.weights
    assert again.report == made.report
    new = set(gate.workspace.folder.rglob("*")) - before
    assert {p.name for p in new} <= {"ledger.db-wal", "ledger.db-shm"}


def test_shares_stay_within_their_bounds_and_no_family_is_silenced(made: Calibration) -> None:
    checks = scoring.active_checks({})
    compared = checks.keys() - {"denylist", "hidden", "instructions", "secrets", "twin_edit"}
    assert set(made.weights) == {checks[name][0].family for name in compared}
    for name, weight in made.weights.items():
        prior = scoring.SHARES.get(name, 1.0)
        assert prior / 50 * 0.999 <= weight <= prior * 5 * 1.001


def test_the_parts_are_disjoint_and_their_documents_are_written_down(
    gate: Gate, made: Calibration
) -> None:
    with gate.workspace.ledger.reading() as conn:
        indexed = {row.digest for row in versions.members(conn, "serving").values()}
    fit, usual = set(made.fit), set(made.reference)
    assert not fit & usual
    assert fit | usual <= indexed
    assert len(indexed) - len(fit) - len(usual) == made.report.honest


def test_the_promise_holds_on_honest_documents_nothing_was_learned_on(made: Calibration) -> None:
    share = made.report.false_alarms_after
    assert share.interval[0] <= made.rate
    assert share.share <= 3 * made.rate


def test_attacks_nothing_was_learned_from_are_reported(made: Calibration) -> None:
    assert [a.name for a in made.report.attacks] == list(FEW)
    found = {a.name: a for a in made.report.attacks}
    assert found["hidden_text"].after.documents.share == 1.0
    assert found["question_led"].documents == 15
    assert found["question_led"].campaigns == 3
    assert made.seeds.fit != made.seeds.report
    assert made.report.mean_after > 0.5


def test_a_single_document_campaign_is_one_campaign(made: Calibration) -> None:
    edit = next(a for a in made.report.attacks if a.name == "fact_edit")
    assert edit.after.documents == edit.after.any == edit.after.all


# --- what is refused ------------------------------------------------------------------------------


def test_a_corpus_too_small_for_the_rate_is_refused_with_the_rate_it_can_promise(
    gate: Gate,
) -> None:
    with pytest.raises(ConfigError, match=r"of 0\.10% takes 3334 different documents, 1000") as e:
        calibrate.calibrate(gate.workspace, rate=0.001)
    promised = float(str(e.value.hint).split("--rate ")[1].split()[0])
    assert 1 / 45 < promised < 1 / 35
    assert e.value.exit_code == 2
    assert not (gate.workspace.folder / calibration.FILE).exists()


def test_an_index_that_is_judged_by_the_shipped_sample_is_refused(gate: Gate) -> None:
    gate.settings = gate.settings.model_validate({"judge": {"least_documents": 200}})
    gate.reopen()
    with pytest.raises(ConfigError, match="200 are needed"):
        calibrate.calibrate(gate.workspace)


# --- what is written ------------------------------------------------------------------------------


def test_the_file_fits_its_schema_and_comes_back_as_it_was(made: Calibration) -> None:
    validator = Draft202012Validator(json.loads(SCHEMA.read_text("utf-8")))
    assert [e.message for e in validator.iter_errors(json.loads(_made()))] == []
    assert calibration.load(calibration.dump(made)) == made


@pytest.mark.parametrize(
    ("values", "seal", "told"),
    [
        ({"rate": 0.2}, False, "changed after it was written"),
        ({"weights": {"collusion": 0.001}}, False, "changed after it was written"),
        ({"version": 2}, True, "not a calibration of version 1"),
        ({"weights": {"collusion": "much"}}, True, "weights.collusion"),
        ({"extra": 1}, True, "extra"),
    ],
)
def test_tampering_is_noticed(values: dict[str, Any], seal: bool, told: str) -> None:
    with pytest.raises(IntegrityError, match=told):
        calibration.load(changed(_made(), seal, **values))


def test_weights_changed_by_somebody_who_can_compute_a_digest_are_not_in_the_log(
    gate: Gate, made: Calibration
) -> None:
    calibration.save(gate.workspace, made)
    assert calibration.in_force(gate.workspace) == (made, "")
    forged = replaced(made, weights=made.weights | {"hidden": 0.5})
    (gate.workspace.folder / calibration.FILE).write_bytes(calibration.dump(forged))
    with pytest.raises(IntegrityError, match="none that `calibrate` wrote here"):
        calibration.in_force(gate.workspace)


def test_weights_out_of_bounds_are_refused_whoever_wrote_them(
    gate: Gate, made: Calibration
) -> None:
    calibration.save(gate.workspace, replaced(made, weights=made.weights | {"hidden": 0.001}))
    with pytest.raises(IntegrityError, match=r"0\.001 of hidden is out of bounds"):
        calibration.in_force(gate.workspace)


def test_the_log_still_verifies_and_has_the_act(gate: Gate, made: Calibration) -> None:
    calibration.save(gate.workspace, made)
    assert prove.verify_log(gate.workspace).problems == []


def test_a_damaged_file_stops_ingest_and_names_itself(gate: Gate) -> None:
    (gate.workspace.folder / calibration.FILE).write_bytes(_made()[:-40])
    report = add(gate, {"new.md": "# Keys\n\nKeys are handed out at the front desk every Monday."})
    assert calibration.FILE in str(report.manifests[0].error)
    assert report.exit_code == 3


def test_a_kill_while_writing_leaves_the_old_file_or_the_new(
    gate: Gate, made: Calibration, tmp_path: Path
) -> None:
    folder = gate.workspace.folder
    calibration.save(gate.workspace, made)
    new = tmp_path / "new.json"
    new.write_bytes(changed(_made(), at="2027-01-01T00:00:00Z"))
    program = (
        "import os, signal, sys; from pathlib import Path; from ragguard.trust import files\n"
        "real = os.fsync\n"
        "os.fsync = lambda f: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.replace_file(Path(sys.argv[1]), Path(sys.argv[2]).read_bytes())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder / calibration.FILE), str(new)],
        env={**os.environ, "PYTHONPATH": str(CORPORA.parent)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert calibration.kept(gate.workspace) == made


# --- what is used ---------------------------------------------------------------------------------


def test_ingest_judges_with_the_learned_shares(gate: Gate, made: Calibration) -> None:
    text = "# Keys\n\nKeys are handed out at the front desk every Monday, against a signature."
    most = 4.5 * scoring.SHARES["collusion"]
    weights = {name: scoring.SHARES.get(name, 1.0) for name in made.weights} | {"collusion": most}
    calibration.save(gate.workspace, replaced(made, weights=weights))
    report = add(gate, {"keys.md": text})
    assert report.manifests[0].error is None
    assert report.stale == ""
    (path,) = gate.workspace.folder.glob("cache/profile-*.npz")
    profile = load_fitted(path, gate.workspace.seal_key)
    assert profile is not None
    assert profile[0].shares["collusion"] == most
    assert profile[0].documents < 132  # those that weights were learned on are left out


def test_a_stale_calibration_is_reported_and_not_used(gate: Gate, made: Calibration) -> None:
    calibration.save(gate.workspace, replaced(made, recipe="0" * 64))
    found = [f for f in doctor.examine(gate.workspace) if "stale" in f.detail]
    assert [f.state for f in found] == ["note"]
    gate.settings = gate.settings.model_validate({})
    gate.reopen()
    report = add(gate, {"new.md": "# Keys\n\nKeys are handed out at the front desk every Monday."})
    assert "another recipe" in report.as_dict()["stale_calibration"]


def test_other_checks_in_force_make_it_stale(gate: Gate, made: Calibration) -> None:
    calibration.save(gate.workspace, made)
    assert calibration.in_force(gate.workspace) == (made, "")
    gate.settings = gate.settings.model_validate(
        {"judge": JUDGE, "checks": {"isolation": {"enabled": False}}}
    )
    gate.reopen()
    assert calibration.in_force(gate.workspace)[0] is None
    assert "other checks" in calibration.in_force(gate.workspace)[1]


def test_doctor_says_when_and_for_which_rate(gate: Gate, made: Calibration) -> None:
    calibration.save(gate.workspace, made)
    details = [f.detail for f in doctor.examine(gate.workspace) if f.state == "ok"]
    (told,) = [d for d in details if d.startswith("calibrated")]
    assert made.at in told
    assert "5.00%" in told


def replaced(made: Calibration, **values: Any) -> Calibration:
    """The calibration with other values."""
    return made.model_copy(update=values)
