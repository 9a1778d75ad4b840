"""Define the bodies of the API about lineage."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ragguard.integrations.web.models import Asked

State = Literal["verified", "wrong", "unproved"]
MOST_RECEIPT = 60_000  # characters


class ReaderKey(Asked):
    """A public key file of a reader, as `ragguard key generate` writes it."""

    public: Annotated[str, Field(max_length=2_000)]


class AskedAnswer(Asked):
    """A receipt, and keys of readers that may have signed it; the log's may always."""

    receipt: Annotated[str, Field(min_length=2, max_length=MOST_RECEIPT)]
    signers: Annotated[list[ReaderKey], Field(max_length=20, default_factory=list)]


class Step(BaseModel):
    """A step of a lineage, verified when it was asked for."""

    id: str
    kind: str
    label: str
    state: State
    reason: str
    facts: dict[str, Any]


class Edge(BaseModel):
    """What one step has to do with another."""

    source: str
    target: str
    relation: str


class Lineage(BaseModel):
    """Where a document, a chunk or an answer comes from."""

    subject: str
    kind: Literal["document", "answer"]
    focus: str
    verified: int
    wrong: int
    unproved: int
    steps: list[Step]
    edges: list[Edge]


class Record(BaseModel):
    """What became of a source's documents, with the share of honest ones that were held."""

    admitted: int
    released: int
    rejected: int
    open: int
    rate: float
    interval: tuple[float, float]


class Source(BaseModel):
    """A source beside others."""

    name: str
    trusted: bool
    manifests: int
    serving: int
    waiting: int
    record: Record
    last: str


class SourceList(BaseModel):
    """All sources."""

    sources: list[Source]


class Signer(BaseModel):
    """A key that may speak for a source."""

    principal: str | None
    keyid: str
    revoked: str | None


class Manifest(BaseModel):
    """A manifest of a source, its signatures verified when it was asked for."""

    digest: str
    version: int
    commit: int
    at: str
    expires: str
    signed_by: list[str]
    state: State
    reason: str
    counts: dict[str, int]


class Said(BaseModel):
    """A decision on a case."""

    action: str
    reviewer: str
    reason: str


class Held(BaseModel):
    """A document that was held."""

    case: int
    document: str
    state: str
    opened: int
    closed: int | None
    decisions: list[Said]


class Cause(BaseModel):
    """A document that a commit moved in an answer; ranks from 1."""

    commit: int
    document: str
    before: int | None
    after: int | None


class MovedQuestion(BaseModel):
    """A canary question whose answer changed between two audits; nDCG@10 before and after."""

    query: str
    since: str
    at: str
    before: float | None
    after: float | None
    causes: list[Cause]


class Canaries(BaseModel):
    """What commits did to the canaries, as finely as audits kept their answers."""

    runs: int
    questions: list[MovedQuestion]
    problems: list[str]


class SourceLineage(Source):
    """What a source brought, what was held of it, and what it moved."""

    threshold: int
    restricted: bool
    signers: list[Signer]
    page: int
    pages: int
    brought: list[Manifest]
    cases: int
    held: list[Held]
    canaries: Canaries


class Moment(BaseModel):
    """A commit of the timeline: documents by source and by what became of them."""

    commit: int
    kind: str
    at: str
    actor: str
    source: str
    manifest: str | None
    signed_by: list[str]
    sources: dict[str, dict[str, int]]


class Timeline(BaseModel):
    """A page of the history, the newest commit first."""

    total: int
    page: int
    pages: int
    commits: list[Moment]


class Change(BaseModel):
    """What a commit did to a document; digests are empty where there is none."""

    source: str
    document: str
    what: str
    before: str
    after: str


class Decided(Said):
    """A decision that a commit carried out."""

    case: int
    document: str


class Commit(Moment):
    """A commit, and whether the corpus after it is the one that was logged."""

    state: State
    reason: str
    corpus: str
    documents: int
    decisions: list[Decided]
    total: int
    page: int
    pages: int
    changes: list[Change]
    previous: int | None
    next: int | None
