"""Verify that a reviewer let in what is said to be released.

Every commit that releases a document must carry a decision that enough reviewers of its day stand
behind (`trust.quorum`): about these bytes and metadata, and none other. And what was held and
serves now must have been released so at some time, by whatever kind of commit it came to serve.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from ragguard.corpus.cosigners import signed_by
from ragguard.errors import IntegrityError, VaultError
from ragguard.ledger import audit_queries, candidates, commits
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.writer import Plan
from ragguard.model import Root
from ragguard.trust import decision as decisions
from ragguard.trust import dsse, quorum
from ragguard.trust import root as roots
from ragguard.trust.canonical import parse_time
from ragguard.trust.quorum import About as Document
from ragguard.workspace import Workspace

MAX_ROOT = 1 << 24  # bytes of a trust root's envelope
RESTORE = "restore"  # takes decisions over that were made elsewhere, under a root it brought


class ReleaseCheck:
    """Takes commits with their plans and verifies what they released.

    Attributes:
        problems: What is wrong, one sentence each.
    """

    def __init__(self, workspace: Workspace, entries: Iterable[Mapping[str, Any]]) -> None:
        self._workspace = workspace
        self.problems: list[str] = []
        self._released: set[Document] = set()
        log = list(entries)
        self._past = _Past(log)
        self._opinions = quorum.by_case(enumerate(log))
        with workspace.ledger.reading() as conn:
            self._roots = {v: data for v, data, _ in audit_queries.all_roots(conn)}
            self._manifests = commits.manifests_by_digest(conn)
        self._signers: dict[str, list[str]] = {}

    def take(self, row: CommitRow, plan: Plan, entry: Mapping[str, Any]) -> None:
        """A confirmed commit whose plan is the logged one."""
        case_of = {decision.envelope: decision.case for decision in plan.decisions}
        freed = [leaf for leaf in plan.leaves if leaf.outcome == "released"]
        entered = self._entered(plan) if freed else {}
        for leaf in freed:
            about = (leaf.source, leaf.document, leaf.digest, leaf.metadata)
            name = leaf.decision or plan.decision
            if not name or name not in case_of:
                self._say(row, about, "was released, and there is no decision")
            elif about not in entered:
                self._say(row, about, "was released, and something else entered")
            elif wrong := self._wrong(
                self._words(row, case_of[name], name),
                self._trusted(row),
                about,
                entered[about],
                parse_time(row.at),
            ):
                self._say(row, about, f"was released, and its decision does not count: {wrong}")
            else:
                self._released.add(about)
        if plan.kind == RESTORE:
            self._take_over(row, plan)

    def finish(self) -> list[str]:
        """List all problems, once every confirmed commit was taken; not to be asked otherwise."""
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

    def _say(self, row: CommitRow, about: Document, problem: str) -> None:
        self.problems.append(f"commit {row.id}: {about[0]}/{about[1]} {problem}")

    def _take_over(self, row: CommitRow, plan: Plan) -> None:
        """Releases that a restored workspace took over with the document.

        The case that the words name is of the workspace before; they count together by it.
        """
        versions = {v.id: v for v in plan.versions}
        cases = {c.id: versions.get(c.version or 0) for c in plan.opens}
        envelopes: dict[tuple[Document, str, int], list[str]] = defaultdict(list)
        for decision in plan.decisions:
            version = cases.get(decision.case)
            if version is None or decision.action != "release":
                continue
            about = (version.source, version.document, version.digest, version.metadata_digest)
            try:
                case = decisions.unverified(self._workspace.vault.get(decision.envelope)).case
            except (IntegrityError, VaultError) as error:
                self._say(row, about, f"was taken over as released, and {error.message}")
                continue
            envelopes[about, version.manifest, case].append(decision.envelope)
        for (about, manifest, _), names in envelopes.items():
            trusted = self._since(manifest)
            if wrong := self._wrong(names, trusted, about, manifest):
                self._say(row, about, f"was taken over as released, and {wrong}")
            else:
                self._released.add(about)

    def _entered(self, plan: Plan) -> dict[Document, str]:
        """List documents that began to serve with a plan, and the manifests they stand on."""
        numbers = [number for number, zone in plan.enter if zone == "serving"]
        with self._workspace.ledger.reading() as conn:
            rows = candidates.versions_numbered(conn, numbers).values()
        return {(r.source, r.document, r.digest, r.metadata_digest): r.manifest for r in rows}

    def _words(self, row: CommitRow, case: int, name: str) -> list[str]:
        """Envelopes of all words on a case that a commit decided, the deciding one last."""
        until = self._past.index.get(row.id, 0)
        return [word.envelope for n, word in self._opinions.get(case, ()) if n < until] + [name]

    def _wrong(
        self,
        names: Sequence[str],
        trusted: Sequence[Root],
        about: Document,
        manifest: str,
        at: datetime | None = None,
    ) -> str:
        """Tell why words do not release a document; empty when they do."""
        try:
            signed = [(name, self._workspace.vault.get(name)) for name in names]
            quorum.decided(signed, trusted, about, "release", self._signed(manifest), at)
        except (IntegrityError, VaultError) as error:
            return error.message
        return ""

    def _signed(self, manifest: str) -> list[str]:
        """Key ids of all who signed a manifest."""
        if manifest not in self._signers:
            row = self._manifests.get(manifest)
            signers = signed_by(self._workspace, row.envelope, row.signers) if row else []
            self._signers[manifest] = [keyid for keyid, _ in signers]
        return self._signers[manifest]

    def _trusted(self, row: CommitRow) -> list[Root]:
        """Return the trust root in force at a commit."""
        version = self._past.root.get(row.id, self._past.newest)
        return [_parsed(self._roots[version])] if version in self._roots else []

    def _since(self, manifest: str) -> list[Root]:
        """Trust roots that may have been in force when a document of a manifest was released."""
        first = self._past.accepted.get(manifest, 1)
        return [
            _parsed(data) for n, data in sorted(self._roots.items(), reverse=True) if n >= first
        ]


@lru_cache(maxsize=8)
def _parsed(data: bytes) -> Root:
    return roots.parse_root(dsse.parse_envelope(data, max_bytes=MAX_ROOT).payload)


class _Past:
    """What the log says of commits.

    Attributes:
        newest: Version of the newest trust root.
        index: Entry of each commit.
        root: Version of the trust root in force at each commit.
        accepted: Version of the trust root in force when each manifest came first.
    """

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        self.newest = 1
        self.index: dict[int, int] = {}
        self.root: dict[int, int] = {}
        self.accepted: dict[str, int] = {}
        for index, body in enumerate(entries):
            if isinstance(body.get("version"), int) and "root" in body:
                self.newest = body["version"]
            elif "plan" in body and isinstance(body.get("commit"), int):
                self.index[body["commit"]] = index
                self.root[body["commit"]] = self.newest
                if isinstance(manifest := body.get("manifest"), str):
                    self.accepted.setdefault(manifest, self.newest)
