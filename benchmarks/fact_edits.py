"""How often a text again with one fact changed, or with other metadata, is stopped.

    python benchmarks/fact_edits.py edits [--corpus FILE.jsonl] [--pairs FILE.jsonl]
    python benchmarks/fact_edits.py flips [--classes FILE.jsonl ...]

Without arguments the corpus is what `scratch_gate` finds: the shipped handbook and documentation of
installed packages; edits and flips are made here, seeded. `--pairs` takes rows with `original` and
`edited`; `--classes` takes corpora, each of which is one label. Originals are indexed with nine
tenths of the other honest documents (flips: three quarters); the rest are the honest newcomers. The
gate is a scratch one: store in memory, profile rehearsed on the index, nothing fitted to what
arrives.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scratch_gate import (
    NO_VECTOR,
    Gate,
    Text,
    documentation,
    embed,
    handbook,
    read_rows,
    split_by_document,
)

from ragguard.model import Metadata

# --- edits ----------------------------------------------------------------------------------------

_NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,})*")
_PAIRS = (
    ("before", "after"), ("always", "never"), ("more", "less"), ("must", "must not"),
    ("can", "cannot"), ("is", "is not"), ("are", "are not"), ("should", "should not"),
    ("will", "will never"), ("true", "false"), ("first", "last"), ("minimum", "maximum"),
    ("seconds", "minutes"), ("bytes", "bits"), ("days", "weeks"), ("open", "closed"),
    ("allowed", "forbidden"), ("required", "optional"), ("enabled", "disabled"),
)  # fmt: skip
_SYNONYMS = {
    "use": "employ", "used": "employed", "shows": "displays", "returns": "gives back",
    "get": "obtain", "given": "supplied", "also": "additionally", "but": "yet", "big": "large",
    "many": "numerous", "needs": "requires", "start": "begin", "keep": "retain", "make": "create",
    "because": "since", "when": "whenever", "such as": "like", "however": "though", "the": "this",
    "and": "as well as",
}  # fmt: skip


def edit(text: str, kind: str, names: Sequence[str], rng: random.Random) -> str | None:
    """The text with one fact changed; `None` where it has no such fact."""
    if kind == "number" and (found := list(_NUMBER.finditer(text))):
        one = rng.choice(found)
        digits = [c for c in one.group() if c.isdigit()]
        other = one.group().replace(digits[-1], str((int(digits[-1]) + rng.randint(1, 9)) % 10))
        return text[: one.start()] + other + text[one.end() :]
    if kind == "name" and (found := list(_NAME.finditer(text))):
        one = rng.choice(found)
        return text.replace(one.group(), rng.choice(names)) if names else None
    if kind == "swap":
        two = sorted({m.group() for m in _NAME.finditer(text)})
        if len(two) >= 2:
            a, b = rng.sample(two, 2)
            return re.sub(
                f"{re.escape(a)}|{re.escape(b)}", lambda m: b if m.group() == a else a, text
            )
    if kind == "sense":
        pairs = [p for p in (*_PAIRS, *((b, a) for a, b in _PAIRS)) if f" {p[0]} " in text]
        if pairs:
            a, b = rng.choice(pairs)
            at = rng.choice([m.start() for m in re.finditer(f" {re.escape(a)} ", text)])
            return text[: at + 1] + b + text[at + 1 + len(a) :]
    return None


def disguise(text: str, how: str, rng: random.Random) -> str:
    """A light rewording on top of the edit: a synonym or two, or a sentence put elsewhere."""
    if how == "synonyms":
        for word in rng.sample(sorted(w for w in _SYNONYMS if f" {w} " in text) or [" "], 1):
            text = text.replace(f" {word} ", f" {_SYNONYMS.get(word, word)} ", 1)
    if how == "reordered":
        sentences = re.split(r"(?<=[.!?]) ", text)
        if len(sentences) > 1:
            text = " ".join([sentences[-1], *sentences[:-1]])
    if how == "shifted":
        parts = text.split()
        text = " ".join(parts[len(parts) // 8 :])
    return text


KINDS = ("number", "name", "swap", "sense")
DISGUISES = ("plain", "synonyms", "reordered", "shifted")


def edits(honest: Sequence[Text], wanted: int, seed: int) -> list[tuple[Text, Text, str]]:
    """Originals, edited ones and kinds, as even over the kinds as the texts allow."""
    rng = random.Random(seed)
    names = sorted({m.group() for t in honest for m in _NAME.finditer(t.text)})
    made: list[tuple[Text, Text, str]] = []
    texts = list(honest)
    rng.shuffle(texts)
    for i, original in enumerate(texts):
        kind = KINDS[i % len(KINDS)]
        how = DISGUISES[(i // len(KINDS)) % len(DISGUISES)]
        changed = edit(original.text, kind, names, rng)
        if changed is None or changed == original.text:
            continue
        rewritten = disguise(changed, how, random.Random(i))
        if rewritten == disguise(original.text, how, random.Random(i)):
            continue  # the fact was in what was cut off
        done = Text(f"edit-{i}", rewritten, original.metadata, NO_VECTOR)
        made.append((original, done, f"{kind}, {how}"))
        if len(made) == wanted:
            break
    return made


def flips(honest: Sequence[Text], keys: Sequence[str], seed: int) -> list[Text]:
    """Documents under other names that claim another value of one key, one that the corpus has."""
    rng = random.Random(seed)
    values = {
        key: sorted({str(t.metadata[key]) for t in honest if key in t.metadata}) for key in keys
    }
    chosen: dict[str, Metadata] = {}
    made = []
    for text in honest:
        name, _, number = text.id.partition("#")
        if name not in chosen:
            key = keys[len(chosen) % len(keys)]
            others = [v for v in values[key] if v != str(text.metadata.get(key))]
            chosen[name] = {**text.metadata, key: rng.choice(others)}
        made.append(replace(text, id=f"flip-{name}#{number or 0}", metadata=chosen[name]))
    return made


# --- measuring ------------------------------------------------------------------------------------


def measure_edits(
    honest: Sequence[Text], pairs: Sequence[tuple[Text, Text, str]], rate: float, seed: int
) -> None:
    """Originals are indexed; edited ones arrive with a tenth of the other honest documents."""
    originals = {o.id.partition("#")[0] for o, _, _ in pairs}
    rest = [t for t in honest if t.id.partition("#")[0] not in originals]
    held, kept = split_by_document(rest, 0.1, seed)
    there = {t.id: t for t in honest if t.id.partition("#")[0] in originals}
    there |= {o.id: o for o, _, _ in pairs if o.id not in there}
    gate = Gate([*kept, *there.values()], seed)
    report(
        gate,
        held,
        {e.id.partition("#")[0]: k for _, e, k in pairs},
        [e for _, e, _ in pairs],
        rate,
        "twin_edit",
    )


def measure_flips(honest: Sequence[Text], keys: Sequence[str], rate: float, seed: int) -> None:
    """A quarter of the documents is held back; they arrive as they are, and flipped."""
    held, kept = split_by_document(honest, 0.25, seed)
    gate = Gate(kept, seed)
    made = flips(held, keys, seed)
    kinds = {}
    before = {t.id.partition("#")[0]: t.metadata for t in held}
    for t in made:
        name = t.id.partition("#")[0]
        old = before[name.removeprefix("flip-")]
        kinds[name] = next(k for k in keys if old.get(k) != t.metadata.get(k))
    report(gate, [], kinds, made, rate, "metadata_vote")
    report(gate, held, {}, [], rate, "metadata_vote")


def report(
    gate: Gate,
    held: Sequence[Text],
    kinds: Mapping[str, str],
    guilty: Sequence[Text],
    rate: float,
    name: str,
) -> None:
    """Bring a batch in and print what is stopped, by kind, and by the one check alone."""
    verdicts, scores, spent, profile = gate.judge([*held, *guilty], rate)
    stopped: dict[str, list[bool]] = {}
    alone: dict[str, list[bool]] = {}
    known = profile.scores.get(name, np.zeros(1))  # none of a check that knows its own rarity
    bar = known[int(np.ceil((1.0 - rate) * (len(known) - 1)))]
    for verdict, score in zip(verdicts, scores[name], strict=True):
        for kind in kinds.get(verdict.id, "honest").split(", "):
            stopped.setdefault(kind, []).append(verdict.outcome == "quarantine")
            alone.setdefault(kind, []).append(bool(score > bar))
        if verdict.id in kinds:
            stopped.setdefault("all guilty", []).append(verdict.outcome == "quarantine")
            alone.setdefault("all guilty", []).append(bool(score > bar))
    for kind in sorted(stopped):
        print(
            f"{kind:12} {len(stopped[kind]):5} documents, "
            f"quarantined {np.mean(stopped[kind]):.4f}, "
            f"{name} alone {np.mean(alone[kind]):.4f}"
        )
    print(f"{name}: {spent[name]:.3f} ms a chunk, all checks {sum(spent.values()):.3f}")


def main() -> None:
    """Read or make a corpus, then measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("edits", "flips"))
    parser.add_argument("--corpus", type=Path, help="honest documents, JSON lines with text")
    parser.add_argument("--pairs", type=Path, help="JSON lines with original and edited")
    parser.add_argument("--classes", type=Path, nargs="+", help="corpora, one label each")
    parser.add_argument("--cache", type=Path, help="vectors kept between runs, .npz")
    parser.add_argument("--rate", type=float, default=0.01, help="false-alarm rate")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    if chosen.what == "flips":
        keys = ("department", "access", "label")
        honest = handbook()
        if chosen.classes:
            keys = ("label",)
            honest = [
                replace(t, id=f"{path.parent.name}-{t.id}", metadata={"label": path.parent.name})
                for path in chosen.classes
                for t in read_rows(path)
            ]
        measure_flips(embed(honest, chosen.cache), keys, chosen.rate, chosen.seed)
        return
    honest = read_rows(chosen.corpus) if chosen.corpus else handbook() + documentation(4000, 0)
    if chosen.pairs:
        before, after = (read_rows(chosen.pairs, column) for column in ("original", "edited"))
        made = [
            (replace(a, id=f"original-{i}"), replace(b, id=f"edited-{i}"), "pair")
            for i, (a, b) in enumerate(zip(before, after, strict=True))
        ]
    else:
        made = edits(honest, 400, chosen.seed)
    honest = embed(honest, chosen.cache)
    flat = embed([t for a, b, _ in made for t in (a, b)], chosen.cache)
    pairs = [(flat[2 * i], flat[2 * i + 1], kind) for i, (_, _, kind) in enumerate(made)]
    measure_edits(honest, pairs, chosen.rate, chosen.seed)


if __name__ == "__main__":
    main()
