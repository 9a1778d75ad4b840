"""Write and verify signed notes and checkpoints (https://c2sp.org/signed-note, tlog-checkpoint).

A note is text ending in a newline, a blank line, and signature lines `— name base64(key id ||
signature)`. A checkpoint is a note whose text is origin, tree size and base64 root, a line each.
Here is only the text; signing is in `ragguard.trust.dsse`.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from ragguard.errors import LogError

ED25519 = b"\x01"
MAX_SIGNATURES = 100


@dataclass(frozen=True)
class Checkpoint:
    """A tree head.

    Attributes:
        root: 32-byte root.
    """

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True)
class NoteSignature:
    """A signature line: key name, 4-byte key id, signature bytes."""

    name: str
    key_id: bytes
    signature: bytes


def key_id(name: str, public: bytes) -> bytes:
    """First four bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """Return the one-line form `name+keyid+base64` in which a log's public key is handed on."""
    encoded = base64.b64encode(ED25519 + public).decode()
    return f"{name}+{key_id(name, public).hex()}+{encoded}"


def parse_verifier_key(text: str) -> tuple[str, bytes]:
    """Read a verifier key.

    Returns:
        Name and 32-byte Ed25519 public key.

    Raises:
        LogError: Malformed, another algorithm, or a key id that does not fit.
    """
    try:
        name, hexid, encoded = text.strip().split("+", 2)
        raw = base64.b64decode(encoded, validate=True)
        if len(raw) != 33 or raw[:1] != ED25519 or not valid_name(name):
            raise ValueError
        if bytes.fromhex(hexid) != key_id(name, raw[1:]) or len(hexid) != 8:
            raise ValueError
    except (ValueError, binascii.Error):
        raise LogError("not an Ed25519 verifier key of the form name+keyid+base64") from None
    return name, raw[1:]


def valid_name(name: str) -> bool:
    """Tell whether a key name may stand in a note: not empty, no space, no plus."""
    return bool(name) and "+" not in name and not any(c.isspace() for c in name)


def assemble(text: str, signatures: list[NoteSignature]) -> str:
    """Put a note together; `text` ends in a newline."""
    lines = [
        f"— {s.name} {base64.b64encode(s.key_id + s.signature).decode()}\n" for s in signatures
    ]
    return text + "\n" + "".join(lines)


def split(note: str) -> tuple[str, list[NoteSignature]]:
    """Take a note apart.

    Returns:
        Its text with the final newline, and its signature lines in order.

    Raises:
        LogError: Not a signed note.
    """
    if any(ord(c) < 0x20 and c != "\n" for c in note):
        raise LogError("note: control character")
    head, separator, tail = note.rpartition("\n\n")
    if not separator or not head or not tail.endswith("\n"):
        raise LogError("note: no blank line between text and signatures")
    signatures: list[NoteSignature] = []
    for line in tail[:-1].split("\n"):
        mark, name, encoded = (*line.split(" "), "", "", "")[:3]
        try:
            raw = base64.b64decode(encoded, validate=True)
        except ValueError:
            raw = b""
        if mark != "—" or not valid_name(name) or len(raw) < 5 or line.count(" ") != 2:
            raise LogError("note: malformed signature line")
        signatures.append(NoteSignature(name, raw[:4], raw[4:]))
    if len(signatures) > MAX_SIGNATURES:
        raise LogError("note: too many signatures")
    return head + "\n", signatures


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """Return the note text of a checkpoint."""
    root = base64.b64encode(checkpoint.root).decode()
    return f"{checkpoint.origin}\n{checkpoint.size}\n{root}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a checkpoint's note text (its signature is verified elsewhere).

    Raises:
        LogError: Malformed.
    """
    lines = text.split("\n")
    try:
        if len(lines) < 4 or lines[-1] or not lines[0]:
            raise ValueError
        size = int(lines[1])
        if str(size) != lines[1] or size < 0:
            raise ValueError
        root = base64.b64decode(lines[2], validate=True)
        if len(root) != 32:
            raise ValueError
    except (ValueError, binascii.Error):
        raise LogError("checkpoint: expected origin, size and base64 root, a line each") from None
    return Checkpoint(lines[0], size, root)
