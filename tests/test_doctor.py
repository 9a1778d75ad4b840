"""Doctor: every finding it can make, made to be true, and nothing wrong with a sound workspace."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragguard.corpus import drawn_by
from ragguard.doctor import DoctorFinding, examine
from ragguard.errors import IncompleteError, LedgerError, StoreError
from ragguard.ledger.tables import commits, recipes, set_meta
from ragguard.parse.browser import BROWSERS
from ragguard.store import Store
from ragguard.trust import amend_root, keys
from ragguard.trust.canonical import format_time
from tests.support.servers.qdrant_shim import Shim
from tests.support.simulator import HONEST, SUSPECT, Gate
from tests.support.workspaces.ledger_rows import begin, commit, version_row

TEXTS = {name: HONEST[name] for name in ("leave.md", "visitors.md")}


def look(gate: Gate) -> dict[str, list[DoctorFinding]]:
    """Findings by name."""
    found: dict[str, list[DoctorFinding]] = {}
    for finding in examine(gate.workspace):
        found.setdefault(finding.name, []).append(finding)
    return found


def only(gate: Gate, name: str) -> DoctorFinding:
    (finding,) = look(gate)[name]
    return finding


def not_ok(gate: Gate) -> dict[str, str]:
    """State of what is not well, by name."""
    return {f.name: f.state for f in examine(gate.workspace) if f.state != "ok"}


# --- sound ----------------------------------------------------------------------------------------


def test_a_new_workspace_is_sound_and_empty(gate: Gate) -> None:
    assert not_ok(gate) == {"calibration": "note"}
    assert only(gate, "store").detail == "empty: nothing was ingested yet"
    assert only(gate, "trust root").detail == "version 3, expires 2027-03-01T12:00:00Z"
    assert only(gate, "single writer").state == "ok"


def test_a_filled_workspace_is_sound_and_counted(gate: Gate) -> None:
    gate.publish({**TEXTS, "safe.md": SUSPECT})
    assert not_ok(gate) == {"calibration": "note"}
    assert [f.detail for f in look(gate)["store"]] == [
        "corpus-g1: 2 points, as in the ledger",
        "corpus-g1-quarantine: 1 points, as in the ledger",
    ]
    assert only(gate, "engine").detail == "embedded Qdrant Edge, alias 'corpus' -> corpus-g1"
    assert only(gate, "model").detail.endswith("the one the index was built with")


def test_whatever_is_not_well_says_what_to_do_next(gate: Gate) -> None:
    gate.reopen(days=400)
    unwell = [f for f in examine(gate.workspace) if f.state != "ok"]
    assert len(unwell) == 2
    assert all(f.hint for f in unwell)
    assert all((f.state == "wrong") == (f.exit_code > 0) for f in unwell)


# --- trust ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "state", "exit_code"),
    [(334, "ok", 0), (335, "ok", 0), (336, "note", 0), (364, "note", 0), (365, "wrong", 3)],
)
def test_the_end_of_the_trust_root_is_announced_thirty_days_before(
    gate: Gate, days: int, state: str, exit_code: int
) -> None:
    gate.reopen(days=days)
    found = only(gate, "trust root")
    assert (found.state, found.exit_code) == (state, exit_code)
    assert bool(found.hint) == (state != "ok")


def test_a_workspace_without_sources_says_so(gate: Gate) -> None:
    gate.change_root(lambda root: replace(root, version=root.version + 1, sources={}))
    assert only(gate, "sources").detail == "none may be ingested yet"
    assert "reviewers" not in look(gate)


@pytest.mark.parametrize("reviewer", ["none", "signer"], ids=["no-reviewer", "reviewer-signs-too"])
def test_a_workspace_where_nobody_can_decide_says_so(gate: Gate, reviewer: str) -> None:
    gate.change_root(lambda root: amend_root.revoke(root, gate.bob.public, gate.now, "left"))
    if reviewer == "signer":
        gate.trust(keys.generate("alice"), role="reviewer")
    assert only(gate, "reviewers").state == "note"
    gate.trust(keys.generate("carol"), role="reviewer")
    assert "reviewers" not in look(gate)


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_wrong(gate: Gate, mode: int) -> None:
    look(gate)
    path = gate.folder / "w" / "keys" / "alice.key"
    path.write_bytes(b"x")
    path.chmod(mode)
    wrong, fine = look(gate)["keys"]
    assert (wrong.state, wrong.detail, wrong.exit_code) == ("wrong", "others may read alice.key", 2)
    assert fine.state == "ok"
    path.chmod(0o600)
    assert only(gate, "keys").state == "ok"


@pytest.mark.parametrize("name", ["seal", "checkpoint"])
@pytest.mark.parametrize("what", ["gone", "damaged", "open"])
def test_a_service_key_that_cannot_be_used_is_wrong(gate: Gate, name: str, what: str) -> None:
    path = gate.folder / "w" / "keys" / f"{name}.key"
    gate.reopen()
    if what == "gone":
        path.unlink()
    elif what == "damaged":
        path.write_bytes(b"zz")
    else:
        path.chmod(0o644)
    wrong = [f for f in look(gate)["keys"] if f.state == "wrong"]
    assert wrong
    assert {f.exit_code for f in wrong} == {2}
    assert any(f"{name}.key" in f.detail or "private key file" in f.detail for f in wrong)


def test_a_root_key_in_the_workspace_is_noted(gate: Gate) -> None:
    assert "root key" not in look(gate)
    path = gate.folder / "w" / "keys" / "root.key"
    path.write_bytes(keys.dump_private(gate.root_key, None))
    path.chmod(0o600)
    assert only(gate, "root key").state == "note"
    assert "offline" in only(gate, "root key").hint


# --- clock and disk -------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "state"), [(5, "ok"), (6, "wrong")])
def test_a_clock_behind_the_last_commit_is_wrong(gate: Gate, minutes: int, state: str) -> None:
    gate.publish(TEXTS)
    later = format_time(gate.now + timedelta(minutes=minutes))
    with gate.workspace.ledger.writing() as conn:
        conn.execute(sa.update(commits).values(at=later))
    found = only(gate, "clock")
    assert found.state == state
    assert (found.exit_code, later in found.detail) == (
        (5, True) if state == "wrong" else (0, False)
    )


@pytest.mark.parametrize(("free", "state"), [(999_999_999, "wrong"), (1_000_000_000, "ok")])
def test_little_disk_space_is_wrong(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, free: int, state: str
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 10**12 - free, free))
    assert (only(gate, "disk").state, only(gate, "disk").detail) == (state, "1.0 GB free")


# --- model and store ------------------------------------------------------------------------------


def test_another_recipe_than_the_indexs_is_wrong(gate: Gate) -> None:
    gate.publish(TEXTS)
    gate.settings = gate.settings.model_validate({"chunks": {"size": 177}})
    gate.reopen()
    found = only(gate, "model")
    assert (found.state, found.exit_code) == ("wrong", 2)
    assert "another recipe" in found.detail


def test_a_model_whose_files_changed_is_wrong(gate: Gate) -> None:
    gate.publish(TEXTS)
    generation = gate.workspace.generation()
    assert generation is not None
    with gate.workspace.ledger.writing() as conn:
        body = conn.execute(sa.select(recipes.c.body)).scalar_one()
        conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        conn.execute(sa.update(recipes).values(body={**body, "model_digest": "0" * 64}))
        conn.exec_driver_sql("UPDATE generations SET recipe = ?", ("0" * 64,))
        conn.exec_driver_sql("UPDATE recipes SET digest = ?", ("0" * 64,))
    found = only(gate, "model")
    assert (found.state, found.exit_code) == ("wrong", 3)
    assert "not those the index was built with" in found.detail


def test_a_model_that_is_not_there_is_wrong_and_the_rest_is_looked_at(gate: Gate) -> None:
    gate.settings = gate.settings.model_validate({"model": {"name": str(gate.folder / "none")}})
    gate.reopen()
    found = look(gate)
    assert found["model"][0].state == "wrong"
    assert found["store"][0].state == "ok"


def remove_point(store: Store) -> None:
    (block,) = store.scan("corpus-g1")
    store.delete("corpus-g1", [block[0].id])


def add_point(store: Store) -> None:
    (block,) = store.scan("corpus-g1", vectors=True)
    copied = type(block[0])("0" * 8 + "-0000-4000-8000-" + "0" * 12, block[0].vector, {})
    store.upsert("corpus-g1-quarantine", [copied])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(remove_point, "corpus-g1 holds 1 points, the ledger has 2", id="removed"),
        pytest.param(
            add_point, "corpus-g1-quarantine holds 1 points, the ledger has 0", id="smuggled"
        ),
    ],
)
def test_an_index_that_somebody_else_wrote_to_is_wrong(
    gate: Gate, change: Callable[[Store], None], says: str
) -> None:
    gate.publish(TEXTS)
    change(gate.workspace.open_store())
    (wrong,) = [f for f in look(gate)["store"] if f.state == "wrong"]
    assert (wrong.detail, wrong.exit_code) == (says, 3)


def test_an_unfinished_commit_is_noted_and_its_points_are_not_called_foreign(gate: Gate) -> None:
    gate.publish(TEXTS)
    with gate.workspace.ledger.writing() as conn:
        begin(conn, 2)
    remove_point(gate.workspace.open_store())
    found = look(gate)
    assert found["commits"][0].detail == "1 begun and not finished"
    assert {f.state for f in found["store"]} == {"ok"}


def test_an_index_that_is_gone_is_wrong_and_the_rest_is_looked_at(gate: Gate) -> None:
    gate.publish(TEXTS)
    gate.close()
    shutil.rmtree(gate.folder / "w" / "index")
    found = look(gate)
    assert (found["store"][0].state, found["store"][0].exit_code) == ("wrong", 3)
    assert "is gone" in found["store"][0].detail
    assert "calibration" in found


@pytest.mark.parametrize("error", [StoreError("store: unreachable"), LedgerError("ledger: odd")])
def test_a_part_that_fails_is_a_finding_and_stops_nothing(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, error: StoreError | LedgerError
) -> None:
    def fail() -> Store:
        raise error

    monkeypatch.setattr(gate.workspace, "open_store", fail)
    found = look(gate)
    assert (found["store"][0].detail, found["store"][0].exit_code) == (
        error.message,
        error.exit_code,
    )
    assert "calibration" in found


# --- calibration ----------------------------------------------------------------------------------


def test_a_small_index_is_a_first_import_and_says_how_many_are_needed(gate: Gate) -> None:
    gate.publish(TEXTS)
    (found,) = look(gate)["calibration"]
    assert found.state == "note"
    assert found.detail.startswith(
        "first import: 2 documents indexed, 499 are needed to judge at 0.20% false alarms"
    )
    assert "judged as soon as the index can" in found.hint


def test_a_rate_that_cannot_be_promised_is_noted(gate: Gate) -> None:
    gate.settings = gate.settings.model_validate({"judge": {"false_alarm_rate": 0.00001}})
    gate.reopen()
    rates = [f for f in look(gate)["calibration"] if "is asked" in f.detail]
    assert len(rates) == 1
    assert "reference_documents" in rates[0].hint


@pytest.mark.parametrize(
    ("documents", "rate", "sample", "details"),
    [
        pytest.param(
            99, 0.05, 2000, ["first import: 99 documents indexed, 100 are needed"], id="too-few"
        ),
        pytest.param(
            198,
            0.005,
            2000,
            ["first import: 198 documents indexed, 199 are needed to judge at 0.50%"],
            id="too-few-for-the-rate",
        ),
        pytest.param(
            100, 0.05, 2000, ["on this index; rates from 0.99% can be promised"], id="enough"
        ),
        pytest.param(
            199, 0.005, 2000, ["on this index; rates from 0.50% can be promised"], id="rate"
        ),
        pytest.param(
            199,
            0.005,
            100,
            ["a false-alarm rate of 0.50% is asked, 0.99% is the least"],
            id="sample",
        ),
    ],
)
def test_an_index_large_enough_is_calibrated_on_itself(
    gate: Gate, documents: int, rate: float, sample: int, details: list[str]
) -> None:
    judge = {
        "least_documents": 100,
        "false_alarm_rate": rate,
        "reference_documents": sample,
    }
    gate.settings = gate.settings.model_validate({"judge": judge})
    gate.reopen()
    rows = [version_row(n, f"{n}.md", 1) for n in range(1, documents + 1)]
    with gate.workspace.ledger.writing() as conn:
        commit(conn, 1, rows, enter=[(row.id, "serving") for row in rows])
    found = look(gate)["calibration"]
    assert len(found) == len(details)
    assert all(f.detail.startswith(d) for f, d in zip(found, details, strict=True))
    assert [f.state for f in found] == ["ok" if details[0].startswith("on") else "note"]


@pytest.mark.parametrize(("key", "noted"), [("", True), ("secret", False)])
def test_a_server_that_needs_no_key_is_noted(
    new_gate: Callable[..., Gate], tmp_path: Path, key: str, noted: bool
) -> None:
    shim = Shim(tmp_path / "server")
    try:
        gate = new_gate(store={"url": shim.url, "api_key": key})
        gate.publish(TEXTS)
        found = look(gate)
        gate.close()
    finally:
        shim.close()
    assert ("authentication" in found) == noted
    assert found["engine"][0].detail.startswith("server, alias 'corpus'")


def test_doctor_changes_nothing(gate: Gate) -> None:
    gate.publish(TEXTS)
    folder = gate.folder / "w"
    look(gate)
    before = {p: os.stat(p).st_mtime_ns for p in (folder / "vault").rglob("*")}
    trust = (folder / "trust" / "root.json").read_bytes()
    look(gate)
    assert {p: os.stat(p).st_mtime_ns for p in (folder / "vault").rglob("*")} == before
    assert (folder / "trust" / "root.json").read_bytes() == trust
    assert len(gate.documents()) == 2


def test_pages_that_another_browser_drew_are_noted(
    new_gate: Callable[..., Gate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BROWSERS, "drew", set())
    gate = new_gate(parse={"render": "chromium"})
    try:
        with BROWSERS.borrowed("") as browser:
            product = browser.product
    except IncompleteError as error:
        pytest.skip(f"draws no pages here: {error.message}")
    gate.publish({"leave.html": f"<p>{HONEST['leave.md']}</p>"})
    assert drawn_by.noted(gate.workspace) == [product]
    assert only(gate, "pages").state == "ok"
    with gate.workspace.ledger.writing() as conn:
        set_meta(conn, drawn_by.KEY, "Chrome/1")
    found = only(gate, "pages")
    assert (found.state, found.hint != "") == ("note", True)
    assert f"came in as Chrome/1 drew them, now {product}" in found.detail
