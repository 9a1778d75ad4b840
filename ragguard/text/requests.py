"""Find sentences that ask somebody to do something: orders, requests, questions, offers.

English only. What counts is the form a sentence has, never what it is about; whether a request
belongs where it stands is for the caller to judge. Everybody's how-to guide is full of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from ragguard.text.words import words

# Verbs that ask for words (a model's work), and verbs that ask for deeds (a reader's).
_PRODUCE_WORDS = """
    write translate summarise summarize explain describe list compose generate create give tell show
    provide suggest recommend answer reply respond solve calculate compute convert classify
    determine analyse analyze identify name find rewrite rephrase paraphrase correct extract rate
    compare define draft design plan make imagine pretend act behave say speak repeat recite output
    include mention append finish organise organize prioritise prioritize outline predict forecast
    estimate evaluate assess discuss share invent encode decode decipher encrypt decrypt simplify
    elaborate illustrate brainstorm propose develop produce implement categorise categorize render
    narrate recap condense transform shorten expand proofread capitalise replace state sing quiz
    interpret infer detect examine investigate research craft formulate devise construct deduce
    assign highlight reveal disclose schedule remind set book refuse apologise apologize praise
    """
PRODUCE = frozenset(_PRODUCE_WORDS.split())
_ACT_WORDS = """
    send forward email mail click visit buy purchase order subscribe call download sign join try
    discover save enjoy watch claim verify confirm update enter submit follow ignore forget
    check pay transfer donate register contact reset unlock open run execute invoke search look
    go read play ask help use get stop start begin upload post reply act hurry shop learn
    experience explore text install log copy paste launch spread vote choose add insert
    incorporate integrate embed inject introduce weave infuse blend merge fuse combine mix
    remove delete erase drop omit skip strip hide conceal mask swap substitute exchange
    interchange scramble jumble shuffle rearrange reorder reverse mirror group split separate
    space double repeat change alter modify adapt adjust tweak edit revise amend misspell mangle
    obfuscate transform turn enhance augment enrich extend improve strengthen optimise optimize
    boost upgrade refine polish apply adopt employ utilise utilize leverage deploy connect link
    attach bundle grant allow disable enable activate deactivate bypass override disregard
    promote endorse advertise encourage urge convince persuade warn inform notify let put place
    keep take bring break lay walk talk teach
    """
ACT = frozenset(_ACT_WORDS.split())
_STOP_WORDS = """
    a about above after again all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each either else ever every few for
    from further had has have having he her here hers him his how i if in into is it its itself just
    let like may me might more most much must my no nor not now of off on once one only or other our
    out over own per please same shall she should since so some such than that the their them then
    there these they this those through to too under until up upon us very was we well were what
    when where whether which while who whom whose why will with within without would yes yet you
    your yours
    """
STOP = frozenset(_STOP_WORDS.split())
FEATURES = (
    "asks_for_words",
    "asks_for_deeds",
    "polite",
    "question",
    "asks_for_itself",
    "second_person",
    "about_the_answer",
    "contact",
    "offer",
    "forbids",
    "strange_writing",
    "own_answer",
    "this_text",
)

_END = re.compile(
    r"[.!?:][\"')\]]?(?:\[[^\]\s]{1,12}\](?::[^\s\[]{1,8})?){0,6}\s+"
)  # and its notes
_ADDRESSES = ("://", "www.", "@", ".com", ".net", ".org", ".example")
_LEADS_WORDS = "please kindly now then also next finally first just and so ok hey hi"
_LEADS = frozenset(_LEADS_WORDS.split())
_INTERROGATIVE_WORDS = (
    "what who whom whose which when where why how is are do does did can could should would"
)
_INTERROGATIVE = frozenset(_INTERROGATIVE_WORDS.split())
_ASKING_WORDS = "what who whom whose which when where why how"
_ASKING = frozenset(_ASKING_WORDS.split())
_ITSELF_WORDS = "me my i"
_ITSELF = frozenset(_ITSELF_WORDS.split())
_SECOND_WORDS = "you your yours yourself"
_SECOND = frozenset(_SECOND_WORDS.split())
_ANSWERS_WORDS = """
    answer answers answering reply replies replying respond responds responding response responses
    summary summaries summarise summarize summarising summarizing output outputs from only whatever
    """
_ANSWERS = frozenset(_ANSWERS_WORDS.split())
_TEXTS_WORDS = """
    text passage email e-mail emails mail message messages paragraph paragraphs sentence sentences
    article conversation snippet word words story author writer tone sentiment points
    """
_TEXTS = frozenset(_TEXTS_WORDS.split())
_ANSWER_WORDS = """
    answer answers reply replies replying respond responds responding response responses summary
    summaries summarise summarize sentence sentences paragraph paragraphs passage text tone
    sentiment conversation chat user bullet translate translated translation word words prompt
    """
_ANSWER = frozenset(_ANSWER_WORDS.split())
_OWN_ANSWER = re.compile(
    r"\b(?:your|the|every|each|all|any) (?:\w+ )?(?:answers?|repl(?:y|ies)|responses?"
    r"|summar(?:y|ies)|outputs?)\b"
    r"|\b(?:when|while|before|after|instead of) (?:answer|reply|respond|summaris|summariz)ing\b"
    r"|\b(?:from (?:now|here) on|to whatever|only say|say only)\b"
)
_THIS_TEXT = re.compile(
    r"\b(?:the|this|these|following|above|preceding|previous|given) (?:\w+ )?"
    r"(?:text|passage|e-?mails?|messages?"
    r"|paragraphs?|sentences?|article|conversation|snippet|words?|story|author|writer|tone|sentiment)\b"
    r"|\b(?:text|passage|message|paragraph|points) above\b"
)
_OFFER_WORDS = """
    free offer offers deal deals discount discounts sale bonus prize gift exclusive limited buy best
    amazing unbeatable guaranteed shop subscribe win won earn urgent urgently immediately promo
    """
_OFFER = frozenset(_OFFER_WORDS.split())
_FORBIDS_WORDS = "don't dont never refuse avoid stop"
_FORBIDS = frozenset(_FORBIDS_WORDS.split())
_TRIGGERS = PRODUCE | ACT | _ITSELF | _SECOND | _ANSWER | _OFFER | _FORBIDS | _ANSWERS | _TEXTS
_TRIGGERS |= {"please", "kindly", "do", "off"}
_ASKED = frozenset(("can", "could", "would", "will"))
_MARKS = frozenset("?!")
_FORMLESS = (0.0,) * len(FEATURES)
_CLAUSE = re.compile(
    r"[,:;\])\u2013\u2014-] (?:please |kindly |then |also |just |now )?([a-z]+)"
    r"|\b(?:you|assistant|ai|model) "
    r"(?:(?:could|can|must|should|shall|to|would|will|may|please|now|have to|are to) ){1,4}([a-z]+)"
)
_STARTS = "|".join(
    sorted(
        w.capitalize() for w in PRODUCE | ACT | _ASKING | {"please", "kindly", "never", "always"}
    )
)
# A sentence that begins in the middle of another: put in without a care for where the words stop.
_ABRUPT = re.compile(
    rf" (?=[A-Z])(?<=[a-z0-9,;)\]\"'] )(?=(?:{_STARTS}) [a-z'\"]"
    r"|(?:Can|Could|Would|Will|Do|Are) you |Don't |Do not "
    r"|[A-Z][a-z]+ (?:your|every|each|any|this|these) )"
)
_NO_LETTERS = bytes(b for b in range(128) if not (chr(b).isalpha() or b == 32))
_DOING = PRODUCE | ACT
_WRAP = 45  # characters from which a line without a full stop may go on in the next
MAX_SENTENCE = 1000  # characters; what is longer is cut, so that no line costs more than its length


@dataclass(frozen=True)
class Sentence:
    """A sentence and where it stands.

    Attributes:
        tokens: Its lower-cased words.
        alone: Whether it has a line, or a paragraph, to itself.
        edge: Whether it is the first or the last of the text.
    """

    text: str
    tokens: tuple[str, ...]
    alone: bool
    edge: bool


def sentences(text: str) -> list[Sentence]:
    """Split a text; a line break inside a wrapped paragraph parts nothing.

    Returns:
        Sentences with at least one word, in order.
    """
    pieces: list[tuple[str, bool]] = []
    for line in _unwrapped(text):
        parts = _pieces(line)
        pieces += [(part, len(parts) == 1) for part in parts]
    split = [(part, tuple(words(part)), alone) for part, alone in pieces]
    kept = [s for s in split if s[1] or len(s[0]) > 3]
    last = len(kept) - 1
    return [Sentence(p, t, alone, i in (0, last)) for i, (p, t, alone) in enumerate(kept)]


def _unwrapped(text: str) -> list[str]:
    """List lines, those of one wrapped paragraph joined."""
    if "\n" not in text:
        return [text]
    joined: list[list[str]] = []
    before = ""
    for line in text.split("\n"):
        if not line:
            before = ""
            continue
        wrapped = len(before) >= _WRAP and before[-1] not in ".!?:" and line[:1].isalpha()
        if wrapped and sum(map(len, joined[-1])) < MAX_SENTENCE:
            joined[-1].append(line)
        else:
            joined.append([line])
        before = line
    return [" ".join(lines) for lines in joined]


def _pieces(line: str) -> list[str]:
    """List sentences of a line."""
    cuts = [0]
    for match in _END.finditer(line):
        after = line[match.end() : match.end() + 1]
        if not after.islower() or line[max(0, match.start() - 3) : match.start()].isalpha():
            cuts.append(match.end())
    cuts += (match.end() for match in _ABRUPT.finditer(line))
    cuts = [*sorted(set(cuts)), len(line)]
    pieces = []
    for start, end in pairwise(cuts):
        for at in range(start, end, MAX_SENTENCE):
            if piece := line[at : min(end, at + MAX_SENTENCE)].strip():
                pieces.append(piece)
    return pieces


def form(sentence: Sentence) -> tuple[float, ...]:
    """Tell what form a sentence has.

    Returns:
        A value in [0, 1] for each of `FEATURES`; higher is more like a request.
    """
    text, tokens = sentence.text, sentence.tokens
    held = frozenset(tokens)
    if held.isdisjoint(_TRIGGERS) and _MARKS.isdisjoint(text) and not _led(tokens):
        plain = not any(a in text.lower() for a in _ADDRESSES) and not _dialled(tokens)
        if plain and not _strange(text, tokens):
            return _FORMLESS  # most sentences; `_form` would say the same, and take its time
    return _form(sentence, held)


def _form(sentence: Sentence, held: frozenset[str]) -> tuple[float, ...]:
    text, tokens = sentence.text, sentence.tokens
    start = 0
    while start < min(3, len(tokens)) and tokens[start] in _LEADS:
        start += 1
    asked = start < len(tokens) and tokens[start] in _ASKED
    if asked and tokens[start + 1 : start + 2] == ("you",):
        start += 2
        while start < len(tokens) and tokens[start] in _LEADS:
            start += 1
    head = tokens[start] if start < len(tokens) else ""
    question = "?" in text[-3:]
    interrogative = bool(tokens) and tokens[0] in _INTERROGATIVE
    produces = float(head in PRODUCE)
    deeds = float(head in ACT)
    asked = asked and start > 0
    negative = head in _FORBIDS or tokens[start : start + 2] == ("do", "not")
    low = text.lower()
    if not held.isdisjoint(_DOING):
        later_words, later_deeds = _later(low)
        produces, deeds = max(produces, later_words), max(deeds, later_deeds)
    offers = len(held & _OFFER) + min(2, text.count("!")) + ("% off" in low)
    return (
        produces,
        deeds,
        float(asked or "please" in held or "kindly" in held),
        0.5 * question + 0.5 * (question and interrogative),
        float(bool(produces or deeds or question or asked) and not held.isdisjoint(_ITSELF)),
        float(not held.isdisjoint(_SECOND)),
        min(2, len(held & _ANSWER)) / 2.0,
        float(any(a in low for a in _ADDRESSES) or _dialled(tokens)),
        min(3, offers) / 3.0,
        float(negative),
        _strange(text, tokens),
        float(not held.isdisjoint(_ANSWERS) and bool(_OWN_ANSWER.search(low))),
        float(not held.isdisjoint(_TEXTS) and bool(_THIS_TEXT.search(low))),
    )


def _later(text: str) -> tuple[float, float]:
    """The same of verbs that do not begin the sentence."""
    heads = [m[1] or m[2] for m in _CLAUSE.finditer(text)]
    return 0.7 * any(h in PRODUCE for h in heads), 0.7 * any(h in ACT for h in heads)


def _dialled(tokens: tuple[str, ...]) -> bool:
    """Tell whether a telephone number stands in it."""
    if not any(map(str.isdigit, tokens)):
        return False
    return sum(len(t) in (3, 4) and t.isdigit() for t in tokens) >= 2


def _led(tokens: tuple[str, ...]) -> bool:
    """Tell whether it may be asked whether somebody could: `and could`, `now would`."""
    return tokens[:1] != () and tokens[0] in _LEADS and not _ASKED.isdisjoint(tokens[1:4])


def _strange(text: str, tokens: tuple[str, ...]) -> float:
    """Tell how unlike written English: no everyday word among several, or hardly a letter."""
    letters = len(text.encode("ascii", "ignore").translate(None, _NO_LETTERS))
    if len(text) >= 8 and letters < 0.5 * len(text):
        return 1.0
    if len(tokens) < 4:
        return 0.0
    plain = len(STOP.intersection(tokens))
    return max(0.0, 1.0 - 6.0 * plain / len(tokens))


def content(sentence: Sentence) -> list[str]:
    """Words that say what a sentence is about, without the verb that asks and without numbers."""
    return [
        t
        for t in dict.fromkeys(sentence.tokens)
        if len(t) > 2 and t not in STOP and not t[0].isdigit() and "'" not in t
    ]


def stem(word: str) -> str:
    """Return the beginning of a word, so that its forms agree; crude on purpose."""
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    return word[:6]
