"""Register attack simulators: poison for an honest corpus, seeded, without a language model.

They serve `calibrate` (what poison scores), `redteam` (what would get through) and tests. A
simulator is a function in a file of its own, registered under a name and a family; it takes a
`Target`, a random generator and how many campaigns are wanted, and returns `PoisonDocument`s. It
reads no disk and no clock; only what it is given. What a simulator writes is text that nobody
should believe: it never leaves a scratch index.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ragguard.embed.encoder import Encoder
from ragguard.model import Floats, Metadata


@dataclass(frozen=True)
class HonestDocument:
    """An honest document as a simulator sees it.

    Attributes:
        vector: float32 (d,), unit length: that of the text, or of its first chunk.
    """

    id: str
    text: str
    vector: Floats
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Question:
    """A question the corpus answers.

    Attributes:
        vector: float32 (d,), unit length.
        relevant: Ids of passages that answer it; may be empty.
    """

    id: str
    text: str
    vector: Floats
    relevant: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """The corpus to be attacked.

    Attributes:
        passages: Honest documents; those that are indexed when the attack arrives.
        questions: Questions it answers, at least as many as campaigns are wanted.
        encoder: The victim's encoder; `None` where only text may be used.
    """

    passages: Sequence[HonestDocument]
    questions: Sequence[Question]
    encoder: Encoder | None = None


@dataclass(frozen=True)
class PoisonDocument:
    """A poisoned document.

    Attributes:
        id: Unique within one call.
        text: What arrives, markup included.
        campaign: Which target it belongs to.
        question: Text of the question it was written for; empty where there is none.
        original: Id of the honest passage it was made from, if there is one.
        metadata: Metadata it claims.
        format: Format of `text`: `txt`, `md` or `html`.
        vector: A vector written straight into the index instead of the text's own, float32 (d,),
            unit length; `None` for everything that comes in by the door.
    """

    id: str
    text: str
    campaign: str
    question: str = ""
    original: str = ""
    metadata: Metadata = field(default_factory=dict)
    format: str = "txt"
    vector: Floats | None = None


Function = Callable[[Target, np.random.Generator, int, Any], Sequence[PoisonDocument]]


@dataclass(frozen=True)
class Attack:
    """A registered simulator.

    Attributes:
        name: As in reports and `redteam --attack`.
        family: Family of signals that should find it (docs/checks.md).
        params: Frozen dataclass of its tunable values.
        needs_encoder: Whether it attacks the encoder itself.
    """

    name: str
    family: str
    params: type[Any]
    function: Function
    needs_encoder: bool
    summary: str


_REGISTRY: dict[str, Attack] = {}


def attack(
    name: str, *, family: str, params: type[Any], needs_encoder: bool = False
) -> Callable[[Function], Function]:
    """Register a simulator.

    Raises:
        ValueError: The name is taken, or the function has no docstring.
    """

    def register(function: Function) -> Function:
        if name in _REGISTRY:
            raise ValueError(f"attack {name!r} is registered twice")
        if not function.__doc__:
            raise ValueError(f"attack {name!r} has no docstring")
        summary = function.__doc__.strip().splitlines()[0]
        _REGISTRY[name] = Attack(name, family, params, function, needs_encoder, summary)
        return function

    return register


def registry() -> Mapping[str, Attack]:
    """List all simulators by name; imports every module of this package."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def plant(
    entry: Attack, target: Target, seed: int, campaigns: int, params: Any = None
) -> list[PoisonDocument]:
    """Run a simulator; the same seed plants the same documents.

    Args:
        seed: Seed; simulators with the same seed draw different numbers.
        campaigns: Campaigns wanted; fewer come back where the corpus offers fewer.
        params: Its parameters; its defaults when `None`.
    """
    words = [seed, *entry.name.encode()]
    rng = np.random.default_rng(words)
    chosen = entry.params() if params is None else params
    return list(entry.function(target, rng, campaigns, chosen))
