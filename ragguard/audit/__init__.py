"""The nightly audit: nothing in the index that we did not put there, nothing that went bad since.

`audit` is the job; its parts stand beside it. Each part looks at one thing and answers with
findings; none of them changes anything.
"""

from ragguard.audit.run import Asked, Audited, audit

__all__ = ["Asked", "Audited", "audit"]
