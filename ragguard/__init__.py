"""ragguard: the gatekeeper of a RAG corpus.

    import ragguard

    with ragguard.open_workspace("w") as w:
        w.ingest(["m.intoto.json"], root="docs")
        w.search("how many days off do I have")

What opens a workspace is imported when it is first asked for; every deliberate error is here.
"""

from __future__ import annotations

from ragguard import errors
from ragguard.errors import *  # noqa: F403 - all of `errors.__all__`

TYPE_CHECKING = False  # as `typing` has it, which is most of the time that this import would take
if TYPE_CHECKING:
    from ragguard.integrations.face import Workspace, open_workspace

__version__ = "0.1.0"
__all__ = ["Workspace", "__version__", "open_workspace"]
__all__ += errors.__all__

if not TYPE_CHECKING:  # to a type checker every name would be there

    def __getattr__(name):
        """Import what is asked for."""
        if name not in ("Workspace", "open_workspace"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from ragguard.integrations import face

        return getattr(face, name)

    def __dir__():
        """Say what there is, imported or not."""
        return sorted({*globals(), *__all__})
