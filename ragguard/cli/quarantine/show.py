"""`ragguard quarantine show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import console, emit, format_option, line, say
from ragguard.quarantine.confidence import confidence, level

if TYPE_CHECKING:
    from ragguard.ledger.cases import CaseRow
    from ragguard.ledger.versions import VersionRow
    from ragguard.quarantine.review import CaseView

BY_HAND = frozenset({"held", "revoked", "unsigned"})  # findings that are no judgement


def sureness(version: VersionRow | None, asked: float) -> tuple[float | None, str | None]:
    """How sure the gate is that a case is poison, as a number and a word.

    `None` where the gate said nothing: a removal, or what a person held.
    """
    if version is None or (version.p_value is None and _by_hand(version)):
        return None, None
    value = confidence(version.p_value, asked)
    return value, level(value)


def _by_hand(version: VersionRow) -> bool:
    return all(f["check"] in BY_HAND for f in version.findings)


def case_body(case: CaseRow, version: VersionRow | None, asked: float) -> dict[str, Any]:
    """A case as a JSON object, without what only `show` looks up."""
    value, word = sureness(version, asked)
    return {
        "case": case.id,
        "kind": case.kind,
        "state": case.state,
        "source": case.source,
        "document": case.document or None,
        "opened": case.opened_at,
        "score": version.score if version else None,
        "p_value": version.p_value if version else None,
        "confidence": value,
        "confidence_level": word,
        "digest": version.digest if version else None,
        "metadata": dict(version.metadata) if version else None,
        "findings": [
            {k: f[k] for k in ("check", "score", "p_value", "detail", "facts")}
            for f in (version.findings if version else ())
        ],
        "detail": dict(case.detail),
    }


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

    with open_workspace(ctx, exclusive=False) as workspace:
        shown = review.look(workspace, review.find(workspace.ledger, case), texts=True)
        asked = workspace.settings.judge.false_alarm_rate
    body = {
        **case_body(shown.case, shown.version, asked),
        "signed_by": [principal for _, principal in shown.signers],
        "older_version_serves": shown.replaces,
    }
    if fmt != "table":
        emit(fmt, {**body, **_more(shown)})
        return
    if shown.case.kind == "question":
        _show_question(body)
        return
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


def _more(shown: CaseView) -> dict[str, Any]:
    """What only `show` has: texts, marks, and what stands beside."""
    return {
        "texts": list(shown.texts),
        "serves_as": list(shown.serves_as),
        "marks": [
            {"passage": m.passage, "start": m.start, "end": m.end, "check": m.check}
            for m in shown.marks
        ],
        "beside": [
            {
                "document": b.document,
                "role": b.role,
                "zone": b.zone or None,
                "similarity": b.similarity,
                "passage": b.passage,
                "text": b.text,
                "differs": [list(span) for span in b.ours],
                "other_differs": [list(span) for span in b.theirs],
            }
            for b in shown.beside
        ],
    }


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
    if shown.replaces:
        say("  an older version of it is serving meanwhile")
    for other in shown.serves_as:
        say(f"  serves with the same bytes: {line(other)}; a rejection denies both")
    say("why:")
    for finding in body["findings"]:
        odds = f" (p {finding['p_value']:.2g})" if finding["p_value"] is not None else ""
        say(f"  {finding['check']}{odds}: {line(finding['detail'])}")
