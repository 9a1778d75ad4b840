"""What `ragguard audit` starts by itself: a candidate is built, nothing is cut over."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from tests.cli.conftest import Clock, Shell


@pytest.fixture(autouse=True)
def _clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("ragguard.cli.audit"), "now", clock)


def kinds(shell: Shell) -> list[str]:
    return [row["kind"] for row in shell.json("history")][::-1]


def test_an_audit_stages_a_rebuild_for_what_is_new_and_cuts_nothing_over(
    served: Shell, clock: Clock
) -> None:
    Path("q.jsonl").write_text(json.dumps({"id": "leave", "text": "days of paid leave"}) + "\n")
    Path("qrels.trec").write_text("leave 0 leave.md 1\n")
    served.ok("canary", "add", "q.jsonl", "--qrels", "qrels.trec", "--prefix", "wiki/")
    settings = served.folder / "ragguard.toml"
    settings.write_text(settings.read_text() + '\n[triggers]\ncanaries = ["stage"]\n')
    assert "[triggers]" not in served("audit").stderr  # the canaries are answered as they should

    served.write({"leave.md": "# Bicycles\n\nStands for bicycles are behind the machine hall."})
    served.sign("two.intoto.json")
    served("ingest", "two.intoto.json", "--root", served.site)
    clock.later(days=1)
    result = served("audit")
    assert "[triggers] canaries: started reindex --stage: commit" in result.stderr
    assert kinds(served) == ["ingest", "ingest", "stage"]

    clock.later(days=1)
    assert "[triggers]" not in served("audit").stderr  # the same finding, a day later
    assert kinds(served) == ["ingest", "ingest", "stage"]
