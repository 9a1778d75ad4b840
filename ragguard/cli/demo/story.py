"""Tell the demo's story, step by step, on the shipped corpus; real keys, index and verdicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from ragguard import config
from ragguard.config import Settings
from ragguard.detect import scoring
from ragguard.errors import UsageError
from ragguard.ingest.report import Report
from ragguard.ingest.run import ingest
from ragguard.ingest.sign import read_metadata, sign
from ragguard.ledger import cases
from ragguard.lineage.trace import trace_answer
from ragguard.model import Progress, Root, Verdict
from ragguard.quarantine.hold import hold
from ragguard.quarantine.review import decide_cases
from ragguard.trust import amend_root, dsse, files, keys
from ragguard.trust import root as roots
from ragguard.trust.manifest import LastAccepted
from ragguard.workspace import Workspace, create

SOURCE = "handbook"
QUESTION = "my bag with the laptop got nicked on the train at 9pm, who do I ring and how fast"
# What somebody was answered from a document that the gate let in.
WRONGLY = "A customer's bug only shows up with their data. May I load a copy of it into staging?"
# Pages of the handbook that answer the one and the other.
ANSWERS_IT = ("it/lost-or-stolen-device.md", "engineering/test-environments.html")
ANSWER = "Yes, production data may be loaded into staging for up to 14 days."
# A handbook of 132 documents can say what one in a hundred of them does, not what one in 500 does.
SETTINGS = """\
# Of the demo: a small handbook says what is usual in it at this rate. The defaults need more of it.

[judge]
false_alarm_rate = 0.01
least_documents = 100
"""


def shipped_corpus() -> Path:
    """Folder of the shipped corpora.

    Raises:
        UsageError: Not installed with this copy.
    """
    here = Path(__file__).resolve().parents[2]
    for folder in (here / "corpora", here.parent / "corpora"):
        if (folder / "handbook/v1").is_dir():
            return folder
    raise UsageError("the sample corpora are not installed with this copy of ragguard")


@dataclass
class Story:
    """The demo's workspace and cast.

    Attributes:
        alice: Signs for the handbook; her key gets stolen.
        bob: Reviews.
        labels: Family of each poisoned document, by file name.
    """

    folder: Path
    corpus: Path
    now: datetime
    alice: keys.KeyPair
    bob: keys.KeyPair
    labels: Mapping[str, str]
    last: LastAccepted | None = None
    honest: list[str] = field(default_factory=list)


def begin(folder: Path, now: datetime) -> Story:
    """Make a workspace in an empty folder, with a signer and a reviewer.

    Args:
        folder: Made when missing.
    """
    corpus = shipped_corpus()
    root_key = keys.generate("root")
    alice, bob = keys.generate("alice"), keys.generate("bob")
    root = Root(
        1,
        now,
        now + timedelta(days=365),
        {root_key.public.keyid: root_key.public},
        (root_key.public.keyid,),
        1,
        (),
        {},
        {},
    )
    root = amend_root.add(root, alice.public, now, role="signer", source=SOURCE)
    root = amend_root.add(root, bob.public, now, role="reviewer")
    root = Root(**{**root.__dict__, "version": 1})
    envelope = dsse.sign(
        roots.dump_root(root), roots.ROOT_TYPE, [(root_key.public.keyid, root_key.signing_key)]
    )
    create.create(folder, root_key, envelope, now, settings=SETTINGS)
    for pair in (alice, bob):
        name = pair.public.principal
        files.write_private(folder / f"keys/{name}.key", keys.dump_private(pair, None))
        files.replace_file(folder / f"keys/{name}.pub", keys.dump_public(pair.public))
    lines = (corpus / "poison/labels.jsonl").read_text("utf-8").splitlines()
    labels = {row["id"]: row["family"] for row in map(json.loads, lines)}
    honest = sorted(name for name, family in labels.items() if family.startswith("honest"))
    return Story(folder, corpus, now, alice, bob, labels, honest=honest)


def open_story(story: Story) -> Workspace:
    """Return the demo's workspace, open."""
    return Workspace(story.folder, config.load(story.folder / config.FILE, {}), story.now)


def by_default() -> tuple[float, int]:
    """Rate that a workspace asks by default, and how many documents it needs for it."""
    judge = Settings().judge
    return judge.false_alarm_rate, scoring.needed(judge.least_documents, judge.false_alarm_rate)


def alone(verdict: Verdict, report: Report) -> bool:
    """Tell whether a held document is wrong by itself, whatever the index is like.

    No comparison with an index gives a p-value below the smallest it can promise.
    """
    return (
        verdict.outcome == "quarantine"
        and verdict.p_value is not None
        and verdict.p_value < round(report.promised, 6)
    )


def sign_folder(story: Story, root: Path, metadata: Path, key: keys.KeyPair, name: str) -> Path:
    """Sign everything below a folder as an addition to the source; returns the manifest's path."""
    signed = sign(
        [root],
        root=root,
        source=SOURCE,
        key=key,
        now=story.now,
        expires=timedelta(days=90),
        previous=story.last,
        mode="delta",
        metadata=read_metadata(metadata),
    )
    path = story.folder / name
    files.replace_file(path, signed.envelope)
    if key is story.alice:
        story.last = LastAccepted(signed.manifest.version, signed.manifest.digest)
    return path


def bring_handbook(story: Story, workspace: Workspace, progress: Progress) -> Report:
    """Return the honest batch: the handbook, signed by alice."""
    root = story.corpus / "handbook/v1"
    path = sign_folder(
        story, root, story.corpus / "handbook/metadata.json", story.alice, "handbook.intoto.json"
    )
    return ingest(workspace, [path], root=root, progress=progress)


def bring_poison(story: Story, workspace: Workspace, progress: Progress) -> Report:
    """Bring the poisoned batch, signed with alice's stolen key: its signature is good."""
    root = story.corpus / "poison/documents"
    path = sign_folder(
        story, root, story.corpus / "poison/metadata.json", story.alice, "poison.intoto.json"
    )
    return ingest(workspace, [path], root=root, progress=progress)


def ask_unguarded(workspace: Workspace) -> list[tuple[float, str, str]]:
    """Tell what an index would answer that took everything in: similarity, document, text."""
    generation = workspace.generation()
    if generation is None:
        return []
    store, vector = workspace.open_store(), workspace.encoder.encode([QUESTION])
    passages: list[tuple[float, str, str]] = []
    for name in (generation.serving, generation.quarantine):
        hits = store.search(name, vector, 3)
        points = {p.id: p for p in store.get(name, hits.ids[0])}
        for point, similarity in zip(hits.ids[0], hits.similarities[0], strict=True):
            payload = points[point].payload
            passages.append(
                (similarity, str(payload["ragguard"]["document"]), str(payload["page_content"]))
            )
    return sorted(passages, reverse=True)[:3]


def review(story: Story, workspace: Workspace) -> tuple[list[str], int]:
    """Bob releases what is honest and rejects the rest.

    Returns:
        Documents released, number of documents rejected.
    """
    with workspace.ledger.reading() as conn:
        waiting = [c for c in cases.listed(conn) if c.document in story.labels]
    released = [case for case in waiting if case.document in story.honest]
    rejected = [case for case in waiting if case not in released]
    decide_cases(workspace, rejected, "reject", story.bob, "poison: contradicts the handbook")
    if released:
        reason = "an awareness page; it quotes attacks"
        decide_cases(workspace, released, "release", story.bob, reason)
    return [case.document for case in released], len(rejected)


def trace_and_hold(workspace: Workspace) -> list[str]:
    """Tell what the wrong answer rests on leaves the index; returns the documents (`source/id`)."""
    named = trace_answer(workspace, WRONGLY, ANSWER).documents
    hold(workspace, named, "a wrong answer rests on it")
    return named


def read_held(story: Story, workspace: Workspace, named: Sequence[str]) -> tuple[int, int]:
    """Bob reads what was held: how many he rejects, and how many honest ones he releases."""
    with workspace.ledger.reading() as conn:
        held = [c for c in cases.listed(conn) if c.label in named]
    poison = [c for c in held if c.document in story.labels and c.document not in story.honest]
    cleared = [c for c in held if c not in poison]
    reason = "read after a wrong answer"
    if poison:
        decide_cases(workspace, poison, "reject", story.bob, reason)
    if cleared:
        decide_cases(workspace, cleared, "release", story.bob, reason)
    return len(poison), len(cleared)
