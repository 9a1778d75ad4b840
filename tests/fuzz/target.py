"""What a fuzzing target is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        read: Called with hostile bytes.
        allowed: What it may raise.
        seeds: Inputs to begin with.
    """

    read: Callable[[bytes], object]
    allowed: tuple[type[BaseException], ...]
    seeds: tuple[bytes, ...]


def one(target: Target, data: bytes) -> None:
    """Read an input; what the target may not raise gets out."""
    with suppress(*target.allowed):
        target.read(data)


def as_text(data: bytes) -> str:
    """Bytes as text, whatever they are."""
    return data.decode("utf-8", "replace")
