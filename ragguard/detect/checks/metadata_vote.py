"""Find a document whose label is not its neighbours' label.

A confidential text filed as public under another department sits, by its vector, among the texts it
came from. The indexed neighbours of all its chunks vote, and a regression on their vectors has its
say (`stats.label_vote`). How far a key is to be trusted, and each of its values, the index tells:
some indexed documents are judged the same way, and a newcomer's odds are held against theirs. So a
key on which neighbours disagree convicts nobody, and no newcomer has a say in it.
Source: Northcutt, Jiang, Chuang, "Confident Learning", JAIR 70 (2021): out-of-sample probabilities,
held against what is usual for that value instead of a fixed bar.

Any key votes that few values share, that are names of kinds and no sentences, and that neighbours
know: on what a page says of itself (title, tags, weight, author) they agree no more than by chance.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ragguard.detect.checks import check
from ragguard.errors import NotApplicable
from ragguard.knn.topk import top_k
from ragguard.model import CorpusView, Doubles, Evidence, Ints, Signal
from ragguard.stats import label_vote
from ragguard.text.words import stable_hash

PRIOR = 0.05  # share given to every value, so that few voters prove little
PEERS = 256  # indexed documents that are judged alike
PEER_SHARE = 0.25  # of the indexed ones at hand, at most
LONGEST = 5  # words of a value that names a kind of documents
FITTED = 2000  # chunks the regression is fitted on at most


@dataclass(frozen=True)
class Params:
    """Tunable values, read from [checks.metadata_vote]."""

    keys: tuple[str, ...] = ()  # keys that vote; those that few values share when empty
    most_keys: int = 8  # keys that vote at most, the most frequent
    most_values: int = 32  # values above which a key names documents, not kinds of them
    k: int = 24  # voters
    voters: int = 4  # fewer voters of other documents decide nothing
    sharpness: float = 12.0  # weight of a voter: exp(sharpness * (similarity - best similarity))
    penalty: float = 1.0  # of the regression
    regression: float = 4.0  # what a lead of one in the regression adds to the log-odds
    known: float = 0.5  # how far beyond chance neighbours must know a key for it to have a say
    trust: float = 1.0  # power of how far neighbours know a key beyond chance
    odds: float = 1.0  # what the log-odds add, where no peer has such


@dataclass(frozen=True)
class _Electorate:
    """Those who are judged, and the indexed ones that vote on them.

    Attributes:
        documents: int64 (c,), documents judged: the newcomers, then their peers in the index.
        newcomers: How many of them are newcomers.
        rows: int64 (r,), their chunks, grouped by document.
        owners: int64 (r,), position in `documents` of each.
        ballots: Votes on positions in `documents`.
        fitted: int64 (f,), indexed chunks the regression is fitted on; no peer's.
    """

    documents: Ints
    newcomers: int
    rows: Ints
    owners: Ints
    ballots: label_vote.Ballots
    fitted: Ints


@check("metadata_vote", family="metadata", params=Params, unit=1.0)
def metadata_vote(view: CorpusView, params: Params) -> Signal:
    """Score a document's first chunk by how rare its neighbours' odds against its values are.

    Returns:
        Raw scores, float64 (n,), over the worst key: -log(share of peers with that value and such
        odds) plus the odds, times how far neighbours know that key beyond chance; 0 at a document's
        further chunks, as metadata is the document's.

    Raises:
        NotApplicable: No indexed neighbours to vote, or no key that they share.
    """
    if not (view.reference.indices >= 0).any():
        raise NotApplicable("no indexed neighbours to vote")
    indexed = np.unique(view.reference.indices[view.reference.indices >= 0])
    keys = list(params.keys) or _shared_keys(view, np.unique(view.documents[indexed]), params)
    if not keys:
        raise NotApplicable("no metadata key that indexed documents share")
    electorate = _electorate(view, indexed, params)
    ridge = label_vote.Ridge(view.vectors[electorate.fitted], params.penalty)
    count = electorate.newcomers
    worst = np.zeros(count)
    lost_votes: dict[int, tuple[str, str, str, float]] = {}
    for key in keys:
        texts = [_text(metadata.get(key)) for metadata in view.metadata]
        names = sorted(set(texts) - {""})
        if len(names) < 2:
            continue
        number = {name: i for i, name in enumerate(names)}
        codes = np.array([number.get(text, -1) for text in texts], dtype=np.int64)
        parts, odds, usable = _odds(view, electorate, ridge, codes, len(names), params)
        own = codes[electorate.documents]
        mine = usable.copy()
        mine[count:] = False
        peers = usable & ~mine
        agreed = label_vote.agreement(odds[peers] <= 0, own[peers])
        trust = agreed**params.trust if agreed >= params.known else 0.0
        rare = label_vote.surprise(odds[mine], own[mine], odds[peers], own[peers])
        rare = np.where(odds[mine] > 0, trust * (rare + params.odds * odds[mine]), 0.0)
        for position, score in zip(np.flatnonzero(mine).tolist(), rare.tolist(), strict=True):
            if score > worst[position]:
                worst[position] = score
                top = int(parts[position].argmax())
                share = float(parts[position, top])
                lost_votes[position] = (key, names[int(own[position])], names[top], share)
    scores = np.zeros(view.n)
    first = np.flatnonzero(np.diff(view.documents[: view.n], prepend=-1))
    scores[first] = worst

    def explain(row: int) -> Evidence:
        key, value, top, share = lost_votes.get(int(view.documents[row]), ("", "", "", 0.0))
        return Evidence(
            f"says {key} = {value!r}, but {share:.0%} of its nearest indexed neighbours, by "
            f"weight, say {top!r}",
            {"key": key, "value": value, "neighbours": top, "share": round(share, 3)},
        )

    return Signal(scores, explain)


def _electorate(view: CorpusView, indexed: Ints, params: Params) -> _Electorate:
    """Choose peers, and let the indexed vote on newcomers and peers."""
    count = int(view.documents[view.n - 1]) + 1
    known = np.unique(view.documents[indexed])
    most = min(PEERS, int(PEER_SHARE * len(known)))
    # By a hash of their names: the same ones in whatever order documents arrive.
    order = sorted(known.tolist(), key=lambda d: (stable_hash(view.labels[d]), view.labels[d]))
    peers = np.array(sorted(order[:most]), dtype=np.int64)
    of_peers = indexed[np.isin(view.documents[indexed], peers)]
    of_peers = of_peers[np.argsort(view.documents[of_peers], kind="stable")]
    others = np.setdiff1d(indexed, of_peers)
    step = max(1, -(-len(others) // FITTED))
    there = view.reference.indices >= 0
    owners = np.repeat(view.documents[: view.n], there.sum(axis=1))
    voters = view.documents[view.reference.indices[there]]
    close = view.reference.similarities[there]
    if len(of_peers):
        groups = view.documents[indexed]
        rows, near = top_k(
            view.vectors[of_peers],
            view.vectors[indexed],
            params.k,
            view.documents[of_peers],
            groups,
        )
        places = count + np.searchsorted(peers, view.documents[of_peers])
        kept = rows >= 0
        owners = np.concatenate([owners, np.repeat(places, kept.sum(axis=1))])
        voters = np.concatenate([voters, groups[rows[kept]]])
        close = np.concatenate([close, near[kept]])
    else:
        places = np.empty(0, dtype=np.int64)
    return _Electorate(
        np.concatenate([np.arange(count), peers]),
        count,
        np.concatenate([np.arange(view.n), of_peers]),
        np.concatenate([view.documents[: view.n], places]),
        label_vote.ballots(owners, voters, close, params.k, params.sharpness),
        others[::step],
    )


def _odds(
    view: CorpusView,
    electorate: _Electorate,
    ridge: label_vote.Ridge,
    codes: Ints,
    values: int,
    params: Params,
) -> tuple[Doubles, Doubles, np.ndarray]:
    """List shares of the vote, odds against each document's own value, and who can be judged."""
    count = len(electorate.documents)
    parts, voters = label_vote.shares(electorate.ballots, codes, count, values)
    own = codes[electorate.documents]
    fitted = codes[view.documents[electorate.fitted]]
    expected = ridge.predict(fitted, values, view.vectors[electorate.rows])
    sums = np.zeros((count, values))
    np.add.at(sums, electorate.owners, expected)
    sums /= np.bincount(electorate.owners, minlength=count)[:, None]
    ahead = sums.max(axis=1) - sums[np.arange(count), own]
    odds = label_vote.margins(parts, own, PRIOR)
    # The vote has to say so too: the regression alone convicts nobody.
    odds = np.where(odds > 0, odds + params.regression * ahead, 0.0)
    return parts, odds, (own >= 0) & (voters >= params.voters)


def _shared_keys(view: CorpusView, known: Ints, params: Params) -> list[str]:
    """List keys of indexed documents that few values share, the most frequent first."""
    seen: dict[str, Counter[str]] = {}
    for document in known.tolist():
        for key, value in view.metadata[document].items():
            if text := _text(value):
                seen.setdefault(key, Counter())[text] += 1
    # A value of its own for every third document tells documents apart, not kinds of them.
    shared = [
        (-sum(values.values()), key)
        for key, values in seen.items()
        if len(values) <= min(params.most_values, sum(values.values()) / 3)
        and all(len(value.split()) <= LONGEST for value in values)
    ]
    return [key for _, key in sorted(shared)[: params.most_keys]]


def _text(value: object) -> str:
    """Return a metadata value as comparable text; empty when absent."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(sorted(str(v) for v in value))
    return str(value)
