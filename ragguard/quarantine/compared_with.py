"""Find what a held document is compared with: its twin, companions or nearest neighbours.

Texts come from the vault, as everything that a decision rests on; only which indexed passages are
nearest is asked of the index. All of it is hostile text.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ragguard.corpus.stored_points import Packs, stored_writes
from ragguard.detect.view import point_label
from ragguard.errors import RagguardError
from ragguard.ledger import decided as decided_rows
from ragguard.ledger import evidence, versions
from ragguard.ledger.evidence import Span
from ragguard.ledger.versions import VersionRow
from ragguard.ledger.writer import Write, load_vectors
from ragguard.model import Finding, Floats
from ragguard.workspace import Workspace

logger = logging.getLogger(__name__)

MOST = 6  # documents set beside a case
NEAREST = 2  # indexed documents looked up where no finding names one
ALIKE = 0.6  # similarity from which an indexed passage says anything about a case
NEAR = 0.8  # similarity of passages that are one and the same, edited
ROLES = {"companions": "companion", "copy_of": "copy"}
ROLE_NAMES = {  # for people
    "twin": "its twin",
    "companion": "a companion",
    "copy": "a copy of it",
    "rejected": "what a reviewer rejected",
    "campaign": "of the same campaign",
    "nearest": "nearest in the index",
}


@dataclass(frozen=True)
class Mark:
    """A place of a passage that a finding points at.

    Attributes:
        passage: Number of the passage, from 0.
        start, end: Characters in it.
        check: Whose finding it is.
    """

    passage: int
    start: int
    end: int
    check: str


@dataclass(frozen=True)
class ComparedPassage:
    """A passage of another document, beside the passage of the case that it is set against.

    Attributes:
        document: `source/id`.
        role: What it is to the case: `twin`, `companion`, `copy`, `rejected` or `nearest`.
        zone: `serving`, `quarantine` or `rejected`; empty when nothing of it is kept.
        similarity: Cosine of the two passages; `None` when it is not known.
        passage: Number of the case's passage, from 0.
        text: The other passage; empty when nothing of it is kept.
        ours, theirs: Words that the other has not, as spans of either passage.
    """

    document: str
    role: str
    zone: str
    similarity: float | None
    passage: int
    text: str
    ours: Sequence[Span] = ()
    theirs: Sequence[Span] = ()


def marks(findings: Sequence[Finding], texts: Sequence[str]) -> list[Mark]:
    """List what findings point at in passages, in order."""
    marked = [
        Mark(number, start, end, finding.check)
        for number, text in enumerate(texts)
        for finding in findings
        for start, end in evidence.pointed_at(finding, text)
    ]
    return sorted(marked, key=lambda m: (m.passage, m.start, m.end, m.check))


def beside(
    workspace: Workspace,
    version: VersionRow,
    findings: Sequence[Finding],
    stored: Sequence[Write],
) -> list[ComparedPassage]:
    """Find documents that findings name, with their nearest passages; else the nearest indexed.

    Args:
        findings: Of it, the most telling first.
        stored: Its points, in passage order.
    """
    if not stored:
        return []
    packs = Packs(workspace.vault)
    own = np.stack([packs.vector(w) for w in stored])
    texts = [str(w.payload["page_content"]) for w in stored]
    named: dict[str, str] = {}
    for finding in findings:
        for role, label in _named(finding):
            named.setdefault(label, role)
    named.pop(version.label, None)
    if not named:
        named = dict.fromkeys(_nearest(workspace, version, own), "nearest")
    compared = []
    for label, role in list(named.items())[:MOST]:
        zone, others, vectors = _read(workspace, label, role, packs)
        if not others:
            compared.append(ComparedPassage(label, role, zone, None, 0, ""))
            continue
        close = own @ vectors.T
        mine, their = _pair(close, texts, others)
        known = bool(np.linalg.norm(vectors[their]) > 0)
        compared.append(
            ComparedPassage(
                label,
                role,
                zone,
                round(float(close[mine, their]), 3) if known else None,
                mine,
                others[their],
                *evidence.differing(texts[mine], others[their]),
            )
        )
    return compared


def _pair(close: Floats, ours: Sequence[str], theirs: Sequence[str]) -> tuple[int, int]:
    """Return the two passages to set side by side: the nearest that differ, if any are near at all.

    A document that is a copy but for a word has passages that say nothing of it.
    """
    mine, their = (int(n) for n in np.unravel_index(int(np.argmax(close)), close.shape))
    same = {evidence.same_line(text) for text in theirs}
    differ = [i for i, text in enumerate(ours) if evidence.same_line(text) not in same]
    if differ and evidence.same_line(ours[mine]) in same:
        own = max(differ, key=lambda i: float(close[i].max()))
        if close[own].max() >= NEAR:
            return own, int(np.argmax(close[own]))
    return mine, their


def _named(finding: Finding) -> Iterator[tuple[str, str]]:
    for name in evidence.OTHERS:
        value = finding.facts.get(name)
        for label in [value] if isinstance(value, str) else value or ():
            if isinstance(label, str) and "/" in label:
                yield ROLES.get(name, name), label


def _nearest(workspace: Workspace, version: VersionRow, own: Floats) -> list[str]:
    """List labels of the nearest indexed documents; none when the index cannot be asked now."""
    generation = workspace.generation()
    if generation is None:
        return []
    try:
        store = workspace.open_store()
        hits = store.search(generation.serving, own[:8], 2 * NEAREST + 2, exact=False)
        neighbours = [
            (-close, point)
            for points, row in zip(hits.ids, hits.similarities, strict=True)
            for point, close in zip(points, row, strict=True)
            if close >= ALIKE
        ]
        ids = list(dict.fromkeys(point for _, point in sorted(neighbours)))
        points = {p.id: p for p in store.get(generation.serving, ids)}
    except RagguardError as error:
        logger.info("no neighbours beside the case: %s", error)
        return []
    labels = dict.fromkeys(point_label(points[i]) for i in ids if i in points)
    labels.pop(version.label, None)
    return list(labels)[:NEAREST]


def _read(
    workspace: Workspace, label: str, role: str, packs: Packs
) -> tuple[str, list[str], Floats]:
    """Zone, passages and vectors (c, d) of a document that is there, or was rejected."""
    source, _, document = label.partition("/")
    nothing: Floats = np.empty((0, 0), dtype=np.float32)
    with workspace.ledger.reading() as conn:
        there = versions.standing(conn, source, document)
        denials = decided_rows.denied(conn) if role == "rejected" or not there else []
        denied = [
            row
            for row in denials
            if (v := versions.version(conn, row.version)) is not None
            and (v.source, v.document) == (source, document)
        ]
    if denied:
        texts = json.loads(workspace.vault.get(denied[-1].texts))
        vectors = load_vectors(workspace.vault.get(denied[-1].vectors))
        return "rejected", texts, vectors
    if not there:
        return "", [], nothing
    zone, row = there[0]
    writes = stored_writes(workspace, row)
    if not writes:
        return zone, [], nothing
    return (
        zone,
        [str(w.payload["page_content"]) for w in writes],
        np.stack([packs.vector(w) for w in writes]),
    )
