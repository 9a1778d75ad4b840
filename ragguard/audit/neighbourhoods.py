"""Find campaigns, hubs and clusters over the whole index.

One table of neighbours serves all. Nobody knows here who is a newcomer, and campaigns may have come
over months and from many sources; what waits in quarantine counts as company. Words, which
tell paraphrases from copies, are only looked up where a row might matter: of millions of texts few
are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ragguard.audit.findings import AuditFinding
from ragguard.audit.index.spool import Spool
from ragguard.detect import index_campaigns
from ragguard.detect.campaign import COPIED, FEW_SHARED, runs_shared
from ragguard.detect.index_campaigns import signature
from ragguard.knn.graph import Graph, occurrence
from ragguard.knn.ivf import deal
from ragguard.model import Bools, Doubles, Ints
from ragguard.text.languages import other_language, speech
from ragguard.text.prose import prose
from ragguard.text.words import jaccard, normalise, term_matrix, words

K = 24  # neighbours of a row
MANY, FEW_K = 200_000, 16  # rows from which on fewer neighbours are kept
OVERLAP = 0.6  # word Jaccard above which two texts are copies, as in the check `collusion`
LEAST = 12  # different words in the prose of a text that says anything, likewise
WORTH = 0.02  # share of the rows, by embedding alone, of which texts are read
READ = 20_000  # rows read at least, when there are as many
BLOCK = 32_768  # rows whose texts are compared at once
SHOWN = 5  # documents of a campaign that are shown with their text
NAMED, MEMBERS = 50, 5000  # documents of a campaign that are shown, and that are named at all
QUOTED = 300  # characters
CLUSTER, MOST_CLUSTERS = 400, 256  # rows of a cluster, and how many clusters at most
TOGETHER = 3  # documents that stand off a cluster together
HUB_LISTS, HUB_TIMES = 12.0, 3.0  # lists a hub is in: times k, and times the 99th of a hundred
EXPECTED = 1e-3  # rows off a cluster that are expected by chance


@dataclass(frozen=True)
class Neighbourhoods:
    """What the table of neighbours says.

    Attributes:
        p_values: float64 (m,), per document: how usual it is to stand apart as it does; 1 where
            none of it serves.
        scores: float64 (n,), per row: how far it stands apart with its companions.
        findings: Campaigns, hubs, and groups off their cluster.
        suspects: bool (m,), documents that findings name.
    """

    p_values: Doubles
    scores: Doubles
    findings: list[AuditFinding]
    suspects: Bools


def look(spool: Spool, graph: Graph, rate: float, collection: str) -> Neighbourhoods:
    """Find campaigns and hubs.

    Args:
        rate: Share of honest documents accepted among the suspects.
        collection: Name for the findings.
    """
    documents = np.asarray(spool.documents, dtype=np.int64)
    scores, companions, widths = index_campaigns.stand_apart(
        graph.indices, graph.similarities, documents, _copies(spool, graph, documents)
    )
    # A version that waits for a person is company, and says nothing of the one that serves: neither
    # may it accuse that one, nor cover it.
    m = len(spool.labels)
    versions = np.where(spool.quarantined, documents + m, documents)
    p_values, rows = index_campaigns.document_p_values(scores, versions)
    p_values, rows = p_values[:m], rows[:m]
    suspects: Bools = p_values <= rate
    number = index_campaigns.groups(suspects, rows, companions, documents)
    findings = []
    for campaign in range(int(number.max(initial=-1)) + 1):
        members = np.flatnonzero(number == campaign)
        members = members[np.argsort(p_values[members], kind="stable")]
        findings.append(_campaign(spool, graph, members, rows, companions, widths, p_values))
    hubs = _hubs(spool, graph, documents)
    named = suspects.copy()
    named[[document for document, _ in hubs]] = True
    findings += [*(finding for _, finding in hubs), *_spectral(spool, documents)]
    every = [replace(finding, collection=collection) for finding in findings]
    return Neighbourhoods(p_values, scores.max(axis=1, initial=0.0), every, named)


def _copies(spool: Spool, graph: Graph, documents: Ints) -> Bools:
    """Return the neighbours that are no companions, bool (n, k), where it may matter.

    Copies and translations of a row, what shares its passages, and what has hardly any prose.
    """
    n, k = graph.indices.shape
    copies = np.zeros((n, k), dtype=bool)
    rows = np.arange(n)
    if n > READ:
        scores, companions, _ = index_campaigns.stand_apart(
            graph.indices, graph.similarities, documents
        )
        usual = np.stack(
            [index_campaigns.tail(scores[:, at]) for at in range(scores.shape[1])]
        ).min(axis=0)
        first = np.argsort(usual, kind="stable")[: max(READ, int(WORTH * n))]
        beside = companions[first].ravel()
        rows = np.union1d(first, beside[beside >= 0])
    for start in range(0, len(rows), BLOCK):
        some = rows[start : start + BLOCK]
        near = np.asarray(graph.indices[some], dtype=np.int64)
        wanted = np.union1d(some, near[near >= 0])
        texts = [normalise(text) for text in spool.texts(wanted)]
        word_lists = [words(text) for text in texts]
        terms = term_matrix(word_lists)
        silent = np.array([len(set(words(prose(text)))) < LEAST for text in texts], dtype=bool)
        left = np.repeat(np.searchsorted(wanted, some), k)
        right = np.searchsorted(wanted, np.maximum(near, 0).ravel())
        there = near.ravel() >= 0
        a, b = left[there], right[there]
        overlap = jaccard(terms, a, b)
        # A heading, a table or a signature says nothing, in other words or in the same.
        same = (overlap > OVERLAP) | silent[a] | silent[b]
        cut = np.flatnonzero(~same & (overlap > FEW_SHARED))
        same[cut] = runs_shared(word_lists, a[cut], b[cut]) >= COPIED
        rest = np.flatnonzero(~same)
        same[rest] = _translated(word_lists, a[rest], b[rest])
        alike = np.zeros(len(left), dtype=bool)
        alike[there] = same
        copies[some] = alike.reshape(len(some), k)
    return copies


def _translated(word_lists: Sequence[Sequence[str]], left: Ints, right: Ints) -> Bools:
    """Tell which pairs of texts are in different languages, bool (p,).

    Editions of one page in several languages are as near as paraphrases for an encoder that knows
    the languages, and for one that does not where they share names, options and code.
    """
    spoken = {row: speech(word_lists[row]) for row in {*left.tolist(), *right.tolist()}}
    return np.array(
        [
            other_language(spoken[a], spoken[b])
            for a, b in zip(left.tolist(), right.tolist(), strict=True)
        ],
        dtype=bool,
    )


def _campaign(
    spool: Spool,
    graph: Graph,
    members: Ints,
    rows: Ints,
    companions: Ints,
    widths: Ints,
    p_values: Doubles,
) -> AuditFinding:
    """One finding for documents that are one another's companions; the most unusual speaks."""
    row = int(rows[members[0]])
    wide = index_campaigns.WIDTHS[int(widths[row])]
    beside = [int(c) for c in companions[row, :wide] if c >= 0]
    labels = [spool.labels[int(m)] for m in members[:NAMED]]
    everyone = list(
        dict.fromkeys([*labels, *(spool.labels[int(spool.documents[c])] for c in beside)])
    )
    waiting = int(spool.quarantined[beside].sum())
    sources = sorted({spool.sources[int(m)] for m in members[:NAMED]})
    close = {
        int(i): float(s) for i, s in zip(graph.indices[row], graph.similarities[row], strict=True)
    }
    shown = [row, *beside][:SHOWN]
    texts = [text[:QUOTED] for text in spool.texts(shown)]
    facts: dict[str, Any] = {
        "text": texts[0],
        "neighbours": [
            {
                "document": spool.labels[int(spool.documents[r])],
                "similarity": round(close.get(r, 0.0), 3),
                "text": text,
            }
            for r, text in zip(shown[1:], texts[1:], strict=True)
        ],
        "members": [spool.labels[int(m)] for m in members[:MEMBERS]],
        "sources": sources,
        "arrivals": sorted({int(spool.arrivals[r]) for r in [row, *beside]}),
    }
    also = f", {waiting} of them in quarantine" if waiting else ""
    detail = (
        f"says the same as {len(beside)} others in different words{also}, nearer to them than "
        "documents on this subject are to one another: "
        f"{', '.join(everyone[1:4])}"
    )
    p_value = float(p_values[members[0]])
    return AuditFinding(
        "campaign",
        detail,
        document=spool.labels[int(members[0])],
        point=spool.ids([row])[0],
        count=len(members),
        score=_suspicion(p_value),
        p_value=p_value,
        facts=facts,
    )


def _hubs(spool: Spool, graph: Graph, documents: Ints) -> list[tuple[int, AuditFinding]]:
    """List rows in far too many lists: their document, and the finding."""
    n, k = graph.indices.shape
    counts = occurrence(graph.indices, n)
    # Counts fall off slowly in honest corpora too: a hub is far beyond what is usual for the
    # hundredth part of rows that are in most lists.
    bar = max(HUB_LISTS * k, HUB_TIMES * float(np.quantile(counts, 0.99))) if n else 0.0
    rows = np.flatnonzero((counts > bar) & ~spool.quarantined)
    hubs = []
    for row in rows[np.argsort(-counts[rows], kind="stable")].tolist():
        document = int(documents[row])
        hubs.append(
            (
                document,
                AuditFinding(
                    "hub",
                    f"is among the {k} nearest of {int(counts[row])} chunks; {k} is usual",
                    document=spool.labels[document],
                    point=spool.ids([row])[0],
                    score=_suspicion(1.0 / n),
                    facts={"lists": int(counts[row]), "text": spool.texts([row])[0][:QUOTED]},
                ),
            )
        )
    return hubs


def _spectral(spool: Spool, documents: Ints) -> list[AuditFinding]:
    """List groups that stand off their cluster along the direction in which it varies most."""
    rows = np.flatnonzero(~spool.quarantined)
    count = min(MOST_CLUSTERS, len(rows) // CLUSTER)
    if not count:
        return []
    cells = deal(spool.vectors, rows, count, len(rows), 0)
    findings = []
    for cell in range(count):
        members = rows[cells.owners == cell]
        offsets, usual = signature(spool.vectors[members])
        for side in (1.0, -1.0):
            off = (usual * len(members) <= EXPECTED) & (np.sign(offsets) == side)
            group = members[off][np.argsort(usual[off], kind="stable")]
            names = list(dict.fromkeys(spool.labels[int(d)] for d in documents[group]))
            if len(names) < TOGETHER:
                continue
            findings.append(
                AuditFinding(
                    "spectral-outlier",
                    f"{len(names)} documents stand together off a cluster of {len(members)} chunks",
                    document=names[0],
                    count=len(names),
                    score=_suspicion(float(usual[off].min())),
                    p_value=float(usual[off].min()),
                    facts={"text": spool.texts(group[:1])[0][:QUOTED], "documents": names[:NAMED]},
                )
            )
    return findings


def _suspicion(p_value: float) -> float:
    """Return a p-value as suspicion in [0, 1), on the scale of verdicts (`stats.conformal`)."""
    level = -float(np.log10(max(p_value, 1e-300)))
    return round(level / (1.0 + level), 6)
