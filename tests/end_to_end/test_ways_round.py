"""Ways round the trust that were found: each is an attack that used to work."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ragguard import workspace
from ragguard.cli import run
from ragguard.config import Settings, StoreSettings, check_key, load
from ragguard.errors import (
    ConfigError,
    DecisionError,
    ExpiredError,
    LedgerError,
    LockedError,
    StoreError,
    TrustRootError,
    UsageError,
    VersionJumpError,
    WorkspaceError,
)
from ragguard.lineage.prove import verify_log
from ragguard.quarantine import review
from ragguard.store import open_store
from ragguard.store.foreign import open_foreign
from ragguard.trust import amend_root, dsse, keys
from ragguard.trust.person import person
from ragguard.workspace import Workspace
from tests.support.attacks import refuse
from tests.support.simulator import HONEST, LIMIT, SUSPECT, Gate

# --- whose settings -------------------------------------------------------------------------------


def owned(
    monkeypatch: pytest.MonkeyPatch, folder: Path, uid: int, mode: int = 0, *, name: str = ""
) -> None:
    """A folder, or its settings, as if another user owned it or a mode was set."""
    real = Path.stat
    path = folder / (name or "ragguard.toml")

    def stat(self: Path, **rest: Any) -> Any:
        found = real(self, **rest)
        if self != path:
            return found
        return SimpleNamespace(st_uid=uid, st_gid=found.st_gid + 1, st_mode=found.st_mode | mode)

    monkeypatch.setattr(Path, "stat", stat)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    (tmp_path / "ragguard.toml").write_text('[store]\nurl = "https://evil.example"\n')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    return below


def test_a_workspace_of_ones_own_is_found_from_below(planted: Path) -> None:
    assert workspace.find(planted) == planted.parents[1]


@pytest.mark.parametrize("name", ["ragguard.toml", "."])
def test_settings_of_another_user_are_not_used_unless_named(
    planted: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    home = planted.parents[1]
    owned(monkeypatch, home, os.geteuid() + 1, name=name)
    with pytest.raises(WorkspaceError, match="belongs to another user") as caught:
        workspace.find(planted)
    assert f"-w {home}" in caught.value.hint
    assert workspace.find(planted, named=True) == home


@pytest.mark.parametrize("mode", [0o002, 0o020])
def test_settings_that_others_may_change_are_not_used_unless_named(
    planted: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    home = planted.parents[1]
    owned(monkeypatch, home, os.geteuid(), mode)
    with pytest.raises(WorkspaceError, match="others may change it"):
        workspace.find(planted)
    assert workspace.find(planted, named=True) == home


def test_the_command_line_uses_no_settings_of_others(
    planted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (planted.parents[1] / "ragguard.toml").chmod(0o666)
    monkeypatch.chdir(planted)
    assert run(["history"]) == 2
    assert "others may change it" in capsys.readouterr().err


# --- where a key goes -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://qdrant.example:6333",
        "http://10.0.0.7:6333",
        "http://[2001:db8::1]:6333",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "qdrant.example:6333",
        "http://0.0.0.0:6333",
    ],
)
def test_a_key_never_goes_over_the_network_in_the_clear(url: str, tmp_path: Path) -> None:
    for attempt in (
        lambda: check_key(url, "s3cr3t"),
        lambda: open_store(tmp_path, url, "s3cr3t"),
        lambda: open_foreign(url=url, collection="docs", api_key="s3cr3t"),
        lambda: load(
            tmp_path / "none.toml",
            {"RAGGUARD_STORE__URL": url, "RAGGUARD_STORE__API_KEY": "s3cr3t"},
        ),
    ):
        with pytest.raises(ConfigError, match="in the clear") as caught:
            attempt()
        assert "s3cr3t" not in caught.value.message
    check_key(url, None)


def test_credentials_in_a_url_are_a_key_too() -> None:
    with pytest.raises(ConfigError, match="in the clear") as caught:
        check_key("http://user:s3cr3t@qdrant.example", None)
    assert "s3cr3t" not in caught.value.message


@pytest.mark.parametrize(
    "url",
    [
        "https://qdrant.example:6333",
        "http://localhost:6333",
        "http://127.0.0.1:6333",
        "http://127.9.9.9",
        "http://[::1]:6333",
        "localhost:6333",
        "",
        "memory:",
    ],
)
def test_a_key_goes_over_https_and_to_this_machine(url: str) -> None:
    check_key(url, "s3cr3t")


@pytest.mark.parametrize("url", ["http://[", "http://u:s3cr3t@[::1", "http://u:s3cr3t@a\u2100b"])
def test_what_is_no_url_is_refused_and_not_printed(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no url") as caught:
        load(tmp_path / "none.toml", {"RAGGUARD_STORE__URL": url})
    assert "s3cr3t" not in caught.value.message


# --- what is printed ------------------------------------------------------------------------------


def test_a_url_with_credentials_is_not_printed() -> None:
    with pytest.raises(StoreError) as caught:
        open_store(Path("none"), "http://user:s3cr3t@127.0.0.1:1/x?token=t0k3n")
    assert "s3cr3t" not in caught.value.message
    assert "t0k3n" not in caught.value.message
    assert "127.0.0.1:1" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "[store]\napi_key = 4711471147114711\n",
        '[store]\napi_key = ["s3cr3t"]\n',
        '[store]\nurl = {password = "s3cr3t"}\n',
        'store = "https://user:s3cr3t@qdrant.example"\n',
        '[ledger]\nurl = ["postgresql://user:s3cr3t@db/x"]\n',
        'vault = "s3://k:s3cr3t@bucket"\n',
        '[store]\napi_keyy = "s3cr3t"\n',
        '[model]\nname = {token = "s3cr3t"}\n',
    ],
)
def test_a_wrongly_typed_secret_is_not_printed(text: str, tmp_path: Path) -> None:
    (tmp_path / "ragguard.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "ragguard.toml", {})
    said = caught.value.message + caught.value.hint
    assert "s3cr3t" not in said
    assert "4711471147114711" not in said


def test_settings_do_not_show_the_key() -> None:
    assert "s3cr3t" not in repr(Settings(store=StoreSettings(api_key="s3cr3t")))


# --- manifests ------------------------------------------------------------------------------------


def test_an_expired_manifest_brings_nothing_in_on_a_second_try(gate: Gate) -> None:
    path = gate.publisher.publish({"leave.md": HONEST["leave.md"], "visitors.md": "# V\n\nGuests"})
    (gate.publisher.folder / "visitors.md").write_text("not what was signed")
    assert gate.ingest(path).exit_code == 3
    assert gate.documents() == {"leave.md"}
    (gate.publisher.folder / "visitors.md").write_text("# V\n\nGuests")
    gate.reopen(days=91)
    report = gate.ingest(path)
    assert report.exit_code == 3
    assert "expired" in str(report.manifests[0].error)
    assert gate.documents() == {"leave.md"}


def test_a_second_try_in_time_still_brings_documents_in(gate: Gate) -> None:
    path = gate.publisher.publish({"leave.md": HONEST["leave.md"], "visitors.md": "# V\n\nGuests"})
    (gate.publisher.folder / "visitors.md").write_text("not what was signed")
    gate.ingest(path)
    (gate.publisher.folder / "visitors.md").write_text("# V\n\nGuests")
    gate.reopen(days=89)
    assert gate.ingest(path).exit_code == 0
    assert gate.documents() == {"leave.md", "visitors.md"}


@pytest.mark.parametrize("version", [2**53 - 1, 1003, 5000])
def test_a_jump_of_versions_does_not_lock_a_source(gate: Gate, version: int) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    honest = gate.publisher.publish(
        {"visitors.md": HONEST["visitors.md"]}, keep=False, name="second.json"
    )

    def jump(statement: dict[str, Any]) -> None:
        statement["predicate"]["version"] = version

    hostile = gate.publisher.hostile(honest, jump)
    refuse(gate, hostile, VersionJumpError, "left out")
    assert gate.ingest(honest).exit_code == 0


def test_versions_that_were_signed_and_lost_may_be_left_out(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    honest = gate.publisher.publish({"visitors.md": HONEST["visitors.md"]}, keep=False)

    def jump(statement: dict[str, Any]) -> None:
        statement["predicate"]["version"] = 1001

    assert gate.ingest(gate.publisher.hostile(honest, jump)).exit_code == 0


def test_a_source_is_not_emptied_in_small_steps(gate: Gate) -> None:
    """Each delta takes out less than a fifth of what is left."""
    texts = {f"page-{n}.md": f"# Page {n}\n\n{text}" for n, text in enumerate(many(20))}
    gate.publish(texts)
    for number in range(20):
        gate.reopen(hours=6)
        (gate.publisher.folder / f"page-{number}.md").unlink()
        path = gate.publisher.publish(now=gate.now)
        report = gate.ingest(path)
        if report.manifests[0].note:
            break
    assert "a reviewer decides" in report.manifests[0].note
    assert "in 7 days" in report.manifests[0].note
    assert len(gate.documents()) == 16  # four of twenty, as at once
    gate.reopen(days=8)
    (gate.publisher.folder / "page-19.md").unlink(missing_ok=True)
    for number in range(20):  # what was asked about is listed again
        gate.publisher.write({f"page-{number}.md": texts[f"page-{number}.md"]})
    assert gate.publish().manifests[0].note == ""


def test_what_is_updated_or_let_go_by_a_reviewer_is_no_removal(gate: Gate) -> None:
    texts = {f"page-{n}.md": f"# Page {n}\n\n{text}" for n, text in enumerate(many(10))}
    gate.publish(texts)
    gate.reopen(hours=1)
    assert gate.publish({n: t + " It is so since May." for n, t in texts.items()}).exit_code == 0
    for number in range(4):
        (gate.publisher.folder / f"page-{number}.md").unlink()
    gate.reopen(hours=1)
    assert "at once" in gate.publish().manifests[0].note
    (case,) = gate.cases()
    review.decide(gate.workspace, case, "release", gate.bob, "they are gone")
    assert len(gate.documents()) == 6
    gate.reopen(hours=1)
    (gate.publisher.folder / "page-9.md").unlink()
    assert gate.publish().manifests[0].note == ""


def many(count: int) -> list[str]:
    """Honest texts on different subjects."""
    subjects = (
        *("pump valve oil", "invoice ledger tax", "canteen soup menu", "garden tree hedge"),
        *("laptop disk screen", "lorry route toll", "paint brush wall", "choir concert song"),
        *("roof tile gutter", "bread flour oven", "tram stop ticket", "river bridge boat"),
        *("violin string bow", "sheep wool fence", "glass furnace sand", "mail stamp parcel"),
        *("honey bee hive", "shoe leather sole", "clock spring wheel", "kite wind string"),
    )
    made = []
    for one, two, three in (s.split() for s in subjects[:count]):
        made.append(
            f"The {one} is looked after by those who know the {two}. Before noon the {three} is "
            f"checked, and who finds a fault in the {one} writes it into the book of the {two}."
        )
    return made


# --- people ---------------------------------------------------------------------------------------

LOOK_ALIKES = [
    "Alice",
    "alice.",
    "\u0430lice",
    " alice",
    "al\u200bice",
    "ALICE",
    "al\u0456ce",
    "\uff41lice",
]


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_names_that_look_alike_are_one_person(name: str) -> None:
    assert person(name) == person("alice")


@pytest.mark.parametrize("name", ["alicia", "bob", "alice2", "al", "Алиса", "李", "!!"])
def test_other_names_are_other_people(name: str) -> None:
    assert person(name) != person("alice")
    assert person(name)


@pytest.mark.parametrize("name", ["Alice", "alice.", "\u0430lice"])
def test_a_key_of_a_look_alike_is_not_added(gate: Gate, name: str) -> None:
    with pytest.raises(TrustRootError, match="looks like 'alice'"):
        gate.trust(keys.generate(name), source="wiki")
    gate.trust(keys.generate("alice"), source="wiki")  # a second key of hers


def shaped(gate: Gate, monkeypatch: pytest.MonkeyPatch, key: keys.KeyPair, **rest: Any) -> None:
    """A root from before look-alikes were refused."""
    with monkeypatch.context() as patch:
        patch.setattr(amend_root, "person", lambda name: name)
        gate.trust(key, **rest)


def test_a_look_alike_of_an_older_root_is_no_second_signer(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = keys.generate("Alice")
    shaped(gate, monkeypatch, other, source="wiki", threshold=2, distinct="principals")
    path = gate.publisher.publish({"leave.md": HONEST["leave.md"]})
    both = gate.publisher.hostile(path, signers=[gate.alice, other])
    report = gate.ingest(both)
    assert report.exit_code == 3
    assert "1 of 2" in str(report.manifests[0].error)


def test_a_look_alike_of_an_older_root_does_not_judge_what_he_signed(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = keys.generate("\u0430lice")
    shaped(gate, monkeypatch, other, role="reviewer")
    gate.publish({**HONEST, "safe.md": SUSPECT})
    with pytest.raises(DecisionError, match="signed the document"):
        review.decide(gate.workspace, gate.cases()[0], "release", other, "fine")
    with pytest.raises(DecisionError, match="signed the document"):
        review.decide_cases(gate.workspace, gate.cases(), "release", other, "fine")
    assert "safe.md" not in gate.documents()


def cosigned(gate: Gate) -> None:
    """A suspect document whose manifest the reviewer signed too, beside the source's signer."""
    path = gate.publisher.publish({**HONEST, "safe.md": SUSPECT})
    data = path.read_bytes()
    payload = dsse.parse_envelope(data, max_bytes=LIMIT).payload
    pairs = [(k.public.keyid, k.signing_key) for k in (gate.alice, gate.bob)]
    path.write_bytes(dsse.sign(payload, dsse.IN_TOTO, pairs))
    assert gate.ingest(path).exit_code == 1
    assert [c.document for c in gate.cases()] == ["safe.md"]


def test_a_reviewer_who_signed_the_manifest_too_does_not_judge_it(gate: Gate) -> None:
    cosigned(gate)
    with pytest.raises(DecisionError, match="'bob' signed the document"):
        review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "fine")
    with pytest.raises(DecisionError, match="'bob' signed the document"):
        review.decide_cases(gate.workspace, gate.cases(), "release", gate.bob, "fine")
    assert "safe.md" not in gate.documents()
    carol = keys.generate("carol")
    gate.trust(carol, role="reviewer")
    review.decide(gate.workspace, gate.cases()[0], "release", carol, "fine")
    assert "safe.md" in gate.documents()
    assert verify_log(gate.workspace).problems == []


def test_a_release_by_a_reviewer_who_signed_is_named_by_the_log(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an older version let it happen."""
    cosigned(gate)
    monkeypatch.setattr(review, "signed_by", lambda workspace, envelope, listed: listed)
    review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "fine")
    (problem,) = [p for p in verify_log(gate.workspace).problems if "commit" in p]
    assert "'bob' signed the document" in problem


# --- cases ----------------------------------------------------------------------------------------


def test_a_release_never_picks_a_case_of_another_source(gate: Gate) -> None:
    """`hr` calls a document `wiki/leave.md`; who writes that means the wiki's."""
    gate.publish(HONEST)
    other = gate.another("hr")
    gate.ingest(other.publish({"wiki/leave.md": SUSPECT}), root=other.folder)
    (case,) = gate.cases()
    ledger = gate.workspace.ledger
    with pytest.raises(UsageError, match="0 open cases match"):
        review.find(ledger, "wiki/leave.md")
    assert review.find(ledger, "hr/wiki/leave.md") == case
    assert review.find(ledger, str(case.id)) == case
    gate.publish({"leave.md": HONEST["leave.md"] + "\n\n" + SUSPECT})
    found = review.find(ledger, "wiki/leave.md")
    assert (found.source, found.document) == ("wiki", "leave.md")
    assert review.find(ledger, "leave.md") == found


# --- expiry, locks, columns -----------------------------------------------------------------------


@pytest.mark.parametrize("action", ["release", "reject"])
def test_nobody_decides_under_an_expired_root(gate: Gate, action: Any) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    gate.reopen(days=366)
    decisions: list[Callable[[], object]] = [
        lambda: review.decide(gate.workspace, gate.cases()[0], action, gate.bob, "late"),
        lambda: review.decide_cases(gate.workspace, gate.cases(), action, gate.bob, "late"),
    ]
    for decide in decisions:
        with pytest.raises(ExpiredError, match="trust root: version"):
            decide()
    assert [c.state for c in gate.cases()] == ["open"]
    gate.change_root(lambda root: amend_root.renew(root, gate.now))
    review.decide(gate.workspace, gate.cases()[0], action, gate.bob, "in time")


def test_a_removed_lock_lets_no_second_writer_in(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    (gate.folder / "w" / workspace.LOCK_FILE).unlink()
    with pytest.raises(LockedError, match="was removed"):
        Workspace(gate.folder / "w", gate.settings, gate.now)
    assert gate.reopen(hours=1)  # and is free again once it is closed


def test_a_file_system_that_locks_no_folders_does_with_the_lock_file(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(95, "Operation not supported")

    gate.close()
    monkeypatch.setattr(workspace, "fcntl", SimpleNamespace(**{**vars(fcntl), "flock": flock}))
    assert gate.workspace
    gate.close()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON denials BEGIN DELETE FROM denials; END",
        "CREATE VIEW v AS SELECT * FROM commits",
    ],
)
def test_a_ledger_with_planted_triggers_is_not_opened(gate: Gate, statement: str) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    gate.close()
    with sqlite3.connect(gate.folder / "w" / "ledger.db") as conn:
        conn.execute(statement)
    conn.close()
    with pytest.raises(LedgerError, match="that ragguard did not make"):
        assert gate.workspace


def test_the_place_of_a_commit_in_the_log_is_compared(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    gate.close()
    with sqlite3.connect(gate.folder / "w" / "ledger.db") as conn:
        conn.execute("UPDATE commits SET log_index = 0")
    conn.close()
    (problem,) = verify_log(gate.workspace).problems
    assert "log_index" in problem
