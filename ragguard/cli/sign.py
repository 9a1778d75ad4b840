"""`ragguard sign`, `ragguard verify` and `ragguard sync`."""

from __future__ import annotations

import unicodedata
from collections import Counter
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import (
    FILE,
    OUTPUT,
    ROOT,
    duration,
    now,
    open_workspace,
    passphrase_option,
    place,
    read_key,
    workspace_folder,
)
from ragguard.cli.output import emit, format_option, line, note, say, short, table

if TYPE_CHECKING:
    from ragguard.ingest.sign import SignResult
    from ragguard.ingest.verify import VerifyResult
    from ragguard.model import PublicKey, Root
    from ragguard.trust.keys import KeyPair
    from ragguard.trust.manifest import LastAccepted


NAMED = 10  # sources in a warning
LARGEST = 1 << 28  # bytes of a manifest that is read


@click.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1)
@click.option("--source", help="Source that speaks.")
@click.option("--key", "key_file", type=FILE, required=True, help="Private key of the signer.")
@click.option(
    "--root",
    type=ROOT,
    help="Folder or URL that names are relative to; else PATH if it is one folder, else the "
    "current folder. Of a URL everything is signed, without a PATH.",
)
@click.option(
    "--metadata", "metadata_file", type=FILE, help="Metadata by file name, JSON or JSON lines."
)
@click.option("--expires", default="90d", show_default=True, help="How long it may be ingested.")
@click.option(
    "--mode",
    type=click.Choice(["full", "delta"]),
    default="full",
    show_default=True,
    help="full: what is not listed is gone; delta: adds and removes.",
)
@click.option("--remove", "removes", multiple=True, help="Name a delta removes; may be repeated.")
@click.option("--previous", type=FILE, help="The manifest before, when no workspace knows it.")
@click.option("--add-signature", "cosign", type=FILE, help="Sign this manifest once more instead.")
@click.option("--strict", is_flag=True, help="Refuse when a file would be skipped.")
@click.option(
    "--if-changed",
    is_flag=True,
    help="Leave the manifest there is, where you signed the same documents and it has not expired.",
)
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    required=True,
    help="Manifest to write, such as wiki.intoto.json.",
)
@passphrase_option
@click.pass_context
def sign(
    ctx: click.Context,
    paths: tuple[Path, ...],
    source: str | None,
    key_file: Path,
    root: Path | str | None,
    metadata_file: Path | None,
    expires: str,
    mode: str,
    removes: tuple[str, ...],
    previous: Path | None,
    cosign: Path | None,
    strict: bool,
    if_changed: bool,
    output: Path,
    ask: bool,
) -> None:
    """Sign documents and record files of a source.

    Takes .md (.markdown) .txt .rst .html (.htm) .pdf .docx and the record files .jsonl and .csv;
    other files are skipped and counted. In a folder, a record file that holds no records and a name
    that looks like another are left out with a note. Version and predecessor come from the
    workspace, or from --previous.

    \b
    Example:
      ragguard sign docs --source wiki --key keys/alice.key -o wiki.intoto.json
    """
    from ragguard.errors import PayloadTypeError, UsageError
    from ragguard.ingest.sign import read_metadata, says_the_same
    from ragguard.ingest.sign import sign as make
    from ragguard.trust import dsse, files
    from ragguard.trust import manifest as manifests

    pair = read_key(key_file, ask)
    _check_overwritable(output)
    if cosign is not None:
        data = cosign.read_bytes()
        envelope = dsse.parse_envelope(data, max_bytes=LARGEST)
        if envelope.payload_type != dsse.IN_TOTO:
            raise PayloadTypeError(
                f"{cosign}: holds {envelope.payload_type!r}, expected a manifest "
                f"({dsse.IN_TOTO!r})",
                hint="A trust root is signed with `ragguard trust … --root-key`.",
            )
        body = manifests.parse(envelope.payload, max_bytes=LARGEST)
        signed = dsse.add_signature(data, pair.public.keyid, pair.signing_key, max_bytes=LARGEST)
        files.replace_file(output, signed, shared=True)
        say(
            f"{output}: manifest {body.version} of {body.source!r}, {len(body.subjects)} files, "
            f"signed once more, by {pair.public.principal!r}"
        )
        return
    source = _source_named(source)
    elsewhere = isinstance(root, str)
    if elsewhere and paths:
        raise UsageError("of a URL everything is signed: leave the paths away")
    if not paths and not removes and not elsewhere:
        raise UsageError("nothing to sign", hint="Name a folder or files.")
    alone = paths[0] if len(paths) == 1 and paths[0].is_dir() else Path()
    top = place(ctx, root) or alone
    previous_manifest, known = _before(ctx, source, previous, pair.public)
    signed_files = make(
        paths,
        root=top,
        source=source,
        key=pair,
        now=now(),
        expires=duration(expires),
        previous=previous_manifest,
        mode=mode,
        removes=removes,
        metadata=read_metadata(metadata_file) if metadata_file else None,
        strict=strict,
        known=known,
        formats=_formats(ctx),
    )
    _tell_left_out(signed_files)
    if (
        if_changed
        and output.exists()
        and says_the_same(output.read_bytes(), signed_files, pair.public)
    ):
        say(f"{output}: nothing changed, left as it is")
        return
    files.replace_file(output, signed_files.envelope, shared=True)
    _tell(signed_files, output, pair)
    where = short(top) if isinstance(top, Path) else root
    say(f"next: ragguard ingest {output} --root {where}")


def _tell(run: SignResult, output: Path, pair: KeyPair) -> None:
    """What was signed, and what was not."""
    manifest = run.manifest
    say(
        f"{output}: {run.documents} documents in {len(manifest.subjects)} files of "
        f"{manifest.source!r}, version {manifest.version}, signed by {pair.public.principal!r}, "
        f"expires {manifest.expires:%Y-%m-%d}"
    )
    if run.skipped:
        why = Counter(s.reason for s in run.skipped)
        say(f"skipped {len(run.skipped)}: " + "; ".join(f"{n} {r}" for r, n in why.most_common()))
        apart = [s.name for s in run.skipped if not unicodedata.is_normalized("NFC", s.name)]
        if apart:
            note(
                f"{len(apart)} names are spelt as macOS spells them, such as "
                f"{unicodedata.normalize('NFC', apart[0])!r}: rename them, for example with "
                "convmv -r -f utf8 -t utf8 --nfc --notest DIR"
            )
    if run.wrong:
        note(
            f"{len(run.wrong)} records will be rejected, the others come in; the first: "
            f"{line(run.wrong[0])}"
        )
    if run.unused:
        note(f"metadata of {len(run.unused)} names that were not signed, such as {run.unused[0]!r}")


def _tell_left_out(run: SignResult) -> None:
    """Say which files had to be left out though their format is one that is signed."""
    left_out = [s.detail for s in run.skipped if s.detail]
    for detail in left_out[:NAMED]:
        note(f"note: left out {line(detail)}")
    if len(left_out) > NAMED:
        note(f"note: left out {len(left_out) - NAMED} more for such reasons")


def _formats(ctx: click.Context) -> frozenset[str]:
    """File endings that are signed: in a workspace, those of its plug-ins too."""
    from ragguard.errors import WorkspaceError
    from ragguard.parse.plugged import OURS, endings
    from ragguard.workspace import meant

    try:
        folder = workspace_folder(ctx)
    except WorkspaceError:
        return OURS
    return OURS | endings(meant.settings(folder).plugins.parsers)


def _source_named(source: str | None) -> str:
    """Return the source that speaks.

    Raises:
        UsageError: None is named, or it is no name of a source.
    """
    from ragguard.errors import UsageError
    from ragguard.trust import manifest as manifests

    if source is None or not manifests.is_source_name(source):
        raise UsageError(
            f"--source {source or ''!r}: expected 1 to 64 of a-z, 0-9, '_', '.', '-'",
            hint="Name the source that speaks, such as --source wiki.",
        )
    return source


def _check_overwritable(path: Path) -> None:
    """Refuse to put a manifest in the place of something else.

    Raises:
        UsageError: The file there is a document or a key.
    """
    from ragguard.errors import IntegrityError, UsageError
    from ragguard.trust import dsse

    if not path.exists():
        return
    with suppress(IntegrityError):
        if dsse.parse_envelope(path.read_bytes(), max_bytes=LARGEST).payload_type == dsse.IN_TOTO:
            return
    raise UsageError(
        f"{path}: exists and is no manifest, so it is not overwritten",
        hint="Choose another name for the manifest.",
    )


def _before(
    ctx: click.Context, source: str, previous: Path | None, key: PublicKey
) -> tuple[LastAccepted | None, set[str]]:
    """Return the manifest before, from a file or as the workspace accepted it last.

    Returns:
        The manifest, and the names of the source's files so far.
    """
    from ragguard.errors import WorkspaceError
    from ragguard.ledger import commits, versions
    from ragguard.trust import dsse
    from ragguard.trust import manifest as manifests
    from ragguard.trust.manifest import LastAccepted

    if previous is not None:
        envelope = dsse.parse_envelope(previous.read_bytes(), max_bytes=LARGEST)
        before = manifests.parse(envelope.payload, max_bytes=LARGEST)
        names = {subject.name for subject in before.subjects}
        return LastAccepted(before.version, before.digest), names
    try:
        workspace_folder(ctx)
    except WorkspaceError:
        return None, set()
    with open_workspace(ctx, exclusive=False) as workspace, workspace.ledger.reading() as conn:
        last = commits.last_manifest(conn, source)
        here = (versions.members(conn, zone, source) for zone in ("serving", "quarantine"))
        names = {row.subject for rows in here for row in rows.values()}
        _warn_untrusted(workspace.root, source, key)
    return LastAccepted(*last) if last else None, names


def _warn_untrusted(root: Root, source: str, key: PublicKey) -> None:
    """Warn of what the workspace will refuse: an unknown source, a revoked key."""
    if source not in root.sources:
        known = ", ".join(sorted(root.sources)[:NAMED]) or "none"
        note(
            f"warning: this workspace trusts no source {source!r} (it knows: {known}); it will "
            f"refuse the manifest until `ragguard trust add KEY.pub --source {source}`"
        )
    elif key.keyid in root.revoked:
        note(
            f"warning: this workspace has revoked the key {key.keyid[:12]}… of {key.principal!r}; "
            "its signature will not count: sign with another key that the source has"
        )


@click.command()
@click.argument("manifests", metavar="MANIFEST...", type=FILE, nargs=-1, required=True)
@click.option(
    "--root", type=ROOT, help="Folder or URL the names are relative to; else the manifest's folder."
)
@click.option(
    "--trust-root",
    type=FILE,
    help="Verify under this trust root alone, without a workspace; what came before is not known.",
)
@format_option
@click.pass_context
def verify(
    ctx: click.Context,
    manifests: tuple[Path, ...],
    root: Path | str | None,
    trust_root: Path | None,
    fmt: str,
) -> int:
    """Verify manifests and every byte they list, offline.

    Checks envelope, signers, threshold, expiry, sequence, names, digests and the source's contract.
    Touches no index and loads no model. Of several manifests each is verified, and the exit code is
    the gravest; `--format jsonl` prints one object a line.

    \b
    Example:
      ragguard verify wiki.intoto.json --root docs
    """
    from ragguard.errors import IntegrityError
    from ragguard.ingest.verify import read_trust_root, verify_under
    from ragguard.ingest.verify import verify as verify_after

    worst = 0
    with ExitStack() as opened:
        if trust_root is not None:
            known = read_trust_root(trust_root)
            check = partial(verify_under, known, now=now(), root=place(ctx, root))
        else:
            workspace = opened.enter_context(open_workspace(ctx, exclusive=False))
            check = partial(verify_after, workspace, root=place(ctx, root))
        for path in manifests:
            try:
                verified = check(path)
            except IntegrityError as error:
                if len(manifests) == 1:
                    raise
                note(f"error: {short(path)}: {error.message}")
                worst = max(worst, error.exit_code)
                continue
            worst = max(worst, verified.exit_code)
            if fmt == "table":
                _show(verified, path, root)
            else:
                emit(fmt, _body(verified, path))
    return worst


def _body(verified: VerifyResult, path: Path) -> dict[str, Any]:
    body = verified.manifest
    return {
        "path": str(path),
        "digest": body.digest,
        "source": body.source,
        "version": body.version,
        "accepted": verified.accepted,
        "signed_by": [k.principal for k in verified.signed.signed],
        "ignored_signatures": list(verified.signed.unknown),
        "documents": verified.documents,
        "wrong": [{"id": i, "check": f.check, "detail": f.detail} for i, f in verified.wrong],
    }


def _show(verified: VerifyResult, path: Path, root: Path | str | None) -> None:
    body = verified.manifest
    who = ", ".join(k.principal for k in verified.signed.signed)
    say(
        f"manifest {body.version} of {body.source!r}: signed by {who}, expires "
        f"{body.expires:%Y-%m-%d}"
    )
    if verified.signed.unknown:
        say(f"ignored {len(verified.signed.unknown)} signatures by unknown keys")
    if verified.wrong:
        table(["document", "what is wrong"], [[i, line(f.detail)] for i, f in verified.wrong[:50]])
        say(f"{len(verified.wrong)} of {verified.documents} documents are not as they must be")
        return
    say(f"{verified.documents} documents are the signed bytes")
    again = " (accepted already)" if verified.accepted else ""
    shown_root = short(root) if isinstance(root, Path) else root
    where = f" --root {shown_root}" if shown_root else ""
    say(f"next: ragguard ingest {short(path)}{where}{again}")


@click.command()
@click.argument("folder", type=ROOT)
@click.option("--source", required=True, help="Source whose documents the folder holds.")
@click.option("--key", "key_file", type=FILE, required=True, help="Private key of its signer.")
@click.option(
    "--metadata", "metadata_file", type=FILE, help="Metadata by file name, JSON or JSON lines."
)
@click.option("--expires", default="90d", show_default=True, help="How long a manifest is good.")
@click.option(
    "-o",
    "--output",
    type=OUTPUT,
    help="Manifest to keep; else sync/SOURCE.intoto.json in the workspace.",
)
@click.option("--exit-zero", is_flag=True, help="Exit 0 where it would be 1.")
@format_option
@passphrase_option
@click.pass_context
def sync(
    ctx: click.Context,
    folder: Path | str,
    source: str,
    key_file: Path,
    metadata_file: Path | None,
    expires: str,
    output: Path | None,
    exit_zero: bool,
    fmt: str,
    ask: bool,
) -> int:
    """Keep a source in step with a folder or URL: sign what changed, and ingest it.

    What is new or changed comes in, what is gone is removed, and where nothing changed nothing is
    signed: for cron. A folder without documents, as where a mount is missing, is refused.

    \b
    Example:
      ragguard sync /srv/wiki --source wiki --key keys/alice.key
    """
    from ragguard.cli.ingest import bring_in
    from ragguard.ingest.sign import read_metadata, says_the_same
    from ragguard.ingest.sign import sign as make
    from ragguard.trust import files

    source = _source_named(source)  # before a path is made of it
    pair = read_key(key_file, ask)
    kept = output or workspace_folder(ctx) / "sync" / f"{source}.intoto.json"
    _check_overwritable(kept)
    top = place(ctx, folder) or Path()
    previous, known = _before(ctx, source, None, pair.public)
    signed = make(
        (folder,) if isinstance(folder, Path) else (),
        root=top,
        source=source,
        key=pair,
        now=now(),
        expires=duration(expires),
        previous=previous,
        known=known,
        metadata=read_metadata(metadata_file) if metadata_file else None,
        formats=_formats(ctx),
    )
    _tell_left_out(signed)
    if not (kept.exists() and says_the_same(kept.read_bytes(), signed, pair.public)):
        files.replace_file(kept, signed.envelope, shared=output is not None)
        if fmt == "table":
            _tell(signed, kept, pair)
    return bring_in(ctx, (kept,), fmt, root=top, exit_zero=exit_zero)
