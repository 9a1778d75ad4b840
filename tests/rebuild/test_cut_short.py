"""A switch of indexes that is watched at every write, or cut short: nobody reads half of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.corpus import generations
from ragguard.ledger.writer import Committer
from ragguard.rebuild import cutover
from ragguard.rebuild.reindex import reindex
from ragguard.store import edge, edge_shards
from ragguard.trust import files
from ragguard.workspace import Workspace, alias
from tests.support.simulator import HONEST, NEWS, SUSPECT, Gate
from tests.support.workspaces.candidates import aliases, by, stage, start
from tests.support.workspaces.rebuilding import (
    QUESTIONS,
    answers,
    sound,
    states,
)

# --- readers and kills ----------------------------------------------------------------------------


@contextmanager
def at_every_write(look: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Call something before every write to engine, ledger and files that are replaced."""
    reads = {"load", "info", "retrieve", "scroll", "count", "facet", "query", "query_batch"}
    busy = False

    def seen() -> None:
        nonlocal busy
        if not busy:
            busy = True
            look()
            busy = False

    real, put = edge_shards.call, files.replace_file

    def call(method: Callable[..., Any], *args: Any) -> Any:
        if getattr(method, "__name__", "") not in reads:
            seen()
        return real(method, *args)

    def statement(_conn: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text.split()[0].upper() not in ("SELECT", "PRAGMA", "BEGIN"):
            seen()

    def replaced(*args: Any) -> None:
        seen()
        put(*args)

    def ended(_conn: Any) -> None:
        seen()

    aliased = edge_shards.replace_json

    def aliasing(*args: Any) -> None:
        seen()
        aliased(*args)
        seen()

    with monkeypatch.context() as patch:
        patch.setattr(edge_shards, "call", call)
        patch.setattr(edge, "call", call)
        patch.setattr(edge_shards, "replace_json", aliasing)
        patch.setattr(files, "replace_file", replaced)
        sa.event.listen(sa.Engine, "before_cursor_execute", statement)
        sa.event.listen(sa.Engine, "commit", ended)
        try:
            yield
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", statement)
            sa.event.remove(sa.Engine, "commit", ended)


@pytest.mark.parametrize("job", ["reindex", "finish", "abort"])
def test_whoever_asks_the_alias_at_any_write_gets_one_whole_index(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    if job != "reindex":
        stage(gate)
        (gate.publisher.folder / "visitors.md").unlink()
        gate.publish({"news.md": NEWS})
        gate.reopen()
    store = gate.workspace.open_store()
    vectors = gate.workspace.encoder.encode(QUESTIONS)
    seen: list[tuple[str, list[list[str]]]] = []

    def look() -> None:
        target = store.aliases()["corpus"]
        found = store.search("corpus", vectors, 10)
        seen.append((target, found.ids))

    look()
    with at_every_write(look, monkeypatch):
        if job == "reindex":
            assert reindex(gate.workspace).commit == 2
        else:
            start(gate)
            getattr(cutover, job)(gate.workspace)
    look()
    whole = {"corpus-g1": seen[0][1]}
    if job != "abort":
        whole["corpus-g2"] = seen[-1][1]
    if job == "reindex":
        assert whole["corpus-g2"] == whole["corpus-g1"]
    assert {target for target, _ in seen} == whole.keys()
    assert [(target, ids) for target, ids in seen if ids != whole[target]] == []
    assert Counter(target for target, _ in seen)["corpus-g1"] > 15


def cut_short(
    gate: Gate, place: str, job: Callable[[Workspace], object]
) -> tuple[dict[str, str], int]:
    """Die at a place of a job, and recover: aliases before that, and how many commits it ended."""

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    where: Any = {"point": alias, "drop": generations}.get(place, Committer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, place, die)
        with pytest.raises(KeyboardInterrupt):
            job(gate.workspace)
    left = aliases(gate)
    gate.reopen()
    return left, gate.workspace.recover()


@pytest.mark.parametrize("place", ["build", "commit", "_finish", "_confirm", "point"])
def test_a_rebuild_cut_short_anywhere_is_whole_afterwards(gate: Gate, place: str) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    before = answers(gate)
    ended = int(place in ("_finish", "_confirm"))
    assert cut_short(gate, place, reindex) == ({"corpus": "corpus-g1"}, ended)
    serving = "corpus-g2" if ended or place == "point" else "corpus-g1"
    assert aliases(gate) == {"corpus": serving}
    assert answers(gate) == before
    assert reindex(gate.workspace).left == []
    assert answers(gate) == before
    assert len(gate.points("quarantine")) == 1
    sound(gate)


@pytest.mark.parametrize(
    ("place", "done"),
    [
        *(("build", False), ("commit", False), ("_finish", True)),
        *(("_confirm", True), ("point", True), ("drop", True)),
    ],
)
def test_a_finish_cut_short_anywhere_is_whole_afterwards(
    gate: Gate, place: str, done: bool
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    stage(gate)
    start(gate)
    gate.publish({"news.md": NEWS})
    gate.workspace.encoder.encode(["x"])
    cut_short(gate, place, cutover.finish)
    assert states(gate) == (
        {1: "retired", 2: "serving"} if done else {1: "serving", 2: "candidate"}
    )
    if not done:
        assert by(gate, QUESTIONS[0]) == 2
        assert cutover.finish(gate.workspace).commit == 4
    assert aliases(gate) == {"corpus": "corpus-g2"}
    assert gate.documents() == {*HONEST, "news.md"}
    assert by(gate, QUESTIONS[0]) == 2
    sound(gate)


@pytest.mark.parametrize("place", ["commit", "_confirm", "drop"])
def test_an_abort_cut_short_anywhere_is_whole_afterwards(gate: Gate, place: str) -> None:
    gate.publish(HONEST)
    before = answers(gate)
    stage(gate)
    start(gate)
    cut_short(gate, place, cutover.abort)
    done = place != "commit"
    assert states(gate) == {1: "serving", 2: "dropped" if done else "candidate"}
    assert ("corpus-candidate" in aliases(gate)) is not done
    if not done:
        cutover.abort(gate.workspace)
    assert answers(gate) == before
    assert stage(gate).generation == 3
    assert not gate.workspace.open_store().exists("corpus-g2")
    sound(gate)
