"""`ragguard cutover` and `ragguard reindex --stage`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Shell, one_line_error

STAGE = ("reindex", "--from-clean", "--stage")
START = ("cutover", "start", "--traffic", "100%", "--days", "7")


def test_a_candidate_is_tried_and_then_serves(
    served: Shell, schema: Callable[[str, Any], None]
) -> None:
    assert "there is no candidate" in served.ok("cutover", "status")
    assert served.json("cutover", "status") == {"state": "none"}
    body = served.json(*STAGE)
    schema("reindex", body)
    assert (body["staged"], body["generation"], body["commit"]) == (True, 2, 2)
    assert "was not tried yet" in served.ok("cutover", "status")
    said = served.ok(*START)
    assert "generation 2 answers 100 % of the queries until 2026-03-08T12:00:00Z" in said
    hits = served.json("search", "days of leave", "-k", "2")
    schema("search", hits)
    assert {hit["generation"] for hit in hits} == {2}
    assert "answered by generation 2, which is on trial" in served.ok("search", "days of leave")
    body = served.json("cutover", "status")
    schema("cutover", body)
    assert (body["state"], body["serving"], body["behind"]) == ("running", 1, 0)
    assert body["trial"]["queries"] == {"2": 2}
    assert (body["trial"]["compared"], body["trial"]["divergence"]) == (2, 0.0)
    shown = served.ok("cutover", "status")
    assert "divergence 0.000 (95 % 0.000 to 0.000) over 2 queries" in shown
    result = served("cutover", "finish")
    assert result.exit_code == 0, result.output
    assert "commit 3: generation 2 serves" in result.stdout
    assert "no canaries: nothing was compared" in result.stderr
    assert "next: ragguard audit" in result.stdout
    assert "answered by" not in served.ok("search", "days of leave")
    assert "cutover" in served.ok("history")
    assert served.ok("log", "verify")


def test_an_aborted_candidate_is_gone(served: Shell) -> None:
    assert "what serves stays" in served.ok(*STAGE)
    assert served.json("cutover", "abort") == {
        "generation": 2,
        "commit": 3,
        "dropped": ["corpus-g2", "corpus-g2-quarantine"],
    }
    result = served("cutover", "abort")
    assert result.exit_code == 2
    assert "there is no candidate" in one_line_error(result)


def test_the_days_are_over(served: Shell) -> None:
    served.ok(*STAGE)
    served.ok("cutover", "start", "--traffic", "0.5", "--days", "1")
    result = served(*START)
    assert result.exit_code == 2
    assert "is on trial until 2026-03-02" in one_line_error(result)
    served.clock.later(days=1)
    shown = served.ok("cutover", "status")
    assert "its days are over" in shown
    assert "next: ragguard cutover finish, or ragguard cutover abort" in shown


@pytest.mark.parametrize("share", ["0", "0%", "-1", "101%", "1.1", "ten", "nan", "%", ""])
def test_a_share_that_is_none_is_a_wrong_option(served: Shell, share: str) -> None:
    result = served("cutover", "start", "--traffic", share, "--days", "1")
    assert result.exit_code == 2
    assert "expected a share such as 10% or 0.1" in one_line_error(result)


def test_a_candidate_of_another_chunk_size_says_what_to_set(served: Shell) -> None:
    served.ok(*STAGE, "--quiet", variables={"RAGGUARD_CHUNKS__SIZE": "150"})
    result = served("cutover", "finish")
    assert result.exit_code == 2
    assert "built with other settings" in one_line_error(result)
    assert "hint: Set [chunks] size = 150 and finish again" in result.stderr
    done = served(
        "cutover", "finish", "--format", "json", variables={"RAGGUARD_CHUNKS__SIZE": "150"}
    )
    body = json.loads(done.stdout)
    assert (done.exit_code, body["generation"], body["refused"]) == (0, 2, [])
