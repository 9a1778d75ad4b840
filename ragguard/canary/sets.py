"""Define a canary set: queries, what should answer them, what must never answer anything.

Sets are never changed: adding makes a new one. The vault keeps it, an entry of the log (`canary`)
names it, and the last such entry says which is in force. Answers are judged by document, never by
chunk: another splitter changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ragguard.canary.patterns import MAX_PATTERNS, Patterns
from ragguard.errors import LedgerError, MalformedError, OversizedError, UsageError
from ragguard.ledger import log
from ragguard.trust import strict_json
from ragguard.trust.canonical import canonical, digest_bytes, format_time
from ragguard.trust.scope import scope_of
from ragguard.workspace import Workspace

FORMAT = "ragguard-canaries-v1"
ACT = "canary"
RUN_ACT = "canary run"  # an audit asked the set in force, and kept the rankings
MAX_BYTES = 64_000_000
MAX_QUERIES = 10_000
MAX_TEXT = 2000  # characters of a query, of a trigger
MAX_LABEL = 2000  # characters of a document's label
MAX_GRADE = 1000
MAX_FORBIDDEN = 10_000
MAX_TRIGGERS = 100
_QUERY_ID = re.compile(r"[^\s]{1,200}")
_POINT_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Forbidden:
    """What must never appear among the answers.

    Attributes:
        document: `source/id`; empty where a pattern is meant.
        pattern: Regular expression over the text of answers; empty where a document is meant.
        query: The query it is about; empty: it is about all of them, and about triggers.
        reason: In the words of whoever added it.
    """

    document: str = ""
    pattern: str = ""
    query: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return self.document or f"/{self.pattern}/"


@dataclass(frozen=True)
class Canaries:
    """A canary set.

    Attributes:
        queries: Query id to text.
        qrels: Query id to document (`source/id`) to grade; above 0 is relevant.
        forbidden: What must not appear.
        triggers: Texts that are known, or suspected, to bring poison up.
        scopes: Query id to whom it is asked for, values by key; a query without one sees all.
    """

    queries: Mapping[str, str] = field(default_factory=dict)
    qrels: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    forbidden: tuple[Forbidden, ...] = ()
    triggers: tuple[str, ...] = ()
    scopes: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of the set as it is stored."""
        return digest_bytes(dump(self))


def merge(old: Canaries, new: Canaries) -> Canaries:
    """Both sets in one; where they differ about a query or a grade, the new one counts."""
    qrels = {query: dict(grades) for query, grades in old.qrels.items()}
    for query, grades in new.qrels.items():
        qrels.setdefault(query, {}).update(grades)
    return Canaries(
        {**old.queries, **new.queries},
        qrels,
        tuple(dict.fromkeys((*old.forbidden, *new.forbidden))),
        tuple(dict.fromkeys((*old.triggers, *new.triggers))),
        {**{q: s for q, s in old.scopes.items() if q not in new.queries}, **new.scopes},
    )


def check(canaries: Canaries) -> None:
    """Refuse a set that cannot be asked or judged.

    Raises:
        UsageError: Says what is wrong.
    """
    _at_most("queries", canaries.queries, MAX_QUERIES)
    _at_most("must-not entries", canaries.forbidden, MAX_FORBIDDEN)
    _at_most("patterns", [f for f in canaries.forbidden if f.pattern], MAX_PATTERNS)
    _at_most("triggers", canaries.triggers, MAX_TRIGGERS)
    for query, text in canaries.queries.items():
        if not _QUERY_ID.fullmatch(query):
            raise UsageError(f"query id {query[:60]!r}: expected 1 to 200 characters, no space")
        _check_text(f"query {query!r}", text)
    for trigger in canaries.triggers:
        _check_text("trigger", trigger)
    for query, grades in canaries.qrels.items():
        _known(query, canaries, "the qrels")
        for document, grade in grades.items():
            _check_label(document, f"qrels of query {query!r}")
            if not -MAX_GRADE <= grade <= MAX_GRADE:
                raise UsageError(f"qrels of query {query!r}: grade {grade} is out of bounds")
    for query, values in canaries.scopes.items():
        _known(query, canaries, "scope")
        scope_of(values)
    for entry in canaries.forbidden:
        if bool(entry.document) == bool(entry.pattern):
            raise UsageError("must-not: expected a document or a pattern, one of them")
        if entry.query:
            _known(entry.query, canaries, "must-not")
        if entry.document:
            _check_label(entry.document, "must-not")
    Patterns([f.pattern for f in canaries.forbidden if f.pattern])


def _at_most(kind: str, members: Collection[Any], most: int) -> None:
    if len(members) > most:
        raise UsageError(f"{len(members)} {kind}, at most {most} are taken")


def _check_text(name: str, text: str) -> None:
    if not text.strip() or len(text) > MAX_TEXT:
        raise UsageError(f"{name}: expected 1 to {MAX_TEXT} characters of text")


def _known(query: str, canaries: Canaries, where: str) -> None:
    if query not in canaries.queries:
        raise UsageError(
            f"{where}: there is no query {query[:60]!r}",
            hint="Give the file with its text too; ids must be the same in both.",
        )


def _check_label(document: str, where: str) -> None:
    source, slash, name = document.partition("/")
    if not (source and slash and name) or len(document) > MAX_LABEL:
        raise UsageError(
            f"{where}: {document[:60]!r} is no document id of the form source/id",
            hint="--prefix SOURCE/ puts the source before ids that have none.",
        )
    if _POINT_ID.fullmatch(document.rpartition("/")[2]):
        raise UsageError(
            f"{where}: {document[:60]!r} names a chunk",
            hint="Canaries are judged by document, so that another splitter changes nothing.",
        )


# --- kept -----------------------------------------------------------------------------------------


def dump(canaries: Canaries) -> bytes:
    """Return a set as canonical JSON."""
    body: dict[str, Any] = {
        "format": FORMAT,
        "queries": dict(canaries.queries),
        "qrels": {query: dict(grades) for query, grades in canaries.qrels.items()},
        "forbidden": [asdict(entry) for entry in canaries.forbidden],
        "triggers": list(canaries.triggers),
    }
    if canaries.scopes:  # a set without any is what it was before there were scopes
        body["scopes"] = {
            query: {key: list(texts) for key, texts in values.items()}
            for query, values in canaries.scopes.items()
        }
    return canonical(body)


def load(data: bytes) -> Canaries:
    """Read what `dump` wrote.

    Raises:
        LedgerError: Anything else.
    """
    try:
        body = strict_json.parse(data, what="canary set", max_bytes=MAX_BYTES, max_depth=8)
        if not isinstance(body, dict) or body.pop("format", None) != FORMAT:
            raise ValueError("of another format")
        body.setdefault("scopes", {})
        if body.keys() != {f.name for f in fields(Canaries)}:
            raise ValueError("its fields are not as documented")
        canaries = Canaries(
            {str(query): str(text) for query, text in body["queries"].items()},
            {
                str(query): {str(name): int(grade) for name, grade in grades.items()}
                for query, grades in body["qrels"].items()
            },
            tuple(Forbidden(**entry) for entry in body["forbidden"]),
            tuple(map(str, body["triggers"])),
            {
                str(query): {str(key): tuple(map(str, texts)) for key, texts in values.items()}
                for query, values in body["scopes"].items()
            },
        )
        check(canaries)
    except (
        *(ValueError, TypeError, AttributeError),
        *(UsageError, MalformedError, OversizedError),
    ) as error:
        raise LedgerError(
            f"canary set: not one that this ragguard reads ({error})",
            hint="Add the canaries again with `ragguard canary add --replace`.",
        ) from None
    return canaries


def keep(workspace: Workspace, canaries: Canaries) -> str:
    """Put a set into force: the vault keeps it, the log names it.

    Returns:
        Its digest.

    Raises:
        UsageError: See `check`.
    """
    check(canaries)
    data = dump(canaries)
    if len(data) > MAX_BYTES:
        raise UsageError(f"canary set: {len(data)} bytes, at most {MAX_BYTES} are taken")
    name = workspace.vault.put(data)
    entry = {
        "act": ACT,
        "at": format_time(workspace.now),
        "digest": name,
        "queries": len(canaries.queries),
        "forbidden": len(canaries.forbidden),
        "triggers": len(canaries.triggers),
    }
    workspace.log_act(entry)
    return name


def in_force(workspace: Workspace) -> Canaries | None:
    """Return the set of the last entry of the log about one; `None` if there is none.

    Raises:
        VaultError: The vault lost it.
        LedgerError: It cannot be read.
    """
    entries = acts(workspace, ACT)
    return load(workspace.vault.get(str(entries[-1].get("digest")))) if entries else None


def acts(workspace: Workspace, act: str) -> list[Mapping[str, Any]]:
    """List entries of the log about an act, oldest first; one that is damaged is passed over.

    The log's own verification says that it is damaged.
    """
    with workspace.ledger.reading() as conn:
        texts = [text for _, text, _ in log.entries(conn) if f'"{act}"' in text]
    bodies = (log.read(text) or {} for text in texts)
    return [body for body in bodies if body.get("act") == act]


def touched(canaries: Canaries, documents: Collection[str]) -> list[str]:
    """List queries that have one of some documents (`source/id`) among their relevant ones."""
    wanted = set(documents)
    return [
        query
        for query, grades in canaries.qrels.items()
        if any(grade > 0 and name in wanted for name, grade in grades.items())
    ]
