"""Attack the user's own corpus: what would get through, what checks are worth."""
