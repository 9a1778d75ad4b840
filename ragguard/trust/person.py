"""Tell who is behind a principal's name: names taken for one another are one person.

"Alice", "alice.", and the same word with a Cyrillic letter count once, wherever people are counted
or kept apart: thresholds, reviewers who signed, second signatures. A new key whose principal looks
like another's is refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ragguard.trust.names import skeleton


def person(principal: str) -> str:
    """Tell what names that look alike have in common.

    Returns:
        Its look-alike skeleton, case-folded, without blanks, invisible characters and marks, and
        without punctuation around it; the name itself where nothing is left of it.
    """
    folded = unicodedata.normalize("NFKC", principal).casefold()
    folded = skeleton(skeleton(folded).casefold()).casefold()
    kept = "".join(c for c in folded if unicodedata.category(c)[0] not in "CZM")
    start = next((i for i, c in enumerate(kept) if c.isalnum()), 0)
    stop = next((len(kept) - i for i, c in enumerate(reversed(kept)) if c.isalnum()), 0)
    return kept[start:stop] or principal


def persons(principals: Iterable[str]) -> set[str]:
    """Return the persons behind names."""
    return {person(name) for name in principals}
