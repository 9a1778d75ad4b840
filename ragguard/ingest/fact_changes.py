"""Find an authorised update in which nothing but facts is another.

Somebody who may sign can change one number, and every signature is right. A source's contract
says what happens then (`fact_changes`): `allow`; `review`, the new version waits for a reviewer
while the old one serves; `second-signature`, it waits unless two principals of the source signed
its manifest.

Compared is the parsed text with that of the serving version, from the vault. A *fact change* is
an update in which every place that differs is a number, date, name or negation in the place of
another (`text.fact_kinds`). Whoever also adds or rewords something makes a revision, which this
does not hold: the contract guards against the quiet edit, not against the author.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from difflib import SequenceMatcher

from ragguard.corpus.clean_set import read_back
from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.embed import read_items
from ragguard.corpus.state import SourceState
from ragguard.ingest.contract_review import hold_with
from ragguard.model import Finding, Policy, Verdict
from ragguard.parse.workers import Read, Unread
from ragguard.text.diff import tokens
from ragguard.text.fact_kinds import Kind, kind
from ragguard.text.words import normalise
from ragguard.workspace import Workspace

CHECK = "fact_change"
SIGNERS = 2  # principals who vouch for a change of fact
MOST = 1000  # words of a block of lines that are lined up
TOLD = 5  # changes that the finding spells out


@dataclass(frozen=True)
class FactChange:
    """One fact, before and after.

    Attributes:
        kind: What it is: `number`, `date`, `name`, `sense` or `negation`.
        before: Words of the serving version; empty where a negation was put in.
        after: Words of the new one.
    """

    kind: Kind
    before: str
    after: str


def fact_changes(before: str, after: str) -> tuple[FactChange, ...]:
    """List the facts in which two versions of a text differ, if they differ in nothing else.

    Returns:
        The changes, each once; empty where the texts are the same but for spaces, capitals and
        punctuation, or where anything else differs too.
    """
    old, new = (
        [line.strip() for line in normalise(text).split("\n") if line.strip()]
        for text in (before, after)
    )
    ordinary = {w for line in (*old, *new) for w in tokens(line) if w.islower()}
    changes: dict[FactChange, None] = {}
    for tag, a, b, c, d in SequenceMatcher(None, old, new, False).get_opcodes():
        if tag == "equal":
            continue
        theirs = [t for line in old[a:b] for t in tokens(line)]
        ours = [t for line in new[c:d] for t in tokens(line)]
        if max(len(theirs), len(ours)) > MOST:
            return ()
        was, now = [t.lower() for t in theirs], [t.lower() for t in ours]
        for how, e, f, g, h in SequenceMatcher(None, was, now, False).get_opcodes():
            if how == "equal":
                continue
            named = kind(ours[g:h], theirs[e:f], ordinary)
            if named == "wording":
                return ()
            changes[FactChange(named, " ".join(theirs[e:f]), " ".join(ours[g:h]))] = None
    return tuple(changes)


def hold_fact_changes(
    workspace: Workspace,
    items: Sequence[IncomingDocument],
    verdicts: dict[str, Verdict],
    standing: SourceState,
    contract: Policy,
    principals: Set[str],
) -> dict[str, Verdict]:
    """List verdicts with fact changes held as the contract asks.

    Args:
        items: New and changed documents of one source that were judged.
        verdicts: By document id.
        standing: What of the source is there now.
        principals: Who signed the manifest, of those who may.

    Returns:
        `verdicts`, those of fact changes quarantined with a finding `fact_change`.
    """
    if contract.fact_changes == "allow":
        return verdicts
    if contract.fact_changes == "second-signature" and len(principals) >= SIGNERS:
        return verdicts
    updates = [
        (item, row)
        for item in items
        if (row := standing.serving.get(item.document.id)) is not None
        and row.digest != item.document.digest
        and verdicts[item.document.id].outcome != "reject"
    ]
    old, _ = read_back(workspace, [row for _, row in updates])
    held = dict(verdicts)
    kept = [(item, old[row.id]) for item, row in updates if row.id in old]
    # What is gone from the vault is left out here: the audit says so.
    read = read_items(workspace, [version for pair in kept for version in pair])
    for (item, _), now, was in zip(kept, read[::2], read[1::2], strict=True):
        changes = fact_changes(_text(was), _text(now))
        if changes:
            held[item.document.id] = _held(held[item.document.id], changes, contract)
    return held


def _text(answer: Read | Unread) -> str:
    """Return a document's parsed text; empty where it cannot be read any more."""
    return answer.parsed.text if isinstance(answer, Read) else ""


def _held(verdict: Verdict, changes: Sequence[FactChange], contract: Policy) -> Verdict:
    shown = "; ".join(
        f"{c.before or '(nothing)'!r} became {c.after or '(nothing)'!r}" for c in changes[:TOLD]
    )
    more = f", and {len(changes) - TOLD} more" if len(changes) > TOLD else ""
    asked = (
        "a second signature" if contract.fact_changes == "second-signature" else "a reviewer's word"
    )
    finding = Finding(
        CHECK,
        1.0,
        None,
        f"the update changes only facts: {shown}{more}; the contract asks for {asked}",
        {"changes": [[c.kind, c.before, c.after] for c in changes[: 4 * TOLD]]},
    )
    return hold_with(verdict, finding)
