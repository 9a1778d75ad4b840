"""Stop a rebuild to ask: much would go, a label would vanish, or what stays is suspect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ragguard.config import ReindexSettings
from ragguard.corpus.clean_set import ExcludedDocument
from ragguard.ledger.versions import VersionRow

LABELS = ("label", "department")
FEWEST = 5  # documents of a label below which its share says nothing
LOST = ("integrity", "unreadable")


def questions(
    limits: ReindexSettings,
    before: Sequence[VersionRow],
    kept: Sequence[VersionRow],
    left: Sequence[ExcludedDocument],
    suspects: int,
) -> list[str]:
    """List why somebody should look before a rebuild goes on.

    Returns:
        Sentences; may quote hostile text.
    """
    reasons = []
    if len(before) - len(kept) > limits.removed_share * len(before):
        reasons.append(f"{len(before) - len(kept)} of {len(before)} documents would go")
    if suspects > limits.suspect_share * max(len(kept), 1):
        reasons.append(f"{suspects} of {len(kept)} documents that stay are suspect today")
    lost = [document for document in left if document.findings[0].check in LOST]
    if lost:
        reasons.append(
            f"{len(lost)} documents cannot be read back as they were signed, such as "
            f"{lost[0].label}: {lost[0].findings[0].detail}"
        )
    for key in LABELS:
        reasons += _thinned(key, before, kept, limits.label_share)
    return reasons


def _thinned(
    key: str, before: Sequence[VersionRow], after: Sequence[VersionRow], most: float
) -> Iterator[str]:
    """Yield labels that lose more than a part of their share of the corpus."""
    was = Counter(str(row.metadata.get(key)) for row in before if row.metadata.get(key))
    stays = Counter(str(row.metadata.get(key)) for row in after if row.metadata.get(key))
    for value, count in sorted(was.items()):
        share = stays[value] / max(len(after), 1)
        if count >= FEWEST and share < (1.0 - most) * count / len(before):
            yield (
                f"{key} {value[:60]!r} would be {stays[value]} of {len(after)} documents, was "
                f"{count} of {len(before)}"
            )
