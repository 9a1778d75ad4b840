"""Find what one text says otherwise than another that it was made from.

Texts are lined up word by word. Ends that are the same are taken off first; what is between them is
lined up by longest matching blocks (Ratcliff, Metzener, "Pattern Matching: The Gestalt Approach",
Dr. Dobb's Journal, 1988, as in Python's difflib). What is then left over on both sides is lined up
once more by itself, so that a sentence that was moved counts as moved, not as written anew.

A change is a fact only in a sentence that both texts have otherwise (`surroundings`); so tokens are
given with their sentences, and a sentence is told from what is written without them: code, tables,
headings, menus.

What one of the two has before the other begins, or after it ends, is where they were cut.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

_UNREAD = re.compile(
    r"\[(?:\d{1,3}|[a-z]|[a-z]{3,8} [a-z ]{1,20})\](?!\()"  # marks of footnotes
    r"|\]\([^()\s]{1,500}[^()\n]{0,100}\)"  # where a link leads
    r"|<[^<>\n]{1,300}>|\b(?:https?|ftp)://\S+|\bwww\.\S+|\S+@\S+\.\w+"
)
_END = re.compile(r"[.!?\u2026\u3002][\"'\u201d\u2019)\]*_]*\s")
_NEW_BLOCK = re.compile(r"\n\s*(?:\n|[-*+#>|=~`:!])")
_SYMBOLS = frozenset("_{}[]<>=/\\|#@`~^&+*$")
_TOKEN = re.compile(r"\d+(?:[.,:/-]\d+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[%€$£]", re.UNICODE)
MOVED = 5  # words from which a piece found elsewhere counts as moved
KEPT = 0.6  # share of a piece that must be found elsewhere again
STRAY = 2  # words at either end that may be lined up with others far away by chance
SMALL = 4  # words up to which a difference at either end of both texts is a change, not a cut
SENTENCE = 6  # words of the shortest sentence that states a fact
PLAIN = 0.4  # share of its words that are in small letters
FULL = 30  # characters of a line that may be broken within a sentence
ODD = 0.05  # share of its characters that are signs of code, tables and links
LONGEST = 1000  # words of a text that are looked at


@dataclass(frozen=True)
class Change:
    """A place where two texts differ.

    Attributes:
        start: Number of our first token there, or of the one before which theirs are missing.
        ours: Our tokens there, as written; may be empty.
        theirs: Theirs; may be empty.
    """

    start: int
    ours: tuple[str, ...]
    theirs: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """How two texts differ.

    Attributes:
        shared: Tokens of ours that the other has too, in their place or moved.
        changes: Places that differ, in the order of our text; where a text was cut is none.
        uncovered: Tokens of ours before the other begins or after it ends.
        moved: Pieces that stand elsewhere in the other text.
        cuts: Where in our text the uncovered tokens are, from and to.
    """

    shared: int
    changes: tuple[Change, ...]
    uncovered: int
    moved: int
    cuts: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class _Piece:
    """Tokens a..b of ours against c..d of the other's, none of them lined up."""

    a: int
    b: int
    c: int
    d: int


@dataclass(frozen=True)
class Sentences:
    """Where the sentences of a text are.

    Attributes:
        of: Number of the sentence of each token.
        lines: Number of the line each token stands in.
        prose: Per sentence: whether it is one, and no heading, table, list of links or code.
    """

    of: tuple[int, ...]
    lines: tuple[int, ...]
    prose: tuple[bool, ...]


def tokens(text: str) -> list[str]:
    """List words, numbers (with their separators) and currency signs, in order, as written.

    Addresses, tags and the marks of footnotes are no words.
    """
    return _TOKEN.findall(_UNREAD.sub(_blank, text))[:LONGEST]


def sentences(text: str) -> Sentences:
    """Tell where the sentences of a text are; tokens are numbered as by `tokens`."""
    read = _UNREAD.sub(_blank, text)
    matches = list(_TOKEN.finditer(read))[:LONGEST]
    of: list[int] = []
    lines: list[int] = []
    starts: list[int] = []
    for i, match in enumerate(matches):
        before = matches[i - 1].end() if i else 0
        if not i or _parts(read, before, match.start()):
            starts.append(i)
        of.append(len(starts) - 1)
        lines.append((lines[-1] if lines else 0) + read.count("\n", before, match.start()))
    prose: list[bool] = []
    for start, end in pairwise([*starts, len(matches)]):
        words = [m.group() for m in matches[start:end]]
        sentence = read[matches[start].start() : matches[end - 1].end()]
        plain = sum(w.islower() and w.isalpha() for w in words)
        odd = sum(c in _SYMBOLS for c in sentence)
        prose.append(
            len(words) >= SENTENCE and plain >= PLAIN * len(words) and odd <= ODD * len(sentence)
        )
    return Sentences(tuple(of), tuple(lines), tuple(prose))


def _parts(text: str, start: int, end: int) -> bool:
    """Tell whether what stands between two tokens ends a sentence."""
    between = text[start:end]
    if "\n" in between:
        line = text[text.rfind("\n", 0, start) + 1 : start]
        # A line that is short, or that opens with a sign, is not broken because it was full.
        if len(line) < FULL or line.startswith("#") or _NEW_BLOCK.search(between):
            return True
    elif "|" in between:
        return True
    return bool(_END.search(between)) and not text[end : end + 1].islower()


def _blank(match: re.Match[str]) -> str:
    """As many spaces, so that offsets stay; line ends stay as well."""
    return "".join("\n" if c == "\n" else " " for c in match.group())


@dataclass(frozen=True)
class Alignment:
    """How a sentence lines up but for one change.

    Attributes:
        kept: Its words that both texts have in the same place.
        other: Its words that differ elsewhere, theirs included.
    """

    kept: int
    other: int


def surroundings(diff: Difference, at: Change, of: Sequence[int]) -> Alignment:
    """Tell how the sentence around a change lines up.

    Args:
        diff: The difference the change is of.
        at: The change. The same substitution elsewhere in the sentence is no other change.
        of: Number of the sentence of each of our tokens.
    """
    if not len(of):
        return Alignment(0, 0)
    number = of[min(at.start, len(of) - 1)]
    first, end = bisect_left(of, number), bisect_right(of, number)
    kept, other = end - first, 0
    for change in diff.changes:
        a, b = change.start, change.start + len(change.ours)
        inside = max(0, min(b, end) - max(a, first))
        if not inside and not (first <= a < end and not change.ours):
            continue
        kept -= inside
        if (change.ours, change.theirs) != (at.ours, at.theirs):
            other += max(inside, len(change.theirs))
    for a, b in diff.cuts:
        kept -= max(0, min(b, end) - max(a, first))
    return Alignment(kept, other)


def join(left: Sequence[str], right: Sequence[str], most: int = 80) -> list[str]:
    """Two pieces of one text as one; what the second repeats of the first's end stands once."""
    for size in range(min(len(left), len(right), most), 0, -1):
        if list(left[-size:]) == list(right[:size]):
            return [*left, *right[size:]]
    return [*left, *right]


def difference(ours: Sequence[str], theirs: Sequence[str]) -> Difference:
    """Line two token lists up; case is ignored.

    Args:
        ours: Tokens (a,).
        theirs: Tokens (b,) of the text it is compared with.
    """
    mine, other = [t.lower() for t in ours], [t.lower() for t in theirs]
    pieces = _pieces(mine, other, _Piece(0, len(mine), 0, len(other)))
    rest, inner, moved = _moved(mine, other, pieces)
    changes: list[Change] = []
    cuts: list[tuple[int, int]] = []
    for piece in (*rest, *inner):
        outer = (piece.a == 0 and piece.c == 0) or (piece.b == len(mine) and piece.d == len(other))
        sizes = (piece.b - piece.a, piece.d - piece.c)
        if outer and not (min(sizes) > 0 and max(sizes) <= SMALL):
            cuts.append((piece.a, piece.b))
            continue
        # A cut text may begin with a word that the whole one begins with too, such as "the".
        edge = piece.b <= STRAY or len(mine) - piece.a <= STRAY
        if edge and not sizes[0] and sizes[1] > SMALL:
            continue
        changes.append(
            Change(piece.a, tuple(ours[piece.a : piece.b]), tuple(theirs[piece.c : piece.d]))
        )
    unmatched = sum(p.b - p.a for p in (*rest, *inner))
    changes.sort(key=lambda c: (c.start, c.ours, c.theirs))
    uncovered = sum(b - a for a, b in cuts)
    return Difference(len(mine) - unmatched, tuple(changes), uncovered, moved, tuple(cuts))


def _pieces(mine: Sequence[str], other: Sequence[str], whole: _Piece) -> list[_Piece]:
    """Tell what is not lined up within a piece, in order."""
    a, b, c, d = whole.a, whole.b, whole.c, whole.d
    while a < b and c < d and mine[a] == other[c]:
        a, c = a + 1, c + 1
    while a < b and c < d and mine[b - 1] == other[d - 1]:
        b, d = b - 1, d - 1
    if a == b or c == d:
        return [_Piece(a, b, c, d)] if a < b or c < d else []
    codes = SequenceMatcher(None, mine[a:b], other[c:d], False).get_opcodes()
    return [_Piece(a + i, a + j, c + k, c + m) for kind, i, j, k, m in codes if kind != "equal"]


def _moved(
    mine: Sequence[str], other: Sequence[str], pieces: Sequence[_Piece]
) -> tuple[list[_Piece], list[_Piece], int]:
    """Pair long pieces of ours with long ones of theirs that stand elsewhere.

    Returns:
        What is left of the pieces, what differs inside those that moved, and how many moved.
    """
    rest = list(pieces)
    inner: list[_Piece] = []
    count = 0
    for i, p in enumerate(pieces):
        bag = Counter(mine[p.a : p.b])
        if p.b - p.a < MOVED:
            continue
        for j, q in enumerate(rest):
            if i == j or q.d - q.c < MOVED or rest[i].b == rest[i].a:
                continue
            least = KEPT * min(p.b - p.a, q.d - q.c)
            if sum((bag & Counter(other[q.c : q.d])).values()) < least:
                continue
            parts = _pieces(mine, other, _Piece(p.a, p.b, q.c, q.d))
            if (p.b - p.a) - sum(f.b - f.a for f in parts) < least:
                continue
            inner += parts
            count += 1
            # Empty what was paired: it stays in the list as a place, not as a difference.
            rest[i] = _Piece(p.b, p.b, rest[i].c, rest[i].d)
            rest[j] = _Piece(rest[j].a, rest[j].b, q.d, q.d)
    return [p for p in rest if p.a < p.b or p.c < p.d], inner, count
