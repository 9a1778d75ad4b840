"""Wrong steps: one sentence that names what is wrong, the documented exit code, nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ragguard.trust import keys
from tests.cli.conftest import Shell, one_line_error

Prepare = Callable[[Shell], object]
SIGN = "sign ../docs --source wiki --key keys/alice.key -o new.intoto.json"


@dataclass(frozen=True)
class Wrong:
    """A wrong step.

    Attributes:
        command: What is typed.
        code: Exit code.
        says: Must stand in the sentence.
        prepare: Done before, in the workspace.
        variables: Environment.
        stdin: What is typed when something is asked.
    """

    command: str
    code: int
    says: str
    prepare: Prepare = lambda shell: None
    variables: dict[str, str] = field(default_factory=dict)
    stdin: str | None = None


def cut_otherwise(shell: Shell) -> None:
    """A changed document, signed, and other chunk sizes than those of the index."""
    shell.write({"leave.md": "# Leave\n\nEverybody has 28 days of paid leave a year."})
    shell.sign("next.intoto.json")
    (shell.folder / "ragguard.toml").write_text("[chunks]\nsize = 500\n")


def settings(text: str) -> Prepare:
    return lambda shell: (shell.folder / "ragguard.toml").write_text(text)


def file(name: str, data: bytes = b"") -> Prepare:
    return lambda shell: (shell.folder / name).write_bytes(data)


def locked(name: str) -> Prepare:
    """A private key under the passphrase 'right'."""

    def prepare(shell: Shell) -> None:
        made = keys.generate(name)
        path = shell.folder / f"keys/{name}.key"
        path.write_bytes(keys.dump_private(made, b"right"))
        path.chmod(0o600)

    return prepare


def gone(*names: str) -> Prepare:
    return lambda shell: [(shell.folder / name).unlink() for name in names]


def old_root(shell: Shell) -> None:
    folder = shell.folder / "trust"
    (folder / "root.json").write_bytes((folder / "root.1.json").read_bytes())


def symlinked(shell: Shell) -> None:
    (shell.folder / "one").mkdir()
    (shell.folder / "one/link.md").symlink_to(shell.site / "leave.md")


FRESH = {
    "no workspace here": Wrong("-w .. history", 2, "..: not a ragguard workspace"),
    "workspace made twice": Wrong("init .", 2, "is a workspace already"),
    "workspace in a file": Wrong("init keys/root.pub", 2, "'keys/root.pub' is a file"),
    "key exists": Wrong("key generate alice", 2, "alice.pub: exists, and keys are never"),
    "key of a name that must not be": Wrong("key generate ../alice", 2, "'../alice'"),
    "public key is left of a pair": Wrong(
        "key generate alice", 2, "never overwritten", gone("keys/alice.key")
    ),
    "passphrase file missing": Wrong(
        "key generate dora",
        2,
        "RAGGUARD_PASSPHRASE_FILE absent: No such file",
        variables={"RAGGUARD_PASSPHRASE_FILE": "absent"},
    ),
    "passphrase file empty": Wrong(
        "key generate dora",
        2,
        "secret: the file is empty",
        file("secret", b"\n"),
        {"RAGGUARD_PASSPHRASE_FILE": "secret"},
    ),
    "keys of no folder": Wrong("key list absent", 2, "'absent' does not exist"),
    "trusting a missing file": Wrong("trust add dora.pub --source wiki", 2, "'dora.pub' does not"),
    "trusting a private key": Wrong(
        "trust add keys/carol.key --source wiki", 2, "keys/carol.key: public key file: expected"
    ),
    "trusting a signer of nothing": Wrong(
        "trust add keys/carol.pub", 2, "a signer speaks for a source"
    ),
    "reviewer of a source": Wrong(
        "trust add keys/carol.pub --role reviewer --source wiki", 2, "other roles for none"
    ),
    "unknown role": Wrong("trust add keys/carol.pub --role admin", 2, "'admin' is not one of"),
    "source of a bad name": Wrong("trust add keys/carol.pub --source Wiki!", 2, "'Wiki!'"),
    "leave that ended": Wrong(
        "trust add keys/carol.pub --source wiki --until 2020-01-01", 2, "2020-01-01: is past"
    ),
    "leave until no day": Wrong(
        "trust add keys/carol.pub --source wiki --until soon", 2, "'soon': expected a date"
    ),
    "threshold above the signers": Wrong(
        "trust add keys/carol.pub --source wiki --threshold 9", 3, "9 signatures of 2"
    ),
    "threshold zero": Wrong("trust add keys/carol.pub --source wiki --threshold 0", 2, "x>=1"),
    "root key moved away": Wrong(
        "trust add keys/carol.pub --source wiki", 2, "root.key: No such file", gone("keys/root.key")
    ),
    "root key that is none": Wrong(
        "trust add keys/carol.pub --source wiki --root-key keys/alice.key", 3, "trust root"
    ),
    "root key others may read": Wrong(
        "trust add keys/carol.pub --source wiki",
        2,
        "others may read it (mode 0644",
        lambda shell: (shell.folder / "keys/root.key").chmod(0o644),
    ),
    "revoking an unknown key": Wrong("trust revoke zoe --reason x", 2, "'zoe': the trust root has"),
    "revoking without a reason": Wrong("trust revoke alice", 2, "Missing option '--reason'"),
    "revoking the root key": Wrong("trust revoke root --reason x", 2, "is a root key"),
    "rotating half": Wrong("trust rotate alice", 2, "give OLD and NEW, or --renew"),
    "rotating to the same": Wrong("trust rotate alice keys/alice.pub", 2, "are the same"),
    "policy of no source": Wrong("trust policy web --set tier=low", 2, "no source 'web'"),
    "policy without a value": Wrong("trust policy wiki --set tier", 2, "expected FIELD=VALUE"),
    "policy field unknown": Wrong("trust policy wiki --set colour=red", 2, "field 'colour'"),
    "policy number that is none": Wrong(
        "trust policy wiki --set max_documents=many", 2, "policy max_documents: 'many'"
    ),
    "policy number beyond numbers": Wrong(
        f"trust policy wiki --set max_documents={10**20}", 2, "is too large"
    ),
    "nothing to sign": Wrong(
        "sign --source wiki --key keys/alice.key -o n.json", 2, "nothing to sign"
    ),
    "signing an empty folder": Wrong(
        "sign none --source wiki --key keys/alice.key -o n.json",
        2,
        "no file of a supported format",
        lambda shell: (shell.folder / "none").mkdir(),
    ),
    "signing a folder of links": Wrong(
        "sign one --source wiki --key keys/alice.key -o n.json", 2, "nothing to sign", symlinked
    ),
    "signing what is not there": Wrong(
        "sign absent --source wiki --key keys/alice.key -o n.json", 2, "absent: no such file"
    ),
    "signing strictly": Wrong(f"{SIGN} --strict", 2, "2 files cannot be signed"),
    "signing for nobody": Wrong("sign ../docs --key keys/alice.key -o n.json", 2, "--source"),
    "signing with a missing key": Wrong(SIGN, 2, "alice.key' does not", gone("keys/alice.key")),
    "signing with a public key": Wrong(
        "sign ../docs --source wiki --key keys/alice.pub -o n.json",
        2,
        "keys/alice.pub: this is the public key of 'alice', and the private one is needed",
    ),
    "signing with a public key that others may read": Wrong(
        "sign ../docs --source wiki --key keys/alice.pub -o n.json",
        2,
        "this is the public key of 'alice'",
        lambda shell: (shell.folder / "keys/alice.pub").chmod(0o644),
    ),
    "signing with the wrong passphrase": Wrong(
        "sign ../docs --source wiki --key keys/dora.key -o n.json --passphrase",
        2,
        "keys/dora.key: private key file: wrong passphrase",
        locked("dora"),
        stdin="wrong\n",
    ),
    "signing without the passphrase": Wrong(
        "sign ../docs --source wiki --key keys/dora.key -o n.json",
        2,
        "under a passphrase, and none was given",
        locked("dora"),
    ),
    "signing over a document": Wrong(
        "sign ../docs --source wiki --key keys/alice.key -o ../docs/leave.md",
        2,
        "leave.md: exists and is no manifest",
    ),
    "signing over the key": Wrong(
        "sign ../docs --source wiki --key keys/alice.key -o keys/alice.key",
        2,
        "alice.key: exists and is no manifest",
    ),
    "signing for ever": Wrong(f"{SIGN} --expires 999999w", 2, "'999999w': expected at most"),
    "signing for no time": Wrong(f"{SIGN} --expires 0d", 2, "'0d': expected a length of time"),
    "metadata that is no JSON": Wrong(
        f"{SIGN} --metadata meta.json", 3, "metadata file meta.json", file("meta.json", b"{")
    ),
    "verifying nothing": Wrong("verify absent.json", 2, "'absent.json' does not exist"),
    "verifying what is no JSON": Wrong("verify m.json", 3, "not JSON", file("m.json", b"{")),
    "ingesting nothing": Wrong("ingest", 2, "no manifest given"),
    "ingesting a missing manifest": Wrong("ingest absent.json", 2, "absent.json: No such file"),
    "ingesting what is no JSON": Wrong("ingest m.json", 3, "not JSON", file("m.json", b"{")),
    "ingesting with a missing root": Wrong("ingest m.json --root absent", 2, "'absent' does not"),
    "searching before an ingest": Wrong("search leave", 2, "nothing to search"),
    "searching for nothing": Wrong("search ''", 2, "the question is empty"),
    "searching for zero passages": Wrong("search leave -k 0", 2, "'-k'"),
    "showing a case of no workspace": Wrong("quarantine show 1", 2, "0 open cases match '1'"),
    "log of another": Wrong(
        "log verify --expect-checkpoint c.txt", 3, "note", file("c.txt", b"\xff\xfe not a note")
    ),
    "a bundle that is none": Wrong("log verify b.json", 3, "bundle", file("b.json", b"\xff")),
    "proof of what never came": Wrong("log prove wiki/none.md", 2, "'wiki/none.md': no such"),
    "settings that are no TOML": Wrong("history", 2, "ragguard.toml: not TOML", settings("[")),
    "setting unknown": Wrong(
        "history", 2, "store.colour: no such setting", settings("[store]\ncolour = 1")
    ),
    "setting out of range": Wrong(
        "history", 2, "judge.false_alarm_rate", settings("[judge]\nfalse_alarm_rate = 2")
    ),
    "variable out of range": Wrong(
        "history", 2, "RAGGUARD_CHUNKS__SIZE", variables={"RAGGUARD_CHUNKS__SIZE": "big"}
    ),
    "variable of no section": Wrong(
        "history", 2, "RAGGUARD_SHOP__SIZE: no such", variables={"RAGGUARD_SHOP__SIZE": "1"}
    ),
    "workspace variable that leads nowhere": Wrong(
        "history", 2, "nowhere: not a ragguard", variables={"RAGGUARD_WORKSPACE": "nowhere"}
    ),
    "ledger lost": Wrong("history", 2, "its ledger is gone", gone("ledger.db")),
    "trust root lost": Wrong("history", 3, "root.json: No such file", gone("trust/root.json")),
    "trust root put back": Wrong("history", 3, "version 1, this workspace has seen 3", old_root),
    "command misspelt": Wrong("ingst m.json", 2, "Did you mean 'ingest'?"),
    "command unknown": Wrong("frobnicate", 2, "No such command 'frobnicate'"),
    "subcommand unknown": Wrong("quarantine frobnicate", 2, "No such command 'frobnicate'"),
    "option unknown": Wrong("history --colour", 2, "--colour"),
    "format unknown": Wrong("history --format xml", 2, "'xml' is not one of 'table', 'json'"),
}
SERVED = {
    "unknown case": Wrong(
        "quarantine release 99 --key keys/bob.key --reason x", 2, "0 open cases match '99'"
    ),
    "case number in other digits": Wrong("quarantine show ²", 2, "0 open cases match '²'"),
    "case number beyond numbers": Wrong(f"quarantine show {10**30}", 2, "0 open cases match"),
    "reviewer who signed it": Wrong(
        "quarantine release 1 --key keys/alice.key --reason mine",
        3,
        "'alice' signed the document and cannot judge it",
        lambda shell: shell.ok("trust", "add", "keys/alice.pub", "--role", "reviewer"),
    ),
    "signer who is no reviewer": Wrong(
        "quarantine release 1 --key keys/alice.key --reason mine",
        3,
        "'alice' signed the document and cannot judge it",
    ),
    "reviewer nobody trusts": Wrong(
        "quarantine release 1 --key keys/carol.key --reason x", 3, "not signed by a reviewer"
    ),
    "reviewer revoked": Wrong(
        "quarantine reject 1 --key keys/bob.key --reason x",
        3,
        "not signed by a reviewer in force",
        lambda shell: shell.ok("trust", "revoke", "bob", "--reason", "left"),
    ),
    "no reason": Wrong("quarantine reject 1 --key keys/bob.key", 2, "Missing option '--reason'"),
    "an empty reason": Wrong(
        "quarantine reject 1 --key keys/bob.key --reason ' '", 2, "a decision needs a reason"
    ),
    "a reviewer without a key": Wrong("quarantine reject 1 --reason x", 2, "option '--key'"),
    "denied again": Wrong(
        "quarantine reject 1 --key keys/bob.key --reason x",
        2,
        "case 1 is closed (rejected)",
        lambda shell: shell.ok(
            "quarantine", "reject", "1", "--key", "keys/bob.key", "--reason", "x"
        ),
    ),
    "one case of two is unknown": Wrong(
        "quarantine release 1 7 --key keys/bob.key --reason x", 2, "0 open cases match '7'"
    ),
    "seal key lost": Wrong(
        "quarantine release 1 --key keys/bob.key --reason x", 2, "seal.key", gone("keys/seal.key")
    ),
    "a root without one of the signed files": Wrong(
        "ingest next.intoto.json --root keys",
        2,
        "keys: none of the 8 signed files is there",
        lambda shell: (
            shell.write({"leave.md": "Everybody has 28 days."}),
            shell.sign("next.intoto.json"),
        ),
    ),
    "another recipe": Wrong(
        "ingest next.intoto.json --root ../docs", 2, "built with another recipe", cut_otherwise
    ),
}


def _check(shell: Shell, wrong: Wrong) -> None:
    import shlex

    wrong.prepare(shell)
    before = shell.state()
    result = shell(*shlex.split(wrong.command), stdin=wrong.stdin, variables=wrong.variables)
    assert result.exit_code == wrong.code, result.output
    assert wrong.says in one_line_error(result)
    assert shell.state() == before


def test_an_index_that_was_cut_otherwise_answers_until_it_is_rebuilt(served: Shell) -> None:
    before = served.ok("search", "leave")
    cut_otherwise(served)
    assert served.ok("search", "leave") == before


@pytest.mark.parametrize("wrong", FRESH.values(), ids=FRESH.keys())
def test_wrong_step_before_the_first_ingest(made: Shell, wrong: Wrong) -> None:
    _check(made, wrong)


@pytest.mark.parametrize("wrong", SERVED.values(), ids=SERVED.keys())
def test_wrong_step_with_an_index(served: Shell, wrong: Wrong) -> None:
    _check(served, wrong)


@pytest.mark.parametrize(
    "command",
    ["history", "doctor", "trust list", "search x", "ingest m.json", "log verify", "key list"],
)
def test_outside_a_workspace_the_hint_says_how_to_make_one(empty: Shell, command: str) -> None:
    result = empty(*command.split())
    assert result.exit_code == 2
    assert "not in a ragguard workspace" in one_line_error(result)
    assert "ragguard init" in result.stderr


def test_signing_for_a_source_that_the_workspace_does_not_know_is_warned_of(made: Shell) -> None:
    args = ("sign", made.site, "--key", "keys/alice.key", "-o", "n.json", "--source")
    assert "trusts no source 'wikki' (it knows: wiki)" in made(*args, "wikki").stderr
    assert "warning" not in made(*args, "wiki").stderr


def test_signing_with_a_key_that_the_workspace_has_revoked_is_warned_of(made: Shell) -> None:
    args = ("sign", made.site, "--key", "keys/alice.key", "-o", "n.json", "--source", "wiki")
    made.ok("trust", "revoke", "alice", "--reason", "laptop stolen")
    result = made(*args)
    assert result.exit_code == 0
    assert "warning: this workspace has revoked the key" in result.stderr
    assert "of 'alice'" in result.stderr
    assert made("ingest", "n.json", "--root", made.site).exit_code == 3


def test_a_manifest_that_is_not_there_is_named_once_with_what_makes_one(made: Shell) -> None:
    for fmt in ("table", "jsonl"):
        stderr = made("ingest", "absent.json", "--format", fmt).stderr
        assert "error: absent.json: No such file or directory" in stderr
    said = made("ingest", "absent.json").stderr
    assert "hint: Name a manifest file; `ragguard sign` makes one." in said


def test_ingesting_a_document_is_told_that_a_manifest_comes_first(made: Shell) -> None:
    for command in ("ingest", "verify"):
        result = made(command, made.site / "leave.md")
        assert result.exit_code == 3
        assert "envelope: not JSON" in result.stderr
        assert "hint: This is no manifest: `ragguard sign` makes one" in result.stderr


def test_resuming_where_nothing_was_interrupted_says_so(made: Shell, served: Shell) -> None:
    said = served.ok("ingest", "--resume")
    assert "nothing was interrupted" in said
    assert "next: ragguard search" in said
    assert "no documents" not in said
    said = made.ok("-w", made.folder, "ingest", "--resume")
    assert "next: ragguard sign" in said
    assert "search" not in said
