"""Spot-check served documents that nobody looked at, mixed with held ones and judged blind.

What no detector can tell about itself: how much bad it let in, and how many honest documents it
holds. Each draw takes as many of either kind as are asked for and shows them in one row; which is
which is not told before a word is given.

Nobody chooses the sample. The seed of a draw is fixed by the workspace's seal key and its number,
and the log has its SHA-256 since the draw before. Documents are ranked by a digest over seed, root
of the log at the draw, name and bytes: whoever knows the seed cannot know that root, and whoever
wants another root leaves entries in the log. The draw's entry tells the seed, so that anybody can
rank again.

A draw and the words are entries of the log (`spot-check`); no table holds them. A bad word on a
served document takes it out at once, as `quarantine hold` does, and reviewers decide its case.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import sqlalchemy as sa

from ragguard.corpus.cosigners import signed_by
from ragguard.corpus.stored_points import stored_writes
from ragguard.errors import DecisionError, LedgerError, UsageError
from ragguard.ledger import cases, commits, log, opinions, versions
from ragguard.ledger.versions import VersionRow
from ragguard.quarantine import hold as holding
from ragguard.quarantine.bodies import BY_HAND
from ragguard.quarantine.review import CLOCKS_APART, SIGNED_WITHIN, check_by
from ragguard.quarantine.statement import check_reason
from ragguard.trust import merkle, spot_word
from ragguard.trust.canonical import canonical, digest_text, format_time
from ragguard.trust.keys import KeyPair
from ragguard.trust.spot_word import SpotWord, Word
from ragguard.workspace import Workspace

ACT = "spot-check"
FORMAT = "ragguard-spot-check-v1"
SIZE = 20  # documents of either kind that a draw takes
MOST = 1_000
Zone = Literal["serving", "quarantine"]


@dataclass(frozen=True)
class DrawItem:
    """A document of a draw.

    Attributes:
        name: `DRAW-PLACE`.
        version: Number of the version that stood there.
        zone: Where: not to be shown before a word was given.
    """

    name: str
    version: int
    zone: Zone


@dataclass(frozen=True)
class Draw:
    """A sample.

    Attributes:
        number: From 1.
        seed: Hex; its SHA-256 was logged before.
        root: Root of the log's tree that it was drawn on, hex.
        admitted: Served documents it was drawn from: let in by the gate, not looked at by a person.
        held: Held documents it was drawn from.
    """

    number: int
    at: str
    seed: str
    root: str
    admitted: int
    held: int
    items: tuple[DrawItem, ...]


@dataclass(frozen=True)
class DrawItemView:
    """A document of a draw as a reviewer sees it.

    Attributes:
        word: Entry of the log with the word that was given; `None` before.
        texts: Passages, hostile.
    """

    item: DrawItem
    version: VersionRow
    signers: Sequence[tuple[str, str]]
    word: Mapping[str, Any] | None
    texts: Sequence[str] = ()


# --- drawing --------------------------------------------------------------------------------------


def rank(seed: str, root: str, row: VersionRow) -> str:
    """Rank of a document in a draw, hex: the smallest are drawn."""
    return digest_text("\0".join((seed, root, row.label, row.digest)))


def draw(workspace: Workspace, size: int = SIZE) -> Draw | None:
    """Draw a sample, and commit to the seed of the next.

    Returns:
        The draw; `None` where no seed was committed to before: now one is.

    Raises:
        UsageError: A size out of bounds.
    """
    if not 1 <= size <= MOST:
        raise UsageError(f"spot check of {size} documents, expected 1 to {MOST}")
    workspace.recover()
    past = _entries(workspace)
    promised = [e for e in past if e["did"] in ("commit", "draw")][-1:]
    number = 1 + max((int(e["number"]) for e in past if e["did"] == "draw"), default=0)
    seed = _seed(workspace, number)
    if not promised or promised[0]["next"] != _digest(seed):
        with workspace.ledger.writing() as conn:
            _log(workspace, conn, {"did": "commit", "next": _digest(seed)})
        return None
    admitted, held = _population(workspace, past)
    with workspace.ledger.reading() as conn:
        leaves = log.leaves(conn)
    root = merkle.root(leaves).hex()
    chosen: list[tuple[str, VersionRow, Zone]] = []
    kinds: tuple[tuple[Zone, list[VersionRow]], ...] = (("serving", admitted), ("quarantine", held))
    for zone, rows in kinds:
        ranked = sorted((rank(seed, root, row), row.label, row) for row in rows)[:size]
        # Shown in another order: ranks alone would tell the smaller population by its larger ones.
        chosen += [(_digest(f"order {place}"), row, zone) for place, _, row in ranked]
    chosen.sort(key=lambda choice: choice[0])
    drawn = Draw(
        number,
        format_time(workspace.now),
        seed,
        root,
        len(admitted),
        len(held),
        tuple(
            DrawItem(f"{number}-{n}", row.id, zone) for n, (_, row, zone) in enumerate(chosen, 1)
        ),
    )
    body = json.loads(json.dumps({"format": FORMAT, **asdict(drawn)}))
    name = workspace.vault.put(canonical(body))
    entry = {
        "did": "draw",
        "number": number,
        "size": len(leaves),
        "root": root,
        "seed": seed,
        "next": _digest(_seed(workspace, number + 1)),
        "admitted": len(admitted),
        "held": len(held),
        "draw": name,
    }
    with workspace.ledger.writing() as conn:
        _log(workspace, conn, entry)
    return drawn


def _population(
    workspace: Workspace, past: Iterable[Mapping[str, Any]]
) -> tuple[list[VersionRow], list[VersionRow]]:
    """Served documents that the gate let in and no spot check judged, and those the gate holds."""
    judged = {int(e["version"]) for e in past if e["did"] == "word"}
    with workspace.ledger.reading() as conn:
        serving = versions.members(conn, "serving").values()
        waiting = versions.members(conn, "quarantine").values()
        open_cases = {case.version for case in cases.open_by_label(conn).values()}
    admitted = [r for r in serving if r.outcome == "admit" and r.id not in judged]
    held = [
        r
        for r in waiting
        if r.id in open_cases
        and r.id not in judged
        and any(f["check"] not in BY_HAND for f in r.findings)
    ]
    return admitted, held


def _seed(workspace: Workspace, number: int) -> str:
    key = hashlib.blake2b(FORMAT.encode(), key=workspace.seal_key, digest_size=64).digest()
    body = canonical({"format": FORMAT, "origin": workspace.origin, "number": number})
    return hmac.new(key, body, hashlib.sha256).hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _log(workspace: Workspace, conn: sa.Connection, body: Mapping[str, Any]) -> None:
    workspace.log_act({"act": ACT, "at": format_time(workspace.now), **body}, conn)


# --- reading --------------------------------------------------------------------------------------


def _entries(workspace: Workspace) -> list[dict[str, Any]]:
    with workspace.ledger.reading() as conn:
        return opinions.acts(conn, ACT)


def draws(workspace: Workspace, past: Iterable[Mapping[str, Any]] | None = None) -> list[Draw]:
    """Read all draws, oldest first.

    Raises:
        LedgerError: One of them is not what was kept.
        VaultError: It is gone.
    """
    kept = []
    for entry in _entries(workspace) if past is None else past:
        if entry["did"] != "draw":
            continue
        try:
            body = json.loads(workspace.vault.get(str(entry["draw"])))
            if body.pop("format") != FORMAT:
                raise ValueError("another format")
            items = tuple(DrawItem(**row) for row in body.pop("items"))
            kept.append(Draw(items=items, **body))
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(f"spot check {entry.get('number')}: damaged ({error})") from None
    return kept


def words(past: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Read reviewers' words by item."""
    return {str(entry["item"]): entry for entry in past if entry["did"] == "word"}


def latest(workspace: Workspace) -> tuple[Draw | None, list[DrawItemView]]:
    """Read the last draw, `None` before the first, and its documents in order, without texts."""
    drawn, given_words = _latest(workspace)
    items = drawn.items if drawn else ()
    return drawn, [_shown(workspace, item, given_words, texts=False) for item in items]


def _latest(workspace: Workspace) -> tuple[Draw | None, dict[str, Mapping[str, Any]]]:
    past = _entries(workspace)
    last = draws(workspace, [entry for entry in past if entry["did"] == "draw"][-1:])
    return (last[0] if last else None), words(past)


def show(workspace: Workspace, name: str, *, texts: bool = True) -> DrawItemView:
    """Read a document of the last draw.

    Raises:
        UsageError: There is no such item in it.
    """
    drawn, given_words = _latest(workspace)
    item = next((i for i in drawn.items if i.name == name), None) if drawn else None
    if item is None:
        raise UsageError(
            f"spot check {name[:40]!r}: there is no such item in the last draw",
            hint="`ragguard quarantine spot-check list` shows them.",
        )
    return _shown(workspace, item, given_words, texts=texts)


def _shown(
    workspace: Workspace,
    item: DrawItem,
    given_words: Mapping[str, Mapping[str, Any]],
    *,
    texts: bool,
) -> DrawItemView:
    with workspace.ledger.reading() as conn:
        row = versions.version(conn, item.version)
        manifest = commits.manifest_row(conn, row.manifest) if row else None
    if row is None:
        raise LedgerError(f"spot check {item.name}: the ledger has no version {item.version}")
    signers = signed_by(workspace, manifest.envelope, manifest.signers) if manifest else []
    read = stored_writes(workspace, row) if texts else []
    shown = [str(w.payload["page_content"]) for w in read]
    return DrawItemView(item, row, signers, given_words.get(item.name), shown)


# --- saying ---------------------------------------------------------------------------------------


def statement(workspace: Workspace, name: str, word: Word, reason: str) -> SpotWord:
    """Write down what a reviewer has to sign; nothing is changed.

    Raises:
        UsageError: No such item, a word was given on it, or there is no reason.
    """
    check_reason(reason)
    shown = show(workspace, name, texts=False)
    _check_open(shown)
    row = shown.version
    about = (row.label, row.digest, row.metadata_digest)
    return SpotWord(name, word, *about, reason, workspace.now)


def say(workspace: Workspace, name: str, word: Word, key: KeyPair, reason: str) -> int | None:
    """Give a word on a document of the last draw; see `take`."""
    unsigned_word = statement(workspace, name, word, reason)
    return take(workspace, spot_word.sign(unsigned_word, key.signing_key, key.public.keyid), name)


def take(workspace: Workspace, envelope: bytes, name: str, *, by: str = "") -> int | None:
    """Take a signed word on a document of the last draw, and what is bad out of the index.

    Args:
        workspace: Open and locked.
        envelope: DSSE, of what `statement` says.
        name: The item it has to be about.
        by: Principal who has to have signed; empty: any reviewer.

    Returns:
        Number of the commit that took the document out; `None` where nothing was taken out.

    Raises:
        UsageError: No such item, or a word was given on it.
        DecisionError: No reviewer in force signed, the reviewer signed the document, or what is
            signed is something else or too old.
    """
    workspace.recover()
    shown = show(workspace, name, texts=False)
    _check_open(shown)
    row = shown.version
    signers = [keyid for keyid, _ in shown.signers]
    signed_word, reviewer = spot_word.authenticate(envelope, workspace.root, signers, workspace.now)
    check_by(by, reviewer)
    check_reason(signed_word.reason)
    age = workspace.now - signed_word.at
    about = (signed_word.item, signed_word.subject, signed_word.digest, signed_word.metadata_digest)
    if about != (name, row.label, row.digest, row.metadata_digest):
        raise DecisionError("spot check: what was signed is about something else")
    if not -CLOCKS_APART <= age <= SIGNED_WITHIN:
        raise DecisionError(
            f"spot check: signed for {format_time(signed_word.at)}, and it is "
            f"{format_time(workspace.now)}",
            hint="Look at it again and sign anew.",
        )
    commit = None
    if (
        signed_word.word == "bad"
    ):  # before the word is logged: a word that is killed here is given again
        why = f"spot check {name}, {reviewer.principal}: {signed_word.reason}"
        commit = _take_out(workspace, shown, why)
    entry = {
        "did": "word",
        "item": name,
        "version": row.id,
        "word": signed_word.word,
        "reviewer": reviewer.principal,
        "keyid": reviewer.keyid,
        "reason": signed_word.reason,
        "envelope": workspace.vault.put(envelope),
    }
    with workspace.ledger.writing() as conn:
        _log(workspace, conn, entry)
    return commit


def _check_open(shown: DrawItemView) -> None:
    if shown.word is not None:
        raise UsageError(
            f"spot check {shown.item.name}: {shown.word['reviewer']} gave a word on it already",
            hint="Take the next one.",
        )


def _take_out(workspace: Workspace, shown: DrawItemView, reason: str) -> int | None:
    """Hold a document that serves still as it was drawn."""
    row = shown.version
    with workspace.ledger.reading() as conn:
        there = versions.members(conn, "serving", row.source).get(row.label)
    if there is None or there.digest != row.digest:
        return None
    return holding.hold(workspace, [row.label], reason[: holding.MAX_REASON]).commit


def body_of(shown: DrawItemView) -> dict[str, Any]:
    """Render a document of a draw as a JSON object: nothing in it tells which it was."""
    row, word = shown.version, shown.word or {}
    was = "served" if shown.item.zone == "serving" else "held"
    return {
        "item": shown.item.name,
        "document": row.label,
        "digest": row.digest,
        "metadata": dict(row.metadata),
        "signed_by": list(dict.fromkeys(principal for _, principal in shown.signers)),
        "texts": list(shown.texts),
        "word": word.get("word"),
        "reviewer": word.get("reviewer"),
        "reason": word.get("reason"),
        "was": was if word else None,
    }
