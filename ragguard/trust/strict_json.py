"""Parse JSON as it may appear under a signature: UTF-8, bounded, unambiguous.

Refused, because two parsers could read two things: a byte order mark, duplicate keys, NaN and
    infinities, lone
surrogates. Refused, because they exhaust a parser: too many bytes, too deep a nesting, huge
integers.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from ragguard.errors import MalformedError, OversizedError

MAX_DEPTH = 32


class _Refused(ValueError):
    """Raised inside the json module's hooks."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _Refused(f"key {key!r} stands twice in one object")
            seen.add(key)
    return result


def _no_constant(name: str) -> NoReturn:
    raise _Refused(f"{name} is not JSON")


def _bounded_int(digits: str) -> int:
    if len(digits) > 20:
        raise _Refused(f"an integer of {len(digits)} digits")
    return int(digits)


def _finite_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise _Refused(f"{digits[:40]} is beyond what a number can hold")
    return value


def _check_depth(value: Any, limit: int) -> None:
    level = [value]
    for _ in range(limit):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(v for v in item.values() if isinstance(v, dict | list))
            elif isinstance(item, list):
                below.extend(v for v in item if isinstance(v, dict | list))
        if not below:
            return
        level = below
    raise _Refused(f"nested deeper than {limit}")


def parse(data: bytes, *, what: str, max_bytes: int, max_depth: int = MAX_DEPTH) -> Any:
    """Parse JSON strictly.

    Args:
        data: The bytes, any.
        what: Named in errors, such as `envelope`.
        max_bytes: Upper size; checked before anything else.
        max_depth: Upper nesting of arrays and objects.

    Returns:
        The value.

    Raises:
        OversizedError: More than `max_bytes`.
        MalformedError: Not UTF-8, not JSON, ambiguous, or too deep.
    """
    if len(data) > max_bytes:
        raise OversizedError(
            f"{what}: {len(data)} bytes, at most {max_bytes} are read",
            hint="Split the manifest, or raise the limit in ragguard.toml under [limits].",
        )
    try:
        text = data.decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        raise MalformedError(f"{what}: not UTF-8 (byte {error.start})") from None
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=_finite_float,
        )
        _check_depth(value, max_depth)
        text.encode("utf-8")
    except RecursionError:
        raise MalformedError(f"{what}: nested too deeply") from None
    except _Refused as error:
        raise MalformedError(f"{what}: {error}") from None
    except ValueError as error:
        raise MalformedError(f"{what}: not JSON ({error})") from None
    if _has_surrogate(value):
        raise MalformedError(f"{what}: a string holds half a surrogate pair")
    return value


def _has_surrogate(value: Any) -> bool:
    """Whether any string cannot be written as UTF-8 (JSON lets a lone surrogate in by escape)."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if not item.isascii():
                try:
                    item.encode("utf-8")
                except UnicodeEncodeError:
                    return True
        elif isinstance(item, dict):
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
    return False
