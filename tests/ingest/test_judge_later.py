"""What came in while the index was too small to judge it is judged as soon as the index can."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from ragguard.audit.log_check import check_log
from ragguard.config import Settings
from ragguard.errors import StoreError
from ragguard.ingest import judge_later
from ragguard.ingest.report import Report
from ragguard.ingest.run import ingest
from ragguard.ledger import versions
from ragguard.ledger.tables import get_meta
from ragguard.ledger.writer import JUDGED_UNTIL
from ragguard.model import Finding, Verdict
from ragguard.store.qdrant import QdrantStore
from ragguard.trust.manifest import LastAccepted
from tests.support.simulator import Gate, Publisher
from tests.support.workspaces.copying import copy_folder
from tests.support.workspaces.handbook import SMALL, add, handbook_gate, poison

NEEDED = 499  # documents at the default rate


@pytest.mark.parametrize("indexed", [0, 1, 132, 498, 499, 600])
def test_nothing_is_judged_while_too_few_would_be_left_to_say_what_is_usual(indexed: int) -> None:
    assert judge_later.block(indexed, NEEDED) == 0


@pytest.mark.parametrize("indexed", [624, 700, 998, 1500, 4000, 100_000])
def test_blocks_leave_as_many_as_are_needed_and_are_no_crumbs(indexed: int) -> None:
    size = judge_later.block(indexed, NEEDED)
    assert indexed - size >= NEEDED
    assert size <= min(256, indexed / 2)
    assert size >= min(128, indexed * 0.15)
    last = indexed % size or size
    assert size - last <= -(-indexed // size)  # the last is nearly as large


# --- the flow, at a real workspace ----------------------------------------------------------------


class Caught(NamedTuple):
    """A gate at which poison came in with the first import, and the ingest that judged it."""

    gate: Gate
    folder: Path
    first: Report
    later: Report
    dry: Report
    watched: Report


NEWS = {"news.md": "# News\n\nThe canteen opens at seven from Monday on. Soup is at noon."}
EDITS = {name: text for name, (text, _) in poison("fact-edit").items()}


def enlarged(gate: Gate) -> None:
    """Go on with settings under which the index is large enough."""
    gate.settings = Settings.model_validate({"judge": SMALL})
    gate.reopen(hours=1)


def let_in(caught: Caught) -> set[str]:
    """Forgeries that the first import could not judge."""
    return {v.id for v in caught.first.documents if v.outcome == "admit"}


def twin_first(verdict: Verdict) -> bool:
    return verdict.findings[0].check == "twin_edit"


def until(gate: Gate) -> int:
    with gate.workspace.ledger.reading() as conn:
        return int(get_meta(conn, JUDGED_UNTIL) or 0)


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caught]:
    folder = tmp_path_factory.mktemp("caught") / "handbook"
    gate = handbook_gate(folder)
    metadata = {name: meta for name, (_, meta) in poison("fact-edit").items()}
    gate.trust(gate.alice, source="blog")
    blog = Publisher(folder.parent / "blog", gate.alice, "blog")
    first = gate.ingest(blog.publish(EDITS, metadata=metadata, now=gate.now), root=blog.folder)
    enlarged(gate)
    path = gate.publisher.publish(
        NEWS, mode="delta", paths=[gate.publisher.folder / "news.md"], now=gate.now
    )
    dry = gate.ingest(path, dry_run=True)
    assert until(gate) == 0
    before = folder.parent / "before"
    gate.close()
    copy_folder(folder, before)
    later = gate.ingest(path)
    gate.close()
    gate.folder = before
    watched = gate.ingest(path, observe=True)
    assert until(gate) == 0
    gate.close()
    gate.folder = folder
    yield Caught(gate, folder, first, later, dry, watched)
    gate.close()


def test_what_a_small_index_cannot_judge_comes_in_as_not_yet_judged(caught: Caught) -> None:
    assert caught.first.profile == "first import"
    came = let_in(caught)
    assert len(came) >= 1
    assert caught.first.as_dict()["not_yet_judged"] == len(came)
    assert all(v.p_value is None for v in caught.first.documents if v.outcome == "admit")
    assert all(v.p_value <= 0.002 for v in caught.first.documents if v.outcome != "admit")


def test_hardly_an_honest_document_is_pulled_back_once_it_is_judged(caught: Caught) -> None:
    assert caught.later.profile == "corpus"
    honest = [v.id for v in caught.later.pulled if v.source != "blog"]
    assert len(honest) <= 6, honest  # of 132 at 1 %; two of a kind are pulled together


def test_poison_that_came_in_unjudged_is_pulled_back_with_a_case(caught: Caught) -> None:
    pulled = {v.id: v for v in caught.later.pulled}
    assert pulled.keys() & let_in(caught)
    # No original is pulled back for its forgery, which is the younger of the two.
    assert not [v.id for v in caught.later.pulled if v.source == "wiki" and twin_first(v)]
    assert caught.later.exit_code == 1
    assert all(v.outcome == "quarantine" and v.p_value <= 0.01 for v in pulled.values())
    gate = caught.gate
    assert pulled.keys() <= gate.documents("quarantine")
    assert not pulled.keys() & gate.documents()
    assert pulled.keys() <= {case.document for case in gate.cases()}
    assert check_log(gate.workspace) == []


def test_a_dry_run_says_what_would_be_pulled_back_and_marks_nothing(caught: Caught) -> None:
    assert {v.id for v in caught.dry.pulled} == {v.id for v in caught.later.pulled}


def test_observing_pulls_nothing_back_and_leaves_it_to_be_judged_later(caught: Caught) -> None:
    assert (caught.watched.pulled, caught.watched.exit_code) == ([], 0)
    assert caught.watched.profile == "corpus"


def test_what_was_judged_is_not_judged_again(
    caught: Caught, monkeypatch: pytest.MonkeyPatch
) -> None:
    with caught.gate.workspace.ledger.reading() as conn:
        before = until(caught.gate)
        rows = versions.members(conn, "serving").values()
    assert before >= max(row.id for row in rows if row.p_value is None)
    monkeypatch.setattr(
        judge_later, "judge_later", lambda *_: pytest.fail("judged what was judged already")
    )
    report = add(caught.gate, {"post.md": "# Post\n\nThe van comes at nine and leaves at ten."})
    assert report.pulled == []
    assert until(caught.gate) == before


def test_a_commit_that_was_interrupted_pulls_back_what_it_was_to_and_marks_it(
    caught: Caught, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = caught.gate
    folder = tmp_path / "again"
    gate.close()
    copy_folder(caught.folder.parent / "before", folder)
    gate.folder = folder
    # That copy only observed: what came in with the first import is not judged yet.
    with gate.workspace.ledger.reading() as conn:
        served = set(versions.members(conn, "serving"))
    assert {f"blog/{name}" for name in let_in(caught)} <= served
    path = gate.publisher.publish(
        {"rota.md": "# Rota\n\nThe porter has the keys of all halls until six."},
        mode="delta",
        paths=[gate.publisher.folder / "rota.md"],
        keep=False,
        previous=LastAccepted(
            caught.watched.manifests[0].version, caught.watched.manifests[0].digest
        ),
        now=gate.now,
    )

    def fail(*_args: object, **_rest: object) -> None:
        raise StoreError("store: no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(QdrantStore, "flush", fail)
        assert gate.ingest(path).exit_code == 5
    assert until(gate) == 0
    gate.reopen(minutes=5)
    ingest(gate.workspace, [])
    assert until(gate) > 0
    assert gate.documents("quarantine") & let_in(caught)
    gate.close()
    gate.folder = caught.folder


def test_an_original_is_not_pulled_back_for_a_forgery_that_arrives_as_it_is_judged() -> None:
    def found(twin: str) -> Verdict:
        finding = Finding("twin_edit", 9.0, 0.0004, "a copy", {"twin": twin})
        return Verdict("wiki", "a.md", "d", "quarantine", 0.9, 0.001, (finding,))

    arrived = {"wiki/a.md": 2, "wiki/older.md": 1, "wiki/later.md": 3}
    excused = judge_later._copied_later
    assert not excused(found("wiki/older.md"), "wiki/a.md", arrived)
    assert excused(found("wiki/later.md"), "wiki/a.md", arrived)
    assert excused(found("wiki/arriving-now.md"), "wiki/a.md", arrived)
