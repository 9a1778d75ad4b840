"""Vectors against their texts, and the vault's bytes against the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ragguard.audit import reembedding
from ragguard.audit.reembedding import check_reembedding, check_vault
from ragguard.embed.encoder import TOLERANCE
from ragguard.ledger import audit_queries
from ragguard.store import Point
from tests.support.simulator import HONEST, Gate
from tests.support.workspaces.copying import copy_folder

S = "corpus-g1"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    gate = Gate(tmp_path_factory.mktemp("contents"))
    gate.publish(HONEST)
    gate.close()
    return gate


@pytest.fixture
def kept(prepared: Gate, tmp_path: Path) -> Iterator[Gate]:
    made = Gate.__new__(Gate)
    made.__dict__.update(prepared.__dict__)
    made.folder = copy_folder(prepared.folder, tmp_path / "copy")
    yield made
    made.close()


def stored(gate: Gate) -> list[Point]:
    store = gate.workspace.open_store()
    return [p for block in store.scan(S, vectors=True) for p in block]


# --- vectors --------------------------------------------------------------------------------------


def test_honest_vectors_are_the_embeddings_of_their_texts(kept: Gate) -> None:
    found, looked_at = check_reembedding(kept.workspace, 1.0)
    assert (found, looked_at) == ([], len(stored(kept)))


def test_a_vector_of_another_text_is_found(kept: Gate) -> None:
    points = {p.payload["ragguard"]["document"]: p for p in stored(kept)}
    mine = points["laptops.md"]
    other = Point(mine.id, points["leave.md"].vector, mine.payload)
    kept.workspace.open_store().upsert(S, [other])
    ((finding,), _) = check_reembedding(kept.workspace, 1.0)
    assert (finding.rule, finding.point, finding.document) == (
        "vector-not-of-text",
        mine.id,
        "wiki/laptops.md",
    )
    assert finding.facts["apart"] == pytest.approx(
        float(np.linalg.norm(mine.vector - other.vector)), abs=1e-5
    )


@pytest.mark.parametrize(("factor", "found"), [(0.5, 0), (2.0, 1)])
def test_what_runtimes_differ_by_is_let_pass_and_twice_the_tolerance_is_not(
    kept: Gate, factor: float, found: int
) -> None:
    mine = stored(kept)[0]
    exact = mine.vector.astype(np.float64)
    aside = np.zeros_like(exact)
    aside[np.argmin(np.abs(exact))] = TOLERANCE * factor
    moved = ((exact + aside) / np.linalg.norm(exact + aside)).astype(np.float32)
    kept.workspace.open_store().upsert(S, [Point(mine.id, moved, mine.payload)])
    assert len(check_reembedding(kept.workspace, 1.0)[0]) == found


def test_a_sample_is_another_one_every_night(kept: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reembedding, "LEAST", 0)
    counts = set()
    for hours in range(1, 5):
        found, looked_at = check_reembedding(kept.reopen(hours=hours), 0.5)
        assert found == []
        counts.add(looked_at)
    assert len(counts) > 1
    assert max(counts) <= len(stored(kept))


def test_a_small_index_is_embedded_again_in_whole(kept: Gate) -> None:
    assert check_reembedding(kept.workspace, 0.0)[1] == len(stored(kept))


def test_texts_that_are_none_do_not_stop_it(kept: Gate) -> None:
    mine, other = stored(kept)[:2]
    odd = [Point(mine.id, mine.vector, {"page_content": 5}), Point(other.id, other.vector, {})]
    kept.workspace.open_store().upsert(S, odd)
    found, looked_at = check_reembedding(kept.workspace, 1.0)
    assert (found, looked_at) == ([], len(stored(kept)) - 2)


def test_a_workspace_without_an_index_has_nothing_to_embed(gate: Gate) -> None:
    assert check_reembedding(gate.workspace) == ([], 0)


# --- vault ----------------------------------------------------------------------------------------


def names(gate: Gate) -> dict[str, str]:
    """What the ledger names: a digest of each kind."""
    with gate.workspace.ledger.reading() as conn:
        return dict(audit_queries.vault_names(conn))


def test_an_honest_vault_holds_all_that_the_ledger_names(kept: Gate) -> None:
    found, looked_at = check_vault(kept.workspace, None)
    assert (found, looked_at >= 9) == ([], True)  # plan, manifest, six documents, vectors
    assert set(names(kept)) == {"plan of a commit", "manifest", "document", "vectors"}


@pytest.mark.parametrize("what", ["plan of a commit", "manifest", "document", "vectors"])
@pytest.mark.parametrize("harm", ["gone", "other", "empty", "one bit"])
def test_bytes_that_are_gone_or_others_are_named(kept: Gate, what: str, harm: str) -> None:
    digest = names(kept)[what]
    path = kept.folder / "w" / "vault" / digest[:2] / digest
    data = bytearray(path.read_bytes())
    path.unlink()
    if harm != "gone":
        data[-1] ^= 1
        path.write_bytes({"other": b"x", "empty": b"", "one bit": bytes(data)}[harm])
    ((finding,), _) = check_vault(kept.workspace, None)
    assert (finding.rule, finding.facts) == ("vault-damaged", {"what": what, "digest": digest})
    assert finding.about == digest


def test_a_sample_reads_about_as_many_as_asked(kept: Gate) -> None:
    counts = {check_vault(kept.reopen(hours=h), 4)[1] for h in range(1, 9)}
    assert 0 < sum(counts) / len(counts) < 9


def test_a_vault_that_is_gone_is_told_digest_by_digest(kept: Gate) -> None:
    (kept.folder / "w" / "vault").rename(kept.folder / "away")
    found, looked_at = check_vault(kept.workspace, None)
    assert (len(found), {f.rule for f in found}) == (looked_at, {"vault-damaged"})
