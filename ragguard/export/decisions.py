"""What reviewers decided, as an export holds it, verified with public keys alone.

A decision counts when a reviewer of its day signed it, who had not signed the document, when it is
about just these bytes and metadata, and when the log says that it was carried out. A rejection that
the log knows must be in the export: who has the log's key cannot leave one out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from ragguard.errors import IntegrityError
from ragguard.export import inventory as inventories
from ragguard.export.inventory import Denied, Vouched
from ragguard.export.verify_history import VerifiedHistory
from ragguard.model import PublicKey, Root
from ragguard.trust import decision, dsse, strict_json
from ragguard.trust.canonical import digest, digest_bytes
from ragguard.trust.decision import Decision

Read = Callable[[str], bytes]  # a file of the inventory, by its path
Word = tuple[Decision, PublicKey]


def release(read: Read, past: VerifiedHistory, one: Vouched, signers: Sequence[str]) -> Word:
    """A release, and the reviewer's key.

    Args:
        read: Gives a file of the export.
        past: Its log and trust roots.
        one: The release.
        signers: Key ids that counted for the document's manifest.

    Raises:
        IntegrityError: Any rule it breaks.
    """
    return _decision(read, past, one, "release", signers)


def denial(read: Read, past: VerifiedHistory, one: Denied, signers: Sequence[str]) -> Word:
    """A rejection, and the reviewer's key; what is kept of the text is looked at too.

    Args:
        read: Gives a file of the export.
        past: Its log and trust roots.
        one: The denial.
        signers: Key ids that counted for the document's manifest.

    Raises:
        IntegrityError: Any rule it breaks.
    """
    if digest(dict(one.metadata)) != one.metadata_digest:
        raise IntegrityError("its metadata is not the one of its digest")
    for name in (one.sketches, one.vectors):
        if name is not None:
            read_kept(read, name)
    if one.texts is not None:
        texts = texts_of(read_kept(read, one.texts))
        if digest_bytes("\n".join(texts).encode()) != one.text_digest:
            raise IntegrityError("its texts are not those of its digest")
    return _decision(read, past, one, "reject", signers)


def read_kept(read: Read, name: str) -> bytes:
    """What is kept of denied text, by its digest.

    Raises:
        IntegrityError: Not there, or other bytes.
    """
    data = read(inventories.denied_path(name))
    if digest_bytes(data) != name:
        raise IntegrityError(f"{inventories.denied_path(name)}: stands under another digest")
    return data


def texts_of(data: bytes) -> list[str]:
    """Texts of the chunks of a denied document.

    Raises:
        IntegrityError: No list of texts.
    """
    texts = strict_json.parse(
        data, what="denied texts", max_bytes=inventories.MAX_FILE, max_depth=2
    )
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise IntegrityError("denied texts: no list of texts")
    return texts


def left_out(past: VerifiedHistory, listed: Iterable[Denied]) -> Iterator[str]:
    """Rejections that the log knows and the inventory does not, a sentence each.

    Where one commit carried out many, its entry has their number and no names: just so many
    different decisions must be listed, each of them once.
    """
    known = {(one.log_index, one.envelope) for one in listed}
    seen = Counter(envelope for _, envelope in known)
    yield from (f"denial by decision {e[:12]}…: listed twice" for e, n in seen.items() if n > 1)
    numbers = Counter(index for index, _ in known)
    for index, entry in enumerate(past.entries):
        counts = entry.get("counts")
        denies = isinstance(counts, dict) and counts.get("denied")
        envelope = entry.get("decision")
        if denies and isinstance(envelope, str) and (index, envelope) not in known:
            yield f"denial by decision {envelope[:12]}…: logged, entry {index}, and not in it"
        elif denies and envelope is None and numbers[index] != denies:
            yield f"denials: {denies} logged, entry {index}, and {numbers[index]} of them in it"


def _decision(
    read: Read, past: VerifiedHistory, one: Vouched | Denied, action: str, signers: Sequence[str]
) -> Word:
    data = read(inventories.decision_path(one.envelope))
    entry = past.entries[one.log_index] if one.log_index < len(past.entries) else {}
    act = entry.get("act")
    if digest_bytes(data) != one.envelope or act not in (action, "restore"):
        raise IntegrityError("not the decision that was logged")
    # One commit may carry out many decisions; its entry names none of them then.
    if entry.get("decision") not in (one.envelope, None):
        raise IntegrityError("the log has another decision there")
    # A restored workspace tells when it took a decision over, not when that was made: then any
    # trust root it has seen may know the reviewer.
    roots = [past.root_at(one.log_index)] if act == action else past.roots
    said, key = _authenticate(data, roots, signers)
    about = (f"{one.source}/{one.document}", one.digest, one.metadata_digest, action)
    if (said.subject, said.digest, said.metadata_digest, said.action) != about:
        raise IntegrityError("it is about something else")
    return said, key


def _authenticate(data: bytes, roots: Sequence[Root], signers: Sequence[str]) -> Word:
    """A decision by a reviewer of one of some trust roots, at the time that it names.

    The time bounds no more than the reviewer's grant; the log says when it was carried out.
    """
    refused: IntegrityError | None = None
    for root in reversed(roots):
        try:
            envelope = dsse.parse_envelope(data, max_bytes=decision.MAX_DECISION_BYTES)
            at = decision.parse(envelope.payload).at
            return decision.authenticate(data, root, signers, at)
        except IntegrityError as error:
            refused = refused or error
    raise refused or IntegrityError("no trust root knows its reviewer")
