"""Make honeytokens: documents to be planted, with strings that no honest question holds.

A page of a register that nobody keeps: invented names and random codes. Whoever finds one has read
the corpus, or asks for everything. It looks like a document, not like a trap, and nothing in it or
in its point says that it is one: the signed trust root does, of its source.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ragguard.canary.result import Run

_OPENINGS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gr",
    "h",
    "k",
    "kl",
    "m",
    "n",
    "p",
    "r",
    "st",
    "t",
    "v",
)
_VOWELS = ("a", "e", "i", "o", "u", "ei", "au")
_ENDINGS = ("l", "lm", "n", "nd", "r", "rn", "sk", "th", "x")
_CODE = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_SHEETS = (
    "# Sheet {c0}\n\nUnit {n0} {n1}, series {c1}, stands in cell {c2}. Custodian {n2} {n3} holds "
    "token {c3}. Counter entry: {n4}, sheet {c4}. Seen and closed under {c5}.",
    "# {n0} {c0}\n\nTransferred from {n1} {n2} to {n3}: lots {c1}, {c2} and {c3}. Release word "
    "{n4}-{c4}. The counterfoil lies with {n5} under {c5}.",
    "# Extract {c0}\n\n{n0} line, strand {c1}: {n1} answers to {n2} {c2}. Fallback {n3}, mark "
    "{c3}, second mark {c4}. Kept for {n4} {n5} until {c5} is drawn.",
)


@dataclass(frozen=True)
class FoundPlanted:
    """A planted document that a canary query finds.

    Attributes:
        document: `source/id`.
        rank: From 1.
    """

    query: str
    document: str
    rank: int


def make(count: int) -> dict[str, str]:
    """Write honeytokens, never the same twice.

    Returns:
        Texts by file name.
    """
    honeytokens: dict[str, str] = {}
    while len(honeytokens) < count:
        names = {f"n{i}": _name() for i in range(6)}
        codes = {f"c{i}": _code() for i in range(6)}
        honeytokens[f"{_code().lower()}.md"] = (
            f"{secrets.choice(_SHEETS).format(**names, **codes)}\n"
        )
    return honeytokens


def _name() -> str:
    syllables = (secrets.choice(_OPENINGS) + secrets.choice(_VOWELS) for _ in range(2))
    return ("".join(syllables) + secrets.choice(_ENDINGS)).capitalize()


def _code() -> str:
    signs = [secrets.choice(_CODE) for _ in range(9)]
    return f"{''.join(signs[:4])}-{''.join(signs[4:])}"


def found_planted(answered: Run, sources: Sequence[str]) -> list[FoundPlanted]:
    """Say which honest queries find what is planted: each of them would alarm."""
    rankings: Mapping[str, Sequence[tuple[str, float]]] = answered.rankings
    return [
        FoundPlanted(query, document, rank)
        for query, ranking in rankings.items()
        for rank, (document, _) in enumerate(ranking, 1)
        if document.partition("/")[0] in sources
    ]
