"""The shipped sample: signed, complete, labelled, and as large as promised."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ragguard.errors import GapError
from ragguard.ingest.run import ingest
from ragguard.ingest.sign import read_metadata
from ragguard.ingest.verify import verify
from ragguard.trust import keys
from tests.support.simulator import Gate
from tests.support.workspaces.handbook import CORPORA

KEYS = CORPORA.parent / "keys"
HANDBOOK = CORPORA / "handbook"
POISON = CORPORA / "poison"


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def gate(new_gate: Any) -> Any:
    made = new_gate()
    public = keys.load_public((KEYS / "handbook-publisher.pub").read_bytes())
    made.trust(keys.KeyPair(made.alice.signing_key, public), source="handbook")
    return made


def test_the_signed_first_edition_is_what_lies_there(gate: Gate) -> None:
    found = verify(gate.workspace, HANDBOOK / "v1.intoto.json", root=HANDBOOK / "v1")
    assert found.wrong == ()
    files = {p.relative_to(HANDBOOK / "v1").as_posix() for p in (HANDBOOK / "v1").rglob("*.*")}
    assert {s.name for s in found.manifest.subjects} == files
    assert len(files) >= 120


def test_the_second_edition_follows_from_the_first_only(gate: Gate) -> None:
    with pytest.raises(GapError):
        verify(gate.workspace, HANDBOOK / "v2.intoto.json", root=HANDBOOK / "v2")


def test_the_second_edition_comes_in_after_the_first(gate: Gate) -> None:
    for edition in ("v1", "v2"):
        report = ingest(
            gate.workspace, [HANDBOOK / f"{edition}.intoto.json"], root=HANDBOOK / edition
        )
        assert [m.error for m in report.manifests] == [None]
    assert len(report.documents) == len([p for p in (HANDBOOK / "v2").rglob("*.*")])


def test_formats_and_departments_are_as_many_as_promised() -> None:
    metadata = read_metadata(HANDBOOK / "metadata.json")
    assert len({Path(name).suffix for name in metadata}) == 4
    assert len({entry["department"] for entry in metadata.values()}) == 6


def test_canaries_ask_for_documents_that_exist() -> None:
    queries = {q["id"] for q in lines(HANDBOOK / "canaries/queries.jsonl")}
    qrels = [r.split() for r in (HANDBOOK / "canaries/qrels.trec").read_text().splitlines()]
    assert len(queries) == 60
    assert {r[0] for r in qrels} == queries
    assert [r[2] for r in qrels if not (HANDBOOK / "v1" / r[2]).is_file()] == []


def test_poison_is_labelled_and_of_ten_families_at_least() -> None:
    rows = lines(POISON / "labels.jsonl")
    files = {
        p.relative_to(POISON / "documents").as_posix() for p in (POISON / "documents").rglob("*.*")
    }
    families = Counter(r["family"] for r in rows)
    assert {r["id"] for r in rows} == files == set(read_metadata(POISON / "metadata.json"))
    assert len(set(families) - {"honest-lookalike"}) >= 10
    assert sum(families.values()) - families["honest-lookalike"] >= 40
