"""Adopting: what nobody signed comes in said to be unsigned, once, and never over signed text."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import qdrant_edge as edge

from ragguard.errors import LogError, StoreError, UnsignedError, UsageError
from ragguard.ingest import adopt as adopting
from ragguard.ingest.admission import read_manifest
from ragguard.ingest.adopt import AdoptResult, adopt, passed
from ragguard.ingest.adopt_documents import ForeignPiece, document_id, put_together
from ragguard.ledger import commits, log
from ragguard.ledger import versions as version_rows
from ragguard.ledger.tables import get_meta
from ragguard.ledger.writer import JUDGED_UNTIL
from ragguard.lineage.prove import prove, verify_bundle, verify_log
from ragguard.model import Finding, Verdict
from ragguard.quarantine.review import decide, look
from ragguard.store.foreign import open_foreign
from ragguard.trust import adoption
from ragguard.trust.canonical import canonical
from tests.support.hanging import ends
from tests.support.simulator import HONEST, SUSPECT, Gate, Publisher
from tests.support.workspaces.deciding import decide_all


def point(number: int, text: Any, document: Any, **metadata: Any) -> Any:
    """A point in LangChain's layout; its vector has nothing to do with its text."""
    payload = {"page_content": text, "metadata": {"source": document, **metadata}}
    return edge.Point(number, [1.0, float(number), 0.0], payload)


def legacy(folder: Path, texts: Mapping[str, Any] | None = None, *more: Any) -> Path:
    """A collection of one point a document, written without ragguard; written to, if there."""
    given = HONEST if texts is None else texts
    if folder.exists():
        shard = edge.EdgeShard.load(str(folder))
    else:
        params = edge.EdgeVectorParams(size=3, distance=edge.Distance.Dot)
        shard = edge.EdgeShard.create(str(folder), edge.EdgeConfig(vectors=params))
    points = [point(int(digest_of(name), 16), text, name) for name, text in given.items()]
    shard.update(edge.UpdateOperation.upsert_points([*points, *more]))
    shard.flush()
    shard.close()
    return folder


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def take(gate: Gate, path: Path, mode: Any = "quarantine", **rest: Any) -> AdoptResult:
    with open_foreign(path=path) as foreign:
        return adopt(gate.workspace, foreign, rest.pop("source", "legacy"), mode, **rest)


def manifests(gate: Gate) -> dict[str, Any]:
    """The row that brought each document that is there now."""
    with gate.workspace.ledger.reading() as conn:
        rows = {**version_rows.members(conn, "quarantine"), **version_rows.members(conn, "serving")}
        return {label: commits.manifest_row(conn, row.manifest) for label, row in rows.items()}


# --- modes ----------------------------------------------------------------------------------------


def test_by_default_every_document_waits_and_nothing_serves(gate: Gate, tmp_path: Path) -> None:
    made = take(gate, legacy(tmp_path / "s"))
    assert made.layout.name == "langchain"
    assert (made.points, made.left_out) == (6, {})
    assert made.report.counts["quarantined"] == 6
    assert made.report.exit_code == 1
    assert (gate.documents("serving"), gate.documents("quarantine")) == (set(), set(HONEST))
    assert {c.document for c in gate.cases()} == set(HONEST)
    for verdict in made.report.documents:
        assert verdict.findings[-1].check == "unsigned"
        assert "nobody signed it" in verdict.findings[-1].detail


def test_everything_says_that_nobody_signed(gate: Gate, tmp_path: Path) -> None:
    take(gate, legacy(tmp_path / "s"))
    rows = manifests(gate)
    assert set(rows) == {f"legacy/{name}" for name in HONEST}
    (row,) = {r.digest: r for r in rows.values()}.values()
    assert (row.signers, row.version, row.source) == ([], 0, "legacy")
    record = adoption.parse(gate.workspace.vault.get(row.envelope), max_bytes=1 << 20)
    assert record is not None
    assert (record.source, record.mode, record.collection) == ("legacy", "quarantine", "s")
    assert record.documents["leave.md"] == hashlib.sha256(HONEST["leave.md"].encode()).hexdigest()
    with gate.workspace.ledger.reading() as conn:
        entry = log.body(conn, log.size(conn) - 1)
    assert (entry["act"], entry["actor"], entry["manifest"]) == ("adopt", "nobody", row.digest)
    assert look(gate.workspace, gate.cases()[0]).signers == []
    assert verify_log(gate.workspace).problems == []


def test_in_trust_mode_what_passes_the_checks_is_admitted(gate: Gate, tmp_path: Path) -> None:
    made = take(gate, legacy(tmp_path / "s", {**HONEST, "safe.md": SUSPECT}), "trust")
    assert gate.documents("quarantine") == {"safe.md"}
    assert gate.documents("serving") == set(HONEST)
    assert made.report.counts["admitted"] == 6
    assert made.report.exit_code == 1


def test_trust_after_quarantine_admits_what_waited_only_for_a_signature(
    gate: Gate, tmp_path: Path
) -> None:
    path = legacy(tmp_path / "s", {**HONEST, "safe.md": SUSPECT})
    take(gate, path)
    assert gate.documents("quarantine") == {*HONEST, "safe.md"}
    gate.reopen(hours=1)
    made = take(gate, path, "trust")
    assert gate.documents("serving") == set(HONEST)
    assert gate.documents("quarantine") == {"safe.md"}
    assert [c.document for c in gate.cases()] == ["safe.md"]
    assert made.report.manifests[0].commit == 2


def test_a_dry_run_changes_nothing(gate: Gate, tmp_path: Path) -> None:
    made = take(gate, legacy(tmp_path / "s"), "trust", dry_run=True)
    assert made.report.counts["admitted"] == 6
    assert made.report.manifests[0].commit is None
    assert gate.workspace.generation() is None


# --- what is taken --------------------------------------------------------------------------------


def test_the_vectors_are_our_own_and_the_collection_is_only_read(
    gate: Gate, tmp_path: Path
) -> None:
    path = legacy(tmp_path / "s")
    before = {p: hashlib.sha256(p.read_bytes()).digest() for p in path.rglob("*") if p.is_file()}
    take(gate, path)
    after = {p: hashlib.sha256(p.read_bytes()).digest() for p in path.rglob("*") if p.is_file()}
    assert after == before
    generation = gate.workspace.generation()
    assert generation is not None
    store = gate.workspace.open_store()
    points = [p for b in store.scan(generation.quarantine, vectors=True) for p in b]
    texts = [str(p.payload["page_content"]) for p in points]
    again = gate.workspace.encoder.encode(texts)
    assert np.abs(np.stack([p.vector for p in points]) - again).max() < 1e-5


def test_the_passages_of_a_document_are_put_together_in_their_order(
    gate: Gate, tmp_path: Path
) -> None:
    text = HONEST["laptops.md"]
    cuts = [(90, 230), (0, 100), (220, len(text))]
    points = [
        point(n, text[a:b], "laptops.md", start_index=a, page=n, team="it")
        for n, (a, b) in enumerate(cuts)
    ]
    made = take(gate, legacy(tmp_path / "s", {}, *points))
    (verdict,) = made.report.documents
    assert verdict.digest == hashlib.sha256(text.encode()).hexdigest()
    assert gate.workspace.vault.get(verdict.digest).decode() == text
    (payload,) = gate.points("quarantine").values()
    assert payload["metadata"] == {"source": "laptops.md", "team": "it"}


@pytest.mark.parametrize(
    ("pieces", "offsets", "text"),
    [
        pytest.param([("abcdef", 0), ("efgh", 4)], True, "abcdefgh", id="overlap"),
        pytest.param([("abc", 0), ("def", 3)], True, "abcdef", id="touching"),
        pytest.param([("abc", 0), ("def", 4)], True, "abc\ndef", id="one-apart"),
        pytest.param([("abc", 0), ("def", 9)], True, "abc\n\ndef", id="far-apart"),
        pytest.param([("abcdef", 0), ("bcd", 1)], True, "abcdef", id="within"),
        pytest.param([("abcdef", 0), ("XYgh", 4)], True, "abcdef\n\nXYgh", id="contradicting"),
        pytest.param([("two", 2), ("one", 1)], False, "one\n\ntwo", id="ordinals"),
        pytest.param([("one", 1), ("one", 7)], False, "one", id="repeated"),
        pytest.param([("b", None), ("a", None)], True, "b\n\na", id="by-point-id"),
        pytest.param([("b", 0), ("a", None)], True, "b\n\na", id="one-unplaced"),
    ],
)
def test_pieces_are_joined_without_losing_or_guessing(
    pieces: list[tuple[str, int | None]], offsets: bool, text: str
) -> None:
    made = [ForeignPiece(str(n + 9), t, {}, start) for n, (t, start) in enumerate(pieces)]
    assert put_together(made, offsets=offsets)[0] == text


@ends
def test_pieces_that_all_claim_one_place_are_joined_in_linear_time() -> None:
    pieces = [ForeignPiece(str(n), f"{n:06d} " + "word " * 200, {}, 0) for n in range(30_000)]
    assert put_together(pieces, offsets=True)[0].count("\n\n") == len(pieces) - 1  # none is lost


def test_a_document_keeps_the_metadata_that_all_its_pieces_share_and_a_manifest_could_hold() -> (
    None
):
    big = {f"k{n:03}": "v" * 900 for n in range(40)}
    pieces = [ForeignPiece(str(n), f"t{n}", {"page": n, "team": "it", **big}, n) for n in range(2)]
    metadata = put_together(pieces, offsets=False)[1]
    assert "page" not in metadata
    assert metadata["team"] == "it"
    assert 10 < len(metadata) < 20
    assert len(canonical(metadata)) <= 16_384
    assert put_together(pieces[:1], offsets=False)[1]["page"] == 0


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("docs/a.md", True),
        ("https://example.org/a?b=c#d", True),
        ("Ürün/日本.md", True),
        ("a\x1b[31mb", False),
        ("a\u202eb", False),
        ("a" * 513, False),
        ("U\u0308", False),
        (" a", False),
        ("id-" + "0" * 32, False),
    ],
)
def test_a_name_that_would_deceive_is_replaced_by_its_digest(said: str, kept: bool) -> None:
    made = document_id(said)
    assert made == (said if kept else f"id-{hashlib.sha256(said.encode()).hexdigest()[:32]}")


def test_what_cannot_be_read_is_counted_and_said(gate: Gate, tmp_path: Path) -> None:
    more = [
        point(1, 7, "number.md"),
        point(2, " ", "blank.md"),
        point(3, "A text with a NUL \x00 in it.", "nul.md"),
        edge.Point(4, [1.0, 0.0, 0.0], {"other": True}),
    ]
    made = take(gate, legacy(tmp_path / "s", None, *more))
    assert made.points == 10
    assert made.left_out == {"no text": 1, "text is empty": 1, "text is not a string": 1}
    assert "not all could be read" in made.report.manifests[0].note
    found = {v.id: v for v in made.report.documents}
    assert set(found) == {*HONEST, "nul.md"}
    assert (found["nul.md"].outcome, found["nul.md"].findings[0].check) == ("reject", "unreadable")


def test_names_that_cannot_be_told_apart_wait_even_in_trust_mode(
    gate: Gate, tmp_path: Path
) -> None:
    twin = "Pаrking.md"  # its second letter is Cyrillic
    texts = {"Parking.md": HONEST["visitors.md"], twin: HONEST["releases.md"]}
    path = legacy(tmp_path / "s", texts)
    take(gate, path)
    made = take(gate, path, "trust")
    assert {v.id for v in made.report.documents if v.outcome == "quarantine"} == set(texts)
    assert {v.findings[0].check for v in made.report.documents} == {"look-alike"}
    assert not any(passed(v) for v in made.report.documents)
    assert gate.documents("serving") == set()


# --- again, interrupted, refused ------------------------------------------------------------------


def test_adopting_again_adds_what_is_new_and_nothing_twice(gate: Gate, tmp_path: Path) -> None:
    path = legacy(tmp_path / "s", None, point(1, "\x00", "broken.md"))
    first = take(gate, path)
    assert first.report.manifests[0].commit == 1
    before = gate.points("quarantine")
    again = take(gate, path)
    assert again.report.manifests[0].commit is None
    assert again.report.counts == first.report.counts
    assert gate.points("quarantine") == before
    legacy(path, {"keys.md": "The porter keeps the spare keys in the grey cabinet."})
    gate.reopen(hours=1)
    third = take(gate, path)
    assert third.report.manifests[0].commit == 2
    assert gate.documents("quarantine") == {*HONEST, "keys.md"}
    versions = sorted({r.version for r in manifests(gate).values()})
    assert versions == [-1, 0]


def test_an_interrupted_adoption_is_finished_by_the_next_run(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = legacy(tmp_path / "s")

    def fails(*_: Any) -> None:
        raise StoreError("the disk is gone")

    gate.publish({"start.md": HONEST["leave.md"]})
    with monkeypatch.context() as patch:
        patch.setattr(gate.workspace.open_store(), "flush", fails)
        with pytest.raises(StoreError, match="disk is gone"):
            take(gate, path)
    assert gate.cases() == []
    gate.reopen()
    made = take(gate, path)
    assert made.report.recovered == 1
    assert made.report.manifests[0].commit is None
    assert gate.documents("quarantine") == set(HONEST)
    assert len(gate.cases()) == len(HONEST)


def test_of_what_an_adoption_pulls_back_one_version_waits_and_it_has_one_case(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.publish(HONEST)
    gate.publish({"leave.md": f"{HONEST['leave.md']}\n\n{SUSPECT}"})  # waits beside what serves
    with gate.workspace.ledger.reading() as conn:
        row = version_rows.members(conn, "serving")["wiki/leave.md"]
    judge = adopting.judge_documents

    def and_pull(*given: Any, **rest: Any) -> Any:
        said = (Finding("collusion", 1.0, 0.001, "a companion came", {}),)
        verdict = Verdict("wiki", "leave.md", row.digest, "quarantine", 0.9, 0.001, said)
        verdicts, embedded, _ = judge(*given, **rest)
        given[5].judged_until = row.id
        return verdicts, embedded, [(row, verdict)]

    monkeypatch.setattr(adopting, "judge_documents", and_pull)
    take(gate, legacy(tmp_path / "s", {"keys.md": "The porter keeps the spare keys."}))
    with gate.workspace.ledger.reading() as conn:
        waiting = version_rows.stays_at(conn, "quarantine")
        assert get_meta(conn, JUDGED_UNTIL) == str(row.id)
    assert sorted((r.document, r.digest) for r in waiting if r.source == "wiki") == [
        ("leave.md", row.digest)
    ]
    assert [c.state for c in gate.cases(None) if c.source == "wiki"] == ["superseded", "open"]


def test_a_signed_document_replaces_the_adopted_one_also_when_its_bytes_are_equal(
    gate: Gate, tmp_path: Path
) -> None:
    take(gate, legacy(tmp_path / "s"), "trust")
    assert all(r.signers == [] for r in manifests(gate).values())
    gate.trust(gate.alice, source="legacy")
    publisher = Publisher(tmp_path / "legacy", gate.alice, "legacy")
    texts = {**HONEST, "leave.md": HONEST["leave.md"].replace("27", "28")}
    report = gate.ingest(publisher.publish(texts), root=publisher.folder)
    assert report.manifests[0].error is None
    rows = manifests(gate)
    assert set(rows) == {f"legacy/{name}" for name in HONEST}
    assert {tuple(r.signers[0])[1] for r in rows.values()} == {"alice"}
    texts_now = [
        p["page_content"] for z in ("serving", "quarantine") for p in gate.points(z).values()
    ]
    assert any("28 days" in t for t in texts_now)
    with pytest.raises(UsageError, match="has signed manifests"):
        take(gate, tmp_path / "s")


def test_a_record_of_an_adoption_is_no_manifest(gate: Gate, tmp_path: Path) -> None:
    take(gate, legacy(tmp_path / "s"))
    (row, *_) = manifests(gate).values()
    record = gate.workspace.vault.get(row.envelope)
    path = tmp_path / "record.json"
    path.write_bytes(record)
    report = gate.ingest(path)
    assert report.exit_code == 3
    envelope = {"payload": "", "payloadType": "application/vnd.in-toto+json", "signatures": []}
    path.write_text(json.dumps(envelope))
    with pytest.raises(UnsignedError):
        read_manifest(gate.workspace, path)


def test_a_reviewer_releases_an_adopted_document_and_the_proof_names_no_signer(
    gate: Gate, tmp_path: Path
) -> None:
    take(gate, legacy(tmp_path / "s"))
    case = next(c for c in gate.cases() if c.document == "leave.md")
    decide(gate.workspace, case, "release", gate.bob, "asked the team")
    assert gate.documents("serving") == {"leave.md"}
    bundle = prove(gate.workspace, "legacy/leave.md")
    keys = dict(gate.workspace.root.keys)
    said = verify_bundle(json.dumps(bundle).encode(), gate.workspace.log_key, keys)
    assert (said["outcome"], said["signed_by"]) == ("released", [])
    assert [(a["act"], a["actor"]) for a in said["acts"]] == [
        ("adopt", "nobody"),
        ("release", "bob"),
    ]
    record = json.loads(base64.b64decode(bundle["manifest"]))
    record["subject"][0]["digest"]["sha256"] = "0" * 64
    forged = {**bundle, "manifest": base64.b64encode(json.dumps(record).encode()).decode()}
    with pytest.raises(LogError, match="record of its adoption"):
        verify_bundle(json.dumps(forged).encode(), gate.workspace.log_key, keys)
    take(gate, tmp_path / "s")
    assert gate.documents("serving") == {"leave.md"}


def test_what_a_reviewer_rejected_is_not_adopted_again(gate: Gate, tmp_path: Path) -> None:
    path = legacy(tmp_path / "s")
    take(gate, path)
    case = next(c for c in gate.cases() if c.document == "leave.md")
    decide(gate.workspace, case, "reject", gate.bob, "poison")
    made = take(gate, path, "trust")
    assert {v.id for v in made.report.documents if v.outcome == "reject"} == {"leave.md"}
    assert "leave.md" not in gate.documents("serving") | gate.documents("quarantine")


def test_a_reviewer_rejects_the_bad_and_releases_the_rest_at_once(
    gate: Gate, tmp_path: Path
) -> None:
    made = take(gate, legacy(tmp_path / "s", {**HONEST, "safe.md": SUSPECT}))
    commit = made.report.manifests[0].commit
    assert commit == 1
    (worst,) = [c for c in gate.cases() if c.document == "safe.md"]
    decide(gate.workspace, worst, "reject", gate.bob, "poison")
    decide_all(gate.workspace, commit, "release", gate.bob, "looked through")
    assert (gate.documents("serving"), gate.documents("quarantine")) == (set(HONEST), set())
    assert gate.cases() == []
    again = take(gate, tmp_path / "s")
    assert again.report.counts["unchanged"] == 6
    assert verify_log(gate.workspace).problems == []


def test_a_source_name_has_a_form(gate: Gate, tmp_path: Path) -> None:
    path = legacy(tmp_path / "s", {"a": "Some text."})
    for name in ("", "Legacy", "a/b", "x" * 65):
        with pytest.raises(UsageError, match="source"):
            take(gate, path, source=name)


def test_the_record_reads_back_and_other_bytes_are_none() -> None:
    at = "2026-03-01T12:00:00Z"
    made = adoption.Adoption("legacy", at, "p", "c", "trust", {"text": "t"}, {"a": "0" * 64})
    assert adoption.parse(adoption.dump(made), max_bytes=1000) == made
    for other in (b"\xff", b"[]", b'{"payload": "", "signatures": []}'):
        assert adoption.parse(other, max_bytes=1000) is None
