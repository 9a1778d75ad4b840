"""Audit the retrieval log: who dominates answers, and what must never be in one.

Exact: a passage that was given after its document had been taken out, and a honeytoken that was
found. Statistical: a newcomer that far more questions were answered with than with any document
that has stood for long. Popular is not poisoned: the questions that a page on holidays answers are
like each other, those that a text answers which was written to be found for everything are like
any. So only a newcomer whose questions are as unlike each other as questions drawn from the log is
an alarm; one whose questions are alike, or whose questions' vectors are not kept, is noted.

Nothing of it is decreed: the reference are the documents that stood before, in the same window, and
draws from the same questions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from ragguard.audit.findings import (
    AnsweredRow,
    Answers,
    AuditFinding,
    FindingFold,
    Note,
    RunningAudit,
)
from ragguard.ledger import audit_queries, commits, versions_at
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.versions import VersionRow
from ragguard.model import Floats
from ragguard.serving.retrieval_log import FOLDER, AnswerRecord, ReadNotes, RetrievedPassage, read
from ragguard.stats.intervals import wilson
from ragguard.trust.canonical import format_time
from ragguard.workspace import Workspace

FEWEST = 8  # questions of a document whose likeness says something
MOST = 256  # questions of a document that are compared
DRAWS = 500  # of as many questions from the log
ALIKE = 0.99  # share of the draws that are less alike than the questions of an honest document
SAMPLED = 20_000  # questions whose vectors are held at most
LISTED = 10  # documents of the table
NAMED = 20  # questions that a finding names

_SENTENCES = {
    "honeytoken-retrieved": "times a question found a planted document",
    "retrieved-after-removal": "times a document was given after it had been taken out",
}
Pairs = Mapping[str, set[int]]  # questions by document or source


@dataclass
class Window:
    """The answers of the last days, gathered one by one.

    Attributes:
        answers: How many.
        first: When the first was given, as text.
        last: When each question was asked last, as text; by number.
        vectors: Of a sample of the questions that have one, by number.
        documents: Questions that each document was given for.
    """

    answers: int = 0
    first: str = ""
    last: list[str] = field(default_factory=list)
    vectors: dict[int, Floats] = field(default_factory=dict)
    documents: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _numbers: dict[str, int] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _sampled: int = 1 << 32  # questions whose digest begins below it have their vector kept
    _sorted: list[str] = field(default_factory=list)

    def add(self, record: AnswerRecord) -> None:
        """Take an answer in."""
        self.answers += 1
        self.first = min(self.first or record.at, record.at)
        number = self._numbers.setdefault(record.question, len(self._numbers))
        if number == len(self.last):
            self.last.append(record.at)
            self._names.append(record.question)
        self.last[number] = max(self.last[number], record.at)
        if number not in self.vectors and record.vector and self._is_sampled(number):
            row = record.direction
            if row is not None:
                self.vectors[number] = row
        while len(self.vectors) > SAMPLED:
            self._sampled >>= 1
            self.vectors = {n: row for n, row in self.vectors.items() if self._is_sampled(n)}
        for place in record.hits:
            self.documents[place.document].add(number)

    def end(self) -> None:
        """Leave out vectors of another encoder than most are of."""
        sizes = Counter(len(row) for row in self.vectors.values())
        common = sizes.most_common(1)[0][0] if sizes else 0
        self.vectors = {n: row for n, row in self.vectors.items() if len(row) == common}
        self._sorted = sorted(self.last)

    @property
    def questions(self) -> int:
        """Different questions."""
        return len(self.last)

    def asked_since(self, at: str) -> int:
        """Count how many questions were asked at a time or later."""
        return len(self._sorted) - bisect_left(self._sorted, at)

    def _is_sampled(self, number: int) -> bool:
        return int(self._names[number][:8], 16) < self._sampled


def check_retrievals(
    workspace: Workspace, serving: Mapping[str, VersionRow], course: RunningAudit, note: Note
) -> Answers | None:
    """Look through the retrieval log.

    Returns:
        What the answers of the last days were; `None` where none were logged.

    Raises:
        UsageError: The log cannot be read.
    """
    days = workspace.settings.judge.recent_days or 1
    since = format_time(workspace.now - timedelta(days=days))
    with workspace.ledger.reading() as conn:
        commit_rows = {row.id: row for row in commits.listed(conn)}
        late = _Late(audit_queries.ended_stays(conn), commit_rows)
    window, told, planted = Window(), ReadNotes(), _Planted()
    there = False
    for record in read(workspace.folder / FOLDER, told):
        there = True
        if record.at >= since:
            window.add(record)
            late.add(record)
            planted.add(record)
    if not there and not told.damaged:
        note.skip(
            "the retrieval log is empty: [retriever] log keeps one"
            if workspace.settings.retriever.log == "off"
            else "no answer was logged yet"
        )
        return None
    window.end()
    note.looked_at = window.answers
    if told.damaged or told.lost:
        note.less(f"{told.damaged} lines are damaged, {told.lost} answers could not be logged")
    with workspace.ledger.reading() as conn:
        first = versions_at.first_commits(conn, window.documents.keys() | serving.keys())
    course.add(late.findings())
    course.add(planted.findings())
    came = {
        label: commit_rows[number].at for label, number in first.items() if number in commit_rows
    }
    newcomers = {label for label, at in came.items() if at >= since}
    rate = workspace.settings.audit.false_alarm_rate
    course.add(dominating(window, newcomers, came, rate))
    course.add(bursts(window, serving, newcomers, came, rate))
    return Answers(
        answers=window.answers,
        questions=window.questions,
        since=window.first,
        damaged=told.damaged,
        lost=told.lost,
        stale=late.stale,
        documents=[
            AnsweredRow(
                label,
                len(asked),
                len(asked) / window.questions,
                label in newcomers,
                likeness(window, asked),
            )
            for label, asked in _most(window.documents, LISTED)
        ],
    )


def _most(pairs: Pairs, count: int) -> list[tuple[str, set[int]]]:
    return sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:count]


# --- what must never be ---------------------------------------------------------------------------


class _Late:
    """Answers with what had been taken out.

    A reader goes by its snapshot: within the age that it was allowed, an older version of a
    document that still serves is no alarm. One that its own evidence had as gone is.

    Args:
        ended: See `audit_queries.ended_stays`.
        done: Commits by number.

    Attributes:
        stale: Passages of a version that had only been replaced.
    """

    def __init__(
        self, ended: Mapping[str, Sequence[tuple[int, int]]], done: Mapping[int, CommitRow]
    ) -> None:
        self._ended, self._done = ended, done
        self._said: dict[str, list[tuple[str, str, RetrievedPassage, int]]] = defaultdict(list)
        self.stale = 0

    def add(self, record: AnswerRecord) -> None:
        """Look at an answer."""
        for place in record.hits:
            stays = self._ended.get(place.document, ())
            until = next((u for since, u in stays if since == place.commit and u >= 0), None)
            out = self._done.get(until) if until is not None else None
            if until is None or out is None or out.log_index is None:
                continue
            known = out.log_index < record.log
            if not known and record.at <= out.at:
                continue
            if not known and any(since == until for since, _ in stays):
                self.stale += 1
            else:
                self._said[place.document].append((record.at, record.question, place, until))

    def findings(self) -> list[AuditFinding]:
        """One for each document."""
        fold = FindingFold(_SENTENCES)
        for document, times in sorted(self._said.items()):
            times.sort(key=lambda retrieval: retrieval[0])
            at, question, place, until = times[-1]
            fold.add(
                AuditFinding(
                    "retrieved-after-removal",
                    f"{document} was given {len(times)} times after commit {until} took it out, "
                    f"last at {at} to question {question[:16]}…",
                    document=document,
                    count=len(times),
                    facts={
                        "points": sorted({retrieval[2].point for retrieval in times})[:NAMED],
                        "questions": [{"question": q, "at": t} for t, q, *_ in times[-NAMED:]],
                        "commit": until,
                        "digest": place.digest,
                    },
                )
            )
        return fold.findings()


class _Planted:
    """Honeytokens that were found."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, record: AnswerRecord) -> None:
        """Look at an answer."""
        for document in {place.document for place in record.honeytokens}:
            self._said[document, record.question].append(record.at)

    def findings(self) -> list[AuditFinding]:
        """One for each document and question."""
        fold = FindingFold(_SENTENCES)
        for (document, question), times in sorted(self._said.items()):
            times.sort()
            again = f", {len(times)} times" if len(times) > 1 else ""
            asked = [{"question": question, "at": at} for at in times[-NAMED:]]
            fold.add(
                AuditFinding(
                    "honeytoken-retrieved",
                    f"{document} was found by question {question[:16]}… at {times[-1]}{again}",
                    count=len(times),
                    facts={"documents": [document], "questions": asked},
                    about=f"{document} by {question}",
                )
            )
        return fold.findings()


# --- who dominates --------------------------------------------------------------------------------


def dominating(
    window: Window, newcomers: Collection[str], came: Mapping[str, str], rate: float
) -> list[AuditFinding]:
    """Find newcomers that far more questions were answered with than with what stood before.

    Args:
        newcomers: Documents that came within it.
        came: When each document came, as text.
        rate: Share of honest nights on which one may be named.

    Returns:
        `answers-dominated` where its questions are as unlike each other as any, `popular-newcomer`
        where they are alike or nobody knows.
    """
    from scipy.stats import binom

    total = window.questions
    stood = [len(asked) for label, asked in window.documents.items() if label not in newcomers]
    new = {label: asked for label, asked in window.documents.items() if label in newcomers}
    if not stood or not new:
        return []
    most = max(stood)
    record = wilson(most, total)[1]
    findings = []
    for label, asked in sorted(new.items()):
        exposed = max(window.asked_since(came[label]), len(asked))
        p_value = min(1.0, float(binom.sf(len(asked) - 1, exposed, record)) * len(new))
        if p_value > rate:
            continue
        near = likeness(window, asked)
        apart = near is not None and near <= drawn(window, len(asked & window.vectors.keys()))
        share = len(asked) / exposed
        how = (
            "that are as unlike each other as any"
            if apart
            else "that are alike"
            if near is not None
            else "whose likeness is not known"
        )
        findings.append(
            AuditFinding(
                "answers-dominated" if apart else "popular-newcomer",
                f"{label} is among the answers to {len(asked)} of {exposed} questions "
                f"({share:.0%}) {how}; no document that stood before answered more than {most} "
                f"of {total}",
                document=label,
                count=1,
                score=1.0 - p_value,
                p_value=p_value,
                facts={"questions": len(asked), "of": exposed, "most": most, "alike": near},
            )
        )
    return findings


def likeness(window: Window, asked: Set[int]) -> float | None:
    """Return the mean cosine of two questions of a set.

    Returns:
        In [-1, 1], more is alike; `None` where fewer than `FEWEST` vectors are kept.
    """
    rows = [window.vectors[n] for n in sorted(asked & window.vectors.keys())]
    if len(rows) < FEWEST:
        return None
    if len(rows) > MOST:
        picked = np.random.default_rng(len(rows)).permutation(len(rows))[:MOST]
        rows = [rows[i] for i in picked.tolist()]
    return _mean_cosine(np.stack(rows))


def drawn(window: Window, count: int) -> float:
    """Tell how alike as many questions drawn from all are at most, in 99 % of the draws."""
    pool = np.stack([window.vectors[n] for n in sorted(window.vectors)])
    size = min(count, MOST, len(pool))
    rng = np.random.default_rng(size)
    likenesses = [
        _mean_cosine(pool[rng.choice(len(pool), size, replace=False)]) for _ in range(DRAWS)
    ]
    return float(np.quantile(likenesses, ALIKE))


def _mean_cosine(rows: Floats) -> float:
    n = len(rows)
    if n < 2:
        return 1.0
    total = rows.sum(axis=0, dtype=np.float64)
    return float((total @ total - n) / (n * (n - 1)))


def bursts(
    window: Window,
    serving: Mapping[str, VersionRow],
    newcomers: Collection[str],
    came: Mapping[str, str],
    rate: float,
) -> list[AuditFinding]:
    """Find new sources that answer more questions for their size than any that stood before.

    Args:
        newcomers: Documents that came within the window.
        came: When each document came, as text.
        rate: As in `dominating`.
    """
    from scipy.stats import binom

    sizes = Counter(row.source for row in serving.values())
    old = {label.partition("/")[0] for label in came if label not in newcomers}
    asked: dict[str, set[int]] = defaultdict(set)
    for label, numbers in window.documents.items():
        asked[label.partition("/")[0]] |= numbers
    total, all_of = window.questions, sum(sizes.values())
    ratios = {
        source: wilson(len(asked[source]), total)[1] * all_of / sizes[source]
        for source in old & sizes.keys() & asked.keys()
    }
    new = [s for s in asked if s not in old and sizes[s]]
    if not ratios or not new:
        return []
    best = max(ratios, key=lambda s: (ratios[s], s))
    began = {s: min(at for label, at in came.items() if label.startswith(f"{s}/")) for s in new}
    findings = []
    for source in sorted(new):
        expected = min(1.0, ratios[best] * sizes[source] / all_of)
        exposed = max(window.asked_since(began[source]), len(asked[source]))
        chance = float(binom.sf(len(asked[source]) - 1, exposed, expected))
        p_value = min(1.0, chance * len(new))
        if expected >= 1.0 or p_value > rate:
            continue
        findings.append(
            AuditFinding(
                "new-source-in-answers",
                f"{source} is new, has {sizes[source]} of {all_of} documents, and is among the "
                f"answers to {len(asked[source])} of {exposed} questions: more for its size than "
                f"any source that stood before",
                score=1.0 - p_value,
                p_value=p_value,
                facts={"questions": len(asked[source]), "of": exposed, "documents": sizes[source]},
                about=source,
            )
        )
    return findings
