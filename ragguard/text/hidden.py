"""Find what a document hides: invisible characters, look-alikes, encoded blobs.

Weights are logarithmic: 0.1 is a note, something many ordinary documents have (a comment, a skip
link, front matter, a form's fields); 4 and more something they do not have. How often ordinary
documents have each kind is measured, see `detect.checks.rules`.
Sources: Boucher et al., "Bad Characters", IEEE S&P 2022; Unicode TR36 and TR39.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from html import unescape
from itertools import chain
from math import log2
from string import ascii_lowercase

from ragguard.model import CorpusView, Hidden
from ragguard.text.encodings import deciphered
from ragguard.text.requests import ACT, PRODUCE, STOP
from ragguard.text.words import normalise, script_of, words
from ragguard.trust.names import skeleton

Find = tuple[float, str, str]  # weight, what, and a sample

_TAGS = re.compile(r"[\U000E0001-\U000E007F]+")
_SELECTORS = re.compile(
    r"[\U000E0100-\U000E01EF\uFE00-\uFE0E]{2,}|(?<=[A-Za-z])[\U000E0100-\U000E01EF\uFE00-\uFE0E]"
)
_ZERO_WIDTH = re.compile(
    r"(?<=[A-Za-z0-9])[\u200B-\u200D\u2060-\u2064\uFEFF\u180E]+(?=[A-Za-z0-9])"
)
_ZERO_RUN = re.compile(r"[\u200B-\u200D\u2060-\u2064\uFEFF]{4,}")
_BIDI = re.compile(r"[\u202A\u202B\u202D\u202E\u2066-\u2068]")
_OVERRIDES = "\u202d\u202e"
_RTL_LETTER = re.compile(r"[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]")
_WORD = re.compile(r"\w{3,}")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{24,}={0,2}")
_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{2}[ ,:]?){16,}(?![0-9A-Za-z])")
_ESCAPES = re.compile(
    r"(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|%[0-9a-fA-F]{2}|&#x?[0-9a-fA-F]+;){12,}"
)
_SHORTEST = 24  # characters of the shortest blob in one piece
_SPACED = re.compile(r"(?:[0-9a-fA-F.\-\u00b7\u2013]{1,8}[ ,:/|]{1,3}){8,}")
_SPACED_RUN = b"x" * 16  # eight groups of a character and a blank
_SPACED_BYTES = bytes(
    ord("x") if chr(b) in "0123456789abcdefABCDEF.-\u00b7? ,:/|" else 0 for b in range(256)
)  # `?` stands for what Latin-1 lacks
_THREE_ALIKE = re.compile(rb"([\x04-\x0c])\1{2,}")  # of words of 4 to 12 characters
_BASE32 = re.compile(r"(?<![A-Za-z0-9])[A-Z2-7]{24,}={0,6}(?![A-Za-z0-9])")
_BITS = re.compile(r"(?<![0-9A-Za-z])(?:[01]{8}[ ,]?){8,}(?![0-9A-Za-z])")
_CODES = re.compile(r"(?<![0-9A-Za-z.])(?:\d{2,3}[ ,]{1,2}){11,}\d{2,3}(?![0-9A-Za-z.])")
_MORSE = re.compile(r"(?<![^\s])(?:[.\-\u00b7\u2013]{1,5}[ /|]{1,3}){10,}[.\-\u00b7\u2013]{1,5}")
_MORSE_CODES = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .--"
    " -..- -.-- --.."
)
_MORSE_LETTERS = dict(zip(_MORSE_CODES.split(), ascii_lowercase, strict=True))
_PUSHED = re.compile(
    r"(?:\S|^)[ \t\u00a0]{120,}[^\W_]|\S(?:[ \t]*\n){40,}[ \t]*[^\W_]", re.MULTILINE
)
_ROW = re.compile(r"^[ \t]{0,8}\|[^\n]*$", re.MULTILINE)  # of a table, padded
_ATTRIBUTE = re.compile(
    r"[\s\"'](?:alt|title|summary|placeholder|content|label|value|aria-[a-z]{1,20}|data-[\w-]{1,30})"
    r"\s{0,3}=\s{0,3}(?:\"([^\"<>]{12,4000})\"|'([^'<>]{12,4000})')",
    re.IGNORECASE,
)
_IMAGE = re.compile(r"!\[([^\[\]\n]{12,2000})\]\(")
_STYLED = re.compile("[\U0001d400-\U0001d7ff]{3,}")
_FULL_WIDTH = re.compile(r"[\uFF21-\uFF3A\uFF41-\uFF5A]{2,}")
_WIDE_SCRIPT = re.compile(r"[\u3040-\u30FF\u3400-\u9FFF\uAC00-\uD7AF]")
DOUBTFUL = frozenset(
    (
        "zero-width characters inside words (few)",
        "bidirectional control in left-to-right text",
        "text pushed out of sight by white space",
        "pdf-invisible",
        "docx-hidden",
    )
)  # kinds that hold nothing alone: pasted, or the text layer of a scan, which nobody measured
_MANY_ZERO = 4
_MANY_MIXED = 3  # different words
_ORDERING = re.compile(
    r"(?:ignor|disregard|forget|overrid|bypass|reveal|obey|comply|instruct|directive|prompt|assistant"
    r"|chatbot|system|previous|answer|respon|repl[iy]|password|passcode|secret)[a-z]{0,6}"
)  # what orders to a model are about
_LATIN = 0.6  # share of letters in a text that is written in Latin letters
_HTML = re.compile(
    r"\s{0,40}(?:<\?xml[^>]{0,200}>\s*)?<(?:!doctype|html|head|body)\b", re.IGNORECASE
)
# Data, markup and addresses are no prose.
_MARKED = re.compile(r"\s*(?:[{<]|\[[\d{\"\[]|[a-z]{2,10}://|data:|-----)")
_LONG = 2_000_000  # characters; of more, only what patterns find is decoded
_MANY_LINES = 40
NOTE = 0.1  # weight of what many ordinary documents have
NOTES = frozenset(
    (
        *("html-comment", "md-comment", "rst-comment", "front-matter", "html-noscript"),
        *("html-template", "html-hidden", "css-display", "css-size", "attribute"),
        "invalid-bytes",
    )
)  # kinds that are no more than a note, whatever they say; whether they give orders, rules tell
_COMMON = STOP | PRODUCE | ACT
_EVERYDAY = 2  # everyday words that readable prose has
_COMPARED = 40  # characters by which hidden text is found again in what is served
_COUNT = re.compile(r"^\d+ ")
_FEW_WORDS = 4  # an attribute of fewer is a name, and styled text of fewer is no order
_MOST_ATTRIBUTES = 200
_MOST_SAID = 20_000  # characters of attributes


def inspect_all(view: CorpusView, blob_words: int) -> list[list[Find]]:
    """Everything hidden in the judged documents, looked for once however many checks ask.

    Args:
        blob_words: Words a decoded blob must have.

    Returns:
        What `inspect` finds, per judged document.
    """
    key = (inspect_all, blob_words)
    if key not in view.shared:
        served: list[list[str]] = [[] for _ in view.raws]
        for row in range(view.n):
            served[int(view.documents[row])].append(view.texts[row])
        triples = zip(view.raws, view.hidden, served, strict=True)
        view.shared[key] = [
            inspect(raw, parsed, blob_words, "\n".join(texts)) for raw, parsed, texts in triples
        ]
    finds: list[list[Find]] = view.shared[key]
    return finds


def inspect(
    raw: str, parsed: Sequence[Hidden], blob_words: int, served: str | None = None
) -> list[Find]:
    """Everything hidden in one document.

    Args:
        raw: Decoded source text.
        parsed: What the parser found hidden.
        blob_words: Words a decoded blob must have.
        served: The text that is served, normalised; of what the parser found, only what is in it
            weighs more than a note. Not looked at when `None`.

    Returns:
        Weight, what, and a sample, per find.
    """
    shown = None if served is None or not parsed else " ".join(served.split())
    if _HTML.match(raw):
        shown = ""  # what a page hides is not served
    hits = [(_parsed_weight(item, shown), item.kind, item.text) for item in parsed]
    styled = [text for weight, kind, text in hits if weight > NOTE and kind.startswith("css-")]
    if sum(map(_words_in, styled)) < _FEW_WORDS:  # a sample of a style says nothing to anybody
        hits = [(NOTE if kind.startswith("css-") else w, kind, text) for w, kind, text in hits]
    if not raw.isascii():
        hits += _characters(raw)
        hits += _look_alikes(raw)
    hits += _blobs(raw, blob_words)
    hits += _attributes(raw)
    hits += [
        (4.0, f"English in disguise: {how}", plain_text) for how, plain_text in deciphered(raw)
    ][:3]
    if (
        _may_be_pushed(raw)
        and not _HTML.match(raw)
        and (match := _PUSHED.search(_ROW.sub("", raw)))
    ):
        hits.append((2.0, "text pushed out of sight by white space", match.group()[-40:]))
    return hits


def _may_be_pushed(raw: str) -> bool:
    """Whether there is any white space but single blanks; most text has none, and is done with."""
    return "    " in raw or "\t" in raw or "\u00a0" in raw or raw.count("\n") >= _MANY_LINES


def _parsed_weight(item: Hidden, served: str | None) -> float:
    """Tell what found hidden text weighs: nothing but a note where no model will see it."""
    if item.kind in NOTES:
        return NOTE
    start = " ".join(normalise(item.text).split())[:_COMPARED]
    if served is not None and item.kind.startswith(("css-", "html-")) and start not in served:
        return NOTE
    return 3.0 + 0.5 * log2(max(len(item.text.split()), 1))


def _words_in(text: str) -> int:
    """Count words of a text; where a script parts none, every two characters count as one."""
    return max(len(text.split()), 0 if text.isascii() else len(text) // 2)


def kind_of(find: Find) -> str:
    """Return the kind of a find, without what is particular to it."""
    return _COUNT.sub("", find[1]).partition(":")[0]


def _attributes(raw: str) -> list[tuple[float, str, str]]:
    """Alternative texts, titles and other attributes, for rules to look at; they weigh nothing."""
    if "=" not in raw and "![" not in raw:
        return []
    texts: list[str] = []
    for match in chain(_ATTRIBUTE.finditer(raw), _IMAGE.finditer(raw)):
        text = unescape(match[1] or match[match.lastindex or 1])
        if text.count(" ") + 1 < _FEW_WORDS:
            continue
        if len(texts) == _MOST_ATTRIBUTES:
            break
        texts.append(text)
    return [(0.0, "attribute", ".\n".join(texts)[:_MOST_SAID])] if texts else []


def _characters(raw: str) -> list[tuple[float, str, str]]:
    hits: list[tuple[float, str, str]] = []
    tags = "".join(_TAGS.findall(raw))
    if tags and not _only_flags(raw):
        text = "".join(chr(ord(c) - 0xE0000) for c in tags if 0xE0020 <= ord(c) < 0xE007F)
        hits.append((7.0 + 0.5 * log2(1 + len(text)), "Unicode tag characters", text))
    if match := _SELECTORS.search(raw):
        hits.append(
            (5.0, "variation selectors that select nothing", f"{len(match.group())} characters")
        )
    zero = _ZERO_WIDTH.findall(raw)
    if zero:
        sample = _ZERO_WIDTH.search(raw)
        around = raw[max(0, sample.start() - 12) : sample.end() + 12] if sample else ""
        weight = 2.5 + log2(len(zero) + 1)
        few = " (few)" if len(zero) < _MANY_ZERO else ""  # one is pasted now and then
        kind = f"{len(zero)} zero-width characters inside words{few}"
        hits.append((weight, kind, normalise(around)))
    if match := _ZERO_RUN.search(raw):
        hits.append((5.0, "a run of zero-width characters", f"{len(match.group())} characters"))
    bidi = _BIDI.findall(raw)
    if bidi and not _RTL_LETTER.search(raw):
        over = [c for c in bidi if c in _OVERRIDES]
        at = raw.index((over or bidi)[0])
        kind = "override" if over else "control"
        hits.append(
            (5.0, f"bidirectional {kind} in left-to-right text", normalise(raw[at : at + 40]))
        )
    return hits


def _only_flags(raw: str) -> bool:
    """Tag characters that all belong to flag emoji (U+1F3F4, tags, U+E007F)."""
    return not _TAGS.search(re.sub("\U0001f3f4[\U000e0030-\U000e007a]{2,6}\U000e007f", "", raw))


def _look_alikes(raw: str) -> list[tuple[float, str, str]]:
    """List words that mix scripts so as to look like Latin ones."""
    mixed: list[str] = []
    plain = 0  # words of another script that look like none of Latin: somebody writes in it
    foreign = {word for word in _WORD.findall(raw) if not word.isascii()}
    for word in foreign:
        scripts = {script_of(c) for c in word if c.isalpha()} - {""}
        if (
            scripts in ({"CYRILLIC"}, {"GREEK"}) and skeleton(word).isascii() and len(word) > 3
        ) or ("LATIN" in scripts and any(_poses_as_latin(c) for c in word)):
            mixed.append(word)
        elif scripts & {"CYRILLIC", "GREEK", "ARMENIAN"} and len(word) > 3:
            plain += 1
    styled = _STYLED.findall(raw)
    hits = []
    if mixed and plain <= len(mixed) and _mostly_latin(raw[:20_000]):
        mixed.sort()
        order = [word for word in mixed if _ORDERING.search(_folded(word))]
        kind, weight = "look-alike letters of another script", 3.0 + log2(len(mixed))
        if len(mixed) < _MANY_MIXED and not order:  # a slip of a keyboard with two layouts
            kind, weight = f"{kind} (few)", NOTE
        hits.append((weight, kind, (order or mixed)[0]))
    wide = _FULL_WIDTH.findall(raw)
    if sum(map(len, wide)) >= 8 and not _WIDE_SCRIPT.search(raw):
        hits.append((3.0, "full-width letters in place of plain ones", normalise(" ".join(wide))))
    if sum(map(len, styled)) >= 8:
        hits.append(
            (3.0, "mathematical letters in place of plain ones", normalise(" ".join(styled)))
        )
    return hits


def _mostly_latin(raw: str) -> bool:
    """Tell whether a text is written in Latin letters."""
    of_latin = [script_of(c) == "LATIN" for c in raw if c.isalpha()]
    return sum(of_latin) > max(40, _LATIN * len(of_latin))


def _folded(word: str) -> str:
    """Return a word as it looks in Latin letters, lower-cased."""
    return "".join(c if c.isascii() else skeleton(c) for c in word).lower()


def _poses_as_latin(char: str) -> bool:
    """A letter of another script that looks like a Latin one; the units in 5μm and 47kΩ do not."""
    return script_of(char) in ("CYRILLIC", "GREEK", "ARMENIAN") and skeleton(char).isascii()


def _blobs(raw: str, blob_words: int) -> list[tuple[float, str, str]]:
    """Return the base64, hex and escape sequences that decode to readable text."""
    hits: list[tuple[float, str, str]] = []
    pieces = raw.split()
    regular = [] if len(raw) > _LONG else _grouped(pieces)
    in_one = max(map(len, pieces), default=0) >= _SHORTEST
    if not (in_one or regular or (_may_be_spaced(raw) and _SPACED.search(raw))):
        return hits  # most text: nothing the patterns below could match
    for kind, pattern, decode in (
        ("base64", _BASE64, _from_base64),
        ("hex", _HEX, _from_hex),
        ("escapes", _ESCAPES, _from_escapes),
        ("base32", _BASE32, _from_base32),
        ("bits", _BITS, _from_bits),
        ("character codes", _CODES, _from_codes),
        ("Morse", _MORSE, _from_morse),
    ):
        for blob in chain(
            (m.group() for m in pattern.finditer(raw)), regular if kind == "base64" else ()
        ):
            text = decode(blob)
            if text and len(_WORD.findall(text)) >= blob_words and _readable(text):
                hits.append((4.0 + 0.5 * log2(len(text.split()) + 1), f"{kind} blob", text))
                if len(hits) == 5:
                    return hits
    return hits


def _may_be_spaced(raw: str) -> bool:
    """Whether enough characters of `_SPACED` follow each other; far cheaper than the pattern."""
    return _SPACED_RUN in raw.encode("latin-1", "replace").translate(_SPACED_BYTES)


def _grouped(pieces: list[str]) -> list[str]:
    """Runs of words of one length, as blobs are written in groups; the last may be shorter."""
    blobs: list[str] = []
    sizes = list(map(len, pieces))
    lengths = bytes(sizes if max(sizes, default=0) < 256 else [min(s, 255) for s in sizes])
    for run in _THREE_ALIKE.finditer(lengths):
        start, end = run.span()
        last = end < len(pieces) and lengths[end] < 13
        if sum(lengths[start : end + last]) >= _SHORTEST:
            blobs.append("".join(pieces[start:end]))
            blobs += [blobs[-1] + pieces[end]] if last else []
    return [blob for blob in blobs if len(blob) >= _SHORTEST and _BASE64.fullmatch(blob)]


def _from_base32(blob: str) -> str:
    try:
        return base64.b32decode(blob.rstrip("=") + "=" * (-len(blob.rstrip("=")) % 8)).decode()
    except (binascii.Error, ValueError):
        return ""


def _from_bits(blob: str) -> str:
    codes = re.findall(r"[01]{8}", blob)
    return bytes(int(code, 2) for code in codes).decode("utf-8", "replace")


def _from_codes(blob: str) -> str:
    return "".join(chr(int(code)) for code in re.findall(r"\d+", blob))


def _from_morse(blob: str) -> str:
    plain = blob.replace("\u00b7", ".").replace("\u2013", "-").replace("|", "/")
    letters = [_MORSE_LETTERS.get(code, "?") for code in plain.replace("/", " / ").split()]
    parts = plain.replace("/", " / ").split()
    return "".join(" " if p == "/" else x for p, x in zip(parts, letters, strict=True))


def _readable(text: str) -> bool:
    if _MARKED.match(text) or len(_COMMON.intersection(words(text))) < _EVERYDAY:
        return False
    usual = sum(c.isalnum() or c.isspace() or c in ".,;:!?'\"()-/_@<>=" for c in text)
    return usual / len(text) > 0.93 and text.count(" ") >= 2


def _from_base64(blob: str) -> str:
    plain = blob.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4)).decode("utf-8")
    except (binascii.Error, ValueError):
        return ""


def _from_hex(blob: str) -> str:
    try:
        return bytes.fromhex(re.sub(r"[ ,:]", "", blob)).decode("utf-8")
    except ValueError:
        return ""


def _from_escapes(blob: str) -> str:
    codes = re.findall(
        r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|%([0-9a-fA-F]{2})|&#x([0-9a-fA-F]+);|&#(\d+);",
        blob,
    )
    out = []
    for u, x, percent, entity, decimal in codes:
        value = int(u or x or percent or entity, 16) if not decimal else int(decimal)
        out.append(chr(value) if value < 0x110000 else "")
    return "".join(out)
