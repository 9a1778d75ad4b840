"""Verify the log against its signed tree heads, and the ledger's commits against the log.

Every plan of a commit is read once; whoever wants to look into it too is called with it. A document
that was released must have the decision of a reviewer (`release_check`), and a pending commit must
be one that this workspace planned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ragguard.corpus.release_check import ReleaseCheck
from ragguard.errors import LedgerError, LogError, VaultError
from ragguard.ledger import commits, log
from ragguard.ledger import versions as corpus
from ragguard.ledger.writer import Plan, load_plan
from ragguard.trust import dsse, merkle, signed_note
from ragguard.workspace import Workspace

Entry = Mapping[str, Any]


@dataclass
class LogReport:
    """What verifying the log found.

    Attributes:
        checkpoints: Signed tree heads that agree with it.
        commits: Commits whose documents were recomputed from their plans.
        problems: What is wrong, one sentence each.
    """

    entries: int = 0
    checkpoints: int = 0
    commits: int = 0
    root: str = ""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Records:
    """What of the ledger the log is compared with.

    Attributes:
        entries: Index, body text and stored leaf hash.
        kept: Size and note of the kept checkpoints.
        rows: Confirmed commits, newest first.
        corpus: Digest of the serving corpus as the ledger has it.
    """

    entries: Sequence[tuple[int, str, bytes]]
    kept: Sequence[tuple[int, str]]
    rows: Sequence[commits.CommitRow]
    corpus: str


def verify_log(workspace: Workspace, expect: str | None = None) -> LogReport:
    """Recompute the whole log and compare it with every signed tree head.

    Args:
        expect: A checkpoint kept elsewhere; the log must contain it.

    Raises:
        LogError: `expect` is no checkpoint of this log.
    """
    report = LogReport()
    records = read_records(workspace)
    leaves = check_tree(workspace, records, report)
    if expect is not None and (problem := check_expected(workspace, expect, leaves)):
        report.problems.append(problem)
    releases = ReleaseCheck(workspace, bodies(records.entries))
    for error in check_commits(workspace, records, report, releases.take):
        report.problems.append(error.message)
    report.problems += (
        releases.finish() if report.commits == len(records.rows) else releases.problems
    )
    report.problems += check_pending(workspace)
    return report


def check_pending(workspace: Workspace) -> list[str]:
    """Pending commits that recovery will refuse, a sentence each."""
    with workspace.ledger.reading() as conn:
        begun = commits.pending(conn)
    refusals = []
    for row in begun:
        try:
            workspace.committer.begun(row)
        except (LedgerError, VaultError) as error:
            refusals.append(error.message)
    return refusals


def read_records(workspace: Workspace) -> Records:
    """Log, checkpoints and commits, of one moment."""
    with workspace.ledger.reading() as conn:
        return Records(
            log.entries(conn),
            log.kept_checkpoints(conn),
            commits.listed(conn),
            corpus.corpus_digest(conn),
        )


def check_tree(workspace: Workspace, records: Records, report: LogReport) -> list[bytes]:
    """Recompute the tree and compare it with what was stored and signed.

    Returns:
        Leaf hashes of the entries as they are now.
    """
    public = workspace.checkpoint_key.public.public
    leaves: list[bytes] = []
    for position, (index, body, stored) in enumerate(records.entries):
        computed = merkle.leaf_hash(body.encode())
        if index != position:
            report.problems.append(f"entry {position} is missing")
        if computed != stored:
            report.problems.append(f"entry {index} was changed after it was logged")
        leaves.append(computed)
    report.entries = len(leaves)
    report.root = merkle.root(leaves).hex()
    for size, text in records.kept:
        problem = _check_head(text, size, leaves, workspace.origin, public)
        if problem:
            report.problems.append(problem)
        else:
            report.checkpoints += 1
    if not records.kept or records.kept[-1][0] != len(leaves):
        newest = records.kept[-1][0] if records.kept else 0
        report.problems.append(
            f"the newest checkpoint covers {newest} entries, the log has {len(leaves)}"
        )
    return leaves


def check_expected(workspace: Workspace, expect: str, leaves: Sequence[bytes]) -> str:
    """Compare the log with a checkpoint kept elsewhere; empty when it contains it.

    Raises:
        LogError: `expect` is no checkpoint of this log.
    """
    public = workspace.checkpoint_key.public.public
    head = signed_note.parse_checkpoint(dsse.open_note(expect, workspace.origin, public))
    if head.size > len(leaves) or merkle.root(leaves[: head.size]) != head.root:
        return (
            f"the log does not contain the checkpoint of size {head.size} kept elsewhere: it was "
            "truncated or rewritten"
        )
    return ""


def _check_head(text: str, size: int, leaves: Sequence[bytes], origin: str, public: bytes) -> str:
    try:
        head = signed_note.parse_checkpoint(dsse.open_note(text, origin, public))
    except LogError as error:
        return f"checkpoint {size}: {error.message}"
    if head.origin != origin or head.size != size:
        return f"checkpoint {size}: is of another log or size"
    if size > len(leaves):
        return f"checkpoint {size}: the log has only {len(leaves)} entries, it was truncated"
    if merkle.root(leaves[:size]) != head.root:
        return f"checkpoint {size}: the log below it was rewritten"
    return ""


def check_commits(
    workspace: Workspace,
    records: Records,
    report: LogReport,
    each: Callable[[commits.CommitRow, Plan, Entry], None] = lambda row, plan, entry: None,
) -> Iterator[LedgerError | VaultError]:
    """Compare every commit with its entry and its plan with what the entry commits to.

    Args:
        report: Counts the commits that agree.
        each: Called with each commit whose plan is the logged one, newest first.

    Yields:
        What is wrong: with the ledger, or with the vault where a plan cannot be read.
    """
    logged = logged_commits(records.entries)
    for row in records.rows:
        index, entry = logged.pop(row.id, (None, {}))
        if (entry.get("plan"), entry.get("corpus")) != (row.plan, row.corpus):
            yield LedgerError(f"commit {row.id} is not in the log as the ledger has it")
            continue
        if row.log_index != index:
            yield LedgerError(f"commit {row.id}: its log_index is not where the log has it")
        try:
            plan = load_plan(workspace.vault.get(row.plan))
        except VaultError as error:
            yield VaultError(f"commit {row.id}: {error.message}")
            continue
        except LedgerError as error:
            yield LedgerError(f"commit {row.id}: {error.message}")
            continue
        if plan.documents_root != entry.get("documents_root"):
            yield LedgerError(f"commit {row.id}: its documents are not those logged")
            continue
        report.commits += 1
        each(row, plan, entry)
    for number in logged:
        yield LedgerError(f"commit {number} is in the log, not in the ledger")
    if records.rows and records.rows[0].corpus != records.corpus:
        yield LedgerError("the serving corpus in the ledger is not what the last commit left")


def logged_commits(
    entries: Sequence[tuple[int, str, bytes]],
) -> dict[int, tuple[int, dict[str, Any]]]:
    """Index and entry about each commit; an entry that was changed may hold anything."""
    logged: dict[int, tuple[int, dict[str, Any]]] = {}
    for index, body in enumerate(bodies(entries)):
        if "plan" in body and isinstance(body.get("commit"), int):
            logged[body["commit"]] = (index, body)
    return logged


def bodies(entries: Sequence[tuple[int, str, bytes]]) -> Iterator[dict[str, Any]]:
    """Yield entries as objects; what is none any more is an empty one."""
    for _, text, _ in entries:
        yield log.read(text) or {}
