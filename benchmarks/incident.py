"""A workspace, its people and its clock, for benchmarks that play an incident through."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ragguard.config import Settings
from ragguard.ingest.run import ingest
from ragguard.ingest.sign import sign
from ragguard.ledger import cases, tables
from ragguard.model import Root
from ragguard.quarantine.review import decide_cases
from ragguard.trust import amend_root, dsse, keys
from ragguard.trust import root as roots
from ragguard.workspace import Workspace, create

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TOP = 5  # an attack succeeds at retrieval when its poison is among so many passages
# Query to point, document and similarity of its passages, the nearest first.
Answers = Mapping[str, Sequence[tuple[str, str, float]]]


def rows(path: Path) -> list[dict[str, Any]]:
    """Records of a jsonl file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]


class Incident:
    """A workspace in a folder, its people, and the clock.

    Args:
        folder: Empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "w"
        self.now = NOW
        self.root_key = root_key = keys.generate("root")
        self.signers = {"nq": keys.generate("alice"), "web": keys.generate("mallory")}
        self.bob = keys.generate("bob")
        known = {root_key.public.keyid: root_key.public}
        root = Root(1, NOW, NOW + timedelta(days=365), known, tuple(known), 1, (), {}, {})
        for source, key in self.signers.items():
            root = amend_root.add(root, key.public, NOW, role="signer", source=source)
        root = amend_root.add(root, self.bob.public, NOW, role="reviewer")
        root = Root(**{**root.__dict__, "version": 1})
        pair = (root_key.public.keyid, root_key.signing_key)
        envelope = dsse.sign(roots.dump_root(root), roots.ROOT_TYPE, [pair])
        create.create(self.home, root_key, envelope, NOW)

    def open(self, **settings: Any) -> Workspace:
        """The workspace, a day later."""
        self.now += timedelta(days=1)
        return Workspace(self.home, Settings.model_validate(settings), self.now)

    def lend_vectors(self, other: Path) -> None:
        """Take over the vectors of another workspace, so that its texts are not embedded again."""
        with Workspace(other, Settings(), self.now, exclusive=False) as lender:
            with lender.ledger.reading() as conn:
                known = [dict(r._mapping) for r in conn.execute(sa.select(tables.vectors))]
            packs = {r["pack"]: lender.vault.get(r["pack"]) for r in known}
        with self.open() as workspace:
            workspace.vault.put_many(packs.values())
            with workspace.ledger.writing() as conn:
                conn.execute(sa.insert(tables.vectors), known)

    def bring(self, source: str, records: Sequence[Mapping[str, Any]], **judge: float) -> Any:
        """Sign records as one file of a source and ingest it."""
        site = self.folder / source
        site.mkdir()
        path = site / f"{source}.jsonl"
        lines = (json.dumps({"id": r["id"], "text": r["text"]}) for r in records)
        path.write_text("\n".join(lines) + "\n", "utf-8")
        made = sign(
            [path],
            root=site,
            source=source,
            key=self.signers[source],
            now=self.now,
            expires=timedelta(days=90),
        )
        manifest = self.folder / f"{source}.intoto.json"
        manifest.write_bytes(made.envelope)
        with self.open(judge=judge) as workspace:
            report = ingest(workspace, [manifest], root=site)
            if report.manifests[0].error:
                raise SystemExit(report.manifests[0].error)
            if judge and report.counts["quarantined"]:
                with workspace.ledger.reading() as conn:
                    opened = cases.listed(conn)
                held = [case for case in opened if case.opened == report.manifests[0].commit]
                decide_cases(workspace, held, "release", self.bob, "let in")
        return report


def poison_rows(folder: Path, count: int) -> list[dict[str, Any]]:
    """Five passages a question: question-led and text-only by turns."""
    led, plain = (rows(folder / f"poisonedrag_{kind}.jsonl") for kind in ("blackbox", "text"))
    made = [
        one if n % 2 == 0 else other for n, (one, other) in enumerate(zip(led, plain, strict=True))
    ]
    return made[:count]


def poisoned(planted: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Poisoned document to the question it aims at."""
    return {f"web/web.jsonl#{r['id']}": str(r["campaign"]) for r in planted}


def retrieved(found: Answers, campaigns: Mapping[str, str]) -> dict[str, float]:
    """How far the attacks get at retrieval; `campaigns`: poisoned document to its question."""
    own = [
        sum(campaigns.get(document) == query for _, document, _ in hits[:TOP])
        for query, hits in found.items()
        if query in campaigns.values()
    ]
    return {
        "attacked questions": len(own),
        f"share with poison in the top {TOP}": sum(n > 0 for n in own) / max(1, len(own)),
        f"poisoned passages in the top {TOP}": sum(own) / max(1, len(own)),
    }
