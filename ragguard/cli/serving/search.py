"""`ragguard search`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import (
    OUTPUT,
    on_answer,
    open_workspace,
    published_retriever,
    reader_options,
)
from ragguard.cli.output import emit, format_option, line, say
from ragguard.errors import UsageError

if TYPE_CHECKING:
    from ragguard.serving.answer import Answer
    from ragguard.trust.scope import Wanted

SHOWN = 280  # characters of a passage


@click.command()
@click.argument("query")
@click.option("-k", default=5, show_default=True, type=click.IntRange(1, 1000), help="Passages.")
@click.option("--proof", is_flag=True, help="Compare each passage with its seal and the ledger.")
@click.option("--proved", is_flag=True, help="Give only passages that are proved now.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="KEY=VALUE",
    help="With --proved or --published: whom to answer, or `everything`; may be repeated.",
)
@click.option(
    "--receipt", type=OUTPUT, help="With --proved: write the signed receipt of the answer."
)
@reader_options("Ask what was published there instead of a workspace; every passage is proved.")
@format_option
@click.pass_context
def search(
    ctx: click.Context,
    query: str,
    k: int,
    proof: bool,
    proved: bool,
    scopes: tuple[str, ...],
    receipt: Path | None,
    published: Path | None,
    log_key: str | None,
    url: str,
    max_age: str,
    fmt: str,
) -> int:
    """Ask the serving index.

    With --proved it answers as the guarded retriever does: a passage whose seal, document, signer
    or standing is not good now is refused, told on its own line, and others come in its place.
    Exit code 3 if the index was changed behind ragguard's back, 1 if trust has changed or no
    passage is given.

    With --published it needs no workspace and no secret: what `ragguard publish` wrote is asked,
    and the log's key that `ragguard log checkpoint` names. The key of a server is read from
    RAGGUARD_STORE__API_KEY.

    \b
    Example:
      ragguard search "how do I rotate a key"
      ragguard search "how do I rotate a key" --proved --scope tenant=acme
      ragguard search "rotate a key" --published pub --log-key "$(cat log.vkey)"
    """
    published_one = published_retriever(published, log_key, url, max_age, read_scope(scopes))
    if published_one is not None:
        with published_one as retriever:
            return _answered(ctx, retriever.retrieve(query, k), fmt)
    if proved:
        return _search_proved(ctx, query, k, scopes, receipt, fmt)
    if scopes or receipt:
        raise UsageError("--scope and --receipt go with --proved")
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
            state = (
                f"proved: seal, manifest {hit.proof['manifest'][:12]}…, commit "
                f"{hit.proof['commit']}"
                if hit.proof["ok"]
                else f"NOT PROVED: {hit.proof['reason']}"
            )
            say(f"   {state}")
    if hits and candidate is not None:
        by = hits[0].generation
        which = "which is on trial" if by == candidate else "which serves"
        say(f"answered by generation {by}, {which}")
    if not hits:
        say("the serving index is empty")
    elif not proof:
        say("next: the same with --proof, or ragguard log prove SOURCE/DOCUMENT -o proof.json")
    return 3 if broken else 0


def _search_proved(
    ctx: click.Context, query: str, k: int, scopes: Sequence[str], receipt: Path | None, fmt: str
) -> int:
    from ragguard.serving.retriever import open_retriever
    from ragguard.trust.files import replace_file

    with open_workspace(ctx) as workspace:
        retriever = open_retriever(
            workspace, scope=read_scope(scopes), receipts=receipt is not None
        )
        answer = retriever.retrieve(query, k)
    if receipt is not None and answer.receipt is not None:
        replace_file(receipt, answer.receipt, shared=True)
    return _answered(ctx, answer, fmt)


def read_scope(given: Sequence[str]) -> Wanted | None:
    """Whom to answer: values by key."""
    if not given:
        return None
    if "everything" in given:
        if len(given) > 1:
            raise UsageError("--scope everything stands alone")
        return "everything"
    values: dict[str, list[str]] = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UsageError(f"--scope {pair!r}: expected KEY=VALUE, such as tenant=acme")
        values.setdefault(key, []).append(value)
    return values


def _answered(ctx: click.Context, answer: Answer, fmt: str) -> int:
    if counted := on_answer(ctx):
        counted(answer)
    if fmt != "table":
        emit(fmt, answer.as_dict())
    else:
        _tell(answer)
    return 3 if answer.alarms else 1 if answer.refused or answer.abstained else 0


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
    for fault in answer.refused:
        say(
            f"{'ALARM' if fault.alarm else 'refused'}: {line(fault.document)}: {line(fault.reason)}"
        )
        say(f"   point {fault.point} ({fault.kind})")
    if answer.abstained is not None and (answer.refused or answer.abstained.kind != "unproved"):
        say(f"no answer: {line(answer.abstained.reason)} ({answer.abstained.kind})")
        if answer.abstained.pinned is not None:
            say(f"   pinned answer: {line(answer.abstained.pinned)}")
        if answer.abstained.case is not None:
            say(f"   case {answer.abstained.case} waits for a person")
    elif not answer.hits:
        say("no passage could be proved" if answer.refused else "the serving index is empty")
    if answer.refused:
        say("next: ragguard audit")
