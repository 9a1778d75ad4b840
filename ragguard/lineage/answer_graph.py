"""Draw the lineage of an answer: its receipt, the checkpoint, each passage then and now."""

from __future__ import annotations

from collections.abc import Mapping

from ragguard.errors import LogError
from ragguard.lineage import receipts
from ragguard.lineage.graph import Lineage, Sketch, State, unproved, verified, wrong
from ragguard.lineage.logged import LogNodes
from ragguard.model import PublicKey
from ragguard.trust.canonical import digest_bytes, format_time
from ragguard.workspace import Workspace


def answer_lineage(workspace: Workspace, data: bytes, signers: Mapping[str, PublicKey]) -> Lineage:
    """Verify what an answer rested on, then and now.

    Args:
        workspace: Open; the index is read.
        signers: Keys of readers that may have signed it, by key id; the log's may always.

    Raises:
        SignatureError, MalformedError, PredicateError: No receipt that one of these keys signed.
        LogError: Its checkpoint is not one of this log's.
        UsageError: Nothing was ingested yet.
    """
    proved = receipts.verify_receipt(data, workspace.log_key, signers)
    receipt = proved.receipt
    sketch = Sketch()
    logged = LogNodes(workspace, sketch)
    facts = {
        "question": receipt.question,
        "at": format_time(receipt.at),
        "signed_by": list(proved.signed_by),
        "entries": proved.size,
        "generation": receipt.basis.generation,
        "refused": receipt.refused,
        "abstained": receipt.abstained or None,
    }
    lost = ""
    try:
        then = {p.rank: p.wrong for p in receipts.then(workspace, proved)}
    except LogError as error:
        lost, then = error.message, {}
    now = {p.rank: p.wrong for p in receipts.now(workspace, proved)}
    checked = wrong(lost) if lost else verified("signed, over a checkpoint that the log contains")
    label = f"receipt of {format_time(receipt.at)}"
    top = sketch.add("receipt", digest_bytes(data), label, checked, facts)
    sketch.link(top, "contained in", logged.checkpoint)
    for hit in receipt.hits:
        rank = int(hit["rank"])
        about = {
            **{k: hit[k] for k in ("rank", "document", "digest", "manifest", "point")},
            "similarity": hit["similarity"],
            "then": then.get(rank) or None,
            "now": now.get(rank) or None,
        }
        name = sketch.add(
            "passage",
            rank,
            f"{rank}. {hit['document']}",
            _check(lost, then.get(rank, ""), now.get(rank, "")),
            about,
        )
        sketch.link(name, "named by", top)
        sketch.link(name, "served since", logged.add(int(hit["commit"])))
    return sketch.finish(receipt.question, "answer", top)


def _check(lost: str, then: str, now: str) -> tuple[State, str]:
    if lost:
        return unproved("the log does not contain the receipt's checkpoint")
    if then:
        return wrong(f"it was not good then: {then}")
    if now:
        return unproved(f"it was good then, and is not proved today: {now}")
    return verified("it was good then, and is proved today")
