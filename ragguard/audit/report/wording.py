"""Word what terminal and page say alike: the headline, what changed, what a thing is called.

Pure text; whoever shows it makes it plain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ragguard.audit.findings import AuditFinding, AuditReport
from ragguard.audit.rules import RULES, Level

Mood = Literal["broken", "incomplete", "look", "quiet"]
GRAVITY: dict[Level, int] = {"error": 0, "warning": 1, "note": 2}
NAMED = 3  # kinds, or parts, that a headline names

# What findings of a rule are counted in: one, many.
_NOUNS = {
    "foreign-point": ("foreign point", "foreign points"),
    "missing-point": ("missing point", "missing points"),
    "text-not-of-document": (
        "document whose passages its signed bytes do not give",
        "documents whose passages their signed bytes do not give",
    ),
    "vector-changed": ("changed vector", "changed vectors"),
    "payload-changed": ("changed payload", "changed payloads"),
    "point-moved": ("moved point", "moved points"),
    "point-copied": ("copied point", "copied points"),
    "point-orphaned": ("orphaned point", "orphaned points"),
    "point-replayed": ("replayed point", "replayed points"),
    "vector-not-of-text": ("vector of another text", "vectors of other texts"),
    "vector-invalid": ("invalid vector", "invalid vectors"),
    "alias-moved": ("moved alias", "moved aliases"),
    "collection-changed": ("changed collection", "changed collections"),
    "log-broken": ("break in the log", "breaks in the log"),
    "log-rolled-back": ("rolled-back log", "signs of a rolled-back log"),
    "ledger-inconsistent": ("contradiction in the ledger", "contradictions in the ledger"),
    "noise-flood": ("point of noise", "points of noise"),
    "vault-damaged": ("damaged file in the vault", "damaged files in the vault"),
    "source-stale": ("document of a stale source", "documents of stale sources"),
    "key-revoked": ("document by a revoked key", "documents by revoked keys"),
    "contract-broken": ("document outside its contract", "documents outside their contract"),
    "source-gone": ("document of a source that is gone", "documents of sources that are gone"),
    "suspect-document": ("suspect document", "suspect documents"),
    "campaign": ("document in a campaign", "documents in campaigns"),
    "hub": ("hub", "hubs"),
    "label-outvoted": ("outvoted label", "outvoted labels"),
    "conflicting-twins": ("conflicting twin", "conflicting twins"),
    "spectral-outlier": ("spectral outlier", "spectral outliers"),
    "hidden-or-instructing": ("hiding or instructing text", "hiding or instructing texts"),
    "embedding-drift": ("source that moved", "sources that moved"),
    "label-drift": ("shift of labels", "shifts of labels"),
    "score-drift": ("shift of scores", "shifts of scores"),
    "arrival-burst": ("burst of arrivals", "bursts of arrivals"),
    "size-jump": ("jump in size", "jumps in size"),
    "canary-quality": ("canary answered worse", "canaries answered worse"),
    "canary-forbidden": ("forbidden answer", "forbidden answers"),
    "retrieved-after-removal": (
        "answer with what was taken out",
        "answers with what was taken out",
    ),
    "answers-dominated": ("document that dominates answers", "documents that dominate answers"),
    "popular-newcomer": ("popular newcomer", "popular newcomers"),
    "new-source-in-answers": ("new source in answers", "new sources in answers"),
    "honeytoken-retrieved": ("honeytoken found", "honeytokens found"),
}


@dataclass(frozen=True)
class FindingChanges:
    """What is new, gone and still there since the last audit.

    Attributes:
        new: Findings that the last audit did not have; all at a first audit.
        still: Findings that it had as well.
        gone: Findings that it had and that are no more.
        first: Whether there was none to compare with.
    """

    new: Sequence[AuditFinding]
    still: Sequence[AuditFinding]
    gone: Sequence[AuditFinding]
    first: bool


def counted(number: int, one: str, many: str = "") -> str:
    """Such as `1 point` or `12,000 points`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def things(rule: str, number: int) -> str:
    """Such as `3 changed vectors`."""
    return counted(number, *_NOUNS[rule])


def mood(report: AuditReport) -> Mood:
    """Return the gravest of what an audit has to say."""
    if any(RULES[f.rule].integrity for f in report.findings):
        return "broken"
    if report.incomplete:
        return "incomplete"
    return "look" if report.levels["error"] or report.levels["warning"] else "quiet"


def headline(report: AuditReport) -> str:
    """Tell what must be looked at, in one sentence."""
    altered = [f for f in report.findings if RULES[f.rule].integrity]
    missed = _some([p.name for p in report.incomplete], "part")
    if altered:
        return f"Not what was written: {kinds(altered)}" + (
            f"; {missed} failed." if missed else "."
        )
    looks = [f for f in report.findings if f.level != "note"]
    if report.incomplete:
        rest = f" Found so far: {kinds(looks)}." if looks else ""
        return f"Not everything was looked at: {missed} failed.{rest}"
    if looks:
        return f"To look at: {kinds(looks)}."
    seen = f" in {counted(report.counts['points'], 'point')}" if report.counts.get("points") else ""
    notes = len(report.findings)
    return f"Nothing to look at{seen}" + (f"; {counted(notes, 'note')}." if notes else ".")


def kinds(findings: Iterable[AuditFinding]) -> str:
    """Return the gravest kinds of findings with how many things they speak for."""
    sums = totals(findings)
    return _some([things(rule, number) for rule, number in sums.items()], "kind")


def totals(findings: Iterable[AuditFinding]) -> dict[str, int]:
    """Count how many things findings speak for by rule, the gravest rules first."""
    sums: Counter[str] = Counter()
    for finding in findings:
        sums[finding.rule] += finding.count
    return {rule: sums[rule] for rule in sorted(sums, key=lambda r: rank(r, sums[r]))}


def rank(rule: str, number: int) -> tuple[int, int, int, str]:
    """Order of rules: integrity first, then by level, then the most things, then the id."""
    definition = RULES[rule]
    return (not definition.integrity, GRAVITY[definition.level], -number, definition.id)


def grouped(findings: Iterable[AuditFinding]) -> dict[str, list[AuditFinding]]:
    """List findings by rule, the gravest rules first; their order within a rule stays."""
    groups: dict[str, list[AuditFinding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule, []).append(finding)
    sums = {rule: sum(f.count for f in members) for rule, members in groups.items()}
    return {rule: groups[rule] for rule in sorted(groups, key=lambda r: rank(r, sums[r]))}


def change(report: AuditReport) -> FindingChanges:
    """Tell what changed since the last audit."""
    new = [f for f in report.findings if not report.previous or f.identity in report.fresh]
    ours = set(map(id, new))
    still = [f for f in report.findings if id(f) not in ours]
    return FindingChanges(new, still, list(report.gone), first=not report.previous)


def subject(finding: AuditFinding) -> str:
    """Tell what a finding is about: a document, a point, a source or the like; may be empty."""
    if finding.document:
        return finding.document
    if finding.point:
        return f"point {finding.point}"
    if finding.about and finding.about != finding.detail:
        return finding.about
    return f"collection {finding.collection}" if finding.collection else ""


def reason(finding: AuditFinding) -> str:
    """Return its detail, without what it is about where it begins with that."""
    about = subject(finding)
    return finding.detail.removeprefix(f"{about}: ") if about else finding.detail


def joined(names: Sequence[str]) -> str:
    """Such as `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _some(names: Sequence[str], noun: str) -> str:
    """Return the first few, and how many there are beside."""
    rest = len(names) - NAMED
    return joined([*names[:NAMED], counted(rest, f"further {noun}")] if rest > 0 else names)


def size(count: int) -> str:
    """Return the bytes for a person."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def duration(seconds: float) -> str:
    """Return the seconds for a person."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(at: str) -> str:
    """Return a time of the report without its letters."""
    return at.replace("T", " ").replace(":00Z", " UTC").replace("Z", " UTC")
