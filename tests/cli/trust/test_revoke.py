"""`ragguard trust revoke --since` and what undoes it."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Shell, child_command, child_environment, one_line_error
from tests.support.simulator import HONEST, NEWS

SINCE = ("--since", "2026-03-05", "--reason", "laptop stolen")


@pytest.fixture
def stolen(served: Shell) -> Shell:
    """Ten days later, by alice's key: a changed document and a new one."""
    served.clock.later(days=10)
    served.write({"leave.md": HONEST["leave.md"].replace("27 days", "28 days"), "news.md": NEWS})
    served.sign("two.intoto.json")
    body = served.json("ingest", "two.intoto.json", "--root", served.site, code=1)
    verdicts = {d["id"]: d["verdict"] for d in body["documents"]}
    assert (verdicts["leave.md"], verdicts["news.md"]) == ("admit", "admit")
    return served


def test_a_dry_run_tells_the_radius_and_changes_nothing(
    stolen: Shell, schema: Callable[[str, Any], None]
) -> None:
    before = stolen.state()
    said = " ".join(stolen.ok("trust", "revoke", "alice", *SINCE, "--dry-run").split())
    for told in (
        "since 2026-03-05T00:00:00Z",
        "documents to quarantine 2 of wiki",
        "chunks 2",
        "an older version served 1",
        "never served before 1",
        "wiki/leave.md 2026-03-11T12:00:00Z of commit 1",
        "wiki/news.md 2026-03-11T12:00:00Z none",
        "no canaries",
    ):
        assert told in said
    body = stolen.json("trust", "revoke", "alice", *SINCE, "--dry-run")
    schema("revoke", body)
    assert (body["revoked"], body["commit"], body["chunks"]) == (False, None, 2)
    assert stolen.state() == before


def test_what_went_comes_back_by_its_commit(
    stolen: Shell, schema: Callable[[str, Any], None]
) -> None:
    body = stolen.json("trust", "revoke", "alice", *SINCE, "--yes")
    schema("revoke", body)
    assert (body["revoked"], body["commit"], body["trust_root"]) == (True, 3, 4)
    waiting = {c["document"]: c["findings"] for c in stolen.json("quarantine", "list")}
    assert set(waiting) == {"leave.md", "news.md", "safe.md"}
    assert waiting["news.md"][0]["check"] == "revoked"
    again = stolen.ok("trust", "revoke", "alice", *SINCE, "--yes")
    assert "nothing of it serves" in again
    decide = ("--key", "keys/bob.key", "--reason", "was found again")
    said = stolen.ok("quarantine", "release", "--commit", "3", *decide)
    assert said.count("released, commit 4") == 2
    assert [c["document"] for c in stolen.json("quarantine", "list")] == ["safe.md"]
    assert stolen.ok("log", "verify").startswith("8 entries")
    (proof,) = [h["proof"] for h in stolen.json("search", "canteen soup", "-k", "1", "--proof")]
    assert proof["ok"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("alice", *SINCE), "nobody is there to confirm"),
        ((*SINCE, "--yes"), "give a KEY or --source"),
        (("alice", "--source", "wiki", *SINCE, "--yes"), "give a KEY or --source"),
        (("alice", "--reason", "x", "--dry-run"), "--dry-run says"),
        (("--source", "web", "--reason", "x"), "is not in the trust root"),
        (("alice", "--since", "soon", "--reason", "x", "--yes"), "expected a date"),
        (("alice", "--since", "2027-01-01", "--reason", "x", "--yes"), "in the future"),
    ],
)
def test_what_makes_no_sense_changes_nothing(made: Shell, args: tuple[str, ...], said: str) -> None:
    before = made.state()
    result = made("trust", "revoke", *args)
    assert result.exit_code == 2
    assert said in one_line_error(result)
    assert made.state() == before


def test_release_takes_cases_or_a_commit(made: Shell) -> None:
    decide = ("--key", "keys/bob.key", "--reason", "x")
    for args in ((), ("1", "--commit", "1")):
        result = made("quarantine", "release", *args, *decide)
        assert result.exit_code == 2
        assert "CASEs or --commit" in one_line_error(result)
    result = made("quarantine", "release", "--commit", "9", *decide)
    assert (result.exit_code, "opened no case" in one_line_error(result)) == (2, True)


def test_a_source_is_revoked_without_a_day_as_well(made: Shell) -> None:
    said = made.ok("trust", "revoke", "--source", "wiki", "--reason", "vendor left")
    assert "source 'wiki' is revoked" in said
    assert made.json("trust", "list")["sources"] == {}


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 130), (b"y\n", 0)])
def test_a_person_is_asked_and_may_say_no(made: Shell, answer: bytes, code: int) -> None:
    """On a terminal of its own, as a person sits at one."""
    before = made.state()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        child_command(
            made.clock.now, "trust", "revoke", "alice", "--since", "2026-03-01", "--reason", "x"
        ),
        cwd=made.folder,
        env=child_environment(),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, answer)
    out, error = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == code
    assert b"documents to quarantine  none" in out
    assert b"and quarantine this? [y/N]" in error
    assert (made.state() == before) == (code != 0)
