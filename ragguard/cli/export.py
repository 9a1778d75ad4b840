"""`ragguard export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli import context
from ragguard.cli.context import FILE, NEW_FOLDER, open_workspace
from ragguard.cli.output import emit, format_option, note, say, short

if TYPE_CHECKING:
    from ragguard.export.verify import ExportVerification

SHOWN = 20  # problems and documents named on the terminal


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--at", type=click.IntRange(1), help="Commit whose corpus is exported.")
@click.option(
    "--no-denied-texts",
    is_flag=True,
    help="Of what reviewers rejected only digests and sketches, no text.",
)
@click.option(
    "--as",
    "kind",
    type=click.Choice(["openlineage", "card", "cyclonedx"]),
    help="Instead: describe the corpus in the file DIR (`-`: standard output), without texts.",
)
@click.option("--verify", is_flag=True, help="Verify the export in DIR; needs no workspace.")
@click.option("--restore", is_flag=True, help="Put back into the vault what it lost.")
@click.option("--into", type=NEW_FOLDER, help="With --restore: make a new workspace there instead.")
@click.option("--log-key", help="Verifier key of the export's log, kept elsewhere.")
@click.option("--root", type=FILE, help="A trust root that must be among the export's.")
@click.option("--root-digest", help="SHA-256 of such a trust root.")
@format_option
@click.pass_context
def export(
    ctx: click.Context,
    folder: Path,
    at: int | None,
    no_denied_texts: bool,
    kind: str | None,
    verify: bool,
    restore: bool,
    into: Path | None,
    log_key: str | None,
    root: Path | None,
    root_digest: str | None,
    fmt: str,
) -> int:
    """Export what is clean, to be kept off this host; verify it, and restore from it.

    DIR gets the documents whose provenance is good today, their manifests and releases, the trust
    roots and the log, and a list that `sha256sum -c` reads. No private keys, no quarantine. What
    reviewers rejected is in DIR/denied as far as it takes to recognise it.

    --as openlineage writes run events of the commit, --as card a dataset card, --as cyclonedx a
    bill of the corpus (ML-BOM 1.6). They hold no text, and change nothing.

    --verify needs nothing but the log's public key, best with a trust root that you know.

    \b
    Example:
      ragguard export /mnt/backup/2026-03-01
      ragguard export --as cyclonedx corpus.cdx.json --at 41
      ragguard export --verify DIR --log-key "$(cat log.vkey)"
      ragguard export --restore DIR
      ragguard export --restore DIR --into NEWDIR --log-key KEY
    """
    if no_denied_texts and (verify or restore):
        raise click.UsageError("--no-denied-texts is about a new export")
    if kind is not None and (verify or restore or no_denied_texts):
        raise click.UsageError("--as is about a new description: it goes with --at alone")
    if kind is None and folder.exists() and not folder.is_dir():
        raise click.UsageError(f"{folder}: is a file, expected a folder")
    if verify and restore:
        raise click.UsageError("--verify and --restore are two things: restoring verifies first")
    if at is not None and (verify or restore):
        raise click.UsageError("--at is about a new export")
    if into is not None and not restore:
        raise click.UsageError("--into goes with --restore")
    if root is not None and root_digest is not None:
        raise click.UsageError("--root or --root-digest, one of them")
    stranger = verify or into is not None
    if stranger and log_key is None:
        raise click.UsageError("--log-key is needed: who wrote the export cannot vouch for himself")
    if not stranger and (log_key or root or root_digest):
        raise click.UsageError("--log-key, --root and --root-digest go with --verify or --into")
    if verify:
        return _verify(folder, str(log_key), _pin(root, root_digest), fmt)
    if into is not None:
        return _restore_into(folder, into, str(log_key), _pin(root, root_digest), fmt)
    if restore:
        return _restore(ctx, folder, fmt)
    if kind is not None:
        return _describe(ctx, folder, kind, at, fmt)
    return _export(ctx, folder, at, not no_denied_texts, fmt)


def _describe(ctx: click.Context, path: Path, kind: str, at: int | None, fmt: str) -> int:
    from ragguard.export.formats import FORMATS, write_format
    from ragguard.trust.files import replace_file

    with open_workspace(ctx, exclusive=False) as workspace:
        data = write_format(workspace, kind, at)
    if str(path) == "-":
        click.echo(data, nl=False)
        return 0
    replace_file(path, data, shared=True)
    if fmt != "table":
        emit(fmt, {"file": str(path), "as": kind, "bytes": len(data)})
    else:
        say(f"{FORMATS[kind].title}: {short(path)}, {_size(len(data))}")
    return 0


def _pin(root: Path | None, root_digest: str | None) -> str | None:
    from ragguard.trust.canonical import digest_bytes

    return digest_bytes(root.read_bytes()) if root is not None else root_digest


def _export(ctx: click.Context, folder: Path, at: int | None, denied_texts: bool, fmt: str) -> int:
    from ragguard.cli.progress import Progress
    from ragguard.export.write import export as run

    with open_workspace(ctx) as workspace, Progress(fmt != "table") as progress:
        exported = run(
            workspace, folder, at=at, denied_texts=denied_texts, progress=progress.update
        )
    listed = exported.inventory
    if fmt != "table":
        body = {
            "folder": str(exported.folder),
            "commit": listed.commit,
            "corpus": listed.corpus,
            "digest": exported.digest,
            "documents": len(listed.documents),
            "objects": len(listed.objects),
            "bytes": exported.bytes,
            "left": [
                _row(omitted) | {"check": omitted.check, "detail": omitted.detail}
                for omitted in listed.left
            ],
            "denied": len(listed.denied),
            "missing": list(listed.missing),
            "log_key": exported.log_key,
            "root": listed.roots[0],
        }
        emit(fmt, body)
        return exported.exit_code
    say(
        f"exported commit {listed.commit}: {len(listed.documents)} documents in "
        f"{len(listed.objects)} files, {_size(exported.bytes)}, into {short(exported.folder)}"
    )
    if listed.denied:
        form = "as digests and sketches" if not denied_texts else "with texts, never to be served"
        say(f"rejected by reviewers: {len(listed.denied)}, in denied/ {form}")
    _tell([f"left out: {o.source}/{o.document} ({o.check}: {o.detail})" for o in listed.left])
    _tell([f"MISSING: {text}" for text in listed.missing])
    say(f"log key: {exported.log_key}")
    say(f"trust root 1: {listed.roots[0]}")
    say("next: move it off this host, keep both lines elsewhere, and there")
    say("  ragguard export --verify DIR --log-key KEY --root-digest DIGEST")
    return exported.exit_code


def _verify(folder: Path, log_key: str, pin: str | None, fmt: str) -> int:
    from ragguard.export.verify import verify as run

    check = run(folder, log_key, root=pin)
    code = 3 if check.problems else 0
    listed = check.inventory
    if fmt != "table":
        body: dict[str, Any] = {
            "ok": not check.problems,
            "digest": check.digest,
            "commit": listed.commit if listed else None,
            "corpus": listed.corpus if listed else None,
            "log": listed.origin if listed else None,
            "size": listed.size if listed else None,
            "made": listed.made if listed else None,
            "documents": len(listed.documents) if listed else 0,
            "left": len(listed.left) if listed else 0,
            "released": len(check.released),
            "denied": len(check.denied),
            "pinned": check.pinned,
            "notes": check.notes,
            "problems": check.problems,
        }
        emit(fmt, body)
        return code
    if check.problems:
        _tell([f"PROBLEM: {text}" for text in check.problems])
        say(f"{short(folder)}: not what was exported; take another copy")
        return code
    _tell_verified(check)
    return code


def _tell_verified(check: ExportVerification) -> None:
    listed, root = check.inventory, check.root
    if listed is None or root is None:
        return
    say(
        f"verified: commit {listed.commit}, {len(listed.documents)} documents in "
        f"{len(listed.objects)} files, exported {listed.made}"
    )
    say(f"  corpus {listed.corpus}")
    say(f"  in the log {listed.origin} of {listed.size} entries")
    if check.pinned is not None:
        say(f"  trust root {root.version}; version {check.pinned} is the one you gave")
    else:
        say(f"  trust root {root.version}")
    if listed.left:
        say(f"  {len(listed.left)} documents that served then are left out of it")
    if check.released:
        say(
            f"  {len(check.released)} released, each by as many reviewers as its contract asked for"
        )
    if check.denied:
        say(f"  {len(check.denied)} rejected by reviewers, in it to be recognised")
    for text in (*check.notes, *(f"missing when it was made: {m}" for m in listed.missing)):
        note(f"note: {text}")


def _restore(ctx: click.Context, folder: Path, fmt: str) -> int:
    from ragguard.cli.progress import Progress
    from ragguard.export.restore_vault import restore as run

    with open_workspace(ctx) as workspace, Progress(fmt != "table") as progress:
        tally = run(workspace, folder, progress=progress.update)
    if fmt != "table":
        emit(fmt, {**tally.__dict__, "lost": dict(tally.lost), "notes": list(tally.notes)})
        return tally.exit_code
    say(
        f"put back: {tally.documents} files of documents, {tally.others} manifests, decisions and "
        f"others; {tally.intact} were whole"
    )
    for kind, number in tally.lost.items():
        say(f"still missing: {kind}, {number} (no export holds it)")
    say("next: ragguard audit, and where the index is damaged too,")
    say(f"  ragguard reindex --from-clean --at {tally.commit}")
    return tally.exit_code


def _row(omitted: Any) -> dict[str, Any]:
    return {"source": omitted.source, "document": omitted.document, "digest": omitted.digest}


def _tell(lines: list[str]) -> None:
    for text in lines[:SHOWN]:
        say(text)
    if len(lines) > SHOWN:
        say(f"… and {len(lines) - SHOWN} more (--format json)")


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 1 << 20 else f"{size / 1024:.1f} KiB"


def _restore_into(folder: Path, target: Path, log_key: str, pin: str | None, fmt: str) -> int:
    import os

    from ragguard.cli.progress import Progress
    from ragguard.export.restore_workspace import restore_into as run

    with Progress(fmt != "table") as progress:
        restored = run(
            folder,
            target,
            log_key,
            context.now(),
            root=pin,
            environment=os.environ,
            progress=progress.update,
        )
    left = [
        _row(omitted.version) | {"detail": omitted.findings[0].detail} for omitted in restored.left
    ]
    if fmt != "table":
        body = {**restored.__dict__, "folder": str(restored.folder), "left": left}
        emit(fmt, body | {"notes": list(restored.notes)})
        return restored.exit_code
    say(
        f"{short(restored.folder)}: a workspace with {restored.documents} documents and "
        f"{restored.releases} releases, log {restored.origin}"
    )
    if restored.denials:
        say(f"rejected by reviewers, and refused here too: {restored.denials}")
    _tell([f"left out: {o['source']}/{o['document']} ({o['detail']})" for o in left])
    if restored.recipe_changed:
        say("embedded by another recipe than before (model, splitter or parser): answers differ")
    for text in restored.notes:
        note(f"note: {text}")
    say("next: ragguard doctor; ragguard audit; ragguard log checkpoint -o FILE, kept elsewhere")
    return restored.exit_code
