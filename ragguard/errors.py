"""Define every error ragguard raises on purpose.

One tree under `RagguardError`. A class carries the exit code of the command line
(docs/formats.md, "Exit codes"); an instance carries what happened and a hint that says what to do
next. One place translates them: the click group in `ragguard.cli`. Trouble with one document is a
verdict, not an exception.
"""

from __future__ import annotations

__all__ = [
    "BenchError",
    "CollisionError",
    "ConfigError",
    "DecisionError",
    "DocumentMissingError",
    "DocumentOversizedError",
    "DocumentTamperedError",
    "DuplicateIdError",
    "DuplicateKeyError",
    "EncodeError",
    "EquivocationError",
    "ExpiredError",
    "GapError",
    "IncompleteError",
    "IntegrityError",
    "JudgeError",
    "KeyFileError",
    "LedgerError",
    "LockedError",
    "LogError",
    "MalformedError",
    "MissingExtraError",
    "MixAndMatchError",
    "ModelDigestError",
    "NotYetValidError",
    "OversizedError",
    "PayloadTypeError",
    "PointError",
    "PredicateError",
    "QuotaError",
    "RagguardError",
    "RecipeMismatchError",
    "RecordError",
    "RevokedKeyError",
    "RollbackError",
    "SignatureError",
    "SourceKeyError",
    "StoreError",
    "SubjectNameError",
    "SymlinkError",
    "ThresholdError",
    "TrustRootError",
    "TrustRootRollbackError",
    "UnknownSourceError",
    "UnsignedError",
    "UsageError",
    "VaultError",
    "VersionJumpError",
    "WorkspaceError",
    "ZeroThresholdError",
]  # the tree; `import ragguard` has them all


class RagguardError(Exception):
    """Base of all deliberate errors.

    Args:
        message: What happened, what was expected, what was found, where.
        hint: What to do next, one sentence.
    """

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


# --- 2: usage and configuration -------------------------------------------------------------------


class UsageError(RagguardError):
    """The command cannot be carried out as asked."""

    exit_code = 2


class ConfigError(UsageError):
    """ragguard.toml, a variable or a flag is wrong."""


class WorkspaceError(UsageError):
    """The folder is no workspace, or is one already."""


class KeyFileError(UsageError):
    """A key file is missing, malformed, readable by others, or its passphrase is wrong."""


class RecipeMismatchError(UsageError):
    """The collection was built with another recipe (model, splitter, parser)."""


class MissingExtraError(UsageError, ImportError):
    """A framework is not installed that an adapter is for; an `ImportError` too."""


class BenchError(UsageError):
    """A benchmark that cannot be run as asked, or whose figures would be worth nothing."""


# --- 3: integrity ---------------------------------------------------------------------------------


class IntegrityError(RagguardError):
    """Something is not what was signed, recorded or promised."""

    exit_code = 3


class MalformedError(IntegrityError):
    """Signed input that is not valid UTF-8 JSON of the documented shape."""


class OversizedError(IntegrityError):
    """Signed input above its size limit; nothing of it was parsed."""


class PayloadTypeError(IntegrityError):
    """The envelope holds another type of payload."""


class PredicateError(IntegrityError):
    """The statement is of another type or predicate, or the predicate is malformed."""


class UnsignedError(IntegrityError):
    """The envelope carries no signature at all."""


class SignatureError(IntegrityError):
    """No trusted key made any of the signatures over these bytes."""


class ThresholdError(IntegrityError):
    """Fewer distinct trusted keys signed than the threshold asks."""


class SourceKeyError(IntegrityError):
    """The signer is known, but may not speak for this source."""


class RevokedKeyError(IntegrityError):
    """The signature is by a revoked key."""


class UnknownSourceError(IntegrityError):
    """The trust root knows no such source."""


class ExpiredError(IntegrityError):
    """A manifest, a grant or the trust root is past its expiry."""


class NotYetValidError(IntegrityError):
    """Issued in the future."""


class RollbackError(IntegrityError):
    """An older manifest version than the last accepted one."""


class EquivocationError(IntegrityError):
    """The accepted version again, with other content."""


class GapError(IntegrityError):
    """`previous` does not name the last accepted manifest."""


class VersionJumpError(IntegrityError):
    """A version so far above the last accepted one that it would lock the source."""


class MixAndMatchError(IntegrityError):
    """Parts of different manifests put together."""


class TrustRootError(IntegrityError):
    """The trust root is malformed or not signed as its predecessor demands."""


class ZeroThresholdError(TrustRootError):
    """A role or source asks for fewer than one signature, or more than it has keys."""


class DuplicateKeyError(TrustRootError):
    """One public key under two key ids, or in two hands."""


class TrustRootRollbackError(TrustRootError):
    """An older trust root than the one this workspace has seen."""


class SubjectNameError(IntegrityError):
    """A subject name that leaves its folder or is not in normal form."""


class CollisionError(IntegrityError):
    """Two names of one source that a person or a file system cannot tell apart."""


class DuplicateIdError(IntegrityError):
    """The same document id twice in one manifest."""


class SymlinkError(IntegrityError):
    """A subject, or a folder on the way to it, is a symbolic link."""


class DocumentMissingError(IntegrityError):
    """A signed document is not there."""


class DocumentTamperedError(IntegrityError):
    """A document's bytes are not the bytes that were signed."""


class DocumentOversizedError(IntegrityError):
    """A document above the source's size limit."""


class RecordError(IntegrityError):
    """A record file whose lines are not the documented records."""


class QuotaError(IntegrityError):
    """The source delivers more than its contract allows."""


class DecisionError(IntegrityError):
    """A decision whose signer may not make it."""


class LogError(IntegrityError):
    """The log is not the append-only tree its checkpoints signed."""


class ModelDigestError(IntegrityError):
    """The embedding model's files are not the pinned ones."""


class LedgerError(IntegrityError):
    """The ledger is of another version, or contradicts itself."""


# --- 5: could not complete ------------------------------------------------------------------------


class IncompleteError(RagguardError):
    """The work was not done; nothing half-done is left."""

    exit_code = 5


class LockedError(IncompleteError):
    """Another process works on this workspace."""


class StoreError(IncompleteError):
    """The vector store refused, is unreachable, or cannot do what was asked."""


class PointError(StoreError):
    """A point that must not be written: wrong dimension, not finite, not unit length, bad id."""


class VaultError(IncompleteError):
    """The vault cannot be read or written, or holds other bytes than its name says."""


class EncodeError(IncompleteError):
    """The model cannot be loaded or does not fit."""


class JudgeError(IncompleteError):
    """A judge of passages failed, took too long, or printed something else than numbers."""


# --- not errors of a run --------------------------------------------------------------------------


class NotApplicable(Exception):
    """A check has nothing to say about this view; never leaves `scoring`.

    Args:
        reason: Why, for the report.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnreadableError(Exception):
    """A document that cannot be parsed; becomes a verdict.

    Args:
        reason: Why, for the report.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
