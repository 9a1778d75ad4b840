"""`ragguard rollback`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cli.conftest import Shell, one_line_error
from tests.support.simulator import NEWS


def test_a_commit_is_gone_back_to_after_a_dry_run(
    served: Shell, schema: Callable[[str, Any], None]
) -> None:
    served.write({"news.md": NEWS})
    served.sign("2.json", "--previous", "m.intoto.json")
    assert served("ingest", "2.json", "--root", served.site).exit_code in (0, 1)
    before = served.state()
    said = served.ok("rollback", "1", "--dry-run")
    assert "would go back to commit 1" in said
    assert "wiki/news.md" in said
    body = served.json("rollback", "1", "--dry-run")
    schema("rollback", body)
    assert (body["commit"], body["gone"]) == (None, ["wiki/news.md"])
    assert served.state() == before
    said = served.ok("rollback", "1")
    assert "commit 3: back to commit 1 (" in said
    assert "next: ragguard audit" in said
    assert "nothing to do: commit 1 is what serves" in served.ok("rollback", "1")
    assert "rollback" in served.ok("history")
    assert served.ok("log", "verify")
    body = served.json("rollback", "2")
    schema("rollback", body)
    assert (body["commit"], body["back"], body["embedded"]) == (4, ["wiki/news.md"], 0)


def test_what_must_not_come_back_is_named_and_refused(
    served: Shell, schema: Callable[[str, Any], None]
) -> None:
    release = ("quarantine", "release", "1", "--key", "keys/bob.key", "--reason", "fine")
    served.ok(*release)
    (served.site / "safe.md").unlink()
    served.sign("2.json", "--previous", "m.intoto.json")
    served.ok("ingest", "2.json", "--root", served.site)
    served.clock.later(days=1)
    served.ok("trust", "revoke", "alice", "--reason", "stolen", "--since", "2020-01-01", "--yes")
    before = served.state()
    result = served("rollback", "2")
    assert result.exit_code == 3
    assert "wiki/safe.md" in one_line_error(result)
    assert "--leave-out" in result.stderr
    assert served.state() == before
    body = served.json("rollback", "2", "--leave-out", code=1)
    schema("rollback", body)
    assert [one["id"] for one in body["left"]] == ["safe.md"]
    assert body["waiting"]


def test_a_place_that_is_none_is_refused(served: Shell) -> None:
    for where, says in (
        ("99", "commit 99: there is none"),
        ("g1", "generation 1: serves already"),
        ("yesterday", "neither a commit nor a generation"),
    ):
        result = served("rollback", where)
        assert result.exit_code == 2
        assert says in one_line_error(result)
