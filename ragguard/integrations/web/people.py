"""Answer the API about reviewers, spot checks and health."""

from __future__ import annotations

from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request

from ragguard.errors import UsageError
from ragguard.integrations.web import people_models as models
from ragguard.integrations.web.access import Changing, Viewing
from ragguard.integrations.web.api import PROBLEMS, desk_of, envelope_of
from ragguard.integrations.web.desk import ConflictError, Desk
from ragguard.integrations.web.health import Board
from ragguard.quarantine import review, spot_check
from ragguard.quarantine.second_opinion import reviewers_body
from ragguard.quarantine.spot_figures import figures
from ragguard.trust import dsse, spot_word

router = APIRouter(prefix="/api/v1", responses=PROBLEMS)
ItemName = Annotated[str, Path(max_length=40)]


def spot_draw(desk: Desk) -> dict[str, Any]:
    """Return the last draw as a JSON object, without texts."""
    with desk.opened() as workspace:
        drawn, shown = spot_check.latest(workspace)
    return {
        "draw": drawn.number if drawn else None,
        "at": drawn.at if drawn else None,
        "items": [spot_check.body_of(view) for view in shown],
    }


def spot_item(desk: Desk, name: str) -> dict[str, Any]:
    """Return a document of the last draw as a JSON object."""
    with desk.opened() as workspace:
        return spot_check.body_of(spot_check.show(workspace, name))


def reviewers(desk: Desk) -> dict[str, Any]:
    """Figures of reviewers and spot checks as a JSON object."""
    with desk.opened() as workspace:
        with workspace.ledger.reading() as conn:
            body = reviewers_body(conn)
        return {**body, "spot_checks": figures(workspace)}


def board_of(request: Request) -> Board:
    """Return the dashboard of this server, made for the first who asks."""
    state = request.app.state
    if not hasattr(state, "board"):
        state.board = Board(desk_of(request))
    board: Board = state.board
    return board


@router.get("/health")
def show_health(request: Request, _session: Viewing) -> models.Health:
    """Show health, open cases, drift, canaries, the record of sources, and jobs."""
    return models.Health(**board_of(request).body())


@router.get("/reviewers")
def show_reviewers(request: Request, _session: Viewing) -> models.Reviewers:
    """Show what reviewers said, how far they agree, and what spot checks tell."""
    return models.Reviewers(**reviewers(desk_of(request)))


@router.get("/spot-checks")
def list_spot_checks(request: Request, _session: Viewing) -> models.SpotDraw:
    """List the documents of the last draw, served and held ones mixed, without their texts."""
    return models.SpotDraw(**spot_draw(desk_of(request)))


@router.get("/spot-checks/{name}")
def show_spot_check(request: Request, _session: Viewing, name: ItemName) -> models.SpotItem:
    """Show a document of the last draw, without what the checks say."""
    return models.SpotItem(**spot_item(desk_of(request), name))


@router.post("/spot-checks/{name}/draft")
def draft_word(
    request: Request, _session: Changing, name: ItemName, asked: models.SpotDraft
) -> models.SpotStatement:
    """Write down what a reviewer has to sign; nothing is changed."""
    with desk_of(request).opened() as workspace:
        _check_open(spot_check.show(workspace, name, texts=False))
        statement = spot_check.statement(workspace, name, asked.word, asked.reason)
    payload = b64encode(spot_word.dump(statement)).decode()
    return models.SpotStatement(payload_type=dsse.IN_TOTO, payload=payload)


@router.post("/spot-checks/{name}")
def give_word(
    request: Request, session: Changing, name: ItemName, asked: models.SpotWord
) -> models.SpotDone:
    """Take a signed word. A bad one on a served document takes it out at once, as a case."""
    desk, mine = desk_of(request), session.visitor.principal
    if asked.envelope is None and (asked.word is None or desk.signer is None):
        raise UsageError("spot check: no signed word, and no key of this process to sign one")
    with desk.opened(exclusive=True) as workspace:
        workspace.recover()
        _check_open(spot_check.show(workspace, name, texts=False))
        if asked.envelope is not None:
            commit = spot_check.take(workspace, envelope_of(asked.envelope), name, by=mine)
        elif desk.signer is not None and asked.word is not None:
            review.check_by(mine, desk.signer.public)
            commit = spot_check.say(workspace, name, asked.word, desk.signer, asked.reason)
        body = spot_check.body_of(spot_check.show(workspace, name, texts=False))
    return models.SpotDone(item=name, was=body["was"], commit=commit)


def _check_open(shown: spot_check.DrawItemView) -> None:
    if shown.word is not None:
        raise ConflictError(
            f"spot check {shown.item.name}: {shown.word['reviewer']} was first",
            hint="Take the next one.",
        )
