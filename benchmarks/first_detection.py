"""What the gate does with attacks of others on an index of others: a first, honest look.

    python benchmarks/first_detection.py DATA --output result.json

DATA is a folder with nq/corpus.jsonl and nq/attacks/*.jsonl, nq_whitebox/attacks/*.jsonl,
injection/strings.jsonl and injection/carrier_emails.jsonl. Nine tenths of the corpus (drawn at
random, seeded) are ingested into an empty index; what is quarantined of them is released, as a
reviewer would. Then, for each family, a batch of the remaining honest tenth and all attack
documents arrives (dry run, so that families do not meet). Nothing is fitted to these attacks: the
reference is the index itself.
Intervals: 95 %, bootstrapped by campaign; for honest documents Wilson.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ragguard import workspace as workspaces
from ragguard.config import Settings
from ragguard.ingest import ingest
from ragguard.ledger import cases
from ragguard.model import Root
from ragguard.review import decide
from ragguard.sign import sign
from ragguard.trust import amend, keys, policy, signing
from ragguard.trust.manifest import Accepted
from ragguard.workspace import Workspace

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    """Rows of a JSON lines file that have text."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    return [r for r in rows if r.get("text", "").strip()]


def families(data: Path, seed: int) -> dict[str, list[Row]]:
    """Attack documents by family."""
    found = {p.stem: read(p) for p in sorted((data / "nq/attacks").glob("*.jsonl"))}
    found |= {p.stem: read(p) for p in sorted((data / "nq_whitebox/attacks").glob("*.jsonl"))}
    rng = random.Random(seed)
    carriers = read(data / "injection/carrier_emails.jsonl")
    planted = []
    for number, row in enumerate(read(data / "injection/strings.jsonl")):
        carrier = carriers[number % len(carriers)]["text"]
        places = [0, len(carrier), carrier.find(" ", len(carrier) // 2)]
        at = places[rng.randrange(3)]
        text = f"{carrier[:at]}\n{row['text']}\n{carrier[at:]}"
        planted.append({"id": f"planted-{number}", "text": text, "campaign": row["category"]})
    found["injection_in_emails"] = planted
    found["emails_alone (honest)"] = [{**c, "campaign": c["id"]} for c in carriers]
    return found


class World:
    """A workspace and its signer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root_key, self.alice, self.bob = (keys.generate(n) for n in ("root", "alice", "bob"))
        known = {self.root_key.public.keyid: self.root_key.public}
        root = Root(1, NOW, NOW + timedelta(days=99), known, tuple(known), 1, (), {}, {})
        root = amend.add(root, self.alice.public, NOW, role="signer", source="wiki")
        root = amend.add(root, self.bob.public, NOW, role="reviewer")
        root = Root(**{**root.__dict__, "version": 1})
        pair = (self.root_key.public.keyid, self.root_key.signing_key)
        envelope = signing.sign(policy.dump_root(root), policy.ROOT_TYPE, [pair])
        workspaces.create(folder / "w", self.root_key, envelope, NOW)
        self.last: Accepted | None = None

    def bring(self, workspace: Workspace, rows: list[Row], name: str, *, dry: bool) -> Any:
        """Sign rows as a record file and bring them in."""
        site = self.folder / name
        site.mkdir(exist_ok=True)
        lines = [json.dumps({"id": str(r["id"]), "text": r["text"]}) for r in rows]
        (site / f"{name}.jsonl").write_text("\n".join(lines), "utf-8")
        made = sign(
            [site],
            root=site,
            source="wiki",
            key=self.alice,
            now=NOW,
            expires=timedelta(days=9),
            previous=self.last,
            mode="delta",
        )
        path = self.folder / f"{name}.intoto.json"
        path.write_bytes(made.envelope)
        if not dry:
            self.last = Accepted(made.manifest.version, made.manifest.digest)
        report = ingest(workspace, [path], root=site, dry_run=dry)
        if report.manifests[0].error:
            raise SystemExit(report.manifests[0].error)
        return report


def by_campaign(rows: list[Row], stopped: dict[str, bool], seed: int = 0) -> Row:
    """Share stopped by document and by campaign (all of its documents), with intervals."""
    groups: dict[str, list[bool]] = {}
    for row in rows:
        groups.setdefault(str(row.get("campaign", row["id"])), []).append(stopped[str(row["id"])])
    rng = random.Random(seed)
    names = list(groups)
    share, whole = [], []
    for _ in range(1000):
        drawn = [groups[names[rng.randrange(len(names))]] for _ in names]
        flat = [x for g in drawn for x in g]
        share.append(sum(flat) / len(flat))
        whole.append(sum(all(g) for g in drawn) / len(drawn))
    share.sort()
    whole.sort()
    every = [x for g in groups.values() for x in g]
    return {
        "documents": len(every),
        "campaigns": len(groups),
        "quarantined": sum(every),
        "admitted": len(every) - sum(every),
        "detection": round(sum(every) / len(every), 4),
        "interval": [round(share[24], 4), round(share[974], 4)],
        "campaigns wholly stopped": round(sum(all(g) for g in groups.values()) / len(groups), 4),
        "campaigns touched": round(sum(any(g) for g in groups.values()) / len(groups), 4),
    }


def wilson(hits: int, of: int) -> list[float]:
    """95 % interval of a share."""
    z, p = 1.96, hits / of
    middle = (p + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return [round(middle - half, 4), round(middle + half, 4)]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only families whose name contains this")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    corpus = read(options.data / "nq/corpus.jsonl")
    random.Random(options.seed).shuffle(corpus)
    tenth = len(corpus) // 10
    held, indexed = corpus[:tenth], corpus[tenth:]
    result: Row = {"seed": options.seed, "indexed": len(indexed), "held back": tenth}
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        with Workspace(Path(folder) / "w", Settings(), NOW) as workspace:
            report = world.bring(workspace, indexed, "indexed", dry=False)
            counts = report.counts
            share = counts["quarantined"] / len(indexed)
            result["first import"] = {
                **counts,
                "profile": report.profile,
                "quarantined share": round(share, 4),
                "interval": wilson(counts["quarantined"], len(indexed)),
            }
            sys.stderr.write(f"first import {result['first import']}\n")
            with workspace.ledger.reading() as conn:
                waiting = cases.listed(conn)
            for case in waiting:
                decide(workspace, case, "release", world.bob, "honest")
            result["families"] = {}
            batches: dict[str, list[Row]] = {"none (honest alone)": []}
            batches |= families(options.data, options.seed)
            for name, rows in batches.items():
                if options.only not in name:
                    continue
                start = time.perf_counter()
                report = world.bring(workspace, held + rows, name.split(" ")[0], dry=True)
                stopped = {v.id.partition("#")[2]: v.outcome != "admit" for v in report.documents}
                checks = {
                    v.id.partition("#")[2]: v.findings[0].check if v.findings else ""
                    for v in report.documents
                }
                honest = sum(stopped[str(r["id"])] for r in held)
                found: Row = by_campaign(rows, stopped) if rows else {}
                found["first finding"] = dict(
                    Counter(
                        checks[str(r["id"])] for r in rows if stopped[str(r["id"])]
                    ).most_common(4)
                )
                found["honest quarantined"] = honest
                found["honest share"] = round(honest / len(held), 4)
                found["honest interval"] = wilson(honest, len(held))
                found["profile"] = report.profile
                found["seconds"] = round(time.perf_counter() - start, 1)
                result["families"][name] = found
                sys.stderr.write(f"{name}: {found}\n")
    text = json.dumps(result, indent=1)
    if options.output:
        options.output.write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
