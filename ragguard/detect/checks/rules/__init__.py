"""Load the rules: phrases that speak to a model, their weights, what ordinary documents score.

Rules are YARA (`*.yar`), with words from `words.json` put in where `@WORD@` stands. Their weights
are measured (`weights.json`, made by benchmarks/measure_rules.py): the log of how often a text with
an order matches over the upper 95 % bound of how often an ordinary document does.
"""

from __future__ import annotations

import json
import re
import threading
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ragguard.text import as_read
from ragguard.text.requests import ACT, PRODUCE, STOP
from ragguard.trust.names import skeleton

SPELLED = "spells_letters_out"
IN_PASSING = 0.3  # part of its weight that a quoted or described phrase counts
CLOSE = 120  # characters within which two weak rules are one order
ORDINARY = 1e-3  # a rule seen on more of ordinary documents than this holds none alone
ALONE = 0.02  # p-value that a rule which holds none alone cannot go below
UNSEEN = 2e-4  # p-value of a kind of find that no measured document had
_own = threading.local()  # a scanner may be used by the thread that made it and by no other
_QUOTED = re.compile(
    r"\"[^\"\n]{3,400}\"|“[^”\n]{3,400}”|„[^“”\n]{3,400}[“”]|«[^»\n]{3,400}»|```.{1,4000}?```"
    r"|`[^`\n]{3,400}`|(?<!\w)'[^'\n]{8,400}'(?!\w)",
    re.DOTALL,
)
_CITED = re.compile(r"(?:^>[^\n]*\n?)+|^(?:    |\t)[^\n]*", re.MULTILINE)
_TALK = re.compile(
    r"\b(?:attack\w*|adversar\w+|examples?|e\.g\.|such as|phrases?|sentences? like|wording"
    r"|injection|jailbreak|quot\w+|mail (?:we|you) (?:received|got)|received|phishing|reported|spam"
    r"|test(?:s|ed)? (?:page|said)|reads?|says|said|filter\w*|removed|stripped|blocked|look out for"
    r"|looks? like|words like|called|means?|template\w*|format|prompts?|tokens?|line reads"
    r"|messages? like|types?|typed|writes|written|string)\b",
    re.IGNORECASE,
)
_MENTION = re.compile(
    r"(?:such as|for example|e\.g\.|like|phrases?|reads?|says?|said|written|wording|quote[sd]?"
    r"|examples?|sentence|words|called|means?)\W{0,12}$",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:never|not|don't|doesn't|didn't|cannot|can't|won't|shouldn't|nobody|no one|nothing"
    r"|without|neither|nor|unable|refuses?|refused|avoid|instead of)(?:\W+\w+){0,3}\W*$",
    re.IGNORECASE,
)
# One person takes back what was said to another: "ignore my previous mail", "forget what I said".
# Or a writer begins afresh: "forget everything you know about cream".
_TAKEN_BACK = re.compile(
    r"\W*(?:\w+ ){1,4}(?:my (?:own )?(?:previous|prior|earlier|former|last|first|other)"
    r" (?:message|e-?mail|mail|post|comment|reply|note|letter|ticket|answer|question)s?\b"
    r"|what (?:I|you|we|he|she|they)(?:'ve| have| had)?(?: just| only| really)?"
    r" (?:said|say|wrote|written|meant)\b"
    r"|(?:all|everything|anything|what(?:ever)?) (?:that )?you(?:'ve| have)?(?: ever)?"
    r" (?:know|knew|learn(?:ed|t)|heard|read) about (?!(?:(?:the|your|any|all|these|previous|prior)"
    r" )*(?:instruct|rule|prompt|guid|system|conversation|polic|context|orders?\b)))",
    re.IGNORECASE,
)
_LEADS_WORDS = """
    please kindly and then now just simply also so must should shall you will always or but instead
    therefore hereby assistant ai model bot chatbot gpt dear you'll immediately first next finally
    only do let's better urgent important system note it
"""
_LEADS = frozenset(_LEADS_WORDS.split())
_BID = re.compile(
    r"\b(?:you|model|assistant|ai|it|them|required|ordered|instructed|obliged|need|needs|want|wants"
    r"|like|have|has|are|is|asked|wish|told|engine|bot|chatbot|mandatory|sure|task|goal|purpose|job"
    r"|mission|important|us|llms?|assistants|models) to$",
    re.IGNORECASE,
)
_PLAIN = frozenset(
    ["ignore", "disregard", "forget", "instructions", "instruction", "rules", "previous"]
) | (PRODUCE | ACT | STOP)
_STOP = re.compile(r"[.!?\n](?:\s|$)")
_FOREIGN = re.compile(r"(?<!\w)[0-9A-Za-z_]*+[^\W\x00-\x7f]\w*")  # a word not all of ASCII
_RAW_HINTS = re.compile(
    r"<[|/<a-z]|\[/?INST|###|\{\s{0,8}[\"']|(?i:end|begin|start) of"
    r"|^[ \t]{0,8}(?i:human|user|system|assistant|ai)\s?:",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Hit:
    """A rule that matches.

    Attributes:
        phrase: What matched.
        passing: Whether the phrase is quoted, described, stands where no order can, or takes back
            what one person said to another.
        start: Where it starts in what was read.
    """

    rule: str
    phrase: str
    passing: bool
    start: int = 0


@dataclass(frozen=True)
class Weights:
    """What was measured.

    Attributes:
        weight: Per rule, in nats.
        bound: Per rule, upper 95 % bound of the share of ordinary documents that match.
        scores: Conclusive scores of ordinary documents at which the tail changes, ascending.
        tail: Upper 95 % bound of the share of ordinary documents that score so much or more, and
            conclusively (see `score`).
    """

    weight: Mapping[str, float]
    bound: Mapping[str, float]
    scores: NDArray[np.float64]
    tail: NDArray[np.float64]

    def p_value(self, score: float) -> float:
        """Upper bound of the share of ordinary documents that score so much; 1 for a score of 0."""
        if score <= 0.0:
            return 1.0
        return float(self.tail[int(np.searchsorted(self.scores, score - 1e-9, "left"))])


@cache
def weights() -> Weights:
    """Return the shipped measurement."""
    measurement = json.loads(files(__package__).joinpath("weights.json").read_text("utf-8"))
    rules, tail = measurement["rules"], measurement["tail"]
    return Weights(
        {name: float(rule["weight"]) for name, rule in rules.items()},
        {name: float(rule["bound"]) for name, rule in rules.items()},
        np.array(tail["scores"], dtype=np.float64),
        np.array(tail["bounds"], dtype=np.float64),
    )


@cache
def kinds(check: str = "hidden") -> Mapping[str, float]:
    """Upper 95 % bound of the share of ordinary documents with each kind of find.

    Args:
        check: `hidden` or `secrets`.

    Returns:
        Per kind its bound; one that too many ordinary documents have holds none alone.
    """
    measurement = json.loads(files(__package__).joinpath("weights.json").read_text("utf-8"))
    bounds = {k: float(v["bound"]) for k, v in measurement.get(check, {}).items()}
    return {k: b if b <= ORDINARY else max(b, ALONE) for k, b in bounds.items()}


def sources() -> str:
    """Return the rules, words put in."""
    folder = files(__package__)
    words = json.loads(folder.joinpath("words.json").read_text("utf-8"))
    names = sorted(p.name for p in folder.iterdir() if p.name.endswith(".yar"))
    text = "\n".join(folder.joinpath(name).read_text("utf-8") for name in names)
    while "@" in text and (placeholder := re.search(r"@([A-Z]+)@", text)):
        text = text.replace(placeholder.group(), words[placeholder[1]])
    return text


def _scanners() -> tuple[Any, Any]:
    """Compiled rules for what a reader reads, and those for the source as it stands."""
    if not hasattr(_own, "scanners"):
        import yara_x

        whole = sources()
        raw = "\n".join(r for r in re.split(r"(?m)^(?=rule )", whole) if "raw = true" in r)
        _own.scanners = tuple(yara_x.Scanner(yara_x.compile(text)) for text in (whole, raw))
    scanners: tuple[Any, Any] = _own.scanners
    return scanners


@cache
def weak() -> frozenset[str]:
    """List rules that ordinary sentences match too: they hold no document alone."""
    parts = re.split(r"(?m)^(?=rule )", sources())
    return frozenset(p.split()[1] for p in parts if "weak = true" in p)


@cache
def names() -> tuple[str, ...]:
    """List every rule."""
    return (*re.findall(r"(?m)^rule (\w+)", sources()), SPELLED)


def scan(text: str) -> list[Hit]:
    """List rules that match what a reader reads of a text, or the text as it stands.

    Args:
        text: Normalised source text (NFKC, no invisible characters).

    Returns:
        At most one hit a rule, one that is no mere mention before one that is.
    """
    if not text.isascii():
        text = _fold(text)
    whole, raw = _scanners()
    plain = as_read.joined(as_read.rendered(text))
    together = as_read.unspelled(plain)
    shown = as_read.unaccented(together)
    hits = list(_matches(whole, shown))
    if not plain.isascii() and plain != shown:
        hits += _matches(whole, plain)
    if _RAW_HINTS.search(text):
        hits += _matches(raw, text)
    apart = set(as_read.spelled(plain)) if together != plain else set()
    if len(apart) > 1 and not apart.isdisjoint(_PLAIN):
        hits.append(Hit(SPELLED, " ".join(sorted(apart))[:120], False))
    best: dict[str, Hit] = {}
    for hit in hits:
        if hit.rule not in best or (best[hit.rule].passing and not hit.passing):
            best[hit.rule] = hit
    return list(best.values())


def score(hits: Iterable[Hit], measured: Weights) -> tuple[float, float]:
    """Tell what hits weigh together, and how rare that is among ordinary documents.

    Args:
        hits: At most one a rule.
        measured: Weights.

    Returns:
        The largest weight plus half of the others, in nats; an upper bound of its p-value. What is
        only quoted, or matches one rule that ordinary documents match too, holds no document alone.
    """
    parts = sorted(
        (measured.weight.get(h.rule, 0.0) * (IN_PASSING if h.passing else 1.0) for h in hits),
        reverse=True,
    )
    if not parts or parts[0] <= 0:
        return 0.0, 1.0
    total = parts[0] + 0.5 * sum(parts[1:])
    plain = [h for h in hits if not h.passing and measured.weight.get(h.rule, 0.0) > 0]
    sure = any(
        h.rule not in weak() and measured.bound.get(h.rule, 1.0) <= ORDINARY for h in plain
    ) or _apart(plain)
    p = measured.p_value(total)
    return total, p if sure else max(p, ALONE)


def _apart(hits: list[Hit]) -> bool:
    """Tell whether two rules match different words close together."""
    spans = sorted((h.start, h.start + len(h.phrase), h.rule) for h in hits)
    return any(
        end <= other < end + CLOSE and rule != also
        for i, (_, end, rule) in enumerate(spans)
        for other, _, also in spans[i + 1 :]
    )


def _matches(scanner: Any, text: str) -> Iterable[Hit]:
    data = text.encode("utf-8", "replace")
    results = scanner.scan(data)
    if not results.matching_rules:
        return
    number = np.cumsum((np.frombuffer(data, np.uint8) & 0xC0) != 0x80, dtype=np.int32) - 1
    quoted = [m.span() for m in _QUOTED.finditer(text)]
    quoted += [m.span() for m in _CITED.finditer(text)]
    quoted.sort()
    openings = [a for a, _ in quoted]
    for rule in results.matching_rules:
        marks = {k for k, _ in rule.metadata}
        order, markup = "order" in marks, "raw" in marks
        best: Hit | None = None
        for pattern in rule.patterns:
            for match in pattern.matches:
                start = int(number[match.offset])  # of a byte's character
                phrase = data[match.offset : match.offset + match.length].decode("utf-8", "ignore")
                start += len(phrase) - len(phrase.lstrip(' \n.>"'))
                before = _before(text, start)
                if order and _NEGATED.search(before):
                    continue
                passing = _quoted(text, start, quoted, openings, markup)
                passing = passing or bool(_MENTION.search(before))
                passing = passing or (order and not _may_order(before, text[start : start + 1]))
                end = start + len(phrase.lstrip(' \n.>"'))
                passing = passing or (order and bool(_TAKEN_BACK.match(text[start : end + 60])))
                if best is None or (best.passing and not passing):
                    best = Hit(rule.identifier, phrase.strip()[:120], passing, start)
                if not best.passing:
                    break
        if best:
            yield best


def _before(text: str, start: int) -> str:
    """Tell what stands before in the same sentence, at most 80 characters of it."""
    part = text[max(0, start - 80) : start]
    cuts = [m.end() for m in _STOP.finditer(part)]
    return part[cuts[-1] :] if cuts else part


def _quoted(
    text: str, start: int, quoted: list[tuple[int, int]], openings: list[int], markup: bool
) -> bool:
    """Tell whether a phrase is quoted: in quotation marks or code, and somebody talks about it.

    Markup of prompts and calls of tools are quoted by standing in code at all.
    """
    at = bisect_right(openings, start) - 1
    if at < 0 or start >= quoted[at][1]:
        return False
    opened, closed = quoted[at]
    if markup and text[opened] in "` \t":
        return True
    around = text[max(0, opened - 160) : opened] + " " + text[closed : closed + 160]
    lead = text[max(0, opened - 40) : opened].rstrip()
    return bool(_TALK.search(around)) or lead[-1:].isalpha()


def _may_order(before: str, first: str) -> bool:
    """Tell whether an order can stand behind these words of its sentence."""
    lead = before.rstrip()
    if not lead or not (lead[-1].isalnum() or lead[-1] == "'") or first.isupper():
        return True
    return lead.split()[-1].lower() in _LEADS or bool(_BID.search(lead))


def _fold(text: str) -> str:
    """Look-alike letters of other scripts as plain ones, word by word."""
    return _FOREIGN.sub(lambda m: _fold_word(m.group()), text)


def _fold_word(word: str) -> str:
    folded = "".join(c if c.isascii() else skeleton(c) for c in word)
    return folded if folded.isascii() else word
