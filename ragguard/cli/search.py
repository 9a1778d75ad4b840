"""`ragguard search`."""

from __future__ import annotations

import click

from ragguard.cli.context import open_workspace
from ragguard.cli.output import emit, format_option, line, say


@click.command()
@click.argument("query")
@click.option("-k", default=5, show_default=True, type=click.IntRange(1, 1000), help="Passages.")
@click.option("--proof", is_flag=True, help="Compare each passage with its seal and the ledger.")
@format_option
@click.pass_context
def search(ctx: click.Context, query: str, k: int, proof: bool, fmt: str) -> int:
    """Ask the serving index.

    \b
    Example:
      ragguard search "how do I rotate a key"
    """
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
        say(f"   {text[:280]}{'…' if len(text) > 280 else ''}")
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
