"""An incident played through: poison in, traced, taken out, the index rebuilt, and what is left.

    python benchmarks/recovery.py DATA [--documents N] [--poison 500] [--ways W...] -o result.json

DATA has corpus.jsonl, queries.jsonl, qrels.trec and attacks/poisonedrag_{blackbox,text}.jsonl. The
clean corpus is ingested as one source; the poison as another, by a gate set to hold nothing back.
Poison is question-led and text-only by turns, five passages for each question. Every attacked
question is traced with the wrong answer, at k = 10. Then one of three ways to act on it, each on a
copy of the poisoned workspace:

- `reads`: a reviewer reads what is named and what is like it, and where nothing is named what was
  retrieved, and rejects the poison among it; the questions are traced again until nothing new is
  found; what the rebuild leaves out or calls suspect is read too, and what is honest released;
- `key`: the key that signed the poison is revoked since the day it came, and what is named of its
  documents is rejected;
- `named`: nobody reads; all that is named is rejected, the honest passages too.

The index is rebuilt at the default settings. The canaries are the questions with their qrels.
Answers of the rebuilt index are compared point by point, with exact search and k = 10, with those
that the index gave before the poison came, less the honest documents that were lost. Once it is
also rebuilt with every text embedded anew; the plain script splits, embeds and stores the same
documents.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from incident import Answers, Incident, poison_rows, poisoned, retrieved, rows

from ragguard import canary
from ragguard.canary import Canaries
from ragguard.canary.sets import keep
from ragguard.ledger import cases, versions
from ragguard.lineage.trace import trace_answer
from ragguard.quarantine.hold import hold
from ragguard.quarantine.review import Action, decide
from ragguard.quarantine.revoke import blast_radius, find_target, revoke
from ragguard.rebuild.gate import canary_gate
from ragguard.rebuild.reindex import ReindexResult, reindex
from ragguard.text.minhash import shared_words
from ragguard.text.words import normalise, words
from ragguard.trust import keys
from ragguard.workspace import Workspace

WAYS = ("reads", "key", "named")
K = 10
DEEP = 200  # passages kept of each answer before the incident, so that lost ones can be struck out
LAX = 1e-9  # false-alarm rate of a gate that lets everything pass
COPY, CLOSE = 0.6, 0.95  # word overlap, cosine: a near-duplicate of a poisoned passage

log = logging.getLogger("recovery")


def answers(workspace: Workspace, queries: Mapping[str, str], k: int) -> Answers:
    """Point, document and similarity of the k nearest passages of each query, by exact search."""
    store, generation = workspace.open_store(), workspace.generation()
    if generation is None:
        raise SystemExit("no index")
    hits = store.search(generation.serving, workspace.encoder.encode(list(queries.values())), k)
    found = {i for ids in hits.ids for i in ids}
    owner = {
        p.id: f"{p.payload['ragguard']['source']}/{p.payload['ragguard']['document']}"
        for p in store.get(generation.serving, sorted(found))
    }
    return {
        query: [(i, owner[i], s) for i, s in zip(ids, similarities, strict=True)]
        for query, ids, similarities in zip(queries, hits.ids, hits.similarities, strict=True)
    }


def quality(workspace: Workspace, canaries: Canaries) -> dict[str, float]:
    """Mean measures of the canaries."""
    made = canary.run(workspace, canaries)
    means = {name: sum(v.values()) / max(1, len(v)) for name, v in made.measures.items()}
    return {**means, "queries": len(made.qrels), "qrels dropped": len(made.dropped)}


def serving(workspace: Workspace) -> set[str]:
    """Documents (`source/id`) that serve."""
    with workspace.ledger.reading() as conn:
        return set(versions.members(conn, "serving"))


def trace(
    workspace: Workspace, questions: Mapping[str, tuple[str, str]], poison: Mapping[str, str]
) -> tuple[set[str], set[str], dict[str, Any]]:
    """Trace every attacked question.

    Returns:
        Documents named responsible, what is to be read beside them, and the figures.
    """
    named: set[str] = set()
    beside: set[str] = set()
    begun, slowest = time.perf_counter(), 0.0
    for query, wrong in questions.values():
        start = time.perf_counter()
        made = trace_answer(workspace, query, wrong, K)
        slowest = max(slowest, time.perf_counter() - start)
        named.update(made.documents)
        beside.update(c.document for c in made.companions if c.similarity is not None)
        if not made.documents:
            beside.update(p.hit.document for p in made.passages)
    beside -= named
    return (
        named,
        beside,
        {
            "seconds": time.perf_counter() - begun,
            "slowest": slowest,
            "poison named": len(named & poison.keys()),
            "honest named": len(named - poison.keys()),
            "poison only beside": len(beside & poison.keys()),
            "honest beside": len(beside - poison.keys()),
        },
    )


def settle(
    workspace: Workspace, documents: set[str], key: keys.KeyPair, action: Action = "reject"
) -> int:
    """Decide the open cases of documents; returns how many."""
    with workspace.ledger.reading() as conn:
        opened = [c for c in cases.listed(conn) if f"{c.source}/{c.document}" in documents]
    for case in opened:
        decide(workspace, case, action, key, "read it")
    return len(opened)


def read_on(incident: Incident, made: ReindexResult, poison: Mapping[str, str]) -> dict[str, int]:
    """Read what a rebuild left out and what it calls suspect, and decide it."""
    left = {one.label for one in made.left if one.waits}
    suspects = {f"{v.source}/{v.id}" for v in made.suspects}
    with incident.open() as workspace:
        bad = suspects & poison.keys()
        if bad:
            hold(workspace, sorted(bad), "poison")
        rejected = settle(workspace, (left & poison.keys()) | bad, incident.bob)
        released = settle(workspace, left - poison.keys(), incident.bob, "release")
    return {"read": len(left | suspects), "rejected": rejected, "released": released}


def act(
    incident: Incident,
    way: str,
    questions: Mapping[str, tuple[str, str]],
    poison: Mapping[str, str],
    since: datetime,
) -> dict[str, Any]:
    """Trace, contain and remove in one of the three ways; see above."""
    rounds: list[dict[str, Any]] = []
    read: set[str] = set()
    while True:
        with incident.open() as workspace:
            named, beside, made = trace(workspace, questions, poison)
            rounds.append(made)
            chosen = named
            if way == "reads":
                chosen = (named | beside) & poison.keys()
                read |= named | beside
            elif way == "key":
                chosen = named & poison.keys()
                target = find_target(workspace.root, "mallory", None)
                radius = blast_radius(workspace, target, since)
                revoke(workspace, target, radius, "poison", [incident.root_key])
            if not chosen:
                break
            start = time.perf_counter()
            if way != "key":
                hold(workspace, sorted(chosen), "a wrong answer rests on it")
            made["contain"] = time.perf_counter() - start
            made["rejected"] = settle(workspace, chosen, incident.bob)
            made["reject"] = time.perf_counter() - start - made["contain"]
            log.info("%s: %s", way, made)
        if way != "reads":
            break
    return {"rounds": rounds, "honest read": len(read - poison.keys())}


def left_over(
    workspace: Workspace, poison: Mapping[str, str], texts: Sequence[str]
) -> dict[str, Any]:
    """Poison that still serves, by id, and passages that are like one of its texts."""
    there = serving(workspace)
    store, generation = workspace.open_store(), workspace.generation()
    if generation is None:
        raise SystemExit("no index")
    like: set[str] = set()
    hits = store.search(generation.serving, workspace.encoder.encode(list(texts)), 20)
    found = {i for ids in hits.ids for i in ids}
    points = {p.id: p.payload for p in store.get(generation.serving, sorted(found))}
    for text, ids, similarities in zip(texts, hits.ids, hits.similarities, strict=True):
        mine = words(normalise(text))
        for point, similarity in zip(ids, similarities, strict=True):
            theirs = words(normalise(str(points[point]["page_content"])))
            if similarity >= CLOSE or shared_words(mine, theirs) >= COPY:
                own = points[point]["ragguard"]
                like.add(f"{own['source']}/{own['document']}")
    return {
        "poison by id": len(there & poison.keys()),
        "near-duplicates of poison": len(like),
        "of them honest by id": sorted(like - poison.keys())[:20],
    }


def compared(before: Answers, after: Answers, lost: set[str]) -> dict[str, int]:
    """Queries whose first k passages are those of an index that never held the poison."""
    same = same_whole = 0
    for query, hits in before.items():
        without = [hit for hit in hits if hit[1] not in lost][:K]
        now = list(after[query][:K])
        same += _equal(without, now)
        same_whole += _equal(list(hits[:K]), now)
    return {
        "queries": len(before),
        "identical to an index never poisoned": same,
        "identical also to the complete clean one": same_whole,
    }


def _equal(one: Sequence[tuple[str, str, float]], other: Sequence[tuple[str, str, float]]) -> bool:
    # Equal similarities may stand in either order.
    keyed = [sorted((-round(s, 6), i) for i, _, s in hits) for hits in (one, other)]
    return keyed[0] == keyed[1]


def rebuilt(made: ReindexResult, poison: Mapping[str, str]) -> dict[str, Any]:
    """Figures of a rebuild."""
    left = {one.label for one in made.left}
    weak = {f"{v.source}/{v.id}" for v in made.suspects}
    return {
        "commit": made.commit,
        "stops": list(made.stops),
        "refused": list(made.refused),
        "kept": made.kept,
        "chunks": made.chunks,
        "poison left out": len(left & poison.keys()),
        "honest left out": len(left - poison.keys()),
        "poison named and kept": len(weak & poison.keys()),
        "honest named and kept": len(weak - poison.keys()),
        "by check": dict(Counter(one.findings[0].check for one in made.left)),
        "seconds": {**made.seconds, "total": sum(made.seconds.values())},
    }


def state(
    incident: Incident,
    queries: Mapping[str, str],
    canaries: Canaries,
    planted: Sequence[Mapping[str, Any]],
    honest: set[str],
    deep: Answers,
) -> dict[str, Any]:
    """What the index is worth after the incident, and what is left of the poison."""
    poison = poisoned(planted)
    relevant = {name for grades in canaries.qrels.values() for name in grades}
    with incident.open() as workspace:
        there = serving(workspace)
        now = answers(workspace, queries, K)
        lost = honest - there
        return {
            **quality(workspace, canaries),
            **retrieved(now, poison),
            **compared(deep, now, lost),
            **left_over(workspace, poison, [str(r["text"]) for r in planted]),
            "honest lost": len(lost),
            "relevant lost": len(lost & relevant),
            "poison left, first": sorted(there & poison.keys())[:20],
        }


def play(incident: Incident, asked: argparse.Namespace) -> dict[str, Any]:
    """The whole incident."""
    records = rows(asked.data / "corpus.jsonl")
    qrels: dict[str, dict[str, int]] = {}
    for line in (asked.data / "qrels.trec").read_text("utf-8").splitlines():
        query, _, name, grade = line.split()
        qrels.setdefault(query, {})[f"nq/nq.jsonl#{name}"] = int(grade)
    wanted = {name.partition("#")[2] for grades in qrels.values() for name in grades}
    if asked.documents:
        gold = [r for r in records if r["id"] in wanted]
        rest = [r for r in records if r["id"] not in wanted]
        records = gold + rest[: max(0, asked.documents - len(gold))]
    asked_for = {r["id"]: r for r in rows(asked.data / "queries.jsonl")}
    queries = {name: str(r["query"]) for name, r in asked_for.items()}
    planted = poison_rows(asked.data / "attacks", asked.poison)
    poison = poisoned(planted)
    attacked = {
        name: (queries[name], str(asked_for[name]["attacker_answer"]))
        for name in dict.fromkeys(poison.values())
    }
    canaries = Canaries(queries, qrels)
    result: dict[str, Any] = {"documents": len(records), "poison": len(planted)}

    if asked.vectors:
        incident.lend_vectors(asked.vectors)
    first = incident.bring("nq", records)
    result["ingest"] = {"counts": first.counts, "seconds": sum(first.seconds.values())}
    with incident.open() as workspace:
        keep(workspace, canaries)
        honest = serving(workspace)
        deep = answers(workspace, queries, DEEP)
        result["before"] = quality(workspace, canaries)
    log.info("before %s", result["before"])
    second = incident.bring("web", planted, false_alarm_rate=LAX)
    result["poisoning"] = {"counts": second.counts}
    since = incident.now - timedelta(hours=1)
    with incident.open() as workspace:
        result["poisoned"] = {
            **quality(workspace, canaries),
            **retrieved(answers(workspace, queries, K), poison),
            "poison serving": len(serving(workspace) & poison.keys()),
        }
    log.info("poisoned %s", result["poisoned"])
    start, day = incident.home, incident.now
    for way in asked.ways:
        incident.home, incident.now = incident.folder / way, day
        shutil.copytree(start, incident.home)
        found: dict[str, Any] = {"removal": act(incident, way, attacked, poison, since)}
        result[way] = found
        with incident.open() as workspace:
            found["removed"] = retrieved(answers(workspace, queries, K), poison)
            made = reindex(workspace, gate=canary_gate(workspace), yes=True)
            found["reindex"] = rebuilt(made, poison)
        log.info("%s: %s", way, found["reindex"])
        found["after"] = state(incident, queries, canaries, planted, honest, deep)
        log.info("%s: %s", way, found["after"])
        if way == "reads":
            found["read on"] = read_on(incident, made, poison)
            found["in the end"] = state(incident, queries, canaries, planted, honest, deep)
            log.info("%s: %s, %s", way, found["read on"], found["in the end"])
        _write(asked.output, result)
    if asked.re_embed:
        with incident.open() as workspace:
            made = reindex(workspace, re_embed=True, gate=canary_gate(workspace), yes=True)
            result["re-embed"] = rebuilt(made, poison)
            kept = serving(workspace)
        log.info("re-embed %s", result["re-embed"])
        _write(asked.output, result)
        own = [("nq/nq.jsonl", r) for r in records] + [("web/web.jsonl", r) for r in planted]
        same = [r for name, r in own if f"{name}#{r['id']}" in kept]
        result["plain"] = _plain(incident.folder / "plain.jsonl", same)
        total = result["plain"]["total"]
        result["re-embed over plain"] = result["re-embed"]["seconds"]["total"] / total
        _write(asked.output, result)
    return result


def _write(path: Path, result: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def _plain(path: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The plain pipeline of `ingest_against_plain.py` on the same documents, a fresh process."""
    path.write_text("\n".join(json.dumps(r) for r in records) + "\n", "utf-8")
    script = Path(__file__).with_name("ingest_against_plain.py")
    done = subprocess.run(
        [sys.executable, str(script), str(path), "--only", "plain"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    made: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return made


def main() -> None:
    """Play it in a temporary workspace, and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--documents", type=int, default=0, help="only so many clean ones")
    parser.add_argument("--poison", type=int, default=500)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--re-embed", action="store_true", help="and the plain script; takes long")
    parser.add_argument("--vectors", type=Path, help="a workspace with vectors of the same texts")
    parser.add_argument("--keep", type=Path, help="an empty folder to work in, left as it is")
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(message)s")
    log.setLevel(logging.INFO)
    with tempfile.TemporaryDirectory() as folder:
        _write(asked.output, play(Incident(asked.keep or Path(folder)), asked))


if __name__ == "__main__":
    main()
