"""Render facts of a finding as blocks of the page: quotes, changes, tables, lists, pairs.

Some names are understood: `question`, `text` (of the suspect), `twin_text` and `nearest_text` (set
beside it, differing words marked), `neighbours` (a list of `document`, `similarity`, `text`),
`companions` with `similarities`, `changes` (pairs of ours and theirs, or by field before and
after), `expected` with `found`. What else there is, is shown by its shape. Nothing is dropped in
silence: what does not fit is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice
from typing import Any, Literal, TypeGuard

from ragguard.text.safe_display import cut

LONGEST = 600  # characters of a text
WIDEST = 160  # characters of a cell
MOST_ROWS = 10
MOST_COLUMNS = 5
ALIKE = 0.5  # share of a neighbour's text that may differ for its words to be marked
MOST_WORDS = 160  # of a text that is compared word by word
BESIDE = ("twin_text", "nearest_text", "neighbour_text")
Kind = Literal["quote", "change", "table", "list", "pairs", "compare"]
Segments = list[tuple[str, bool]]  # text, and whether it differs
_WORDS = re.compile(r"\S+\s*|^\s+")


@dataclass(frozen=True)
class Block:
    """A piece of evidence.

    Attributes:
        kind: How it is shown.
        title: What it is, in a few words.
        columns: Headings of a table.
        rows: Cells, each a list of segments. A quote has one row of one cell, a list one cell a
            row, pairs two, a change three: field, before, after.
        more: Rows that are left out.
    """

    kind: Kind
    title: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Segments]] = ()
    more: int = 0


def blocks(facts: Mapping[str, Any]) -> list[Block]:
    """Return the evidence of a finding, what is understood first."""
    left = {str(k): v for k, v in facts.items() if v not in (None, "", [], {})}
    evidence = list(_known(left))
    pairs: list[Sequence[Segments]] = []
    for name, value in left.items():
        shaped = _by_shape(words(name), value)
        if isinstance(shaped, Block):
            evidence.append(shaped)
        else:
            pairs.append([_plain(words(name)), shaped])
    if pairs:
        evidence.append(
            Block("pairs", "", rows=pairs[:MOST_ROWS], more=max(0, len(pairs) - MOST_ROWS))
        )
    return evidence


def marked(ours: str, theirs: str) -> tuple[Segments, Segments]:
    """Two texts in segments, those words marked that the other has not in that place.

    Beginnings of texts longer than `MOST_WORDS` are compared; case is ignored.
    """
    left, right = _pieces(ours), _pieces(theirs)
    low = [[piece.strip().lower() for piece in side] for side in (left, right)]
    matcher = SequenceMatcher(None, low[0], low[1], autojunk=False)
    mine: Segments = []
    other: Segments = []
    for kind, a, b, c, d in matcher.get_opcodes():
        for side, pieces in ((mine, left[a:b]), (other, right[c:d])):
            text = "".join(pieces)
            word = text.rstrip() if kind != "equal" else text
            side += [(t, kind != "equal" and t is word) for t in (word, text[len(word) :]) if t]
    for side, whole in ((mine, ours), (other, theirs)):
        if sum(len(text) for text, _ in side) < len(whole):
            side.append(("\N{HORIZONTAL ELLIPSIS}", False))
    return mine, other


def words(name: str) -> str:
    """Return a name of a fact as words."""
    return name.replace("_", " ").strip()


def _known(left: dict[str, Any]) -> Iterator[Block]:
    """Blocks of facts that are understood, which are taken out."""
    if isinstance(question := left.get("question"), str):
        del left["question"]
        yield Block("quote", "the question it seems written for", rows=[[_plain(question)]])
    text = left["text"] if isinstance(left.get("text"), str) else ""
    for name in BESIDE:
        if text and isinstance(beside := left.get(name), str):
            del left[name]
            left.pop("text", None)
            mine, other = marked(text, beside)
            title = f"beside its {name.removesuffix('_text')}; differing words are marked"
            yield Block("compare", title, ["this document", "the other"], [[mine, other]])
    if "text" in left and text:
        del left["text"]
        yield Block("quote", "what it says", rows=[[_plain(text)]])
    yield from _changes(left)
    if _is_rows(near := left.get("neighbours")):
        del left["neighbours"]
        yield _neighbours(near, text)
    names, close = left.get("companions"), left.get("similarities")
    if isinstance(names, list) and isinstance(close, list) and len(names) == len(close):
        del left["companions"], left["similarities"]
        rows = [{"document": n, "similarity": s} for n, s in zip(names, close, strict=True)]
        yield _table("companions: the same in other words", rows)


def _changes(left: dict[str, Any]) -> Iterator[Block]:
    rows: list[Sequence[Segments]] = []
    if _is_pairs(pairs := left.get("changes")):
        del left["changes"]
        rows += [[_plain(""), _cell(theirs), _cell(ours)] for ours, theirs in pairs]
    fields = left.get("changes")
    if isinstance(fields, Mapping) and _is_pairs(list(fields.values())):
        del left["changes"]
        rows += [[_plain(str(k)), _cell(a), _cell(b)] for k, (a, b) in fields.items()]
    if "expected" in left and "found" in left:
        rows.append([_plain(""), _cell(left.pop("expected")), _cell(left.pop("found"))])
    if rows:
        yield Block("change", "what changed", rows=rows[:MOST_ROWS], more=len(rows[MOST_ROWS:]))


def _neighbours(rows: Sequence[Mapping[str, Any]], text: str) -> Block:
    """Return a table; texts much like `text` have the words marked that it has not."""
    table = _table("nearest neighbours", rows)
    if not text or "text" not in table.columns:
        return table
    at = list(table.columns).index("text")
    shown = [list(row) for row in table.rows]
    for cells, row in zip(shown, rows, strict=False):
        theirs = marked(cut(text, LONGEST), cut(str(row.get("text", "")), LONGEST))[1]
        other = sum(len(piece) for piece, differs in theirs if differs)
        if other <= ALIKE * sum(len(piece) for piece, _ in theirs):  # else all of it differs
            cells[at] = theirs
    return Block("table", table.title, table.columns, shown, table.more)


def _by_shape(title: str, value: Any) -> Block | Segments:
    """Return a block, or a cell for what is one value."""
    if _is_rows(value):
        return _table(title, value)
    if isinstance(value, list):
        shown = [[_cell(item)] for item in value[:MOST_ROWS]]
        return Block("list", title, rows=shown, more=len(value) - len(shown))
    if isinstance(value, Mapping):
        shown_pairs = [[_plain(str(k)), _cell(v)] for k, v in islice(value.items(), MOST_ROWS)]
        return Block("pairs", title, rows=shown_pairs, more=len(value) - len(shown_pairs))
    if isinstance(value, str) and len(value) > WIDEST:
        return Block("quote", title, rows=[[_plain(value)]])
    return _cell(value)


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Block:
    names = list(dict.fromkeys(str(key) for row in rows[:MOST_ROWS] for key in row))
    columns = names[:MOST_COLUMNS]
    shown = [[_cell(row.get(name)) for name in columns] for row in rows[:MOST_ROWS]]
    return Block("table", title, [words(name) for name in columns], shown, len(rows[MOST_ROWS:]))


def _cell(value: Any) -> Segments:
    if isinstance(value, bool):
        return _plain("yes" if value else "no")
    if isinstance(value, float):
        return _plain(f"{value:.4g}")
    if isinstance(value, int):
        return _plain(f"{value:,}")
    if isinstance(value, list):
        return _plain(", ".join(str(v) for v in value), WIDEST)
    return _plain("" if value is None else str(value), WIDEST)


def _plain(text: str, most: int = LONGEST) -> Segments:
    return [(cut(text, most), False)]


def _pieces(text: str) -> list[str]:
    return _WORDS.findall(text)[:MOST_WORDS]


def _is_rows(value: Any) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(v, Mapping) for v in value)


def _is_pairs(value: Any) -> TypeGuard[list[Sequence[Any]]]:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(v, list | tuple) and len(v) == 2 for v in value)
    )
