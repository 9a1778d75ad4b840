"""Bodies of the API about reviewers, spot checks and health."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from ragguard.trust.decision import MAX_REASON
from ragguard.web.models import Asked, Reason, SignedStatement

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
