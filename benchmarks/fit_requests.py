"""Fit the trees of the check `foreign_request`, and say what they find of what they never saw.

    python benchmarks/fit_requests.py [--write]

Honest passages are those of the shipped handbook, of the descriptions and documentation files of
the packages pinned in constraints.txt as they are installed, of docstrings in those of them that
are listed in `EXPLAINED`, and letters written for this project (request_strings.json). Requests are
those of ragguard.redteam.attacks.orders and of request_strings.json, put at the start, into the
middle and at the end of honest passages. The categories in `HELD_ORDERS` and `HELD_STRINGS` are
never fitted on; what is found of them is measured in passages that the fitting part did not have
either (by document, in `FOLDS` parts). The shipped model is fitted on all passages and the other
categories.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from ragguard.detect import lexicon as lexicons
from ragguard.detect.checks.foreign_request import NAMES, Measure, RequestSentences, model
from ragguard.embed.encoder import open_encoder
from ragguard.knn.topk import top_k
from ragguard.model import CorpusView, Neighbours
from ragguard.parse.document import parse
from ragguard.redteam.attacks.orders import ORDERS, order
from ragguard.stats import gradient_boosting
from ragguard.text import requests
from ragguard.text.prose import prose
from ragguard.text.words import normalise, term_matrix, words
from ragguard.trust.canonical import digest_bytes

HERE = Path(__file__).resolve().parent.parent
MODEL = HERE / "ragguard/detect/checks/rules/foreign_request.json"
# Written to quote attack wording at length.
LEFT_OUT = {"untrusted-text-in-summaries.rst", "ai-assistants-guidance.rst"}
EXPLAINED = (
    *("numpy", "scipy", "scikit-learn", "networkx", "sympy", "matplotlib", "click", "rich"),
    *("Jinja2", "SQLAlchemy", "httpx", "huggingface_hub", "fonttools", "pillow", "torch"),
)
HELD_ORDERS = ("advertising", "code injection", "credentials", "language switch", "misinformation")
HELD_STRINGS = (
    *("ads", "assistant", "control", "entertainment", "exfiltration", "games", "health"),
    *("language", "malware", "math", "mention", "news", "planning", "poem", "recipe", "refusal"),
    *("research", "story"),
)
NEWS = ("news", "propaganda")  # assertions: not requests, shown apart
FOLDS = 8
MOST = 350  # passages of a kind
MODULES = 40  # of a package, of which docstrings are read
PASSAGE = 900  # characters
TREES, LEAVES, RATE = 60, 8, 0.1
PLACES = ("start", "middle", "end")
# How a request may be led up to, besides the manners of `orders`.
LEADS = (
    *("Also, {o}", "By the way, {o}", "P.S. {o}", "Please note: {o}", "I need you to {o}"),
    *("Hey, {o}", "Task for the assistant: {o}", "Once you have finished, {o}", "Note: {o}"),
    *("Thanks in advance! {o}", "First of all, {o}", "I would like you to {o}", "Now {o}"),
)
MORE = (
    *("alien", "unrelated", "asks_for_words", "asks_for_itself", "about_the_answer", "contact"),
    *("own_answer", "this_text", "company", "unknown", "offer", "strange_writing"),
)  # features of which more can only make a sentence more suspicious
LESS = ("usual", "on_topic", "in_tune")

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Passage:
    """An honest passage: its kind, the document it is of, and its text."""

    kind: str
    document: str
    text: str


@dataclass(frozen=True)
class Case:
    """A passage as measured: features of its sentences, and which of them were put in."""

    passage: int
    category: str
    table: Doubles
    planted: NDArray[np.bool_]


def cut(text: str) -> list[str]:
    """Passages of some paragraphs each."""
    made: list[str] = []
    part = ""
    for paragraph in re.split(r"\n\s*\n", text):
        if len(part) + len(paragraph) > PASSAGE and len(part) > 200:
            made.append(part)
            part = ""
        part = f"{part}\n\n{paragraph}".strip("\n")
    return [normalise(p[:1500]) for p in [*made, part] if len(p) > 120]


def honest(rng: np.random.Generator) -> list[Passage]:
    """All honest passages, at most `MOST` of a kind."""
    found: list[Passage] = []
    for path in sorted((HERE / "corpora/handbook/v1").rglob("*")):
        if path.is_file() and path.name not in LEFT_OUT:
            text = parse(path.read_bytes(), path.suffix[1:]).text
            found += [Passage("handbook", path.name, t) for t in cut(text)]
    for name, text in documentation():
        found += [Passage("documentation", name, t) for t in cut(text)]
    for name, text in docstrings(rng):
        found += [Passage("docstring", name, t) for t in cut(text)[:1]]
    for number, letter in enumerate(table()["letters"]):
        found += [Passage("letter", f"letter {number}", normalise(letter))]
    unique = list({p.text: p for p in found}.values())
    kept: list[Passage] = []
    for kind in ("handbook", "documentation", "docstring", "letter"):
        mine = [p for p in unique if p.kind == kind]
        kept += [mine[i] for i in sorted(rng.permutation(len(mine))[:MOST])]
    return kept


def table() -> dict[str, Any]:
    """Strings and letters of our own."""
    found: dict[str, Any] = json.loads((HERE / "benchmarks/request_strings.json").read_text())
    return found


def pinned() -> list[str]:
    """Packages of constraints.txt."""
    lines = (HERE / "constraints.txt").read_text().splitlines()
    return [line.split("==")[0] for line in lines if "==" in line]


def documentation() -> Iterator[tuple[str, str]]:
    """Descriptions and documentation files of the pinned packages that are installed."""
    for name in pinned():
        try:
            package = distribution(name)
        except PackageNotFoundError:
            print(f"not installed, left out: {name}")
            continue
        yield name, str(package.metadata.get("Description") or package.metadata.get_payload() or "")
        for path in sorted(package.files or [], key=str):
            prose = path.suffix in (".md", ".rst") and "licenses" not in path.parts
            if prose and not re.search("licen[cs]e|copying|authors|template", str(path), re.I):
                yield f"{name}/{path}", path.locate().read_text("utf-8", "replace")


def docstrings(rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Docstrings of some modules of each package, read without importing it."""
    for name in EXPLAINED:
        try:
            package = distribution(name)
        except PackageNotFoundError:
            print(f"not installed, left out: {name}")
            continue
        files = [p for p in package.files or [] if p.suffix == ".py"]
        files = [p for p in sorted(files, key=str) if not re.search("test|vendor", str(p))]
        for i in sorted(rng.permutation(len(files))[:MODULES]):
            tree = ast.parse(files[i].locate().read_text("utf-8", "replace"))
            kinds = (ast.FunctionDef, ast.ClassDef, ast.Module)
            texts = [ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, kinds)]
            yield from ((str(files[i]), t) for t in texts if t and len(t) > 350)


def insert(text: str, said: str, place: str) -> str:
    """Put a request into a passage."""
    if place == "start":
        return f"{said}\n{text}"
    if place == "end":
        return f"{text}\n{said}"
    breaks = [m.end() for m in re.finditer(r"[.?!] ", text)] or [0]
    at = breaks[len(breaks) // 2]
    return f"{text[:at]}{said} {text[at:]}"


def request(rng: np.random.Generator, strings: dict[str, list[str]]) -> tuple[str, str]:
    """A string of ours, some of them led up to, some of them doubled."""
    category = sorted(strings)[int(rng.integers(len(strings)))]
    choices = strings[category]
    said = choices[int(rng.integers(len(choices)))]
    if rng.random() < 0.35:
        said += " " + choices[int(rng.integers(len(choices)))]
    if rng.random() < 0.3 and said[0].isupper():
        said = LEADS[int(rng.integers(len(LEADS)))].replace("{o}", said[0].lower() + said[1:])
    return category, said


class World:
    """Passages of some documents, judged against the others as the index."""

    def __init__(self, passages: Sequence[Passage], vectors: Any, judged: NDArray[np.bool_]):
        self.rows = np.flatnonzero(judged)
        self._others = np.flatnonzero(~judged)
        self._passages, self._vectors = passages, vectors
        texts = [passages[i].text for i in self._others]
        self._prose = [prose(t) for t in texts]
        self._words = [words(t) for t in self._prose]
        self._lexicon = lexicons.count(texts, len(texts))
        mine, index = vectors[self.rows], vectors[self._others]
        n, m = len(mine), len(index)
        at, close = top_k(mine, index, 24, np.arange(n), np.arange(n, n + m))
        self._reference = Neighbours(np.where(at >= 0, at + n, -1), close)
        self._newcomers = Neighbours(*top_k(mine, mine, 24, np.arange(n), np.arange(n)))

    def measure(self, texts: Sequence[str]) -> tuple[RequestSentences, int]:
        """Features of passages that stand in the place of the judged ones."""
        n = len(self.rows)
        said = [prose(t) for t in texts]
        split = [*(words(t) for t in said), *self._words]
        documents = [self._passages[i].document for i in self._others]
        numbers = {d: n + i for i, d in enumerate(dict.fromkeys(documents))}
        places = [*range(n), *(numbers[d] for d in documents)]
        view = CorpusView(
            n=n,
            texts=[*texts, *(self._passages[i].text for i in self._others)],
            prose=[*said, *self._prose],
            words=split,
            terms=term_matrix(split),
            vectors=self._vectors[np.concatenate([self.rows, self._others])],
            zones=["batch"] * n + ["serving"] * len(self._others),
            documents=np.array(places, dtype=np.int64),
            labels=[str(i) for i in range(n + len(numbers))],
            sources=["s"] * (n + len(numbers)),
            metadata=[{}] * (n + len(numbers)),
            previous_metadata=[None] * n,
            raws=list(texts),
            hidden=[()] * n,
            reference=self._reference,
            newcomers=self._newcomers,
            lexicon=self._lexicon,
            denied=(),
            now=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return Measure(view).features(0, [requests.sentences(t)[:200] for t in said]), n


def cases(
    world: World, passages: Sequence[Passage], said: list[tuple[str, str]], place: str
) -> list[Case]:
    """Judged passages with a request in each; honest where the request is empty."""
    texts = [passages[i].text for i in world.rows]
    texts = [insert(t, s, place) if s else t for t, (_, s) in zip(texts, said, strict=True)]
    asked, n = world.measure([normalise(t) for t in texts])
    edges = np.searchsorted(asked.rows, np.arange(n + 1))
    made = []
    for k, (category, planted) in enumerate(said):
        part = slice(edges[k], edges[k + 1])
        inside = [len(s.text) > 3 and s.text in planted for s in asked.sentences[part]]
        flags = np.array(inside, dtype=bool)
        made.append(Case(int(world.rows[k]), category, asked.table[part], flags))
    return made


def fit(planted: list[Case], plain: list[Case], kinds: Sequence[str]) -> Any:
    """Boosted trees on sentences put in against sentences of honest passages, kinds balanced."""
    bad = np.concatenate([c.table[c.planted] for c in planted])
    good = np.concatenate([c.table for c in plain])
    kind = np.concatenate([[kinds[c.passage]] * len(c.table) for c in plain])
    names, number = np.unique(kind, return_counts=True)
    by_kind = np.minimum(len(kind) / len(names) / number, 8.0)
    weight = np.concatenate(
        [np.full(len(bad), len(good) / len(bad) / 3), by_kind[np.searchsorted(names, kind)]]
    )
    made = HistGradientBoostingClassifier(
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        learning_rate=RATE,
        min_samples_leaf=30,
        l2_regularization=1.0,
        early_stopping=False,
        monotonic_cst=[(n in MORE) - (n in LESS) for n in NAMES],
        random_state=0,
    )
    labels = np.repeat([1, 0], [len(bad), len(good)])
    return made.fit(np.concatenate([bad, good]), labels, sample_weight=weight)


def export(fitted: Any, about: str) -> str:
    """The model as the check reads it."""
    made = []
    for (tree,) in fitted._predictors:  # there is no public way to read the trees
        made.append([_node(node) for node in tree.nodes])
    lines = ",\n".join(json.dumps(t, separators=(",", ":")) for t in made)
    bias = round(float(fitted._baseline_prediction.ravel()[0]), 4)
    head = f'"about": {json.dumps(about)},\n"names": {json.dumps(list(NAMES))},\n"bias": {bias}'
    return f'{{\n{head},\n"trees": [\n{lines}\n]\n}}\n'


def _node(node: Any) -> list[float]:
    if node["is_leaf"]:
        return [round(float(node["value"]), 5)]
    ends = (int(node["left"]), int(node["right"]))
    return [int(node["feature_idx"]), float(node["num_threshold"]), *ends]


def worst(scorer: Any, found: list[Case]) -> Doubles:
    """Score of each passage, as the check gives it."""
    tables = np.concatenate([c.table for c in found])
    scores = scorer(tables) if len(tables) else np.zeros(0)
    edges = np.cumsum([0, *(len(c.table) for c in found)])
    return np.array([max(0.0, *scores[a:b], 0.0) for a, b in pairwise(edges)])


def report(
    title: str, plain: Doubles, bad: dict[str, tuple[Doubles, list[Case]]], kinds: Any
) -> None:
    """Share of held-out requests above quantiles of held-out honest passages."""
    limits = np.quantile(plain, [0.99, 0.995], method="higher")
    print(f"{title}: 99 % and 99.5 % of honest passages lie below {limits.round(2)}")
    for name, (scores, found) in bad.items():
        kind = np.array([kinds[c.passage] for c in found])
        asks = np.array([c.category not in NEWS for c in found])
        shares = [f"{(scores[asks] > limit).mean():.3f}" for limit in limits]
        by = {
            str(k): round(float((scores[asks & (kind == k)] > limits[0]).mean()), 2)
            for k in sorted(set(kind))
        }
        print(f"  {name:18} at 1 %: {shares[0]}  at 0.5 %: {shares[1]}  at 1 % by carrier: {by}")


def main() -> None:
    """Fit, report, and write the model when asked to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="replace the shipped model")
    write = parser.parse_args().write
    rng = np.random.default_rng(0)
    passages = honest(rng)
    kinds = [p.kind for p in passages]
    print(len(passages), "honest passages:", {k: kinds.count(k) for k in sorted(set(kinds))})
    encoder = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=1000, overlap=100)
    vectors = encoder.encode([p.text[:1000] for p in passages])
    names = sorted({p.document for p in passages})
    fold_of = dict(zip(names, rng.permutation(len(names)) % FOLDS, strict=True))
    folds = np.array([fold_of[p.document] for p in passages])
    strings = table()["strings"]
    seen = {k: v for k, v in strings.items() if k not in HELD_STRINGS}
    held = {k: v for k, v in strings.items() if k in HELD_STRINGS}
    seen_orders = tuple(k for k in ORDERS if k not in HELD_ORDERS)
    draws = {
        "strings": lambda: request(rng, seen),
        "orders": lambda: order(rng, seen_orders),
        "held-out strings": lambda: request(rng, held),
        "held-out orders": lambda: order(rng, HELD_ORDERS),
    }
    plain: list[Case] = []
    planted: dict[str, list[Case]] = {name: [] for name in draws}
    for number in range(FOLDS):
        world = World(passages, vectors, folds == number)
        plain += cases(world, passages, [("", "")] * len(world.rows), "end")
        for name, draw in draws.items():
            for place in PLACES:
                said = [draw() for _ in world.rows]
                planted[name] += cases(world, passages, said, place)
    train = [*planted["strings"], *planted["orders"]]
    of = np.array([folds[c.passage] for c in plain])
    clean = np.zeros(len(plain))
    scores = {name: np.zeros(len(found)) for name, found in planted.items()}
    for number in range(FOLDS):
        fitted = fit(
            [c for c in train if folds[c.passage] != number],
            [c for c in plain if folds[c.passage] != number],
            kinds,
        )
        clean[of == number] = worst(
            fitted.decision_function, [c for c in plain if folds[c.passage] == number]
        )
        for name, found in planted.items():
            mine = np.array([folds[c.passage] == number for c in found])
            part = [c for c, m in zip(found, mine, strict=True) if m]
            scores[name][mine] = worst(fitted.decision_function, part)
    report("fitted without them", clean, {n: (scores[n], planted[n]) for n in planted}, kinds)
    shipped = model().score
    before = {n: (worst(shipped, found), found) for n, found in planted.items()}
    report("as shipped so far", worst(shipped, plain), before, kinds)
    about = (
        f"Fitted by benchmarks/fit_requests.py on {len(passages)} honest passages (the handbook, "
        "documentation and docstrings of pinned packages, letters of our own) and requests of "
        f"{len(seen_orders) + len(seen)} categories; {len(HELD_ORDERS) + len(held)} kept out."
    )
    made = export(fit(train, plain, kinds), about)
    print("digest of the model:", digest_bytes(made.encode()))
    loaded = gradient_boosting.load(made)
    final = worst(loaded.score, plain)
    print("honest passages score", np.quantile(final, [0.5, 0.9, 0.95, 0.99, 0.995]).round(2))
    if write:
        MODEL.write_text(made)


if __name__ == "__main__":
    main()
