"""Revoke a key or a source since a day; what it brought since then waits for a reviewer.

The day is held against the time at which the log says that a manifest came in. Whoever stole a key
can write any date into a manifest, and none into the log.

Two steps, in this order: the trust root, so that nothing more comes in; then one commit that takes
everything concerned out of the serving index into quarantine. Killed between them, the same call
again does the rest. `quarantine release --commit` undoes it, in one commit too. See
docs/adr/0014-revoking-since.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ragguard import canary
from ragguard.corpus import changes
from ragguard.errors import LogError, UsageError
from ragguard.ledger import commits, log, versions
from ragguard.ledger.commits import AcceptedManifest
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, PublicKey, Root, SourcePolicy, Verdict
from ragguard.trust import amend_root
from ragguard.trust.canonical import format_time
from ragguard.trust.keys import KeyPair
from ragguard.trust.person import persons
from ragguard.workspace import Workspace

CHECK = "revoked"


@dataclass(frozen=True)
class RevokeTarget:
    """A key or a source that is revoked.

    Attributes:
        key: The key; `None` where a source is.
        source: The source; empty where a key is.
        in_force: Whether the trust root still lets it count.
    """

    key: PublicKey | None
    source: str
    in_force: bool

    @property
    def name(self) -> str:
        """For people."""
        if self.key is None:
            return f"source {self.source!r}"
        return f"key {self.key.keyid[:16]}… of {self.key.principal!r}"


@dataclass(frozen=True)
class AffectedDocument:
    """A serving document that is concerned.

    Attributes:
        version: What serves.
        at: When the log says its manifest came in.
        older: An earlier version of it that served, by signers who still count; `None` if there is
            none.
    """

    version: VersionRow
    at: str
    older: VersionRow | None

    @property
    def label(self) -> str:
        """`source/id`."""
        return f"{self.version.source}/{self.version.document}"


@dataclass(frozen=True)
class Radius:
    """Documents that a revocation would touch.

    Attributes:
        target: What is revoked.
        since: From when on, as text.
        documents: Serving documents that would go into quarantine.
        waiting: Documents (`source/id`) of it that wait in quarantine already.
        vouched: Serving documents (`source/id`) that enough others signed too; they stay.
        canaries: Canary queries that one of the documents answers; `None` without canaries.
    """

    target: RevokeTarget
    since: str
    documents: Sequence[AffectedDocument]
    waiting: Sequence[str]
    vouched: Sequence[str]
    canaries: Sequence[str] | None = None

    @property
    def chunks(self) -> int:
        """Chunks that would leave the serving index."""
        return sum(t.version.chunks for t in self.documents)

    @property
    def sources(self) -> Counter[str]:
        """Documents that would go, by source."""
        return Counter(t.version.source for t in self.documents)

    @property
    def older(self) -> list[AffectedDocument]:
        """Documents that would go and of which there is an earlier version to go back to."""
        return [t for t in self.documents if t.older is not None]


def find_target(root: Root, key: str | None, source: str | None) -> RevokeTarget:
    """Find what a person means: a key (see `amend_root.find_key`), a revoked one, or a source.

    Raises:
        UsageError: Neither or both, or no such key.
    """
    if (key is None) == (source is None):
        raise UsageError("give a KEY or --source", hint="ragguard trust revoke --help")
    if source is not None:
        return RevokeTarget(None, source, source in root.sources)
    try:
        public_key = amend_root.find_key(root, key or "")
    except UsageError:
        # The same call again, after a kill between root and commit: by now the key is revoked.
        gone = [k for k in root.keys.values() if k.principal == key and k.keyid in root.revoked]
        if len(gone) != 1:
            raise
        public_key = gone[0]
    return RevokeTarget(public_key, "", public_key.keyid not in root.revoked)


def blast_radius(workspace: Workspace, target: RevokeTarget, since: datetime) -> Radius:
    """List what would be touched; changes nothing.

    Args:
        target: What is revoked.
        since: Manifests that came in at this time or later are concerned.

    Raises:
        UsageError: `since` is in the future, or nobody ever heard of the source.
        LogError: A commit and its log entry do not fit together.
    """
    if since > workspace.now:
        raise UsageError(f"--since {format_time(since)}: is in the future")
    root = _after(workspace.root, target, workspace.now, "")
    sufficient: dict[str, bool] = {}
    times: dict[str, str] = {}
    with workspace.ledger.reading() as conn:
        its = [row for row in commits.accepted_manifests(conn) if _is_of(row, target)]
        if not its and target.key is None and not target.in_force:
            raise UsageError(
                f"neither the trust root nor the ledger knows a source {target.source!r}",
                hint="`ragguard trust list` shows the sources.",
            )
        for row in its:
            at = _logged_time(conn, row)
            if at >= format_time(since):
                times[row.digest] = at
                sufficient[row.digest] = _enough(root, row, target)
        serving = _of_manifests(versions.members(conn, "serving"), times)
        waiting = _of_manifests(versions.members(conn, "quarantine"), times)
        touched = [
            AffectedDocument(
                row, times[row.manifest], _older(versions.served_before(conn, row), times)
            )
            for row in serving.values()
            if not sufficient[row.manifest]
        ]
    touched.sort(key=lambda t: t.label)
    known = canary.in_force(workspace)
    return Radius(
        target,
        format_time(since),
        touched,
        sorted(waiting),
        sorted(name for name, row in serving.items() if sufficient[row.manifest]),
        None if known is None else canary.touched(known, {t.label for t in touched}),
    )


def _after(root: Root, target: RevokeTarget, now: datetime, reason: str) -> Root:
    """Return the trust root once it is revoked; the same if it is already."""
    if not target.in_force:
        return root
    if target.key is None:
        return amend_root.revoke_source(root, target.source, now)
    return amend_root.revoke(root, target.key, now, reason)


def _is_of(manifest: AcceptedManifest, target: RevokeTarget) -> bool:
    if target.key is None:
        return manifest.source == target.source
    return target.key.keyid in {keyid for keyid, _ in manifest.signers}


def _logged_time(conn: sa.Connection, manifest: AcceptedManifest) -> str:
    """Tell when a manifest came in, out of the log, whose tree heads are signed."""
    body = log.body(conn, manifest.log_index)
    if body.get("commit") != manifest.commit or not isinstance(body.get("at"), str):
        raise LogError(
            f"log: entry {manifest.log_index} is not that of commit {manifest.commit}",
            hint="Run `ragguard log verify`.",
        )
    return str(body["at"])


def _enough(root: Root, manifest: AcceptedManifest, target: RevokeTarget) -> bool:
    """Whether the other signers of a manifest are enough for its source, under the new root."""
    source = root.sources.get(manifest.source)
    if target.key is None or source is None:
        return False
    left = {
        keyid: principal
        for keyid, principal in manifest.signers
        if keyid not in root.revoked and keyid != target.key.keyid
    }
    return _count(source, left) >= source.threshold


def _count(source: SourcePolicy, signers: Mapping[str, str]) -> int:
    return len(persons(signers.values()) if source.distinct == "principals" else signers)


def _of_manifests(
    members: Mapping[str, VersionRow], manifests: Iterable[str]
) -> dict[str, VersionRow]:
    wanted = set(manifests)
    return {name: row for name, row in members.items() if row.manifest in wanted}


def _older(rows: Sequence[VersionRow], concerned: Mapping[str, str]) -> VersionRow | None:
    return next((row for row in rows if row.manifest not in concerned), None)


def revoke(
    workspace: Workspace,
    target: RevokeTarget,
    radius: Radius | None,
    reason: str,
    root_keys: Sequence[KeyPair] = (),
) -> int | None:
    """Revoke in the trust root, then quarantine what is concerned.

    Args:
        workspace: Open and locked.
        target: What is revoked.
        radius: From `blast_radius`, measured in this workspace as it is; `None` leaves in the
            corpus what came in.
        reason: In the words of whoever revokes.
        root_keys: Private root keys; needed where the target is still in force.

    Returns:
        Number of the commit; `None` where nothing of it serves.

    Raises:
        SignatureError, ThresholdError: Not enough root keys.
        StoreError: See `Committer.commit`; the next start finishes the commit.
    """
    if target.in_force:
        root = _after(workspace.root, target, workspace.now, reason)
        act: dict[str, Any] = {"act": "trust revoke", "reason": reason}
        if radius is not None:
            act["since"] = radius.since
        if target.key is None:
            act["source"] = target.source
        else:
            act |= {"key": target.key.keyid, "principal": target.key.principal}
        workspace.set_root(root, list(root_keys), act)
    generation = workspace.generation()
    if radius is None or not radius.documents or generation is None:
        return None
    plan = changes.draft(workspace, generation)
    plan.quarantine([(t.version, _verdict(t, radius, reason)) for t in radius.documents])
    keys = workspace.root.keys
    actor = ", ".join(sorted({keys[i].principal for i in workspace.root.root_keyids}))
    source = next(iter(radius.sources)) if len(radius.sources) == 1 else ""
    workspace.committer.commit(plan.finish("revoke", actor, source))
    return plan.commit


def _verdict(touched: AffectedDocument, radius: Radius, reason: str) -> Verdict:
    row = touched.version
    finding = Finding(
        CHECK,
        1.0,
        None,
        f"{radius.target.name} is revoked since {radius.since}, and this came in {touched.at}: "
        f"{reason}",
        {"since": radius.since, "logged": touched.at, "manifest": row.manifest},
    )
    return Verdict(row.source, row.document, row.digest, "quarantine", 1.0, None, (finding,))
