"""`ragguard key` and `ragguard trust`: keys on disk, and who may speak."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from ragguard.trust import dsse, keys, root
from tests.cli.conftest import Shell, one_line_error


def root_version(shell: Shell) -> int:
    """Version of the trust root in force."""
    return int(shell.json("trust", "list")["version"])


def test_a_key_under_a_passphrase_asks_for_it_twice_and_signs_with_it(made: Shell) -> None:
    said = made.ok("key", "generate", "dora", "--passphrase", stdin="open sesame\nopen sesame\n")
    assert "under a passphrase" in said
    data = Path("keys/dora.key").read_bytes()
    assert keys.is_encrypted(data)
    assert keys.load_private(data, b"open sesame").public.principal == "dora"
    made.ok("trust", "add", "keys/dora.pub", "--source", "web")
    args = ("sign", "../docs", "--source", "web", "--key", "keys/dora.key", "-o", "w.json")
    made.ok(*args, "--passphrase", stdin="open sesame\n")
    Path("secret").write_text("open sesame\n")
    made.ok(*args, variables={"RAGGUARD_PASSPHRASE_FILE": "secret"})
    assert made.json("verify", "w.json", "--root", "../docs")["signed_by"] == ["dora"]


def test_two_passphrases_that_differ_make_no_key(made: Shell) -> None:
    before = made.state()
    result = made("key", "generate", "dora", "--passphrase", stdin="one\ntwo\n")
    assert result.exit_code == 130
    assert "aborted: no answer was given" in result.stderr
    assert made.state() == before


def test_outside_a_workspace_keys_go_into_the_current_folder(empty: Shell) -> None:
    said = empty.ok("key", "generate", "dora")
    assert "dora.key  private, 0600" in said
    assert stat.S_IMODE(Path("dora.key").stat().st_mode) == 0o600
    assert json.loads(Path("dora.pub").read_text())["principal"] == "dora"


def test_a_workspace_root_key_can_be_under_a_passphrase(empty: Shell) -> None:
    Path("secret").write_text("sesame")
    variables = {"RAGGUARD_PASSPHRASE_FILE": "../secret"}
    empty.ok("init", "w", variables={"RAGGUARD_PASSPHRASE_FILE": "secret"})
    assert keys.is_encrypted(Path("w/keys/root.key").read_bytes())
    assert not keys.is_encrypted(Path("w/keys/checkpoint.key").read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("w")
        empty.ok("key", "generate", "alice", "-o", "other")
        add = ("trust", "add", "other/alice.pub", "--source", "wiki")
        assert empty(*add).exit_code == 2
        empty.ok(*add, variables=variables)
        assert root_version(empty) == 2


def test_a_wrong_passphrase_file_leaves_no_folder_behind(empty: Shell) -> None:
    result = empty("init", "w", variables={"RAGGUARD_PASSPHRASE_FILE": "absent"})
    assert result.exit_code == 2
    assert not Path("w").exists()


def test_key_list_tells_private_halves_passphrases_and_damage(made: Shell) -> None:
    Path("keys/carol.key").unlink()
    Path("keys/odd.pub").write_text("{}")
    made.ok("key", "generate", "dora", variables={"RAGGUARD_PASSPHRASE_FILE": "../docs/leave.md"})
    rows = {r["file"]: r for r in made.json("key", "list")}
    assert rows["alice.pub"]["private"] == "private key, no passphrase"
    assert rows["carol.pub"]["private"] == "no private key here"
    assert rows["dora.pub"]["private"] == "private key, passphrase"
    assert rows["odd.pub"]["private"].startswith("unreadable: public key file")
    said = made.ok("key", "list", "keys")
    assert [x.split()[0] for x in said.splitlines() if ".pub " in x] == sorted(rows)


def test_trust_list_shows_roles_ends_and_revocations(made: Shell) -> None:
    made.ok("trust", "add", "keys/carol.pub", "--source", "web", "--until", "2026-12-31")
    made.ok("trust", "revoke", "bob", "--reason", "left the company")
    said = made.ok("trust", "list")
    assert said.startswith("trust root 5, issued 2026-03-01, expires 2027-03-01; 1 of 1 root keys")
    rows = {x.split()[0]: " ".join(x.split()) for x in said.splitlines()[2:] if x.strip()}
    assert rows["alice"].endswith("in force signer of wiki")
    assert rows["carol"].endswith("in force signer of web until 2026-12-31")
    assert "revoked 2026-03-01: left the company" in rows["bob"]
    assert rows["bob"].endswith("nothing")
    assert rows["root"].endswith("in force root")
    assert "source 'wiki': 1 of 1 keys must sign" in said
    body = made.json("trust", "list")
    assert {k["principal"] for k in body["keys"].values()} == {"alice", "bob", "carol", "root"}
    assert [r["reason"] for r in body["revoked"].values()] == ["left the company"]


def test_every_change_is_a_signed_version_and_an_entry_of_the_log(made: Shell) -> None:
    made.ok("trust", "add", "keys/carol.pub", "--role", "reviewer")
    made.ok("trust", "policy", "wiki", "--set", "tier=low")
    made.ok("trust", "rotate", "--renew")
    assert root_version(made) == 6
    known = None
    for name in (*(f"root.{n}.json" for n in range(1, 6)), "root.json"):
        data = Path("trust", name).read_bytes()
        first = root.parse_root(dsse.parse_envelope(data, max_bytes=1 << 20).payload)
        known = root.verify_root(data, known, keys=first.keys if known is None else None)
    assert known is not None
    assert known.version == 6
    assert made.ok("log", "verify").startswith("6 entries, 6 checkpoints")


def test_a_revoked_signer_is_refused_and_the_source_said_to_be_stuck(made: Shell) -> None:
    made.sign()
    said = made.ok("trust", "revoke", "alice", "--reason", "laptop stolen")
    assert "'alice'" in said
    assert "source 'wiki' has not enough signers left" in said
    result = made("ingest", "m.intoto.json", "--root", "../docs")
    assert result.exit_code == 3
    assert "revoked key" in one_line_error(result)
    result = made("trust", "add", "keys/alice.pub", "--source", "wiki")
    assert result.exit_code == 3
    assert "was revoked and stays so" in one_line_error(result)


def test_of_a_revoked_reviewer_it_is_said_that_his_releases_stay(made: Shell) -> None:
    assert "this reviewer released" in made.ok("trust", "revoke", "bob", "--reason", "insider")
    assert "reviewer released" not in made.ok("trust", "revoke", "alice", "--reason", "stolen")


def test_a_key_is_revoked_by_the_beginning_of_its_id(made: Shell) -> None:
    keyid = keys.load_public(Path("keys/carol.pub").read_bytes()).keyid
    made.ok("trust", "add", "keys/carol.pub", "--source", "wiki")
    assert "'carol'" in made.ok("trust", "revoke", keyid[:12], "--reason", "x")
    result = made("trust", "revoke", keyid, "--reason", "x")
    assert (result.exit_code, "is revoked already" in one_line_error(result)) == (2, True)


def test_a_rotated_signer_takes_over_and_the_old_one_is_out(made: Shell) -> None:
    made.sign("old.intoto.json")
    made.ok("key", "generate", "alice2")
    said = made.ok("trust", "rotate", "alice", "keys/alice2.pub")
    assert "of 'alice' gave way to" in said
    assert made("ingest", "old.intoto.json", "--root", "../docs").exit_code == 3
    made.sign("new.intoto.json", key="alice2")
    assert made.json("verify", "new.intoto.json", "--root", "../docs")["signed_by"] == ["alice2"]


def test_the_root_key_is_rotated_with_both_keys_and_no_fewer(made: Shell) -> None:
    made.ok("key", "generate", "root2")
    rotate = ("trust", "rotate", "root", "keys/root2.pub", "--root-key")
    for alone in ("keys/root.key", "keys/root2.key"):
        result = made(*rotate, alone)
        assert result.exit_code == 3
        assert "trust root" in one_line_error(result)
    assert root_version(made) == 3
    made.ok(*rotate, "keys/root.key", "--root-key", "keys/root2.key")
    add = ("trust", "add", "keys/carol.pub", "--source", "web")
    assert made(*add).exit_code == 3
    made.ok(*add, "--root-key", "keys/root2.key")
    assert root_version(made) == 5


def test_two_root_keys_are_needed_once_two_are_asked_for(made: Shell) -> None:
    made.ok("key", "generate", "second")
    pair = ("--root-key", "keys/root.key", "--root-key", "keys/second.key")
    made.ok("trust", "add", "keys/second.pub", "--role", "root", "--threshold", "2", *pair)
    add = ("trust", "add", "keys/carol.pub", "--source", "web")
    result = made(*add)
    assert result.exit_code == 3
    assert "1 of 2" in one_line_error(result) or "2" in one_line_error(result)
    made.ok(*add, *pair)
    assert "2 of 2 root keys sign it" in made.ok("trust", "list")


def test_two_of_two_principals_must_sign_and_one_alone_is_refused(made: Shell) -> None:
    made.ok(
        *("trust", "add", "keys/carol.pub", "--source", "wiki"),
        *("--threshold", "2", "--distinct", "principals"),
    )
    made.sign()
    result = made("verify", "m.intoto.json", "--root", "../docs")
    assert result.exit_code == 3
    assert "1 of 2" in one_line_error(result)
    both = ("--key", "keys/carol.key", "-o", "both.intoto.json")
    assert "by 'carol'" in made.ok("sign", "--add-signature", "m.intoto.json", *both)
    found = made.json("verify", "both.intoto.json", "--root", "../docs")
    assert sorted(found["signed_by"]) == ["alice", "carol"]


def test_a_signature_of_a_stranger_is_ignored_and_told(made: Shell) -> None:
    made.sign()
    add = ("--add-signature", "m.intoto.json", "--key", "keys/carol.key", "-o", "m.intoto.json")
    made.ok("sign", *add)
    assert "ignored 1 signatures" in made.ok("verify", "m.intoto.json", "--root", "../docs")
    result = made("ingest", "m.intoto.json", "--root", "../docs")
    assert "ignored 1 signatures by unknown keys" in result.stdout


def test_a_leave_that_ended_is_refused_by_its_own_name(made: Shell) -> None:
    made.ok("trust", "add", "keys/carol.pub", "--source", "wiki", "--until", "2026-03-05")
    made.sign(key="carol")
    assert made("verify", "m.intoto.json", "--root", "../docs").exit_code == 0
    made.clock.later(days=4)
    result = made("verify", "m.intoto.json", "--root", "../docs")
    assert result.exit_code == 3
    assert "the leave of key" in one_line_error(result)


def test_a_contract_is_shown_changed_and_kept_to(made: Shell) -> None:
    shown = made.ok("trust", "policy", "wiki")
    assert "formats              any" in shown
    assert root_version(made) == 3
    changed = made.ok(
        *("trust", "policy", "wiki", "--set", "formats=md,txt"),
        *("--set", 'departments=["it", "legal"]', "--set", "block_secrets=false"),
    )
    assert "formats              md, txt" in changed
    assert "departments          it, legal" in changed
    assert "block_secrets        false" in changed
    made.ok("trust", "policy", "wiki", "--set", "departments=", "--set", "max_documents=8")
    made.sign()
    result = made("verify", "m.intoto.json", "--root", "../docs")
    assert result.exit_code == 1
    assert "guides/parking.rst" in result.stdout
    made.ok("trust", "policy", "wiki", "--set", "max_documents=7")
    result = made("ingest", "m.intoto.json", "--root", "../docs")
    assert result.exit_code == 3
    assert "its contract allows 7" in one_line_error(result)
