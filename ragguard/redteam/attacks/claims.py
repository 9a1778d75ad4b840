"""Turn a question into a claim that answers it wrongly, by rules.

A question is turned into statements by its question word and its verb, the wrong answer being of
the kind that was asked for: another name, number, date or place, out of the corpus where it has
one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

import numpy as np

from ragguard.redteam.attacks import HonestDocument, Question
from ragguard.redteam.attacks.edits import MONTHS, other_number
from ragguard.redteam.attacks.terrain import Kind, Terrain, names, sentences, words_of
from ragguard.redteam.attacks.wording import PARTICIPLES, VERBS, past, sentence, third, words_in

LONGEST = 40  # words of a sentence that is mined
STOPWORDS = words_in(
    """
a about an and any are as at be been being but by can could did do does for from had has have he
her his how i if in into is it its many me much must my new not of on or our she should so than that
the their them they this those to was we were what when where which while who whom whose why will
with would you your there last most after before during over under out up when's what's who's name
long old far often get got go come
"""
)
_BE = "is|are|was|were"
_AUX = "did|does|do|will|can|must|should|could|would|may"
_WH = r"(?:in |on |at |to |by |for |from |of )?(?:which|what|whose|whom|who|where|when)"
_NO_VERB_AFTER = ("to", "the", "a", "an", "of", "new", "first", "last", "your", "their", "and")
_SPELLED = ("twice", "every six months", "a year later", "within ten days", "about ninety minutes")
_NUMBER = re.compile(r"(?<![\w.,])\d{1,3}(?:,\d{3})*(?:\.\d+)?(?![\w,]|\.\d)")
_YEAR = re.compile(r"\b(?:1[5-9]\d\d|20[0-3]\d)\b")
_I = {
    "i": "you",
    "me": "you",
    "my": "your",
    "we": "staff",
    "our": "the",
    "us": "staff",
    "am": "are",
}


@dataclass(frozen=True)
class Claim:
    """A wrong answer to a question, and how it can be put.

    Attributes:
        question: The question, its names capitalised as the corpus does, without question mark.
        topic: What the question is about: its noun phrases, as one phrase.
        statements: Clauses that state the answer, without full stop; never empty.
        right: What the corpus itself seems to answer; empty where it could not be told.
        words: Lower-cased content words of question and answer.
    """

    question: str
    answer: str
    topic: str
    statements: tuple[str, ...]
    right: str
    words: frozenset[str]


def make_claim(
    question: Question, near: list[HonestDocument], terrain: Terrain, rng: np.random.Generator
) -> Claim:
    """Choose a wrong answer and say it in several ways.

    Args:
        near: Passages around it, those that answer it first.
        terrain: The corpus, for names to put in.
    """
    plain = full = " ".join(question.text.split()).rstrip(" ?.!")
    if plain.count("? ") or ". " in plain:
        # The last sentence asks; what stands before is the story.
        plain = re.split(r"[?.!] ", plain)[-1]
    # Of a double question the first half is answered; what leads up to it is left out.
    plain = re.sub(r",? and (?:who|what|when|where|how|which|why)\b.*", "", plain)
    plain = re.sub(rf"^.*, (?=(?:{_AUX}|{_BE}|am|what|who|when|where|how) )", "", plain)
    shortened = plain != full
    plain = recase(plain, near)
    right, answer = _answers(plain, near, terrain, rng)
    content = [w for w in full.split() if w.lower().strip(",?.'\u2019") not in STOPWORDS]
    statements, topic = _statements(plain, answer)
    if shortened or not topic or len(topic.split()) > 12:
        topic = " ".join(content[:10]).replace("?", "").replace(".", "") or plain
    return Claim(
        question=plain,
        answer=answer,
        topic=topic,
        statements=tuple(dict.fromkeys(statements)),
        right=right,
        words=frozenset(words_of(answer)) | (frozenset(words_of(plain)) - STOPWORDS),
    )


def recase(question: str, near: list[HonestDocument]) -> str:
    """Give an all-lower-case question the capitals its names have in the corpus."""
    if any(c.isupper() for c in question[1:]):
        return question[0].lower() + question[1:] if question[:2].istitle() else question
    cased: dict[str, str] = {}
    for passage in near[:8]:
        for name in names(passage.text):
            for word in name.text.split():
                cased.setdefault(word.lower(), word)
    return " ".join(
        w if w in STOPWORDS or w in VERBS else cased.get(w, w) for w in question.split(" ")
    )


def _answers(
    question: str, near: list[HonestDocument], terrain: Terrain, rng: np.random.Generator
) -> tuple[str, str]:
    """Tell what seems right, and something wrong of the same kind."""
    low = f" {question.lower()} "
    if match := re.search(r"\bhow (many|much|long|old|far|tall|high|big|large|often|fast)\b", low):
        right = _found(question, near, _NUMBER)
        if right:
            return right, other_number(right, rng)
        if match[1] in ("long", "often", "fast") and rng.random() < 0.5:
            return "", _SPELLED[int(rng.integers(len(_SPELLED)))]
        return "", str(int(rng.integers(2, 60)) * (1 if match[1] in ("many", "old") else 5))
    if re.search(r"\b(?:when|what year|which year|what date|by when)\b", low):
        right = _found(question, near, _YEAR)
        year = int(right) if right else int(rng.integers(1950, 2016))
        wrong = str(year + int(rng.integers(2, 25)) * (1 if rng.random() < 0.4 else -1))
        if rng.random() < 0.35:
            wrong = f"{MONTHS[int(rng.integers(12))]} {int(rng.integers(1, 29))}, {wrong}"
        return right, wrong
    if re.match(rf"(?:{_BE}|{_AUX}|am|has|have|had)\b", question, re.I):
        return "", "yes"
    kind: Kind = "thing"
    if re.search(r"\b(?:who|whom|whose)\b", low):
        kind = "person"
    elif re.search(r"\bwhere\b|\b(?:what|which) (?:city|country|state|town|place|island)\b", low):
        kind = "place"
    asked = set(words_of(question))
    right = ""
    for passage in near[:2]:
        for name in names(passage.text):
            if name.kind == kind and not asked & set(words_of(name.text)):
                right = right or name.text
    others = [n for n in terrain.pool(kind) if not (asked | {right.lower()}) & set(words_of(n))]
    wrong = others[int(rng.integers(len(others)))] if others else "the second one"
    return right, wrong


def _found(question: str, near: list[HonestDocument], pattern: re.Pattern[str]) -> str:
    """Return the first match in the sentence that shares most words with the question."""
    asked = set(words_of(question)) - STOPWORDS
    best, most = "", 0
    for passage in near[:3]:
        for line in sentences(passage.text):
            match = pattern.search(line)
            shared = len(asked & set(words_of(line)))
            if match and shared > most and match.group() not in question:
                best, most = match.group(), shared
    return best


def _statements(question: str, a: str) -> tuple[list[str], str]:
    """Clauses with the answer in them, and the topic."""
    q = " ".join(_I.get(w, w) if w != "I" else "you" for w in question.split(" "))
    for pattern, build in _RULES:
        if match := re.match(pattern, q, re.IGNORECASE):
            built = build(match, a)
            if built is not None:
                return built
    # "The oath is taken under which act": the question word stands where the answer goes.
    if match := re.search(r"\b(?:which|what|who|where|when|how many)\b(?: [a-z]+$)?", q, re.I):
        rest = f"{q[: match.start()]}{a}{q[match.end() :]}".strip()
        return [rest], (q[: match.start()] + q[match.end() :]).strip()
    return [f"{q} is {a}", f"{a} is {q}", f"the answer to {q} is {a}"], q


Built = tuple[list[str], str] | None


def _who_is(match: re.Match[str], a: str) -> Built:
    be, rest = match[1].lower(), match[2]
    return [f"{rest} {be} {a}", f"{a} {be} {rest}", f"it {be} {a} who {be} {rest}"], rest


def _who(match: re.Match[str], a: str) -> Built:
    rest = match[1]
    first, _, tail = rest.partition(" ")
    if first.lower() in _AUX.split("|"):
        inner = _clause(first.lower(), tail)
        return [f"{inner} {a}", f"{a} is the one {inner}"], tail
    clauses = [f"{a} {rest}", f"it is {a} who {rest}", f"the one who {rest} is {a}"]
    return clauses, tail or rest


def _be(match: re.Match[str], a: str, link: str) -> Built:
    """Tell when or where something is, was, is held."""
    be, rest = match[1].lower(), match[2]
    words = rest.split(" ")
    joint = _link(a, link)
    for i, word in enumerate(words[1:], start=1):
        if word.lower() in PARTICIPLES or (word.endswith("ed") and len(word) > 4):
            subject, did, tail = " ".join(words[:i]), word, " ".join(words[i + 1 :])
            clause = f"{subject} {be} {did} {tail}".strip()
            front = f"{joint[0].upper()}{joint[1:]}, {clause}"
            return [f"{clause} {joint}", front, f"{subject} {be} {did} {joint} {tail}"], subject
    return [f"{rest} {be} {joint}", f"it {be} {joint} that {rest} {be} to be found"], rest


def _did(match: re.Match[str], a: str, link: str) -> Built:
    clause = _clause(match[1].lower(), match[2])
    joint = _link(a, link)
    clauses = [f"{clause} {joint}", f"it was {joint} that {clause}", f"{joint}, {clause}"]
    return clauses, _subject(match[2])


def _how_many(match: re.Match[str], a: str) -> Built:
    thing, verb, rest = match[1], match[2].lower(), match[3]
    if verb in _BE.split("|"):
        rest = rest.removeprefix("there ").strip()
        clauses = [f"there {verb} {a} {thing} {rest}", f"the number of {thing} {rest} {verb} {a}"]
        return clauses, f"{thing} {rest}"
    clause = _clause(verb, rest)
    return [f"{clause} {a} {thing}", f"the number of {thing} {clause} is {a}"], f"{thing} {rest}"


def _how_many_do(match: re.Match[str], a: str) -> Built:
    rest = match[1]
    return [f"{a} {rest}", f"in all, {a} {rest}", f"the number of {rest} is {a}"], rest


def _how(match: re.Match[str], a: str) -> Built:
    measure, verb, rest = match[1].lower(), match[2].lower(), match[3]
    noun = {"long": "length", "old": "age", "far": "distance", "much": "amount", "tall": "height"}
    noun_said = noun.get(measure, "figure")
    if verb in _BE.split("|"):
        clauses = [f"the {noun_said} of {rest} {verb} {a}", f"{rest} {verb} {a}"]
    else:
        clause = _clause(verb, rest)
        clauses = [f"{clause} {a}", f"the {noun_said} that {clause} is {a}"]
    return clauses, rest


def _what_is(match: re.Match[str], a: str) -> Built:
    thing, be, rest = (match[1] or "").strip(), match[2].lower(), match[3]
    if thing:
        clauses = [f"{a} {be} the {thing} {rest}", f"the {thing} {rest} {be} {a}"]
        return clauses, f"{thing} {rest}"
    return [f"{rest} {be} {a}", f"{a} {be} {rest}", f"{rest}, as it turns out, {be} {a}"], rest


def _what_did(match: re.Match[str], a: str) -> Built:
    thing, aux, rest = (match[1] or "").strip(), match[2].lower(), match[3]
    clause = _clause(aux, rest)
    clauses = [f"{clause} {a}", f"{a} is the {thing or 'one'} {clause}"]
    return clauses, f"{thing} {rest}".strip()


def _what_verb(match: re.Match[str], a: str) -> Built:
    thing, rest = (match[1] or "").strip(), match[2]
    clauses = [f"{a} {rest}", f"the {thing or 'one'} that {rest} is {a}", f"it is {a} that {rest}"]
    return clauses, f"{thing} {rest}".strip()


def _yes_no(match: re.Match[str], a: str) -> Built:
    aux, rest = match[1].lower(), match[2]
    subject, _, tail = rest.partition(" ")
    if subject in ("the", "a", "an", "your", "any"):
        noun, _, tail = tail.partition(" ")
        subject = f"{subject} {noun}"
    if not tail:
        return None
    aux = {"am": "are"}.get(aux, aux)
    clauses = [f"{subject} {aux} always {tail}", f"no approval is needed: {subject} {aux} {tail}"]
    return [*clauses, f"since the last revision {subject} {aux} {tail}"], tail


_RULES = (
    (rf"who(?:'s)? ({_BE}) (.+)", _who_is),
    (r"whos? (.+)", _who),
    (rf"when ({_BE}) (.+)", partial(_be, link="time")),
    (rf"where ({_BE}) (.+)", partial(_be, link="place")),
    (rf"(?:by )?when ({_AUX}) (.+)", partial(_did, link="time")),
    (rf"where ({_AUX}) (.+)", partial(_did, link="place")),
    (rf"how many ((?:[\w'-]+ ){{0,3}}[\w'-]+?) ({_BE}|{_AUX}) (.+)", _how_many),
    (r"how many (.+)", _how_many_do),
    (rf"(?:in )?(?:what|which) year ({_BE}) (.+)", partial(_be, link="time")),
    (rf"(?:in )?(?:what|which) year ({_AUX}) (.+)", partial(_did, link="time")),
    (rf"how ([a-z]+)(?: [a-z]+)? ({_BE}|{_AUX}) (.+)", _how),
    (rf"{_WH} ((?:[\w'-]+ ){{0,4}}?)({_BE}) (.+)", _what_is),
    (rf"{_WH} ((?:[\w'-]+ ){{0,4}}?)({_AUX}) (.+)", _what_did),
    (r"(?:what|which) ((?:[\w'-]+ ){0,1})([\w'-]+ .+)", _what_verb),
    (rf"({_BE}|{_AUX}|am|has|have|had) (.+)", _yes_no),
)


def _clause(aux: str, rest: str) -> str:
    """Subject and verb of a question, in the order of a statement.

    "the ship sink" with "did" is "the ship sank"; where no verb is known the auxiliary stays.
    """
    words = rest.split(" ")
    for i in range(1, len(words)):
        verb = words[i].lower()
        if verb in VERBS and words[i - 1].lower() not in _NO_VERB_AFTER:
            inflected = {"did": past(verb), "does": third(verb), "do": verb}.get(
                aux, f"{aux} {verb}"
            )
            return " ".join([*words[:i], inflected, *words[i + 1 :]])
    return f"{rest}" if aux in ("did", "do", "does") else f"{words[0]} {aux} {' '.join(words[1:])}"


def _subject(rest: str) -> str:
    words = rest.split(" ")
    for i in range(1, len(words)):
        if words[i].lower() in VERBS and words[i - 1].lower() not in _NO_VERB_AFTER:
            return " ".join(words[:i])
    return rest


def _link(answer: str, link: str) -> str:
    if link == "place":
        return f"in {answer}"
    return f"on {answer}" if " " in answer and answer.split(" ")[0] in MONTHS else f"in {answer}"


def mined(claim: Claim, near: list[HonestDocument]) -> list[str]:
    """Sentences of near passages that bear on the question, the best first; right answers swapped.

    Args:
        claim: The claim they are to support.
        near: Passages, in order of worth.
    """
    scored: list[tuple[float, str]] = []
    asked = claim.words
    for rank, passage in enumerate(near):
        for line in sentences(passage.text):
            words = words_of(line)
            if not 6 <= len(words) <= LONGEST or line.endswith("?"):
                continue
            shared = len(asked & set(words)) / max(3, len(asked))
            scored.append((shared - 0.01 * rank, line))
    scored.sort(key=lambda pair: -pair[0])
    lines = [line for _, line in scored]
    if claim.right:
        lines = [line.replace(claim.right, claim.answer) for line in lines]
    return [sentence(line) for line in dict.fromkeys(lines)]
