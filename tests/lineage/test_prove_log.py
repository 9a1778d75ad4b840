"""The log, verified: every kind of change to it or to what it commits to is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.errors import LogError
from ragguard.ledger import log
from ragguard.ledger import versions as version_rows
from ragguard.ledger.tables import (
    Ledger,
    checkpoints,
    commits,
    log_entries,
    manifests,
    membership,
    versions,
)
from ragguard.lineage.prove import LogReport, prove, verify_log
from ragguard.quarantine.review import decide
from ragguard.trust import dsse, merkle
from ragguard.trust.canonical import canonical
from ragguard.trust.signed_note import Checkpoint, checkpoint_text
from tests.support.simulator import HONEST, SUSPECT, Gate

ENTRIES = 5  # init, two changes of trust, ingest, release
INGEST, RELEASE = 3, 4


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    """A workspace with an ingest and a release in its log, closed."""
    gate = Gate(tmp_path_factory.mktemp("log"))
    gate.publish({"leave.md": HONEST["leave.md"], "safe.md": SUSPECT})
    decide(gate.workspace, gate.cases()[0], "release", gate.bob, "a drill")
    gate.close()
    return gate


@pytest.fixture
def kept(prepared: Gate, tmp_path: Path) -> Iterator[Gate]:
    """A copy of it, to be tampered with."""
    made = copy(prepared)
    without_index = shutil.ignore_patterns("index")  # large, and not looked at
    made.folder = shutil.copytree(prepared.folder, tmp_path / "copy", ignore=without_index)
    yield made
    made.close()


def problems(gate: Gate, expect: str | None = None) -> str:
    return "\n".join(verify_log(gate.workspace, expect).problems)


def head(gate: Gate, size: int | None = None) -> str:
    """A kept checkpoint, the newest unless a size is asked."""
    with gate.workspace.ledger.reading() as conn:
        found = dict(log.kept_checkpoints(conn))
    return found[size if size is not None else max(found)]


def alter(ledger: Ledger, *statements: sa.Executable) -> None:
    """Change tables behind the ledger's back."""
    with ledger.writing() as conn:
        conn.exec_driver_sql("PRAGMA defer_foreign_keys = ON")
        for statement in statements:
            conn.execute(statement)


def rewrite(gate: Gate, index: int, **changes: Any) -> None:
    """Change an entry and its leaf hash so that they fit together."""
    with gate.workspace.ledger.reading() as conn:
        text = canonical({**log.body(conn, index), **changes})
    values = {"body": text.decode(), "leaf": merkle.leaf_hash(text)}
    table = log_entries
    alter(gate.workspace.ledger, sa.update(table).where(table.c.index == index).values(**values))


def resign(gate: Gate) -> None:
    """Sign all tree heads anew, as whoever holds the checkpoint key can."""
    workspace = gate.workspace
    with workspace.ledger.writing() as conn:
        leaves = log.leaves(conn)
        conn.execute(sa.delete(checkpoints))
        for size in range(1, len(leaves) + 1):
            made = Checkpoint(workspace.origin, size, merkle.root(leaves[:size]))
            log.keep_checkpoint(conn, size, workspace.sign_note(checkpoint_text(made)))


# --- honest ---------------------------------------------------------------------------------------


def test_an_honest_log_verifies_and_says_what_it_looked_at(kept: Gate) -> None:
    with kept.workspace.ledger.reading() as conn:
        root = merkle.root(log.leaves(conn)).hex()
    assert verify_log(kept.workspace) == LogReport(ENTRIES, ENTRIES, 2, root, [])


def test_a_new_workspace_has_a_log_that_verifies(gate: Gate) -> None:
    found = verify_log(gate.workspace)
    assert (found.entries, found.checkpoints, found.commits, found.problems) == (3, 3, 0, [])


@pytest.mark.parametrize("size", [1, INGEST, ENTRIES])
def test_a_checkpoint_kept_elsewhere_is_found_in_the_log(kept: Gate, size: int) -> None:
    assert problems(kept, head(kept, size)) == ""


# --- changed entries and heads --------------------------------------------------------------------


@pytest.mark.parametrize("index", range(ENTRIES))
@pytest.mark.parametrize(
    "body",
    [
        pytest.param('{"act":"nothing"}', id="other"),
        pytest.param("", id="empty"),
        pytest.param("[5]", id="list"),
        pytest.param('{"plan":5,"commit":"1"}', id="odd"),
        pytest.param('{"plan":5,"commit":1}', id="odd-commit"),
    ],
)
def test_a_changed_entry_is_named(kept: Gate, index: int, body: str) -> None:
    table = log_entries
    change = sa.update(table).where(table.c.index == index).values(body=body)
    alter(kept.workspace.ledger, change)
    assert f"entry {index} was changed after it was logged" in problems(kept)


@pytest.mark.parametrize("index", range(ENTRIES))
def test_a_changed_leaf_hash_is_named(kept: Gate, index: int) -> None:
    table = log_entries
    change = sa.update(table).where(table.c.index == index).values(leaf=b"\0" * 32)
    alter(kept.workspace.ledger, change)
    assert problems(kept) == f"entry {index} was changed after it was logged"


@pytest.mark.parametrize("index", range(ENTRIES - 1))
def test_a_removed_entry_is_missed(kept: Gate, index: int) -> None:
    alter(kept.workspace.ledger, sa.delete(log_entries).where(log_entries.c.index == index))
    found = problems(kept)
    assert f"entry {index} is missing" in found
    assert f"checkpoint {ENTRIES}: the log has only {ENTRIES - 1} entries" in found


@pytest.mark.parametrize("index", range(ENTRIES))
def test_an_entry_rewritten_with_its_leaf_contradicts_every_later_head(
    kept: Gate, index: int
) -> None:
    rewrite(kept, index, at="2020-01-01T00:00:00Z")
    wanted = [
        f"checkpoint {size}: the log below it was rewritten"
        for size in range(index + 1, ENTRIES + 1)
    ]
    assert verify_log(kept.workspace).problems == wanted


def test_a_truncated_log_is_found_by_its_newest_head(kept: Gate) -> None:
    alter(kept.workspace.ledger, sa.delete(log_entries).where(log_entries.c.index == RELEASE))
    found = problems(kept)
    assert f"checkpoint {ENTRIES}: the log has only 4 entries, it was truncated" in found
    assert "the newest checkpoint covers 5 entries, the log has 4" in found
    assert "commit 2 is not in the log as the ledger has it" in found


def test_a_log_truncated_with_its_heads_still_lacks_a_commit(kept: Gate) -> None:
    alter(
        kept.workspace.ledger,
        sa.delete(log_entries).where(log_entries.c.index == RELEASE),
        sa.delete(checkpoints).where(checkpoints.c.size == ENTRIES),
    )
    assert problems(kept) == "commit 2 is not in the log as the ledger has it"


def test_a_log_without_any_head_is_found(kept: Gate) -> None:
    alter(kept.workspace.ledger, sa.delete(checkpoints))
    assert problems(kept) == f"the newest checkpoint covers 0 entries, the log has {ENTRIES}"


def forge(gate: Gate, name: str) -> str:
    """A head of the whole log that is wrong in one way."""
    workspace = gate.workspace
    with workspace.ledger.reading() as conn:
        root = merkle.root(log.leaves(conn))
    key = workspace.checkpoint_key.signing_key
    bodies = {
        "size": Checkpoint(workspace.origin, ENTRIES - 1, root),
        "origin": Checkpoint("ragguard.local/other", ENTRIES, root),
        "root": Checkpoint(workspace.origin, ENTRIES, b"\0" * 32),
        "key": Checkpoint(workspace.origin, ENTRIES, root),
    }
    if name in bodies:
        signer = gate.alice.signing_key if name == "key" else key
        return dsse.sign_note(checkpoint_text(bodies[name]), workspace.origin, signer)
    return dsse.sign_note("three words only\n", workspace.origin, key)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param("size", "is of another log or size", id="size"),
        pytest.param("origin", "is of another log or size", id="origin"),
        pytest.param("root", "the log below it was rewritten", id="root"),
        pytest.param("key", "not signed by", id="key"),
        pytest.param("text", "expected origin, size and base64 root", id="no-checkpoint"),
    ],
)
def test_a_head_that_is_not_of_this_log_is_named(kept: Gate, name: str, says: str) -> None:
    change = sa.update(checkpoints).where(checkpoints.c.size == ENTRIES)
    alter(kept.workspace.ledger, change.values(note=forge(kept, name)))
    (found,) = verify_log(kept.workspace).problems
    assert found.startswith(f"checkpoint {ENTRIES}: ")
    assert says in found


# --- against whoever holds the checkpoint key -----------------------------------------------------


def test_a_history_rewritten_with_the_key_is_found_by_a_head_kept_elsewhere(kept: Gate) -> None:
    elsewhere = head(kept)
    rewrite(kept, 1, at="2020-01-01T00:00:00Z")
    resign(kept)
    assert problems(kept) == ""  # what README says must not be assumed
    assert "does not contain the checkpoint of size 5 kept elsewhere" in problems(kept, elsewhere)


def test_a_history_cut_short_with_the_key_is_found_by_a_head_kept_elsewhere(gate: Gate) -> None:
    elsewhere = head(gate)
    alter(gate.workspace.ledger, sa.delete(log_entries).where(log_entries.c.index == 2))
    resign(gate)
    assert problems(gate) == ""
    assert "truncated or rewritten" in problems(gate, elsewhere)


def test_a_head_of_another_log_is_no_expectation(kept: Gate, new_gate: Callable[..., Gate]) -> None:
    with pytest.raises(LogError, match="not signed by"):
        verify_log(kept.workspace, head(new_gate()))
    with pytest.raises(LogError, match="no blank line"):
        verify_log(kept.workspace, "a checkpoint, honestly")


# --- what the log commits to ----------------------------------------------------------------------

CORPUS = "the serving corpus in the ledger is not what the last commit left"


def ledger_changes() -> Iterator[Any]:
    yield pytest.param(
        sa.update(commits).where(commits.c.id == 1).values(corpus="00" * 32),
        "commit 1 is not in the log as the ledger has it",
        id="corpus-of-a-commit",
    )
    yield pytest.param(
        sa.update(commits).where(commits.c.id == 1).values(plan="00" * 32),
        "commit 1 is not in the log as the ledger has it",
        id="plan-of-a-commit",
    )
    yield pytest.param(
        sa.update(commits).where(commits.c.id == 1).values(state="pending"),
        "commit 1 is in the log, not in the ledger",
        id="state-of-a-commit",
    )
    yield pytest.param(sa.update(membership).values(until=2), CORPUS, id="document-taken-out")
    for name in ("source", "document", "digest", "metadata_digest"):
        change = sa.update(versions).where(versions.c.id == 1).values(**{name: "other"})
        yield pytest.param(change, CORPUS, id=f"{name}-of-a-document")
    smuggled = {"version": 1, "zone": "serving", "since": 1}
    yield pytest.param(sa.insert(membership).values(**smuggled), CORPUS, id="document-put-in")


@pytest.mark.parametrize(("change", "says"), [*ledger_changes()])
def test_a_ledger_that_is_not_what_was_logged_is_found(
    kept: Gate, change: sa.Executable, says: str
) -> None:
    alter(kept.workspace.ledger, change)
    assert says in problems(kept)


def plan_file(gate: Gate) -> Any:
    with gate.workspace.ledger.reading() as conn:
        digest = conn.execute(sa.select(commits.c.plan).where(commits.c.id == 1)).scalar_one()
    return gate.folder / "w" / "vault" / digest[:2] / digest


@pytest.mark.parametrize("data", [None, b"", b'{"leaves":[]}'], ids=["gone", "empty", "other"])
def test_a_plan_that_is_not_the_one_logged_is_found(kept: Gate, data: bytes | None) -> None:
    path = plan_file(kept)
    path.chmod(0o600)
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    found = verify_log(kept.workspace)
    assert (len(found.problems), found.commits) == (1, 1)
    assert found.problems[0].startswith("commit 1: vault: ")


def test_documents_that_are_not_those_logged_are_found(kept: Gate) -> None:
    rewrite(kept, INGEST, documents_root="00" * 32)
    assert "commit 1: its documents are not those logged" in problems(kept)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(sa.delete(checkpoints), id="no-head"),
        pytest.param(sa.delete(log_entries).where(log_entries.c.index == INGEST), id="no-entry"),
        pytest.param(sa.delete(log_entries), id="no-entries"),
        pytest.param(sa.update(log_entries).values(body="{"), id="damaged-entry"),
        pytest.param(sa.delete(manifests), id="no-manifest"),
        pytest.param(sa.update(commits).values(log_index=None), id="no-place"),
        pytest.param(sa.update(commits).values(log_index=99), id="place-beyond"),
        pytest.param(sa.update(versions).values(document="x.md"), id="other-document"),
    ],
)
def test_what_the_ledger_no_longer_holds_together_cannot_be_proved(
    kept: Gate, change: sa.Executable
) -> None:
    with kept.workspace.ledger.reading() as conn:
        point = version_rows.points_of(conn, [1])[1][0].point
    assert prove(kept.workspace, point)["links"]
    alter(kept.workspace.ledger, change)
    with pytest.raises(LogError):
        prove(kept.workspace, point)
