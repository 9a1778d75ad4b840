"""Trace a bad answer to the documents that made it, and to what came with them.

Passages retrieved for the question are ranked by how much the answer rests on them, by what
`lineage.attribution` measures or by a judge. It names suspects for a person; it changes nothing,
and what it compares does not tell a false statement from a true one: the honest passages that a
right answer rests on are named in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ragguard.detect import lexicon
from ragguard.embed.encoder import Encoder
from ragguard.errors import UsageError
from ragguard.ledger import commits, versions
from ragguard.ledger.commits import Generation
from ragguard.lineage.attribution import (
    CHANCE,
    FEWEST,
    PassageSigns,
    answer_terms,
    chances,
    chances_unasked,
    holds,
    responsible,
    share_out,
    strangeness,
    window,
)
from ragguard.lineage.contradiction import says_otherwise
from ragguard.model import Bools, Doubles, Floats
from ragguard.serving.search import Hit, search
from ragguard.store import Store
from ragguard.text.minhash import shared_words
from ragguard.text.prose import prose
from ragguard.text.words import name_flags, normalise, words
from ragguard.workspace import Workspace

Judge = Callable[[str, str, Sequence[str]], Sequence[float]]
LIMIT = 5  # how many times k the ranking is read at most
COPY = 0.6  # word overlap from which two passages are near-duplicates
CLOSE = 0.75  # cosine from which two passages say the same
NEAR = 0.15  # cosine below the closest up to which a passage is about the question
NEAREST = 20  # neighbours of a responsible passage looked at, in each collection


@dataclass(frozen=True)
class Passage:
    """A passage that was retrieved for the question.

    Attributes:
        score: Suspicion in [0, 1], higher is worse; without an answer good for a ranking only.
        held: Share of the answer's words it holds.
        strange: Share of its words that hardly anybody else in the corpus writes.
        dependence: Share of the answer that rests on it; without an answer its share of the
            retrieval.
        alone: Share of the answer's words that no other passage retrieved holds.
        responsible: Whether the answer rests on it; never without an answer.
        otherwise: Whether it is near the question and states another fact than the answer.
    """

    hit: Hit
    score: float
    held: float
    strange: float
    dependence: float
    alone: float
    responsible: bool
    otherwise: bool = False


@dataclass(frozen=True)
class Companion:
    """A document beside a responsible one.

    Attributes:
        zone: `serving` or `quarantine`.
        why: `campaign`, `near-duplicate`, `batch` (same commit) or `signer`, one or several.
        similarity: Cosine to the closest responsible passage; `None` when not a neighbour.
    """

    document: str
    zone: str
    why: tuple[str, ...]
    similarity: float | None


@dataclass(frozen=True)
class TraceResult:
    """Passages by how much the answer rests on them, and what else there is of their kind.

    Attributes:
        waiting: Documents in quarantine that state the answer, the likeliest first: none of them
            serves, and the answer may be of a time when they did.
    """

    passages: Sequence[Passage]
    companions: Sequence[Companion]
    waiting: Sequence[str] = ()

    @property
    def documents(self) -> list[str]:
        """Responsible documents, in the order of the passages."""
        return list(dict.fromkeys(p.hit.document for p in self.passages if p.responsible))

    @property
    def otherwise(self) -> list[Passage]:
        """What the corpus says otherwise: near the answer, with another fact in its place."""
        return [p for p in self.passages if p.otherwise]


def trace_answer(
    workspace: Workspace, query: str, answer: str = "", k: int = 10, judge: Judge | None = None
) -> TraceResult:
    """Find the passages that a bad answer rests on.

    The ranking is read k by k for as long as the last k holds a responsible passage.

    Args:
        workspace: Open and locked.
        answer: The bad answer; empty when it is not known.
        k: Passages that the retriever gave.
        judge: From question, answer and passages to how far each passage supports the answer, in
            [0, 1]; takes the place of what is measured here.

    Raises:
        UsageError: See `search`; or a judge without an answer.
    """
    if judge is not None and not answer.strip():
        raise UsageError("a judge needs the bad answer", hint='Give it with --answer "…".')
    hits = search(workspace, query, k * LIMIT, tried=False)
    generation = workspace.generation()
    if generation is None or not hits:
        return TraceResult([], [])
    points = workspace.open_store().get(generation.serving, [h.point for h in hits], vectors=True)
    vectors = np.stack([p.vector for p in points])
    signs = read_signs(
        workspace.encoder, query, answer, [h.text for h in hits], vectors, _known(workspace)
    )
    if not words(normalise(answer)):
        score = chances_unasked(signs.close, signs.strange, vectors, k)
        nobody = np.zeros(len(hits), dtype=bool)
        passages = _passages(query, answer, hits[:k], signs, score, nobody)
        passages.sort(key=lambda p: (-p.score, p.hit.rank))
        return TraceResult(passages, [])
    waiting: Mapping[str, str] = {}
    if judge is None:
        score = chances(signs, k)
        waiting = _stated_in_quarantine(workspace, generation, query, answer, hits[:k], vectors[:k])
        texts, witnesses = [h.text for h in hits], list(waiting.values())

        def judged(n: int) -> tuple[Bools, Bools]:
            return named(query, answer, texts[:n], score[:n], vectors[:n], witnesses)

        read, guilty = read_on(lambda n: judged(n)[0], len(hits), k)
        otherwise = judged(read)[1]
        # Shown too: what is about as close to the question, accused or not.
        near = (signs.close[:read] >= signs.close[:k].max() - NEAR) & ~guilty
        stated = [texts[i] for i in np.flatnonzero(guilty).tolist()]
        otherwise |= says_otherwise(query, answer, texts[:read], near, [*stated, *witnesses])
    else:
        read, guilty, score = _judged(judge, query, answer, [h.text for h in hits], k)
        otherwise = np.zeros(read, dtype=bool)
    passages = _passages(query, answer, hits[:read], signs, score, guilty)
    passages = [replace(p, otherwise=bool(o)) for p, o in zip(passages, otherwise, strict=True)]
    passages = [p for p in passages if p.hit.rank <= k or p.responsible]
    passages.sort(key=lambda p: (not p.responsible, -p.score, p.hit.rank))
    companions = _companions(workspace, [p for p in passages if p.responsible])
    return TraceResult(passages, companions, list(waiting))


def named(
    query: str,
    answer: str,
    texts: Sequence[str],
    score: Doubles,
    vectors: Floats,
    witnesses: Sequence[str] = (),
) -> tuple[Bools, Bools]:
    """Name passages that an answer rests on, and those that say otherwise.

    Args:
        texts: Of n passages.
        score: float64 (n,), of `chances`.
        vectors: float32 (n, d), unit length.
        witnesses: See `says_otherwise`.

    Returns:
        bool (n,) twice; none is in both.
    """
    other = says_otherwise(query, answer, texts, responsible(score, vectors), witnesses)
    # What is likely only because it resembles what says otherwise is not.
    return responsible(np.where(other, 0.0, score), vectors) & ~other, other


def _stated_in_quarantine(
    workspace: Workspace,
    generation: Generation,
    query: str,
    answer: str,
    hits: Sequence[Hit],
    vectors: Floats,
) -> dict[str, str]:
    """Documents that wait and state an answer, each with its likeliest passage, that one first.

    They are measured beside what was retrieved, as if they served.

    Args:
        hits: What was retrieved, at least one.
        vectors: float32 (k, d), theirs.
    """
    store, k = workspace.open_store(), len(hits)
    asked = workspace.encoder.encode([f"{query} {answer}"])
    nearest_ids = store.search(generation.quarantine, asked, k).ids[0]
    points = store.get(generation.quarantine, nearest_ids, vectors=True)
    if not points:
        return {}
    texts = [str(p.payload.get("page_content", "")) for p in points]
    every = np.concatenate([vectors, np.stack([p.vector for p in points])])
    read = [*(h.text for h in hits), *texts]
    score = chances(read_signs(workspace.encoder, query, answer, read, every, {}), k)
    likely = score >= CHANCE / 2  # told and not accused: half as sure will do
    likely &= ~says_otherwise(query, answer, read, likely)
    stated: dict[str, str] = {}
    for place in sorted(np.flatnonzero(likely[k:]).tolist(), key=lambda i: -score[k + i]):
        own = points[place].payload.get("ragguard") or {}
        stated.setdefault(f"{own.get('source', '?')}/{own.get('document', '?')}", texts[place])
    return stated


def read_signs(
    encoder: Encoder,
    query: str,
    answer: str,
    texts: Sequence[str],
    vectors: Floats,
    known: Mapping[str, int],
) -> PassageSigns:
    """Measure passages that were retrieved, in the order of the ranking.

    Args:
        answer: The bad answer, or nothing.
        texts: Of n passages, as stored.
        vectors: float32 (n, d), theirs.
        known: How many passages of the corpus write each word.
    """
    plain = [normalise(t) for t in texts]
    rows = [words(t) for t in plain]
    prose_texts = [prose(t) for t in plain]  # the index's words are counted on prose
    asked = words(normalise(query))
    terms = answer_terms(words(normalise(answer)), asked)
    windows = [window(t, terms, asked) for t in plain] if terms else []
    encoded = encoder.encode([query, f"{query} {answer}", *windows]).astype(np.float64)
    wide, none = vectors.astype(np.float64), np.zeros(len(texts))
    return PassageSigns(
        np.array([np.mean(holds(terms, row)) for row in rows]) if terms else none,
        encoded[2:] @ encoded[1] if terms else none,
        wide @ encoded[1] if terms else none,
        wide @ encoded[0],
        strangeness(
            [words(t) for t in prose_texts], [name_flags(t) for t in prose_texts], vectors, known
        ),
    )


def read_on(named: Callable[[int], Bools], n: int, k: int) -> tuple[int, Bools]:
    """Read a ranking k by k for as long as the last k holds a responsible passage.

    Args:
        named: From a number of passages to which of them are responsible.
        n: Passages there are.
        k: Passages read at a time.

    Returns:
        How many were read, and which of them are responsible.
    """
    read = min(k, n)
    guilty = named(read)
    while read < n and guilty[-k:].any():
        read = min(read + k, n)
        guilty = named(read)
    return read, guilty


def _known(workspace: Workspace) -> Mapping[str, int]:
    """Count how many chunks of the serving index write each word."""
    generation = workspace.generation()
    if generation is None:
        return {}
    with workspace.ledger.reading() as conn:
        state, number = versions.corpus_digest(conn), len(versions.members(conn, "serving"))
    cache = workspace.cache("lexicon.npz")
    store = workspace.open_store()
    return lexicon.of_index(
        store, generation.serving, number, cache, state, workspace.seal_key
    ).words


def _judged(
    judge: Judge, query: str, answer: str, texts: Sequence[str], k: int
) -> tuple[int, Bools, Doubles]:
    """Read on by a judge's word; each passage is put to it once."""
    support: list[float] = []

    def named(n: int) -> Bools:
        support.extend(judge(query, answer, texts[len(support) : n]))
        supporting: Bools = np.array(support, dtype=np.float64) >= FEWEST
        return supporting

    read, guilty = read_on(named, len(texts), k)
    return read, guilty, np.array(support, dtype=np.float64)


def _passages(
    query: str, answer: str, hits: Sequence[Hit], signs: PassageSigns, score: Doubles, guilty: Bools
) -> list[Passage]:
    answer_words = words(normalise(answer))
    close = np.maximum(signs.close[: len(hits)], 0.0)
    terms = answer_terms(answer_words, words(normalise(query))) if answer_words else []
    rows = [holds(terms, words(normalise(h.text))) for h in hits]
    support = share_out(np.array(rows, dtype=bool).reshape(len(hits), len(terms)), close)
    shares = support.dependence if answer_words else close / max(close.sum(), 1e-12)
    return [
        Passage(
            hit,
            float(score[i]),
            float(signs.held[i]),
            float(signs.strange[i]),
            float(shares[i]),
            float(support.alone[i]),
            bool(guilty[i]),
        )
        for i, hit in enumerate(hits)
    ]


def _companions(workspace: Workspace, guilty: Sequence[Passage]) -> list[Companion]:
    generation = workspace.generation()
    if generation is None or not guilty:
        return []
    store = workspace.open_store()
    relations: dict[tuple[str, str], tuple[set[str], float | None]] = {}
    for zone, name in (("serving", generation.serving), ("quarantine", generation.quarantine)):
        for document, why, close in _near(store, generation.serving, name, guilty):
            reasons, known = relations.get((document, zone), (set(), None))
            relations[document, zone] = (reasons | {why}, max(close, known or -1.0))
    with workspace.ledger.reading() as conn:
        members = {zone: versions.members(conn, zone) for zone in ("serving", "quarantine")}
        names = {p.hit.document for p in guilty}
        rows = [members["serving"][n] for n in names if n in members["serving"]]
        signers = {
            r.digest: {keyid for keyid, _ in r.signers} for r in commits.accepted_manifests(conn)
        }
    batches = {r.commit for r in rows}
    theirs = set[str]().union(*(signers.get(r.manifest, set()) for r in rows))
    for zone, listed in members.items():
        for document, row in listed.items():
            shared = {"batch"} if row.commit in batches else set()
            shared |= {"signer"} if theirs & signers.get(row.manifest, set()) else set()
            if shared:
                reasons, known = relations.get((document, zone), (set(), None))
                relations[document, zone] = (reasons | shared, known)
    order = ("near-duplicate", "campaign", "batch", "signer")
    companions = [
        Companion(document, zone, tuple(w for w in order if w in why), close)
        for (document, zone), (why, close) in relations.items()
        if (document, zone) not in {(n, "serving") for n in names}
    ]
    return sorted(companions, key=lambda c: (-(c.similarity or -1.0), c.document, c.zone))


def _near(
    store: Store, serving: str, collection: str, guilty: Sequence[Passage]
) -> list[tuple[str, str, float]]:
    points = store.get(serving, [p.hit.point for p in guilty], vectors=True)
    if not points:
        return []
    hits = store.search(collection, np.stack([p.vector for p in points]), NEAREST)
    near = []
    for point, ids, similarities in zip(points, hits.ids, hits.similarities, strict=True):
        text = words(normalise(str(point.payload.get("page_content", ""))))
        close = dict(zip(ids, similarities, strict=True))
        for other in store.get(collection, ids):
            own = other.payload.get("ragguard") or {}
            theirs = words(normalise(str(other.payload.get("page_content", ""))))
            copy = shared_words(text, theirs) >= COPY
            if (copy or close[other.id] >= CLOSE) and other.id != point.id:
                name = f"{own.get('source', '?')}/{own.get('document', '?')}"
                near.append((name, "near-duplicate" if copy else "campaign", close[other.id]))
    return near
