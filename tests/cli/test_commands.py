"""sign, verify, history, log and quarantine: what each does beyond the first steps."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from tests.cli.conftest import SITE, SUSPECT, Shell, one_line_error

BOB = ("--key", "keys/bob.key", "--reason", "looked at it")


# --- sign and verify ------------------------------------------------------------------------------


def test_the_second_manifest_follows_the_accepted_one_without_being_told(served: Shell) -> None:
    assert "version 2" in served.sign("two.intoto.json")
    body = served.json("ingest", "two.intoto.json", "--root", "../docs", code=1)
    assert (body["counts"]["unchanged"], body["counts"]["quarantined"]) == (7, 1)
    assert "version 3" in served.sign("three.intoto.json")


def test_every_reason_of_skipping_is_counted_and_decomposed_names_have_a_hint(
    made: Shell,
) -> None:
    endings = ("a", "b", "c", "d", "e", "f", "g")
    for name in (
        *(f"x.{e}" for e in endings),
        "Makefile",
        "cafe\u0301.md",
        "re\u0301sume\u0301.md",
    ):
        (made.site / name).write_bytes(b"The counter opens at nine.")
    (made.site / "old.htm").write_bytes(b"<p>The counter opens at nine.")
    (made.site / "page.markdown").write_bytes(b"The counter opens at nine.")
    result = made("sign", "../docs", "--source", "wiki", "--key", "keys/alice.key", "-o", "n.json")
    assert result.exit_code == 0
    for ending in endings:
        assert f"1 format .{ending} is not supported" in result.stdout
    assert "1 format without an ending is not supported" in result.stdout
    assert "2 name is not in Unicode normal form C" in result.stdout
    assert "2 names are spelt as macOS spells them, such as 'caf\u00e9.md'" in result.stderr
    names = [s["name"] for s in manifest_subjects(made.folder / "n.json")]
    assert {"old.htm", "page.markdown"} <= set(names)


def manifest_subjects(path: Path) -> list[dict[str, Any]]:
    payload = base64.b64decode(json.loads(path.read_bytes())["payload"])
    subjects: list[dict[str, Any]] = json.loads(payload)["subject"]
    return subjects


def test_several_manifests_are_each_verified_and_the_gravest_code_wins(served: Shell) -> None:
    served.sign("two.intoto.json")
    body = json.loads(Path("two.intoto.json").read_text())
    body["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    Path("forged.intoto.json").write_text(json.dumps(body))
    args = ("verify", "forged.intoto.json", "two.intoto.json", "--root", "../docs")
    result = served(*args)
    assert result.exit_code == 3
    assert "error: forged.intoto.json: " in result.stderr
    assert "documents are the signed bytes" in result.stdout
    lines = served(*args, "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["two.intoto.json"]


def test_a_trust_root_is_enough_to_verify_and_an_unknown_signer_is_refused(made: Shell) -> None:
    made.sign("m.intoto.json")
    alone = made.folder.parent / "runner"
    alone.mkdir()
    for name in ("m.intoto.json", "trust/root.json"):
        shutil.copy(made.folder / name, alone)
    os.chdir(alone)
    args = ("verify", "m.intoto.json", "--root", "../docs", "--trust-root", "root.json")
    assert "documents are the signed bytes" in made.ok(*args)
    made.write({"leave.md": "Everybody has ninety-nine days of leave."})
    assert made(*args).exit_code == 3
    body = json.loads(Path("root.json").read_text())
    body["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
    Path("root.json").write_text(json.dumps(body))
    assert "trust root" in one_line_error(made(*args))


def test_if_changed_leaves_a_manifest_that_says_the_same(made: Shell) -> None:
    made.sign("m.intoto.json")
    before = Path("m.intoto.json").read_bytes()
    made.clock.later(days=1)
    assert "nothing changed" in made.sign("m.intoto.json", "--if-changed")
    assert Path("m.intoto.json").read_bytes() == before
    assert "nothing changed" not in made.sign("m.intoto.json", "--if-changed", "--mode", "delta")
    made.sign("m.intoto.json", "--if-changed")
    before = Path("m.intoto.json").read_bytes()
    made.clock.later(days=100)
    assert "nothing changed" not in made.sign("m.intoto.json", "--if-changed")
    expired, before = before, Path("m.intoto.json").read_bytes()
    assert expired != before
    made.write({"leave.md": "Everybody has ninety-nine days of leave."})
    assert "nothing changed" not in made.sign("m.intoto.json", "--if-changed")
    again = Path("m.intoto.json").read_bytes()
    made.ok("key", "generate", "dora")
    made.ok("trust", "add", "keys/dora.pub", "--source", "wiki")
    assert "nothing changed" not in made.sign("m.intoto.json", "--if-changed", key="dora")
    assert Path("m.intoto.json").read_bytes() != again


@pytest.mark.parametrize("command", [["search", "caf\udce9"], ["trace", "--query", "\udcff"]])
def test_an_argument_that_is_not_utf_8_is_a_wrong_use(made: Shell, command: list[str]) -> None:
    result = made(*command)
    assert result.exit_code == 2
    assert "is not UTF-8" in one_line_error(result)


@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_IOERR", "SQLITE_IOERR_WRITE"])
def test_a_full_disk_is_said_and_is_no_bug(
    made: Shell, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        full = sqlite3.OperationalError("database or disk is full")
        full.sqlite_errorname = name
        raise OperationalError("BEGIN", {}, full) from full

    monkeypatch.setattr("ragguard.workspace.Ledger", fail)
    result = made("history")
    assert result.exit_code == 5
    assert "database or disk is full" in one_line_error(result)


def test_without_a_workspace_the_manifest_before_is_given(
    made: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.sign("1.intoto.json")
    for name in ("keys/alice.key", "1.intoto.json"):
        shutil.copy2(name, tmp_path / Path(name).name)
    monkeypatch.chdir(tmp_path)
    site = str(made.site)
    args = ("--source", "wiki", "--key", "alice.key", "-o")
    assert "version 1" in made.ok("sign", site, *args, "x.intoto.json")
    said = made.ok("sign", site, *args, "2.intoto.json", "--previous", "1.intoto.json")
    assert "version 2" in said
    monkeypatch.chdir(made.folder)
    result = made("ingest", tmp_path / "2.intoto.json", "--root", site)
    assert result.exit_code == 3
    assert "no manifest of this source was accepted yet" in one_line_error(result)
    assert made("ingest", "1.intoto.json", tmp_path / "2.intoto.json", "--root", site).exit_code < 2


def test_a_delta_removes_what_it_names_and_leaves_the_rest(served: Shell) -> None:
    said = served.ok(
        *("sign", "--source", "wiki", "--key", "keys/alice.key", "--mode", "delta"),
        *("--remove", "leave.md", "-o", "delta.intoto.json"),
    )
    assert "0 documents" in said
    body = served.json("ingest", "delta.intoto.json", "--root", "../docs")
    assert body["counts"] == {
        **dict.fromkeys(("admitted", "quarantined", "rejected", "unchanged"), 0),
        "removed": 1,
    }
    found = served.json("search", "how many days off do I get", "-k", "20")
    assert {h["document"] for h in found} == {
        f"wiki/{n}"
        for n in SITE
        if n.endswith((".md", ".rst")) and n not in ("leave.md", "safe.md")
    }


def test_metadata_is_signed_served_and_names_that_match_nothing_are_told(made: Shell) -> None:
    rows = [{"name": "leave.md", "department": "people"}, {"name": "laptop.md", "x": 1}]
    Path("meta.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = made(
        *("sign", "../docs", "--source", "wiki", "--key", "keys/alice.key"),
        *("--metadata", "meta.jsonl", "-o", "m.intoto.json"),
    )
    assert result.exit_code == 0
    assert "metadata of 1 names that were not signed, such as 'laptop.md'" in result.stderr
    made("ingest", "m.intoto.json", "--root", "../docs")
    hit = made.json("search", "days of leave", "-k", "1")[0]
    assert hit["metadata"] == {"department": "people", "source": "wiki/leave.md"}


def test_names_are_relative_to_the_root_given(made: Shell) -> None:
    args = ("--source", "wiki", "--key", "keys/alice.key", "-o", "m.intoto.json")
    said = made.ok("sign", "../docs/guides", "--root", "../docs", *args)
    assert said.endswith("next: ragguard ingest m.intoto.json --root ../docs\n")
    assert "1 documents in 1 files" in said
    made.ok("ingest", "m.intoto.json", "--root", "../docs")
    assert made.json("search", "bicycles", "-k", "1")[0]["document"] == "wiki/guides/parking.rst"


def test_an_older_manifest_may_be_overwritten_by_the_next(made: Shell) -> None:
    made.sign()
    first = Path("m.intoto.json").read_bytes()
    made.write({"leave.md": "# Leave\n\nEverybody has 28 days."})
    made.sign()
    assert Path("m.intoto.json").read_bytes() != first


def test_an_accepted_manifest_verifies_and_is_said_to_be_accepted(served: Shell) -> None:
    assert "(accepted already)" in served.ok("verify", "m.intoto.json", "--root", "../docs")
    assert served.json("verify", "m.intoto.json", "--root", "../docs")["accepted"] is True


def test_an_older_manifest_again_is_a_rollback(served: Shell) -> None:
    served.sign("two.intoto.json")
    served("ingest", "two.intoto.json", "--root", "../docs")
    before = served.state()
    result = served("ingest", "m.intoto.json", "--root", "../docs")
    assert result.exit_code == 3
    assert "manifest 1 of 'wiki': older than the accepted version 2" in one_line_error(result)
    assert served.state() == before


# --- history and log ------------------------------------------------------------------------------


def test_history_lists_every_commit_newest_first(served: Shell) -> None:
    served.ok("quarantine", "reject", "1", *BOB)
    rows = served.json("history")
    assert [(r["commit"], r["kind"], r["actor"]) for r in rows] == [
        (2, "reject", "bob"),
        (1, "ingest", "alice"),
    ]
    assert rows[1]["counts"] == {"admit": 7, "quarantine": 1, "unchanged": 0}
    assert [r["commit"] for r in served.json("history", "-n", "1")] == [2]
    lines = served.ok("history", "--format", "jsonl").splitlines()
    assert [json.loads(x) for x in lines] == rows
    said = served.ok("history")
    assert "1 denied" in said


def test_history_of_an_empty_corpus(made: Shell) -> None:
    assert made.ok("history") == "no commits yet\n"
    assert made.json("history") == []


def test_a_checkpoint_kept_elsewhere_must_stay_in_the_log(served: Shell) -> None:
    said = served.ok("log", "checkpoint", "-o", "kept.txt")
    assert "kept.txt: 4 entries" in said
    assert "log key: ragguard.local/" in said
    assert served.ok("log", "checkpoint") == Path("kept.txt").read_text()
    served.ok("quarantine", "reject", "1", *BOB)
    served.ok("log", "verify", "--expect-checkpoint", "kept.txt")
    body = served.json("log", "checkpoint")
    assert body["size"] == 5
    assert body["checkpoint"].splitlines()[1] == "5"


def test_a_truncated_log_does_not_contain_the_kept_checkpoint(
    served: Shell,
) -> None:
    """The ledger of before put back: coherent in itself, and found out by what was kept."""
    shutil.copy2("ledger.db", "../before.db")
    served.ok("quarantine", "reject", "1", *BOB)
    served.ok("log", "checkpoint", "-o", "../kept.txt")
    shutil.copy2("../before.db", "ledger.db")
    served.ok("log", "verify")
    body = served.json("log", "verify", "--expect-checkpoint", "../kept.txt", code=3)
    assert body["ok"] is False
    assert "truncated or rewritten" in body["problems"][0]


def test_a_stranger_verifies_a_proof_with_two_public_keys(
    served: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = served.ok("log", "prove", "wiki/leave.md", "-o", "proof.json")
    assert "proof.json: 1 links" in said
    key = served.json("log", "checkpoint")["log_key"]
    assert f"--log-key '{key}'" in said
    away = tmp_path / "away"
    away.mkdir()
    for name in ("proof.json", "keys/alice.pub", "keys/bob.pub"):
        shutil.copy2(name, away)
    monkeypatch.chdir(away)
    args = ("log", "verify", "proof.json", "--log-key", key)
    shown = served.ok(*args, "--signer", "alice.pub")
    assert shown.startswith("proved: wiki/leave.md (admit)")
    assert "commit 1: ingest by alice" in shown
    assert "its manifest is signed by alice" in shown
    body = served.json(*args, "--signer", "alice.pub")
    assert (body["document"], body["signed_by"]) == ("wiki/leave.md", ["alice"])
    result = served(*args, "--signer", "bob.pub")
    assert result.exit_code == 1
    assert "signed by none of the keys given" in result.stdout
    assert served("log", "verify", "proof.json", "--log-key", key).exit_code == 2


def test_a_proof_is_held_against_a_checkpoint_that_a_stranger_kept(served: Shell) -> None:
    served.ok("log", "checkpoint", "-o", "../kept.txt")
    served.ok("quarantine", "reject", "1", *BOB)  # the log grows
    served.ok("log", "prove", "wiki/leave.md", "--since", "../kept.txt", "-o", "proof.json")
    verify = ("log", "verify", "proof.json", "--expect-checkpoint", "../kept.txt")
    assert "which grew out of the" in served.ok(*verify)
    assert served.json(*verify)["since"] < served.json(*verify)["size"]
    served.ok("log", "prove", "wiki/leave.md", "-o", "proof.json")
    result = served(*verify)
    assert result.exit_code == 3
    assert "nothing in it leads from the checkpoint" in one_line_error(result)


def test_a_changed_proof_is_refused(served: Shell) -> None:
    body = json.loads(served.ok("log", "prove", "wiki/leave.md"))
    body["links"][0]["document"]["outcome"] = "quarantine"
    Path("proof.json").write_text(json.dumps(body))
    result = served("log", "verify", "proof.json")
    assert result.exit_code == 3
    assert "the document is not in the commit" in one_line_error(result)


def test_a_point_is_proved_like_its_document(served: Shell) -> None:
    hit = served.json("search", "days of leave", "-k", "1")[0]
    by_point = json.loads(served.ok("log", "prove", hit["point"]))
    assert by_point == json.loads(served.ok("log", "prove", hit["document"]))


def test_search_with_proof_says_so_and_finds_a_forged_point(served: Shell) -> None:
    assert "proved: seal, manifest" in served.ok("search", "days of leave", "-k", "1", "--proof")
    point = served.json("search", "days of leave", "-k", "1")[0]["point"]
    with served.opened() as workspace:
        store: Any = workspace.open_store()
        store.client.set_payload("corpus-g1", payload={"page_content": "99 days"}, points=[point])
    result = served("search", "days of leave", "-k", "7", "--proof")
    assert result.exit_code == 3
    assert "NOT PROVED" in result.stdout


# --- quarantine -----------------------------------------------------------------------------------


def test_a_release_is_searchable_and_told_with_its_commit(served: Shell) -> None:
    said = served.ok("quarantine", "release", "wiki/safe.md", *BOB)
    assert said.startswith("case 1: wiki/safe.md released, commit 2\n")
    assert "next: " in said
    assert served.json("search", "what is the pin", "-k", "1")[0]["text"] == SUSPECT
    assert "nothing waits" in served.ok("quarantine", "list")
    assert served.json("quarantine", "list") == []
    row = served.json("quarantine", "list", "--all")[0]
    assert (row["case"], row["state"]) == (1, "released")
    assert "released" in served.ok("quarantine", "list", "--all")
    links = json.loads(served.ok("log", "prove", "wiki/safe.md"))["links"]
    assert [link["entry"]["act"] for link in links] == ["ingest", "release"]


def test_a_rejected_text_is_refused_when_it_comes_back(served: Shell) -> None:
    body = served.json("quarantine", "reject", "1", *BOB)
    assert body == [{"case": 1, "action": "reject", "commit": 2}]
    served.write({"copy.md": SUSPECT})
    served.sign("two.intoto.json")
    result = served("ingest", "two.intoto.json", "--root", "../docs")
    assert result.exit_code == 1
    assert "denied: a reviewer rejected exactly these bytes" in " ".join(result.stdout.split())


def test_stats_count_cases_and_how_often_a_check_was_right(served: Shell) -> None:
    assert "none decided yet" in served.ok("quarantine", "stats")
    served.ok("quarantine", "reject", "1", *BOB)
    body = served.json("quarantine", "stats")
    assert body["cases"] == [{"source": "wiki", "state": "rejected", "count": 1}]
    assert body["checks"]["instructions"] == {"rejected": 1}
    assert "100% of 1" in served.ok("quarantine", "stats")


def test_stats_of_an_empty_quarantine(made: Shell) -> None:
    assert made.ok("quarantine", "stats") == "no cases yet\n"
    body = made.json("quarantine", "stats")
    assert (body["cases"], body["checks"]) == ([], {})
    assert {k: body["observed"][k] for k in ("admitted", "released", "share", "parts")} == {
        "admitted": 0,
        "released": 0,
        "share": 0.0,
        "parts": False,
    }


def test_a_changed_document_in_quarantine_says_that_the_older_one_serves(served: Shell) -> None:
    served.write({"leave.md": SITE["leave.md"] + "\n\n" + SUSPECT})
    served.sign("two.intoto.json")
    served("ingest", "two.intoto.json", "--root", "../docs")
    said = served.ok("quarantine", "show", "leave.md")
    assert "an older version of it is serving meanwhile" in said
    assert served.json("quarantine", "show", "leave.md")["older_version_serves"] is True
    assert served.json("quarantine", "show", "safe.md")["older_version_serves"] is False


def test_the_reviewer_sees_the_whole_text_wrapped(served: Shell) -> None:
    filler = "The shelves of hall nine are counted on Monday and cleaned on Friday. "
    body = "\n\n".join(f"## Part {n}\n\n{filler * 8}" for n in range(12))
    served.write({"long.md": f"{SUSPECT}\n\n{body}\n\nThe marmoset is at the end."})
    served.sign("two.intoto.json")
    served("ingest", "two.intoto.json", "--root", "../docs")
    shown = served.ok("quarantine", "show", "long.md")
    text = [row for row in shown.splitlines() if row.startswith("  |")]
    assert max(map(len, text)) <= 100
    assert "Part 11" in "\n".join(text)
    assert "The marmoset is at the end." in " ".join(row[4:] for row in text)


@pytest.mark.parametrize(("word", "left"), [("release", 4), ("reject", 7)])
def test_a_removal_waits_for_a_reviewer_who_lets_go_or_keeps(
    served: Shell, word: str, left: int
) -> None:
    for name in ("leave.md", "laptops.md", "invoices.md"):
        (served.site / name).unlink()
    served.sign("two.intoto.json")
    result = served("ingest", "two.intoto.json", "--root", "../docs")
    assert "a reviewer decides (ragguard quarantine list)" in result.stdout
    assert "would remove 3 documents at once" in served.ok("quarantine", "list")
    shown = served.ok("quarantine", "show", "2")
    assert "asks to remove 3 documents:\n    invoices.md\n" in shown
    assert "next: release lets them go" in shown
    said = served.ok("quarantine", word, "2", *BOB)
    assert said.startswith("case 2: removal in wiki ")
    assert "next:" not in served.ok("quarantine", "show", "2")  # it was decided
    assert len(served.json("search", "leave", "-k", "20")) == left


# --- what of a folder cannot be signed ------------------------------------------------------------

CONTACTS = "name,phone\nreception,100\n"
SIGNED = ("--source", "wiki", "--key", "keys/alice.key", "-o", "n.json")


def names_in(path: Path) -> set[str]:
    return {s["name"] for s in manifest_subjects(path)}


def test_a_table_that_holds_no_records_is_left_out_of_a_folder_and_told(made: Shell) -> None:
    made.write(
        {
            "data/contacts.csv": CONTACTS,
            "data/lines.jsonl": '{"id": "a", "text": "x"}\n[1]\n',
            "data/twice.csv": "id,text\na,One.\na,Two.\n",
            "data/good.csv": "id,text\na,The counter opens at nine.\n",
        }
    )
    result = made("sign", made.site, *SIGNED)
    assert result.exit_code == 0, result.output
    told = [x for x in result.stderr.splitlines() if x.startswith("note: left out")]
    assert "'data/contacts.csv': the header must have a column" in told[0]
    assert "First line: id,text" in told[0]
    assert ["data/lines.jsonl" in told[1], "data/twice.csv" in told[2]] == [True, True]
    assert "3 not a file of records" in result.stdout
    names = names_in(made.folder / "n.json")
    assert {"data/good.csv", "leave.md"} <= names
    assert names.isdisjoint({"data/contacts.csv", "data/lines.jsonl", "data/twice.csv"})
    assert "left out" in made("sign", made.site, *SIGNED, "--if-changed").stderr


@pytest.mark.parametrize("more", [("data/contacts.csv",), ("--strict",)])
def test_a_table_that_is_named_or_asked_for_strictly_is_an_error(
    made: Shell, more: tuple[str, ...]
) -> None:
    for path in ("data.json", "script.py"):
        (made.site / path).unlink()
    made.write({"data/contacts.csv": CONTACTS})
    paths = [str(made.site / x) if x.endswith("csv") else x for x in more]
    result = made("sign", made.site, *paths, "--root", made.site, *SIGNED)
    assert result.exit_code == 3
    assert "'data/contacts.csv': the header must have a column" in result.stderr
    assert not (made.folder / "n.json").exists()


def test_a_folder_of_nothing_but_such_a_table_is_an_error(made: Shell) -> None:
    made.write({"data/contacts.csv": CONTACTS})
    result = made("sign", made.site / "data", *SIGNED)
    assert result.exit_code == 3
    assert "the header must have a column" in result.stderr


def test_records_that_serve_are_not_removed_because_their_file_is_damaged(made: Shell) -> None:
    made.write({"hours.csv": "id,text\na,The counter opens at nine.\n"})
    made.sign()
    assert made("ingest", "m.intoto.json", "--root", made.site).exit_code == 1
    made.write({"hours.csv": "id,body\na,The counter opens at nine.\n"})
    for more in ((), ("--previous", "m.intoto.json")):
        result = made("sign", made.site, *SIGNED, *more)
        assert result.exit_code == 3
        assert "'hours.csv': the header must have" in result.stderr
        assert "leaving it out would remove its documents" in result.stderr


def test_of_names_that_look_alike_the_later_is_left_out_of_a_folder_and_told(made: Shell) -> None:
    made.write({"Leave.md": "Leave is asked for in Rollcall.", "c/\u0430.md": "x", "c/a.md": "y"})
    result = made("sign", made.site, *SIGNED)
    assert result.exit_code == 0, result.output
    assert "left out 'leave.md': its name looks like 'Leave.md', which is signed" in result.stderr
    assert "2 name looks like another" in result.stdout
    names = names_in(made.folder / "n.json")
    assert {"Leave.md", "c/a.md", "visitors.md"} <= names
    assert names.isdisjoint({"leave.md", "c/\u0430.md"})


def test_a_name_that_serves_stays_whatever_look_alike_comes_before_it(served: Shell) -> None:
    served.write({"Leave.md": "Leave is asked for in Rollcall."})
    for more in ((), ("--previous", "m.intoto.json")):
        result = served("sign", served.site, *SIGNED, *more)
        assert "left out 'Leave.md': its name looks like 'leave.md'" in result.stderr
        assert "leave.md" in names_in(served.folder / "n.json")


def test_two_look_alikes_that_are_both_named_are_an_error(made: Shell) -> None:
    made.write({"Leave.md": "Leave is asked for in Rollcall."})
    paths = (made.site / "Leave.md", made.site / "leave.md")
    result = made("sign", *paths, "--root", made.site, *SIGNED)
    assert result.exit_code == 3
    assert "look alike" in result.stderr
