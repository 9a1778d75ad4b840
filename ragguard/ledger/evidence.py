"""Locate what a finding points at: stretches of text, other documents, claims; its identity.

A finding's score, p-value and place drift from one edition and one batch to the next. What it is
about does not: the sentence a rule matched, the companions, the twin and the changed words. That is
what makes two findings the same one, for a reviewer who wants one decision for one cause, and for a
release, which covers what the reviewer saw and nothing else.
"""

from __future__ import annotations

import ast
import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

from ragguard.model import Finding

QUOTES = ("quotes", "sentences", "sentence", "question", "text", "phrase", "phrases")
OTHERS = ("companions", "twin", "rejected", "copy_of", "campaign", "nearest")
CLAIMS = ("key", "keys", "value", "neighbours", "field", "expected", "found", "changes")
LONGEST = 2_000  # words of a text that are lined up with another
MOST = 400  # stretches of one finding that are looked at
_REPR = re.compile(r"(?<![\w'\"])('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")
_WORD = re.compile(r"[^\W_]+")
_END = re.compile(r"[.!?\u3002](?=[\s\"')\]\u201d\u2019]|$)[\"')\]\u201d\u2019]*|\n+")
_NOTHING = "passage"
_EMPTY: Mapping[str, Any] = {}
Span = tuple[int, int]


def as_finding(body: Mapping[str, Any]) -> Finding:
    """Return a finding out of its JSON object, as the ledger keeps it."""
    return Finding(
        str(body["check"]),
        float(body["score"]),
        body.get("p_value"),
        str(body["detail"]),
        body.get("facts") or {},
    )


def quotes(finding: Finding) -> list[str]:
    """Stretches of the document's own text that a finding points at, as written, without repeats.

    Facts that hold text go first (`QUOTES`); a check that has none there quotes in its sentence
    for a person, and what stands in quotation marks there is taken. Words of the document alone
    (facts `words`) are no stretches, see `pointed_words`. A twin's sentence quotes the other text
    too, and a claim is not the document's text: both have none.
    """
    facts = finding.facts
    if facts.get("twin") or any(facts.get(k) for k in ("copy_of", "key", "keys", "evidence")):
        return []
    stretches: list[str] = []
    for name in QUOTES:
        stretches += _strings(facts.get(name))
    if not stretches and not any(facts.get(name) for name in OTHERS):
        for match in _REPR.finditer(finding.detail):
            try:
                stretches.append(str(ast.literal_eval(match[1])))
            except (ValueError, SyntaxError):
                continue
    return list(dict.fromkeys(q for q in stretches if _WORD.search(q)))[:MOST]


def pointed_words(finding: Finding) -> list[str]:
    """Single words a finding points at: repeated or unseen ones, without repeats."""
    words = finding.facts.get("words")
    return list(dict.fromkeys(str(w) for w in words)) if isinstance(words, list | Mapping) else []


def others(finding: Finding) -> list[str]:
    """Other documents (`source/id`) that a finding names, without repeats, in its order."""
    labels: list[str] = []
    for name in OTHERS:
        labels += _strings(finding.facts.get(name))
    return list(dict.fromkeys(labels))


def evidence_key(finding: Finding) -> str:
    """Give the identity of a finding: its check and what stays when it is found again.

    Not scores, p-values, similarities or positions. Two findings with one key are about the same
    thing: the same rules on the same words, the same companions, the same changes of the same
    twin, the same claim.

    Returns:
        `check:` and 64 hexadecimal digits.
    """
    return _atom(finding.check, "finding", *sorted(_parts(finding)))


def is_particular(finding: Finding) -> bool:
    """Tell whether a finding names anything: a sentence, a document, words."""
    return set(_parts(finding)) != {_NOTHING}


def evidence(
    finding: Finding, text: str, hidden: Sequence[str] = (), metadata: Mapping[str, Any] = _EMPTY
) -> frozenset[str]:
    """List keys of all that a finding rests on, each for itself, so that less of it is covered too.

    One for each companion, changed fact, claim and sentence; for a finding that names nothing of
    the kind, such as an outlier's, one that says only that.

    Args:
        text: The document's text, in which the sentences around what it quotes are looked up.
        hidden: Hidden pieces of the document, likewise.
        metadata: Of the document: what it says in the fields a finding names is evidence too.

    Returns:
        Texts `check:` and 64 hexadecimal digits.
    """
    sentences = [
        sentence for quote in quotes(finding) for sentence in quoted_in(text, hidden, quote)
    ]
    parts = set(_parts(finding, sentences))
    for name in (*_strings(finding.facts.get("key")), *_strings(finding.facts.get("keys"))):
        parts.add(f"metadata {name} {metadata.get(name)!r}")
    return frozenset(_atom(finding.check, part) for part in parts)


def quoted_in(text: str, hidden: Sequence[str], quote: str) -> list[str]:
    """Sentences or hidden pieces that hold a quote, as `same_line`; the quote where none does."""
    sentences = holding(text, quote)
    sentences += [same_line(piece) for piece in hidden if locate(piece, quote)]
    return sentences or [same_line(quote)]


def rebuild(pieces: Sequence[tuple[int, int, str]]) -> str:
    """One text out of passages that overlap or follow each other.

    Args:
        pieces: Start, end and text of each passage, in order.
    """
    text, reached = "", 0
    for start, end, piece in pieces:
        if len(piece) != end - start:  # something was put before it: a text of its own
            text += f"\n\n{piece}"
        elif start <= reached and text:
            text += piece[reached - start :]
        else:
            text += f"{' ' if start - reached <= 1 else chr(10)}{piece}" if text else piece
        reached = max(reached, end)
    return text


def locate(text: str, quote: str) -> list[Span]:
    """Find a quote in a text by its words: case, punctuation and line breaks are passed over.

    Its first and last word may have been cut off in the middle. All places are returned, in order;
    none overlap.

    Returns:
        Character spans in `text`; none when the quote has no word or does not stand there.
    """
    stream, wanted = spans(text), [w for w, _ in spans(quote)]
    places = locate_words(stream, wanted)
    return places if places or len(wanted) < 4 else locate_words(stream, wanted[1:])


def locate_words(stream: Sequence[tuple[str, Span]], wanted: Sequence[str]) -> list[Span]:
    """Locate words in a text that is taken apart already, see `spans`."""
    places: list[Span] = []
    n, at = len(wanted), 0
    if not n:
        return places
    while at + n <= len(stream):
        same = all(stream[at + i][0] == wanted[i] for i in range(n - 1))
        last = stream[at + n - 1][0]
        if same and (last == wanted[-1] or (n > 2 and last.startswith(wanted[-1]))):
            places.append((stream[at][1][0], stream[at + n - 1][1][1]))
            at += n
        else:
            at += 1
    return places


def spans(text: str) -> list[tuple[str, Span]]:
    """List words of a text, folded (NFKC, lower case), with their places."""
    return [(fold(m[0]), m.span()) for m in _WORD.finditer(text)]


def fold(text: str) -> str:
    """Return the text as it is compared: NFKC, lower case."""
    low = text.lower()
    return low if low.isascii() else unicodedata.normalize("NFKC", low).lower()


def sentence_spans(text: str) -> list[Span]:
    """Sentences of a text: up to a full stop, question or exclamation mark, or a line's end."""
    bounds: list[Span] = []
    start = 0
    for match in _END.finditer(text):
        bounds.append((start, match.end()))
        start = match.end()
    bounds.append((start, len(text)))
    return [(a, b) for a, b in bounds if _WORD.search(text, a, b)]


def same_line(text: str) -> str:
    """Return a sentence as far as its identity goes: all of it but how its lines are broken.

    Punctuation and invisible characters count: something may be written in them.
    """
    return " ".join(text.split())


def holding(text: str, quote: str) -> list[str]:
    """List sentences of a text that hold a quote, or a part of it, as `same_line`."""
    places = locate(text, quote)
    return [
        same_line(text[a:b])
        for a, b in sentence_spans(text)
        if any(start < b and a < end for start, end in places)
    ]


def _parts(finding: Finding, sentences: Sequence[str] = ()) -> Iterator[str]:
    facts = finding.facts
    if given := _strings(facts.get("evidence")):
        yield from (f"evidence {mark}" for mark in given)
        return
    named = others(finding)
    claims = [name for name in CLAIMS if facts.get(name) not in (None, "", [], {})]
    if named or claims:
        changes = facts.get("changes")
        if isinstance(facts.get("twin"), str) and isinstance(changes, list):
            yield from (f"change {facts['twin']} {fold(str(list(c)))}" for c in changes)
            return
        yield from (f"document {name}" for name in named)
        yield from (f"claim {name} {facts[name]!r}" for name in claims)
        return
    if finding.p_value is None and not facts:  # a rule's word, such as that a person held it
        yield f"said {finding.detail}"
        return
    rules = _strings(facts.get("rules")) or _strings(facts.get("kinds"))
    yield from (f"rule {rule}" for rule in sorted(set(rules)))
    quoted = list(sentences) or [same_line(q) for q in quotes(finding)]
    if quoted:
        yield from (f"sentence {sentence}" for sentence in dict.fromkeys(quoted))
    elif not rules:
        words = sorted(pointed_words(finding))
        yield "words " + " ".join(words) if words else _NOTHING


def _atom(check: str, *parts: str) -> str:
    body = "\0".join((check, *parts)).encode("utf-8", "surrogatepass")
    return f"{check}:{hashlib.sha256(body).hexdigest()}"


def _strings(value: Any) -> list[str]:
    """List texts in a fact: one, a list of them, or of objects with a `text`."""
    if isinstance(value, str):
        return [value] if value else []
    if isinstance(value, list | tuple):
        texts = [
            v.get("text", v.get("document", "")) if isinstance(v, Mapping) else v for v in value
        ]
        return [v for v in texts if isinstance(v, str) and v]
    return []


def differing(ours: str, theirs: str) -> tuple[list[Span], list[Span]]:
    """List places where two texts have other words than each other, as character spans of each.

    Words are lined up in order; case and punctuation are passed over, and so is what stands beyond
    `LONGEST` words.
    """
    left, right = spans(ours)[:LONGEST], spans(theirs)[:LONGEST]
    matcher = SequenceMatcher(None, [w for w, _ in left], [w for w, _ in right], False)
    mine: list[Span] = []
    other: list[Span] = []
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        if a < b:
            mine.append((left[a][1][0], left[b - 1][1][1]))
        if c < d:
            other.append((right[c][1][0], right[d - 1][1][1]))
    return mine, other


def pointed_at(finding: Finding, text: str) -> list[Span]:
    """List places of a passage that a finding points at: quoted stretches, or single words."""
    stream = spans(text)
    places: list[Span] = []
    for quote in quotes(finding):
        places += locate(text, quote)
    wanted = {fold(word) for word in pointed_words(finding)}
    places += [place for word, place in stream if word in wanted]
    for ours, _theirs in _changes(finding):
        places += locate_words(stream, [w for w, _ in spans(ours)])
    return merged(places)


def merged(places: Sequence[Span]) -> list[Span]:
    """List spans in order, those that touch or overlap as one."""
    out: list[Span] = []
    for start, end in sorted(places):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(end, out[-1][1]))
        else:
            out.append((start, end))
    return out


def _changes(finding: Finding) -> list[tuple[str, str]]:
    """Changed words of a twin: ours and theirs."""
    given = finding.facts.get("changes")
    pairs = given if isinstance(given, list) and finding.facts.get("twin") else []
    return [(str(p[0]), str(p[1])) for p in pairs if isinstance(p, list | tuple) and len(p) == 2]
