"""Proof bundles: a stranger verifies how a document came in, and nothing else can be made of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ragguard.errors import IntegrityError, LogError, UsageError
from ragguard.ledger import log
from ragguard.lineage.prove import prove, verify_bundle, verify_log
from ragguard.model import PublicKey
from ragguard.quarantine.review import decide
from ragguard.trust import keys, signed_note
from ragguard.trust.canonical import digest_bytes
from tests.support.json_places import places, replaced
from tests.support.simulator import HONEST, SUSPECT, Gate

RECORDS = '{"id": "7", "text": "The lift is repaired on Fridays.", "metadata": {"label": "x"}}'


@dataclass(frozen=True)
class Made:
    """Bundles of a small site, and what a stranger is given to verify them."""

    bundles: dict[str, dict[str, Any]]
    log_key: str
    signers: dict[str, PublicKey]
    points: dict[str, str]
    size: int
    head: str

    def check(self, body: Any, **changes: Any) -> dict[str, Any]:
        options = {"log_key": self.log_key, "signers": self.signers, **changes}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return verify_bundle(data, **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    gate = Gate(tmp_path_factory.mktemp("prove"))
    texts = {"leave.md": HONEST["leave.md"], "tickets.jsonl": RECORDS, "safe.md": SUSPECT}
    gate.publish({**texts, "broken.docx": b"no archive"})
    (case,) = gate.cases()
    decide(gate.workspace, case, "release", gate.bob, "a drill")
    workspace = gate.workspace
    points = {p["ragguard"]["document"]: point for point, p in gate.points().items()}
    names = {"leave.md", "tickets.jsonl#7", "safe.md", "broken.docx"}
    bundles = {name: prove(workspace, f"wiki/{name}") for name in names}
    bundles["point"] = prove(workspace, points["leave.md"])
    with workspace.ledger.reading() as conn:
        size, head = log.kept_checkpoints(conn)[-1]
    signers = {gate.alice.public.keyid: gate.alice.public}
    yield Made(bundles, workspace.log_key, signers, points, size, head)
    gate.close()


# --- what a bundle says ---------------------------------------------------------------------------


def test_a_document_is_proved_from_the_signed_manifest_to_the_checkpoint(made: Made) -> None:
    assert made.check(made.bundles["leave.md"]) == {
        "document": "wiki/leave.md",
        "digest": digest_bytes(HONEST["leave.md"].encode()),
        "outcome": "admit",
        "acts": [{"act": "ingest", "commit": 1, "at": "2026-03-01T12:00:00Z", "actor": "alice"}],
        "log": signed_note.parse_verifier_key(made.log_key)[0],
        "size": made.size,
        "signed_by": ["alice"],
    }


def test_a_point_is_proved_as_its_document(made: Made) -> None:
    assert made.bundles["point"] == made.bundles["leave.md"]


def test_a_record_is_proved_by_the_file_it_is_in(made: Made) -> None:
    said = made.check(made.bundles["tickets.jsonl#7"])
    assert said["document"] == "wiki/tickets.jsonl#7"
    assert said["digest"] == digest_bytes(b"The lift is repaired on Fridays.")
    assert made.bundles["tickets.jsonl#7"]["subject"] == "tickets.jsonl"


def test_a_released_document_is_proved_with_both_acts(made: Made) -> None:
    said = made.check(made.bundles["safe.md"])
    assert [(a["act"], a["commit"], a["actor"]) for a in said["acts"]] == [
        ("ingest", 1, "alice"),
        ("release", 2, "bob"),
    ]
    assert said["outcome"] == "released"


def test_a_rejected_document_is_proved_to_have_been_rejected(made: Made) -> None:
    assert made.check(made.bundles["broken.docx"])["outcome"] == "reject"


def test_keys_that_did_not_sign_are_not_named(made: Made) -> None:
    mallory = keys.generate("mallory").public
    leave = made.bundles["leave.md"]
    assert made.check(leave, signers={})["signed_by"] == []
    assert made.check(leave, signers={mallory.keyid: mallory})["signed_by"] == []


def test_a_document_that_came_in_with_the_second_try_is_proved(gate: Gate) -> None:
    path = gate.publisher.publish({n: HONEST[n] for n in ("leave.md", "visitors.md")})
    leave = gate.publisher.folder / "leave.md"
    leave.write_text("not what was signed")
    assert gate.ingest(path).exit_code == 3
    leave.write_text(HONEST["leave.md"])
    assert gate.ingest(path).exit_code == 0
    bundle = json.dumps(prove(gate.workspace, "wiki/leave.md")).encode()
    signers = {gate.alice.public.keyid: gate.alice.public}
    said = verify_bundle(bundle, gate.workspace.log_key, signers)
    assert (said["outcome"], said["signed_by"]) == ("admit", ["alice"])
    assert [a["commit"] for a in said["acts"]] == [2]
    assert verify_log(gate.workspace).problems == []


@pytest.mark.parametrize("what", ["wiki/nothing.md", "hr/leave.md", "leave.md", "0" * 36, ""])
def test_what_was_never_committed_cannot_be_proved(gate: Gate, what: str) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    with pytest.raises(UsageError, match="no such point or document") as caught:
        prove(gate.workspace, what)
    assert "source/document" in caught.value.hint


# --- what cannot be made of it --------------------------------------------------------------------


ODD = (None, True, 0, -1, 10**19, 1.5, "", "x", "ab" * 32, [], ["a"], {}, {"a": 1}, [[]])


@pytest.mark.parametrize("name", ["leave.md", "safe.md", "tickets.jsonl#7"])
def test_no_replaced_part_of_a_bundle_proves_anything_else(made: Made, name: str) -> None:
    honest = made.bundles[name]
    wanted = made.check(honest)
    refused = 0
    for path in places(honest):
        for odd in ODD:
            try:
                said = made.check(replaced(honest, path, odd))
            except IntegrityError:
                refused += 1
                continue
            assert said == wanted, (path, odd)
    assert refused > 300


@pytest.mark.parametrize(
    ("path", "change"),
    [
        pytest.param(("links", 0, "document", "digest"), "00" * 32, id="digest"),
        pytest.param(("links", 0, "document", "outcome"), "reject", id="outcome"),
        pytest.param(("links", 0, "document", "document"), "visitors.md", id="name"),
        pytest.param(("links", 0, "entry", "actor"), "bob", id="actor"),
        pytest.param(("links", 0, "entry", "at"), "2020-01-01T00:00:00Z", id="time"),
        pytest.param(("links", 0, "document_index"), 99, id="place"),
        pytest.param(("links", 0, "entry_index"), 0, id="place-in-log"),
        pytest.param(("links",), [], id="no-links"),
        pytest.param(("subject",), "tickets.jsonl", id="other-file"),
        pytest.param(("subject",), "nothing.md", id="unlisted-file"),
        pytest.param(("subject_digest",), "00" * 32, id="file-digest"),
        pytest.param(("format",), "ragguard-proof-v2", id="format"),
    ],
)
def test_a_bundle_that_claims_something_else_is_refused(
    made: Made, path: tuple[Any, ...], change: Any
) -> None:
    with pytest.raises(LogError, match="bundle: "):
        made.check(replaced(made.bundles["leave.md"], path, change))


def test_a_record_file_cannot_stand_for_another_file(made: Made) -> None:
    other = made.bundles["tickets.jsonl#7"]
    mixed = {**made.bundles["leave.md"]}
    mixed.update({k: other[k] for k in ("subject", "subject_digest")})
    with pytest.raises(LogError, match="digest is not the one the manifest signs"):
        made.check(mixed)


def test_links_about_different_documents_are_refused(made: Made) -> None:
    links = [made.bundles["leave.md"]["links"][0], made.bundles["safe.md"]["links"][1]]
    with pytest.raises(LogError, match="different documents"):
        made.check({**made.bundles["leave.md"], "links": links})


def test_the_manifest_of_another_commit_is_refused(made: Made, gate: Gate) -> None:
    other = base64.b64encode(gate.publisher.publish({"a.md": "a"}).read_bytes()).decode()
    with pytest.raises(LogError, match="not the one the entry logs"):
        made.check({**made.bundles["leave.md"], "manifest": other})


def test_another_log_proves_nothing_here(made: Made, gate: Gate) -> None:
    with pytest.raises(LogError, match="not signed by"):
        made.check(made.bundles["leave.md"], log_key=gate.workspace.log_key)
    with gate.workspace.ledger.reading() as conn:
        _, other = log.kept_checkpoints(conn)[-1]
    with pytest.raises(LogError, match="not signed by"):
        made.check({**made.bundles["leave.md"], "checkpoint": other})


@pytest.mark.parametrize("key", ["", "x", "a+b+c", "name+00000000+AAAA"])
def test_what_is_no_log_key_is_refused(made: Made, key: str) -> None:
    with pytest.raises(LogError, match="verifier key"):
        made.check(made.bundles["leave.md"], log_key=key)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"5", b"\xff", b"[" * 100 + b"]" * 100])
def test_what_is_no_bundle_is_refused(made: Made, data: bytes) -> None:
    with pytest.raises(LogError, match="bundle: malformed"):
        made.check(data)


# --- since a checkpoint ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Grown:
    """Bundles of a log that a stranger kept older checkpoints of."""

    notes: list[str]
    bundles: list[dict[str, Any]]  # one since each of the notes
    forged: str  # as old as the first, by the same key, of other entries
    made: Made


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    gate = Gate(tmp_path_factory.mktemp("since"))
    for name in ("leave.md", "laptops.md", "invoices.md"):
        gate.publish({name: HONEST[name]})
    workspace = gate.workspace
    with workspace.ledger.reading() as conn:
        kept = log.kept_checkpoints(conn)
    notes = [note for _, note in kept]
    bundles = [prove(workspace, "wiki/leave.md", note) for note in notes]
    other = signed_note.Checkpoint(workspace.origin, kept[0][0], b"x" * 32)
    forged = workspace.sign_note(signed_note.checkpoint_text(other))
    signers = {gate.alice.public.keyid: gate.alice.public}
    made = Made({}, workspace.log_key, signers, {}, kept[-1][0], notes[-1])
    yield Grown(notes, bundles, forged, made)
    gate.close()


def test_a_bundle_shows_that_its_log_grew_out_of_a_checkpoint(grown: Grown) -> None:
    pairs = zip(grown.bundles, grown.notes, strict=True)
    sizes = [grown.made.check(bundle, expect=note)["since"] for bundle, note in pairs]
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == grown.made.size
    assert "since" not in grown.made.check(grown.bundles[0])
    bare = {k: v for k, v in grown.bundles[0].items() if k != "since"}
    assert grown.made.check(bare, expect=grown.notes[-1])["since"] == grown.made.size


def test_a_bundle_that_leads_from_another_checkpoint_is_refused(grown: Grown) -> None:
    bare = {k: v for k, v in grown.bundles[0].items() if k != "since"}
    for bundle in (bare, grown.bundles[1]):
        with pytest.raises(LogError, match="nothing in it leads from") as caught:
            grown.made.check(bundle, expect=grown.notes[0])
        assert "log prove" in caught.value.hint


def test_a_log_that_was_rewritten_below_a_checkpoint_is_refused(grown: Grown) -> None:
    with pytest.raises(LogError, match="truncated or rewritten"):
        grown.made.check(grown.bundles[0], expect=grown.forged)
    proof = grown.bundles[0]["since"]["proof"]
    for wrong in (proof[:-1], [*proof, proof[0]], [*proof[:-1], "00" * 32]):
        body = {**grown.bundles[0], "since": {**grown.bundles[0]["since"], "proof": wrong}}
        with pytest.raises(LogError, match="truncated or rewritten"):
            grown.made.check(body, expect=grown.notes[0])


@pytest.mark.parametrize("since", [5, {}, {"size": 1}, {"size": None, "proof": []}, []])
def test_a_proof_of_growth_that_is_none_is_refused(grown: Grown, since: Any) -> None:
    with pytest.raises(LogError):
        grown.made.check({**grown.bundles[0], "since": since}, expect=grown.notes[0])


def test_no_proof_is_made_since_a_checkpoint_that_the_log_does_not_contain(
    grown: Grown, gate: Gate
) -> None:
    gate.publish({"leave.md": HONEST["leave.md"]})
    with gate.workspace.ledger.reading() as conn:
        size, _ = log.kept_checkpoints(conn)[-1]
    ahead = signed_note.Checkpoint(gate.workspace.origin, size + 1, b"x" * 32)
    note = gate.workspace.sign_note(signed_note.checkpoint_text(ahead))
    with pytest.raises(LogError, match="does not contain the checkpoint"):
        prove(gate.workspace, "wiki/leave.md", note)
    with pytest.raises(LogError):
        prove(gate.workspace, "wiki/leave.md", grown.notes[0])


def test_the_bundle_ends_in_the_newest_checkpoint(made: Made) -> None:
    assert made.bundles["leave.md"]["checkpoint"] == made.head
    assert signed_note.parse_checkpoint(signed_note.split(made.head)[0]).size == made.size
