"""Test whether two samples are of one distribution, and measure how far they are apart.

Vectors: the energy distance (Székely, Rizzo, "Energy statistics", J. Statist. Plann. Inference
143 (2013)), which is the maximum mean discrepancy (Gretton et al., "A Kernel Two-Sample Test", JMLR
13 (2012)) of the distance kernel (Sejdinovic et al., Annals of Statistics 41 (2013)), with a
permutation test, in few dimensions: two-sample tests after a reduction are what Rabanser,
Günnemann, Lipton, "Failing Loudly", NeurIPS 2019, recommend. Labels: chi-square, Fisher's exact
test, Cramér's V. Scores: Kolmogorov-Smirnov and Wasserstein. Counts: the upper tail of a negative
binomial fitted to earlier counts. Many p-values: Holm, Scandinavian Journal of Statistics 6 (1979),
which holds however they depend on each other.

Every function says what happened in two numbers: an effect size, and a p-value in (0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt

import numpy as np

from ragguard.model import Doubles, Floats, Ints

DRAWS = (199, 4999)  # permutations after which a test may end
ENOUGH = 10  # permutations as far apart as the samples that decide
TAIL = 250  # largest of the permutations, which a tail is put through
WIDER = 1.25  # the tail is taken to fall so much slower than it looks
BLOCK = 1000  # permutations at once
EXPECTED = 5.0  # counts below which chi-square is not distributed as it should be
STEADY = 0.01  # logarithmic growth between two audits that never surprises
TINY = 1e-12


@dataclass(frozen=True)
class Shift:
    """Distance of two samples, and how surprising it is.

    Attributes:
        effect: At least 0, higher is farther; each function says its unit.
        p_value: How often honest samples are at least as far apart.
    """

    effect: float
    p_value: float


NO_SHIFT = Shift(0.0, 1.0)


def project(vectors: Floats, dimensions: int) -> Floats:
    """Project vectors to fewer dimensions, by a fixed random rotation cut short.

    Distances keep their order of size (Johnson, Lindenstrauss 1984); equal dimensions give
    equal projections, so that what was kept at one audit compares with the next.

    Args:
        vectors: float32 (n, d).
        dimensions: Wanted; vectors of no more come back as they are.

    Returns:
        float32 (n, min(d, dimensions)).
    """
    d = vectors.shape[1]
    if d <= dimensions:
        return vectors.copy()
    drawn = np.random.default_rng(0).standard_normal((d, dimensions))
    basis = np.linalg.qr(drawn)[0] * sqrt(d / dimensions)
    projected: Floats = (vectors.astype(np.float64) @ basis).astype(np.float32)
    return projected


def energy(before: Floats, after: Floats) -> float:
    """Square root of the energy coefficient of two samples: their distance, in [0, 1].

    0 for samples of one distribution, 1 for two different constants. The estimate of the energy
    distance is the unbiased one, cut off at 0.

    Args:
        before: float32 (n, d), n of at least 2.
        after: float32 (m, d), m of at least 2.
    """
    distances = _distances(np.concatenate([before, after]))
    return _coefficient(distances, len(before))


def energy_shift(before: Floats, after: Floats, seed: int = 0) -> Shift:
    """Energy distance of two samples and its permutation test.

    Permutations are drawn until ten of them are as far apart as the samples, 4,999 at most (Besag,
    Clifford, "Sequential Monte Carlo p-values", Biometrika 78 (1991)): honest samples cost little.
    Where fewer than ten are, the p-value is read off an exponential tail through the mean excess of
    the 250 largest (the idea of Knijnenburg et al., "Fewer permutations, more accurate P-values",
    Bioinformatics 25 (2009)); the statistic is a sum of weighted chi-squares under the null
    hypothesis (Gretton et al.), so its tail is exponential. The tail is widened by a quarter: where
    the true p-value is 1e-4, it says about 3e-4. Hundreds of tests want that resolution.

    Args:
        before: float32 (n, d).
        after: float32 (m, d).
        seed: Of the permutations.

    Returns:
        Effect in [0, 1] as in `energy`; `NO_SHIFT` when a sample has fewer than 2 rows.
    """
    n, m = len(before), len(after)
    if min(n, m) < 2:
        return NO_SHIFT
    distances = _distances(np.concatenate([before, after]))
    labels = np.zeros((n + m, 1))
    labels[n:] = 1.0
    seen = float(_energies(distances, labels, m)[0])
    rng = np.random.default_rng(seed)
    drawn = np.empty(0)
    for draws in DRAWS:
        drawn = np.append(drawn, _permuted(distances, m, draws - len(drawn), rng))
        farther = int((drawn >= seen - TINY).sum())
        if farther >= ENOUGH:
            return Shift(_coefficient(distances, n), (1 + farther) / (1 + len(drawn)))
    return Shift(_coefficient(distances, n), _tail(seen, drawn))


def _tail(seen: float, drawn: Doubles) -> float:
    """Tell how often a draw is at least as large, by an exponential tail through the largest."""
    largest = np.sort(drawn)[-TAIL - 1 :]
    excess = WIDER * float((largest[1:] - largest[0]).mean())
    share = TAIL / len(drawn)
    if excess <= TINY:
        return share if seen <= largest[-1] else 1 / (1 + len(drawn))
    return min(1.0, max(TINY, share * exp(-(seen - float(largest[0])) / excess)))


def _distances(rows: Floats) -> Doubles:
    """Euclidean distances, float64 (n, n), exactly 0 between equal rows."""
    exact = rows.astype(np.float64)
    squares = (exact * exact).sum(axis=1)
    squared = squares[:, None] + squares[None, :] - 2.0 * (exact @ exact.T)
    distances: Doubles = np.sqrt(np.where(squared < 1e-10, 0.0, squared))
    return distances


def _energies(distances: Doubles, labels: Doubles, m: int) -> Doubles:
    """Energy distance of each column of 0/1 labels, with m ones each: float64 (p,)."""
    n = len(distances) - m
    rows = distances.sum(axis=1)
    within = np.einsum("ij,ij->j", labels, distances @ labels)
    touching = rows @ labels
    cross = touching - within
    outside = rows.sum() - 2.0 * touching + within
    energies: Doubles = 2.0 * cross / (n * m) - within / (m * m) - outside / (n * n)
    return energies


def _permuted(distances: Doubles, m: int, draws: int, rng: np.random.Generator) -> Doubles:
    """Energy distance of so many random choices of m rows from the others, float64 (draws,)."""
    n, energies = len(distances), []
    for start in range(0, draws, BLOCK):
        count = min(BLOCK, draws - start)
        mixed = np.zeros((n, count))
        ranks = np.argpartition(rng.random((count, n)), m - 1, axis=1)[:, :m]
        np.put_along_axis(mixed, ranks.T, 1.0, axis=0)
        energies.append(_energies(distances, mixed, m))
    return np.concatenate(energies)


def _coefficient(distances: Doubles, n: int) -> float:
    m = len(distances) - n
    cross = float(distances[:n, n:].mean())
    if cross <= 0.0:
        return 0.0
    inside = distances[:n, :n].sum() / (n * (n - 1)) + distances[n:, n:].sum() / (m * (m - 1))
    return sqrt(max(0.0, 2.0 * cross - float(inside)) / (2.0 * cross))


def share_shift(before: Ints, after: Ints) -> Shift:
    """Test whether two rows of counts have the same shares.

    By chi-square; where a label is too rare for its distribution (Cochran, Biometrics 10 (1954)),
    by the exact hypergeometric tail of the most surprising label (Fisher), corrected for both tails
    and for the number of labels (Bonferroni).

    Args:
        before: int64 (l,), how often each label was there.
        after: int64 (l,), how often it is now.

    Returns:
        Effect: Cramér's V in [0, 1]. `NO_SHIFT` when there are fewer than two labels.
    """
    from scipy import stats

    both = before + after
    after, both = after[both > 0], both[both > 0]
    taken, total = int(after.sum()), int(both.sum())
    if len(both) < 2 or not 0 < taken < total:
        return NO_SHIFT
    expected = both * (taken / total)
    # In a table of two rows both miss their expectations by as much.
    chi2 = float(((after - expected) ** 2 * (1.0 / expected + 1.0 / (both - expected))).sum())
    if float(both.min()) * min(taken, total - taken) / total >= EXPECTED:
        p_value = float(stats.chi2.sf(chi2, len(both) - 1))
    else:
        more = stats.hypergeom.sf(after - 1, total, both, taken)
        fewer = stats.hypergeom.cdf(after, total, both, taken)
        p_value = 2.0 * len(both) * float(np.minimum(more, fewer).min())
    return Shift(sqrt(chi2 / total), min(1.0, max(p_value, TINY)))


def score_shift(before: Doubles, after: Doubles) -> tuple[Shift, float]:
    """Test two samples of scores by Kolmogorov-Smirnov, and measure how far they moved.

    Args:
        before: float64 (n,).
        after: float64 (m,).

    Returns:
        Effect: the largest difference of the two distribution functions, in [0, 1]; and the
        Wasserstein distance in units of the score, positive when scores rose on the whole.
        `NO_SHIFT` and 0 when a sample is empty.
    """
    from scipy import stats

    if not len(before) or not len(after):
        return NO_SHIFT, 0.0
    test = stats.ks_2samp(before, after, method="asymp")
    moved = float(stats.wasserstein_distance(before, after))
    rose = float(after.mean()) >= float(before.mean())
    return Shift(float(test.statistic), max(float(test.pvalue), TINY)), moved if rose else -moved


def burst(count: int, length: float, counts: Doubles, lengths: Doubles) -> Shift:
    """Compute how surprising a count is after earlier ones.

    The predictive distribution is a negative binomial: its mean is the mean earlier rate, its
    spread the larger of what the earlier counts show, what so few of them leave open, and
    Poisson's. The largest earlier count is taken down to the second largest first, so that one
    burst does not excuse the next.

    Args:
        count: What came.
        length: How long that took, in any unit.
        counts: float64 (k,), what came before, k of at least 1.
        lengths: float64 (k,), how long each of those took, all positive.

    Returns:
        Effect: logarithm (natural) of count over what was expected, at least 0, half an event added
        to each. The p-value is that of at least as many.
    """
    from scipy import stats

    scaled = np.sort(counts / lengths * length)
    if len(scaled) > 1:
        scaled[-1] = scaled[-2]
    k = len(scaled)
    total = float(scaled.sum())
    mean = (total + 0.5) / k
    variance = float(scaled.var(ddof=1)) if k > 1 else 0.0
    size = min(total + 0.5, float(k))
    if variance > mean:
        size = min(size, mean * mean / (variance - mean))
    p_value = float(stats.nbinom.sf(count - 1, size, size / (size + mean))) if count else 1.0
    effect = max(0.0, log((count + 0.5) / (mean + 0.5)))
    return Shift(effect, min(1.0, max(p_value, TINY)))


def jump(sizes: Doubles) -> Shift:
    """Compute how surprising the last step of a series of sizes is.

    Steps are logarithms of ratios; the last is compared with the median of the others, in units of
    their median absolute deviation (at least a hundredth), on a Student's t of as many degrees of
    freedom as there are steps to compare with, less one: few steps, little surprise.

    Args:
        sizes: float64 (k,), oldest first, k of at least 4.

    Returns:
        Effect: absolute logarithm (natural) of the last ratio.
    """
    from scipy import stats

    steps = np.diff(np.log(np.maximum(sizes, 1.0)))
    usual, last = steps[:-1], float(steps[-1])
    middle = float(np.median(usual))
    spread = max(1.4826 * float(np.median(np.abs(usual - middle))), STEADY)
    p_value = 2.0 * float(stats.t.sf(abs(last - middle) / spread, len(usual) - 1))
    return Shift(abs(last), max(p_value, TINY))


def holm(p_values: Doubles) -> Doubles:
    """Correct p-values for their number: the chance that any honest one gets as small.

    Args:
        p_values: float64 (n,).

    Returns:
        float64 (n,), none smaller than before, at most 1.
    """
    n = len(p_values)
    order = np.argsort(p_values, kind="stable")
    raised = np.minimum(1.0, p_values[order] * np.arange(n, 0, -1))
    corrected = np.empty(n)
    corrected[order] = np.maximum.accumulate(raised) if n else raised
    return corrected
