"""Fit how requests are put (`text.phrasing`), and say what is found of what was never seen.

    python benchmarks/fit_phrasing.py NAME=PATH… [--strings FILE] [--write]

PATH is a folder of documentation or a JSON-lines file with a `text` a line, read in place; nothing
of it is kept but weights, everyday words and digests. What is planted:
ragguard.redteam.attacks.orders, request_strings.json, requests put together from
request_parts.json, and FILE (JSON lines with `text` and `category`). Each is put at the start, into
the middle or at the end of a passage of the same sets, so that both classes stand in the same
texts.

Reported is a model that saw neither the sets nor the categories of FILE it is tried on (`FOLDS`
parts of each): at thresholds that a share of honest documents of all sets passes, the share of
planted requests found, by the wording alone. Sets whose names agree before the first `-` stay
together. `foreign_request` adds what the index says; that is measured apart.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fit_requests import NEWS, PLACES, insert, request, table
from measure_rules import pieces
from numpy.typing import NDArray
from ordinary_documents import digest, read
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.linear_model import LogisticRegression

from ragguard.redteam.attacks.orders import order
from ragguard.text import phrasing, requests
from ragguard.text.phrasing import Phrasing
from ragguard.text.prose import prose
from ragguard.text.requests import Sentence
from ragguard.text.words import normalise
from ragguard.trust.canonical import digest_bytes

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent / "ragguard/detect/checks/rules/phrasing.npz"
FOLDS = 5
LONGEST = 40_000  # characters of a document that are read
MOST = 5_000  # documents of a set
SENTENCES = 8_000  # of a set that are fitted on
EQUAL = 2_500  # sentences of a set that count fully; of more, each counts less
PLANTED = 12_000  # requests of this project that are planted
REPEATS = 8  # passages that each string of FILE is planted in, at each place
FEWEST = 4  # sentences a run of words must be in
LEAST = 0.04  # log-odds of a run below which it is not shipped
STRENGTH = 0.1  # inverse of the penalty
SCALE = 0.7  # of forms and shapes beside runs
MORE_KNOWN = """
code snippet excerpt block section script function program solution implementation codebase project
algorithm lines line user users reader readers model assistant chatbot ai bot system prompt
instructions instruction previous above rules developer output sentence sentences letters letter
vowels vowel characters reply summary conversation chat document documents context questions capital
poem essay song recipe joke haiku list facts language english french german spanish russian japanese
chinese latin example simple terms difference between main primary causes meaning symptoms best
people link website site tool app account password address number numbers name names information
page following subsequent below
"""

Doubles = NDArray[np.float64]


@dataclass
class Set:
    """What is asked in the honest documents of one set.

    Attributes:
        name: Its name.
        documents: How many documents it has.
        owners: The document of each sentence.
        sentences: Sentences with any form of a request.
        passages: Passages to plant in.
        digest: Over its texts.
    """

    name: str
    documents: int = 0
    owners: list[int] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    passages: list[str] = field(default_factory=list)
    digest: str = ""

    @property
    def group(self) -> str:
        """What it must not be parted from."""
        return self.name.split("-")[0]


@dataclass(frozen=True)
class Planted:
    """A request in a passage of a set: the sentences of it that ask for something."""

    kind: str
    category: str
    place: str
    of: str
    sentences: tuple[Sentence, ...]


def asking(text: str) -> list[Sentence]:
    """Sentences of a passage's prose that have any form of a request."""
    return [s for s in requests.sentences(prose(text))[:200] if any(requests.form(s))]


def gather(name: str, place: Path, rng: np.random.Generator) -> Set:
    """Read one set."""
    documents = list(read(name, place, MOST))
    made = Set(name, digest=digest(documents))
    for document in documents:
        text = normalise(document.text[:LONGEST])
        parts = pieces(text)
        for part in parts:
            found = asking(part)
            made.sentences += found
            made.owners += [made.documents] * len(found)
        made.documents += 1
        made.passages += [
            parts[i] for i in {0, len(parts) // 2, len(parts) - 1} if parts[i].strip()
        ]
    made.passages = [made.passages[i] for i in rng.permutation(len(made.passages))[:600]]
    return made


def everyday(sets: Sequence[Set]) -> frozenset[str]:
    """Words of the lists of `requests`, and those that a third of the sets use often."""
    lists = [v for v in vars(requests).values() if isinstance(v, frozenset)]
    known = {w for words in lists for w in words if isinstance(w, str)} | set(MORE_KNOWN.split())
    seen: Counter[str] = Counter()
    for each in sets:
        held = Counter(
            w for s in each.sentences for w in set(re.findall(r"[a-z']+", s.text.lower()))
        )
        least = max(2, 0.0008 * len(each.sentences))
        seen.update(w for w, n in held.items() if n >= least and len(w) > 1)
    known |= {w for w, n in seen.items() if n >= len(sets) / 3}
    return frozenset(w for w in known if w.isascii() and w.strip("'"))


def phrase(rng: np.random.Generator, made: Mapping[str, Any]) -> tuple[str, str]:
    """A request put together from parts: its kind and the sentence."""
    kinds = sorted(made["frames"])
    kind = kinds[int(rng.integers(len(kinds)))]
    said = _pick(made["frames"][kind], rng)
    while "{" in said:
        start, end = said.index("{"), said.index("}")
        name = said[start + 1 : end]
        part = str(rng.integers(2, 99)) if name == "n" else _pick(made["parts"][name], rng)
        said = said[:start] + part + said[end + 1 :]
    if kind != "task":
        said += _pick((":", ":", ".") if kind == "code" else (".", ".", "!"), rng)
    return kind, said[0].upper() + said[1:]


def _pick(choices: Sequence[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def plant(sets: Sequence[Set], strings: Sequence[tuple[str, str]]) -> list[Planted]:
    """Requests in honest passages."""
    rng = np.random.default_rng(7)
    made = json.loads((HERE / "request_parts.json").read_text("utf-8"))
    ours = {k: v for k, v in table()["strings"].items() if k not in NEWS}
    usable = [s for s in sets if s.passages]

    def put(kind: str, category: str, said: str, place: str) -> Planted:
        of = usable[int(rng.integers(len(usable)))]
        text = normalise(insert(_pick(of.passages, rng), said, place))
        lead = " ".join(normalise(said).split("```")[0].split())
        found = [s for s in asking(text) if len(s.text) > 3 and _of(s.text, lead)]
        return Planted(kind, category, place, of.name, tuple(found))

    planted = []
    for number in range(PLANTED):
        draw = rng.random()
        if draw < 0.25:
            category, said = order(rng)
        elif draw < 0.5:
            category, said = request(rng, ours)
        else:
            category, said = phrase(rng, made)
        planted.append(put("ours", category, said, PLACES[number % 3]))
    for category, said in strings:
        for place in PLACES * REPEATS:
            planted.append(put("strings", category, said, place))
    return planted


def _of(text: str, lead: str) -> bool:
    """Whether a sentence is one that was put in, or runs on from it."""
    return text in lead or lead in " ".join(text.split()) or (len(lead) > 25 and lead[:25] in text)


class Matrix:
    """Sentences as rows: runs first, then forms and shapes."""

    def __init__(self, known: frozenset[str], every: Iterator[Sentence] | Sequence[Sentence]):
        self._known = known
        seen: Counter[int] = Counter()
        for sentence in every:
            seen.update(phrasing.runs(phrasing.masked(sentence.text, known)))
        self.keys = np.array(sorted(k for k, n in seen.items() if n >= FEWEST), dtype=np.uint32)

    def rows(self, sentences: Sequence[Sentence]) -> csr_matrix:
        """float32 (s, runs + features)."""
        words = [phrasing.masked(s.text, self._known) for s in sentences]
        found = [phrasing.runs(w) for w in words]
        flat = np.array([k for f in found for k in f], dtype=np.uint32)
        at = np.minimum(np.searchsorted(self.keys, flat), len(self.keys) - 1)
        held = self.keys[at] == flat
        owner = np.repeat(np.arange(len(found)), [len(f) for f in found])[held]
        ones = np.ones(len(owner), dtype=np.float32)
        shape = (len(sentences), len(self.keys))
        dense = np.array(
            [
                (*requests.form(s), *phrasing.shape(s, w))
                for s, w in zip(sentences, words, strict=True)
            ],
            dtype=np.float32,
        ).reshape(len(sentences), len(phrasing.NAMES))
        return hstack([csr_matrix((ones, (owner, at[held])), shape=shape), SCALE * dense]).tocsr()


def fit(honest: Sequence[tuple[Set, Any]], planted: Any, seed: int = 0) -> Any:
    """A logistic model; each set of honest sentences counts about the same."""
    rng = np.random.default_rng(seed)
    parts, weight = [], []
    for _, rows in honest:
        some = np.sort(rng.permutation(rows.shape[0])[:SENTENCES])
        parts.append(rows[some])
        each = max(min(len(some), EQUAL) / max(1, len(some)), 0.3)
        weight.append(np.full(len(some), each))
    n = sum(p.shape[0] for p in parts)
    labels = np.repeat([0, 1], [n, planted.shape[0]])
    model = LogisticRegression(C=STRENGTH, solver="liblinear", max_iter=100, tol=1e-3)
    weights = np.concatenate([*weight, np.ones(planted.shape[0])])
    return model.fit(vstack([*parts, planted]).tocsr(), labels, sample_weight=weights)


def export(fitted: Any, keys: NDArray[np.uint32], known: frozenset[str], about: str) -> Phrasing:
    """The model as the check reads it."""
    coefficients = fitted.coef_.ravel()
    runs, linear = coefficients[: len(keys)], SCALE * coefficients[len(keys) :]
    kept = np.abs(runs) >= LEAST
    bias = float(fitted.intercept_[0])
    return Phrasing(known, keys[kept], runs[kept], linear, bias, about)


def worst(scores: Doubles, owners: Sequence[int], count: int) -> Doubles:
    """Score of each document."""
    made = np.full(count, phrasing.LOWEST)
    np.maximum.at(made, np.array(owners, dtype=np.int64), scores)
    return made


def main() -> None:
    """Fit, report, and write the model when asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sets", nargs="+", metavar="NAME=PATH")
    parser.add_argument("--strings", type=Path, help="JSON lines with text and category")
    parser.add_argument("--write", action="store_true", help="replace the shipped model")
    asked = parser.parse_args()
    rng = np.random.default_rng(0)
    sets = []
    for given in asked.sets:
        name, _, place = given.partition("=")
        sets.append(gather(name, Path(place), rng))
    strings: list[tuple[str, str]] = []
    if asked.strings:
        lines = map(json.loads, asked.strings.read_text("utf-8").splitlines())
        strings = [(line["category"], line["text"]) for line in lines]
    planted = plant(sets, strings)
    known = everyday(sets)
    every = [s for each in sets for s in each.sentences]
    matrix = Matrix(known, [*every, *(s for p in planted for s in p.sentences)])
    rows = [matrix.rows(s.sentences) for s in sets]
    bad = matrix.rows([s for p in planted for s in p.sentences])
    owner = np.repeat(np.arange(len(planted)), [len(p.sentences) for p in planted])
    print(f"{sum(s.documents for s in sets)} documents, {len(every)} sentences, {len(known)} words")

    groups = sorted({s.group for s in sets})
    fold = {g: i % FOLDS for i, g in enumerate(groups)}
    categories = list(dict.fromkeys(c for c, _ in strings))
    part = {c: i % FOLDS for i, c in enumerate(categories)}
    of_set = np.array([fold[p.of.split("-")[0]] for p in planted])
    of_category = np.array([part.get(p.category, -1) for p in planted])
    foreign = np.array([p.kind == "strings" for p in planted])
    clean: dict[str, Doubles] = {}
    for title, with_strings in (("unseen categories", True), ("none of FILE", False)):
        scores = np.full(len(owner), phrasing.LOWEST)
        for number in range(FOLDS):
            train = (of_set != number) & (~foreign | (with_strings & (of_category != number)))
            chosen = [(s, r) for s, r in zip(sets, rows, strict=True) if fold[s.group] != number]
            fitted = fit(chosen, bad[train[owner]])
            for each, mine in zip(sets, rows, strict=True):
                if fold[each.group] == number:
                    odds = fitted.decision_function(mine) if mine.shape[0] else np.zeros(0)
                    clean[each.name] = worst(odds, each.owners, each.documents)
            test = (of_set == number) & ((of_category == number) | ~foreign)
            if test[owner].any():
                scores[test[owner]] = fitted.decision_function(bad[test[owner]])
        tried = foreign & (of_set == of_category)
        report(title, clean, worst(scores, owner.tolist(), len(planted)), planted, tried)

    fitted = fit(list(zip(sets, rows, strict=True)), bad)
    about = {
        "made": "benchmarks/fit_phrasing.py",
        "ordinary": {s.name: {"documents": s.documents, "digest": s.digest} for s in sets},
        "planted": len(planted),
        "strings": digest_bytes(asked.strings.read_bytes()) if asked.strings else None,
    }
    made = phrasing.dump(export(fitted, matrix.keys, known, json.dumps(about, sort_keys=True)))
    print(f"{len(made)} bytes, digest {digest_bytes(made)}")
    if asked.write:
        MODEL.write_bytes(made)


def report(
    title: str,
    clean: Mapping[str, Doubles],
    scores: Doubles,
    planted: Sequence[Planted],
    tried: NDArray[np.bool_],
) -> None:
    """Print what is found at thresholds that shares of honest documents pass."""
    honest = np.sort(np.concatenate(list(clean.values())))[::-1]
    print(f"{title}: {len(honest)} honest documents, {int(tried.sum())} planted")
    for rate in (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01):
        limit = honest[int(rate * len(honest))]
        found = scores[tried] > limit
        places = (
            {
                place: round(
                    float(
                        found[
                            [p.place == place for p, t in zip(planted, tried, strict=True) if t]
                        ].mean()
                    ),
                    2,
                )
                for place in PLACES
            }
            if tried.any()
            else {}
        )
        passed = {
            n: f"{int((s > limit).sum())}/{len(s)}" for n, s in clean.items() if (s > limit).any()
        }
        share = float(found.mean()) if tried.any() else float("nan")
        print(f"  {rate:.2%} above {limit:.2f}: {share:.3f} {places} {passed}")


if __name__ == "__main__":
    main()
