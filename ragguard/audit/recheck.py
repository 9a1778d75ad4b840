"""Judge indexed documents again, each as if it came in now beside all others.

What today's gate would not let in is named: checks get better, the lexicon grows, texts are denied.
The view is made from the spool and the table of neighbours, so that nothing is looked up twice.
What waits in quarantine is company for the judged; among serving documents nobody is a newcomer, so
campaigns are for `neighbourhoods`.

Verdicts come from documents of the index itself, judged in the same way (conformal). What breaks
that: an index of which a good part is poisoned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import numpy as np

from ragguard.audit.findings import AuditFinding
from ragguard.audit.index.spool import Spool
from ragguard.detect import lexicon as lexicons
from ragguard.detect import reference, scoring
from ragguard.detect.checks import Check
from ragguard.detect.scoring import CheckSignals, Profile
from ragguard.detect.view import PreparedDocument
from ragguard.knn.graph import Graph
from ragguard.model import (
    Bools,
    Chunk,
    CorpusView,
    DeniedText,
    Document,
    Doubles,
    Finding,
    Floats,
    Hidden,
    Ints,
    Lexicon,
    Metadata,
    Neighbours,
    Policy,
    Progress,
    Skipped,
    Verdict,
)
from ragguard.text.prose import prose_rows
from ragguard.text.words import normalise, term_matrix, words

BLOCK = 1000  # documents judged at once
CLEAN = 0.01  # p-value of the conclusive checks from which a document may say what is usual
# Two compare newcomers, of which there are none; the third sees one batch and nothing else.
LEFT_OUT = frozenset({"accord", "collusion", "glosh", "hubness"})
RULES: Mapping[str, str] = {
    "metadata_vote": "label-outvoted",
    "metadata_conflict": "conflicting-twins",
    "twin_edit": "conflicting-twins",
    "hidden": "hidden-or-instructing",
    "instructions": "hidden-or-instructing",
    "foreign_request": "hidden-or-instructing",
}


@dataclass(frozen=True)
class RecheckContext:
    """What the judged are held against, beside their neighbours.

    Attributes:
        hidden: What parsers found hidden, by label; labels without are left out.
        policies: Contract of each source; a source without one has none.
        first: See `CorpusView.first`.
    """

    lexicon: Lexicon
    denied: Sequence[DeniedText]
    hidden: Mapping[str, Sequence[Hidden]]
    policies: Mapping[str, Policy]
    now: datetime
    first: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class RecheckResult:
    """What the checks say of documents.

    Attributes:
        findings: One a document that would not be let in.
        suspects: Their verdicts, by document number.
        scores: Raw scores of every judged row by check; NaN elsewhere, float64 (n,).
        suspicion: float64 (m,), combined suspicion of each judged document; NaN elsewhere.
        skipped: Checks that had nothing to say, or failed.
        profile: Name of the reference, and how many documents it was.
        documents: Labels of all that were judged.
    """

    findings: list[AuditFinding]
    suspects: Mapping[int, Verdict]
    scores: Mapping[str, Doubles]
    suspicion: Doubles
    skipped: tuple[Skipped, ...]
    profile: tuple[str, int]
    documents: frozenset[str]


def active(
    settings: Mapping[str, Mapping[str, object]], plugins: Sequence[str] = ()
) -> dict[str, tuple[Check, object]]:
    """Return the checks in force that can look at what is indexed already."""
    checks = scoring.active_checks(settings, plugins)
    return {name: entry for name, entry in checks.items() if name not in LEFT_OUT}


def judge_indexed(
    spool: Spool,
    graph: Graph,
    chosen: Ints,
    known: RecheckContext,
    checks: Mapping[str, tuple[Check, object]],
    *,
    rate: float,
    sample: int,
    least: int,
    collection: str,
    suspected: Bools | None = None,
    progress: Progress = lambda stage, done, total: None,
) -> RecheckResult:
    """Judge indexed documents.

    Args:
        chosen: int64, numbers of the documents to judge; serving ones.
        known: What they are held against.
        checks: From `active`.
        rate: Share of honest documents accepted among the suspects.
        sample: Documents of the index that verdicts are calibrated on.
        least: Documents below which only what is wrong by itself is named.
        collection: Name for the findings.
        suspected: bool (m,), documents that are suspected already: nothing is calibrated on them.
    """
    rows_of = _rows_of(spool)
    serving = np.array([d for d, rows in enumerate(rows_of) if len(rows)], dtype=np.int64)
    usual = serving if suspected is None else serving[~suspected[serving]]
    drawn = np.sort(np.random.default_rng(0).permutation(usual)[:sample])
    total = -(-len(chosen) // BLOCK)
    profile = scoring.UNCALIBRATED
    if len(serving) >= least:
        total += -(-len(drawn) // BLOCK)
        measured: list[tuple[Ints, CheckSignals]] = []
        for part in _blocks(drawn):
            progress("judge", len(measured), total)
            _, view = _view(spool, graph, part, rows_of, known)
            measured.append((view.documents[: view.n], scoring.measure(view, checks)))
        profile = _fitted(measured, len(drawn), checks)
    if profile.calibrated:
        # A small reference has no p-value as small as asked for: its smallest counts then, or
        # nothing could be named. A document that is of the reference itself has twice that at
        # least.
        rate = max(rate, profile.smallest_rate * 2)
    scores = {name: np.full(len(spool), np.nan) for name in checks}
    suspicion = np.full(len(spool.labels), np.nan)
    suspects: dict[int, Verdict] = {}
    skipped: dict[Skipped, None] = {}
    done = total - -(-len(chosen) // BLOCK)
    for at, part in enumerate(_blocks(chosen), done):
        progress("judge", at, total)
        batch, view = _view(spool, graph, part, rows_of, known)
        measurement = scoring.measure(view, checks)
        skipped.update(dict.fromkeys(measurement.skipped))
        rows = np.concatenate([rows_of[d] for d in part.tolist()])
        for name, signal in measurement.signals.items():
            scores[name][rows] = signal.scores
        sources = {p.document.source for p in batch}
        policies = {source: known.policies.get(source, Policy()) for source in sources}
        verdicts = scoring.judge(batch, view, measurement, profile, checks, policies, rate)
        for document, verdict in zip(part.tolist(), verdicts, strict=True):
            suspicion[document] = verdict.score
            if verdict.outcome == "quarantine":
                suspects[document] = verdict
    progress("judge", total, total)
    findings = [_finding(spool, rows_of, d, verdict, collection) for d, verdict in suspects.items()]
    labels = frozenset(spool.labels[d] for d in chosen.tolist())
    named = (profile.name, profile.documents)
    return RecheckResult(findings, suspects, scores, suspicion, tuple(skipped), named, labels)


def _blocks(documents: Ints) -> list[Ints]:
    """List documents in parts of at most `BLOCK`."""
    return np.split(documents, range(BLOCK, len(documents), BLOCK)) if len(documents) else []


def _rows_of(spool: Spool) -> list[Ints]:
    """Serving rows of each document, ascending."""
    documents = np.asarray(spool.documents, dtype=np.int64)
    rows = np.flatnonzero(~spool.quarantined)
    order = rows[np.argsort(documents[rows], kind="stable")]
    edges = np.searchsorted(documents[order], np.arange(len(spool.labels) + 1))
    return [order[a:b] for a, b in pairwise(edges.tolist())]


def _view(
    spool: Spool, graph: Graph, part: Ints, rows_of: Sequence[Ints], known: RecheckContext
) -> tuple[list[PreparedDocument], CorpusView]:
    """Return a block of documents as if they came in now, beside the rest of the index."""
    judged = np.concatenate([rows_of[d] for d in part.tolist()])
    n = len(judged)
    owners = np.asarray(spool.documents, dtype=np.int64)
    near = np.asarray(graph.indices[judged], dtype=np.int64)
    close = np.asarray(graph.similarities[judged])
    near = np.where(
        (near >= 0) & (owners[np.maximum(near, 0)] != owners[judged][:, None]), near, -1
    )
    beside = np.unique(near[near >= 0])  # judged ones may be among them, as context
    place = np.full(len(spool) + 1, -1, dtype=np.int64)
    place[beside] = n + np.arange(len(beside))
    waiting = np.append(spool.quarantined, False)
    stored = spool.texts(np.concatenate([judged, beside]))
    texts = [normalise(text) for text in stored]
    every = [*part.tolist(), *(d for d in np.unique(owners[beside]).tolist())]
    number = {document: at for at, document in reversed(list(enumerate(every)))}
    context = {d: len(part) + at for at, d in enumerate(np.unique(owners[beside]).tolist())}
    documents = [number[d] for d in owners[judged].tolist()]
    documents += [context[d] for d in owners[beside].tolist()]
    metadata: list[Metadata] = [spool.metadata(d) for d in every]
    numbers = np.array(documents, dtype=np.int64)
    sources = [spool.sources[d] for d in every]
    sentences = prose_rows(texts, numbers, sources)
    split = [words(text) for text in sentences]
    vectors = np.asarray(spool.vectors[np.concatenate([judged, beside])], dtype=np.float32)
    lexicon = lexicons.without(known.lexicon, stored[:n], len(part))
    batch, start = [], 0
    for at, document in enumerate(part.tolist()):
        size = len(rows_of[document])
        mine = stored[start : start + size]
        source = spool.sources[document]
        name = spool.labels[document].removeprefix(f"{source}/")
        batch.append(
            PreparedDocument(
                Document(source, name, "", metadata[at], name, ""),
                "\n".join(mine),
                tuple(known.hidden.get(spool.labels[document], ())),
                tuple(Chunk(0, len(text), text) for text in mine),
                vectors[start : start + size],
            )
        )
        start += size
    return batch, CorpusView(
        n=n,
        texts=texts,
        prose=sentences,
        words=split,
        terms=term_matrix(split),
        vectors=vectors,
        zones=["batch"] * n + ["quarantine" if waiting[r] else "serving" for r in beside.tolist()],
        documents=numbers,
        labels=[spool.labels[d] for d in every],
        sources=sources,
        metadata=metadata,
        previous_metadata=[None] * len(part),
        raws=[p.raw for p in batch],
        hidden=[p.hidden for p in batch],
        reference=_table(place, near, close, keep=~waiting),
        newcomers=_table(place, near, close, keep=waiting),
        lexicon=lexicon,
        denied=known.denied,
        now=known.now,
        first=known.first,
    )


def _table(place: Ints, near: Ints, close: Floats, keep: Bools) -> Neighbours:
    """Rows of a view for rows of the spool, those of one zone only, the nearest first."""
    kept = (near >= 0) & keep[near]
    order = np.argsort(~kept, axis=1, kind="stable")
    rows = np.take_along_axis(np.where(kept, place[near], -1), order, axis=1)
    values = np.take_along_axis(np.where(kept, close, np.float32(-1.0)), order, axis=1)
    return Neighbours(rows, values.astype(np.float32))


def _fitted(
    measured: Sequence[tuple[Ints, CheckSignals]],
    count: int,
    checks: Mapping[str, tuple[Check, object]],
) -> Profile:
    """Tell what documents of the index score, measured like the judged.

    Those of which a conclusive check says what it says of few ordinary documents are left out: what
    hides or instructs must not be what is usual.
    """
    scores: dict[str, list[Doubles]] = {}
    owners: dict[str, list[Ints]] = {}
    start = 0
    for documents, measurement in measured:
        clean = scoring.certain_p_values(measurement.signals, documents) > CLEAN
        number = np.cumsum(clean) - 1 + start
        for name, signal in measurement.signals.items():
            if signal.p_values is not None:
                continue
            kept = ~np.isnan(signal.scores) & clean[documents]
            scores.setdefault(name, []).append(signal.scores[kept])
            owners.setdefault(name, []).append(number[documents[kept]])
        start += int(clean.sum())
    return reference.assemble(
        "index",
        {name: np.concatenate(parts) for name, parts in scores.items()},
        {name: np.concatenate(parts) for name, parts in owners.items()},
        {name: entry.unit for name, (entry, _) in checks.items()},
        [str(number) for number in range(start)],
    )


def _finding(
    spool: Spool, rows_of: Sequence[Ints], document: int, verdict: Verdict, collection: str
) -> AuditFinding:
    """Return a verdict as a finding, under the rule of its most telling check."""
    first: Finding | None = verdict.findings[0] if verdict.findings else None
    rule = RULES.get(first.check, "suspect-document") if first else "suspect-document"
    row = int(rows_of[document][0])
    facts = dict(first.facts) if first else {}
    if first:
        facts["check"] = first.check
    facts.setdefault("text", spool.texts([row])[0][:300])
    facts["checks"] = [
        {"check": f.check, "p_value": f.p_value, "detail": f.detail} for f in verdict.findings
    ]
    return AuditFinding(
        rule,
        first.detail if first else "would not be let in today",
        document=spool.labels[document],
        point=spool.ids([row])[0],
        collection=collection,
        score=verdict.score,
        p_value=verdict.p_value,
        facts=facts,
    )
