"""Campaigns and hubs in a whole index, whoever wrote them and whenever they came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ragguard.audit import neighbourhoods
from ragguard.audit.findings import AuditFinding
from ragguard.audit.neighbourhoods import Neighbourhoods, look
from ragguard.knn.graph import neighbour_table
from tests.support.audit.spools import D, Passage, campaign, crowd, prose, spooled
from tests.support.checks.views import unit

RATE = 0.002


def looked(folder: Path, passages: Sequence[Passage]) -> Neighbourhoods:
    spool = spooled(folder, passages)
    return look(spool, neighbour_table(spool.vectors, neighbourhoods.K), RATE, "docs")


def about(found: Neighbourhoods, planted: Sequence[Passage]) -> list[AuditFinding]:
    """Campaigns that have a planted document among them."""
    names = {p.document for p in planted}
    return [f for f in found.findings if names & set(f.facts.get("members", []))]


# --- campaigns ------------------------------------------------------------------------------------


def test_a_campaign_over_months_and_sources_is_one_finding(tmp_path: Path) -> None:
    honest = crowd()
    sources = ("wiki", "vendor", "wiki", "partner")
    planted = [
        replace(p, document=f"{source}/p{i}.md", arrived=arrived)
        for i, (p, source, arrived) in enumerate(
            zip(campaign(honest), sources, (3, 90, 400, 2000), strict=True)
        )
    ]
    (found,) = about(looked(tmp_path, [*planted[:2], *honest, *planted[2:]]), planted)
    assert (found.rule, found.collection, found.count) == ("campaign", "docs", 4)
    assert set(found.facts["members"]) == {p.document for p in planted}
    assert found.facts["sources"] == ["partner", "vendor", "wiki"]
    assert set(found.facts["arrivals"]) <= {3, 90, 400, 2000}
    assert len(found.facts["arrivals"]) >= 3
    assert found.p_value is not None
    assert found.p_value < 1e-9
    assert found.score > 0.9
    assert "in different words" in found.detail
    shown = {n["document"]: n for n in found.facts["neighbours"]}
    assert set(shown) < {p.document for p in planted}
    assert all(n["similarity"] > 0.9 for n in shown.values())
    texts = {p.document: p.text[: neighbourhoods.QUOTED] for p in planted}
    assert {name: n["text"] for name, n in shown.items()}.items() <= texts.items()
    assert found.facts["text"] == texts[found.document]


def test_an_honest_corpus_has_hardly_any_suspects(tmp_path: Path) -> None:
    count = 0
    for seed in range(4):
        found = looked(tmp_path / str(seed), crowd(seed=seed))
        assert [f.rule for f in found.findings if f.rule == "hub"] == []
        count += int(found.suspects.sum())
    assert count <= 2 * 4 * 500 * RATE


def test_two_campaigns_are_two_findings(tmp_path: Path) -> None:
    honest = crowd()
    one, other = campaign(honest, 3, seed=1), campaign(honest[200:], 5, seed=2)
    found = looked(tmp_path, [*honest, *one, *other])
    (first,), (second,) = about(found, one), about(found, other)
    assert set(first.facts["members"]) == {p.document for p in one}
    assert set(second.facts["members"]) == {p.document for p in other}


def test_what_waits_in_quarantine_is_company_and_is_not_accused_again(tmp_path: Path) -> None:
    honest = crowd()
    serve, wait = (lambda made: (made[:2], made[2:]))(campaign(honest))
    waiting = [replace(p, waits=True) for p in wait]
    found = looked(tmp_path, [*honest, *serve, *waiting])
    (told,) = about(found, serve)
    assert set(told.facts["members"]) == {p.document for p in serve}
    assert "2 of them in quarantine" in told.detail
    assert found.suspects.sum() >= 2
    assert about(found, waiting) == []


def test_a_campaign_that_waits_altogether_is_no_news(tmp_path: Path) -> None:
    honest = crowd()
    planted = [replace(p, waits=True) for p in campaign(honest)]
    found = looked(tmp_path, [*honest, *planted])
    assert about(found, planted) == []


def test_a_newer_version_that_waits_does_not_cover_the_one_that_serves(tmp_path: Path) -> None:
    honest = crowd()
    planted = campaign(honest)
    others = crowd(4, seed=5)
    newer = [
        replace(other, document=p.document, waits=True)
        for other, p in zip(others, planted, strict=True)
    ]
    (told,) = about(looked(tmp_path, [*honest, *planted, *newer]), planted)
    assert set(told.facts["members"]) == {p.document for p in planted}


def test_a_poisoned_version_that_waits_does_not_accuse_the_honest_one(tmp_path: Path) -> None:
    honest = crowd()
    planted = campaign(honest)
    waiting = replace(planted[0], document=honest[300].document, waits=True)
    found = looked(tmp_path, [*honest, waiting, *planted[1:]])
    (told,) = about(found, planted)
    assert set(told.facts["members"]) == {p.document for p in planted[1:]}
    assert honest[300].document not in told.facts["members"]


def test_copies_of_one_text_are_no_campaign(tmp_path: Path) -> None:
    honest = crowd()
    text = prose(77)
    copies = campaign(honest, texts=[f"{text} {i}" for i in range(4)])
    assert about(looked(tmp_path / "copies", [*honest, *copies]), copies) == []
    others = campaign(honest)
    assert len(about(looked(tmp_path / "others", [*honest, *others]), others)) == 1


def test_passages_without_words_are_no_campaign(tmp_path: Path) -> None:
    honest = crowd()
    rules = campaign(honest, texts=["====", "=======", "=====", "-----"])
    assert about(looked(tmp_path, [*honest, *rules]), rules) == []


def test_texts_are_only_read_where_they_may_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = crowd()
    planted = campaign(honest)
    spool = spooled(tmp_path, [*honest, *planted])
    table = neighbour_table(spool.vectors, neighbourhoods.K)
    whole = look(spool, table, RATE, "docs")
    monkeypatch.setattr(neighbourhoods, "READ", 30)
    monkeypatch.setattr(neighbourhoods, "BLOCK", 16)
    some = look(spool, table, RATE, "docs")
    assert len(about(whole, planted)) == 1
    assert [f.facts for f in about(some, planted)] == [f.facts for f in about(whole, planted)]


def test_long_texts_are_quoted_in_part_and_many_members_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbourhoods, "MEMBERS", 3)
    honest = crowd()
    planted = campaign(honest, 5, texts=[prose(500 + i, 400) for i in range(5)])
    (found,) = about(looked(tmp_path, [*honest, *planted]), planted)
    assert (found.count, len(found.facts["members"])) == (5, 3)
    texts = [found.facts["text"], *(n["text"] for n in found.facts["neighbours"])]
    assert [len(t) for t in texts] == [neighbourhoods.QUOTED] * len(texts)


# --- hubs -----------------------------------------------------------------------------------------


def spread(n: int = 600) -> list[Passage]:
    """Documents that share a language, and nothing else."""
    rng = np.random.default_rng(4)
    base = unit(np.ones(D))
    return [
        Passage(f"wiki/{i}.md", unit(0.5 * base + unit(rng.standard_normal(D))), prose(i))
        for i in range(n)
    ]


def with_hub(**changes: Any) -> list[Passage]:
    """One vector that is in most lists, in the middle of the index."""
    honest = spread()
    centre = unit(np.sum([p.vector for p in honest], axis=0))
    made = replace(Passage("wiki/all.md", centre, "all"), **changes)
    return [*honest[:100], made, *honest[100:]]


def test_a_vector_made_to_be_near_everything_is_a_hub(tmp_path: Path) -> None:
    assert "hub" in {f.rule for f in looked(tmp_path, with_hub()).findings}


def test_a_hub_is_told_with_its_lists_and_text(tmp_path: Path) -> None:
    found = looked(tmp_path, with_hub())
    (hub,) = [f for f in found.findings if f.rule == "hub"]
    assert (hub.document, hub.collection) == ("wiki/all.md", "docs")
    assert hub.facts["lists"] > 400
    assert hub.facts["text"] == "all"
    assert f"nearest of {hub.facts['lists']} chunks" in hub.detail
    assert found.suspects[100]


def test_a_hub_in_quarantine_is_not_told_again(tmp_path: Path) -> None:
    found = looked(tmp_path, with_hub(waits=True))
    assert [f for f in found.findings if f.rule == "hub"] == []


# --- small things ---------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 3])
def test_an_index_of_a_few_passages_has_no_suspects(n: int, tmp_path: Path) -> None:
    found = looked(tmp_path, crowd(n))
    assert (found.findings, found.suspects.tolist()) == ([], [False] * n)
    assert found.scores.shape == (n,)
