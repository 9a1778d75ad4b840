"""Search the serving index, and say where each answer comes from.

While a candidate is on trial, a share of the queries is answered by it. It was built before, so
that what the ledger serves no more is taken out of its answers. Where both are asked, what they
answer is compared and written down; a trial whose answers are too far apart ends by itself.
Whatever goes wrong with the candidate, the serving index answers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ragguard.corpus.generations import encoder_of
from ragguard.corpus.spans import traced
from ragguard.detect.view import own, point_label
from ragguard.errors import RagguardError, UsageError
from ragguard.ledger import candidates, versions
from ragguard.ledger.candidates import CandidateDocument
from ragguard.ledger.commits import Generation
from ragguard.model import Floats
from ragguard.serving import divergence, trial
from ragguard.serving.ab_split import query_digest, takes_part
from ragguard.serving.divergence import TrialQuery
from ragguard.serving.trial import Trial
from ragguard.stats.compare_rankings import overlap, rank_biased_overlap
from ragguard.store import Point
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

if TYPE_CHECKING:
    from ragguard.embed.encoder import Encoder

MOST = 16_384  # passages looked at for the documents of one comparison
WIDTH = 4  # times as many passages are asked for where those there are do not suffice

# A passage with its similarity.
Found = tuple[Point, float]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hit:
    """A passage found.

    Attributes:
        rank: From 1.
        similarity: Cosine.
        document: `source/id`.
        generation: Number of the generation that answered.
        proof: With `proof`: what was compared, and `ok`.
    """

    rank: int
    similarity: float
    point: str
    document: str
    text: str
    metadata: Mapping[str, Any]
    generation: int
    proof: Mapping[str, Any] | None = None


@traced("search", lambda hits: {"ragguard.hits": len(hits)})
def search(
    workspace: Workspace, query: str, k: int, *, proof: bool = False, tried: bool = True
) -> list[Hit]:
    """Ask the index: the serving one, or a candidate where a trial gives it the query.

    Args:
        workspace: Open and locked.
        proof: Compare each passage with its seal and the ledger.
        tried: Let a trial have its share; else the serving index answers, and nothing is
            written down.

    Raises:
        UsageError: Nothing was ingested yet, or the question is empty.
        ModelDigestError, RecipeMismatchError: The settings are not those of the serving index; a
            candidate's are taken too where there is one.
    """
    if not query.strip():
        raise UsageError("the question is empty")
    generation = workspace.generation()
    if generation is None:
        raise UsageError(
            "nothing to search: no manifest was ingested yet",
            hint="`ragguard sign` documents, then `ragguard ingest` the manifest.",
        )
    there = trial.current(workspace)
    if there is None:
        workspace.check_recipe(workspace.encoder.recipe, cut=False)
        serving = _Index(workspace, generation, workspace.encoder)
        return serving.hits(serving.first(query, k, proof)[0], proof)
    serving = _Index(workspace, generation, encoder_of(workspace, generation))
    trial.follow(workspace, there)
    if not tried or there.state(workspace.now) != "running":
        return serving.hits(serving.first(query, k, proof)[0], proof)
    return _asked_on_trial(workspace, there, serving, query, k, proof)


def on_trial(workspace: Workspace) -> int | None:
    """Number of the candidate whose trial runs now, `None` where there is none."""
    there = trial.current(workspace)
    running = there is not None and there.state(workspace.now) == "running"
    return there.generation.id if there is not None and running else None


def _asked_on_trial(
    workspace: Workspace, there: Trial, serving: _Index, query: str, k: int, proof: bool
) -> list[Hit]:
    """Let the candidate answer its share, and compare where both are to be asked."""
    chosen = takes_part(query, there.share, there.salt)
    both = there.shadow == "all" or (chosen and there.shadow == "candidate")
    answers: dict[int, list[Found]] = {}
    ms: dict[str, float] = {}
    alike: tuple[float, float] | None = None
    candidate: _Index | None = None
    if chosen or both:
        try:
            encoder = encoder_of(workspace, there.generation)
            candidate = _Index(workspace, there.generation, encoder, candidate=True)
            passages, taken = candidate.first(query, k, proof)
            answers[there.generation.id], ms[str(there.generation.id)] = passages, taken
        except RagguardError as error:
            log.warning(
                "generation %d, which is on trial, did not answer: %s",
                there.generation.id,
                error.message,
            )
            candidate = None
    if not chosen or both or candidate is None:
        passages, taken = serving.first(query, k, proof)
        answers[serving.generation.id], ms[str(serving.generation.id)] = passages, taken
    if both and candidate is not None:
        alike = _alike(workspace, there, serving, candidate, query, k)
    by = candidate if chosen and candidate is not None else serving
    line = TrialQuery(
        format_time(workspace.now),
        there.number or 0,
        query_digest(query),
        by.generation.id,
        k,
        ms,
        *(alike or (None, None)),
    )
    path = divergence.path_of(workspace, there.generation.id)
    try:
        written = divergence.record(path, line)
    except OSError as error:  # without its lines nothing could end the trial
        log.warning("%s: %s; the serving index answers", path, error.strerror)
        by = serving
    else:
        if alike is not None and _too_far(workspace, there, written):
            by = serving
    if by.generation.id not in answers:
        answers[by.generation.id], _ = by.first(query, k, proof)
    return by.hits(answers[by.generation.id], proof)


def _alike(
    workspace: Workspace, there: Trial, serving: _Index, candidate: _Index, query: str, k: int
) -> tuple[float, float]:
    """Overlap and rank-biased overlap of the documents, but for those that came since."""

    def before(labels: Collection[str]) -> set[str]:
        with workspace.ledger.reading() as conn:
            names = {label.partition("/")[2] for label in labels}
            now = candidates.serving_now(conn, names)
        return {label for label in labels if label not in now or now[label][1] <= there.built}

    served, other = serving.documents(query, k, before), candidate.documents(query, k, before)
    return round(overlap(served, other, k), 6), round(rank_biased_overlap(served, other), 6)


def _too_far(workspace: Workspace, there: Trial, line: TrialQuery) -> bool:
    """End the trial where the answers are further apart than the settings allow."""
    limits = workspace.settings.cutover
    mean = line.total / line.compared
    if line.compared < limits.least_queries or mean <= limits.divergence:
        return False
    trial.stop(workspace, there, line.compared, mean)
    log.warning(
        "the trial of generation %d ended by itself: over %d queries its answers diverge by %.3f, "
        "more than [cutover] divergence %.3f; the serving index answers all queries",
        there.generation.id,
        line.compared,
        mean,
        limits.divergence,
    )
    return True


class _Index:
    """A generation that is asked."""

    def __init__(
        self,
        workspace: Workspace,
        generation: Generation,
        encoder: Encoder,
        *,
        candidate: bool = False,
    ) -> None:
        self.generation = generation
        self._workspace = workspace
        self._encoder = encoder
        self._candidate = candidate
        self._vectors: dict[str, Floats] = {}

    def first(self, query: str, k: int, vectors: bool) -> tuple[list[Found], float]:
        """Return the first k passages that may be shown, and the milliseconds that took."""
        self._encoded(query)  # a model is loaded with the first query: that is no time of the index
        start = time.perf_counter()
        passages = self._ask(query, k, vectors, lambda passages: len(passages) >= k)[:k]
        return passages, round(1000 * (time.perf_counter() - start), 3)

    def documents(
        self, query: str, k: int, kept: Callable[[Collection[str]], set[str]]
    ) -> list[str]:
        """Return the first k documents that count, each at its best passage."""

        def counted(passages: Sequence[Found]) -> list[str]:
            labels = list(dict.fromkeys(point_label(point) for point, _ in passages))
            those = kept(labels)
            return [label for label in labels if label in those]

        passages = self._ask(
            query,
            WIDTH * k,
            False,
            lambda passages: len(passages) >= MOST or len(counted(passages)) >= k,
        )
        return counted(passages)[:k]

    def _ask(
        self, query: str, k: int, vectors: bool, enough: Callable[[Sequence[Found]], bool]
    ) -> list[Found]:
        """List passages that may be shown, the nearest first: more, until they are enough."""
        store, name = self._workspace.open_store(), self.generation.serving
        vector = self._encoded(query)
        while True:
            hits = store.search(name, vector, k, exact=False)
            points = {p.id: p for p in store.get(name, hits.ids[0], vectors=vectors)}
            pairs = zip(hits.ids[0], hits.similarities[0], strict=True)
            passages = [(points[i], similarity) for i, similarity in pairs if i in points]
            if self._candidate:
                shown = _that_serve(self._workspace, name, [point for point, _ in passages])
                passages = [passage for passage in passages if passage[0].id in shown]
            if len(hits.ids[0]) < k or enough(passages):
                return passages
            k *= WIDTH

    def _encoded(self, query: str) -> Floats:
        if query not in self._vectors:
            self._vectors = {query: self._encoder.encode([query])}
        return self._vectors[query]

    def hits(self, passages: Sequence[Found], proof: bool) -> list[Hit]:
        """List passages as they are given out."""
        name = self.generation.serving
        return [
            Hit(
                rank,
                similarity,
                point.id,
                f"{own(point).get('source', '?')}/{own(point).get('document', '?')}",
                str(point.payload.get("page_content", "")),
                point.payload.get("metadata") or {},
                self.generation.id,
                _prove(self._workspace, name, point) if proof else None,
            )
            for rank, (point, similarity) in enumerate(passages, start=1)
        ]


def _that_serve(workspace: Workspace, collection: str, points: Sequence[Point]) -> set[str]:
    """Points of a candidate whose document serves now, with the bytes and metadata they are of.

    What it is of is asked of the ledger: a payload may say anything. A point whose seal the ledger
    does not have was not put there by a commit, or not yet.
    """
    of: dict[str, CandidateDocument] = {}
    with workspace.ledger.reading() as conn:
        known = candidates.held(conn, collection, [point.id for point in points])
        for point in points:
            fields = own(point)
            version, seal = fields.get("version"), fields.get("seal")
            if isinstance(version, int) and isinstance(seal, str):
                document = known.get((point.id, version, seal))
                if document is not None:
                    of[point.id] = document
        serves = candidates.serving_now(conn, {candidate.document for candidate in of.values()})
        denied = candidates.denied_among(conn, {candidate.digest for candidate in of.values()})
    return {
        point
        for point, candidate in of.items()
        if candidate.digest not in denied
        and candidate.label in serves
        and serves[candidate.label][0] == candidate
    }


def _prove(workspace: Workspace, collection: str, point: Any) -> dict[str, Any]:
    """Tell whether a point is the one ragguard wrote, and where it comes from."""
    fields = own(point)
    with workspace.ledger.reading() as conn:
        known = versions.seal_of(conn, collection, point.id)
        row = versions.version_of_point(conn, point.id)
        number = fields.get("version")
        if row is None and isinstance(number, int):
            # Of a candidate: in the ledger, and not in the corpus.
            row = versions.version(conn, number) if known else None
    seal = workspace.committer.seal(collection, point.id, point.vector, point.payload)
    ok = known is not None and known == seal == fields.get("seal")
    return {
        "ok": ok,
        "seal": fields.get("seal"),
        "document_digest": row.digest if row else None,
        "manifest": row.manifest if row else None,
        "commit": row.commit if row else None,
        "reason": "" if ok else "the point is not the one the ledger knows: do not trust it",
    }
