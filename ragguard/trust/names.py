"""Subject names: which are allowed, and which two a person cannot tell apart.

Look-alikes follow Unicode TR39 ("confusable" characters share a skeleton) after NFKC and case
folding.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from ragguard.errors import SubjectNameError

MAX_NAME_BYTES = 1024
_CONTROL = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
_DRIVE = re.compile(r"^[A-Za-z]:")


def check_name(name: object) -> str:
    """Return a subject name if it is allowed.

    Allowed: relative, `/` between non-empty parts, none of them `.` or `..`, NFC, no control,
        format or unassigned
    character, no backslash, at most 1,024 bytes. Names in any script are fine.

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
    elif any(unicodedata.category(c) in _CONTROL for c in name):
        problem = "an invisible or control character"
    elif any(part != part.strip() or part.endswith(".") for part in name.split("/")):
        problem = "a part that begins or ends in a space, or ends in a dot"
    if problem:
        raise SubjectNameError(
            f"subject name {name!r}: {problem}",
            hint="Names are relative to the signed root folder, in NFC, with '/' between parts.",
        )
    return name


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
    """TR39 skeleton: texts that look alike have equal skeletons.

    Args:
        text: Any text.
    """
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
    return compatible.casefold(), skeleton(compatible).casefold()
