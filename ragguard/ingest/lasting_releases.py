"""Apply releases that last: what a reviewer let pass is not held again, and nothing else passes.

A release covers findings by their evidence: sentences, companions, changed facts of a twin, claims
(docs/adr/0020-what-a-release-covers.md). In a later edition of the document the covered sentences
are taken out and the rest is judged once more, so that what stands behind them is seen. A finding
that names no sentence is covered only where every passage is, for the most part, text that was
released. The same bytes with the same metadata stay released for the checks the release covers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ragguard.corpus.stored_points import stored_writes
from ragguard.detect.view import PreparedDocument
from ragguard.ledger import evidence, versions
from ragguard.ledger.decided import ReleaseRow
from ragguard.ledger.writer import Write
from ragguard.model import Chunk, Finding, Hidden, Verdict
from ragguard.workspace import Workspace

logger = logging.getLogger(__name__)

KNOWN = 0.7  # share of a passage's words that stand in released sentences
ROUNDS = 4  # times a batch is judged again, as long as covered sentences come to light
Judge = Callable[[Sequence[PreparedDocument]], Sequence[Verdict]]


def text_of(stored: Sequence[Write]) -> str:
    """Return the text of a document out of its points, in chunk order."""
    places = [(w.payload["ragguard"], str(w.payload["page_content"])) for w in stored]
    return evidence.rebuild([(int(p["start"]), int(p["end"]), text) for p, text in places])


@dataclass
class _Open:
    """A held document of which earlier editions were released.

    Attributes:
        covers: Evidence covered.
        masked: Covered sentences that are taken out, as `evidence.same_line`.
    """

    prepared: PreparedDocument
    releases: Sequence[ReleaseRow]
    covers: frozenset[str]
    masked: set[str]


def apply(
    workspace: Workspace,
    batch: Sequence[PreparedDocument],
    verdicts: Sequence[Verdict],
    metadata_digests: Sequence[str],
    releases: Sequence[Sequence[ReleaseRow]],
    judge: Judge,
) -> list[Verdict]:
    """List verdicts with releases taken into account.

    Args:
        verdicts: What was said of each.
        metadata_digests: Digest of each one's metadata.
        releases: Releases of each document, oldest first.
        judge: Judges the batch again, some documents without their covered sentences.

    Returns:
        The verdicts; those on held documents that a release covers admit, with their findings.
    """
    final_verdicts = list(verdicts)
    still: dict[int, _Open] = {}
    for number, (verdict, prepared) in enumerate(zip(verdicts, batch, strict=True)):
        given = releases[number]
        if verdict.outcome != "quarantine" or not given:
            continue
        own = (prepared.document.digest, metadata_digests[number])
        same = [r for r in given if (r.digest, r.metadata_digest) == own]
        if same and _covers_same(verdict.findings, prepared, same):
            final_verdicts[number] = replace(verdict, outcome="admit")
            continue
        # Older decisions name checks only, and then cover nothing but the bytes they are about.
        covers = frozenset(e for r in given if not r.ended for e in r.covers if ":" in e)
        if covers:
            still[number] = _Open(prepared, given, covers, set())
    latest: Sequence[Verdict] = verdicts
    for _ in range(ROUNDS):
        grown = False
        for number, open_case in list(still.items()):
            if latest[number].outcome != "quarantine":
                final_verdicts[number] = replace(verdicts[number], outcome="admit")
                del still[number]
                continue
            sentences = _covered(workspace, open_case, latest[number].findings)
            if sentences is None:
                del still[number]
            elif sentences <= open_case.masked:
                final_verdicts[number] = replace(verdicts[number], outcome="admit")
                del still[number]
            else:
                open_case.masked |= sentences
                grown = True
        if not grown:
            return final_verdicts
        masked = list(batch)
        for number, open_case in list(still.items()):
            rest = _mask(open_case.prepared, open_case.masked)
            if rest is None:  # nothing is left but what was released
                final_verdicts[number] = replace(verdicts[number], outcome="admit")
                del still[number]
            else:
                masked[number] = rest
        if not still:
            return final_verdicts
        latest = judge(masked)
    for number in still:
        if latest[number].outcome != "quarantine":
            final_verdicts[number] = replace(verdicts[number], outcome="admit")
    return final_verdicts


def _covers_same(
    findings: Sequence[Finding], prepared: PreparedDocument, releases: Sequence[ReleaseRow]
) -> bool:
    """Whether releases of just these bytes cover findings: by check, neighbours by their names."""
    checks = {check for r in releases for check in r.checks}
    covers = {entry for r in releases for entry in r.covers}
    for finding in findings:
        if finding.check not in checks or finding.facts.get("crashed"):
            return False
        if evidence.others(finding) and finding.check not in covers:  # an older decision
            rests_on = evidence.evidence(finding, "", (), prepared.document.metadata)
            if not rests_on <= covers:
                return False
    return True


def _covered(
    workspace: Workspace, open_case: _Open, findings: Sequence[Finding]
) -> set[str] | None:
    """List sentences to take out when all findings are covered, else `None`."""
    prepared = open_case.prepared
    text = evidence.rebuild([(c.start, c.end, c.text) for c in prepared.chunks])
    hidden = [h.text for h in prepared.hidden]
    sentences: set[str] = set()
    for finding in findings:
        if finding.facts.get("crashed"):
            return None
        rests_on = evidence.evidence(finding, text, hidden, prepared.document.metadata)
        if not rests_on <= open_case.covers:
            return None
        quotes = evidence.quotes(finding)
        places = [_places(text, hidden, quote) for quote in quotes]
        if not all(places):  # decoded or disguised: what else is like it cannot be told
            return None
        sentences |= {s for held in places for s in held}
        speaks_for_itself = quotes or finding.facts.get("evidence") or finding.facts.get("twin")
        if not speaks_for_itself and not _is_known(workspace, open_case):
            return None
    return sentences


def _places(text: str, hidden: Sequence[str], quote: str) -> list[str]:
    pieces = [evidence.same_line(piece) for piece in hidden if evidence.locate(piece, quote)]
    return evidence.holding(text, quote) + pieces


def _is_known(workspace: Workspace, open_case: _Open) -> bool:
    """Tell whether every passage is mostly made of sentences that a reviewer released."""
    known = ""
    for release in (r for r in open_case.releases if not r.ended):
        with workspace.ledger.reading() as conn:
            row = versions.version(conn, release.version)
        if row is not None:
            known += f" {evidence.same_line(text_of(stored_writes(workspace, row)))} \n"
    for chunk in open_case.prepared.chunks:
        old = every = 0
        for a, b in evidence.sentence_spans(chunk.text):
            sentence = evidence.same_line(chunk.text[a:b])
            size = sentence.count(" ") + 1
            every += size
            old += size if f" {sentence} " in known else 0
        if old < KNOWN * every:
            return False
    return True


def _mask(prepared: PreparedDocument, sentences: set[str]) -> PreparedDocument | None:
    """Return a document without some sentences; `None` when nothing is left of it."""
    kept = [(n, _without(c.text, sentences)) for n, c in enumerate(prepared.chunks)]
    kept = [(n, text) for n, text in kept if evidence.same_line(text)]
    if not kept:
        return None
    chunks = tuple(Chunk(prepared.chunks[n].start, prepared.chunks[n].end, t) for n, t in kept)
    hidden = tuple(
        Hidden(h.kind, h.text)
        for h in prepared.hidden
        if evidence.same_line(h.text) not in sentences
    )
    return replace(
        prepared,
        raw=_without(prepared.raw, sentences),
        hidden=hidden,
        chunks=chunks,
        vectors=prepared.vectors[[n for n, _ in kept]],
    )


def _without(text: str, sentences: set[str]) -> str:
    """Return a text without some sentences; at its ends also without what a cut left of them."""
    spans = evidence.sentence_spans(text)
    out = []
    for number, (a, b) in enumerate(spans):
        sentence = evidence.same_line(text[a:b])
        if sentence in sentences:
            continue
        if number == 0 and any(s.endswith(f" {sentence}") for s in sentences):
            continue
        if number == len(spans) - 1 and any(s.startswith(f"{sentence} ") for s in sentences):
            continue
        out.append(text[a:b])
    return "".join(out)
