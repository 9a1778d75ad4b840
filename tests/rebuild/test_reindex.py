"""Reindex: what is clean goes over, what is not does not, and nobody reads half of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from ragguard.audit.log_check import check_log
from ragguard.embed import encoder
from ragguard.errors import RecipeMismatchError, UsageError
from ragguard.ledger import tables, versions
from ragguard.lineage.prove import verify_log
from ragguard.parse import document
from ragguard.quarantine import review
from ragguard.rebuild.reindex import ReindexResult, reindex
from ragguard.serving.search import search
from ragguard.trust import amend_root
from tests.support.simulator import HONEST, NEWS, NOW, SUSPECT, Gate, Publisher
from tests.support.workspaces.candidates import aliases
from tests.support.workspaces.deciding import decide_all
from tests.support.workspaces.rebuilding import (
    LEAVE,
    QUESTIONS,
    SMALL,
    answers,
    corpus,
    falsify,
    proved,
    refusing,
    revoke_alice,
    same_but_for_the_last_bits,
    serve_denied,
    serve_near_denied,
    settings,
    sound,
    states,
)

FIRST = next(iter(HONEST))


def rebuild(gate: Gate, /, **rest: Any) -> ReindexResult:
    return reindex(gate.workspace, **rest)


def test_an_untouched_corpus_answers_as_before(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    before, waiting = answers(gate), gate.points("quarantine")
    done = rebuild(gate)
    assert (done.exit_code, done.stops, done.left) == (0, [], [])
    assert (done.generation, done.commit, done.kept, done.waiting) == (2, 2, 6, 1)
    assert answers(gate) == before
    assert gate.points("quarantine").keys() == waiting.keys()
    assert aliases(gate) == {"corpus": "corpus-g2"}
    sound(gate)


def test_released_poison_that_was_denied_later_leaves_no_trace(
    gate: Gate, new_gate: Callable[..., Gate]
) -> None:
    """A reviewer lets it in; the same bytes are rejected elsewhere; the rebuild finds it again."""
    serve_denied(gate)
    assert "safe.md" in gate.documents()
    poisoned = {p for p, body in gate.points().items() if SUSPECT in body["page_content"]}
    done = rebuild(gate)
    assert [(one.label, one.findings[0].check, one.waits) for one in done.left] == [
        ("wiki/safe.md", "denied", False)
    ]
    assert (done.exit_code, done.kept) == (1, 6)
    assert poisoned
    for zone in ("serving", "quarantine"):
        found = gate.points(zone)
        assert poisoned.isdisjoint(found)
        assert all(SUSPECT not in body["page_content"] for body in found.values())
    clean = new_gate()
    clean.publish(HONEST)
    assert [[hit[1:] for hit in hits] for hits in answers(gate)] == [
        [hit[1:] for hit in hits] for hits in answers(clean)
    ]
    sound(gate)


def test_what_resembles_denied_text_waits_for_a_reviewer(gate: Gate) -> None:
    serve_near_denied(gate)
    done = rebuild(gate)
    assert [(one.label, one.waits) for one in done.left] == [("wiki/vault.md", True)]
    assert "denylist" in {f.check for f in done.left[0].findings}
    assert gate.documents() == set(HONEST)
    assert gate.documents("quarantine") == {"vault.md"}
    (case,) = gate.cases()
    review.decide(gate.workspace, case, "release", gate.bob, "it stays")
    assert "vault.md" in gate.documents()
    assert rebuild(gate).left == []  # the release covers what the rebuild found
    sound(gate)


def test_documents_of_a_key_that_counts_no_more_are_left_out(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.reopen(days=10)
    alice = gate.alice.public
    gate.change_root(lambda root: amend_root.revoke(root, alice, NOW - timedelta(days=1), "stolen"))
    before = answers(gate)
    done = rebuild(gate)
    assert done.stops == ["6 of 6 documents would go"]
    assert (done.commit, done.exit_code, {one.findings[0].check for one in done.left}) == (
        None,
        1,
        {"revoked"},
    )
    assert answers(gate) == before  # it asks before it does anything
    assert gate.cases() == []
    done = rebuild(gate, yes=True)
    assert (done.commit, done.kept) == (2, 0)
    assert gate.documents() == set()
    assert gate.documents("quarantine") == set(HONEST)
    assert len(gate.cases()) == 6


def test_what_a_reviewer_released_after_the_revocation_stays(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.reopen(days=10)
    gate.publish({"news.md": NEWS})
    number = revoke_alice(gate)
    assert number is not None
    decide_all(gate.workspace, number, "release", gate.bob, "is fine")
    assert rebuild(gate).left == []
    settings(gate, **SMALL)
    done = rebuild(gate)  # new versions: they stand on the rebuild now
    assert (done.left, done.recipe_changed) == ([], True)
    assert "news.md" in gate.documents()
    sound(gate)
    assert rebuild(gate).left == []


def test_a_broken_contract_of_today_is_a_reason(gate: Gate) -> None:
    gate.publish(HONEST, metadata={name: {"label": "guide"} for name in [*HONEST][1:]})
    gate.set_policy(labels=["guide"])
    done = rebuild(gate)
    assert [(one.label, one.findings[0].check) for one in done.left] == [
        (f"wiki/{FIRST}", "contract")
    ]
    assert gate.documents() == {*HONEST} - {FIRST}


def test_an_index_of_an_earlier_parser_is_asked_for_a_rebuild_and_answers_until_then(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = document.PARSER, encoder.SPLITTER
    monkeypatch.setattr(document, "PARSER", "ragguard-parse-1")
    monkeypatch.setattr(encoder, "SPLITTER", "langchain-recursive-1")
    encoder.open_encoder.cache_clear()
    gate.publish(HONEST)
    monkeypatch.setattr(document, "PARSER", now[0])
    monkeypatch.setattr(encoder, "SPLITTER", now[1])
    encoder.open_encoder.cache_clear()
    gate.reopen(hours=1)
    assert search(gate.workspace, QUESTIONS[0], 3, proof=False)
    with pytest.raises(RecipeMismatchError) as raised:
        gate.workspace.check_recipe(gate.workspace.encoder.recipe)
    assert "This version reads or cuts texts otherwise" in raised.value.hint
    assert "ragguard reindex --from-clean" in raised.value.hint
    refused = gate.publish({"news.md": NEWS}, keep=False)
    assert "ragguard-parse-1" in refused.manifests[0].error
    done = rebuild(gate)
    assert (done.recipe_changed, done.kept, done.left) == (True, len(HONEST), [])
    gate.publish({"news.md": NEWS})
    assert gate.documents() == {*HONEST, "news.md"}


def test_another_recipe_is_taken_by_a_rebuild_and_refused_by_ingest(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT * 3})
    texts = {p["page_content"] for p in gate.points().values()}
    settings(gate, **SMALL)
    with pytest.raises(RecipeMismatchError) as raised:
        gate.workspace.check_recipe(gate.workspace.encoder.recipe)
    assert "ragguard reindex --from-clean" in raised.value.hint
    refused = gate.publish({"news.md": NEWS}, keep=False)
    assert "another recipe" in refused.manifests[0].error
    done = rebuild(gate)
    assert (done.recipe_changed, done.kept, done.left, done.waiting) == (True, 6, [], 1)
    assert gate.documents() == set(HONEST)
    assert max(len(p["page_content"]) for p in gate.points().values()) <= 120
    assert {p["page_content"] for p in gate.points().values()} != texts
    (case,) = gate.cases()  # the old one gave way to one about the new version
    assert case.opened == done.commit
    review.decide(gate.workspace, case, "release", gate.bob, "is fine")
    assert "safe.md" in gate.documents()
    report = gate.publish({"news.md": NEWS})
    assert [m.error for m in report.manifests] == [None]
    assert "news.md" in gate.documents()
    sound(gate)


def test_the_new_index_is_proved_and_lives_on(gate: Gate) -> None:
    gate.publish(HONEST)
    rebuild(gate)
    hits = search(gate.workspace, QUESTIONS[0], 3, proof=True)
    assert [hit.proof and hit.proof["ok"] for hit in hits] == [True] * 3
    assert proved(gate.workspace)
    gate.publish({"news.md": NEWS, "leave.md": LEAVE})
    assert gate.documents() == {*HONEST, "news.md"}
    again = gate.publish()
    assert {v.outcome for v in again.documents} == {"unchanged"}
    sound(gate)


def test_only_the_last_generations_are_kept(gate: Gate) -> None:
    gate.publish(HONEST)
    store = gate.workspace.open_store()
    assert rebuild(gate).dropped == []
    assert store.exists("corpus-g1")
    done = rebuild(gate)
    assert done.dropped == ["corpus-g1", "corpus-g1-quarantine"]
    assert [store.exists(f"corpus-g{n}") for n in (1, 2, 3)] == [False, True, True]
    assert states(gate) == {1: "dropped", 2: "retired", 3: "serving"}
    gate.publish({"news.md": NEWS})
    sound(gate)


def test_a_generation_put_back_behind_the_logs_back_is_found(gate: Gate) -> None:
    """Who can write the ledger could serve the old index, and its poison, again."""
    gate.publish(HONEST)
    rebuild(gate)
    assert check_log(gate.workspace) == []
    said = falsify(gate, {2: "retired", 1: "serving"})
    assert "generation 1: is serving, by the log it is retired" in said


def test_a_dry_run_says_what_would_go_and_changes_nothing(gate: Gate) -> None:
    serve_denied(gate)
    with gate.workspace.ledger.reading() as conn:
        before = {n: conn.execute(sa.select(t)).all() for n, t in tables.schema.tables.items()}
    done = rebuild(gate, dry_run=True)
    assert [one.label for one in done.left] == ["wiki/safe.md"]
    assert (done.commit, done.generation, done.kept) == (None, 1, 6)
    with gate.workspace.ledger.reading() as conn:
        after = {n: conn.execute(sa.select(t)).all() for n, t in tables.schema.tables.items()}
    assert after == before
    assert not gate.workspace.open_store().exists("corpus-g2")


def test_a_gate_that_refuses_leaves_the_old_index_serving(gate: Gate) -> None:
    gate.publish(HONEST)
    before, (refuse, asked) = answers(gate), refusing(gate)
    done = rebuild(gate, gate=refuse, yes=True)
    assert asked == [("corpus-g1", "corpus-g2", 6, 6)]
    assert (done.exit_code, done.commit, done.refused) == (4, None, ["answers are lost"])
    store = gate.workspace.open_store()
    assert (store.aliases(), store.exists("corpus-g2")) == ({"corpus": "corpus-g1"}, False)
    assert answers(gate) == before
    assert rebuild(gate, gate=lambda old, new: []).commit == 2
    sound(gate)


def test_the_corpus_of_an_earlier_commit_comes_back(gate: Gate) -> None:
    gate.publish(HONEST)
    before = gate.points().keys()
    state = corpus(gate)
    gate.reopen(days=1)
    gate.publish({"news.md": NEWS, "leave.md": LEAVE})
    done = rebuild(gate, at=1)
    assert (done.gone, done.kept, done.exit_code) == (["wiki/news.md"], 6, 1)
    assert gate.points().keys() == before
    assert corpus(gate) == state
    sound(gate)
    with pytest.raises(UsageError, match="there is none"):
        rebuild(gate, at=99)


def test_an_earlier_commit_does_not_bring_back_what_waits(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.reopen(days=10)
    gate.publish({"news.md": NEWS})
    revoke_alice(gate)
    done = rebuild(gate, at=2)
    assert [one.label for one in done.left] == ["wiki/news.md"]
    assert gate.documents("quarantine") == {"news.md"}
    assert "news.md" not in gate.documents()
    assert len(gate.cases()) == 1


def test_bytes_that_the_vault_lost_are_asked_about(gate: Gate) -> None:
    gate.publish(HONEST)
    with gate.workspace.ledger.reading() as conn:
        name = versions.members(conn, "serving")["wiki/leave.md"].subject_digest
    path = gate.folder / "w/vault" / name[:2] / name
    path.write_bytes(path.read_bytes() + b"!")
    done = rebuild(gate)
    assert done.commit is None
    assert (
        "1 documents cannot be read back as they were signed, such as wiki/leave.md"
        in (done.stops[0])
    )
    assert rebuild(gate, yes=True).kept == 5
    assert gate.documents("quarantine") == set()
    assert verify_log(gate.workspace).problems == []


def test_embedding_again_gives_the_same_index(gate: Gate) -> None:
    gate.publish(HONEST)
    before = answers(gate)
    asked: list[int] = []
    encoder = gate.workspace.encoder
    real = encoder.encode

    class Counting:
        recipe = encoder.recipe
        count_tokens = staticmethod(encoder.count_tokens)

        def encode(self, texts: Any, progress: Any = None) -> Any:
            asked.append(len(texts))
            return real(texts, progress)

    gate.workspace.__dict__["encoder"] = Counting()
    rebuild(gate)
    assert asked == []  # the vault has them all
    rebuild(gate, re_embed=True)
    assert asked == [6]
    same_but_for_the_last_bits(before, answers(gate))
    sound(gate)


def test_a_young_generation_is_left_alone_when_asked(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.reopen(days=10)
    done = rebuild(gate, older_than=timedelta(days=30))
    assert (done.commit, done.exit_code) == (None, 0)
    assert "younger" in done.skipped
    gate.reopen(days=25)
    assert rebuild(gate, older_than=timedelta(days=30)).commit == 2


def test_nothing_to_rebuild_is_said(gate: Gate) -> None:
    with pytest.raises(UsageError, match="nothing to rebuild"):
        rebuild(gate)


def test_a_label_that_would_vanish_is_asked_about(gate: Gate) -> None:
    gate.publish({"news.md": NEWS, **dict(list(HONEST.items())[:1])})
    gate.trust(gate.alice, source="desk")
    other = Publisher(gate.folder / "desk", gate.alice, "desk")
    texts = dict(list(HONEST.items())[1:])
    meta = {name: {"department": "desk"} for name in texts}
    gate.ingest(other.publish(texts, metadata=meta), root=other.folder)
    assert gate.documents() == {*HONEST, "news.md"}
    gate.change_root(lambda root: amend_root.revoke_source(root, "desk", gate.now))
    settings(gate, reindex={"removed_share": 0.9})
    done = rebuild(gate)
    assert done.stops == ["department 'desk' would be 0 of 2 documents, was 5 of 7"]
    assert rebuild(gate, yes=True).commit is not None


PAID = (
    "Suppliers send their invoices to the finance team in Leeds and quote the order number. They "
    "are paid within 30 days. Amounts above 2,500 euro need two signatures, and nobody may pay "
    "them in cash before the goods have arrived. Questions go to the desk, which answers them."
)


def test_what_waits_and_was_copied_from_a_page_makes_no_suspect_of_it(gate: Gate) -> None:
    """Nor of an update of it: a full desk would stop every rebuild for its own originals."""
    gate.publish({"paid.md": PAID, FIRST: HONEST[FIRST]})
    web = gate.another("web")
    copied = PAID.replace("30 days", "90 days")
    gate.ingest(web.publish({"copy.md": copied}, now=gate.now), root=web.folder)
    assert gate.documents("quarantine") == {"copy.md"}
    made = rebuild(gate, dry_run=True)
    assert (list(made.suspects), list(made.left), made.kept) == ([], [], 2)
    gate.publish({"paid.md": PAID.replace("which answers", "which soon answers")})
    assert gate.documents("quarantine") == {"copy.md"}
