"""Trace: how a document came in, verified link by link; and which documents made a bad answer.

`trace_document` verifies the chain with what `log prove` gives a stranger, and beyond it what only
the workspace can: bytes in the vault, points and seals in the index, decisions of reviewers.

`trace_answer` ranks passages by how much an answer rests on them. It names suspects for a person;
it changes nothing, and words alone do not tell a false statement from a true one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragguard.errors import RagguardError
from ragguard.kernels.sketch import shared_words
from ragguard.kernels.support import FEWEST, answer_terms, holds, share_out
from ragguard.kernels.text import normalise, words
from ragguard.ledger import commits, corpus, past
from ragguard.ledger.corpus import VersionRow
from ragguard.prove import find_version, prove, verifier_key, verify_bundle
from ragguard.search import Hit, search
from ragguard.store import Store
from ragguard.trust import decision as decisions
from ragguard.trust import signing
from ragguard.workspace import Workspace

Judge = Callable[[str, str, str], float]
LIMIT = 5  # how many times k the ranking is read at most
COPY = 0.6  # word overlap from which two passages are near-duplicates
CLOSE = 0.75  # cosine from which two passages say the same
NEAREST = 20  # neighbours of a responsible passage looked at, in each collection


@dataclass(frozen=True)
class Custody:
    """The chain of custody of a document's newest version.

    Attributes:
        zone: Where it is now: `serving`, `quarantine` or empty.
        proof: What the log proves of it: acts, signers, tree size; empty when it proves nothing.
        revoked: Key ids of its manifest's signers that are revoked today.
        versions: All its versions, oldest first, with verdict, findings and stays.
        decisions: What reviewers decided, and whether their signature verifies.
        points: Its points, and whether each is the one that was written.
        problems: Links that do not hold, one sentence each.
    """

    source: str
    document: str
    digest: str
    metadata: Mapping[str, Any]
    zone: str
    generation: Mapping[str, Any]
    manifest: Mapping[str, Any]
    proof: Mapping[str, Any]
    revoked: Sequence[str]
    versions: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    points: Sequence[Mapping[str, Any]]
    problems: Sequence[str]


def trace_document(workspace: Workspace, what: str) -> Custody:
    """Follow a document back to who signed it.

    Args:
        workspace: Open and locked.
        what: Point id, or `source/document`.

    Raises:
        UsageError: Nothing of that name was ever committed.
    """
    problems: list[str] = []
    row = find_version(workspace, what)
    proof: Mapping[str, Any] = {}
    try:
        bundle = json.dumps(prove(workspace, what)).encode()
        proof = verify_bundle(bundle, verifier_key(workspace), workspace.root.keys)
    except RagguardError as error:
        problems.append(error.message)
    try:
        workspace.vault.get(row.subject_digest)
    except RagguardError as error:
        if row.outcome != "reject":  # what was rejected is not kept
            problems.append(f"signed bytes: {error.message}")
    with workspace.ledger.reading() as conn:
        manifest = commits.manifest_row(conn, row.manifest)
        rows = past.versions_named(conn, row.source, row.document)
        stays = past.stays_named(conn, [r.id for r in rows])
        decided = past.decisions_on(conn, row.source, row.document)
    here = [s for s in stays if s.until is None]
    zone = str(here[-1].zone) if here else ""
    signers = [list(s) for s in manifest.signers] if manifest else []
    if proof and set(proof["signed_by"]) != {principal for _, principal in signers}:
        problems.append("manifest: its signatures are not by those whom the ledger names")
    generation = workspace.generation()
    return Custody(
        row.source,
        row.document,
        row.digest,
        dict(row.metadata),
        zone,
        {"id": generation.id, "recipe": generation.recipe} if generation else {},
        {
            "digest": row.manifest,
            "version": manifest.version if manifest else None,
            "expires": manifest.expires if manifest else None,
            "signers": signers,
        },
        proof,
        [keyid for keyid, _ in signers if keyid in workspace.root.revoked],
        [_version(r, [s for s in stays if s.version == r.id]) for r in rows],
        [_decision(workspace, d, {r.id: r for r in rows}, problems) for d in decided],
        _points(workspace, row, here[-1].version, zone, problems) if here else [],
        problems,
    )


def _version(row: VersionRow, stays: Sequence[Any]) -> dict[str, Any]:
    keys = ("digest", "manifest", "commit", "outcome", "score", "p_value")
    return {
        "version": row.id,
        **{key: getattr(row, key) for key in keys},
        "findings": [{k: f[k] for k in ("check", "score", "p_value")} for f in row.findings],
        "stays": [{"zone": s.zone, "since": s.since, "until": s.until} for s in stays],
    }


def _decision(
    workspace: Workspace, row: Any, versions: Mapping[int, VersionRow], problems: list[str]
) -> dict[str, Any]:
    by, about = "", versions.get(row.version)
    try:
        data = workspace.vault.get(row.envelope)
        envelope = signing.parse_envelope(data, max_bytes=decisions.MAX_DECISION_BYTES)
        keys = workspace.root.keys
        result = signing.verify(envelope, keys, payload_type=signing.IN_TOTO, threshold=1)
        result.require(f"decision on case {row.case}")
        said, by = decisions.parse(envelope.payload), result.signed[0].principal
        if about is None or (said.case, said.action, said.digest, by) != (
            row.case,
            row.action,
            about.digest,
            row.reviewer,
        ):
            problems.append(f"decision on case {row.case}: is not the one the ledger has")
    except RagguardError as error:
        problems.append(error.message)
    keys_ = ("case", "action", "reviewer", "reason", "commit")
    return {**{key: getattr(row, key) for key in keys_}, "verified": bool(by)}


def _points(
    workspace: Workspace, row: VersionRow, version: int, zone: str, problems: list[str]
) -> list[dict[str, Any]]:
    generation = workspace.generation()
    if generation is None:
        return []
    name = generation.serving if zone == "serving" else generation.quarantine
    with workspace.ledger.reading() as conn:
        listed = corpus.points_of(conn, [version])[version]
        seals = {p.point: corpus.seal_of(conn, name, p.point) for p in listed}
    store = workspace.open_store()
    found = {p.id: p for p in store.get(name, [p.point for p in listed], vectors=True)}
    made = []
    for place in listed:
        point, ok = found.get(place.point), False
        if point is not None:
            own = point.payload.get("ragguard") or {}
            sealed = workspace.committer.seal(name, point.id, point.vector, point.payload)
            ok = sealed == seals[place.point] == own.get("seal")
        if not ok:
            state = "is not the one that was written" if point else "is missing"
            problems.append(f"point {place.point} in {name!r} {state}")
        made.append({"point": place.point, "start": place.start, "end": place.end, "sealed": ok})
    return made


# --- from an answer back to documents -------------------------------------------------------------


@dataclass(frozen=True)
class Passage:
    """A passage that was retrieved for the question.

    Attributes:
        held: Share of the answer's words it holds, or the judge's word on it.
        dependence: Share of the answer that rests on it; without an answer its share of the
            retrieval.
        alone: Share of the answer's words that no other passage retrieved holds.
        responsible: Whether the answer rests on it; never without an answer.
    """

    hit: Hit
    held: float
    dependence: float
    alone: float
    responsible: bool


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
class Traced:
    """Passages by how much the answer rests on them, and what else there is of their kind."""

    passages: Sequence[Passage]
    companions: Sequence[Companion]

    @property
    def documents(self) -> list[str]:
        """Responsible documents, in the order of the passages."""
        return list(dict.fromkeys(p.hit.document for p in self.passages if p.responsible))


def trace_answer(
    workspace: Workspace, query: str, answer: str = "", k: int = 10, judge: Judge | None = None
) -> Traced:
    """Find the passages that a bad answer rests on.

    The ranking is read k by k for as long as the last k holds a responsible passage.

    Args:
        workspace: Open and locked.
        query: The question.
        answer: The bad answer; empty when it is not known.
        k: Passages that the retriever gave.
        judge: From question, answer and passage to how far the passage supports the answer, in
            [0, 1]; takes the place of shared words.

    Raises:
        UsageError: See `search`.
    """
    hits, passages = search(workspace, query, k), list[Passage]()
    for times in range(1, LIMIT + 1):
        if times > 1:
            hits = search(workspace, query, k * times)
        passages = _weigh(query, answer, hits, judge)
        if len(hits) < k * times or not any(p.responsible for p in passages[-k:]):
            break
    passages = [p for p in passages if p.hit.rank <= k or p.responsible]
    passages.sort(key=lambda p: (not p.responsible, -p.dependence, p.hit.rank))
    return Traced(passages, _companions(workspace, [p for p in passages if p.responsible]))


def _weigh(query: str, answer: str, hits: Sequence[Hit], judge: Judge | None) -> list[Passage]:
    close = np.array([h.similarity for h in hits], dtype=np.float64)
    asked, said = words(normalise(query)), words(normalise(answer))
    if not said:
        shares = np.maximum(close, 0.0) / max(np.maximum(close, 0.0).sum(), 1e-12)
        return [Passage(h, 0.0, float(s), 0.0, False) for h, s in zip(hits, shares, strict=True)]
    if judge is not None:
        given = np.array([judge(query, answer, h.text) for h in hits], dtype=np.float64)
        table = (given >= FEWEST)[:, None]
    else:
        terms = answer_terms(said, asked)
        rows = [holds(terms, words(normalise(h.text))) for h in hits]
        table = np.array(rows, dtype=bool).reshape(len(hits), len(terms))
    made = share_out(table, close)
    held = made.held if judge is None else given
    return [
        Passage(h, float(held[i]), float(made.dependence[i]), float(made.alone[i]), bool(r))
        for i, (h, r) in enumerate(zip(hits, made.responsible, strict=True))
    ]


def _companions(workspace: Workspace, guilty: Sequence[Passage]) -> list[Companion]:
    generation = workspace.generation()
    if generation is None or not guilty:
        return []
    store = workspace.open_store()
    found: dict[tuple[str, str], tuple[set[str], float | None]] = {}
    for zone, name in (("serving", generation.serving), ("quarantine", generation.quarantine)):
        for document, why, close in _near(store, generation.serving, name, guilty):
            reasons, known = found.get((document, zone), (set(), None))
            found[document, zone] = (reasons | {why}, max(close, known or -1.0))
    with workspace.ledger.reading() as conn:
        members = {zone: corpus.members(conn, zone) for zone in ("serving", "quarantine")}
        names = {p.hit.document for p in guilty}
        rows = [members["serving"][n] for n in names if n in members["serving"]]
        signers = {r.digest: _keys(r) for r in commits.accepted_manifests(conn)}
    batches = {r.commit for r in rows}
    theirs = set[str]().union(*(signers.get(r.manifest, set()) for r in rows))
    for zone, listed in members.items():
        for document, row in listed.items():
            shared = {"batch"} if row.commit in batches else set()
            shared |= {"signer"} if theirs & signers.get(row.manifest, set()) else set()
            if shared:
                reasons, known = found.get((document, zone), (set(), None))
                found[document, zone] = (reasons | shared, known)
    order = ("near-duplicate", "campaign", "batch", "signer")
    made = [
        Companion(document, zone, tuple(w for w in order if w in why), close)
        for (document, zone), (why, close) in found.items()
        if (document, zone) not in {(n, "serving") for n in names}
    ]
    return sorted(made, key=lambda c: (-(c.similarity or -1.0), c.document, c.zone))


def _keys(manifest: Any) -> set[str]:
    return {keyid for keyid, _ in manifest.signers}


def _near(
    store: Store, serving: str, collection: str, guilty: Sequence[Passage]
) -> list[tuple[str, str, float]]:
    points = store.get(serving, [p.hit.point for p in guilty], vectors=True)
    if not points:
        return []
    hits = store.search(collection, np.stack([p.vector for p in points]), NEAREST)
    made = []
    for point, ids, similarities in zip(points, hits.ids, hits.similarities, strict=True):
        text = words(normalise(str(point.payload.get("page_content", ""))))
        close = dict(zip(ids, similarities, strict=True))
        for other in store.get(collection, ids):
            own = other.payload.get("ragguard") or {}
            theirs = words(normalise(str(other.payload.get("page_content", ""))))
            copy = shared_words(text, theirs) >= COPY
            if (copy or close[other.id] >= CLOSE) and other.id != point.id:
                name = f"{own.get('source', '?')}/{own.get('document', '?')}"
                made.append((name, "near-duplicate" if copy else "campaign", close[other.id]))
    return made
