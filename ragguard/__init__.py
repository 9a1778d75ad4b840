"""ragguard: the gatekeeper of a RAG corpus."""

from ragguard.version import __version__

__all__ = ["__version__"]
