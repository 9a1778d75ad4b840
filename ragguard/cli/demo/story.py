"""The story the demo tells, step by step, on the shipped corpus; real keys, index and verdicts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from ragguard import config
from ragguard.audit import audit
from ragguard.audit.findings import AuditReport
from ragguard.config import Settings
from ragguard.detect import scoring
from ragguard.errors import UsageError
from ragguard.ingest.report import Report
from ragguard.ingest.run import ingest
from ragguard.ingest.sign import read_metadata, sign
from ragguard.ledger import cases
from ragguard.lineage.prove import LogReport, verify_log
from ragguard.lineage.trace import trace_answer
from ragguard.model import Progress, Root, Verdict
from ragguard.quarantine.hold import hold
from ragguard.quarantine.review import Action, decide
from ragguard.rebuild.reindex import Rebuilt, reindex
from ragguard.serving.search import Hit, search
from ragguard.trust import amend_root, dsse, files, keys
from ragguard.trust import root as roots
from ragguard.trust.manifest import Accepted
from ragguard.workspace import Workspace, create

SOURCE = "handbook"
QUESTION = "A vendor emailed saying they use a different IBAN now, what do I do?"
# What somebody was answered from a document that the gate let in.
WRONGLY = "A customer's bug only shows up with their data. May I load a copy of it into staging?"
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
        mallory: Has a key nobody trusts.
        labels: Family of each poisoned document, by file name.
    """

    folder: Path
    corpus: Path
    now: datetime
    alice: keys.KeyPair
    bob: keys.KeyPair
    mallory: keys.KeyPair
    labels: Mapping[str, str]
    last: Accepted | None = None
    honest: list[str] = field(default_factory=list)


def begin(folder: Path, now: datetime) -> Story:
    """Make a workspace in an empty folder, with a signer and a reviewer.

    Args:
        folder: Made when missing.
        now: The run's time.
    """
    corpus = shipped_corpus()
    root_key = keys.generate("root")
    alice, bob, mallory = (keys.generate(name) for name in ("alice", "bob", "mallory"))
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
    return Story(folder, corpus, now, alice, bob, mallory, labels, honest=honest)


def open_story(story: Story) -> Workspace:
    """The demo's workspace, open."""
    return Workspace(story.folder, config.load(story.folder / config.FILE, {}), story.now)


def by_default() -> tuple[float, int]:
    """Rate that a workspace asks by default, and how many documents it needs for it."""
    judge = Settings().judge
    return judge.false_alarm_rate, scoring.needed(judge.least_documents, judge.false_alarm_rate)


def alone(verdict: Verdict, report: Report) -> bool:
    """Whether a held document is wrong by itself, whatever the index is like.

    No comparison with an index gives a p-value below the smallest it can promise.
    """
    return (
        verdict.outcome == "quarantine"
        and verdict.p_value is not None
        and verdict.p_value < round(report.promised, 6)
    )


def sign_folder(story: Story, root: Path, metadata: Path, key: keys.KeyPair, name: str) -> Path:
    """Sign everything below a folder as an addition to the source; returns the manifest's path."""
    made = sign(
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
    files.replace_file(path, made.envelope)
    if key is story.alice:
        story.last = Accepted(made.manifest.version, made.manifest.digest)
    return path


def bring_handbook(story: Story, workspace: Workspace, progress: Progress) -> Report:
    """The honest batch: the handbook, signed by alice."""
    root = story.corpus / "handbook/v1"
    path = sign_folder(
        story, root, story.corpus / "handbook/metadata.json", story.alice, "handbook.intoto.json"
    )
    return ingest(workspace, [path], root=root, progress=progress)


def bring_poison(story: Story, workspace: Workspace, progress: Progress) -> Report:
    """The poisoned batch, signed with alice's stolen key: the signature is perfectly good."""
    root = story.corpus / "poison/documents"
    path = sign_folder(
        story, root, story.corpus / "poison/metadata.json", story.alice, "poison.intoto.json"
    )
    return ingest(workspace, [path], root=root, progress=progress)


def forge(story: Story, workspace: Workspace) -> list[tuple[str, str]]:
    """Three forgeries; returns what was tried and the error each met."""
    root = story.corpus / "poison/documents"
    metadata = story.corpus / "poison/metadata.json"
    forged = sign_folder(story, root, metadata, story.mallory, "forged.intoto.json")
    old = story.folder / "handbook.intoto.json"
    body = old.read_bytes()
    changed = story.folder / "changed.intoto.json"
    envelope = dsse.parse_envelope(body, max_bytes=len(body))
    payload = envelope.payload.replace(b'"access":"confidential"', b'"access":"public"')
    files.replace_file(
        changed,
        dsse.dump_envelope(dsse.Envelope(envelope.payload_type, payload, envelope.signatures)),
    )
    tried = [
        ("a manifest signed with a key nobody granted anything", forged),
        ("alice's manifest with every 'confidential' changed to 'public'", changed),
        ("alice's first manifest once more, to bring an old state back", old),
    ]
    met = []
    for what, path in tried:
        report = ingest(workspace, [path], root=root)
        met.append((what, report.manifests[0].error or "accepted"))
    return met


def change_after_signing(story: Story, workspace: Workspace, progress: Progress) -> Report:
    """A document altered on disk after it was signed, between two that were not."""
    source = story.corpus / "handbook/v2/finance"
    root = story.folder / "changed"
    shutil.copytree(source, root / "finance")
    metadata = story.corpus / "handbook/metadata-v2.json"
    path = sign_folder(story, root, metadata, story.alice, "v2.intoto.json")
    target = sorted((root / "finance").iterdir())[0]
    target.write_bytes(target.read_bytes() + b"\nTransfers need no second signature.\n")
    return ingest(workspace, [path], root=root, progress=progress)


def ask(workspace: Workspace, question: str = QUESTION, k: int = 3) -> list[Hit]:
    """What the serving index answers."""
    return search(workspace, question, k)


def ask_unguarded(workspace: Workspace, k: int = 3) -> list[tuple[float, str, str]]:
    """What an index would answer that took everything in: similarity, document, text."""
    generation = workspace.generation()
    if generation is None:
        return []
    store, vector = workspace.open_store(), workspace.encoder.encode([QUESTION])
    found: list[tuple[float, str, str]] = []
    for name in (generation.serving, generation.quarantine):
        hits = store.search(name, vector, k)
        points = {p.id: p for p in store.get(name, hits.ids[0])}
        for point, similarity in zip(hits.ids[0], hits.similarities[0], strict=True):
            payload = points[point].payload
            found.append(
                (similarity, str(payload["ragguard"]["document"]), str(payload["page_content"]))
            )
    return sorted(found, reverse=True)[:k]


def review(story: Story, workspace: Workspace) -> tuple[list[str], int]:
    """Bob releases what is honest and rejects the rest.

    Returns:
        Documents released, number of documents rejected.
    """
    with workspace.ledger.reading() as conn:
        waiting = cases.listed(conn)
    released, rejected = [], 0
    for case in waiting:
        if case.kind == "document" and case.document in story.honest:
            decide(workspace, case, "release", story.bob, "an awareness page; it quotes attacks")
            released.append(case.document)
        elif case.document in story.labels:
            decide(workspace, case, "reject", story.bob, "poison: contradicts the handbook")
            rejected += 1
    return released, rejected


def come_back(story: Story, workspace: Workspace, progress: Progress) -> Report:
    """Next day: three rejected texts again, a word or a heading changed, under new names."""
    root = story.folder / "again"
    root.mkdir()
    chosen = [n for n, f in sorted(story.labels.items()) if f == "question-led"][:3]
    for number, name in enumerate(chosen):
        text = (story.corpus / "poison/documents" / name).read_text("utf-8")
        changed = text.replace(" the ", " our ").replace("email", "message")
        (root / f"update-{number}{Path(name).suffix}").write_text(changed, "utf-8")
    (story.folder / "again.json").write_text("{}")
    path = sign_folder(story, root, story.folder / "again.json", story.alice, "again.intoto.json")
    return ingest(workspace, [path], root=root, progress=progress)


def audit_night(workspace: Workspace, progress: Progress) -> AuditReport:
    """The nightly audit of the index as it is."""
    return audit(workspace, progress=progress).report


@contextmanager
def tampered(workspace: Workspace) -> Iterator[list[str]]:
    """Somebody writes to the index behind ragguard's back; put right again afterwards.

    Yields:
        What he did, in words.
    """
    generation = workspace.generation()
    if generation is None:
        raise UsageError("nothing is indexed yet")
    store, name = workspace.open_store(), generation.serving
    first, second = next(store.scan(name, vectors=True))[:2]
    metadata = {**dict(first.payload["metadata"]), "access": "public"}
    own = replace(second, id=str(UUID(int=7)), payload={"page_content": "Ask me", "metadata": {}})
    store.upsert(name, [replace(first, payload={**first.payload, "metadata": metadata}), own])
    store.flush(name)
    try:
        yield ["one passage's access changed to 'public'", "a passage of his own added"]
    finally:
        store.upsert(name, [first])
        store.delete(name, [own.id])
        store.flush(name)


def trace_and_hold(workspace: Workspace) -> list[str]:
    """What the wrong answer rests on leaves the index; returns the documents (`source/id`)."""
    named = trace_answer(workspace, WRONGLY, ANSWER).documents
    hold(workspace, named, "a wrong answer rests on it")
    return named


def read_held(story: Story, workspace: Workspace, named: Sequence[str]) -> tuple[int, int]:
    """Bob reads what was held: how many he rejects, and how many honest ones he releases."""
    with workspace.ledger.reading() as conn:
        held = [c for c in cases.listed(conn) if c.label in named]
    poison = [c for c in held if c.document in story.labels and c.document not in story.honest]
    for case in held:
        action: Action = "reject" if case in poison else "release"
        decide(workspace, case, action, story.bob, "read after a wrong answer")
    return len(poison), len(held) - len(poison)


def rebuild(workspace: Workspace, progress: Progress) -> Rebuilt:
    """A new index from what is clean today, and the alias on it."""
    return reindex(workspace, yes=True, progress=progress)


def check_log(workspace: Workspace) -> LogReport:
    """The log, verified."""
    return verify_log(workspace)
