"""ragguard: the gatekeeper of a RAG corpus."""

__version__ = "0.1.0"
__all__ = ["__version__"]
