"""Slow, obvious twins of the numeric kernels: loops and sets, no blocks, no vector tricks."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np


def units(rng: np.random.Generator, n: int, d: int = 16) -> np.ndarray:
    """Rows of unit length in any direction."""
    rows = rng.standard_normal((n, d))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def halves(rng: np.random.Generator, n: int, d: int = 16) -> np.ndarray:
    """Unit rows of four entries of one half: their products are exact, and ties are many."""
    rows = np.zeros((n, d), dtype=np.float32)
    for row in rows:
        row[rng.choice(d, 4, replace=False)] = rng.choice([-0.5, 0.5], 4)
    return rows


# --- text -----------------------------------------------------------------------------------------


def jaccard(left: Sequence[str], right: Sequence[str]) -> float:
    """Shared over all distinct words; 0 when there are none."""
    union = set(left) | set(right)
    return len(set(left) & set(right)) / len(union) if union else 0.0


def word_list(text: str) -> list[str]:
    """Words, one character after the other: runs of letters and digits, apostrophes inside them."""
    text = text.lower()
    found: list[str] = []
    current = ""
    for position, char in enumerate(text):
        if _is_word_char(char):
            current += char
            continue
        after = text[position + 1 : position + 2]
        if char in "'\u2019" and current and after and _is_word_char(after):
            current += char
            continue
        if current:
            found.append(current)
        current = ""
    return [*found, current] if current else found


def _is_word_char(char: str) -> bool:
    return char.isalnum()


def triples(words: Sequence[str]) -> set[tuple[str, ...]]:
    """Word triples of a text; its single words below three."""
    return {tuple(words[i : i + 3]) for i in range(len(words) - 2)} or {(w,) for w in words}


# --- neighbours -----------------------------------------------------------------------------------


def top_k(
    queries: np.ndarray,
    base: np.ndarray,
    k: int,
    query_groups: Sequence[int],
    base_groups: Sequence[int],
) -> tuple[list[list[int]], list[list[float]]]:
    """The k nearest of other groups, nearest first, the lower index first among equals."""
    indices, similarities = [], []
    for query, group in zip(queries, query_groups, strict=True):
        found = []
        for j, row in enumerate(base):
            if base_groups[j] != group:
                close = sum(float(a) * float(b) for a, b in zip(query, row, strict=True))
                found.append((-close, j))
        found = sorted(found)[:k]
        missing = k - len(found)
        indices.append([j for _, j in found] + [-1] * missing)
        similarities.append([-c for c, _ in found] + [-1.0] * missing)
    return indices, similarities


def merge(
    first: tuple[Sequence[int], Sequence[float]],
    second: tuple[Sequence[int], Sequence[float]],
    k: int,
) -> tuple[list[int], list[float]]:
    """The k best entries of two rows, the first table before the second among equals."""
    entries = [*zip(first[1], first[0], strict=True), *zip(second[1], second[0], strict=True)]
    ranked = sorted(enumerate(entries), key=lambda e: (-e[1][0], e[0]))[:k]
    missing = k - len(ranked)
    return (
        [index for _, (_, index) in ranked] + [-1] * missing,
        [value for _, (value, _) in ranked] + [-1.0] * missing,
    )


# --- density --------------------------------------------------------------------------------------


def conformal_p(score: float, reference: Sequence[float]) -> float:
    """(1 + how many reference scores are at least this high) / (n + 1)."""
    return (1 + sum(r >= score for r in reference)) / (len(reference) + 1)


def tail_p(score: float, known: Sequence[float], unit: float) -> float:
    """Counted up to the highest fiftieth (at least 20 scores), from there on falling off."""
    ranked = sorted(known, reverse=True)
    if not ranked:
        return 1.0
    start = ranked[min(len(ranked) - 1, max(20, int(0.02 * len(ranked))))]
    if score <= start:
        return conformal_p(score, known)
    return max(1e-12, _falling(score, known, start, unit))


def family_p(statistic: float, known: Sequence[float]) -> float:
    """The tail of the upper fiftieth where 20 differ in it; else counted, and a tail above all."""
    if not known:
        return 1.0
    counted = conformal_p(statistic, known)
    ordered = sorted(known)
    start = ordered[len(known) - 1 - min(len(known) - 1, max(20, int(0.02 * len(known))))]
    if len({k for k in known if k > start}) >= 20:
        return max(1e-12, _falling(statistic, known, start, 1.0)) if statistic > start else counted
    if statistic <= max(known):
        return counted
    start = ordered[int(0.9 * (len(known) - 1))]
    return max(1e-12, min(counted, _falling(statistic, known, start, 1.0)))


def _falling(score: float, known: Sequence[float], start: float, unit: float) -> float:
    """Hill: e times rarer for each mean excess; for each unit where fewer than 8 differ."""
    excesses = [k - start for k in known if k > start]
    scale = sum(excesses) / len(excesses) if len(set(excesses)) >= 8 else unit
    there = max(1, len(excesses)) / (len(known) + 1)
    return there * math.exp(-(score - start) / max(scale, 1e-9))


def family_statistic(
    p_values: Sequence[float], weights: Sequence[float], groups: Sequence[int], family: int
) -> float:
    """Fisher's, a weight a check: what was not said is no evidence."""
    total = 0.0
    for p, weight, group in zip(p_values, weights, groups, strict=True):
        if group == family and not math.isnan(p):
            total -= weight * math.log(max(p, 1e-12))
    return total


def cauchy(p_values: Sequence[float], weights: Sequence[float]) -> float:
    """Liu and Xie, equation 1; NaN and everything above one half counts as one half."""
    total = 0.0
    for p, weight in zip(p_values, weights, strict=True):
        used = 0.5 if math.isnan(p) or p > 0.5 else max(p, 1e-12)
        total += weight * math.tan((0.5 - used) * math.pi)
    return total / sum(weights)


# --- surprisal ------------------------------------------------------------------------------------


def trigram_counts(texts: Sequence[str]) -> Counter[str]:
    """How often each three characters, and each two that come before a third, occur."""
    counts: Counter[str] = Counter()
    for text in texts:
        framed = f"  {text.lower()} "
        for i in range(len(framed) - 2):
            counts[framed[i : i + 3]] += 1
            counts[framed[i : i + 2]] += 1
    return counts


def char_bits(text: str, counts: Mapping[str, int]) -> list[float]:
    """Bits of each character after the two before it, half a count added for each of 64."""
    framed = f"  {text} "
    return [
        -math.log2(
            (counts.get(framed[i : i + 3], 0) + 0.5) / (counts.get(framed[i : i + 2], 0) + 32.0)
        )
        for i in range(len(framed) - 2)
    ]


def pair_bits(
    words: Sequence[str],
    known: Mapping[str, int],
    pairs: Mapping[tuple[str, str], int],
    total: float,
) -> list[float]:
    """Bits of each word after the one before: 0.6 of the pair's share, 0.4 of the word's own."""
    bits = []
    for before, after in pairwise(words):
        together = 0.0
        if known.get(before, 0) > 0:
            together = min(1.0, pairs.get((before, after), 0) / known[before])
        alone = (known.get(after, 0) + 0.5) / (total + len(known))
        bits.append(-math.log2(0.6 * together + 0.4 * alone))
    return bits


# --- windows, words -------------------------------------------------------------------------------


def worst_window(
    values: Sequence[float], width: int, prior: int, usual: float
) -> tuple[float, int]:
    """Every window in turn; the first of the highest."""
    if not values:
        return usual, 0
    width = min(width, len(values))
    means = [
        (sum(values[i : i + width]) + prior * usual) / (width + prior)
        for i in range(len(values) - width + 1)
    ]
    best = max(means)
    return best, means.index(best)


# --- graph ----------------------------------------------------------------------------------------


def components(rows: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Connected components of more than one row, rows ascending."""
    group = list(range(rows))
    changed = True
    while changed:
        changed = False
        for a, b in edges:
            least = min(group[a], group[b])
            if group[a] != least or group[b] != least:
                group[a] = group[b] = least
                changed = True
    found: dict[int, list[int]] = {}
    for row in range(rows):
        found.setdefault(group[row], []).append(row)
    return [members for members in found.values() if len(members) > 1]


# --- others ---------------------------------------------------------------------------------------


def stable_hash(text: str) -> int:
    """CRC-32 of the UTF-8 bytes."""
    return crc32(text.encode("utf-8", "surrogatepass"))


def script(char: str) -> str:
    """First word of a character's Unicode name."""
    return unicodedata.name(char, "").split(" ")[0]


# --- shift ----------------------------------------------------------------------------------------


def energy_distance(before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]) -> float:
    """Twice the mean distance between, less the mean distances within, pairs with itself too."""

    def mean(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> float:
        return sum(math.dist(a, b) for a in left for b in right) / (len(left) * len(right))

    return 2 * mean(before, after) - mean(before, before) - mean(after, after)


def energy_coefficient(
    before: Sequence[Sequence[float]], after: Sequence[Sequence[float]]
) -> float:
    """Root of the energy distance over twice the mean distance between, no row with itself."""

    def within(rows: Sequence[Sequence[float]]) -> float:
        pairs = [(a, b) for i, a in enumerate(rows) for b in rows[:i]]
        return sum(math.dist(a, b) for a, b in pairs) / len(pairs)

    cross = sum(math.dist(a, b) for a in before for b in after) / (len(before) * len(after))
    return math.sqrt(max(0.0, 2 * cross - within(before) - within(after)) / (2 * cross))
