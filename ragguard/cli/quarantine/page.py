"""Show a case's text to a person: what reasons point at is marked, its comparison beside it.

On a terminal marks are bold and reversed; elsewhere a row with a mark begins with `|>` and has
carets below it, which no document can fake. All text is hostile and made plain piece by piece, so
that marks stay where they belong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ragguard.cli.output import line, plain
from ragguard.ledger.evidence import Span, merged
from ragguard.text.safe_display import cut

if TYPE_CHECKING:
    from rich.text import Text

    from ragguard.quarantine.compared_with import ComparedPassage
    from ragguard.quarantine.review import CaseView

WIDE = 120  # columns from which two texts stand side by side
LONGEST = 2_000  # characters of a passage beside the case
MARK = "bold reverse"
NARROWEST = 16


def page(shown: CaseView, width: int, terminal: bool) -> Iterator[Text]:
    """Yield rows of a case's texts and of what stands beside them.

    Args:
        shown: The case, with texts.
        terminal: Whether marks can be seen as such.
    """
    yield _bare("text, with what the reasons point at marked:" if shown.marks else "text:")
    for number, text in enumerate(shown.texts):
        # All of it: what is not shown is where a document would hide.
        spans = merged([(m.start, m.end) for m in shown.marks if m.passage == number])
        yield from _column(text, spans, width, terminal)
        yield _bare("  |")
    for other in shown.beside:
        yield from _beside(shown, other, width, terminal)


def _beside(shown: CaseView, other: ComparedPassage, width: int, terminal: bool) -> Iterator[Text]:
    from ragguard.quarantine.compared_with import ROLE_NAMES

    close = "" if other.similarity is None else f", similarity {other.similarity:.2f}"
    where = {"serving": "served", "quarantine": "waits too"}.get(other.zone, other.zone)
    heading = f"beside {ROLE_NAMES[other.role]}: {line(other.document)} ({where or 'gone'}{close})"
    if not other.text:
        yield _bare(f"{heading}: its text is not kept")
        return
    yield _bare(f"{heading}; differing words are marked")
    ours = shown.texts[other.passage]
    if width >= WIDE:
        half = (width - 7) // 2
        left = _wrapped(cut(ours, LONGEST), other.ours, half)
        right = _wrapped(cut(other.text, LONGEST), other.theirs, half)
        yield from _pairs(["this document", *left], ["the other", *right], half, terminal)
    else:
        yield _bare("  this document:")
        yield from _column(cut(ours, LONGEST), other.ours, width, terminal)
        yield _bare("  the other:")
        yield from _column(cut(other.text, LONGEST), other.theirs, width, terminal)
    yield _bare("  |")


def _column(text: str, spans: Sequence[Span], width: int, terminal: bool) -> Iterator[Text]:
    """Return a text in rows with a gutter."""
    for row in _wrapped(text, spans, width - 4):
        under = "" if terminal else _carets(row)
        yield _joined("  |>" if under else "  | ", row)
        if under:
            yield _bare(f"  | {under}")


def _pairs(left: Sequence[Any], right: Sequence[Any], half: int, terminal: bool) -> Iterator[Text]:
    """Yield rows of two texts, one beside the other."""
    for one, two in zip_longest(left, right, fillvalue=""):
        a, b = (_bare(x) if isinstance(x, str) else x for x in (one, two))
        under = ["", ""] if terminal else [_carets(a), _carets(b)]
        row = _joined("  |>" if any(under) else "  | ", a)
        row.append(" " * max(0, half - a.cell_len) + (" | "))
        row.append_text(b)
        yield row
        if any(under):
            yield _bare(f"  | {under[0].ljust(half)} | {under[1]}".rstrip())


def _wrapped(text: str, spans: Sequence[Span], width: int) -> list[Text]:
    """Return a text in rows of at most `width` columns, marks in place."""
    from rich.console import Console
    from rich.text import Text

    marked = Text()
    at = 0
    for start, end in merged([(a, min(b, len(text))) for a, b in spans if a < len(text)]):
        marked.append(plain(text[at:start]))
        marked.append(plain(text[start:end]), style=MARK)
        at = end
    marked.append(plain(text[at:]))
    marked.expand_tabs(4)
    ruler = Console(width=width, legacy_windows=False)
    rows: list[Text] = []
    for part in marked.split("\n", allow_blank=True):
        folded = list(part.wrap(ruler, max(NARROWEST, width), overflow="fold"))
        rows += folded or [Text()]
    for row in rows:
        row.rstrip()
    return rows


def _carets(row: Text) -> str:
    """Return a row of carets below what is marked; empty when nothing is."""
    from rich.cells import cell_len

    out = ""
    for span in sorted(s for s in row.spans if s.style == MARK and s.end > s.start):
        before = cell_len(row.plain[: span.start])
        size = cell_len(row.plain[span.start : span.end].rstrip())
        out = out.ljust(before) + "^" * size
    return out


def _joined(gutter: str, row: Text) -> Text:
    from rich.text import Text

    joined = Text(gutter)
    joined.append_text(row)
    return joined


def _bare(text: str) -> Text:
    from rich.text import Text

    return Text(text)
