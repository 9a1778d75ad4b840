"""Verify the log as `log verify` does, and the ledger against it, as findings.

- `log-broken`: an entry, a leaf or a signed tree head is not what was logged and signed.
- `log-rolled-back`: the checkpoint that somebody kept elsewhere is not in this log.
- `ledger-inconsistent`: commits, verdicts, membership, seals, cases, decisions, denials or trust
  roots are not what the logged acts add up to, a commit is pending that this workspace did not
  plan, or a document was released and no reviewer said so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragguard.audit.findings import AuditFinding, FindingFold
from ragguard.audit.replay import Replay
from ragguard.corpus import log_check
from ragguard.corpus.log_check import LogReport, Records
from ragguard.corpus.release_check import ReleaseCheck
from ragguard.errors import LogError, VaultError
from ragguard.ledger import audit_queries, commits
from ragguard.ledger.commits import CommitRow
from ragguard.ledger.writer import Plan
from ragguard.trust.canonical import digest, digest_bytes
from ragguard.workspace import Workspace

SENTENCES = {
    "log-broken": "things are wrong with the log",
    "log-rolled-back": "checkpoints kept elsewhere are not in the log",
    "ledger-inconsistent": "things in the ledger are not what its log says",
    "vault-damaged": "plans of commits cannot be read",
}


def check_log(workspace: Workspace, expected_checkpoint: str | None = None) -> list[AuditFinding]:
    """Verify log and ledger.

    Args:
        expected_checkpoint: A signed checkpoint kept outside, as text; the log must contain it.

    Returns:
        Findings; empty when log, checkpoints, plans and ledger agree.
    """
    fold = FindingFold(SENTENCES)

    def found(rule: str, detail: str) -> None:
        fold.add(AuditFinding(rule, detail, about=detail))

    report = LogReport()
    records = log_check.read_records(workspace)
    leaves = log_check.check_tree(workspace, records, report)
    for problem in report.problems:
        found("log-broken", f"log: {problem}")
    if expected_checkpoint is not None:
        try:
            older = log_check.check_expected(workspace, expected_checkpoint, leaves)
        except LogError as error:  # signed by another key, or damaged: it proves nothing
            older = f"the checkpoint kept elsewhere is none of this log ({error.message})"
        if older:
            found("log-rolled-back", older)
    replay = Replay(workspace)
    releases = ReleaseCheck(workspace, log_check.bodies(records.entries))

    def take(row: CommitRow, plan: Plan, entry: Mapping[str, Any]) -> None:
        replay.take(row, plan, entry)
        releases.take(row, plan, entry)

    for wrong in log_check.check_commits(workspace, records, report, take):
        damaged = isinstance(wrong, VaultError)
        found("vault-damaged" if damaged else "ledger-inconsistent", wrong.message)
    if report.commits == len(records.rows):  # else what is missing would be told many times over
        replay.finish()
        releases.finish()
    told = [*replay.problems, *releases.problems, *log_check.check_pending(workspace)]
    for problem in [*told, *_trust(workspace, records)]:
        found("ledger-inconsistent", f"ledger: {problem.removeprefix('ledger: ')}")
    return fold.findings()


def _trust(workspace: Workspace, records: Records) -> list[str]:
    """Trust roots and recipe against what was logged and what they are called."""
    with workspace.ledger.reading() as conn:
        roots = audit_queries.all_roots(conn)
        recipes = {
            g.recipe: commits.recipe_body(conn, g.recipe)
            for g in audit_queries.all_generations(conn)
        }
    problems = [
        f"trust root {version} is not the one of its digest"
        for version, envelope, name in roots
        if digest_bytes(envelope) != name
    ]
    wanted = _logged_roots(records.entries)
    if wanted != {version: name for version, _, name in roots}:
        odd = sorted(set(wanted.items()) ^ {(v, name) for v, _, name in roots})
        problems.append(f"trust roots are not the ones logged (version {odd[0][0]})")
    for name, body in recipes.items():
        if digest({k: v for k, v in body.items() if k != "digest"}) != name:
            problems.append(f"recipe {name[:12]}… was changed")
    return problems


def _logged_roots(entries: Sequence[tuple[int, str, bytes]]) -> Mapping[int, str]:
    roots: dict[int, str] = {}
    for body in log_check.bodies(entries):
        if body.get("act") == "init":
            roots[1] = str(body.get("trust_root"))
        elif "root" in body and isinstance(body.get("version"), int):
            roots[body["version"]] = str(body["root"])
    return roots
