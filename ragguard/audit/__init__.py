"""Audit a whole index at night: nothing in it that ragguard did not put there or that went bad.

`audit` is the job; its parts stand beside it. Each part looks at one thing and answers with
findings; none of them changes anything.
"""

from ragguard.audit.run import AuditRequest, AuditResult, audit

__all__ = ["AuditRequest", "AuditResult", "audit"]
