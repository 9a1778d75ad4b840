"""Hostile files and hostile trust roots, end to end. See `test_attacks.py`.

A file that is not as signed is a rejected document: the others come in, and the same manifest
brings it in when the right bytes are back. A trust root that is not the next one stops everything.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ragguard.errors import (
    DuplicateKeyError,
    EquivocationError,
    IntegrityError,
    MalformedError,
    PayloadTypeError,
    SignatureError,
    ThresholdError,
    TrustRootError,
    TrustRootRollbackError,
    ZeroThresholdError,
)
from ragguard.ingest.verify import verify
from ragguard.ledger import commits, log
from ragguard.model import Root
from ragguard.trust import amend_root, dsse, keys
from ragguard.trust import root as roots
from ragguard.trust.canonical import digest_bytes
from ragguard.workspace.create import ROOT_FILE
from tests.support.attacks import TEXTS, accept, honest
from tests.support.simulator import HONEST, NOW, Gate

# --- files ----------------------------------------------------------------------------------------


def tamper(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"27 days", b"72 days"))


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere.md")
    path.symlink_to(path.parent.parent / "elsewhere.md")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def grow(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(1 << 40)  # a hole: a terabyte that takes no room


@pytest.mark.parametrize(
    ("attack", "check", "says"),
    [
        pytest.param(tamper, "digest", "not the signed bytes", id="tampered"),
        pytest.param(lengthen, "digest", "not the signed bytes", id="lengthened"),
        pytest.param(Path.unlink, "missing", "no such file", id="missing"),
        pytest.param(link, "symlink", "symbolic link", id="symlinked"),
        pytest.param(folder, "missing", "not a regular file", id="folder"),
        pytest.param(pipe, "missing", "not a regular file", id="pipe"),
        pytest.param(grow, "oversized", "more than 1000000 bytes", id="oversized"),
    ],
)
def test_a_file_that_is_not_as_signed_is_rejected_alone_and_comes_in_when_restored(
    new_gate: Callable[..., Gate], attack: Callable[[Path], None], check: str, says: str
) -> None:
    gate = new_gate(limits={"document": 1_000_000})
    path = honest(gate)
    target = gate.publisher.folder / "leave.md"
    attack(target)
    verified = verify(gate.workspace, path, root=gate.publisher.folder)
    assert [(name, f.check) for name, f in verified.wrong] == [("leave.md", check)]
    assert verified.exit_code == 3
    report = gate.ingest(path)
    assert (report.exit_code, report.manifests[0].error) == (3, None)
    by_name = {v.id: v for v in report.documents}
    (finding,) = by_name["leave.md"].findings
    assert (by_name["leave.md"].outcome, finding.check) == ("reject", check)
    assert says in finding.detail
    assert by_name["visitors.md"].outcome == "admit"
    assert gate.documents() == {"visitors.md"}
    again = gate.ingest(path)
    assert (again.exit_code, gate.documents()) == (3, {"visitors.md"})
    if target.is_dir() and not target.is_symlink():
        target.rmdir()
    else:
        target.unlink(missing_ok=True)
    target.write_text(TEXTS["leave.md"])
    report = gate.ingest(path)
    assert report.exit_code == 0
    assert {v.id: v.outcome for v in report.documents} == {
        "leave.md": "admit",
        "visitors.md": "unchanged",
    }
    assert gate.documents() == set(TEXTS)


def test_a_linked_folder_on_the_way_is_not_followed(gate: Gate, tmp_path: Path) -> None:
    path = gate.publisher.publish({"people/leave.md": HONEST["leave.md"], **TEXTS})
    (gate.publisher.folder / "people").rename(tmp_path / "people")
    (gate.publisher.folder / "people").symlink_to(tmp_path / "people")
    report = gate.ingest(path)
    (refused,) = [v for v in report.documents if v.outcome == "reject"]
    assert (refused.id, refused.findings[0].check) == ("people/leave.md", "symlink")
    assert gate.documents() == set(TEXTS)


def test_a_signed_length_that_is_a_lie_is_found(gate: Gate) -> None:
    path = honest(gate)

    def lie(statement: dict[str, Any]) -> None:
        statement["predicate"]["documents"]["leave.md"]["length"] -= 1

    report = gate.ingest(gate.publisher.hostile(path, lie))
    assert (report.exit_code, gate.documents()) == (3, {"visitors.md"})


def test_two_files_exchanged_are_both_rejected(gate: Gate) -> None:
    path = honest(gate)
    gate.publisher.write({"leave.md": TEXTS["visitors.md"], "visitors.md": TEXTS["leave.md"]})
    report = gate.ingest(path)
    assert [(v.outcome, v.findings[0].check) for v in report.documents] == [
        ("reject", "digest"),
        ("reject", "digest"),
    ]
    gate.publisher.write(TEXTS)
    accept(gate, path)


@pytest.mark.parametrize(
    ("lines", "check"),
    [
        pytest.param([{"id": "1", "text": "a"}, {"id": "1", "text": "b"}], "duplicate-id", id="id"),
        pytest.param(["[" * 100 + "]" * 100], "record", id="deep"),
        pytest.param(["{"], "record", id="no-json"),
    ],
)
def test_a_signed_record_file_that_is_none_is_rejected_whole(
    gate: Gate, lines: list[Any], check: str
) -> None:
    text = "\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines)
    tickets = text.encode()
    path = gate.publisher.publish({**TEXTS, "tickets.jsonl": '{"id": "1", "text": "fine"}'})
    good = {"digest": {"sha256": digest_bytes(tickets)}}

    def sign_it(statement: dict[str, Any]) -> None:
        (entry,) = [s for s in statement["subject"] if s["name"] == "tickets.jsonl"]
        entry.update(good)
        statement["predicate"]["documents"]["tickets.jsonl"]["length"] = len(tickets)

    gate.publisher.write({"tickets.jsonl": tickets})
    report = gate.ingest(gate.publisher.hostile(path, sign_it))
    refused = {v.id: v.findings[0].check for v in report.documents if v.outcome == "reject"}
    assert refused == {"tickets.jsonl": check}
    assert (report.exit_code, gate.documents()) == (3, set(TEXTS))


def test_a_null_record_is_rejected_alone(gate: Gate) -> None:
    rows = [
        {"id": "good", "text": HONEST["leave.md"]},
        {"id": "null", "text": None},
        {"id": "also good", "text": HONEST["visitors.md"]},
    ]
    report = gate.publish({"tickets.jsonl": "\n".join(map(json.dumps, rows))})
    refused = {v.id: v.findings[0] for v in report.documents if v.outcome == "reject"}
    assert refused.keys() == {"tickets.jsonl#null"}
    assert "line 2: text must be a string, found null" in refused["tickets.jsonl#null"].detail
    assert gate.documents() == {"tickets.jsonl#good", "tickets.jsonl#also good"}


def test_a_newcomer_that_looks_like_what_the_corpus_has_is_rejected(gate: Gate) -> None:
    """The second manifest alone has no two names that look alike."""
    gate.publish({"leave.md": HONEST["leave.md"]})
    fake = "le\u0430ve.md"
    gate.publisher.write({fake: HONEST["visitors.md"], "releases.md": HONEST["releases.md"]})
    (gate.publisher.folder / "leave.md").unlink()
    report = gate.publish(mode="delta")
    (refused,) = [v for v in report.documents if v.outcome == "reject"]
    assert (refused.id, refused.findings[0].check) == (fake, "look-alike-id")
    assert "'leave.md'" in refused.findings[0].detail
    assert report.exit_code == 3
    assert gate.documents() == {"leave.md", "releases.md"}


def test_a_renamed_document_may_look_like_the_one_that_goes(gate: Gate) -> None:
    gate.publish({"leave.md": HONEST["leave.md"], "visitors.md": HONEST["visitors.md"]})
    (gate.publisher.folder / "leave.md").unlink()
    report = gate.publish({"Leave.md": HONEST["leave.md"]})
    assert [v.outcome for v in report.documents if v.id == "Leave.md"] != ["reject"]


def test_a_record_whose_id_looks_like_another_is_rejected_alone(gate: Gate) -> None:
    rows = [
        {"id": "A17", "text": HONEST["leave.md"]},
        {"id": "\u041017", "text": HONEST["visitors.md"]},
        {"id": "a17", "text": HONEST["releases.md"]},
    ]
    report = gate.publish({"tickets.jsonl": "\n".join(map(json.dumps, rows))})
    refused = [v.id for v in report.documents if v.outcome == "reject"]
    assert refused == ["tickets.jsonl#\u041017"]


def test_a_document_over_the_limit_is_told_both_numbers_and_where_the_limit_stands(
    gate: Gate,
) -> None:
    gate.set_policy(max_document_bytes=1_000)
    report = gate.publish({"long.md": "x" * 1_500})
    (refused,) = report.documents
    detail = refused.findings[0].detail
    assert "signed as 1500 bytes, more than 1000 bytes, the most that max_document_bytes" in detail


@pytest.mark.parametrize("number", [2**53, -(2**53), 10**19, 1e300])
def test_a_number_that_json_cannot_hold_exactly_rejects_its_record_alone(
    gate: Gate, number: float
) -> None:
    rows = [
        {"id": "good", "text": HONEST["leave.md"], "metadata": {"pages": 2**53 - 1}},
        {"id": "bad", "text": HONEST["visitors.md"], "metadata": {"pages": number}},
    ]
    text = "\n".join(map(json.dumps, rows))
    report = gate.publish({"tickets.jsonl": text, "releases.md": HONEST["releases.md"]})
    refused = {v.id: v.findings[0] for v in report.documents if v.outcome == "reject"}
    assert refused.keys() == {"tickets.jsonl#bad"}
    assert refused["tickets.jsonl#bad"].check == "metadata"
    assert gate.documents() == {"tickets.jsonl#good", "releases.md"}


# --- the trust root -------------------------------------------------------------------------------


def seen(gate: Gate) -> tuple[Any, ...]:
    with gate.workspace.ledger.reading() as conn:
        return commits.last_root(conn), log.size(conn), commits.last_manifest(conn, "wiki")


def refuse_root(gate: Gate, data: bytes, error: type[IntegrityError], says: str) -> None:
    """A root file is refused on opening; restored, the workspace works as before."""
    path = honest(gate)
    before = seen(gate)
    file = gate.folder / "w" / ROOT_FILE
    good = file.read_bytes()
    gate.close()
    file.write_bytes(data)
    with pytest.raises(error, match=says) as caught:
        gate.reopen()
    assert caught.type is error
    assert caught.value.exit_code == 3
    file.write_bytes(good)
    gate.reopen()
    assert seen(gate) == before
    accept(gate, path)


def signed_root(root: Root, *who: keys.KeyPair, **changes: Any) -> bytes:
    payload = roots.dump_root(replace(root, **changes))
    pairs = [(k.public.keyid, k.signing_key) for k in who]
    return dsse.sign(payload, roots.ROOT_TYPE, pairs)


def test_an_older_trust_root_put_back_is_refused(gate: Gate) -> None:
    old = (gate.folder / "w" / "trust" / "root.2.json").read_bytes()
    refuse_root(gate, old, TrustRootRollbackError, "is version 2, this workspace has seen 3")


def test_a_revoked_key_does_not_come_back_with_an_older_trust_root(gate: Gate) -> None:
    carol = keys.generate("carol")
    gate.trust(carol, source="wiki")
    old = (gate.folder / "w" / ROOT_FILE).read_bytes()
    gate.change_root(lambda root: amend_root.revoke(root, carol.public, gate.now, "left"))
    refuse_root(gate, old, TrustRootRollbackError, "is version 4, this workspace has seen 5")


def test_another_trust_root_of_the_same_version_is_refused(gate: Gate) -> None:
    later = gate.workspace.root.expires + timedelta(days=1)
    other = signed_root(gate.workspace.root, gate.root_key, expires=later)
    refuse_root(gate, other, EquivocationError, "another version 3")


def test_a_next_trust_root_that_another_workspace_made_is_followed_and_logged(gate: Gate) -> None:
    honest(gate)
    entries = seen(gate)[1]
    file = gate.folder / "w" / ROOT_FILE
    later = signed_root(gate.workspace.root, gate.root_key, version=4)
    gate.close()
    file.write_bytes(later)
    gate.reopen()
    assert gate.workspace.root.version == 4
    last, size, _ = seen(gate)
    assert last[:2] == (4, later)
    assert size == entries + 1
    with gate.workspace.ledger.reading() as conn:
        assert log.body(conn, entries)["act"] == "trust"


def test_a_next_trust_root_by_a_stranger_is_refused(gate: Gate) -> None:
    other = signed_root(gate.workspace.root, keys.generate("mallory"), version=4)
    refuse_root(gate, other, SignatureError, "against the root keys of the root before it")


def test_a_next_trust_root_that_only_its_own_new_keys_signed_is_refused(gate: Gate) -> None:
    mallory = keys.generate("mallory")
    root = gate.workspace.root
    own = {
        "version": 4,
        "keys": {**root.keys, mallory.public.keyid: mallory.public},
        "root_keyids": (mallory.public.keyid,),
    }
    refuse_root(gate, signed_root(root, mallory, **own), SignatureError, "the root before it")


def test_a_next_trust_root_that_its_new_keys_did_not_sign_is_refused(gate: Gate) -> None:
    carol = keys.generate("carol")
    made = amend_root.add(gate.workspace.root, carol.public, NOW, role="root", threshold=2)
    refuse_root(gate, signed_root(made, gate.root_key), ThresholdError, "the root keys of itself")


def test_a_trust_root_that_skips_a_version_is_refused(gate: Gate) -> None:
    other = signed_root(gate.workspace.root, gate.root_key, version=5)
    refuse_root(gate, other, TrustRootError, "version 4 is missing")


@pytest.mark.parametrize("threshold", [0, -1, 2])
def test_a_threshold_that_nobody_or_no_one_could_meet_is_refused(
    gate: Gate, threshold: int
) -> None:
    root = gate.workspace.root
    sources = {"wiki": replace(root.sources["wiki"], threshold=threshold)}
    bad = signed_root(root, gate.root_key, version=4, sources=sources)
    refuse_root(gate, bad, ZeroThresholdError, f"'wiki' asks for {threshold} signatures of 1")


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_root_threshold_below_one_is_refused(gate: Gate, threshold: int) -> None:
    bad = signed_root(gate.workspace.root, gate.root_key, version=4, root_threshold=threshold)
    refuse_root(gate, bad, ZeroThresholdError, "role root asks for")


def test_one_public_key_under_two_key_ids_in_the_trust_root_is_refused(gate: Gate) -> None:
    root = gate.workspace.root
    body = json.loads(roots.dump_root(replace(root, version=4)))
    body["keys"]["f" * 64] = body["keys"][gate.alice.public.keyid]
    pair = (gate.root_key.public.keyid, gate.root_key.signing_key)
    bad = dsse.sign(json.dumps(body).encode(), roots.ROOT_TYPE, [pair])
    refuse_root(gate, bad, DuplicateKeyError, "is not the id of its key")


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"", MalformedError, id="empty"),
        pytest.param(b"{}", MalformedError, id="no-envelope"),
        pytest.param(b"\xff\xff", MalformedError, id="not-utf-8"),
    ],
)
def test_a_trust_root_that_is_no_envelope_is_refused(
    gate: Gate, data: bytes, error: type[IntegrityError]
) -> None:
    refuse_root(gate, data, error, "envelope")


def test_a_signed_manifest_is_no_trust_root(gate: Gate) -> None:
    data = gate.publisher.publish(TEXTS, keep=False).read_bytes()
    refuse_root(gate, data, TrustRootError, "trust root: malformed")


def test_a_trust_root_signed_as_another_type_is_refused(gate: Gate) -> None:
    payload = roots.dump_root(replace(gate.workspace.root, version=4))
    pair = (gate.root_key.public.keyid, gate.root_key.signing_key)
    bad = dsse.sign(payload, dsse.IN_TOTO, [pair])
    refuse_root(gate, bad, PayloadTypeError, "in-toto")


def test_a_missing_trust_root_is_said_so(gate: Gate) -> None:
    path = gate.folder / "w" / ROOT_FILE
    gate.close()
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(TrustRootError, match="No such file") as caught:
        gate.reopen()
    assert "Restore trust/root" in caught.value.hint
    path.write_bytes(kept)
    assert gate.reopen().root.version == 3
