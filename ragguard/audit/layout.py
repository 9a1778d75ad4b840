"""Where a foreign collection keeps things: `ragguard.steps.layout`, which `adopt` reads by too."""

from ragguard.steps.layout import Layout, Passage, detect, read

__all__ = ["Layout", "Passage", "detect", "read"]
