"""`ragguard adopt`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import FOLDER, open_workspace
from ragguard.cli.ingest import show_suspects
from ragguard.cli.output import answer, format_option, note, plain, say
from ragguard.cli.progress import Progress

if TYPE_CHECKING:
    from ragguard.ingest.adopt import AdoptResult
    from ragguard.ingest.adopt_vectors import VectorReport

KEY = "RAGGUARD_FOREIGN_API_KEY"


@click.command()
@click.option("--url", default="", help=f"Qdrant server; its API key is read from {KEY}.")
@click.option(
    "--path",
    type=FOLDER,
    help="Embedded index or shard folder (Qdrant Edge); it is copied, never opened itself.",
)
@click.option("--collection", default="", help="Collection or alias; else the only one there.")
@click.option("--source", required=True, help="Unsigned source the documents become.")
@click.option(
    "--mode",
    type=click.Choice(["quarantine", "trust"]),
    default="quarantine",
    show_default=True,
    help="All wait for a reviewer, or those that pass the checks are admitted.",
)
@click.option("--vector", default="", help="Which of several named vectors.")
@click.option("--text-field", default="", help="Path of the text in a payload, such as a.b.")
@click.option("--metadata-field", default="", help="Path of the metadata.")
@click.option("--document-field", default="", help="Path of the document id.")
@click.option("--re-embed", is_flag=True, help="Keep no vector: embed everything anew.")
@click.option("--dry-run", is_flag=True, help="Judge and report; change nothing.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 where it would be 1.")
@format_option
@click.pass_context
def adopt(ctx: click.Context, /, url: str, path: Path | None, exit_zero: bool, **rest: Any) -> int:
    """Take over a collection that ragguard never wrote, as a source that nobody signed.

    Its documents are put together from their passages, chunked anew and judged. Its vectors are
    kept where a sample, embedded again, shows that this workspace's model made them; else all are
    embedded anew. The collection is only read. Running it again adds what is new, removes nothing.

    \b
    Example:
      ragguard adopt --url http://localhost:6333 --collection docs --source legacy
    """
    from ragguard.ingest.adopt import adopt as run
    from ragguard.store.foreign import open_foreign

    with (
        open_workspace(ctx) as workspace,
        open_foreign(
            url=url,
            path=path,
            collection=rest["collection"],
            api_key=os.environ.get(KEY),
            vector=rest["vector"],
        ) as foreign,
        Progress() as progress,
    ):
        adopted = run(
            workspace,
            foreign,
            rest["source"],
            rest["mode"],
            text=rest["text_field"],
            metadata=rest["metadata_field"],
            document=rest["document_field"],
            re_embed=rest["re_embed"],
            dry_run=rest["dry_run"],
            progress=progress.update,
        )
        name = foreign.name
    return answer(
        rest["fmt"],
        adopted.report,
        lambda: _show(adopted, name, rest["source"], rest["mode"], rest["dry_run"]),
        rows="documents",
        exit_zero=exit_zero,
    )


def _show(adopted: AdoptResult, collection: str, source: str, mode: str, dry_run: bool) -> None:
    from ragguard.ingest.adopt import passed

    report, layout = adopted.report, adopted.layout
    (result,) = report.manifests
    outcome = f"commit {result.commit}" if result.commit else "nothing new"
    say(f"{collection} at {result.path}: {'dry run' if dry_run else outcome}")
    say(f"  source {source!r} is UNSIGNED: nobody vouches for what is in it")
    where = f"text in {layout.text}, documents by {layout.document or 'point'}"
    say(f"  {adopted.points} points, {len(report.documents)} documents ({layout.name}: {where})")
    if report.vectors is not None and (sentence := _kept(report.vectors)):
        say(f"  {sentence}")
    if result.note:
        note(f"note: {plain(result.note)}")
    counts = {k: n for k, n in report.counts.items() if n}
    say("  ".join(f"{n} {k}" for k, n in counts.items()) or "no documents")
    suspects = [v for v in report.documents if v.outcome in ("quarantine", "reject")]
    show_suspects([v for v in suspects if not passed(v)])
    if dry_run:
        say("next: the same without --dry-run")
    elif counts.get("quarantined"):
        say("next: ragguard quarantine list")
    elif mode == "trust":
        say('next: ragguard search "a question"')


def _kept(vectors: VectorReport) -> str:
    """Tell what became of the collection's vectors; empty where nothing was to be embedded."""
    if vectors.reason:
        return f"vectors: embedded anew; {vectors.reason}"
    if not vectors.kept:
        return ""
    same = f"the {vectors.compared} embedded again are the same"
    if vectors.kept == vectors.compared:
        return f"vectors: {vectors.kept} kept; {same}"
    return (
        f"vectors: {vectors.kept} kept; {same}, the others are as the collection claims until "
        "`ragguard audit --re-embed`"
    )
