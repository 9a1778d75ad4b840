"""LangChain's `index()` through the gate: nothing given is lost, nothing that went stays."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore

from ragguard.errors import IncompleteError, IntegrityError, StoreError, UsageError
from ragguard.integrations.langchain import GuardedIndex
from ragguard.integrations.sink import Cleanup, SinkResult, plain_metadata
from ragguard.integrations.subject_names import Names, encoded
from ragguard.parse.records import MAX_LINE_BYTES
from ragguard.quarantine.review import decide, find
from ragguard.trust import keys
from ragguard.trust.names import check_name
from tests.support.simulator import HONEST, SUSPECT, Gate

A, B, C, D, E, F = HONEST.values()
Given = Sequence[tuple[str, str]]  # source id and text


def documents(given: Given) -> list[Document]:
    return [Document(page_content=text, metadata={"source": source}) for source, text in given]


class Loader(BaseLoader):
    def __init__(self, given: Given) -> None:
        self.given = given

    def lazy_load(self) -> Iterator[Document]:
        yield from documents(self.given)


@dataclass
class Side:
    """A gate and an index that writes to it."""

    gate: Gate
    index: GuardedIndex

    def there(self, zone: str = "serving") -> set[tuple[str, str]]:
        """Source id and text of every point."""
        points = self.gate.points(zone).values() if self.gate.workspace.generation() else ()
        return {(p["metadata"]["source"], p["page_content"]) for p in points}

    def write(self, given: Given, cleanup: Cleanup = "incremental") -> SinkResult:
        return self.index.index(documents(given), cleanup=cleanup, source_id_key="source")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Side]:
    gate = Gate(tmp_path_factory.mktemp("gate"), judge={"removal_share": 1.0})
    yield Side(gate, GuardedIndex(gate.workspace, "wiki", gate.alice))
    gate.close()


@pytest.fixture
def side(shared: Side) -> Side:
    """Nothing in it; made once."""
    shared.index.index([], cleanup="full")
    assert shared.there() == shared.there("quarantine") == set()
    return shared


# --- what LangChain's own tests ask ---------------------------------------------------------------

# Calls in turn: what is given, and the clean-up. After LangChain's tests of `index()`, and threads
# of its users: pieces of one source in several batches, sources that shrink, grow, split or go.
SCENARIOS: dict[str, list[tuple[Given, Cleanup]]] = {
    "the same again": [([("1", A), ("2", B)], None), ([("1", A), ("2", B)], None)],
    "no clean-up keeps what was": [([("1", A), ("2", B)], None), ([("1", C), ("2", B)], None)],
    "full takes out what is not given": [
        ([("1", A), ("2", B)], "full"),
        ([("1", C), ("2", B)], "full"),
        ([("1", C), ("2", B)], "full"),
    ],
    "full with nothing": [([("1", A), ("2", B)], "full"), ([], "full")],
    "incremental replaces a source": [
        ([("1", A), ("2", B)], "incremental"),
        ([("1", C), ("1", D), ("2", B)], "incremental"),
    ],
    "incremental leaves other sources": [
        ([("1", A), ("2", B), ("3", C)], "incremental"),
        ([("2", D)], "incremental"),
    ],
    "one source in many batches": [
        ([("1", A), ("1", B), ("1", C), ("1", D)], "incremental"),
        ([("1", A), ("1", B), ("1", C), ("1", D)], "incremental"),
    ],
    "a source loses a piece in the middle": [
        ([("1", A), ("1", B), ("1", C)], "incremental"),
        ([("1", A), ("1", C)], "incremental"),
    ],
    "a source loses a piece and all others stay": [
        ([("1", A), ("1", B), ("2", C)], "scoped_full"),
        ([("1", A)], "scoped_full"),
    ],
    "a piece comes first": [
        ([("1", A), ("1", B)], "incremental"),
        ([("1", C), ("1", A), ("1", B)], "incremental"),
    ],
    "pieces change places": [
        ([("1", A), ("1", B)], "incremental"),
        ([("1", B), ("1", A)], "incremental"),
    ],
    "a piece moves to another source": [
        ([("1", A), ("1", B)], "incremental"),
        ([("1", A), ("2", B)], "incremental"),
    ],
    "the same piece twice": [([("1", A), ("1", A), ("2", B)], "full")],
    "scoped full leaves what is not named": [
        ([("1", A), ("2", B)], "scoped_full"),
        ([("1", C)], "scoped_full"),
    ],
    "there, away, and there again": [
        ([("1", A)], "incremental"),
        ([("1", B)], "incremental"),
        ([("1", A)], "incremental"),
    ],
    "clean-ups mixed": [
        ([("1", A)], None),
        ([("1", B)], None),
        ([("2", C), ("1", B)], "incremental"),
        ([("2", C), ("3", D)], "full"),
    ],
}


def expected(calls: list[tuple[Given, Cleanup]]) -> set[tuple[str, str]]:
    """What has to be there in the end."""
    there: set[tuple[str, str]] = set()
    for given, cleanup in calls:
        named = {source for source, _ in given}
        if cleanup == "full":
            there = set()
        elif cleanup is not None:
            there = {(s, t) for s, t in there if s not in named}
        there |= set(given)
    return there


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_is_lost_and_nothing_is_orphaned(side: Side, name: str) -> None:
    for given, cleanup in SCENARIOS[name]:
        made = side.write(given, cleanup)
        assert (made.num_waiting, made.num_rejected, made.note) == (0, 0, "")
    wanted, there = expected(SCENARIOS[name]), side.there()
    assert (wanted - there, there - wanted) == (set(), set())


@pytest.mark.parametrize("name", SCENARIOS)
def test_that_is_what_langchains_index_does(name: str) -> None:
    records = InMemoryRecordManager(namespace="test")
    records.create_schema()
    store = InMemoryVectorStore(DeterministicFakeEmbedding(size=5))
    for given, cleanup in SCENARIOS[name]:
        options: dict[str, Any] = {"source_id_key": "source", "key_encoder": "sha256"}
        index(documents(given), records, store, cleanup=cleanup, **options)
    there = {(d["metadata"]["source"], d["text"]) for d in store.store.values()}
    assert there == expected(SCENARIOS[name])


def test_counts_are_named_as_langchain_names_them(side: Side) -> None:
    def counts(given: Given, cleanup: Cleanup) -> tuple[int, int, int, int]:
        made = side.write(given, cleanup)
        return made.num_added, made.num_updated, made.num_skipped, made.num_deleted

    assert counts([("1", A), ("2", B)], "full") == (2, 0, 0, 0)
    assert counts([("1", A), ("2", B), ("2", B)], "full") == (0, 0, 3, 0)
    assert counts([("1", C), ("1", D)], "incremental") == (1, 1, 0, 0)
    assert counts([("1", C)], "incremental") == (0, 0, 1, 1)
    assert counts([], "incremental") == (0, 0, 0, 0)
    assert counts([], "full") == (0, 0, 0, 2)


def test_a_call_is_one_commit_signed_by_the_service(side: Side) -> None:
    made = side.write([("1", A), ("2", B)])
    assert made.report is not None
    [manifest] = made.report.manifests
    assert manifest.commit is not None
    assert [v.id for v in made.verdicts] == ["1.jsonl#0", "2.jsonl#0"]
    assert {v.outcome for v in made.verdicts} == {"admit"}


def test_a_loader_and_an_event_loop_may_index(side: Side) -> None:
    asyncio.run(
        side.index.aindex(Loader([("1", A)]), cleanup="incremental", source_id_key="source")
    )
    side.index.index(
        Loader([("1", B)]), cleanup="full", source_id_key=lambda d: str(d.metadata["source"])
    )
    assert side.there() == {("1", B)}


def test_deleting_by_source(side: Side) -> None:
    side.write([("1", A), ("1", B), ("2", C)])
    assert side.index.delete(["1", "never there"]).num_deleted == 2
    assert side.there() == {("2", C)}
    assert side.index.delete(["1"]) == SinkResult()


def test_without_source_ids_documents_are_known_by_what_they_say(side: Side) -> None:
    plain = [Document(page_content=t) for t in (A, B)]
    assert side.index.index(plain).num_added == 2
    assert side.index.index(plain).num_skipped == 2
    made = side.index.index([plain[0], Document(page_content=C)], cleanup="full")
    assert (made.num_added, made.num_skipped, made.num_deleted) == (1, 1, 1)


@pytest.mark.parametrize("cleanup", ["incremental", "scoped_full"])
def test_a_clean_up_by_source_needs_source_ids(side: Side, cleanup: Cleanup) -> None:
    side.write([("1", A)])
    with pytest.raises(UsageError, match="has none"):
        side.index.index(documents([("1", B)]), cleanup=cleanup)
    odd = [*documents([("1", B)]), Document(page_content=C, metadata={"source": None})]
    with pytest.raises(UsageError, match="has none"):
        side.index.index(odd, cleanup=cleanup, source_id_key="source")
    assert side.there() == {("1", A)}


def test_another_cleanup_is_refused(side: Side) -> None:
    unknown: Any = "all"
    with pytest.raises(UsageError, match="expected incremental"):
        side.write([("1", A)], unknown)


# --- the gate -------------------------------------------------------------------------------------


def test_a_suspect_waits_and_the_version_before_goes_on_serving(side: Side) -> None:
    side.write([("1", A), ("2", B)])
    made = side.write([("1", SUSPECT), ("2", B)])
    assert (made.num_waiting, made.num_skipped, made.num_deleted) == (1, 1, 0)
    assert made.verdicts[0].findings
    assert side.there() == {("1", A), ("2", B)}
    assert side.there("quarantine") == {("1", SUSPECT)}
    again = side.write([("1", SUSPECT), ("2", B)])
    assert (again.num_waiting, side.there()) == (1, {("1", A), ("2", B)})
    side.write([("1", C)])
    assert (side.there(), side.there("quarantine")) == ({("1", C), ("2", B)}, set())


def test_what_only_waits_is_withdrawn_without_a_reviewer(side: Side) -> None:
    side.write([("1", A), ("2", SUSPECT)])
    made = side.write([], "full")  # all of the source, and it may lose all
    assert (made.num_deleted, made.note) == (2, "")
    assert side.there() == side.there("quarantine") == set()


def test_a_key_that_may_not_sign_writes_nothing(side: Side) -> None:
    side.write([("1", A)])
    stranger = GuardedIndex(side.gate.workspace, "wiki", keys.generate("mallory"))
    with pytest.raises(IntegrityError):
        stranger.index(documents([("1", B)]), cleanup="full", source_id_key="source")
    assert side.there() == {("1", A)}


def test_the_key_is_read_from_its_file(side: Side, tmp_path: Path) -> None:
    path = tmp_path / "service.key"
    path.write_bytes(keys.dump_private(side.gate.alice, None))
    path.chmod(0o600)
    GuardedIndex(side.gate.workspace, "wiki", path).index(documents([("1", A)]))
    assert {text for _, text in side.there()} == {A}


def test_a_write_that_fails_half_way_is_finished_by_the_next_call(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.write([("1", A), ("2", B)])
    store = side.gate.workspace.open_store()
    with monkeypatch.context() as patch:

        def fail(*args: object) -> None:
            raise StoreError("store: unreachable")

        patch.setattr(store, "upsert", fail)
        with pytest.raises(IncompleteError):
            side.write([("1", C), ("1", D)])
    side.write([("2", B)])
    assert side.there() == {("1", C), ("1", D), ("2", B)}


def test_a_removal_that_waits_for_a_reviewer_outlives_other_calls(new_gate: Any) -> None:
    gate = new_gate()
    side = Side(gate, GuardedIndex(gate.workspace, "wiki", gate.alice))
    side.write([("1", A), ("1", B), ("2", C), ("3", D), ("3", E)])
    assert "a reviewer decides" in side.write([("1", A), ("3", E)]).note  # two of five
    assert "a reviewer decides" in side.write([("4", F)]).note  # and asked again
    everything = {("1", A), ("1", B), ("2", C), ("3", D), ("3", E), ("4", F)}
    assert side.there() == everything
    [case] = gate.cases()
    decide(gate.workspace, find(gate.workspace.ledger, str(case.id)), "release", gate.bob, "gone")
    assert side.there() == everything - {("1", B), ("3", D)}


# --- names and metadata ---------------------------------------------------------------------------


def test_odd_origins_have_names_of_their_own(side: Side) -> None:
    origins = [
        "https://wiki.example/a b?page=1#top",
        "/srv/files/leave.md",
        "../leave.md",
        ".hidden/leave.md",
        "C:\\files\\leave.md",
        "a" * 3000,
        "Ü\u0308ber",
    ]
    given = list(zip(origins, [A, B, C, D, E, F, A + " And so on."], strict=True))
    side.write(given)
    assert side.there() == set(given)
    side.write(given[:3])
    assert side.there() == set(given)
    assert side.index.delete(origins).num_deleted == len(origins)


def test_origins_that_look_alike_come_in_under_names_that_do_not(side: Side) -> None:
    given = [("FAQ.md", A), ("faq.md", B), ("f\u0430q.md", C)]
    side.write(given)
    side.write([given[2], ("FAQ.md", D)])
    side.write([given[1]])
    assert side.there() == {("FAQ.md", D), *given[1:]}


def test_no_two_origins_have_one_name() -> None:
    odd = ["a", "a~", "a%7E", "%61", "a/b", "a%2Fb", "/a", "%2Fa", "a//b", "a#b", "a%23b", "", "."]
    odd += [
        "..",
        "a.jsonl/b",
        "a.jsonl%2Fb",
        "a" * 999,
        "a" * 998,
        "\ud800",
        "é",
        "e\u0301",
        "a\\b",
    ]
    made = [encoded(origin) for origin in odd if origin]
    assert len(set(made)) == len(made)
    assert [check_name(f"{name}.jsonl") for name in made] == [f"{n}.jsonl" for n in made]
    names = Names([])
    assert len({names.of(origin) for origin in odd if origin}) == len(made)


def test_metadata_is_kept_as_a_document_can_carry_it(side: Side) -> None:
    metadata = {
        "source": "1",
        "page": 3,
        "tags": ["a", 2**60, None],
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "size": {"w": 1, "on": date(2026, 1, 2)},
        "odd": float("nan"),
        "half": "\ud800",
        7: Path("a"),
    }
    side.index.index([Document(page_content=A, metadata=metadata)], source_id_key="source")
    [point] = side.gate.points().values()
    assert point["metadata"] == {
        "source": "1",
        "page": 3,
        "tags": ["a", str(2**60), None],
        "when": "2026-01-02 00:00:00+00:00",
        "size": '{"on": "2026-01-02", "w": 1}',
        "odd": "nan",
        "half": "\ufffd",
        "7": "a",
    }
    again = side.index.index([Document(page_content=A, metadata=metadata)], source_id_key="source")
    assert again.num_skipped == 1
    numbers = plain_metadata({"n": np.int64(3), "x": np.float32(0.5), "yes": True})
    assert numbers == {"n": 3, "x": 0.5, "yes": True}
    assert [type(v) for v in numbers.values()] == [int, float, bool]
    assert plain_metadata({"nested": [[1], {2: 3}]}) == {"nested": ["[1]", '{"2": 3}']}


def test_one_bad_document_stops_no_other(side: Side) -> None:
    given = [
        ("1", "a\x00b"),
        ("2", "x" * MAX_LINE_BYTES),
        ("3", A),
        ("4", "half \ud800 pair. " + B),
    ]
    made = side.write(given)
    outcomes = [v.outcome for v in made.verdicts]
    assert outcomes[:3] == ["reject", "reject", "admit"]
    assert (made.num_rejected, made.num_added) == (2, 2)
