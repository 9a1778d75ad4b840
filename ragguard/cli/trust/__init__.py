"""`ragguard trust`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ragguard.cli.context import (
    FILE,
    moment,
    now,
    open_workspace,
    passphrase_option,
    read_public,
    read_root_keys,
    root_key_option,
)
from ragguard.cli.output import emit, format_option, say, table
from ragguard.cli.trust.revoke import revoke


@click.group()
def trust() -> None:
    """Say which keys may speak for which source."""


@trust.command()
@click.argument("public", type=FILE)
@click.option("--source", help="Source it may speak for; made if it is new.")
@click.option(
    "--role",
    type=click.Choice(["signer", "reviewer", "root"]),
    default="signer",
    show_default=True,
    help="What it may do.",
)
@click.option("--until", help="Day (UTC) on which the leave ends, such as 2027-06-30.")
@click.option("--threshold", type=click.IntRange(1), help="How many must sign for the source.")
@click.option(
    "--distinct", type=click.Choice(["keys", "principals"]), help="What the threshold counts."
)
@root_key_option
@passphrase_option
@click.pass_context
def add(
    ctx: click.Context,
    public: Path,
    source: str | None,
    role: Any,
    until: str | None,
    threshold: int | None,
    distinct: Any,
    root_keys: tuple[Path, ...],
    ask: bool,
) -> None:
    """Let the key in PUBLIC speak for a source, review, or sign the trust root.

    \b
    Example:
      ragguard trust add keys/alice.pub --source wiki
      ragguard trust add keys/bob.pub --role reviewer
    """
    from ragguard.errors import UsageError
    from ragguard.trust import amend_root

    key = read_public(public)
    ends = moment(until) if until else None
    if ends is not None and ends <= now():
        raise UsageError(f"--until {until}: is past, the leave would end before it begins")
    with open_workspace(ctx) as workspace:
        signers = read_root_keys(workspace.folder, root_keys, ask)
        root = amend_root.add(
            workspace.root,
            key,
            now(),
            role=role,
            source=source,
            until=ends,
            threshold=threshold,
            distinct=distinct,
        )
        act = {"act": "trust add", "key": key.keyid, "principal": key.principal}
        workspace.set_root(root, signers, {**act, "role": role, "source": source})
    grant = f"may speak for {source!r}" if role == "signer" else f"is a {role}"
    say(f"trust root {root.version}: {key.principal!r} ({key.keyid[:16]}…) {grant}")
    if role == "signer":
        wanted = root.sources[source or ""]
        say(f"{wanted.threshold} of {len(wanted.signers)} signatures are needed for {source!r}")
        say(
            f"next: ragguard sign DIR --source {source} --key {public.with_suffix('.key')} -o "
            "m.intoto.json"
        )


trust.add_command(revoke)


@trust.command()
@click.argument("old", required=False)
@click.argument("new", type=FILE, required=False)
@click.option("--renew", is_flag=True, help="Only give the trust root a new year to live.")
@root_key_option
@passphrase_option
@click.pass_context
def rotate(
    ctx: click.Context,
    old: str | None,
    new: Path | None,
    renew: bool,
    root_keys: tuple[Path, ...],
    ask: bool,
) -> None:
    """Put the key in file NEW in the place of OLD, with all it may do; OLD is revoked.

    To rotate a root key, give both private keys: --root-key old.key --root-key new.key.

    \b
    Example:
      ragguard trust rotate alice keys/alice2.pub
      ragguard trust rotate --renew
    """
    from ragguard.errors import UsageError
    from ragguard.trust import amend_root

    if renew == (old is not None or new is not None) or (old is None) != (new is None):
        raise UsageError("give OLD and NEW, or --renew", hint="ragguard trust rotate --help")
    with open_workspace(ctx) as workspace:
        signers = read_root_keys(workspace.folder, root_keys, ask)
        if old is None or new is None:
            root = amend_root.renew(workspace.root, now())
            workspace.set_root(root, signers, {"act": "trust renew"})
            say(f"trust root {root.version}: expires {root.expires:%Y-%m-%d}")
            return
        before = amend_root.find_key(workspace.root, old)
        after = read_public(new)
        root = amend_root.rotate(workspace.root, before, after, now())
        act = {"act": "trust rotate", "old": before.keyid, "new": after.keyid}
        workspace.set_root(root, signers, act)
    say(
        f"trust root {root.version}: {before.keyid[:16]}… of {before.principal!r} gave way to "
        f"{after.keyid[:16]}… of {after.principal!r}"
    )


@trust.command()
@click.argument("source")
@click.option(
    "--set",
    "changes",
    multiple=True,
    help="FIELD=VALUE, value as JSON or a comma-separated list; may be repeated.",
)
@root_key_option
@passphrase_option
@click.pass_context
def policy(
    ctx: click.Context,
    source: str,
    changes: tuple[str, ...],
    root_keys: tuple[Path, ...],
    ask: bool,
) -> None:
    """Show or change the contract of SOURCE.

    Fields: labels, departments, formats, required_metadata (lists); max_document_bytes,
    max_documents, max_new_per_day (numbers); block_secrets; tier (standard or low);
    fact_changes (allow, review or second-signature): what becomes of an update that changes
    nothing but numbers, dates, names or negations; scope (list): which readers its documents
    are for, `public`, KEY=VALUE or KEY=@METADATA; reviewers: how many have to agree on a case;
    review (list): what always waits for one, `all`, label=VALUE or path=PATTERN; probation: how
    many of its documents reviewers have to let in before others need none; honeytoken: whether
    its documents are planted, never given to a reader, and an alarm when they are found.

    \b
    Example:
      ragguard trust policy wiki --set departments=it,legal --set tier=low
      ragguard trust policy wiki --set scope=tenant=acme,roles=@roles
      ragguard trust policy wiki --set reviewers=2 --set review=path=legal/*
    """
    from ragguard.errors import UsageError
    from ragguard.trust import amend_root
    from ragguard.trust import root as policies

    with open_workspace(ctx, exclusive=bool(changes)) as workspace:
        root = workspace.root
        if changes:
            values = dict(_change(text) for text in changes)
            signers = read_root_keys(workspace.folder, root_keys, ask)
            root = amend_root.set_policy(root, source, values, now())
            act = {"act": "trust policy", "source": source, "changes": values}
            workspace.set_root(root, signers, act)
        if source not in root.sources:
            raise UsageError(f"no source {source!r}", hint="`ragguard trust list` shows them.")
        contract = root.sources[source].policy
        later = ("fact_changes", "reviewers", "review", "probation")
        body = {**policies.dump_policy(contract), **{n: getattr(contract, n) for n in later}}
    say(f"source {source!r}, trust root {root.version}")
    for name, value in body.items():
        shown = ", ".join(value) if isinstance(value, list | tuple) else json.dumps(value)
        say(f"  {name:20} {shown or 'any'}")


def _change(text: str) -> tuple[str, Any]:
    from ragguard.errors import UsageError
    from ragguard.trust.root import LISTS

    name, separator, value = text.partition("=")
    if not separator:
        raise UsageError(f"--set {text!r}: expected FIELD=VALUE")
    if name in LISTS and not value.startswith("["):
        return name, [part.strip() for part in value.split(",") if part.strip()]
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


@trust.command("list")
@format_option
@click.pass_context
def list_trust(ctx: click.Context, fmt: str) -> None:
    """List principals, keys, sources and thresholds.

    \b
    Example:
      ragguard trust list
    """
    from ragguard.trust import root as policies

    with open_workspace(ctx, exclusive=False) as workspace:
        root = workspace.root
    if fmt != "table":
        emit(fmt, json.loads(policies.dump_root(root)))
        return
    say(
        f"trust root {root.version}, issued {root.issued:%Y-%m-%d}, expires "
        f"{root.expires:%Y-%m-%d}; "
        f"{root.root_threshold} of {len(root.root_keyids)} root keys sign it"
    )
    rows = []
    for key in sorted(root.keys.values(), key=lambda k: (k.principal, k.keyid)):
        roles = ["root"] if key.keyid in root.root_keyids else []
        roles += ["reviewer" for g in root.reviewers if g.keyid == key.keyid]
        for source in root.sources.values():
            for grant in source.signers:
                if grant.keyid == key.keyid:
                    until = f" until {grant.expires:%Y-%m-%d}" if grant.expires else ""
                    roles.append(f"signer of {source.name}{until}")
        gone = root.revoked.get(key.keyid)
        state = f"revoked {gone.at:%Y-%m-%d}: {gone.reason}" if gone else "in force"
        rows.append([key.principal, key.keyid[:16], state, "; ".join(roles) or "nothing"])
    table(["principal", "key id", "state", "may"], rows)
    for source in root.sources.values():
        say(
            f"source {source.name!r}: {source.threshold} of {len(source.signers)} "
            f"{source.distinct} must sign"
        )
