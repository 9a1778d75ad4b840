"""Check subject names: which are allowed, and which two a person cannot tell apart.

Look-alikes follow Unicode TR39 ("confusable" characters share a skeleton) after NFKC and case
folding.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from ragguard.errors import SubjectNameError

MAX_NAME_BYTES = 1024
_ASCII = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
# What may stand anywhere: letters, marks, numbers, punctuation, symbols. Of separators only the
# spaces that are as wide as one; of the rest only what a script needs (`_needed`).
_PLAIN = frozenset("LMNPS")
_SPACES = " \u00a0\u3000"
_JOINERS = "\u200c\u200d"  # zero-width non-joiner and joiner
_EMOJI = "\ufe0e\ufe0f"  # text and emoji form of the symbol before
_MOST_MARKS = 4  # on one letter; more pile up into a smear
# Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt) where the category is
# that of letters, marks and symbols, and what is drawn as nothing but a blank.
_NO_INK = (
    *((0x034F, 0x034F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800)),
    *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0100, 0xE01EF)),
    (0x1D159, 0x1D159),
)
_DRIVE = re.compile(r"^[A-Za-z]:")


def check_name(name: object) -> str:
    """Return a subject name if it is allowed.

    Allowed: relative, `/` between non-empty parts, none of them `.` or `..`, NFC, nothing that
    `invisible` finds, no backslash, at most 1,024 bytes. Names in any script are fine.

    Raises:
        SubjectNameError: Not allowed, with the rule it breaks.
    """
    if not isinstance(name, str) or not name:
        raise SubjectNameError(f"subject name {name!r}: not a non-empty string")
    problem = ""
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        name, problem = name[:60] + "…", f"longer than {MAX_NAME_BYTES} bytes"
    elif name.startswith("/") or _DRIVE.match(name):
        problem = "absolute"
    elif "\\" in name:
        problem = "a backslash is a separator on some systems"
    elif any(part == ".." for part in name.split("/")):
        problem = "leaves the signed folder by '..'"
    elif any(part in ("", ".") for part in name.split("/")):
        problem = "an empty part or '.'"
    elif not unicodedata.is_normalized("NFC", name):
        problem = "not in Unicode normal form C"
    elif unseen := invisible(name):
        problem = f"an invisible or control character (U+{ord(unseen):04X})"
    elif any(part != part.strip() or part.endswith(".") for part in name.split("/")):
        problem = "a part that begins or ends in a space, or ends in a dot"
    if problem:
        raise SubjectNameError(
            f"subject name {name!r}: {problem}",
            hint="Names are relative to the signed root folder, in NFC, with '/' between parts.",
        )
    return name


def invisible(name: str) -> str:
    """Return the first character of a name that a reader cannot see, or that no script needs there.

    Allowed are letters, marks, numbers, punctuation and symbols that leave ink, plain spaces, and
    where their script needs them: joiners within Arabic and Indic words and within emoji, and the
    selector of an emoji's form.

    Returns:
        The character; empty where there is none.
    """
    if name.isascii() and name.isprintable():
        return ""
    marks = 0
    for place, char in enumerate(name):
        category = unicodedata.category(char)
        marks = marks + 1 if category[0] == "M" else 0
        plain = (category[0] in _PLAIN and not _no_ink(char)) or char in _SPACES
        if (not plain and not _needed(name, place)) or marks > _MOST_MARKS:
            return char
    return ""


def _no_ink(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in _NO_INK)


def _needed(name: str, place: int) -> bool:
    """Whether a character without ink belongs to what stands around it (RFC 5892, appendix A)."""
    char, before, after = name[place], name[place - 1 : place], name[place + 1 : place + 2]
    if not before:
        return False
    if char in _EMOJI:
        return unicodedata.category(before) == "So" or before in "#*0123456789"
    if char not in _JOINERS or not after:
        return False
    if unicodedata.combining(before) == 9:  # a virama
        return True
    symbols = unicodedata.category(before) in ("So", "Sk") or before in _EMOJI
    if symbols and unicodedata.category(after) == "So":
        return char == "\u200d"
    letters = (unicodedata.bidirectional(c) in ("AL", "NSM") for c in (before, after))
    return char == "\u200c" and all(letters)


@cache
def _skeletons() -> dict[str, str]:
    """Character to skeleton, from the confusables table of Unicode TR39.

    The package lists pairs; characters that are confusable with each other, directly or by way of
    others, share the representative of their class.
    """
    import json
    from importlib.resources import files

    table = json.loads(
        files("confusable_homoglyphs").joinpath("confusables.json").read_text("utf-8")
    )
    parent: dict[str, str] = {}

    def find(item: str) -> str:
        parent.setdefault(item, item)
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    for char, others in table.items():
        for other in others:
            a, b = find(char), find(other["c"].strip("\u200e\u200f"))
            if a != b:
                parent[a] = b
    classes: dict[str, list[str]] = {}
    for item in parent:
        classes.setdefault(find(item), []).append(item)
    result: dict[str, str] = {}
    for members in classes.values():
        best = min(members, key=lambda m: (not m.isascii(), -len(m), not m.isalpha(), m))
        result.update({m: best for m in members if len(m) == 1})
    return result


def skeleton(text: str) -> str:
    """Return the TR39 skeleton: texts that look alike have equal skeletons."""
    table = _skeletons()
    for _ in range(2):  # what stands for a character may hold look-alikes itself
        text = "".join(table.get(c, c) for c in unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFD", text)


def collision_keys(name: str) -> tuple[str, str]:
    """Two keys; names that share either collide.

    Returns:
        The case-folded NFKC form, and the case-folded skeleton of it.
    """
    compatible = unicodedata.normalize("NFKC", name)
    compatible = "".join(c for c in compatible if c not in _JOINERS and not _no_ink(c))
    return compatible.casefold(), skeleton(compatible).casefold()


def record_key(name: str) -> str:
    """Tell what ids of records that look alike have in common.

    Case, and `1` and `l` in plain letters, tell records apart: ids are often drawn at random.

    Returns:
        The id in compatibility form, letters of other scripts as the plain ones they look like.
    """
    compatible = unicodedata.normalize("NFKC", name)
    if compatible.isascii():
        return compatible
    seen = (c for c in compatible if c not in _JOINERS and not _no_ink(c))
    return "".join(c if c.isascii() else _plain(c) for c in seen)


@cache
def _plain(char: str) -> str:
    """Return the plain letter that a character looks like; itself where there is none."""
    return next((c for c in _ASCII if skeleton(c) == skeleton(char)), char)
