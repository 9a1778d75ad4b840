"""`ragguard quarantine show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import console, emit, format_option, line, say

if TYPE_CHECKING:
    from ragguard.quarantine.review import CaseView


@click.command()
@click.argument("case")
@format_option
@click.pass_context
def show(ctx: click.Context, case: str, fmt: str) -> None:
    """Show CASE (a number or a document): why it waits, who signed it, what it says.

    \b
    Example:
      ragguard quarantine show 3
    """
    from ragguard.quarantine import review
    from ragguard.quarantine.bodies import head_body, shown_body

    with open_workspace(ctx, exclusive=False) as workspace:
        shown = review.look(workspace, review.find(workspace.ledger, case), texts=True)
        asked = workspace.settings.judge.false_alarm_rate
    if fmt != "table":
        emit(fmt, shown_body(shown, asked))
        return
    if shown.case.kind == "question":
        _show_question(head_body(shown, asked))
        return
    body = head_body(shown, asked)
    if shown.version is None:
        _show_removal(body)
        return
    _show_head(body, shown)
    from ragguard.cli.quarantine.page import page

    screen = console()
    for row in page(shown, screen.width, screen.is_terminal):
        screen.print(row, soft_wrap=True)
    if body["state"] == "open":
        say(f"next: ragguard quarantine release|reject {body['case']} --key FILE --reason TEXT")


def _show_question(body: dict[str, Any]) -> None:
    say(f"case {body['case']} ({body['state']}): a question that was not answered")
    say(f"  {line(body['detail']['question'])}")
    say(f"  {line(body['detail']['reason'])}")
    if body["state"] == "open":
        say("next: release when it is answered, reject when it needs no answer")


def _show_removal(body: dict[str, Any]) -> None:
    documents = body["detail"]["documents"]
    say(f"case {body['case']} ({body['state']}): {body['source']}")
    say(f"  signed by   {', '.join(body['signed_by']) or 'nobody'}")
    say(f"  asks to remove {len(documents)} documents:")
    for document in documents[:20]:
        say(f"    {line(document)}")
    if len(documents) > 20:
        say(f"    … and {len(documents) - 20} more (--format json lists all)")
    if body["state"] == "open":
        say("next: release lets them go, reject keeps them")


def _show_head(body: dict[str, Any], shown: CaseView) -> None:
    say(f"case {body['case']} ({body['state']}): {body['source']}/{body['document']}")
    say(f"  signed by   {', '.join(body['signed_by']) or 'nobody'}")
    odds = "" if body["p_value"] is None else f", p-value {body['p_value']}"
    say(f"  suspicion   {body['score']:.2f}{odds}")
    if body["confidence"] is not None:
        say(f"  confidence  {body['confidence']:.2f} ({body['confidence_level']})")
    claims = "; ".join(f"{k} = {v}" for k, v in (body["metadata"] or {}).items())
    say(f"  claims      {line(claims)}")
    if body["reviewers_needed"] > 1 or body["opinions"]:
        spoken = ", ".join(
            f"{line(opinion['reviewer'])} ({opinion['action'] or 'told once two disagree'})"
            for opinion in body["opinions"]
        )
        say(f"  opinions    {len(body['opinions'])} of {body['reviewers_needed']}: {spoken or '-'}")
    if shown.replaces:
        say("  an older version of it is serving meanwhile")
    for other in shown.serves_as:
        say(f"  serves with the same bytes: {line(other)}; a rejection denies both")
    from ragguard.detect.checks import registry
    from ragguard.text.documentation import check_address

    known = registry()
    say("why:")
    for finding in body["findings"]:
        odds = f" (p {finding['p_value']:.2g})" if finding["p_value"] is not None else ""
        say(f"  {finding['check']}{odds}: {line(finding['detail'])}")
        if finding["check"] in known:
            say(f"    about it: {check_address(finding['check'])}")
