"""Survey the corpus for a simulator: what lies near a question, which names occur."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from ragguard.model import Floats
from ragguard.redteam.attacks import HonestDocument, Question, Target
from ragguard.redteam.attacks.wording import words_in

Kind = Literal["person", "place", "thing"]

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9])|\n\s*\n|\n(?=[-*#|>])")
_MARKS = re.compile(r"\[\s*(?:\d+|note \d+|citation needed|update)\s*\]")
_NAME = re.compile(
    r"(?<![\w-])[A-Z][a-z][\w'\u2019-]*(?: (?:(?:of|the|de|van|von) ){0,2}[A-Z][\w'\u2019-]+){0,3}"
)
_WORD = re.compile(r"[A-Za-z0-9][\w'\u2019-]*")
# Capital letters that begin a sentence, not a name.
_OPENERS = words_in(
    """
a about after again all also although among an and another any are as at based be because before
both but by can check click did do does during each either every except finally first following
for from general has have he her here his how however if in include initially instead into is it its
keep last later like make many may most much my neither never new no none not note nothing now of
often on once one only open or other others our over please read see several shall she should
similarly since some still such take that the their them then there these they this those though
three through thus to today two under unless until use upon usually was we were what when where
whether which while who whose why will with within without would yes you your second third ask add
january february march april may june july august september october november december monday
tuesday wednesday thursday friday saturday sunday spring summer autumn winter
"""
)
_FIRST_NAMES = words_in(
    """
aaron adam alan albert alexander alice amy andrew anna anne anthony arthur barbara ben benjamin
bill bob brian bruce carl carlos carol caroline catherine charles charlie chris christian christine
christopher daniel david dennis diana donald dorothy edward elena elizabeth emily emma eric ernest
eva francis frank fred gary george grace harold harry helen henry howard hugh ian isaac jack jacob
james jane jason jean jennifer jessica jim joan joe john jonathan jose joseph joyce julia karen
karl kate kenneth kevin larry laura lee leo leonard lewis linda lisa louis lucy luke margaret maria
marie mark martha martin mary matthew max michael mike nancy nicholas nick oliver oscar patricia
patrick paul peter philip rachel ralph ray rebecca richard robert roger ronald rose roy ruth ryan
sam samuel sandra sarah scott simon sophie stephen steve steven stuart susan ted thomas tim tom
tony victor victoria vincent walter wayne will william zoe
"""
)
_TITLES = ("by", "mr", "mrs", "ms", "dr", "sir", "lord", "king", "queen", "president", "actor")
_PLACE_WORDS = words_in(
    """
airport avenue bay beach bridge building castle centre city coast county district falls forest
hall harbour hill island islands lake mountain mountains ocean office park peninsula port province
region river road sea square state states street town valley village warehouse
"""
)
# Names nobody in particular bears, for corpora that offer none.
SPARE: dict[Kind, tuple[str, ...]] = {
    "person": (
        *("Martin Ellery", "Hannah Voss", "Daniel Okafor", "Ruth Calloway", "Peter Lindqvist"),
        *("Elena Marsh", "George Tamblyn", "Alice Ferreira", "Henry Aldous", "Clara Whitfield"),
        *("Oscar Penhale", "Julia Strand", "Samuel Adeyemi", "Laura Kimber", "Victor Hallam"),
        *("Rebecca Thorne", "Ian Macready", "Sofia Brandt", "Thomas Garrick", "Nina Castellan"),
    ),
    "place": (
        *("Harrowgate", "Port Ellison", "Lower Saxham", "Montclair", "Westbury", "Santa Rosalia"),
        *("Kirkdale", "Lindenau", "Fort Wallace", "New Arden", "Castelmar", "Brandvik", "Oakhurst"),
        *("Valparina", "Millbrook", "Esterhaven", "Nordby", "San Telmo", "Ashford Hill", "Corvale"),
    ),
    "thing": (
        *("the Meridian Project", "the Halden Act", "the Blue Ledger", "the Orion Scheme"),
        *("the Calder Method", "the Second Charter", "the Northern Line", "the Ember Protocol"),
        *("the Wexford Rule", "the Silver Compass", "the Tallis Report", "the Granite Standard"),
        *("the Ashby Formula", "the Lantern Society", "the Marlow Effect", "the Kestrel Fund"),
    ),
}


@dataclass(frozen=True)
class ProperName:
    """A proper name in a text; `start` and `end` are character offsets."""

    start: int
    end: int
    text: str
    kind: Kind


def names(text: str) -> list[ProperName]:
    """Proper names, in order; capitals that merely open a sentence are left out."""
    proper_names: list[ProperName] = []
    for match in _NAME.finditer(text):
        start, words = match.start(), match.group().split(" ")
        before = text[:start].rstrip(" \"'([*#-")
        opens = not before or before[-1] in ".!?:\n|>"
        while words and words[0].lower() in _OPENERS:
            start += len(words[0]) + 1
            words, opens = words[1:], False
        if not words or (opens and len(words) == 1) or not words[0][:1].isupper():
            continue
        spoken = " ".join(words).removesuffix("'s").removesuffix("\u2019s")
        last = before.rsplit(None, 1)[-1].lower() if before else ""
        proper_names.append(ProperName(start, start + len(spoken), spoken, _kind(words, last)))
    return proper_names


def _kind(words: Sequence[str], before: str) -> Kind:
    lower = [word.lower() for word in words]
    if len(words) in (2, 3) and (lower[0] in _FIRST_NAMES or before.strip(".") in _TITLES):
        return "person"
    if lower[-1] in _PLACE_WORDS or (before in ("in", "at", "near", "from") and len(words) < 3):
        return "place"
    return "thing"


def words_of(text: str) -> list[str]:
    """List words, lower-cased."""
    return _WORD.findall(text.lower())


def sentences(text: str) -> list[str]:
    """List sentences of a text, without footnote marks; headings and short rests count as such."""
    plain = _MARKS.sub("", text)
    parts = (" ".join(part.split()).strip("#*->| ") for part in _SENTENCE_END.split(plain))
    return [part for part in parts if part]


class Terrain:
    """The corpus, as an attacker surveys it.

    Args:
        rng: Random generator, for the sample whose names are read.
    """

    def __init__(self, target: Target, rng: np.random.Generator) -> None:
        self.passages = target.passages
        self._rows = {passage.id: row for row, passage in enumerate(target.passages)}
        size = min(400, len(target.passages))
        self._sample = rng.permutation(len(target.passages))[:size].tolist()

    @cached_property
    def vectors(self) -> Floats:
        """Vectors of all passages, float32 (n, d)."""
        if not self.passages:
            return np.empty((0, 0), dtype=np.float32)
        return np.stack([passage.vector for passage in self.passages])

    @cached_property
    def _names(self) -> dict[Kind, tuple[str, ...]]:
        pools: dict[Kind, dict[str, None]] = {"person": {}, "place": {}, "thing": {}}
        for row in self._sample:
            for name in names(self.passages[row].text):
                if len(name.text) > 3 and not name.text[-2:].isupper():
                    pools[name.kind].setdefault(name.text)
        return {kind: tuple(pool) for kind, pool in pools.items()}

    def pool(self, kind: Kind) -> tuple[str, ...]:
        """List names of a kind that the corpus uses; spare ones where it has few."""
        own = self._names[kind]
        return own if len(own) >= 8 else own + SPARE[kind]

    def near(self, question: Question, count: int) -> list[HonestDocument]:
        """Passages an attacker would read up on: those that answer, then the nearest others."""
        if not self.passages:
            return []
        rows = [self._rows[i] for i in question.relevant if i in self._rows]
        similarities = self.vectors @ question.vector
        nearest = np.argsort(-similarities, kind="stable")[: count + len(rows)]
        rows += [int(row) for row in nearest if int(row) not in rows]
        return [self.passages[row] for row in rows[:count]]


def choose(target: Target, rng: np.random.Generator, count: int) -> list[Question]:
    """List questions to attack, at most `count`, none twice."""
    order = rng.permutation(len(target.questions))[:count]
    return [target.questions[int(row)] for row in order]


def carriers(
    target: Target, rng: np.random.Generator, count: int, min_words: int = 12
) -> list[HonestDocument]:
    """Honest passages to build on, at most `count`, none twice, none shorter than `min_words`."""
    passages: list[HonestDocument] = []
    for row in rng.permutation(len(target.passages)).tolist():
        if len(passages) == count:
            break
        if len(target.passages[row].text.split()) >= min_words:
            passages.append(target.passages[row])
    return passages
