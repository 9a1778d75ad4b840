"""Collections that ragguard never wrote: what is found in them, and that nothing is changed."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
import qdrant_edge as edge

from ragguard.audit.findings import AuditReport
from ragguard.audit.index.foreign import Fields, audit_collection
from ragguard.audit.report import json
from ragguard.config import Settings
from ragguard.errors import StoreError, UsageError
from ragguard.store import Point, open_store
from ragguard.store.foreign import open_foreign
from tests.store.test_foreign import make_shard, state
from tests.support.audit.spools import D, Passage, campaign, crowd
from tests.support.checks.views import unit
from tests.support.servers.qdrant_shim import Shim
from tests.support.simulator import NOW, SUSPECT


def written(passages: list[Passage]) -> list[Any]:
    """Points as langchain-qdrant writes them."""
    return [
        edge.Point(
            number,
            p.vector.tolist(),
            {"page_content": p.text, "metadata": {"source": p.document, "page": 1}},
        )
        for number, p in enumerate(passages)
    ]


def shard(folder: Path, points: list[Any], distance: Any = edge.Distance.Cosine) -> Path:
    return make_shard(folder, points, edge.EdgeVectorParams(size=D, distance=distance))


def audited(path: Path, fields: Fields | None = None, **settings: Any) -> AuditReport:
    with open_foreign(path=path) as opened:
        return audit_collection(opened, fields or Fields(), Settings.model_validate(settings), NOW)


def parts(report: AuditReport) -> Mapping[str, str]:
    return {p.name: p.state for p in report.parts}


# --- poison ---------------------------------------------------------------------------------------


def test_a_campaign_and_an_instruction_are_found_and_nothing_is_changed(tmp_path: Path) -> None:
    honest = crowd(250)
    planted = campaign(honest)
    bad = Passage("safe.md", unit(honest[3].vector + 0.1), SUSPECT)
    folder = shard(tmp_path / "docs", written([*honest, *planted, bad]))
    before = state(tmp_path)
    report = audited(folder)
    assert state(tmp_path) == before
    assert report.exit_code() == 1
    (found,) = [f for f in report.findings if f.rule == "campaign" and f.count == 4]
    assert {m.removeprefix("/") for m in found.facts["members"]} == {p.document for p in planted}
    said = {f.document.removeprefix("/"): f.rule for f in report.findings}
    assert said["safe.md"] == "hidden-or-instructing"
    assert len({d for d in said if "planted" not in d and d != "safe.md"}) <= 3
    assert report.counts == {"points": 255, "documents": 255}
    assert {p.document.removeprefix("/") for p in report.places if p.suspect} >= {
        p.document for p in planted
    }
    (row,) = report.sources
    assert (row.documents, row.state) == (255, "unsigned")


def test_what_cannot_be_said_of_it_is_said(tmp_path: Path) -> None:
    report = audited(shard(tmp_path / "docs", written(crowd(60))))
    assert parts(report) == {
        **dict.fromkeys(("fields", "index", "neighbours", "neighbourhoods", "checks"), "done"),
        **dict.fromkeys(("log", "provenance", "drift"), "skipped"),
    }
    reasons = {p.name: p.reason for p in report.parts if p.state == "skipped"}
    assert "no signatures" in reasons["provenance"]
    assert "ragguard adopt" in reasons["drift"]
    assert (report.previous, report.collection) == ("", "docs")
    assert report.name.startswith("docs at ")
    assert report.fresh == {f.identity for f in report.findings}
    assert json.dump(json.load(json.dump(report))) == json.dump(report)


def test_a_server_is_read_as_a_folder_is(tmp_path: Path) -> None:
    honest = crowd(250)
    points = [
        Point(str(UUID(int=i)), p.vector, {"page_content": p.text, "metadata": {"n": i}})
        for i, p in enumerate([*honest, *campaign(honest)])
    ]
    shim = Shim(tmp_path / "index")
    try:
        store = open_store(tmp_path, shim.url)
        store.create("docs", D)
        store.upsert("docs", points)
        store.close()
        with open_foreign(url=shim.url, collection="docs") as opened:
            report = audit_collection(opened, Fields(), Settings(), NOW)
    finally:
        shim.close()
    assert report.counts["points"] == 254
    assert 4 in [f.count for f in report.findings if f.rule == "campaign"]


def test_only_a_sample_is_judged_where_it_is_large_and_that_is_said(tmp_path: Path) -> None:
    report = audited(shard(tmp_path / "docs", written(crowd(150))), audit={"judge_documents": 100})
    (part,) = [p for p in report.parts if p.name == "checks"]
    assert (part.state, part.looked_at) == ("partial", 100)
    assert "100 documents" in part.reason


# --- odd collections ------------------------------------------------------------------------------


def test_vectors_without_direction_and_points_without_text_are_named(tmp_path: Path) -> None:
    honest = written(crowd(60))
    odd = [
        edge.Point(900, [float("nan")] * D, {"page_content": "nan", "metadata": {}}),
        edge.Point(901, [float("nan")] * D, {"page_content": "nan too", "metadata": {}}),
        edge.Point(902, np.ones(D).tolist(), {"other": 1}),
    ]
    report = audited(shard(tmp_path / "docs", [*honest, *odd], edge.Distance.Dot))
    (found,) = [f for f in report.findings if f.rule == "vector-invalid"]
    assert (found.count, found.facts["points"]) == (2, ["900", "901"])
    assert report.exit_code() == 3
    (part,) = [p for p in report.parts if p.name == "index"]
    assert part.state == "partial"
    assert "left out: 1 points have no text" in part.reason
    assert part.looked_at == 63


def test_named_vectors_are_optional_and_points_without_the_one_read_are_left_out(
    tmp_path: Path,
) -> None:
    params = {
        n: edge.EdgeVectorParams(size=D, distance=edge.Distance.Cosine) for n in ("text", "image")
    }
    points = [
        edge.Point(
            n,
            {"image" if n % 3 == 0 else "text": p.vector.tolist()},
            {"page_content": p.text, "metadata": {"source": p.document}},
        )
        for n, p in enumerate(crowd(60))
    ]
    folder = make_shard(tmp_path / "docs", points, params)
    with open_foreign(path=folder, vector="text") as opened:
        report = audit_collection(opened, Fields(), Settings(), NOW)
    assert [f for f in report.findings if f.rule == "vector-invalid"] == []
    assert report.exit_code() != 3
    assert report.counts == {"points": 40, "documents": 40}
    said = {p.name: p.reason for p in report.parts}
    assert "20 points have no vector 'text'" in said["index"]
    assert said["fields"].startswith(
        "text from 'page_content', metadata from 'metadata', documents by 'metadata.source'"
    )
    assert "vector 'text' (not 'image')" in said["fields"]


def test_the_only_vector_of_a_collection_is_not_optional(tmp_path: Path) -> None:
    honest = written(crowd(60))
    report = audited(shard(tmp_path / "docs", [*honest, edge.Point(900, [0.0] * D, {})]))
    assert [f.rule for f in report.findings if f.rule == "vector-invalid"] == ["vector-invalid"]


def test_fields_may_be_told(tmp_path: Path) -> None:
    points = [
        edge.Point(i, p.vector.tolist(), {"x": {"said": p.text}, "who": p.document, "n": i})
        for i, p in enumerate(crowd(40))
    ]
    report = audited(shard(tmp_path / "docs", points), Fields(text="x.said", document="who"))
    assert report.counts["documents"] == 40
    assert any(p.document.endswith("wiki/7.md") for p in report.places)


def test_an_empty_collection_is_a_usage_error(tmp_path: Path) -> None:
    folder = shard(tmp_path / "docs", [])
    with pytest.raises(UsageError, match="empty") as error:
        audited(folder)
    assert error.value.exit_code == 2


def test_a_collection_without_text_is_a_usage_error(tmp_path: Path) -> None:
    points = [edge.Point(i, p.vector.tolist(), {"n": i}) for i, p in enumerate(crowd(10))]
    with pytest.raises(UsageError, match="text") as error:
        audited(shard(tmp_path / "docs", points))
    assert error.value.exit_code == 2
    assert error.value.hint


def test_a_text_field_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere"):
        audited(shard(tmp_path / "docs", written(crowd(10))), Fields(text="nowhere"))


def test_the_client_s_own_local_format_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "local/collection/docs"
    folder.mkdir(parents=True)
    (tmp_path / "local/meta.json").write_text("{}")
    sqlite3.connect(folder / "storage.sqlite").close()
    with pytest.raises(StoreError, match="pickles") as error:
        audited(tmp_path / "local")
    assert error.value.exit_code == 5


def test_a_server_that_does_not_answer_is_a_store_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(StoreError) as error, open_foreign(url=url, collection="docs") as opened:
        audit_collection(opened, Fields(), Settings(), NOW)
    assert error.value.exit_code == 5
