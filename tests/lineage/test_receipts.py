"""Receipts: did an answer rest on what was good then, is it good now, and who says so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragguard.errors import IntegrityError, LogError, SignatureError
from ragguard.lineage import receipts
from ragguard.lineage.receipts import VerifiedReceipt, verify_receipt
from ragguard.quarantine.hold import hold
from ragguard.serving import receipt
from ragguard.serving.publish import publish
from ragguard.serving.reader import open_reader
from ragguard.serving.receipt import Receipt, question_digest
from ragguard.serving.retriever import open_retriever
from ragguard.trust import dsse, keys
from tests.serving.test_retriever import LEAVE, QUESTION, revoked
from tests.support.simulator import HONEST, Gate


@pytest.fixture
def served(gate: Gate) -> Gate:
    gate.publish(HONEST)
    return gate


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """The same, made once; nothing is changed in it."""
    made = Gate(tmp_path_factory.mktemp("gate"))
    made.publish(HONEST)
    yield made
    made.close()


def ask(gate: Gate, k: int = 3) -> bytes:
    made = open_retriever(gate.workspace, receipts=True).retrieve(QUESTION, k).receipt
    assert made is not None
    return made


def read(gate: Gate, data: bytes) -> VerifiedReceipt:
    return verify_receipt(data, gate.workspace.log_key, {})


def was(gate: Gate, data: bytes) -> dict[str, str]:
    """What was wrong by then, by document."""
    return {p.document: p.wrong for p in receipts.then(gate.workspace, read(gate, data))}


def is_now(gate: Gate, data: bytes) -> dict[str, str]:
    return {p.document: p.wrong for p in receipts.now(gate.workspace, read(gate, data))}


def signed(gate: Gate, said: Receipt) -> bytes:
    """A receipt as whoever has the log's key can make it."""
    return receipt.sign(said, gate.workspace.checkpoint_key)


def with_hit(said: Receipt, **changes: Any) -> Receipt:
    first, *rest = said.hits
    return replace(said, hits=({**first, **changes}, *rest))


# --- the ordinary case ----------------------------------------------------------------------------


def test_a_receipt_names_question_passages_and_checkpoint_and_quotes_neither(shared: Gate) -> None:
    data = ask(shared)
    answer = open_retriever(shared.workspace).retrieve(QUESTION, 3)
    verified = read(shared, data)
    said = verified.receipt
    assert said.question == question_digest(QUESTION)
    assert [(h["document"], h["log_index"]) for h in said.hits] == [
        (h.document, h.proof.log_index) for h in answer.hits
    ]
    assert (verified.signed_by, said.scope, said.refused, said.abstained) == (["log"], None, 0, "")
    payload = dsse.parse_envelope(data, max_bytes=1 << 20).payload
    assert not [text for text in (QUESTION, "27 days", "Rollcall") if text.encode() in payload]


def test_without_being_asked_for_there_is_none(shared: Gate) -> None:
    assert open_retriever(shared.workspace).retrieve(QUESTION).receipt is None


def test_an_answer_that_rests_on_what_is_good_was_and_is_good(shared: Gate) -> None:
    data = ask(shared)
    assert set(was(shared, data).values()) == set(is_now(shared, data).values()) == {""}


def test_a_reader_signs_with_its_own_key(shared: Gate, tmp_path: Path) -> None:
    publish(shared.workspace, tmp_path / "out")
    mine = keys.generate("chatbot")
    with open_reader(
        tmp_path / "out",
        shared.workspace.log_key,
        encoder=shared.workspace.encoder,
        receipt_key=mine,
        clock=lambda: shared.now + timedelta(minutes=5),
    ) as reader:
        data = reader.retrieve(QUESTION, 2).receipt
    assert data is not None
    with pytest.raises(SignatureError):
        read(shared, data)
    key = shared.workspace.log_key
    verified = verify_receipt(data, key, {mine.public.keyid: mine.public})
    assert verified.signed_by == ["chatbot"]
    assert verified.receipt.at == shared.now + timedelta(minutes=5)
    assert not [p for p in receipts.then(shared.workspace, verified) if p.wrong]


# --- the corpus goes on ---------------------------------------------------------------------------


def test_what_is_pulled_replaced_or_removed_was_good_and_is_no_more(served: Gate) -> None:
    data = ask(served, 6)
    hold(served.workspace, [LEAVE], "wrong number")
    served.publish({"laptops.md": HONEST["laptops.md"] + " The desk is in room 12."})
    served.publish(mode="delta", paths=[], removes=["visitors.md"])
    assert set(was(served, data).values()) == {""}
    now = is_now(served, data)
    assert "waits for a reviewer" in now[LEAVE]
    assert "replaced by another version with commit 3" in now["wiki/laptops.md"]
    assert "serves no more" in now["wiki/visitors.md"]
    assert now["wiki/invoices.md"] == now["wiki/contracts.md"] == ""


def test_a_signer_who_is_revoked_since_counted_then(served: Gate) -> None:
    data = ask(served)
    served.change_root(lambda root: revoked(root, served))
    assert set(was(served, data).values()) == {""}
    assert all("alice" in wrong for wrong in is_now(served, data).values())


def test_an_answer_given_after_a_removal_is_found_out(served: Gate) -> None:
    before = read(served, ask(served)).receipt
    hold(served.workspace, [LEAVE], "wrong number")
    later = read(served, ask(served)).receipt
    lie = signed(served, replace(before, basis=later.basis))  # the old passages, proved "now"
    assert "taken out with commit 2 already" in was(served, lie)[LEAVE]


def test_an_answer_given_after_a_revocation_is_found_out(served: Gate) -> None:
    before = read(served, ask(served)).receipt
    served.change_root(lambda root: revoked(root, served))
    later = read(served, ask(served)).receipt
    assert later.abstained
    lie = signed(served, replace(before, basis=later.basis))
    assert all("alice" in wrong for wrong in was(served, lie).values())


# --- lies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"digest": "0" * 64}, "did not serve since commit 1 with these bytes"),
        ({"manifest": "0" * 64}, "did not serve since commit 1 with these bytes"),
        ({"document": "wiki/other.md"}, "did not serve"),
        ({"text": "0" * 64}, "never had such a passage"),
        ({"point": "00000000-0000-4000-8000-000000000001"}, "never had such a passage"),
        ({"commit": 7}, "is not commit 7"),
        ({"log_index": 0}, "entry 0 of the log is not commit 1"),
    ],
)
def test_a_passage_that_was_never_served_so_is_found_out(
    shared: Gate, changes: dict[str, Any], said: str
) -> None:
    lie = signed(shared, with_hit(read(shared, ask(shared)).receipt, **changes))
    assert said in next(iter(was(shared, lie).values()))


def test_no_receipt_is_taken_that_somebody_else_signed_or_changed(shared: Gate) -> None:
    data = ask(shared)
    said = read(shared, data).receipt
    with pytest.raises(SignatureError):
        read(shared, receipt.sign(said, keys.generate("log")))
    envelope = dsse.parse_envelope(data, max_bytes=1 << 20)
    changed = replace(envelope, payload=envelope.payload.replace(b"leave.md", b"leavf.md"))
    with pytest.raises(SignatureError):
        read(shared, dsse.dump_envelope(changed))


def test_entries_beyond_the_checkpoint_are_refused(shared: Gate) -> None:
    said = with_hit(read(shared, ask(shared)).receipt, log_index=10_000)
    with pytest.raises(LogError, match="its checkpoint has"):
        read(shared, signed(shared, said))


def test_a_checkpoint_of_another_history_is_refused(
    shared: Gate, tmp_path: Path, new_gate: Any
) -> None:
    said = read(shared, ask(shared)).receipt
    other = new_gate()
    other.publish({"leave.md": HONEST["leave.md"]})
    basis = replace(said.basis, checkpoint=read(other, ask(other)).receipt.basis.checkpoint)
    with pytest.raises(LogError):
        read(shared, signed(shared, replace(said, basis=basis)))


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b'{"predicate": {"hits": []}, "subject": []}', b"\xff"]
)
def test_a_statement_of_another_kind_is_no_receipt(shared: Gate, payload: bytes) -> None:
    key = shared.workspace.checkpoint_key
    data = dsse.sign(payload, dsse.IN_TOTO, [(key.public.keyid, key.signing_key)])
    with pytest.raises(IntegrityError, match="malformed"):
        read(shared, data)
