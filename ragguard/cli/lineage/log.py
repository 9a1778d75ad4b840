"""`ragguard log`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragguard.cli.context import FILE, OUTPUT, open_workspace, read_public
from ragguard.cli.output import emit, format_option, line, say
from ragguard.trust.canonical import format_time

if TYPE_CHECKING:
    from ragguard.model import PublicKey


@click.group()
def log() -> None:
    """Verify the tamper-evident log and prove what is in it."""


@log.command()
@click.argument("bundle", type=FILE, required=False)
@click.option("--log-key", help="Verifier key of the log; else the workspace's.")
@click.option("--signer", "signers", type=FILE, multiple=True, help="Public key file of a signer.")
@click.option(
    "--expect-checkpoint", type=FILE, help="A checkpoint kept elsewhere that must be in the log."
)
@format_option
@click.pass_context
def verify(
    ctx: click.Context,
    bundle: Path | None,
    log_key: str | None,
    signers: tuple[Path, ...],
    expect_checkpoint: Path | None,
    fmt: str,
) -> int:
    """Verify the whole log, or a BUNDLE that `log prove` wrote, or a receipt of an answer.

    A bundle needs no workspace: --log-key and --signer are enough. With --expect-checkpoint it
    must show that its log grew out of that checkpoint (`log prove --since`). A receipt is held
    against the ledger, without index or model: did the answer rest on what was good then? With
    --log-key it shows no more than who signed it, under which checkpoint.

    \b
    Example:
      ragguard log verify
      ragguard log verify proof.json --log-key "$(cat log.vkey)" --signer a.pub
    """
    from ragguard.lineage import prove
    from ragguard.lineage.receipts import is_receipt

    expected = expect_checkpoint.read_text("utf-8", "replace") if expect_checkpoint else ""
    if bundle is not None:
        known = {k.keyid: k for k in map(read_public, signers)}
        data = bundle.read_bytes()
        if is_receipt(data):
            return _verify_receipt(ctx, data, log_key, known, fmt)
        if log_key is None or not known:
            with open_workspace(ctx, exclusive=False) as workspace:
                log_key = log_key or workspace.log_key
                known = known or dict(workspace.root.keys)
        proof = prove.verify_bundle(data, log_key, known, expected)
        if fmt != "table":
            emit(fmt, proof)
            return 0 if proof["signed_by"] else 1
        say(f"proved: {proof['document']} ({proof['outcome']}), sha256 {proof['digest']}")
        for act in proof["acts"]:
            say(f"  commit {act['commit']}: {act['act']} by {act['actor']}, {act['at']}")
        say(f"  in the log {proof['log']} of {proof['size']} entries")
        if expect_checkpoint:
            say(f"  which grew out of the {proof['since']} entries of the checkpoint given")
        if proof["signed_by"]:
            say(f"  its manifest is signed by {', '.join(proof['signed_by'])}")
            return 0
        if proof["acts"][0]["act"] == "adopt":
            say("  nobody signed it: it was adopted from a collection (docs/adr/0013)")
        else:
            say("  its manifest is signed by none of the keys given (--signer FILE)")
        return 1
    with open_workspace(ctx, exclusive=False) as workspace:
        report = prove.verify_log(workspace, expected if expect_checkpoint else None)
    if fmt != "table":
        emit(fmt, {**report.__dict__, "ok": not report.problems})
        return 3 if report.problems else 0
    for problem in report.problems:
        say(f"PROBLEM: {problem}")
    say(
        f"{report.entries} entries, {report.checkpoints} checkpoints and {report.commits} commits "
        f"agree; root {report.root[:16]}…"
    )
    if report.problems:
        say("the log is not what was signed: do not trust the corpus until it is explained")
        return 3
    say("next: ragguard log checkpoint -o FILE, and keep it outside this host")
    return 0


def _verify_receipt(
    ctx: click.Context, data: bytes, log_key: str | None, signers: Mapping[str, PublicKey], fmt: str
) -> int:
    """Verify a receipt: by its keys alone, or against the ledger too."""
    from ragguard.lineage import receipts

    passages = None
    if log_key is not None:
        verified = receipts.verify_receipt(data, log_key, signers)
    else:
        with open_workspace(ctx, exclusive=False) as workspace:
            verified = receipts.verify_receipt(data, workspace.log_key, signers)
            passages = receipts.then(workspace, verified)
    receipt = verified.receipt
    wrong = [p for p in passages or () if p.wrong]
    if fmt != "table":
        body = {
            "question": receipt.question,
            "at": format_time(receipt.at),
            "log": receipt.basis.log,
            "size": verified.size,
            "signed_by": list(verified.signed_by),
            "scope": receipt.scope,
            "abstained": receipt.abstained,
            "hits": [dict(hit) for hit in receipt.hits],
            "wrong": None if passages is None else {str(p.rank): p.wrong for p in wrong},
        }
        emit(fmt, body)
        return 3 if wrong else 0
    say(f"signed by {', '.join(map(line, verified.signed_by))}, {format_time(receipt.at)}")
    say(f"  in the log {line(receipt.basis.log)}, under its checkpoint of {verified.size} entries")
    reasons = {p.rank: p.wrong for p in wrong}
    for hit in receipt.hits:
        state = "named" if passages is None else "good then"
        if hit["rank"] in reasons:
            state = f"NOT GOOD THEN: {line(reasons[hit['rank']])}"
        say(f"  {hit['rank']}. {line(hit['document'])}, entry {hit['log_index']}: {state}")
    if receipt.abstained:
        say(f"  it gave no passage: {line(receipt.abstained)}")
    if passages is None:
        say("next: the same where the workspace is, without --log-key, holds it against the ledger")
    else:
        say("next: ragguard trace RECEIPT says whether it is still good")
    return 3 if wrong else 0


@log.command()
@click.option("-o", "--output", type=OUTPUT, help="File to write.")
@format_option
@click.pass_context
def checkpoint(ctx: click.Context, output: Path | None, fmt: str) -> None:
    """Print the newest signed checkpoint, to be kept outside this host.

    \b
    Example:
      ragguard log checkpoint -o checkpoint.txt
    """
    from ragguard.ledger import log as logs
    from ragguard.trust.files import replace_file

    with open_workspace(ctx, exclusive=False) as workspace:
        with workspace.ledger.reading() as conn:
            size, note = logs.kept_checkpoints(conn)[-1]
        key = workspace.log_key
    if output is not None:
        replace_file(output, note.encode(), shared=True)
    if fmt != "table":
        emit(fmt, {"size": size, "checkpoint": note, "log_key": key})
        return
    if output is None:
        click.echo(note, nl=False)
        return
    say(f"{output}: {size} entries")
    say(f"log key: {key}")
    say(f"next: keep both elsewhere; later, ragguard log verify --expect-checkpoint {output}")


@log.command()
@click.argument("what")
@click.option("-o", "--output", type=OUTPUT, help="File to write.")
@click.option(
    "--since", type=FILE, help="Show too that the log grew out of this checkpoint, kept elsewhere."
)
@click.pass_context
def prove(ctx: click.Context, what: str, output: Path | None, since: Path | None) -> None:
    """Write the proof for WHAT (a point id or source/document) that a stranger can verify.

    \b
    Example:
      ragguard log prove wiki/handbook.md -o proof.json
      ragguard log prove wiki/handbook.md --since checkpoint.txt -o proof.json
    """
    from ragguard.lineage import prove as proofs
    from ragguard.trust.files import replace_file

    with open_workspace(ctx, exclusive=False) as workspace:
        old = since.read_text("utf-8", "replace") if since else ""
        body = proofs.prove(workspace, what, old)
        key = workspace.log_key
    text = json.dumps(body, indent=1) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    replace_file(output, text.encode(), shared=True)
    say(
        f"{output}: {len(body['links'])} links, log of {body['checkpoint'].splitlines()[1]} entries"
    )
    say(f"next: ragguard log verify {output} --log-key '{key}' --signer SIGNER.pub")


@log.command()
@click.argument("commit", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why, in your words; it is logged.")
@click.pass_context
def abandon(ctx: click.Context, commit: int, reason: str) -> None:
    """Give up COMMIT, which is pending and cannot be finished.

    For a plan that ragguard refuses to carry out: one that somebody wrote into the ledger, or one
    that an older version began and that is gone. What it did to the index before is not undone.

    \b
    Example:
      ragguard log abandon 17 --reason "nobody here began it"
    """
    from ragguard.corpus import abandon as giving_up

    with open_workspace(ctx) as workspace:
        giving_up.abandon(workspace, commit, reason)
    say(f"commit {commit} is given up, and the log says so")
    say("next: ragguard audit; if it names points, ragguard reindex --from-clean")
