"""Record which browsers drew the pages of this workspace.

The browser is not in the recipe: a new one every month would mean a rebuild every month (ADR 30).
What drew pages when they came in is noted, so that `doctor` and the audit can say that another one
draws them now. It is a note: no finding is taken back for it.
"""

from __future__ import annotations

from ragguard.ledger.tables import get_meta, set_meta
from ragguard.parse.browser import BROWSERS
from ragguard.workspace import Workspace

KEY = "pages-drawn-by"
MOST = 8  # browsers that are remembered


def noted(workspace: Workspace) -> list[str]:
    """Browsers that drew pages which came in, such as `Chrome/126`, oldest first."""
    with workspace.ledger.reading() as conn:
        return (get_meta(conn, KEY) or "").split()


def note(workspace: Workspace, *, anew: bool = False) -> None:
    """Note the browsers that drew pages in this process, where this workspace has pages drawn.

    Args:
        workspace: Open and locked.
        anew: All pages were read again, and what drew them before is nothing any more.
    """
    if workspace.settings.parse.render != "chromium":
        return
    known = [] if anew else noted(workspace)
    new = sorted(BROWSERS.drew - set(known))
    if new:
        with workspace.ledger.writing() as conn:
            set_meta(conn, KEY, " ".join([*known, *new][-MOST:]))


def difference(workspace: Workspace, now: str = "") -> str:
    """Tell where pages came in through other browsers than the one that draws them now.

    Args:
        now: Product and major version; those of this process where it is empty.
    """
    before = set(noted(workspace))
    today = {now} if now else set(BROWSERS.drew)
    if not before or not today or before == today:
        return ""
    return f"pages came in as {', '.join(sorted(before))} drew them, now {', '.join(sorted(today))}"
