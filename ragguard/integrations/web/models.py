"""Define the bodies of the API: what is asked, checked before anything else, and answered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ragguard.integrations.web.desk import MOST_TOGETHER
from ragguard.integrations.web.sessions import Right, Role
from ragguard.trust.decision import MAX_REASON

Number = Annotated[int, Field(ge=1, lt=2**53)]
Name = Annotated[str, Field(max_length=200)]
GroupName = Annotated[str, Field(pattern="^(g[0-9a-f]{8,16})?$", max_length=17)]
Reason = Annotated[str, Field(min_length=1, max_length=MAX_REASON)]
Level = Literal["low", "medium", "high"]


class Asked(BaseModel):
    """What a client sends: no field that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Draft(Asked):
    """A decision before it is signed."""

    action: Literal["release", "reject"]
    reason: Reason
    cases: Annotated[list[Number], Field(min_length=1, max_length=MOST_TOGETHER)]
    group: GroupName = ""


class Signature(Asked):
    """A signature of a DSSE envelope."""

    keyid: Annotated[str, Field(max_length=128)]
    sig: Annotated[str, Field(max_length=128)]


class SignedStatement(Asked):
    """A DSSE envelope with one signature."""

    payload: Annotated[str, Field(max_length=400_000)]
    payloadType: Annotated[str, Field(max_length=80)]
    signatures: Annotated[list[Signature], Field(min_length=1, max_length=1)]


class Decision(Asked):
    """Signed decisions on cases, one envelope for each in the same order.

    Where the process has a key (`ragguard web --key`), `action` and `reason` stand instead of
    `envelopes`.
    """

    cases: Annotated[list[Number], Field(min_length=1, max_length=MOST_TOGETHER)]
    group: GroupName = ""
    envelopes: Annotated[list[SignedStatement], Field(max_length=MOST_TOGETHER)] = []
    action: Literal["release", "reject"] | None = None
    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""


class Me(BaseModel):
    """Whose session this is."""

    principal: str
    role: Role
    rights: list[Right]
    scope: dict[str, list[str]] | None
    csrf: str
    signing: Literal["browser", "process"]
    signer: str | None
    workspace: str
    version: str


class Token(BaseModel):
    """A token of an API client.

    `scope` is whose documents it shows, `null` for all; `over` whether its time is up.
    """

    id: str
    name: str
    role: Role
    scope: dict[str, list[str]] | None
    created: str
    expires: str
    over: bool


class Revoked(BaseModel):
    """A token that opens nothing any more."""

    id: str
    name: str


class Finding(BaseModel):
    """Why a case waits."""

    check: str
    score: float
    p_value: float | None
    detail: str
    facts: dict[str, Any]


class AnyCase(BaseModel):
    """What is said of a case wherever it is shown."""

    case: int
    kind: Literal["document", "removal", "question"]
    state: str
    source: str
    document: str | None
    opened: str
    score: float | None
    p_value: float | None
    confidence: float | None
    confidence_level: Level | None
    findings: list[Finding]
    reviewers_needed: int


class ListedCase(AnyCase):
    """A case of the queue."""

    group: str | None
    opinions: int


class CasePage(BaseModel):
    """A page of the queue."""

    total: int
    page: int
    pages: int
    checks: dict[str, int]
    sources: dict[str, int]
    cases: list[ListedCase]


class Mark(BaseModel):
    """What a reason points at: characters of a passage."""

    passage: int
    start: int
    end: int
    check: str


class Beside(BaseModel):
    """A passage of another document, and the words that differ."""

    document: str
    role: str
    zone: str | None
    similarity: float | None
    passage: int
    text: str
    differs: list[tuple[int, int]]
    other_differs: list[tuple[int, int]]
    signed_by: list[str]


class Opinion(BaseModel):
    """Who gave an opinion; what it is, only where two disagree or the case is closed."""

    reviewer: str
    at: str
    action: Literal["release", "reject"] | None
    reason: str | None


class Case(AnyCase):
    """A case with all that a reviewer looks at."""

    digest: str | None
    metadata: dict[str, Any] | None
    detail: dict[str, Any]
    signed_by: list[str]
    older_version_serves: bool
    opinions: list[Opinion]
    texts: list[str]
    serves_as: list[str]
    marks: list[Mark]
    beside: list[Beside]
    history: list[dict[str, Any]]


class Group(BaseModel):
    """Cases of one cause."""

    group: str
    kind: Literal["campaign", "family", "alone"]
    size: int
    score: list[float] | None
    sources: list[str]
    checks: list[str]
    about: str
    cases: list[int]


class GroupPage(BaseModel):
    """A page of groups."""

    total: int
    page: int
    pages: int
    groups: list[Group]


class Statement(BaseModel):
    """What is to be signed about a case: base64 of the payload's bytes."""

    case: int
    payload: str


class Statements(BaseModel):
    """What is to be signed: DSSE, the signature is over PAE(payload_type, payload)."""

    payload_type: str
    statements: list[Statement]


class Done(BaseModel):
    """Words that were taken: cases they closed, and cases that need another reviewer's word."""

    commit: int | None
    cases: list[int]
    waiting: list[int]


class ConflictBody(BaseModel):
    """A case that closed meanwhile."""

    case: int
    state: str
    reviewer: str
    reason: str


class Problem(BaseModel):
    """Why a request was not carried out, and what to do next."""

    error: str
    hint: str
    conflicts: list[ConflictBody] = []
