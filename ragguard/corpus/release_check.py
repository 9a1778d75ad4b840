"""What a reviewer let in, and whether a reviewer said so.

Every commit that releases a document must carry a decision: signed by a reviewer of its day who did
not sign the document, about these bytes and metadata, and none other; as many of them, of different
persons, as the contract of its day asked for. And what was held and serves now must have been
released so at some time, by whatever kind of commit it came to serve.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from ragguard.corpus.cosigners import signed_by
from ragguard.errors import IntegrityError, VaultError
from ragguard.ledger import audit_queries, candidates, commits
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.writer import Plan
from ragguard.model import Root
from ragguard.trust import decision as decisions
from ragguard.trust import dsse
from ragguard.trust import root as roots
from ragguard.trust.canonical import parse_time
from ragguard.trust.person import persons
from ragguard.workspace import Workspace

MAX_ROOT = 1 << 24  # bytes of a trust root's envelope
RESTORE = "restore"  # takes decisions over that were made elsewhere, under any root it brought

Document = tuple[str, str, str, str]  # source, id, digest, digest of the metadata


class Releases:
    """Takes commits with their plans and verifies what they released.

    Args:
        workspace: Open.
        entries: The log's, in order.

    Attributes:
        problems: What is wrong, one sentence each.
    """

    def __init__(self, workspace: Workspace, entries: Iterable[Mapping[str, Any]]) -> None:
        self._workspace = workspace
        self.problems: list[str] = []
        self._released: set[Document] = set()
        self._in_force, self._first = _roots_in_force(entries)
        with workspace.ledger.reading() as conn:
            self._roots = {v: data for v, data, _ in audit_queries.all_roots(conn)}
            self._manifests = commits.manifests_by_digest(conn)
        self._signers: dict[str, list[str]] = {}

    def take(self, row: CommitRow, plan: Plan, entry: Mapping[str, Any]) -> None:
        """A confirmed commit whose plan is the logged one."""
        case_of = {made.envelope: made.case for made in plan.decisions}
        freed = [leaf for leaf in plan.leaves if leaf.outcome == "released"]
        entered = self._entered(plan) if freed else {}
        for leaf in freed:
            about = (leaf.source, leaf.document, leaf.digest, leaf.metadata)
            name = leaf.decision or plan.decision
            if not name or name not in case_of:
                self._say(row, about, "was released, and there is no decision")
            elif about not in entered:
                self._say(row, about, "was released, and something else entered")
            elif wrong := self._wrong(row, name, about, entered[about]):
                self._say(row, about, f"was released, and its decision does not count: {wrong}")
            elif few := self._too_few(row, plan, case_of[name], about, entered[about]):
                self._say(row, about, f"was released, and {few}")
            else:
                self._released.add(about)
        if plan.kind == RESTORE:
            self._take_over(row, plan)

    def finish(self) -> list[str]:
        """All problems, once every confirmed commit was taken; not to be asked otherwise."""
        with self._workspace.ledger.reading() as conn:
            for row in audit_queries.standing(conn):
                held = row.zone == "serving" and row.outcome != "admit"
                about = (row.source, row.document, row.digest, row.metadata_digest)
                if held and about not in self._released:
                    self.problems.append(
                        f"{row.source}/{row.document}: was held and serves, and no reviewer of its "
                        "day released it"
                    )
        return self.problems

    def _say(self, row: CommitRow, about: Document, what: str) -> None:
        self.problems.append(f"commit {row.id}: {about[0]}/{about[1]} {what}")

    def _take_over(self, row: CommitRow, plan: Plan) -> None:
        """Releases that a restored workspace took over with the document."""
        versions = {v.id: v for v in plan.versions}
        cases = {c.id: versions.get(c.version or 0) for c in plan.opens}
        for made in plan.decisions:
            version = cases.get(made.case)
            if version is None or made.action != "release":
                continue
            about = (version.source, version.document, version.digest, version.metadata_digest)
            if wrong := self._wrong(row, made.envelope, about, version.manifest):
                self._say(row, about, f"was taken over as released, and {wrong}")
            else:
                self._released.add(about)

    def _entered(self, plan: Plan) -> dict[Document, str]:
        """Documents that began to serve with a plan, and the manifests they stand on."""
        numbers = [number for number, zone in plan.enter if zone == "serving"]
        with self._workspace.ledger.reading() as conn:
            rows = candidates.versions_numbered(conn, numbers).values()
        return {(r.source, r.document, r.digest, r.metadata_digest): r.manifest for r in rows}

    def _too_few(
        self, row: CommitRow, plan: Plan, case: int, about: Document, manifest: str
    ) -> str:
        """How many reviewers are lacking for a release; empty when none is."""
        trusted = self._trusted(row)[:1]
        if row.kind == RESTORE or not trusted or about[0] not in trusted[0].sources:
            return ""
        needed = trusted[0].sources[about[0]].policy.reviewers
        if needed <= 1:
            return ""
        said_so = [
            made.keyid
            for made in plan.decisions
            if made.case == case
            and made.keyid
            and not self._wrong(row, made.envelope, about, manifest, made.keyid)
        ]
        agreed = persons(roots.principals_of(trusted[0], said_so))
        if len(agreed) >= needed:
            return ""
        return f"{len(agreed)} of the {needed} reviewers that its contract asks for said so"

    def _wrong(
        self, row: CommitRow, envelope: str, about: Document, manifest: str, keyid: str = ""
    ) -> str:
        """Why a decision, by a key if one is named, does not release; empty when it does."""
        refused = "no trust root knows its reviewer"
        try:
            signers = self._signed(manifest)
            data = self._workspace.vault.get(envelope)
            at = parse_time(row.at)
            if row.kind == RESTORE:
                parsed = dsse.parse_envelope(data, max_bytes=decisions.MAX_DECISION_BYTES)
                at = decisions.parse(parsed.payload).at
        except (IntegrityError, VaultError) as error:
            return error.message
        for root in self._trusted(row):
            try:
                said, key = decisions.authenticate(data, root, signers, at)
            except IntegrityError as error:
                refused = error.message
                continue
            named = (said.subject, said.digest, said.metadata_digest, said.action)
            if named != (f"{about[0]}/{about[1]}", about[2], about[3], "release"):
                return "it is about something else"
            return "another key signed it" if keyid not in ("", key.keyid) else ""
        return refused

    def _signed(self, manifest: str) -> list[str]:
        """Key ids of all who signed a manifest."""
        if manifest not in self._signers:
            row = self._manifests.get(manifest)
            found = signed_by(self._workspace, row.envelope, row.signers) if row else []
            self._signers[manifest] = [keyid for keyid, _ in found]
        return self._signers[manifest]

    def _trusted(self, row: CommitRow) -> list[Root]:
        """Trust roots whose reviewers might decide then, the newest first."""
        now = self._in_force.get(row.id, self._first)
        numbers = range(now, 0, -1) if row.kind == RESTORE else (now,)
        return [_parsed(self._roots[n]) for n in numbers if n in self._roots]


@lru_cache(maxsize=8)
def _parsed(data: bytes) -> Root:
    return roots.parse_root(dsse.parse_envelope(data, max_bytes=MAX_ROOT).payload)


def _roots_in_force(entries: Iterable[Mapping[str, Any]]) -> tuple[dict[int, int], int]:
    """Version of the trust root at each commit of the log, and the newest."""
    version, found = 1, dict[int, int]()
    for body in entries:
        if isinstance(body.get("version"), int) and "root" in body:
            version = body["version"]
        elif "plan" in body and isinstance(body.get("commit"), int):
            found[body["commit"]] = version
    return found, version
