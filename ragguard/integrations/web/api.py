"""Answer `/api/v1`: all that the pages show, and decisions; described by /openapi.json."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request

from ragguard import __version__
from ragguard.errors import MalformedError
from ragguard.integrations.web import models
from ragguard.integrations.web.access import Changing, Looking, Operating, Viewing
from ragguard.integrations.web.desk import Desk, listed_body
from ragguard.integrations.web.snapshot import counted
from ragguard.integrations.web.tokens import ID
from ragguard.ledger.queue import Choice
from ragguard.quarantine.bodies import group_body
from ragguard.trust import dsse

PER_PAGE = 50
MOST_PER_PAGE = 200
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": models.Problem} for status in (400, 401, 403, 404, 409, 413, 429, 503)
}
router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
Filter = Annotated[list[Annotated[str, Query(max_length=200)]], Query(max_length=20)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PerPage = Annotated[int, Query(ge=1, le=MOST_PER_PAGE)]
Number = Annotated[int, Path(ge=1, lt=2**53)]  # of a case or a commit; the ledger takes no larger


def desk_of(request: Request) -> Desk:
    """Return the desk of this server."""
    desk: Desk = request.app.state.desk
    return desk


@router.get("/me")
def me(request: Request, session: Looking) -> models.Me:
    """Say whose session this is, and where decisions are signed."""
    desk, scope = desk_of(request), session.visitor.scope
    signer = desk.signer.public.principal if desk.signer else None
    return models.Me(
        principal=session.visitor.principal,
        role=session.visitor.role,
        rights=list(session.visitor.rights),
        scope=None if scope is None else {key: list(given) for key, given in scope.values.items()},
        csrf=session.csrf,
        signing="process" if desk.signer else "browser",
        signer=signer,
        workspace=desk.folder.name,
        version=__version__,
    )


@router.get("/tokens")
def list_tokens(request: Request, _session: Operating) -> list[models.Token]:
    """List the tokens of API clients, without what would open anything."""
    desk = desk_of(request)
    now = desk.now()
    return [
        models.Token(**row.model_dump(exclude={"sha256"}), over=row.is_over(now))
        for row in desk.tokens.rows()
    ]


@router.delete("/tokens/{number}")
def revoke_token(
    request: Request, _session: Operating, number: Annotated[str, Path(pattern=ID)]
) -> models.Revoked:
    """Revoke a token: it opens nothing from the next request on. Tokens are made on the host."""
    row, *_ = desk_of(request).tokens.revoke(number)
    return models.Revoked(id=row.id, name=row.name)


@router.get("/cases")
def list_cases(
    request: Request,
    session: Looking,
    check: Filter = [],  # noqa: B006 - FastAPI reads it and copies
    source: Filter = [],  # noqa: B006
    since: Annotated[str, Query(max_length=20, pattern=r"^[0-9TZ:-]*$")] = "",
    state: Literal["open", "closed"] = "open",
    page: PageNumber = 1,
    per: PerPage = PER_PAGE,
) -> models.CasePage:
    """List cases, removals first, then the surest; to a scope's token those of its documents."""
    desk, scope = desk_of(request), session.visitor.scope
    snapshot = desk.queue(closed=state == "closed")
    entries = desk.queue_of(scope, closed=state == "closed")
    groups = snapshot.group_of if scope is None else {}
    checks, sources = snapshot.counted if scope is None else counted(entries)
    choice = Choice(frozenset(check), frozenset(source), since)
    rows = [entry for entry in entries if choice.takes(entry)]
    return models.CasePage(
        total=len(rows),
        page=page,
        pages=max(1, -(-len(rows) // per)),
        checks=checks,
        sources=sources,
        cases=[
            models.ListedCase(
                **listed_body(entry, desk.asked),
                group=g.id if (g := groups.get(entry.case.id)) else None,
                opinions=snapshot.waits_for(entry)[0],
                reviewers_needed=snapshot.waits_for(entry)[1],
            )
            for entry in rows[(page - 1) * per : page * per]
        ],
    )


@router.get("/cases/{number}")
def show_case(request: Request, session: Looking, number: Number) -> models.Case:
    """Show a case: its texts, what the reasons point at, what stands beside it, its history."""
    return models.Case(**desk_of(request).case(number, session.visitor.scope))


@router.get("/groups")
def list_groups(
    request: Request, _session: Viewing, page: PageNumber = 1, per: PerPage = PER_PAGE
) -> models.GroupPage:
    """List groups of open cases with one cause, the most suspicious first."""
    groups = desk_of(request).queue().groups
    return models.GroupPage(
        total=len(groups),
        page=page,
        pages=max(1, -(-len(groups) // per)),
        groups=[models.Group(**group_body(g)) for g in groups[(page - 1) * per : page * per]],
    )


@router.get("/groups/{name}")
def show_group(
    request: Request, _session: Viewing, name: Annotated[str, Path(max_length=40)]
) -> models.Group:
    """Show a group."""
    return models.Group(**group_body(desk_of(request).group(name)))


@router.post("/decisions/draft")
def draft(request: Request, _session: Changing, asked: models.Draft) -> models.Statements:
    """Write down what a reviewer has to sign; nothing is changed.

    Sign the DSSE pre-authentication encoding of `payload_type` and the decoded payload with an
    Ed25519 key, and send an envelope for each to `/api/v1/decisions` within a quarter of an hour.
    """
    statements = desk_of(request).draft(asked.action, asked.reason, asked.cases, asked.group)
    return models.Statements(
        payload_type=dsse.IN_TOTO,
        statements=[models.Statement(case=n, payload=b64encode(p).decode()) for n, p in statements],
    )


@router.post("/decisions")
def decide(request: Request, session: Changing, asked: models.Decision) -> models.Done:
    """Verify signed decisions and carry them out in one commit; one that is refused stops all.

    Where the contract of a source asks for several reviewers, a word that does not decide is kept
    as an opinion: its case is in `waiting`, and `commit` is null where no case was closed.
    """
    desk = desk_of(request)
    mine = session.visitor.principal
    if not asked.envelopes and asked.action is not None:
        outcome = desk.sign_and_carry_out(
            asked.action, asked.reason, asked.cases, asked.group, by=mine
        )
        return models.Done(
            commit=outcome.commit, cases=[*outcome.decided], waiting=[*outcome.waiting]
        )
    envelopes = [envelope_of(given) for given in asked.envelopes]
    outcome = desk.carry_out(asked.cases, envelopes, asked.group, by=mine)
    return models.Done(commit=outcome.commit, cases=[*outcome.decided], waiting=[*outcome.waiting])


def envelope_of(given: models.SignedStatement) -> bytes:
    """Return the envelope that a client sent, as it is kept.

    Raises:
        MalformedError: Something in it is no base64.
    """
    (signature,) = given.signatures
    pair = (signature.keyid, _bytes(signature.sig))
    return dsse.dump_envelope(dsse.Envelope(given.payloadType, _bytes(given.payload), (pair,)))


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise MalformedError("decision: expected standard base64 in its envelope") from None
