"""Define the bodies of the API about reviewers, spot checks and health."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ragguard.integrations.web.models import Asked, Reason, SignedStatement
from ragguard.trust.decision import MAX_REASON

Word = Literal["good", "bad"]


class SpotDraft(Asked):
    """A word on a document of a spot check, before it is signed."""

    word: Word
    reason: Reason


class SpotWord(Asked):
    """A signed word; where the process has a key, `word` and `reason` stand instead."""

    envelope: SignedStatement | None = None
    word: Word | None = None
    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""


class SpotStatement(BaseModel):
    """What is to be signed: DSSE, the signature is over PAE(payload_type, payload in base64)."""

    payload_type: str
    payload: str


class SpotItem(BaseModel):
    """A document of the last draw. What it was is told with its word, not before."""

    item: str
    document: str
    digest: str
    metadata: dict[str, Any]
    signed_by: list[str]
    texts: list[str]
    word: Word | None
    reviewer: str | None
    reason: str | None
    was: Literal["served", "held"] | None


class SpotDraw(BaseModel):
    """The last draw; null and empty before the first."""

    draw: int | None
    at: str | None
    items: list[SpotItem]


class SpotDone(BaseModel):
    """A word that was taken: what the document was, and the commit that took it out, if one did."""

    item: str
    was: Literal["served", "held"]
    commit: int | None


class Share(BaseModel):
    """A share and its 95 % interval."""

    share: float
    interval: tuple[float, float]


class Rates(BaseModel):
    """What a reviewer said last on each case, opinions and decisions; Wilson's interval."""

    reviewer: str
    released: int
    rejected: int
    release: Share
    reject: Share


class Pair(BaseModel):
    """Two reviewers who spoke on the same `n` cases: Cohen's kappa, null where it says nothing."""

    reviewers: tuple[str, str]
    n: int
    agreed: int
    kappa: float | None
    interval: tuple[float, float] | None


class Estimate(Share):
    """What a sample tells of what was there at the last draw; Clopper's and Pearson's interval."""

    drawn: int
    judged: int
    found: int
    population: int
    documents: tuple[int, int]


class SpotFigures(BaseModel):
    """Spot checks of the last 90 days."""

    draws: int
    last: str | None
    bad_in: Estimate | None
    honest_held: Estimate | None


class Reviewers(BaseModel):
    """What reviewers said, how far they agree, and what spot checks tell."""

    reviewers: list[Rates]
    pairs: list[Pair]
    spot_checks: SpotFigures


class HealthPart(BaseModel):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "note", "wrong"]
    detail: str


class OpenCases(BaseModel):
    """Open cases and how long they wait."""

    open: int
    oldest_days: float | None
    median_days: float | None
    ages: dict[str, int]


class LastAudit(BaseModel):
    """The last audit: findings by level, parts that could not look, shares of retrieval health."""

    at: str
    findings: dict[str, int]
    failed: list[str]
    shares: dict[str, float]
    documents: int


class Value(BaseModel):
    """A measure at an audit."""

    at: str
    value: float


class Curve(BaseModel):
    """A measure over the audits, oldest first."""

    name: str
    values: list[Value]


class DriftFinding(BaseModel):
    """What changed more than chance explains."""

    rule: str
    detail: str


class Drift(BaseModel):
    """Drift at the last audit, and the shift of sources over the audits."""

    findings: list[DriftFinding]
    series: list[Curve]


class SourceRecord(BaseModel):
    """Documents of a source by what became of them; `bad` names one whose record is."""

    source: str
    admitted: int
    released: int
    rejected: int
    open: int
    reject: Share
    honest_held: Share
    bad: bool


class Job(BaseModel):
    """When a job ended well the last time, as logged."""

    job: str
    at: str


class Health(BaseModel):
    """What the dashboard shows."""

    at: str
    health: list[HealthPart]
    cases: OpenCases
    audit: LastAudit | None
    drift: Drift
    canaries: list[Curve]
    sources: list[SourceRecord]
    jobs: list[Job]
