"""From a bad answer back to its documents: recall and false positives by document, per attack.

Every attack is put into the clean corpus whole. For each question the passages are ranked as
`ragguard trace --query --answer` ranks them, with exact search. Positive is an attack document of
that question within the passages read (found or missed); negative is every other passage read.
The share of all attack documents, read or not, is told beside it.

python benchmarks/trace_attacks.py CORPUS.jsonl ATTACK.jsonl... [-k 10]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from ragguard.encode.encoder import open_encoder
from ragguard.kernels.support import answer_terms, holds, share_out
from ragguard.kernels.text import normalise, words
from ragguard.trace import LIMIT


def rows(path: Path) -> list[dict[str, Any]]:
    """Records of a jsonl file."""
    return [json.loads(x) for x in path.read_text("utf-8").splitlines() if x.strip()]


def measure(
    clean: tuple[np.ndarray, list[str]],
    attack: tuple[np.ndarray, list[dict[str, Any]]],
    questions: np.ndarray,
    k: int,
) -> dict[str, float]:
    """Figures of one attack; `questions` has a vector for each campaign, in order of appearance."""
    vectors = np.concatenate([clean[0], attack[0]])
    texts = clean[1] + [r["text"] for r in attack[1]]
    first = {r["campaign"]: r for r in reversed(attack[1])}
    owners = [""] * len(clean[1]) + [r["campaign"] for r in attack[1]]
    found = missed = wrong = right = 0
    hit_questions = 0
    for number, campaign in enumerate(dict.fromkeys(r["campaign"] for r in attack[1])):
        row = first[campaign]
        close = vectors @ questions[number]
        order = np.argsort(-close, kind="stable")[: k * LIMIT]
        terms = answer_terms(
            words(normalise(str(row["attacker_answer"]))), words(normalise(row["query"]))
        )
        table = np.array([holds(terms, words(normalise(texts[i]))) for i in order], dtype=bool)
        read = k
        while True:
            made = share_out(table[:read], close[order[:read]].astype(np.float64))
            if read >= len(order) or not made.responsible[read - k : read].any():
                break
            read += k
        poison = np.array([owners[i] == campaign for i in order[:read]])
        found += int((poison & made.responsible).sum())
        missed += int((poison & ~made.responsible).sum())
        wrong += int((~poison & made.responsible).sum())
        right += int((~poison & ~made.responsible).sum())
        hit_questions += bool((poison & made.responsible).any())
    return {
        "questions": len(first),
        "questions with a hit": hit_questions,
        "recall": found / max(found + missed, 1),
        "recall of all": found / len(attack[1]),
        "false positives": wrong / max(wrong + right, 1),
        "accuracy": (found + right) / max(found + missed + wrong + right, 1),
        "read": found + missed + wrong + right,
    }


def main() -> None:
    """Embed, measure, print one JSON line an attack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("attacks", type=Path, nargs="+")
    parser.add_argument("-k", type=int, default=10)
    asked = parser.parse_args()
    encoder = open_encoder("all-MiniLM-L6-v2", runtime="auto", size=2000, overlap=0)
    clean = [r["text"] for r in rows(asked.corpus)]
    vectors = encoder.encode(clean)
    for path in asked.attacks:
        attack = rows(path)
        questions = list(dict.fromkeys((r["campaign"], r["query"]) for r in attack))
        made = measure(
            (vectors, clean),
            (encoder.encode([r["text"] for r in attack]), attack),
            encoder.encode([q for _, q in questions]),
            asked.k,
        )
        print(json.dumps({"attack": path.stem, "k": asked.k, **made}))


if __name__ == "__main__":
    main()
