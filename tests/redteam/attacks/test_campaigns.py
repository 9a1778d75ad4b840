from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from ragguard.redteam.attacks import PoisonDocument, Question
from ragguard.redteam.attacks.claims import make_claim
from ragguard.redteam.attacks.terrain import Terrain
from ragguard.redteam.attacks.typos import mistype
from ragguard.redteam.attacks.wording import (
    VERBS,
    articles,
    participle,
    past,
    plural,
    reword,
    synonyms,
)
from tests.support.attacks.targets import handbook, run


def pairwise_cosine(planted: list[PoisonDocument]) -> float:
    """Mean over campaigns and pairs of documents, with the real encoder."""
    encoder = handbook().encoder
    assert encoder is not None
    vectors = encoder.encode([p.text for p in planted])
    rows: dict[str, list[int]] = defaultdict(list)
    for row, document in enumerate(planted):
        rows[document.campaign].append(row)
    means = []
    for members in rows.values():
        cosines = vectors[members] @ vectors[members].T
        means.append(cosines[np.triu_indices(len(members), 1)].mean())
    return float(np.mean(means))


def share_retrieved(planted: list[PoisonDocument]) -> float:
    """Campaigns with a document among the five nearest to their question."""
    target = handbook()
    assert target.encoder is not None
    honest = np.stack([p.vector for p in target.passages])
    vectors = target.encoder.encode([p.text for p in planted])
    goals = {q.text: q.vector for q in target.questions}
    best: dict[str, bool] = {}
    for document, vector in zip(planted, vectors, strict=True):
        goal = goals[document.question]
        found = float(vector @ goal) > np.sort(honest @ goal)[-5]
        best[document.campaign] = best.get(document.campaign, False) or found
    return float(np.mean(list(best.values())))


def test_question_led_passages_begin_with_the_question_and_differ() -> None:
    planted = run("question_led", campaigns=10)
    assert len(planted) == 50
    assert len({p.text for p in planted}) == 50
    for document in planted:
        assert document.text.startswith(document.question.rstrip("?."))


def test_dispersion_moves_the_documents_of_a_campaign_apart() -> None:
    near, middle, far = (
        pairwise_cosine(run("paraphrase", campaigns=12, dispersion=d)) for d in (0.0, 0.5, 1.0)
    )
    assert near > middle + 0.05
    assert middle > far + 0.02
    assert near > 0.75
    assert far < 0.62


@pytest.mark.parametrize(
    ("name", "least"),
    [("question_led", 0.99), ("paraphrase", 0.8), ("disperse", 0.8), ("mixed", 0.95)],
)
def test_an_attack_gets_into_the_top_five_for_its_question(name: str, least: float) -> None:
    assert share_retrieved(run(name, campaigns=12)) >= least


def test_dispersed_documents_have_all_lengths() -> None:
    planted = run("disperse", campaigns=5)
    by_campaign: dict[str, list[int]] = defaultdict(list)
    for document in planted:
        by_campaign[document.campaign].append(len(document.text.split()))
    for lengths in by_campaign.values():
        assert max(lengths) > 2 * min(lengths)


def test_single_plants_one_document_a_question() -> None:
    planted = run("single", campaigns=8)
    assert len(planted) == len({p.campaign for p in planted}) == 8


def test_synonyms_change_words_and_keep_the_meaning_near() -> None:
    led, swapped = run("question_led", campaigns=4), run("synonyms", campaigns=4)
    assert len(led) == len(swapped)
    encoder = handbook().encoder
    assert encoder is not None
    text = "The company announced that a new film will begin in a large city next year."
    others = [reword(text, np.random.default_rng(seed), 0.6) for seed in range(12)]
    vectors = encoder.encode([text, *others])
    assert (vectors[1:] @ vectors[0]).mean() > 0.65
    shared = [len(set(text.lower().split()) & set(o.lower().split())) for o in others]
    assert np.mean(shared) < 12


def test_typing_errors_hit_a_tenth_to_a_fifth_of_the_words() -> None:
    originals = {p.id: p.text for p in handbook().passages}
    for document in run("typing_errors", campaigns=10):
        old, new = originals[document.original].split(), document.text.split()
        assert len(old) == len(new)
        share = sum(a != b for a, b in zip(old, new, strict=True)) / len(old)
        assert 0.05 <= share <= 0.22


def test_a_mistyped_word_keeps_its_first_letter_and_is_never_right() -> None:
    rng = np.random.default_rng(3)
    for word in ("letter", "book", "Address", "WILL", "mississippi"):
        for _ in range(40):
            slip = mistype(word, rng, 1.0)
            assert slip != word
            assert slip[0] == word[0]
            assert abs(len(slip) - len(word)) <= 1


def test_a_flood_is_twenty_copies_that_are_almost_but_not_quite_the_same() -> None:
    planted = run("flood", campaigns=2)
    assert len(planted) == 40
    first = planted[:20]
    assert len({p.text for p in first}) >= 19
    assert pairwise_cosine(first) > 0.95


def test_stuffing_repeats_the_words_of_the_question() -> None:
    for document in run("stuffing", campaigns=5):
        words = document.text.lower().split()
        content = [w for w in document.question.lower().strip("?").split() if len(w) > 5]
        if content:
            assert max(words.count(w) for w in content) >= 3


def test_mixed_documents_of_a_campaign_are_made_in_different_ways() -> None:
    for campaign in {p.campaign for p in run("mixed", campaigns=4)}:
        ways = [p.id.rsplit("-", 1)[1] for p in run("mixed", campaigns=4) if p.campaign == campaign]
        assert len(set(ways)) == 5


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("who wrote the long winter", "{a} wrote the long winter"),
        ("when did the ship sink", "the ship sank in {a}"),
        ("when was the bridge built in leeds", "the bridge was built in leeds in {a}"),
        ("how many players are on a team", "there are {a} players on a team"),
        ("what is the capital of the region", "the capital of the region is {a}"),
        ("which river flows through the valley", "{a} flows through the valley"),
        ("the oath is taken under which act", "the oath is taken under {a}"),
        ("where is the largest desert located", "the largest desert is located in {a}"),
    ],
)
def test_a_question_becomes_a_statement_with_the_wrong_answer(question: str, said: str) -> None:
    target, rng = handbook(), np.random.default_rng(7)
    asked = Question("q", question, target.passages[0].vector)
    for _ in range(10):
        claim = make_claim(asked, [], Terrain(target, rng), rng)
        stated = [s.replace(" on ", " in ").lower() for s in claim.statements]
        wanted = said.replace("{a}", claim.answer).replace(" on ", " in ").lower()
        assert wanted in stated, claim.statements


def test_the_wrong_answer_is_not_the_right_one() -> None:
    target, rng = handbook(), np.random.default_rng(7)
    terrain = Terrain(target, rng)
    for question in target.questions:
        claim = make_claim(question, terrain.near(question, 8), terrain, rng)
        assert claim.answer != claim.right
        assert any(claim.answer in s for s in claim.statements) or claim.answer == "yes"


def test_words_are_inflected() -> None:
    assert [plural("city"), plural("box"), plural("person")] == ["cities", "boxes", "people"]
    assert [past("go"), past("carry"), past("stop"), past("move")] == [
        *("went", "carried", "stopped", "moved")
    ]
    assert participle("write") == "written"
    assert articles("a apple and an pear at an hour") == "an apple and a pear at an hour"
    assert len(synonyms()) > 1000
    assert {"sink", "write", "win"} <= VERBS
