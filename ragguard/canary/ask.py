"""Ask a collection its canary queries: exactly, judged by document.

A document ranks by its best chunk. Among equals the name decides, and similarities are then told
apart by the last bit, so that a run that is written down is ranked the same by every tool.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ragguard.canary.measures import DEPTH, measured
from ragguard.canary.patterns import Patterns
from ragguard.canary.result import ForbiddenHit, Run, TriggerFound
from ragguard.canary.sets import Canaries
from ragguard.detect.view import point_label
from ragguard.errors import UsageError
from ragguard.ledger import versions
from ragguard.model import Floats
from ragguard.serving import ranking
from ragguard.store import Store
from ragguard.text.words import words
from ragguard.trust.scope import scope_of
from ragguard.workspace import Workspace

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder
    from ragguard.serving.ranking import DocumentRanker

K = 10
BLOCK = 128  # queries asked at once
WIDTH = 4  # chunks asked for at first, for each document wanted
MOST_CHUNKS = 16_384  # of one query: a document of more chunks than that may hide others
CARRIERS = 50  # queries that a trigger is put behind
LEAST_CARRIERS = 10  # fewer say nothing of a trigger
PULLED = 0.5  # share of them at which one document coming first is no chance


@dataclass(frozen=True)
class _Answer:
    """Documents (with similarities) and what a reader would be handed of them: (rank, text)."""

    ranking: Sequence[tuple[str, float]]
    texts: Sequence[tuple[int, str]]


def run(
    workspace: Workspace,
    canaries: Canaries,
    k: int = K,
    *,
    collection: str = "",
    documents: Collection[str] | None = None,
    encoder: Encoder | None = None,
    ranker: DocumentRanker | None = None,
) -> Run:
    """Ask a collection every query and trigger of a set.

    Args:
        workspace: Open and locked.
        k: Documents for each query; at least 10 are ranked, for nDCG@10.
        collection: Physical name; the serving one by default.
        documents: Documents (`source/id`) in it: qrels of others are dropped and reported. Those
            that serve by the ledger by default.
        encoder: Of the recipe the collection was built with; the workspace's by default.
        ranker: Ranks documents by provenance too, among the first that similarity finds.

    Raises:
        UsageError: Nothing was ingested yet, or the set has no query and no trigger.
        ModelDigestError, RecipeMismatchError: The serving collection was built otherwise.
    """
    if not canaries.queries and not canaries.triggers:
        raise UsageError("the canary set has no queries", hint="ragguard canary add --help")
    generation = workspace.generation()
    if generation is None:
        raise UsageError("nothing to ask: no manifest was ingested yet")
    if encoder is None:
        encoder = workspace.encoder
        if not collection:
            workspace.check_recipe(encoder.recipe, cut=False)
    if documents is None:
        with workspace.ledger.reading() as conn:
            documents = versions.members(conn, "serving").keys()
    asked = _Asked(
        workspace.open_store(repair=False),
        collection or generation.serving,
        encoder,
        max(k, DEPTH),
        ranker,
    )
    judge = _Judge(canaries)
    rankings: dict[str, Sequence[tuple[str, float]]] = {}
    forbidden: list[ForbiddenHit] = []
    answers = _ask_all(asked, canaries)
    for query, answer in answers.items():
        rankings[query] = answer.ranking
        forbidden += judge.forbidden(query, answer)
    triggers = [_trigger(text, canaries, asked, judge, rankings) for text in canaries.triggers]
    answered = judged(asked.collection, canaries, k, rankings, documents)
    return replace(
        answered,
        forbidden=forbidden,
        triggers=triggers,
        latency_ms=round(1000 * asked.seconds / max(1, asked.queries), 3),
    )


def _ask_all(asked: _Asked, canaries: Canaries) -> dict[str, _Answer]:
    """Return the answer of every query in order, each asked for whom it is asked."""
    groups: dict[frozenset[str] | None, list[str]] = {}
    for query in canaries.queries:
        wanted = canaries.scopes.get(query)
        tokens = None if wanted is None else scope_of(wanted).tokens
        groups.setdefault(tokens, []).append(query)
    answers: dict[str, _Answer] = {}
    for tokens, queries in groups.items():
        texts = [canaries.queries[query] for query in queries]
        answers.update(zip(queries, asked.answers(texts, tokens), strict=True))
    return {query: answers[query] for query in canaries.queries}


def judged(
    name: str,
    canaries: Canaries,
    k: int,
    rankings: Mapping[str, Sequence[tuple[str, float]]],
    documents: Collection[str] | None,
) -> Run:
    """Return a run out of rankings alone, such as those of a run file.

    Documents that must not appear are found in it; patterns and triggers need the collection.

    Args:
        k: Documents for each query.
        rankings: Query id to (document, similarity); queries not in the set are passed over.
        documents: Documents in the corpus; `None`: all that the set names.
    """
    depth = max(k, DEPTH)
    known = {q: rankings[q][:depth] for q in canaries.queries if q in rankings}
    qrels: dict[str, dict[str, int]] = {}
    dropped = []
    for query, grades in canaries.qrels.items():
        if query not in known:
            continue
        there = {n: g for n, g in grades.items() if documents is None or n in documents}
        dropped += [(query, n) for n, grade in grades.items() if grade > 0 and n not in there]
        if any(grade > 0 for grade in there.values()):
            qrels[query] = there
    judge = _Judge(canaries, texts=False)
    forbidden = [
        hit
        for query, ranking in known.items()
        for hit in judge.forbidden(query, _Answer(ranking, ()))
    ]
    return Run(
        name,
        canaries.digest,
        k,
        known,
        qrels,
        dropped,
        measured(known, qrels, k),
        forbidden,
    )


class _Judge:
    """Finds what must not appear."""

    def __init__(self, canaries: Canaries, *, texts: bool = True) -> None:
        self._documents = [f for f in canaries.forbidden if f.document]
        self._rules = [f for f in canaries.forbidden if f.pattern] if texts else []
        self._patterns = Patterns([f.pattern for f in self._rules])

    def forbidden(
        self, query: str, answer: _Answer, *, trigger: bool = False
    ) -> list[ForbiddenHit]:
        """Tell what of an answer must not appear.

        Args:
            query: Query id, or a trigger's text.
            trigger: Whether it is a trigger: only what must appear nowhere then counts.
        """
        asked = "" if trigger else query
        ranks = {name: rank for rank, (name, _) in enumerate(answer.ranking, 1)}
        hits = [
            ForbiddenHit(query, ranks[f.document], f.document, f.name, "", f.reason)
            for f in self._documents
            if f.document in ranks and f.query in ("", asked)
        ]
        seen = set()
        for rank, text in answer.texts:
            for number, quote in self._patterns.search(text).items():
                rule = self._rules[number]
                if rule.query in ("", asked) and (number, rank) not in seen:
                    seen.add((number, rank))
                    name = answer.ranking[rank - 1][0]
                    hits.append(ForbiddenHit(query, rank, name, rule.name, quote, rule.reason))
        return sorted(hits, key=lambda hit: (hit.rank, hit.name))


def _trigger(
    text: str,
    canaries: Canaries,
    asked: _Asked,
    judge: _Judge,
    rankings: Mapping[str, Sequence[tuple[str, float]]],
) -> TriggerFound:
    """Ask a trigger by itself, and behind queries whose answers are known without it."""
    step = max(1, -(-len(canaries.queries) // CARRIERS))
    carriers = list(canaries.queries)[::step]
    answers = list(asked.answers([text, *(f"{canaries.queries[q]} {text}" for q in carriers)]))
    led: dict[str, int] = {}
    for query, answer in zip(carriers, answers[1:], strict=True):
        before, after = rankings[query][:1], answer.ranking[:1]
        if after and (not before or before[0][0] != after[0][0]):
            led[after[0][0]] = led.get(after[0][0], 0) + 1
    most = max(led, key=lambda name: (led[name], name), default="")
    share = led[most] / len(carriers) if most else 0.0
    for answer in answers:
        for hit in judge.forbidden(text, answer, trigger=True):
            reason = f"brings up {hit.name}, which must not appear, at rank {hit.rank}"
            return TriggerFound(text, True, reason, hit.document, share)
    phrase = words(text)
    for rank, passage in answers[0].texts:
        if _holds(words(passage), phrase):
            name = answers[0].ranking[rank - 1][0]
            reason = f"a passage at rank {rank} holds it, word for word"
            return TriggerFound(text, True, reason, name, share)
    if share >= PULLED and len(carriers) >= LEAST_CARRIERS:
        reason = (
            f"put behind {len(carriers)} queries, it makes one document come first for "
            f"{led[most]} that it did not come first for"
        )
        return TriggerFound(text, True, reason, most, share)
    return TriggerFound(text, False, share=share)


def _holds(passage: Sequence[str], phrase: Sequence[str]) -> bool:
    """Tell whether words stand in a passage one after the other."""
    n = len(phrase)
    return bool(n) and any(
        passage[at : at + n] == phrase for at, word in enumerate(passage) if word == phrase[0]
    )


class _Asked:
    """Asks one collection, and keeps the time."""

    def __init__(
        self,
        store: Store,
        collection: str,
        encoder: Encoder,
        k: int,
        ranker: DocumentRanker | None = None,
    ) -> None:
        self._store = store
        self._ranker, self._given = ranker, k
        self.collection = collection
        self._encoder = encoder
        self._k = k if ranker is None else k * ranking.WIDTH
        self._total = store.count(collection)
        self.seconds = 0.0
        self.queries = 0

    def answers(
        self, texts: Sequence[str], scope: Collection[str] | None = None
    ) -> Iterator[_Answer]:
        """Answer each text, in order; of what somebody in a scope may see, if one is given.

        Args:
            scope: Tokens, see `trust.scope`.
        """
        for start in range(0, len(texts), BLOCK):
            yield from self._block(self._encoder.encode(list(texts[start : start + BLOCK])), scope)

    def _block(self, vectors: Floats, scope: Collection[str] | None) -> list[_Answer]:
        """Ask for more and more chunks until each query has documents enough."""
        known: dict[str, tuple[str, str]] = {}
        answered: dict[int, _Answer] = {}
        rows = list(range(len(vectors)))
        width = min(self._total, WIDTH * self._k)
        while rows:
            began = time.perf_counter()
            hits = self._store.search(
                self.collection, vectors[rows], max(1, width), exact=True, scope=scope
            )
            self.seconds += time.perf_counter() - began
            self._learn({point for ids in hits.ids for point in ids}, known)
            left = []
            last = width >= min(self._total, MOST_CHUNKS)
            for row, ids, similarities in zip(rows, hits.ids, hits.similarities, strict=True):
                if last or _enough(ids, similarities, known, self._k):
                    answered[row] = self._ranked(_answer(ids, similarities, known, self._k))
                else:
                    left.append(row)
            rows, width = left, min(self._total, 4 * width, MOST_CHUNKS)
        self.queries += len(vectors)
        return [answered[row] for row in range(len(vectors))]

    def _ranked(self, answer: _Answer) -> _Answer:
        """Return the answer, ranked by provenance too where that is wanted."""
        if self._ranker is None:
            return answer
        best = [text for _, text in answer.texts[: len(answer.ranking)]]
        rows = self._ranker.rank(answer.ranking, best)[: self._given]
        places = {row + 1: rank for rank, (row, _) in enumerate(rows, 1)}
        texts = [(places[rank], text) for rank, text in answer.texts if rank in places]
        names = [answer.ranking[row][0] for row, _ in rows]
        falling = _falling([counted for _, counted in rows])
        return _Answer(list(zip(names, falling, strict=True)), texts)

    def _learn(self, points: set[str], known: dict[str, tuple[str, str]]) -> None:
        """Read document and text of points that are not known yet."""
        wanted = sorted(points - known.keys())
        known.update(dict.fromkeys(wanted, ("?/?", "")))  # for one that is gone meanwhile
        for point in self._store.get(self.collection, wanted):
            known[point.id] = point_label(point), str(point.payload.get("page_content", ""))


def _enough(
    ids: Sequence[str], similarities: Sequence[float], known: Mapping[str, tuple[str, str]], k: int
) -> bool:
    """Whether k documents are surely the nearest: all chunks as near as the last of them are in."""
    nearer = {known[i][0] for i, s in zip(ids, similarities, strict=True) if s > similarities[-1]}
    return len(nearer) >= k


def _answer(
    ids: Sequence[str], similarities: Sequence[float], known: Mapping[str, tuple[str, str]], k: int
) -> _Answer:
    best: dict[str, tuple[float, str]] = {}
    for point, similarity in zip(ids, similarities, strict=True):
        label, text = known[point]
        if label not in best or similarity > best[label][0]:
            best[label] = similarity, text
    order = sorted(best, key=lambda name: (-best[name][0], name))[:k]
    places = {name: rank for rank, name in enumerate(order, 1)}
    texts = [(rank, best[name][1]) for name, rank in places.items()]
    # A reader is handed the first k chunks, several of one document among them.
    texts += [(places[known[i][0]], known[i][1]) for i in ids[:k] if known[i][0] in places]
    falling = _falling([best[name][0] for name in order])
    return _Answer(list(zip(order, falling, strict=True)), list(dict.fromkeys(texts)))


def _falling(similarities: Sequence[float]) -> list[float]:
    """Similarities in single precision, as trec_eval reads them, each below the one before."""
    falling: list[np.float32] = []
    for value in map(np.float32, similarities):
        below = np.nextafter(falling[-1], np.float32(-np.inf)) if falling else value
        falling.append(min(value, below))
    return [float(value) for value in falling]
