"""Signed notes and checkpoints, against the example of Go's sumdb/note and the C2SP rules."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from ragguard.errors import LogError
from ragguard.trust import dsse, signed_note
from ragguard.trust.signed_note import Checkpoint, NoteSignature
from tests.support.people import ALICE

# golang.org/x/mod/sumdb/note, the example of the package.
VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
    "Zb6KE6RyyBwJnAM=\n"
)
NOTE = TEXT + "\n" + SIGNATURE
PUBLIC = base64.b64decode(VERIFIER.split("+", 2)[2])[1:]
RAW = base64.b64decode(SIGNATURE.split(" ")[2])


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


# --- keys ---


def test_the_published_verifier_key_is_read_and_written() -> None:
    assert signed_note.parse_verifier_key(VERIFIER) == ("PeterNeumann", PUBLIC)
    assert signed_note.parse_verifier_key(f"  {VERIFIER}\n") == ("PeterNeumann", PUBLIC)
    assert signed_note.verifier_key("PeterNeumann", PUBLIC) == VERIFIER
    assert signed_note.key_id("PeterNeumann", PUBLIC).hex() == "c74f20a3"


def test_the_key_id_depends_on_name_and_key() -> None:
    other = bytes([PUBLIC[0] ^ 1]) + PUBLIC[1:]
    ids = {signed_note.key_id("PeterNeumann", PUBLIC), signed_note.key_id("Peter", PUBLIC)}
    assert len(ids | {signed_note.key_id("PeterNeumann", other)}) == 3


def key_line(name: str, raw: bytes) -> str:
    return f"{name}+{signed_note.key_id(name, raw[1:]).hex()}+{encoded(raw)}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("PeterNeumann", id="name-only"),
        pytest.param("PeterNeumann+c74f20a3", id="no-key"),
        pytest.param(VERIFIER.replace("c74f20a3", "c74f20a4"), id="key-id-of-another-key"),
        pytest.param(VERIFIER.replace("c74f20a3", "c74f20"), id="short-key-id"),
        pytest.param(VERIFIER.replace("c74f20a3", "c74f 20a3"), id="space-in-key-id"),
        pytest.param(VERIFIER.replace("c74f20a3", "zzzzzzzz"), id="key-id-not-hex"),
        pytest.param(VERIFIER.replace("PeterNeumann", "PeterNeuman"), id="other-name"),
        pytest.param(VERIFIER[:-4], id="short-key"),
        pytest.param(VERIFIER + "AAAA", id="long-key"),
        pytest.param(VERIFIER.replace("ARpc", "AR!c"), id="not-base64"),
        pytest.param(VERIFIER.replace("ARpc", "ARéc"), id="not-ascii"),
        pytest.param(key_line("x", b"\x02" + PUBLIC), id="another-algorithm"),
        pytest.param(key_line("a b", b"\x01" + PUBLIC), id="space-in-name"),
        pytest.param(key_line("", b"\x01" + PUBLIC), id="empty-name"),
    ],
)
def test_a_malformed_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(LogError, match="not an Ed25519 verifier key"):
        signed_note.parse_verifier_key(text)


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("ragguard.local/0123", True),
        ("Zoë", True),
        ("", False),
        ("a+b", False),
        ("a b", False),
        ("a\tb", False),
        ("a\u2003b", False),
    ],
)
def test_key_names_hold_neither_space_nor_plus(name: str, valid: bool) -> None:
    assert signed_note.valid_name(name) is valid


# --- notes ---


def test_the_published_note_is_taken_apart_and_put_together() -> None:
    text, (signature,) = signed_note.split(NOTE)
    assert text == TEXT
    assert signature == NoteSignature("PeterNeumann", bytes.fromhex("c74f20a3"), RAW[4:])
    assert len(signature.signature) == 64
    assert signed_note.assemble(text, [signature]) == NOTE


def test_all_signature_lines_are_given_in_order() -> None:
    signatures = [NoteSignature(f"k{i}", bytes([i] * 4), bytes([i])) for i in range(100)]
    assert signed_note.split(signed_note.assemble("text\n", signatures)) == ("text\n", signatures)


def test_the_text_ends_at_the_last_blank_line() -> None:
    text, signatures = signed_note.split("one\n\ntwo\n\n" + SIGNATURE)
    assert text == "one\n\ntwo\n"
    assert len(signatures) == 1


@pytest.mark.parametrize(
    ("signed", "says"),
    [
        pytest.param("", "blank line", id="empty"),
        pytest.param(TEXT, "blank line", id="unsigned"),
        pytest.param(TEXT + SIGNATURE, "blank line", id="no-blank-line"),
        pytest.param("\n\n" + SIGNATURE, "blank line", id="no-text"),
        pytest.param(TEXT + "\n", "blank line", id="no-signature"),
        pytest.param(NOTE[:-1], "blank line", id="no-final-newline"),
        pytest.param(NOTE.replace("\n", "\r\n"), "control character", id="carriage-returns"),
        pytest.param(NOTE.replace("you", "y\x00u"), "control character", id="nul"),
        pytest.param(NOTE.replace("—", "-"), "malformed signature line", id="hyphen"),
        pytest.param(NOTE.replace("— Pet", "—  Pet"), "malformed signature line", id="two-spaces"),
        pytest.param(NOTE.replace("rNeu", "r+Neu"), "malformed signature line", id="plus-in-name"),
        pytest.param(NOTE[:-1] + " x\n", "malformed signature line", id="fourth-word"),
        pytest.param(NOTE + "x\n", "malformed signature line", id="stray-line"),
        pytest.param(NOTE.replace("x08g", "x0!g"), "malformed signature line", id="not-base64"),
        pytest.param(NOTE.replace("x08g", "x0ég"), "malformed signature line", id="not-ascii"),
        pytest.param(NOTE.replace("AM=", "AM"), "malformed signature line", id="no-padding"),
        pytest.param(f"{TEXT}\n— P x08gow==\n", "malformed signature line", id="key-id-only"),
        pytest.param(f"{TEXT}\n— P \n", "malformed signature line", id="nothing-after-name"),
        pytest.param(TEXT + "\n" + SIGNATURE * 101, "too many signatures", id="101-signatures"),
    ],
)
def test_what_is_no_signed_note_is_refused(signed: str, says: str) -> None:
    with pytest.raises(LogError, match=f"^note: .*{says}"):
        signed_note.split(signed)


# --- notes that are signed and opened ---

NAME = "PeterNeumann"
# The private key of the same example.
PETER = SigningKey(base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:])


def test_the_published_note_is_made_and_opened() -> None:
    assert bytes(PETER.verify_key) == PUBLIC
    assert dsse.sign_note(TEXT, "PeterNeumann", PETER) == NOTE
    assert dsse.open_note(NOTE, NAME, PUBLIC) == TEXT


def test_a_note_with_other_signatures_too_is_opened_by_the_one_asked_for() -> None:
    other = dsse.sign_note(TEXT, "other", ALICE.signing_key).rpartition("\n\n")[2]
    both = NOTE.replace("\n\n", "\n\n" + other)
    assert dsse.open_note(both, NAME, PUBLIC) == TEXT


@pytest.mark.parametrize(
    ("signed", "says"),
    [
        pytest.param(NOTE.replace("your", "the", 1), "does not verify", id="changed-text"),
        pytest.param(NOTE.replace("/ZJk", "/ZJl"), "does not verify", id="changed-signature"),
        pytest.param(NOTE.replace("x08go/", "x08gp/"), "not signed by", id="changed-key-id"),
        pytest.param(NOTE.replace("— Peter", "— Pater"), "not signed by", id="changed-name"),
        pytest.param(
            dsse.sign_note(TEXT, NAME, ALICE.signing_key), "not signed by", id="other-key"
        ),
        pytest.param(TEXT, "note:", id="unsigned"),
    ],
)
def test_a_note_that_was_changed_or_signed_by_another_is_refused(signed: str, says: str) -> None:
    with pytest.raises(LogError, match=says):
        dsse.open_note(signed, NAME, PUBLIC)


@pytest.mark.parametrize("moved", [-3, -1, 1, 3])
def test_text_moved_into_the_signature_or_out_of_it_is_refused(moved: int) -> None:
    # Ed25519 verifies signature || text: only the length says where one ends.
    text, (line,) = signed_note.split(NOTE)
    whole = line.signature + text.encode()
    cut = 64 + moved
    shifted = whole[cut:].decode("utf-8", "replace")
    forged = signed_note.assemble(shifted, [NoteSignature(NAME, line.key_id, whole[:cut])])
    with pytest.raises(LogError):
        dsse.open_note(forged, NAME, PUBLIC)


def test_a_signature_line_of_one_byte_is_refused_as_any_other() -> None:
    forged = signed_note.assemble(
        TEXT, [NoteSignature(NAME, signed_note.key_id(NAME, PUBLIC), b"x")]
    )
    with pytest.raises(LogError, match="does not verify"):
        dsse.open_note(forged, NAME, PUBLIC)


# --- checkpoints ---

HEAD = Checkpoint("ragguard.local/0123", 42, bytes(range(32)))
HEAD_TEXT = "ragguard.local/0123\n42\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"


def test_a_checkpoint_is_origin_size_and_root_a_line_each() -> None:
    assert signed_note.checkpoint_text(HEAD) == HEAD_TEXT
    assert signed_note.parse_checkpoint(HEAD_TEXT) == HEAD


def test_extension_lines_of_a_checkpoint_are_allowed() -> None:
    assert signed_note.parse_checkpoint(HEAD_TEXT + "more\nand more\n") == HEAD


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(HEAD_TEXT[:-1], id="no-final-newline"),
        pytest.param(HEAD_TEXT.partition("\n")[2], id="no-origin"),
        pytest.param("\n" + HEAD_TEXT.partition("\n")[2], id="empty-origin"),
        pytest.param(HEAD_TEXT.replace("42", "-1"), id="negative-size"),
        pytest.param(HEAD_TEXT.replace("42", "042"), id="leading-zero"),
        pytest.param(HEAD_TEXT.replace("42", "+42"), id="signed-size"),
        pytest.param(HEAD_TEXT.replace("42", "4_2"), id="underscore"),
        pytest.param(HEAD_TEXT.replace("42", "٤٢"), id="arabic-digits"),
        pytest.param(HEAD_TEXT.replace("42", ""), id="no-size"),
        pytest.param(HEAD_TEXT.replace("42", "x"), id="size-not-a-number"),
        pytest.param(HEAD_TEXT.replace("Hh8=", "Hg=="), id="31-bytes-of-root"),
        pytest.param(HEAD_TEXT.replace("Hh8=", "Hh8h"), id="33-bytes-of-root"),
        pytest.param(HEAD_TEXT.replace("AAEC", "AA!C"), id="root-not-base64"),
        pytest.param(HEAD_TEXT.replace("AAEC", "AAéC"), id="root-not-ascii"),
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LogError, match="expected origin, size and base64 root"):
        signed_note.parse_checkpoint(text)


@given(st.text(), st.integers(0, 2**63), st.binary(min_size=32, max_size=32))
def test_every_checkpoint_is_read_as_it_was_written(origin: str, size: int, root: bytes) -> None:
    name = "".join(origin.split()) or "log"
    head = Checkpoint(name, size, root)
    assert signed_note.parse_checkpoint(signed_note.checkpoint_text(head)) == head


@given(st.text(max_size=80))
def test_any_text_is_a_note_or_is_refused_as_log_error(text: str) -> None:
    for signed in (text, TEXT + "\n" + text, f"{TEXT}\n— P {text}\n"):
        try:
            body, signatures = signed_note.split(signed)
        except LogError:
            continue
        assert signed_note.split(signed_note.assemble(body, signatures)) == (body, signatures)
