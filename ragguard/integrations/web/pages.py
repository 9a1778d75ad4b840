"""Render the pages. Texts of documents reach them only through the template's escaping.

A request by HTMX gets the part that changes, any other the whole page around it, so that every
address can be loaded, kept and sent. Everything is made plain first, as on the terminal: control
and bidirectional characters become visible escapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Any
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment
from markupsafe import Markup

from ragguard import __version__
from ragguard.audit.report.html_evidence import blocks
from ragguard.audit.report.json import json_safe
from ragguard.audit.report.templates import environment
from ragguard.integrations.web.access import Denied, Viewing, cookie_of
from ragguard.integrations.web.api import PER_PAGE, Number, PageNumber, desk_of
from ragguard.integrations.web.sessions import LONGEST_SECONDS, Session, Sessions
from ragguard.ledger.evidence import Span, merged
from ragguard.ledger.queue import Choice, Entry
from ragguard.quarantine.bodies import described, group_body, sureness
from ragguard.quarantine.compared_with import ROLE_NAMES
from ragguard.quarantine.statement import about

STATIC = {
    "app.css": "text/css; charset=utf-8",
    "lineage.css": "text/css; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "dsse.js": "text/javascript; charset=utf-8",
    "jobs.js": "text/javascript; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "review.js": "text/javascript; charset=utf-8",
    "said.js": "text/javascript; charset=utf-8",
    "spot.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
ZONES = {"serving": "is served", "quarantine": "waits too", "rejected": "was rejected"}
# Links that change the view without loading the page again, which would lose an open key.
BOOST = Markup(
    'hx-boost="true" hx-target="#main" hx-select="#main" hx-select-oob="#views" '
    'hx-swap="outerHTML show:window:top"'
)
MOST_MEMBERS = 200  # of a group that its page lists
MOST_EVIDENCE = 8  # findings with their evidence
router = APIRouter(include_in_schema=False)
Chosen = Annotated[str, Query(max_length=200)]


@router.get("/static/{name}")
def static(name: str) -> Response:
    """A file of ours, named with its digest and so good for ever."""
    if name not in STATIC:
        raise Denied(404, "there is no such file")
    kept = {"cache-control": "private, max-age=31536000, immutable"}
    return Response(_file(name), media_type=STATIC[name], headers=kept)


@router.get("/enter")
def ask_in(request: Request, link: str = "") -> HTMLResponse:
    """Ask whoever has a link to come in: a program that follows links does not use it up."""
    return render(request, None, "enter.html.j2", link=link[:200], failed=False)


@router.post("/enter")
async def enter(request: Request) -> Response:
    """Open a session with a one-time link."""
    sessions: Sessions = request.app.state.sessions
    fields = parse_qs((await request.body()).decode("utf-8", "replace"))
    token = sessions.enter(fields.get("link", [""])[0])
    if token is None:
        return render(request, None, "enter.html.j2", status=403, link="", failed=True)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(
        cookie_of(request),
        token,
        max_age=int(LONGEST_SECONDS),
        httponly=True,
        samesite="strict",
        secure=_by_https(request),
    )
    return answer


def _by_https(request: Request) -> bool:
    """Tell whether a browser asked the proxy, over TLS, and not this process on its own machine."""
    public = desk_of(request).settings.web.public_url.rstrip("/").lower()
    return bool(public) and f"https://{request.headers.get('host', '').lower()}" == public


@router.post("/leave")
async def leave(request: Request, _session: Viewing) -> Response:
    """End the session; a form of ours asks for it, and the cookie is never sent by another's."""
    sessions: Sessions = request.app.state.sessions
    sessions.leave(request.cookies.get(cookie_of(request), ""))
    answer = RedirectResponse("/enter", 303)
    answer.delete_cookie(
        cookie_of(request), httponly=True, samesite="strict", secure=_by_https(request)
    )
    return answer


@router.get("/")
def review_page(
    request: Request,
    session: Viewing,
    check: Chosen = "",
    source: Chosen = "",
    page: PageNumber = 1,
) -> HTMLResponse:
    """The queue, and the first case of it."""
    listed = _queue(request, check, source, page)
    if _is_part(request, "queue"):
        return render(request, session, "queue.html.j2", **listed)
    first = listed["rows"][0]["case"] if listed["rows"] else None
    case = _case(request, first, check, source) if first else None
    return render(request, session, "review.html.j2", case=case, **listed)


@router.get("/cases/{number}")
def case_page(
    request: Request,
    session: Viewing,
    number: Number,
    check: Chosen = "",
    source: Chosen = "",
) -> HTMLResponse:
    """A case, beside the page of the queue that it is on."""
    case = _case(request, number, check, source)
    if _is_part(request, "case"):
        return render(request, session, "case.html.j2", case=case)
    page = (case["place"] - 1) // PER_PAGE + 1 if case["place"] else 1
    listed = _queue(request, check, source, page)
    return render(request, session, "review.html.j2", case=case, alone=True, **listed)


@router.get("/groups")
def groups_page(request: Request, session: Viewing, page: PageNumber = 1) -> HTMLResponse:
    """Groups, the most suspicious first."""
    groups = desk_of(request).queue().groups
    pages = max(1, -(-len(groups) // PER_PAGE))
    rows = [
        group_body(g) | {"names": [e.label for e in g.entries[:3]]}
        for g in groups[(page - 1) * PER_PAGE : page * PER_PAGE]
    ]
    cases = sum(len(g.entries) for g in groups)
    return render(
        request,
        session,
        "groups.html.j2",
        groups=rows,
        total=len(groups),
        open_cases=cases,
        pager=_pager("/groups", {}, page, pages),
    )


@router.get("/groups/{name}")
def group_page(request: Request, session: Viewing, name: str) -> HTMLResponse:
    """A group: its cases, and the most suspicious of them as a case is shown."""
    desk = desk_of(request)
    group = desk.group(name)
    waits_for = desk.queue().waits_for
    members = [_row(entry, desk.asked, {}, waits_for(entry)) for entry in group.entries]
    case = _case(request, group.entries[0].case.id, "", "")
    return render(
        request,
        session,
        "group.html.j2",
        group=group_body(group),
        members=members,
        most=MOST_MEMBERS,
        case=case,
    )


@router.get("/closed")
def closed_page(request: Request, session: Viewing, page: PageNumber = 1) -> HTMLResponse:
    """Cases that are closed, the last first."""
    desk = desk_of(request)
    entries = desk.queue(closed=True).entries
    pages = max(1, -(-len(entries) // PER_PAGE))
    return render(
        request,
        session,
        "closed.html.j2",
        rows=[_row(e, desk.asked, {}) for e in entries[(page - 1) * PER_PAGE : page * PER_PAGE]],
        total=len(entries),
        open_cases=len(desk.queue().entries),
        pager=_pager("/closed", {}, page, pages),
    )


# --- what templates are given ---------------------------------------------------------------------


def _queue(request: Request, check: str, source: str, page: int) -> dict[str, Any]:
    desk = desk_of(request)
    snapshot = desk.queue()
    checks, sources = snapshot.counted
    rows = _chosen(snapshot.entries, check, source)
    pages = max(1, -(-len(rows) // PER_PAGE))
    page = min(page, pages)
    kept = _kept(check, source)
    return {
        "rows": [
            _row(entry, desk.asked, kept, snapshot.waits_for(entry))
            for entry in rows[(page - 1) * PER_PAGE : page * PER_PAGE]
        ],
        "total": len(rows),
        "open_cases": len(snapshot.entries),
        "checks": checks,
        "sources": sources,
        "check": check,
        "source": source,
        "pager": _pager("/", kept, page, pages),
    }


def _chosen(entries: Sequence[Entry], check: str, source: str) -> Sequence[Entry]:
    if not check and not source:
        return entries
    choice = Choice(frozenset([check] if check else ()), frozenset([source] if source else ()))
    return [entry for entry in entries if choice.takes(entry)]


def _kept(check: str, source: str) -> dict[str, str]:
    return {k: v for k, v in (("check", check), ("source", source)) if v}


def _row(
    entry: Entry, asked: float, kept: Mapping[str, str], opinions: tuple[int, int] = (0, 1)
) -> dict[str, Any]:
    value, word = sureness(entry.version, asked)
    case, version = entry.case, entry.version
    return {
        "case": case.id,
        "state": case.state,
        "label": entry.label or case.kind,
        "source": case.source,
        "document": case.document,
        "check": entry.check or case.kind,
        "about": described(entry).removeprefix(f"{entry.check}: "),
        "confidence": value,
        "level": word or "",
        "opened": case.opened_at,
        "digest": version.digest if version else about(case.kind, case.detail),
        "opinions": opinions[0],
        "needed": opinions[1],
        "url": _url(f"/cases/{case.id}", kept),
    }


def _case(request: Request, number: int, check: str, source: str) -> dict[str, Any]:
    """A case with its place in the chosen queue, and its texts cut where something is marked."""
    desk = desk_of(request)
    body = desk.case(number)
    kept = _kept(check, source)
    numbers = [entry.case.id for entry in _chosen(desk.queue().entries, check, source)]
    place = numbers.index(number) + 1 if number in numbers else 0
    group = desk.queue().group_of.get(number)
    around = {
        "previous": _url(f"/cases/{numbers[place - 2]}", kept) if place > 1 else "",
        "next": _url(f"/cases/{numbers[place]}", kept) if 0 < place < len(numbers) else "",
    }
    marks = [
        merged([(m["start"], m["end"]) for m in body["marks"] if m["passage"] == place_of])
        for place_of in range(len(body["texts"]))
    ]
    return {
        **body,
        **around,
        "label": f"{body['source']}/{body['document']}"
        if body["document"]
        else body["source"] or body["kind"],
        "digest": body["digest"] or about(body["kind"], body["detail"]),
        "place": place,
        "of": len(numbers),
        "group": group_body(group) if group and len(group.entries) > 1 else None,
        "passages": [
            segments(text, spans) for text, spans in zip(body["texts"], marks, strict=True)
        ],
        "compared": [
            {
                **other,
                "ours": segments(body["texts"][other["passage"]], _spans(other["differs"])),
                "theirs": segments(other["text"], _spans(other["other_differs"])),
                "what": ROLE_NAMES[other["role"]],
                "where": ZONES.get(other["zone"] or "", "is gone"),
            }
            for other in body["beside"]
        ],
        "evidence": [blocks(json_safe(f["facts"])) for f in body["findings"][:MOST_EVIDENCE]],
    }


def _spans(pairs: Sequence[Sequence[int]]) -> list[Span]:
    return merged([(start, end) for start, end in pairs])


def segments(text: str, spans: Sequence[Span]) -> list[tuple[str, bool]]:
    """Return a text in pieces, and whether each is marked."""
    pieces: list[tuple[str, bool]] = []
    at = 0
    for start, end in spans:
        pieces += [(text[at:start], False), (text[start:end], True)]
        at = end
    pieces.append((text[at:], False))
    return [(piece, marked) for piece, marked in pieces if piece]


def _pager(path: str, kept: Mapping[str, str], page: int, pages: int) -> dict[str, Any]:
    def at(number: int) -> str:
        return _url(path, {**kept, "page": str(number)}) if 1 <= number <= pages else ""

    return {"page": page, "pages": pages, "previous": at(page - 1), "next": at(page + 1)}


def _url(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _is_part(request: Request, target: str) -> bool:
    """Tell whether HTMX asks for what goes into an element of this id."""
    headers = request.headers
    return headers.get("hx-target") == target and "hx-history-restore-request" not in headers


# --- templates and files --------------------------------------------------------------------------


def render(
    request: Request, session: Session | None, template: str, *, status: int = 200, **given: Any
) -> HTMLResponse:
    """Return a template as a page, or the part of one that it is."""
    desk = desk_of(request)
    text = (
        _environment()
        .get_template(template)
        .render(
            session=session,
            signer=desk.signer.public.principal if desk.signer else "",
            workspace=desk.folder.name,
            version=__version__,
            path=request.url.path,
            status=status,
            **given,
        )
    )
    # A part of a page and the whole of it have one address: a browser must not mix them up.
    return HTMLResponse(text, status, {"vary": "HX-Request, HX-Target"})


def problem_page(request: Request, status: int, error: str, hint: str) -> HTMLResponse:
    """Return a page that says what went wrong."""
    return render(request, None, "problem.html.j2", status=status, error=error, hint=hint)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    filters: dict[str, Callable[..., Any]] = {
        "counted": lambda n, one, many: f"{n:,} {one if n == 1 else many}",
        "moment": lambda at: str(at).replace("T", " ").removesuffix("Z"),
        "fine": fine,
        "percent": lambda value: f"{100 * value:.0f} %",
        "static": _versioned,
    }
    # The audit's page shows evidence as this one.
    evidence = ("evidence.html.j2", "ragguard.audit.report")
    templates = environment("ragguard.integrations.web/templates", filters, evidence)
    templates.globals["boost"] = BOOST
    return templates


def fine(share: float) -> str:
    """Return a share in percent, with the digits it needs."""
    value = 100 * share
    return f"{value:.2g} %" if 0 < value < 1 else f"{value:.0f} %"


@lru_cache(maxsize=len(STATIC))
def _file(name: str) -> bytes:
    return files("ragguard.integrations.web").joinpath("static", name).read_bytes()


def _versioned(name: str) -> str:
    return f"/static/{name}?{sha256(_file(name)).hexdigest()[:12]}"
