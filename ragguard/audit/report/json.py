"""Write the report as JSON, and read it back: the next audit says what changed.

Everything else is drawn for people or other tools and may leave things out; this leaves out nothing
but the ends of very long texts. docs/schemas/audit.json describes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragguard.audit.findings import (
    AnsweredRow,
    Answers,
    AuditFinding,
    AuditReport,
    MapPoint,
    Part,
    SourceLine,
    State,
)
from ragguard.audit.rules import RULES, Level
from ragguard.errors import IntegrityError
from ragguard.text.safe_display import cut
from ragguard.trust import strict_json
from ragguard.trust.canonical import digest, parse_time

FORMAT = "ragguard-audit-v1"
MAX_BYTES = 1 << 29
LONGEST = 20_000  # characters of a text within facts; of a detail a tenth
DEEPEST = 8  # levels of facts; strictjson refuses far deeper ones
LARGEST = (1 << 63) - 1
HINT = (
    "Restore the vault from its backup, or start a new history with a full audit: it compares "
    "with nothing."
)

Finite = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Whole = Annotated[int, Field(ge=0)]


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Finding(_Kept):
    id: str
    rule: str
    level: Level
    fingerprint: str
    new: bool
    document: str
    point: str
    collection: str
    about: str
    count: Whole
    score: Share
    p_value: Share | None
    detail: str
    facts: dict[str, Any]


class _Part(_Kept):
    name: str
    state: State
    reason: str
    looked_at: Whole
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Source(_Kept):
    source: str
    state: str
    documents: Whole
    quarantined: Whole
    arrived: Whole
    suspects: Whole
    drift: Finite | None
    p_value: Share | None


class _Value(_Kept):
    at: str
    value: Finite


class _Place(_Kept):
    x: Share
    y: Share
    source: str
    document: str
    suspect: bool


class _Answered(_Kept):
    document: str
    questions: Whole
    share: Share
    new: bool
    alike: Finite | None


class _Answers(_Kept):
    answers: Whole
    questions: Whole
    since: str
    damaged: Whole
    lost: Whole
    stale: Whole
    documents: list[_Answered]


class _Body(_Kept):
    format: Literal["ragguard-audit-v1"]
    at: str
    previous: str | None
    version: str
    name: str
    collection: str
    rotation: dict[str, int]
    counts: dict[str, int]
    levels: dict[Level, int]
    parts: list[_Part]
    findings: list[_Finding]
    gone: list[_Finding]
    sources: list[_Source]
    health: dict[str, Share]
    series: dict[str, list[_Value]]
    places: list[_Place]
    memory_bytes: Whole
    answers: _Answers | None = None  # reports from before the retrieval log have none


def fingerprint(finding: AuditFinding) -> str:
    """Return the SHA-256 hex of what makes a finding the same one tomorrow."""
    return digest(_text(finding.identity))


def body_of(report: AuditReport) -> dict[str, Any]:
    """Return the report as docs/schemas/audit.json describes it."""
    levels = report.levels
    body = {
        "format": FORMAT,
        "at": report.at,
        "previous": report.previous or None,
        "version": report.version,
        "name": report.name,
        "collection": report.collection,
        "rotation": dict(report.rotation),
        "counts": {k: int(n) for k, n in report.counts.items()},
        "levels": {level: levels[level] for level in ("error", "warning", "note")},
        "parts": [{**vars(p), "seconds": round(p.seconds, 3)} for p in report.parts],
        "findings": [_finding(f, f.identity in report.fresh) for f in report.findings],
        "gone": [_finding(f, False) for f in report.gone],
        "sources": [
            {
                "source": s.source,
                "state": s.state,
                "documents": s.documents,
                "quarantined": s.quarantined,
                "arrived": s.arrived,
                "suspects": s.suspects,
                "drift": _number(s.drift),
                "p_value": None if s.p_value is None else _share(s.p_value),
            }
            for s in report.sources
        ],
        "health": {name: _share(share) for name, share in report.health.items()},
        "series": {
            name: [{"at": at, "value": float(v)} for at, v in values if math.isfinite(v)]
            for name, values in report.series.items()
        },
        "places": [
            {**vars(p), "x": round(_share(p.x), 4), "y": round(_share(p.y), 4)}
            for p in report.places
        ],
        "memory_bytes": int(report.memory_bytes),
        "answers": None if report.answers is None else _answers_body(report.answers),
    }
    cleaned: dict[str, Any] = _utf8(body)
    return cleaned


def dump(report: AuditReport) -> bytes:
    """Return the report's bytes: JSON in ASCII, one object, indented."""
    return json.dumps(body_of(report), indent=1, allow_nan=False).encode("ascii") + b"\n"


def load(data: bytes, name: str = "audit report") -> AuditReport:
    """Read what `dump` wrote.

    Args:
        name: What to call them in errors.

    Raises:
        IntegrityError: Damaged, of another format, or by a ragguard that knows other rules.
    """
    return report_of(strict_json.parse(data, what=name, max_bytes=MAX_BYTES), name)


def report_of(body: Any, name: str = "audit report") -> AuditReport:
    """Return the report that `body_of` described.

    Raises:
        IntegrityError: See `load`.
    """
    if not isinstance(body, Mapping) or body.get("format") != FORMAT:
        raise IntegrityError(f"{name}: not a report of format {FORMAT}", hint=HINT)
    try:
        read = _Body.model_validate(body)
        for at in (read.at, *([read.previous] if read.previous else ())):
            parse_time(at)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise IntegrityError(f"{name}: {place}: {first['msg']}", hint=HINT) from None
    except ValueError as error:
        raise IntegrityError(f"{name}: {error}", hint=HINT) from None
    for finding in (*read.findings, *read.gone):
        rule = RULES.get(finding.rule)
        if rule is None or rule.id != finding.id:
            raise IntegrityError(
                f"{name}: rule {finding.id} {cut(finding.rule, 80)!r} is not known here",
                hint="It was written by another version of ragguard; use that one or a newer one.",
            )
    findings = [_read(f) for f in read.findings]
    pairs = zip(findings, read.findings, strict=True)
    return AuditReport(
        at=read.at,
        version=read.version,
        name=read.name,
        collection=read.collection,
        counts=read.counts,
        parts=[Part(**p.model_dump()) for p in read.parts],
        findings=findings,
        sources=[SourceLine(**s.model_dump()) for s in read.sources],
        health=read.health,
        series={name: [(v.at, v.value) for v in row] for name, row in read.series.items()},
        fresh=frozenset(f.identity for f, kept in pairs if kept.new),
        gone=[_read(f) for f in read.gone],
        places=[MapPoint(**p.model_dump()) for p in read.places],
        previous=read.previous or "",
        rotation=read.rotation,
        memory_bytes=read.memory_bytes,
        answers=_answers(read.answers),
    )


def json_safe(value: Any, depth: int = DEEPEST) -> Any:
    """Return a value of facts as strict JSON can carry it, whatever a stranger's payload held.

    Numbers that are none become null, numpy's become Python's, halves of surrogate pairs become
    escapes, long texts lose their ends, and what is nested too deeply becomes a text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return cut(_text(value), LONGEST)
    if isinstance(value, int):
        return value if abs(value) <= LARGEST else str(value)
    if isinstance(value, float):
        return _number(value)
    if depth == 0:
        return cut(_text(str(value)), 200)
    if isinstance(value, Mapping):
        return {_text(str(k)): json_safe(v, depth - 1) for k, v in value.items()}
    if isinstance(value, set | frozenset):
        return [json_safe(v, depth - 1) for v in sorted(value, key=str)]
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [json_safe(v, depth - 1) for v in value]
    plainer = getattr(value, "tolist", None)  # arrays and scalars of numpy
    return json_safe(plainer(), depth - 1) if plainer else cut(_text(str(value)), LONGEST)


def _finding(finding: AuditFinding, new: bool) -> dict[str, Any]:
    rule = RULES[finding.rule]
    return {
        "id": rule.id,
        "rule": rule.name,
        "level": rule.level,
        "fingerprint": fingerprint(finding),
        "new": new,
        "document": finding.document,
        "point": finding.point,
        "collection": finding.collection,
        "about": finding.about,
        "count": int(finding.count),
        "score": _share(finding.score),
        "p_value": None if finding.p_value is None else _share(finding.p_value),
        "detail": cut(finding.detail, LONGEST // 10),
        "facts": json_safe(finding.facts),
    }


def _read(kept: _Finding) -> AuditFinding:
    return AuditFinding(*(getattr(kept, name) for name in AuditFinding.__dataclass_fields__))


def _answers_body(answers: Answers) -> dict[str, Any]:
    rows = [
        {**asdict(row), "share": _share(row.share), "alike": _number(row.alike)}
        for row in answers.documents
    ]
    return {**asdict(answers), "documents": rows}


def _answers(kept: _Answers | None) -> Answers | None:
    if kept is None:
        return None
    rest = kept.model_dump(exclude={"documents"})
    return Answers(**rest, documents=[AnsweredRow(**row.model_dump()) for row in kept.documents])


def _utf8(value: Any) -> Any:
    """Return a body whose texts are all such that UTF-8 can hold them."""
    if isinstance(value, str):
        return value if value.isascii() else _text(value)
    if isinstance(value, dict):
        return {_utf8(k): _utf8(v) for k, v in value.items()}
    return [_utf8(v) for v in value] if isinstance(value, list) else value


def _text(text: str) -> str:
    """Return the text that UTF-8 can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _share(value: float) -> float:
    """Return a number in [0, 1]; 1, the worst, for one that is none."""
    return min(max(float(value), 0.0), 1.0) if math.isfinite(value) else 1.0
