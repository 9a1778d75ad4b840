"""Second opinions and spot checks on the command line."""

from __future__ import annotations

from tests.cli.conftest import Shell

BOB = ("--key", "keys/bob.key", "--reason", "looked through")
VERA = ("--key", "keys/vera.key", "--reason", "read it")


def test_two_reviewers_decide_a_case(served: Shell) -> None:
    few = served("trust", "policy", "wiki", "--set", "reviewers=2")
    assert few.exit_code == 2
    assert "2 asked for, and 1 are in force" in few.stderr
    served.ok("key", "generate", "vera")
    served.ok("trust", "add", "keys/vera.pub", "--role", "reviewer")
    said = served.ok("trust", "policy", "wiki", "--set", "reviewers=2", "--set", "review=path=x/*")
    assert "path=x/*" in said
    assert "opinion kept: release" in served.ok("quarantine", "release", "safe.md", *BOB)
    assert "1 of 2 opinions" in served.ok("quarantine", "list")
    shown = served.ok("quarantine", "show", "safe.md")
    assert "1 of 2: bob (told once two disagree)" in shown
    assert served.json("quarantine", "show", "safe.md")["opinions"][0]["action"] is None
    (done,) = served.json("quarantine", "release", "safe.md", *VERA)
    assert done["commit"] is not None
    assert served.json("quarantine", "list") == []
    told = served.ok("quarantine", "stats")
    assert "bob and vera: 1 of 1 cases alike, Cohen's kappa none" in told
    served.ok("log", "verify")


def test_a_spot_check_is_drawn_shown_and_answered(served: Shell) -> None:
    draw = ("quarantine", "spot-check", "draw", "--size", "2")
    assert "nothing was drawn yet" in served.ok("quarantine", "spot-check", "list")
    assert "nothing is drawn yet" in served.ok(*draw)
    assert "draw 1: 3 documents, out of 7 that were let in and 1 that are held" in served.ok(*draw)
    assert "3 of 3 without a word" in served.ok("quarantine", "spot-check", "list")
    items = served.json("quarantine", "spot-check", "list")
    name = next(i["item"] for i in items if i["document"] != "wiki/safe.md")
    assert "signed by   alice" in served.ok("quarantine", "spot-check", "show", name)
    said = served.ok("quarantine", "spot-check", "say", name, "bad", *BOB)
    assert "it was served" in said
    assert "it waits as a case" in said
    again = served("quarantine", "spot-check", "say", name, "good", *BOB)
    assert again.exit_code == 2
    assert "bob gave a word on it already" in again.stderr
    body = served.json("quarantine", "stats")["spot_checks"]
    assert (body["bad_in"]["judged"], body["bad_in"]["found"]) == (1, 1)
    assert "1 of 2" in served.ok("quarantine", "stats")
    served.ok("log", "verify")
