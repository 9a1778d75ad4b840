"""From a bad answer back to its documents: recall and false positives by document, per attack.

Every attack is put into the clean corpus whole, and words are counted with it in. For each question
the passages are ranked with exact search, those of other questions' attacks left out, and judged by
the functions that `ragguard trace --query --answer` calls. Positive is an attack document of that
question within the passages read (found or missed); negative is every honest passage read.

Questions are split by the SHA-256 of their campaign: `fit` is the half on which the weights of
`ragguard.lineage.attribution` were fitted (`--fit` does it again and prints them), `report` the
other half, the only one to report. Intervals are 95 %, bootstrapped by question.

python benchmarks/trace_attacks.py CORPUS.jsonl ATTACK.jsonl... [--queries FILE] [-k 10] [--fit]
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.embed.encoder import Encoder, open_encoder
from ragguard.lineage.attribution import PassageSigns, chances, chances_unasked, company_of
from ragguard.lineage.trace import LIMIT, named, read_on, read_signs
from ragguard.text.words import normalise, words

RESAMPLES = 2_000
KEPT = (None, 3, 1, 0)  # poisoned documents a question: all there are, or so many
FIRST = 5  # ranks of which the precision of the ranking without an answer is told


class Remembering:
    """An encoder that encodes a text once.

    Args:
        encoder: The one that encodes.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: dict[str, np.ndarray] = {}

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 (n, d)."""
        new = [t for t in dict.fromkeys(texts) if t not in self._known]
        if new:
            self._known.update(zip(new, self._encoder.encode(new), strict=True))
        return np.stack([self._known[t] for t in texts])


@dataclass(frozen=True)
class Corpus:
    """Passages, clean ones first.

    Attributes:
        owners: The campaign of each; empty for clean ones.
        known: How many passages write each word.
    """

    texts: Sequence[str]
    owners: np.ndarray
    vectors: np.ndarray
    known: Counter[str]


@dataclass(frozen=True)
class Asked:
    """A question with its ranking: what is known of the passages, and which are poison."""

    campaign: str
    query: str
    answer: str
    texts: Sequence[str]
    signs: PassageSigns
    vectors: np.ndarray
    poison: np.ndarray


def rows(path: Path) -> list[dict[str, Any]]:
    """Records of a jsonl file."""
    return [json.loads(x) for x in path.read_text("utf-8").splitlines() if x.strip()]


def half(campaign: str) -> str:
    """`fit` or `report`."""
    return "report" if hashlib.sha256(campaign.encode()).digest()[0] % 2 else "fit"


def ask(
    encoder: Any, corpus: Corpus, row: dict[str, str], answer: str, keep: int, deep: int
) -> Asked:
    """Rank for a question; only the first `keep` documents of its campaign are in the corpus."""
    campaign, query = row["campaign"], row["query"]
    own = np.flatnonzero(corpus.owners == campaign)
    absent = (corpus.owners != "") & (corpus.owners != campaign)
    absent[own[keep:]] = True
    close = corpus.vectors @ encoder.encode([query])[0]
    close[absent] = -np.inf
    order = np.argsort(-close, kind="stable")[:deep]
    texts = [corpus.texts[i] for i in order]
    vectors = corpus.vectors[order]
    signs = read_signs(encoder, query, answer, texts, vectors, corpus.known)
    return Asked(campaign, query, answer, texts, signs, vectors, corpus.owners[order] == campaign)


def judged(asked: Asked, k: int) -> tuple[int, int, int, int]:
    """Poison found and missed, honest passages named and not."""
    score = chances(asked.signs, k)

    def found(n: int) -> np.ndarray:
        return named(asked.query, asked.answer, asked.texts[:n], score[:n], asked.vectors[:n])[0]

    read, guilty = read_on(found, len(asked.poison), k)
    poison = asked.poison[:read]
    return (
        int((poison & guilty).sum()),
        int((poison & ~guilty).sum()),
        int((~poison & guilty).sum()),
        int((~poison & ~guilty).sum()),
    )


def measures(counts: np.ndarray) -> dict[str, float]:
    """Of counts (questions, 4) as `judged` gives them."""
    found, missed, wrong, right = counts.sum(axis=0)
    return {
        "recall": found / max(found + missed, 1),
        "false positives": wrong / max(wrong + right, 1),
        "accuracy": (found + right) / max(counts.sum(), 1),
        "questions naming an honest passage": float((counts[:, 2] > 0).mean()),
        "questions with poison, some of it named": float(
            (counts[:, 0] > 0).sum() / max((counts[:, :2].sum(axis=1) > 0).sum(), 1)
        ),
        "honest passages named a question": float(counts[:, 2].mean()),
        "passages read a question": float(counts.sum(axis=1).mean()),
    }


def with_intervals(counts: np.ndarray) -> dict[str, Any]:
    """`measures`, the first three with 95 % intervals over questions."""
    made: dict[str, Any] = {name: round(v, 4) for name, v in measures(counts).items()}
    generator = np.random.default_rng(0)
    drawn = [
        measures(counts[generator.integers(0, len(counts), len(counts))]) for _ in range(RESAMPLES)
    ]
    for name in ("recall", "false positives", "accuracy"):
        low, high = np.quantile([d[name] for d in drawn], [0.025, 0.975])
        made[f"{name}, 95 %"] = [round(float(low), 4), round(float(high), 4)]
    return {"questions": len(counts), "poison read": int(counts[:, :2].sum()), **made}


def ranked(asked: Sequence[Asked], k: int) -> dict[str, float]:
    """Without an answer: what of the poison within k stands among the first five."""
    found, precision = [], []
    for one in asked:
        score = chances_unasked(one.signs.close, one.signs.strange, one.vectors, k)
        order = np.argsort(-score[:k], kind="stable")[:FIRST]
        there = int(one.poison[:k].sum())
        if there:
            found.append(one.poison[order].sum() / min(FIRST, there))
            precision.append(one.poison[order].mean())
    return {
        "questions with poison in k": len(found),
        "precision at 5": round(float(np.mean(precision)), 4) if found else 0.0,
        "of those that could be": round(float(np.mean(found)), 4) if found else 0.0,
    }


def fitted(families: Sequence[Sequence[Asked]], k: int, top: int = 30) -> dict[str, list[float]]:
    """Logistic regressions, each family with the same weight."""
    from sklearn.linear_model import LogisticRegression

    made = {}
    for name in ("WITH_ANSWER", "WITHOUT_ANSWER"):
        table, guilty, weights = [], [], []
        for family in families:
            for one in family:
                s = {f.name: getattr(one.signs, f.name) for f in fields(PassageSigns)}
                close = s["close"] - s["close"][:k].max()
                if name == "WITH_ANSWER":
                    both = s["both"] - s["both"][:k].max()
                    columns = [s["held"], s["states"], both, close, s["strange"]]
                else:
                    columns = [close, company_of(one.vectors), s["strange"]]
                table.append(np.stack(columns, axis=1)[:top])
                guilty.append(one.poison[:top])
                weights.append(np.full(len(guilty[-1]), 1.0 / len(family)))
        features, labels, each = map(np.concatenate, (table, guilty, weights))
        unit = features.std(axis=0)
        unit[unit == 0.0] = 1.0  # a sign that never differs tells nothing, and gets no weight
        model = LogisticRegression(C=3.0).fit(
            features / unit, labels, sample_weight=each * len(each) / each.sum()
        )
        weights_ = [*(model.coef_[0] / unit), model.intercept_[0]]
        made[name] = [round(float(w), 2) for w in weights_]
    return made


def encoded(encoder: Any, path: Path, cache: Path | None) -> np.ndarray:
    """Vectors of a file's texts, kept in a folder when asked."""
    kept = cache / f"{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.npy" if cache else None
    if kept is not None and kept.exists():
        return np.asarray(np.load(kept, allow_pickle=False))
    made = encoder.encode([r["text"] for r in rows(path)])
    if kept is not None:
        np.save(kept, made, allow_pickle=False)
    return np.asarray(made)


def main() -> None:
    """Embed, judge, print one JSON line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("attacks", type=Path, nargs="+")
    parser.add_argument("--queries", type=Path, help="jsonl: id, query, answer (the right one)")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--fit", action="store_true", help="fit the weights again")
    parser.add_argument("--vectors", type=Path, help="folder that keeps vectors between runs")
    asked = parser.parse_args()
    k, deep = asked.k, asked.k * LIMIT
    encoder = Remembering(open_encoder("all-MiniLM-L6-v2", runtime="auto", size=2000, overlap=0))
    clean = [r["text"] for r in rows(asked.corpus)]
    vectors = encoded(encoder, asked.corpus, asked.vectors)
    counted: Counter[str] = Counter()
    for text in clean:
        counted.update(set(words(normalise(text))))
    families = []
    for path in asked.attacks:
        attack = rows(path)
        known = counted.copy()
        for row in attack:
            known.update(set(words(normalise(row["text"]))))
        corpus = Corpus(
            clean + [r["text"] for r in attack],
            np.array([""] * len(clean) + [r["campaign"] for r in attack]),
            np.concatenate([vectors, encoded(encoder, path, asked.vectors)]),
            known,
        )
        every = list({r["campaign"]: r for r in reversed(attack)}.values())
        chosen = [r for r in every if half(r["campaign"]) == ("fit" if asked.fit else "report")]
        for keep in KEPT[:1] if asked.fit else KEPT:
            many = len(attack) if keep is None else keep
            made = [ask(encoder, corpus, r, str(r["attacker_answer"]), many, deep) for r in chosen]
            if asked.fit:
                families.append(made)
                break
            counts = np.array([judged(one, k) for one in made])
            kept = "all" if keep is None else keep
            told = {"attack": path.stem, "poisoned": kept, "k": k, **with_intervals(counts)}
            if keep != 0:
                told["without an answer"] = ranked(made, k)
            print(json.dumps(told), flush=True)
    if asked.fit:
        print(json.dumps(fitted(families, k)))
    elif asked.queries:
        corpus = Corpus(clean, np.array([""] * len(clean)), vectors, counted)
        counts = np.array(
            [
                judged(ask(encoder, corpus, {**r, "campaign": r["id"]}, r["answer"], 0, deep), k)
                for r in rows(asked.queries)
                if half(r["id"]) == "report"
            ]
        )
        print(json.dumps({"right answers": len(counts), **measures(counts)}))


if __name__ == "__main__":
    main()
