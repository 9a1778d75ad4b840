"""Render the pages of lineage: a document or answer as a graph, sources, history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from ragguard.export.formats import FORMATS
from ragguard.integrations.web.access import Denied, Viewing
from ragguard.integrations.web.api import Number, PageNumber, desk_of
from ragguard.integrations.web.lineage import bodies
from ragguard.integrations.web.lineage.drawing import draw
from ragguard.integrations.web.pages import _pager as pager_of
from ragguard.integrations.web.pages import render
from ragguard.lineage.graph import KINDS, Lineage, Step

TITLES = {
    "passage": "Passages",
    "point": "Points in the index",
    "seals": "Seals",
    "stay": "Where it stands",
    "version": "Versions and verdicts",
    "bytes": "Signed bytes",
    "case": "Cases",
    "decision": "Decisions",
    "reviewer": "Reviewers",
    "manifest": "Manifests",
    "signer": "Signers",
    "receipt": "Receipt",
    "commit": "Commits",
    "entry": "Entries of the log",
    "checkpoint": "Checkpoint",
}
MOST_STEPS = 60  # of a kind, on the page; the API has all
router = APIRouter(prefix="/lineage", include_in_schema=False)
Chosen = Annotated[str, Query(max_length=2_000)]


@router.get("")
def lineage_page(request: Request, session: Viewing, what: Chosen = "") -> HTMLResponse:
    """What may be asked for, or the lineage of a document or a chunk."""
    asked = what.strip()
    if not asked:
        newest = bodies.history(desk_of(request), 1, per=5)["commits"]
        return render(request, session, "lineage_start.html.j2", newest=newest)
    return _graph_page(request, session, bodies.document(desk_of(request), asked), asked)


@router.post("/answer")
async def answer_page(request: Request, session: Viewing) -> HTMLResponse:
    """The lineage of an answer; a form of ours sends its receipt, and nothing is changed."""
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    receipt, signer = (fields.get(name, [""])[0].strip() for name in ("receipt", "signer"))
    if not receipt:
        raise Denied(400, "no receipt was given", "Paste the receipt's JSON.")
    lineage = bodies.answer(desk_of(request), receipt, [signer] if signer else [])
    return _graph_page(request, session, lineage, "")


@router.get("/sources")
def sources_page(request: Request, session: Viewing) -> HTMLResponse:
    """All sources with their record."""
    rows = bodies.source_list(desk_of(request))
    return render(request, session, "sources.html.j2", rows=rows)


@router.get("/sources/{name}")
def source_page(
    request: Request, session: Viewing, name: str, page: PageNumber = 1
) -> HTMLResponse:
    """What a source brought, what was held of it, what it moved."""
    body = bodies.source(desk_of(request), name[:200], page)
    path = f"/lineage/sources/{body['name']}"
    return render(
        request,
        session,
        "source.html.j2",
        source=body,
        pager=pager_of(path, {}, page, body["pages"]),
    )


@router.get("/history")
def history_page(
    request: Request, session: Viewing, source: Chosen = "", page: PageNumber = 1
) -> HTMLResponse:
    """The timeline of the corpus."""
    body = bodies.history(desk_of(request), page, source)
    kept = {"source": source} if source else {}
    return render(
        request,
        session,
        "history.html.j2",
        timeline=body,
        source=source,
        pager=pager_of("/lineage/history", kept, page, body["pages"]),
    )


@router.get("/history/{number}")
def commit_page(
    request: Request, session: Viewing, number: Number, page: PageNumber = 1
) -> HTMLResponse:
    """A commit: who, what changed, and whether the corpus after it is the logged one."""
    body = bodies.commit(desk_of(request), number, page)
    path = f"/lineage/history/{body['commit']}"
    return render(
        request,
        session,
        "commit.html.j2",
        commit=body,
        changes=[
            {**one, "url": lineage_url(f"{one['source']}/{one['document']}")}
            for one in body["changes"]
        ],
        exports={kind: form.title for kind, form in FORMATS.items()},
        pager=pager_of(path, {}, page, body["pages"]),
    )


def lineage_url(what: str) -> str:
    """Address of the lineage of a document or a chunk."""
    return f"/lineage?{urlencode({'what': what})}"


def _graph_page(request: Request, session: Any, lineage: Lineage, asked: str) -> HTMLResponse:
    names = {step.id: f"step-{number}" for number, step in enumerate(lineage.steps)}
    labels = {step.id: step for step in lineage.steps}
    groups: list[dict[str, Any]] = []
    for kind in KINDS:
        steps = [step for step in lineage.steps if step.kind == kind]
        steps.sort(key=lambda step: (step.id != lineage.focus, step.state != "wrong"))
        if steps:
            groups.append(
                {
                    "title": TITLES[kind],
                    "more": max(0, len(steps) - MOST_STEPS),
                    "steps": [_step(step, lineage, names, labels) for step in steps[:MOST_STEPS]],
                }
            )
    listed = {step["id"] for group in groups for step in group["steps"]}
    return render(
        request,
        session,
        "lineage.html.j2",
        lineage=lineage,
        counts={s: lineage.count(s) for s in ("verified", "wrong", "unproved")},
        wrong=lineage.wrong,
        asked=asked,
        drawing=draw(lineage),
        anchors={step_id: name for step_id, name in names.items() if step_id in listed},
        groups=groups,
        prov=f"/api/v1/lineage/prov?{urlencode({'what': asked})}" if asked else "",
        json_url=f"/api/v1/lineage?{urlencode({'what': asked})}" if asked else "",
    )


def _step(
    step: Step, lineage: Lineage, names: dict[str, str], labels: dict[str, Step]
) -> dict[str, Any]:
    """Return a step of the list, with what it hangs on and where more of it is told."""
    return {
        "id": step.id,
        "anchor": names[step.id],
        "step": step,
        "open": step.id == lineage.focus or step.state == "wrong",
        "facts": {k: _told(v) for k, v in step.facts.items() if v not in (None, "", [], {})},
        "links": [
            (edge.relation, names[edge.target], labels[edge.target].label)
            for edge in lineage.edges
            if edge.source == step.id
        ],
        "more": _more(step),
    }


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_told(part)}" for key, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_told, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _more(step: Step) -> tuple[str, str] | None:
    """Address and text of the page that tells more of a step."""
    facts = step.facts
    if step.kind == "commit" and "commit" in facts:
        return f"/lineage/history/{facts['commit']}", "this commit"
    if step.kind == "case":
        return f"/cases/{facts['case']}", "this case"
    if step.kind == "manifest" and facts.get("source"):
        return f"/lineage/sources/{facts['source']}", "this source"
    if step.kind == "passage":
        return lineage_url(str(facts["document"])), "this document"
    if step.kind == "point":
        return lineage_url(str(facts["point"])), "this chunk"
    return None
