"""`adopt` and `publish` as a shell sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SUSPECT, Shell
from tests.ingest.test_adopt import legacy, point
from tests.support.servers import qdrant_shim
from tests.support.simulator import HONEST

pytestmark = pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A collection with six honest documents, an instruction and a point without text."""
    return legacy(tmp_path / "legacy", {**HONEST, "safe.md": SUSPECT}, point(1, None, "void.md"))


def test_adopting_says_plainly_that_nobody_vouches(
    made: Shell, collection: Path, schema: Callable[[str, Any], None]
) -> None:
    result = made("adopt", "--path", collection, "--source", "legacy", "--dry-run")
    assert result.exit_code == 1
    assert "'legacy' is UNSIGNED: nobody vouches" in result.stdout
    assert "8 points, 7 documents (langchain: text in page_content" in result.stdout
    assert "legacy/safe.md" in result.stdout
    assert "legacy/leave.md" not in result.stdout  # it waits for a signature and nothing else
    assert "1 with 'no text'" in result.stderr
    assert "next: the same without --dry-run" in result.stdout
    body = made.json("adopt", "--path", collection, "--source", "legacy", code=1)
    schema("ingest", body)
    assert body["counts"]["quarantined"] == 7
    assert body["manifests"][0]["commit"] == 1
    shown = made.ok("quarantine", "show", "legacy/leave.md")
    assert "signed by   nobody" in shown
    assert "nobody signed it: adopted from the collection legacy" in shown
    (row,) = made.json("history")
    assert (row["kind"], row["actor"], row["source"]) == ("adopt", "nobody", "legacy")


def test_what_passes_is_found_after_adopting_in_trust_mode(made: Shell, collection: Path) -> None:
    again = ("adopt", "--path", collection, "--source", "legacy", "--mode", "trust")
    assert made(*again, "--exit-zero").exit_code == 0
    result = made(*again)
    assert "nothing new" in result.stdout
    assert "1 quarantined  6 unchanged" in result.stdout
    (hit,) = made.json("search", "how many days of leave do I have", "-k", "1")
    assert hit["document"] == "legacy/leave.md"


def test_places_and_fields_that_are_wrong_are_usage_errors(
    made: Shell, collection: Path, tmp_path: Path
) -> None:
    for options, said in (
        ((), "one of them"),
        (("--path", tmp_path), "no index"),
        (("--path", collection, "--text-field", "txt"), "no text at 'txt'"),
        (("--path", collection, "--vector", "v"), "no vector 'v'"),
    ):
        result = made("adopt", "--source", "legacy", *options)
        assert (result.exit_code, said in result.stderr) == (2, True), result.output


def test_the_key_of_a_server_comes_from_the_environment_and_is_not_shown(
    made: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = qdrant_shim.Shim(tmp_path / "remote")
    seen: list[Any] = []
    real = qdrant_shim._Handler._serve

    def serve(handler: Any) -> None:
        seen.append(handler.headers.get("api-key"))
        real(handler)

    monkeypatch.setattr(qdrant_shim._Handler, "do_GET", serve)
    url = shim.url.replace("http://", "http://user:secret@")
    result = made(
        *("adopt", "--url", url, "--source", "legacy", "--collection", "docs"),
        variables={"RAGGUARD_FOREIGN_API_KEY": "topsecret"},
    )
    shim.close()
    assert result.exit_code == 2
    assert "no collection 'docs'" in result.stderr
    assert seen[0] == "topsecret"
    assert "secret" not in result.output


def test_publishing_names_what_readers_open(served: Shell, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = served.ok("publish", out)
    assert "published commit 1" in said
    assert "corpus-g1-1" in said
    assert "published already" in served.ok("publish", out)
    body = served.json("publish", out)
    assert (body["collection"], body["fresh"], body["removed"]) == ("corpus-g1-1", False, [])
    assert served("publish", served.folder).exit_code == 2
