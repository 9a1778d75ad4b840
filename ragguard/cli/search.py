"""`ragguard search`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, line, say

if TYPE_CHECKING:
    from ragguard.serving.answer import Answer

SHOWN = 280  # characters of a passage


@click.command()
@click.argument("query")
@click.option("-k", default=5, show_default=True, type=click.IntRange(1, 1000), help="Passages.")
@click.option("--proof", is_flag=True, help="Compare each passage with its seal and the ledger.")
@click.option("--proved", is_flag=True, help="Give only passages that are proved now.")
@format_option
@click.pass_context
def search(ctx: click.Context, query: str, k: int, proof: bool, proved: bool, fmt: str) -> int:
    """Ask the serving index.

    With --proved it answers as the guarded retriever does: a passage whose seal, document, signer
    or standing is not good now is refused, told on its own line, and others come in its place.
    Exit code 3 if the index was changed behind ragguard's back, 1 if trust has changed.

    \b
    Example:
      ragguard search "how do I rotate a key"
      ragguard search "how do I rotate a key" --proved
    """
    if proved:
        return _search_proved(ctx, query, k, fmt)
    from ragguard.serving.search import on_trial
    from ragguard.serving.search import search as ask

    with open_workspace(ctx) as workspace:
        workspace.recover()
        hits = ask(workspace, query, k, proof=proof)
        candidate = on_trial(workspace)
    broken = [h for h in hits if h.proof is not None and not h.proof["ok"]]
    if fmt != "table":
        emit(fmt, [h.__dict__ | {"metadata": dict(h.metadata)} for h in hits])
        return 3 if broken else 0
    for hit in hits:
        text = line(hit.text)
        say(f"{hit.rank}. {hit.document}  ({hit.similarity:.2f})")
        say(f"   {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}")
        if hit.proof is not None:
            said = (
                f"proved: seal, manifest {hit.proof['manifest'][:12]}…, commit "
                f"{hit.proof['commit']}"
                if hit.proof["ok"]
                else f"NOT PROVED: {hit.proof['reason']}"
            )
            say(f"   {said}")
    if hits and candidate is not None:
        by = hits[0].generation
        which = "which is on trial" if by == candidate else "which serves"
        say(f"answered by generation {by}, {which}")
    if not hits:
        say("the serving index is empty")
    elif not proof:
        say("next: the same with --proof, or ragguard log prove SOURCE/DOCUMENT -o proof.json")
    return 3 if broken else 0


def _search_proved(ctx: click.Context, query: str, k: int, fmt: str) -> int:
    from ragguard.serving.retriever import open_retriever

    with open_workspace(ctx) as workspace:
        answer = open_retriever(workspace).retrieve(query, k)
    if fmt != "table":
        emit(fmt, answer.as_dict())
    else:
        _tell(answer)
    return 3 if answer.alarms else 1 if answer.refused else 0


def _tell(answer: Answer) -> None:
    for hit in answer.hits:
        text = line(hit.text)
        say(f"{hit.rank}. {line(hit.document)}  ({hit.similarity:.2f})")
        say(f"   {text[:SHOWN]}{'…' if len(text) > SHOWN else ''}")
        pending = "; a newer version waits for a reviewer" if hit.proof.newer_waits else ""
        say(
            f"   proved: sealed, signed (manifest {hit.proof.manifest[:12]}…), serves since commit "
            f"{hit.proof.commit}{pending}"
        )
    for one in answer.refused:
        say(f"{'ALARM' if one.alarm else 'refused'}: {line(one.document)}: {line(one.reason)}")
        say(f"   point {one.point} ({one.kind})")
    if not answer.hits:
        say("no passage could be proved" if answer.refused else "the serving index is empty")
    if answer.refused:
        say("next: ragguard audit")
