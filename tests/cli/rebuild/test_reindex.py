"""`ragguard reindex`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.cli.conftest import Shell, one_line_error

CLEAN = ("reindex", "--from-clean")


def test_it_must_be_said_what_to_start_from(served: Shell) -> None:
    result = served("reindex")
    assert result.exit_code == 2
    assert "--from-clean" in one_line_error(result)


def test_a_dry_run_changes_nothing_and_a_rebuild_says_what_it_did(
    served: Shell, schema: Callable[[str, Any], None]
) -> None:
    before = served.state()
    body = served.json(*CLEAN, "--dry-run")
    schema("reindex", body)
    assert (body["generation"], body["commit"], body["left"]) == (1, None, [])
    assert served.state() == before
    result = served(*CLEAN)
    assert result.exit_code == 0, result.output
    assert "generation 2 serves" in result.stdout
    assert "no canaries: nothing was compared" in result.stderr
    assert "next: ragguard audit" in result.stdout
    back = served.ok("rollback", "g1", "--dry-run")
    assert "would go back to generation 1\n  7 documents served, 7 would serve\n" in back
    assert "reindex" in served.ok("history")
    assert served.ok("log", "verify")
    young = served.json(*CLEAN, "--if-older-than", "30d")
    assert (young["commit"], young["generation"]) == (None, 2)
    assert "younger" in young["skipped"]


def test_it_stops_where_much_would_go_and_nobody_is_there_to_ask(
    served: Shell, schema: Callable[[str, Any], None]
) -> None:
    served.clock.later(days=1)
    served.ok("trust", "revoke", "--source", "wiki", "--reason", "gone")
    before = served.state()
    result = served(*CLEAN)
    assert result.exit_code == 1
    assert "would go" in result.stdout
    assert "--yes" in result.stdout
    assert served.state() == before
    body = served.json(*CLEAN, "--yes", code=1)
    schema("reindex", body)
    assert body["kept"] == 0
    assert {one["quarantine"] for one in body["left"]} == {True}
