"""Cut prose out of a passage: its sentences, apart from code, addresses, tables and markup.

Measures of wording (repetition, odd words, shared words) are made for sentences. A page of
documentation is also commands, tables, addresses and lines that stand on every page of its site;
their words say nothing about who wrote it. What is taken for code is what looks like code, not
what is declared to be: sentences inside a fence or between backticks stay, so that nobody hides
them there.

Read are Markdown, reStructuredText, plain text, and the Markdown that HTML and Word files become;
a passage may begin or end inside a fence or a table. What is left keeps its order and its lines.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import unescape

from ragguard.model import Ints
from ragguard.text.words import words

CELL = 8  # words up to which a table's cell is a cell; more are a sentence
REPEATED = 3  # other documents of its source a line must stand in to be furniture
MOST_REPEATED = (
    0.5  # of a passage's words; one of which more is repeated is a copy, and stays whole
)
LONGEST_FURNITURE = 240  # characters of a line that a site repeats
_LONGEST_CODE = 160  # characters of a line of code; what is longer is a paragraph
_SYMBOLS = 0.08  # share of a line's characters that are symbols, from which it is code
_WORDLIKE = 0.85  # share of a text's tokens that are words, from which it is sentences
_FEWEST_LETTERS = 40  # of a block that is declared to be code and is sentences
_FEW_LETTERS = 12  # of a block that is only indented
_LONG_LINE = 45  # letters of a line, on the average, from which no full stop is asked for
_MENU = 6  # short lines in a row that are a menu
_ENTRY = 4  # words of such a line
_LONGEST_ENTRY = 48  # its characters
_LETTERS_A_LINE = 15  # of sentences, on the average

_MARKED = re.compile(
    r"[`\[\]<>{}|\\=~]|://|www\.|&[a-z#]|\n[ \t]|\A[ \t]"
    r"|(?:^|\n)[ \t]*(?:\.\.[ \t]|[$:]|\W+(?:\n|\Z))|\w_\w|[ \t]{3}|--\w|\w\("
)
_ASIDE = re.compile(
    r"<!--.{0,5000}?-->|\{%.{0,500}?%\}|\{\{.{0,500}?\}\}|\{!.{0,500}?!\}", re.DOTALL
)
_FENCE = re.compile(r"[ \t>]*(?:[-*+] +)?(?P<mark>`{3,}|~{3,})[ \t]*(?P<of>[^`\n]*)")
_DIRECTIVE = re.compile(
    r"(?P<in>[ \t]*)\.\.[ \t]+(?:\|[^|\n]{1,100}\|[ \t]+)?(?P<name>[\w:.+-]+?)::(?P<rest>.*)"
)
_OPTION = re.compile(r"[ \t]*:[\w -]{1,40}:(?:[ \t].*)?")
_TARGET = re.compile(r"[ \t]*\.\.[ \t]+_[^\n]*|[ \t]*__[ \t]+\S+")
_DEFINED = re.compile(r" {0,3}\[[^\]\n]{1,200}\]:[ \t]*\S+(?:[ \t]+[\"'(].*[\"')])?[ \t]*")
_SAMPLE_NAMES = (
    "code code-block sourcecode highlight literalinclude prompt doctest testcode testoutput "
    "parsed-literal math raw toctree graphviz digraph csv-table ipython command-output "
    "program-output jinja tabularcolumns productionlist"
)
_SAMPLES = frozenset(_SAMPLE_NAMES.split())
_SPOKEN_NAMES = (
    "note warning tip important attention caution danger error hint admonition seealso rubric "
    "versionadded versionchanged versionremoved deprecated topic sidebar centered epigraph"
)
_SPOKEN = frozenset(_SPOKEN_NAMES.split())
_PROMPT = re.compile(
    r"[ \t]*(?:\$[ \t]|>>>|(?:PS )?[A-Z]:\\[^>\n]*>|[\w.-]+@[\w.-]+:?[^\s$#]*[$#][ \t]|%[ \t]\w)"
)
_RULER = re.compile(r"[ \t]*[=-]+(?:[ \t]+[=-]+)+[ \t]*")
_GAP = re.compile(r"(?<![.!?:])[ \t]{3,}|\t+")
_PAIR = re.compile(r"[\"']?[\w.-]+[\"']?[ \t]*[:=][ \t]*(?:[\"'{\[]|(?:true|false|null|None)\b).*")
_STATEMENT = re.compile(
    r"(?:.*(?:[;{}]|\)[ \t]*:|=>|->|\\)|(?:\}|\)|\]|else:|try:|finally:|#!).*"
    r"|(?:import [\w.]+|from [\w.]+ import .*|return\b.*|(?:def|class|func|fn) \w+[ (:{].*[:{(]?"
    r"|for [\w, ]+ in [^ ]+:|(?:const|let|var) \w+ ?[=:].*|#include .*))"
)
_SYMBOL = re.compile(r"[{}<>=;\\$@%^&~|]|\w\(|[\[\]()]{2}|(?<=\w)[/_.](?=\w)|(?<!\w)--?(?=\w)")
_IMAGE = re.compile(r"!\[[^\[\]]{0,500}\](?:\([^()\n]{0,1000}\)|\[[^\[\]\n]{0,200}\])")
_LINK = re.compile(
    r"\[([^\[\]]{0,500})\]"
    r"(?:\((?:[^()\s]|\([^()\s]{0,300}\)){0,1000}(?:\s{1,9}[\"'(][^\n]{0,500}?[\"')])?\s{0,9}\)"
    r"|\[[^\[\]\n]{0,200}\])(?:\{[^{}\n]{0,200}\})?"
)
_MARKS = re.compile(
    r"(?<!\])(?:\[\d{1,3}\])+(?![\[(:])"
)  # of footnotes, as encyclopaedias print them
_FOOTNOTE = re.compile(r"\[[\^#][^\[\]\n]{0,100}\]_?")
_CODE = re.compile(r"(?::[\w+:.-]{1,40}:)?(`{1,2})([^`]{1,600}?)\1(?P<link>__?(?!\w))?")
_CODE_TAG = re.compile(r"<(code|kbd|samp|tt)\b[^<>]{0,200}>([^<]{0,500})</\1>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,1000}>|<[!?][^<>]{0,300}>")
_ADDRESS = re.compile(
    r"<?(?:\b(?:https?|ftp|file|git|ssh|wss?|urn|data)://?|\bmailto:|\bwww\.)[^\s<>\"'`|\]]{0,2000}>?",
    re.IGNORECASE,
)
_GONE = "\x00"  # in the place of what is taken out; no text has it
_HOLE = re.compile(r"[ \t]?\x00+(?=[\s.,;:!?)\"']|\Z)")
_BRACED = re.compile(r"\{[#:.][^{}\n]{0,200}\}")
_NAME = re.compile(
    r"(?<![^\s(\"'])(?:--?\w[\w-]*(?:=\S*)?|[\w.-]*\w_\w[\w.-]*(?:\(\S{0,100}\))?|(?:[\w-]+\.){0,5}\w+\(\S{0,100}\)"
    r"|(?:~|\.{1,2})?/[\w.-]+(?:/[\w.-]*)*|(?:[\w.-]+/){2,20}[\w.-]*)(?![^\s).,;:!?\"'])"
)
_WORD = re.compile(
    r"[(\[\"'\u201c\u2018*_]*[^\W\d_]+(?:['\u2019-][^\W\d_]+)*[.,;:!?)\]\"'\u201d\u2019*_]*"
)
_FIELD = re.compile(r"[A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)+:[ \t]")
_ENDED = re.compile(r"[.!?:;,\u3002\uff01\uff1f][\"')*_\u201d\u2019]*\s*\Z")
_BULLET = re.compile(r"\A[ \t>]*(?:[-*+\u2022][ \t]+|\d{1,3}[.)][ \t]+)?(?:\[[ xX]\][ \t]+)?")


@lru_cache(maxsize=20_000)  # what is indexed is read again in every round of a rehearsal
def prose(text: str) -> str:
    """Take a passage's sentences out of what is around them.

    Returns:
        Its prose; the passage itself where it is nothing else; maybe nothing.
    """
    if not _MARKED.search(text):
        return text if text.count("\n") < _MENU else _joined(text.split("\n"))
    kept: list[str] = []
    for lines, sample in _blocks(_ASIDE.sub(" ", text).split("\n")):
        if kept:
            kept.append("")
        if sample or all(line[:4].isspace() or line[:1] == "\t" for line in lines):
            plain = [_closed(line) for line in _without_markup("\n".join(lines))]
            if _reads(plain, _FEWEST_LETTERS if sample else _FEW_LETTERS):
                kept += plain
        else:
            kept += _sentences(lines)
    return _joined(kept)


def prose_rows(texts: Sequence[str], documents: Ints, sources: Sequence[str]) -> list[str]:
    """Return the prose of many passages, without the lines a source repeats on page after page.

    Headers, footers, "Last reviewed" and menus are in every document of a site. Numbers in such
    lines may differ. A passage that is hardly anything else is not furnished but copied, and keeps
    all of it.

    Args:
        texts: Passages, normalised.
        documents: int64 (n,), the document of each.
        sources: The source of each document.

    Returns:
        Prose of each passage.
    """
    passages = [prose(text) for text in texts]
    owners = documents.tolist()
    holders: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
    for text, owner in zip(passages, owners, strict=True):
        for line in text.split("\n"):
            if line and len(line) <= LONGEST_FURNITURE:
                held = holders[sources[owner], _pattern(line)]
                if len(held) <= REPEATED:
                    held.add(owner)
    often = {key for key, held in holders.items() if len(held) > REPEATED}
    if not often:
        return passages
    return [
        _unfurnished(text, sources[owner], often)
        for text, owner in zip(passages, owners, strict=True)
    ]


def _joined(lines: Sequence[str]) -> str:
    """Lines as a text, without menus and fields: many short ones in a row, none a sentence."""
    kept: list[str] = []
    run: list[str] = []
    for line in [*lines, "."]:
        if not line or _entry(line):
            run.append(line)
            continue
        kept += run if sum(map(bool, run)) < _MENU else [""]
        kept.append(line)
        run = []
    return "\n".join(kept[:-1]).strip("\n")


def _entry(line: str) -> bool:
    """Tell whether a line is an entry of a menu or a field of a record."""
    if _FIELD.match(line):
        return True
    plain = line.strip()
    return (
        len(plain) <= _LONGEST_ENTRY
        and len(plain.split()) <= _ENTRY + 1  # a bullet, or a heading's mark, among them
        and plain[-1:] not in ".!?:,;\u3002\uff01\uff1f"
    )


def _pattern(line: str) -> str:
    """Return a line, whatever its numbers are."""
    return re.sub(r"\d+", "0", line.strip()).lower()


def _unfurnished(text: str, source: str, often: set[tuple[str, str]]) -> str:
    lines = text.split("\n")
    kept = [line for line in lines if not line or (source, _pattern(line)) not in often]
    if len(kept) == len(lines):
        return text
    left = "\n".join(kept).strip("\n")
    return left if len(words(left)) >= (1.0 - MOST_REPEATED) * len(words(text)) else text


def _blocks(lines: Sequence[str]) -> Iterator[tuple[list[str], bool]]:
    """Runs of lines between blank ones, and whether they are declared to be code."""
    block: list[str] = []
    fenced = _begins_inside(lines)
    literal = -1  # indentation that a literal block must exceed; -1: there is none
    options = False
    for line in lines:
        blank = not line.strip()
        fence = None if blank else _FENCE.fullmatch(line)
        directive = None if blank or fenced else _DIRECTIVE.fullmatch(line)
        depth = len(line) - len(line.lstrip())
        over = literal >= 0 and not blank and depth <= literal
        if block and (blank or fence or directive or over):
            yield block, fenced or literal >= 0
            block = []
        if over:
            literal = -1
        if fence:
            fenced, options = not fenced, False
        elif directive:
            name = directive["name"].rpartition(":")[2]
            literal = depth if name in _SAMPLES else -1
            options = True
            if name in _SPOKEN and directive["rest"].strip():
                block = [directive["rest"].strip()]
        elif blank or (options and _OPTION.fullmatch(line)):
            options = options and not blank
        elif not fenced and (_TARGET.fullmatch(line) or _DEFINED.fullmatch(line)):
            options = False
        else:
            options = False
            block.append(line)
            if not fenced and literal < 0 and line.rstrip().endswith("::"):
                yield block, False
                block, literal = [], depth
    if block:
        yield block, fenced or literal >= 0


def _begins_inside(lines: Sequence[str]) -> bool:
    """Tell whether a passage begins inside a fence: what names a language can only open one."""
    marks = [
        (at, m["of"].strip()) for at, line in enumerate(lines) if (m := _FENCE.fullmatch(line))
    ]
    for number, (_, of) in enumerate(marks):
        if of:
            return number % 2 == 1
    if len(marks) % 2 == 0:
        return False
    before, after = lines[: marks[0][0]], lines[marks[0][0] + 1 :]
    return _coded(before) > _coded(after)


def _coded(lines: Sequence[str]) -> float:
    """Return the share of lines that look like code."""
    written = [line for line in lines if line.strip()]
    return sum(map(_looks_like_code, written)) / max(1, len(written))


def _sentences(lines: list[str]) -> list[str]:
    """Tell what of a block is sentences."""
    raw = _without_markup("\n".join(lines))
    if any(_PROMPT.match(line) for line in lines):
        closed_lines = [_closed(line) for line in raw if not _PROMPT.match(line)]
        return [line for line in closed_lines if _reads([line], _FEWEST_LETTERS)]
    ruled = any(_RULER.fullmatch(line) for line in lines)
    kept: list[str] = []
    code = 0
    for line in raw:
        if (cells := _cells(line, ruled)) is not None:
            kept += map(_closed, cells)
            continue
        line = _closed(line)
        if _looks_like_code(line):
            code += len(line)
        elif any(map(str.isalnum, line)):
            kept.append(line)
    if code > sum(map(len, kept)):
        return [line for line in kept if _reads([line], _FEWEST_LETTERS)]
    return kept


def _cells(line: str, ruled: bool) -> list[str] | None:
    """Cells of a table's row that are sentences; `None` where a line is no row."""
    if " | " in line or line.lstrip()[:1] == "|":
        cells = re.split(r"(?<!\\)\|", line)
    elif ruled:
        cells = re.split(r"[ \t]{2,}", line.strip())
    else:
        cells = _GAP.split(line.strip())
        if len(cells) < 3:
            return None
    word_counts = [len(cell.split()) for cell in cells]
    if sum(word_counts) > CELL * sum(map(bool, word_counts)):
        return None  # sentences that something happens to part
    return [cell.strip() for cell, number in zip(cells, word_counts, strict=True) if number > CELL]


def _looks_like_code(line: str) -> bool:
    plain = _BULLET.sub("", line).strip()
    if not plain or len(plain) > _LONGEST_CODE:
        return False
    if _STATEMENT.fullmatch(plain) or _PAIR.fullmatch(plain):
        return True
    symbols = len(_SYMBOL.findall(plain))
    return symbols >= 2 and symbols >= _SYMBOLS * len(plain)


def _reads(lines: Sequence[str], least: int) -> bool:
    """Tell whether lines are sentences: nearly all words, enough of them on a line, and ended."""
    tokens = " ".join(lines).split()
    if not tokens:
        return False
    letters = sum(len(t) for t in tokens if _WORD.fullmatch(t))
    likely = sum(bool(_WORD.fullmatch(t) or t.isdecimal()) for t in tokens)
    written = sum(1 for line in lines if line.strip())
    return (
        letters >= max(least, _LETTERS_A_LINE * written)
        and (letters >= _LONG_LINE * written or _ENDED.search(lines[-1]) is not None)
        and likely >= _WORDLIKE * len(tokens)
        and _coded(lines) < 0.5
    )


def _without_markup(block: str) -> list[str]:
    """A block's lines with labels for links, and a mark for images, addresses, tags and code."""
    if "[" in block:
        block = _LINK.sub(r"\1", _IMAGE.sub(_GONE, _MARKS.sub("", block)))
        block = _FOOTNOTE.sub(_GONE, _LINK.sub(r"\1", _IMAGE.sub(_GONE, block)))
    if "`" in block:
        block = _CODE.sub(_spoken, block)
    if "<" in block:
        block = _TAG.sub(_GONE, _ADDRESS.sub(_GONE, _CODE_TAG.sub(_said, block)))
    if "&" in block:
        block = unescape(block)
    block = _NAME.sub(_GONE, _BRACED.sub(_GONE, _ADDRESS.sub(_GONE, block)))
    return [line for line in block.split("\n") if line.strip()]


def _closed(line: str) -> str:
    """Return a line without the marks of what was taken out."""
    return _HOLE.sub("", line).replace(_GONE, " ") if _GONE in line else line


def _spoken(match: re.Match[str]) -> str:
    """Tell what of a text between backticks is sentences, or a link's label."""
    inside = match[2]
    label, pointed, _ = inside.partition("<")
    if pointed and label.strip() and (match["link"] or match[0][0] == ":"):
        return label.strip()
    if match["link"]:
        return inside
    return inside if _reads([inside], _FEWEST_LETTERS) else _GONE


def _said(match: re.Match[str]) -> str:
    return match[2] if _reads([match[2]], _FEWEST_LETTERS) else _GONE
