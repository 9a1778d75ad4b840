"""Make questions a corpus answers, by rules, for users who have no queries.

Titles, headings and sentences of a few plain forms are turned around. They are plain, but they
lie where readers' questions lie, which is all that a simulated attack needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np

from ragguard.redteam.attacks import HonestDocument
from ragguard.redteam.attacks.terrain import names, sentences, words_of
from ragguard.redteam.attacks.wording import words_in

_HEADING = re.compile(r"^(?:#{1,6} +(.{4,70})|([A-Z][^\n.!?]{6,70})\n[=-]{4,})\s*$", re.MULTILINE)
_IS = re.compile(
    r"^((?:The |An? )?[A-Z][\w' -]{3,50}?) (is|are|was|were) (?:an?|the|one|part) .{12,}$"
)
_DID = re.compile(
    r"^((?:The |An? )?[A-Z][\w' -]{3,40}?) (was|were) "
    r"(\w+ed|born|built|made|held|written|won)\b(.*)"
)
_WHEN = re.compile(r"\b(?:in|on|by|since|until) (?:\w+ )?(?:\d{1,2},? )?(?:1[5-9]|20)\d\d\b")
_MANY = re.compile(r"\b(\d[\d,.]*) ([a-z]{4,}s)\b(.{0,60})")
_MUST = re.compile(
    r"^((?:The |An? )?\w[\w' -]{2,40}?) (must|should|can|may) (?!not )([a-z].{8,70})"
)
_TITLES = ("title", "heading", "subject", "name")
_ABOUT = (
    *("What does one need to know about {}?", "How does {} work?", "What applies to {}?"),
    *("Where do I find out about {}?", "Can you explain {}?", "What is said about {}?"),
)
_PRONOUNS = words_in("it he she they this that these those there we you i")


def suggest(
    passages: Sequence[HonestDocument], rng: np.random.Generator, count: int
) -> list[tuple[str, tuple[str, ...]]]:
    """Derive questions from passages.

    Args:
        passages: Honest passages.
        count: Questions wanted; fewer come back where the passages offer fewer.

    Returns:
        Text and ids of the passages that answer it; no text twice, at most two of a passage.
    """
    questions: dict[str, list[str]] = {}
    for row in rng.permutation(len(passages)).tolist():
        passage = passages[row]
        offered = list(dict.fromkeys(_derived(passage)))
        if not offered:
            continue
        for at in rng.permutation(len(offered))[:2].tolist():
            if len(questions) < count or offered[at] in questions:
                questions.setdefault(offered[at], []).append(passage.id)
        if len(questions) >= count:
            break
    return [(text, tuple(dict.fromkeys(ids))) for text, ids in questions.items()]


def _derived(passage: HonestDocument) -> Iterator[str]:
    """Yield all questions of one passage, the sharpest first."""
    for line in sentences(passage.text):
        plain = " ".join(re.sub(r"[*_`\[\]#|]", "", line).split()).rstrip(".")
        if plain.endswith("?") and "." not in plain and 6 <= len(plain.split()) <= 25:
            yield plain
        elif 6 <= len(plain.split()) <= 45 and plain.split()[0].lower() not in _PRONOUNS:
            yield from _turned(plain)
    offered = (passage.metadata.get(key) for key in _TITLES)
    title = next((t for t in offered if isinstance(t, str) and 2 <= len(t.split()) <= 12), "")
    if title:
        yield from _titled(title)
    for match in _HEADING.finditer(passage.text):
        heading = (match[1] or match[2]).strip().rstrip("#: ")
        words = words_of(heading)
        if heading.endswith("?") and len(words) > 5:
            yield heading
        elif title and len(words) >= 2 and heading.lower() not in title.lower():
            yield f"What does {title!r} say about {_lower(heading)}?"
        elif len(words) >= 3 and not set(words) & (_PRONOUNS | {"in", "on", "at", "when", "if"}):
            yield from _titled(heading)


def _turned(line: str) -> Iterator[str]:
    """Return a sentence turned into questions."""
    if match := _DID.match(line):
        subject, be, verb, tail = _lower(match[1]), match[2], match[3], match[4]
        if _WHEN.search(tail):
            yield f"When {be} {subject} {verb}?"
        elif f"{verb} by " in line:
            yield f"Who {verb} {subject}?" if verb != "born" else f"Where {be} {subject} born?"
        elif " in " in tail or " at " in tail:
            yield f"Where {be} {subject} {verb}?"
        return
    if match := _IS.match(line):
        subject, be = match[1], match[2]
        if not _fit(subject):
            return
        known = [n for n in names(line) if n.text in subject and n.kind == "person"]
        word = "Who" if known else "What"
        yield f"{word} {be} {_lower(subject)}?"
    if (match := _MUST.match(line)) and _fit(match[1]) and "." not in match[3]:
        yield f"What {match[2]} {_lower(match[1])} do about {_tail(match[3])}?"
    if match := _MANY.search(line):
        rest = re.split(r"[,;:(]| (?:and|but|or|which|that) ", match[3])[0]
        if len(rest.split()) >= 2 and rest.split()[0] not in ("Every", "every"):
            yield f"How many {match[2]}{rest.rstrip()}?"


def _titled(title: str) -> Iterator[str]:
    plain = title.strip().rstrip(".:")
    first = plain.split(" ")[0].lower()
    if first.endswith("ing") and len(first) > 5:
        yield f"What are the rules for {_lower(plain)}?"
    elif first in ("how", "what", "when", "who", "where", "why", "which"):
        yield f"{plain}?"
    else:
        # By length, so that the same title always gives the same question.
        yield _ABOUT[len(plain) % len(_ABOUT)].format(_lower(plain))


def _fit(subject: str) -> bool:
    """Tell whether words before a verb look like a subject a question could name."""
    words = subject.lower().split()
    named = words[1:] if words[0] in ("the", "a", "an") else words
    opens = {"at", "use", "in", "for", "if", "when", "while", "where", "no", "there", "only", "but"}
    return 0 < len(named) <= 5 and not set(named) & (opens | _PRONOUNS | {"which", "who", "not"})


def _lower(phrase: str) -> str:
    """Return a phrase without the capital of a sentence's beginning; names keep theirs."""
    first, _, rest = phrase.partition(" ")
    if first in ("The", "A", "An") or (first.endswith("ing") and first.istitle()):
        return f"{first.lower()} {rest}".strip()
    return phrase


def _tail(clause: str) -> str:
    words = re.split(r"[,;:(]", clause)[0].split()
    return " ".join(words[1:9]) if len(words) > 2 else " ".join(words)
