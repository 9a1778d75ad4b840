"""Export Prometheus metrics of a retriever, for the /metrics of its application.

    count = RetrievalMetrics()
    answer = retriever.retrieve(question)
    count(answer)

It has the shape of the adapters' `on_answer`.
"""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter

from ragguard.serving.answer import Answer

PREFIX = "ragguard_retrieval_"


class RetrievalMetrics:
    """Counts answers, passages given, and what was refused, by kind.

    Args:
        registry: Where the counters go; the application's default one.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._answers = Counter(
            f"{PREFIX}answers",
            "Questions answered; abstained is why no passage was given, empty where some were.",
            ["abstained"],
            registry=registry,
        )
        self._passages = Counter(
            f"{PREFIX}passages", "Passages given, each proved.", registry=registry
        )
        self._refused = Counter(
            f"{PREFIX}refused",
            "Passages found and not given; alarm: the index is not what was written to it.",
            ["kind", "alarm"],
            registry=registry,
        )

    def __call__(self, answer: Answer) -> None:
        """Count an answer."""
        self._answers.labels(answer.abstained.kind if answer.abstained else "").inc()
        self._passages.inc(len(answer.hits))
        for refused in answer.refused:
            self._refused.labels(refused.kind, str(refused.alarm).lower()).inc()
