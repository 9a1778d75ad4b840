"""Reindex: what is clean goes over, what is not does not, and nobody reads half of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from ragguard.audit import audit
from ragguard.audit.log_check import check_log
from ragguard.config import Settings
from ragguard.embed import encoder
from ragguard.errors import RecipeMismatchError, UsageError
from ragguard.ledger import commits, tables, versions
from ragguard.ledger.writer import Committer
from ragguard.lineage import prove
from ragguard.lineage.prove import verify_log
from ragguard.parse import document
from ragguard.quarantine import review
from ragguard.quarantine.revoke import blast_radius, find_target, revoke
from ragguard.rebuild.reindex import Rebuilt, reindex
from ragguard.serving.search import search
from ragguard.trust import amend_root, keys
from ragguard.workspace import alias
from tests.support.deciding import decide_all
from tests.support.simulator import HONEST, NEWS, NOW, SUSPECT, Gate, Publisher

FIRST = next(iter(HONEST))
QUESTIONS = [
    "how many days of leave do I have",
    "what is the pin of the safe",
    "when are invoices paid",
    "who signs contracts",
]


def rebuild(gate: Gate, /, **rest: Any) -> Rebuilt:
    return reindex(gate.workspace, **rest)


def answers(gate: Gate, k: int = 10) -> list[list[tuple[str, str, bytes]]]:
    """What exact search finds: point, text and vector."""
    store, generation = gate.workspace.open_store(), gate.workspace.generation()
    assert generation is not None
    hits = store.search(generation.serving, gate.workspace.encoder.encode(QUESTIONS), k)
    return [
        [
            (p.id, p.payload["page_content"], p.vector.tobytes())
            for p in store.get(generation.serving, ids, vectors=True)
        ]
        for ids in hits.ids
    ]


def sound(gate: Gate) -> None:
    """The log verifies, and an audit finds nothing wrong with index, ledger or provenance."""
    assert verify_log(gate.workspace).problems == []
    gate.reopen()
    report = audit(gate.workspace).report
    judged = {"campaign", "hub", "suspect-document", "hidden-or-instructing", "metadata-odd"}
    wrong = [f for f in report.findings if f.rule not in judged]
    assert [(f.rule, f.detail) for f in wrong if f.level in ("error", "warning")] == []


def test_an_untouched_corpus_answers_as_before(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    before, waiting = answers(gate), gate.points("quarantine")
    done = rebuild(gate)
    assert (done.exit_code, done.stops, done.left) == (0, [], [])
    assert (done.generation, done.commit, done.kept, done.waiting) == (2, 2, 6, 1)
    assert answers(gate) == before
    assert gate.points("quarantine").keys() == waiting.keys()
    assert gate.workspace.open_store().aliases() == {"corpus": "corpus-g2"}
    sound(gate)


def test_released_poison_that_was_denied_later_leaves_no_trace(
    gate: Gate, new_gate: Callable[..., Gate]
) -> None:
    """A reviewer lets it in; the same bytes are rejected elsewhere; the rebuild finds it again."""
    gate.publish({**HONEST, "safe.md": SUSPECT})
    review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "looks fine")
    assert "safe.md" in gate.documents()
    poisoned = {p for p, body in gate.points().items() if SUSPECT in body["page_content"]}
    gate.publish({"copy.md": SUSPECT})
    review.decide(gate.workspace, gate.cases()[0], "reject", gate.bob, "poison")
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
    near = SUSPECT + " It is kept behind the picture in the hall of the office."
    gate.publish({**HONEST, "safe.md": SUSPECT, "vault.md": near})
    by_name = {c.document: c for c in gate.cases()}
    review.decide(gate.workspace, by_name["vault.md"], "release", gate.bob, "looks fine")
    review.decide(gate.workspace, by_name["safe.md"], "reject", gate.bob, "poison")
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
    target = find_target(gate.workspace.root, "alice", None)
    radius = blast_radius(gate.workspace, target, NOW + timedelta(days=5))
    number = revoke(gate.workspace, target, radius, "stolen", [gate.root_key])
    assert number is not None
    decide_all(gate.workspace, number, "release", gate.bob, "is fine")
    assert rebuild(gate).left == []
    gate.settings = gate.settings.model_copy(
        update={"chunks": gate.settings.chunks.model_copy(update={"size": 120, "overlap": 10})}
    )
    gate.reopen()
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
    gate.settings = gate.settings.model_copy(
        update={"chunks": gate.settings.chunks.model_copy(update={"size": 120, "overlap": 10})}
    )
    gate.reopen(hours=1)
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
    key = gate.workspace.log_key
    bundle = json.dumps(prove.prove(gate.workspace, "wiki/leave.md")).encode()
    signers = {gate.alice.public.keyid: gate.alice.public}
    told = prove.verify_bundle(bundle, key, signers)
    assert (told["document"], told["signed_by"]) == ("wiki/leave.md", ["alice"])
    gate.publish({"news.md": NEWS, "leave.md": HONEST["leave.md"].replace("27", "28")})
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
    with gate.workspace.ledger.reading() as conn:
        states = {n: state for n, (state, _) in commits.generation_states(conn).items()}
        assert states == {1: "dropped", 2: "retired", 3: "serving"}
    gate.publish({"news.md": NEWS})
    sound(gate)


def test_a_generation_put_back_behind_the_logs_back_is_found(gate: Gate) -> None:
    """Who can write the ledger could serve the old index, and its poison, again."""
    gate.publish(HONEST)
    rebuild(gate)
    assert check_log(gate.workspace) == []
    table = tables.generations
    with gate.workspace.ledger.writing() as conn:
        conn.execute(sa.update(table).where(table.c.id == 2).values(state="retired"))
        conn.execute(sa.update(table).where(table.c.id == 1).values(state="serving"))
    said = " ".join(f.detail for f in check_log(gate.workspace))
    assert "generation 1: is serving, by the log it is retired" in said


def test_a_dry_run_says_what_would_go_and_changes_nothing(gate: Gate) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    review.decide(gate.workspace, gate.cases()[0], "release", gate.bob, "looks fine")
    gate.publish({"copy.md": SUSPECT})
    review.decide(gate.workspace, gate.cases()[0], "reject", gate.bob, "poison")
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
    before, asked = answers(gate), []

    def refuse(old: str, new: str) -> Sequence[str]:
        store = gate.workspace.open_store()
        asked.append((old, new, store.count(old), store.count(new)))
        return ["answers are lost"]

    done = rebuild(gate, gate=refuse, yes=True)
    assert asked == [("corpus-g1", "corpus-g2", 6, 6)]
    assert (done.exit_code, done.commit, done.refused) == (4, None, ["answers are lost"])
    store = gate.workspace.open_store()
    assert (store.aliases(), store.exists("corpus-g2")) == ({"corpus": "corpus-g1"}, False)
    assert answers(gate) == before
    assert rebuild(gate, gate=lambda old, new: []).commit == 2
    sound(gate)


def test_whoever_asks_the_alias_meanwhile_gets_one_whole_index(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.publish(HONEST)
    before, store = answers(gate), gate.workspace.open_store()
    asked: list[str] = []
    vectors = gate.workspace.encoder.encode(QUESTIONS)

    def look(when: str) -> None:
        found = store.search("corpus", vectors, 10)
        assert found.ids == [[hit[0] for hit in hits] for hits in before]
        asked.append(f"{when} {store.aliases()['corpus']}")

    for name in ("build", "commit", "_confirm"):
        real = getattr(Committer, name)

        def watched(self: Committer, *args: Any, real: Any = real, name: str = name) -> Any:
            look(f"before {name}")
            result = real(self, *args)
            look(f"after {name}")
            return result

        monkeypatch.setattr(Committer, name, watched)
    rebuild(gate)
    look("done")
    assert {a.rpartition(" ")[2] for a in asked[:-1]} == {"corpus-g1"}
    assert asked[-1] == "done corpus-g2"
    assert len(asked) == 7


def test_the_corpus_of_an_earlier_commit_comes_back(gate: Gate) -> None:
    gate.publish(HONEST)
    before = gate.points().keys()
    with gate.workspace.ledger.reading() as conn:
        state = versions.corpus_digest(conn)
    gate.reopen(days=1)
    gate.publish({"news.md": NEWS, "leave.md": HONEST["leave.md"].replace("27", "28")})
    done = rebuild(gate, at=1)
    assert (done.gone, done.kept, done.exit_code) == (["wiki/news.md"], 6, 1)
    assert gate.points().keys() == before
    with gate.workspace.ledger.reading() as conn:
        assert versions.corpus_digest(conn) == state
    sound(gate)
    with pytest.raises(UsageError, match="there is none"):
        rebuild(gate, at=99)


def test_an_earlier_commit_does_not_bring_back_what_waits(gate: Gate) -> None:
    gate.publish(HONEST)
    gate.reopen(days=10)
    gate.publish({"news.md": NEWS})
    target = find_target(gate.workspace.root, "alice", None)
    radius = blast_radius(gate.workspace, target, NOW + timedelta(days=5))
    revoke(gate.workspace, target, radius, "stolen", [gate.root_key])
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
    for old, new in zip(before, answers(gate), strict=True):
        assert [hit[:2] for hit in old] == [hit[:2] for hit in new]
        for one, other in zip(old, new, strict=True):
            apart = np.frombuffer(one[2], "<f4") - np.frombuffer(other[2], "<f4")
            assert float(np.linalg.norm(apart)) < 1e-4
    gate.reopen()
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
    gate.settings = Settings.model_validate({"reindex": {"removed_share": 0.9}})
    gate.reopen()
    done = rebuild(gate)
    assert done.stops == ["department 'desk' would be 0 of 2 documents, was 5 of 7"]
    assert rebuild(gate, yes=True).commit is not None


# --- kills ----------------------------------------------------------------------------------------


def _die(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


@pytest.mark.parametrize("place", ["build", "commit", "_finish", "_confirm", "point"])
def test_cut_short_anywhere_it_is_whole_afterwards(
    gate: Gate, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    gate.publish({**HONEST, "safe.md": SUSPECT})
    before = answers(gate)
    with monkeypatch.context() as patch:
        patch.setattr(alias if place == "point" else Committer, place, _die)
        with pytest.raises(KeyboardInterrupt):
            rebuild(gate)
    assert gate.workspace.open_store().aliases() == {"corpus": "corpus-g1"}
    gate.reopen()
    finished = gate.workspace.recover()
    assert finished == (1 if place in ("_finish", "_confirm") else 0)
    done = place in ("_finish", "_confirm", "point")
    serving = "corpus-g2" if done else "corpus-g1"
    assert gate.workspace.open_store().aliases() == {"corpus": serving}
    assert answers(gate) == before
    assert rebuild(gate).left == []
    assert answers(gate) == before
    assert len(gate.points("quarantine")) == 1
    sound(gate)


PAID = (
    "Suppliers send their invoices to the finance team in Leeds and quote the order number. They "
    "are paid within 30 days. Amounts above 2,500 euro need two signatures, and nobody may pay "
    "them in cash before the goods have arrived. Questions go to the desk, which answers them."
)


def test_what_waits_and_was_copied_from_a_page_makes_no_suspect_of_it(gate: Gate) -> None:
    """Nor of an update of it: a full desk would stop every rebuild for its own originals."""
    carol = keys.generate("carol")
    gate.trust(carol, source="web")
    gate.publish({"paid.md": PAID, FIRST: HONEST[FIRST]})
    web = Publisher(gate.folder / "web", carol, "web")
    copied = PAID.replace("30 days", "90 days")
    gate.ingest(web.publish({"copy.md": copied}, now=gate.now), root=web.folder)
    assert gate.documents("quarantine") == {"copy.md"}
    made = rebuild(gate, dry_run=True)
    assert (list(made.suspects), list(made.left), made.kept) == ([], [], 2)
    gate.publish({"paid.md": PAID.replace("which answers", "which soon answers")})
    assert gate.documents("quarantine") == {"copy.md"}
