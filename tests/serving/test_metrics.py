"""What a retriever answered is counted where its application is scraped."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ragguard.serving.answer import Abstention, Answer, Hit, Proof, RefusedPassage
from ragguard.serving.metrics import RetrievalMetrics


def test_answers_passages_and_refusals_are_counted_by_kind() -> None:
    proof = Proof("p", "0" * 64, "1" * 64, 1, 0, 1)
    hits = [Hit(rank, 0.9, "text", "wiki/a.md", "wiki", {}, proof) for rank in (1, 2)]
    refused = [
        RefusedPassage("p", "wiki/b.md", "seal", "another hand", True),
        RefusedPassage("q", "wiki/c.md", "denied", "rejected", False),
    ]
    registry = CollectorRegistry()
    count = RetrievalMetrics(registry)
    count(Answer(hits, refused))
    count(Answer(hits[:1]))
    count(Answer([], refused[:1], Abstention("unproved", "nothing is proved")))
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    assert found == {
        ("ragguard_retrieval_answers_total", ""): 2,
        ("ragguard_retrieval_answers_total", "unproved"): 1,
        ("ragguard_retrieval_passages_total",): 3,
        ("ragguard_retrieval_refused_total", "true", "seal"): 2,
        ("ragguard_retrieval_refused_total", "false", "denied"): 1,
    }
