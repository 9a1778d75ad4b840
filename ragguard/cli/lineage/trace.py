"""`ragguard trace`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import FILE, OUTPUT, open_workspace, read_public
from ragguard.cli.output import emit, format_option, line, say

if TYPE_CHECKING:
    from ragguard.lineage.custody import Custody
    from ragguard.lineage.graph import Lineage
    from ragguard.lineage.retrieved import RetrievalTimes
    from ragguard.lineage.trace import TraceResult

SHOWN = 10  # companions named one by one


@click.command()
@click.argument("what", required=False)
@click.option("--query", help="Instead of WHAT: the question that was answered badly.")
@click.option("--answer", default="", help="With --query: the bad answer.")
@click.option("--judge", metavar="COMMAND", help="With --answer: what says who supports it.")
@click.option(
    "--judge-timeout",
    metavar="SECONDS",
    default=120.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Time the judge has for each lot of passages.",
)
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 200), help="Passages.")
@click.option("--export", type=OUTPUT, help="Also write the chains of custody as W3C PROV-JSON.")
@click.option("--signer", "signers", type=FILE, multiple=True, help="Key of a receipt's signer.")
@format_option
@click.pass_context
def trace(
    ctx: click.Context,
    what: str | None,
    query: str | None,
    answer: str,
    judge: str | None,
    judge_timeout: float,
    k: int,
    export: Path | None,
    signers: tuple[Path, ...],
    fmt: str,
) -> int:
    """Trace a document to its signer, or a bad answer to its documents.

    WHAT is source/document, a point id, or the file of a receipt. Every link of its chain of
    custody is verified; of each passage that a receipt names it is said whether it is still
    proved, and the key of a reader who signed it is given with --signer. With --query the passages
    are ranked by how much the answer rests on them; what else there is of their campaign, batch
    and signer is told with them, and apart from them what the corpus says otherwise. Where a
    retrieval log is kept it is said to which questions a document was given. What is compared does
    not tell false from true: you say which answer is wrong, whom it names is a suspect, and
    nothing is changed. Without --answer it ranks only.

    A judge gets lines of JSON (question, answer, passage) and prints a number in [0, 1] for each.

    \b
    Example:
      ragguard trace wiki/handbook.md
      ragguard trace --query "who signs invoices?" --answer "nobody"
    """
    from ragguard.errors import UsageError
    from ragguard.lineage import custody
    from ragguard.lineage import trace as job
    from ragguard.lineage.external_judge import command_judge
    from ragguard.lineage.prov import prov_json
    from ragguard.lineage.retrieved import retrieved
    from ragguard.trust.files import replace_file

    if (what is None) == (query is None):
        raise UsageError("give WHAT or --query", hint="ragguard trace --help")
    if answer and query is None:
        raise UsageError("--answer goes with --query")
    if judge is not None and not answer:
        raise UsageError("--judge goes with --query and --answer")
    if what is not None and Path(what).is_file():
        return _trace_receipt(ctx, Path(what), signers, fmt)
    asked = command_judge(judge, judge_timeout) if judge is not None else None
    from ragguard.lineage.document_graph import document_lineage

    with open_workspace(ctx) as workspace:
        workspace.recover()
        traced = None
        if query is not None:
            traced = job.trace_answer(workspace, query, answer, k, asked)
        names = [what] if what is not None else traced.documents if traced else []
        chains = [custody.trace_document(workspace, name) for name in names]
        graphs = [document_lineage(workspace, name) for name in names]
        times = retrieved(workspace, [f"{c.source}/{c.document}" for c in chains])
    if export is not None:
        body = prov_json([asdict(c) for c in chains])
        replace_file(export, json.dumps(body, indent=1).encode() + b"\n", shared=True)
    broken = any(c.problems for c in chains) or any(g.wrong for g in graphs)
    if fmt != "table":
        emit(
            fmt, {**_body(chains, traced, graphs), "retrieved": [asdict(usage) for usage in times]}
        )
    else:
        if traced is not None:
            _tell_answer(traced, answer)
        for chain, graph in zip(chains, graphs, strict=True):
            _tell_chain(chain)
            _tell_graph(graph)
        for usage in times:
            _tell_retrieved(usage)
    return 3 if broken else int(bool(traced and traced.documents))


def _trace_receipt(ctx: click.Context, path: Path, signers: tuple[Path, ...], fmt: str) -> int:
    """Tell whether the passages that a receipt names are still proved."""
    from ragguard.lineage import receipts
    from ragguard.lineage.answer_graph import answer_lineage

    known = {k.keyid: k for k in map(read_public, signers)}
    with open_workspace(ctx) as workspace:
        workspace.recover()
        verified = receipts.verify_receipt(path.read_bytes(), workspace.log_key, known)
        graph = answer_lineage(workspace, path.read_bytes(), known)
        before = receipts.then(workspace, verified)
        today = receipts.now(workspace, verified)
    gone, forged = any(p.wrong for p in today), any(p.wrong for p in before)
    if fmt != "table":
        rows = [
            {"rank": a.rank, "document": a.document, "then": a.wrong, "now": b.wrong}
            for a, b in zip(before, today, strict=True)
        ]
        told = {"question": verified.receipt.question, "passages": rows}
        emit(fmt, told | {"lineage": graph.as_dict()})
        return 3 if forged else int(gone)
    for old, new in zip(before, today, strict=True):
        was = f"was NOT GOOD: {line(old.wrong)}" if old.wrong else "was good"
        say(f"{old.rank}. {line(old.document)}: {was}, {'is no more' if new.wrong else 'is still'}")
        if new.wrong:
            say(f"   {line(new.wrong)}")
    if not today:
        say(f"it gave no passage: {line(verified.receipt.abstained)}")
    return 3 if forged else int(gone)


def _body(
    chains: list[Custody], traced: TraceResult | None, graphs: list[Lineage]
) -> dict[str, Any]:
    return {
        "responsible": traced.documents if traced else [],
        "otherwise": list(dict.fromkeys(p.hit.document for p in traced.otherwise))
        if traced
        else [],
        "waiting": list(traced.waiting) if traced else [],
        "passages": [
            {
                "rank": p.hit.rank,
                "similarity": p.hit.similarity,
                "point": p.hit.point,
                "document": p.hit.document,
                "text": p.hit.text,
                "score": p.score,
                "held": p.held,
                "strange": p.strange,
                "dependence": p.dependence,
                "alone": p.alone,
                "responsible": p.responsible,
                "otherwise": p.otherwise,
            }
            for p in (traced.passages if traced else ())
        ],
        "companions": [
            {**asdict(c), "why": list(c.why)} for c in (traced.companions if traced else ())
        ],
        "documents": [asdict(c) for c in chains],
        "lineages": [graph.as_dict() for graph in graphs],
    }


def _tell_answer(traced: TraceResult, answer: str) -> None:
    for passage in traced.passages:
        if passage.otherwise:
            continue
        mark = "RESPONSIBLE" if passage.responsible else "retrieved"
        say(
            f"{mark} {passage.hit.document}  score {passage.score:.2f}, rank {passage.hit.rank}, "
            f"similarity {passage.hit.similarity:.2f}, dependence {passage.dependence:.0%}"
        )
        text = line(passage.hit.text)
        say(f"   {text[:200]}{'…' if len(text) > 200 else ''}")
    for passage in traced.otherwise:
        say(f"says otherwise {passage.hit.document}  rank {passage.hit.rank}")
        text = line(passage.hit.text)
        say(f"   {text[:200]}{'…' if len(text) > 200 else ''}")
    for name in traced.waiting:
        say(f"waits in quarantine, and states the answer: {name}")
    if answer and not traced.documents:
        say("the answer rests on no passage retrieved: read them, or give more (-k)")
    if not answer and traced.passages:
        say("without --answer this is a ranking, most suspicious first, and accuses nobody")
    for companion in traced.companions[:SHOWN]:
        say(f"beside it: {companion.document} in {companion.zone} ({', '.join(companion.why)})")
    if len(traced.companions) > SHOWN:
        say(f"and {len(traced.companions) - SHOWN} more (--format json)")
    if traced.documents:
        say("next: read them; what is wrong goes out with")
        say("  ragguard quarantine hold SOURCE/DOCUMENT... --reason TEXT")
    elif traced.waiting:
        say("next: ragguard quarantine show SOURCE/DOCUMENT")
    elif not answer and traced.passages:
        say("next: the same with --answer TEXT names what the answer rests on")


def _tell_retrieved(usage: RetrievalTimes) -> None:
    say(f"{line(usage.document)} was found {usage.answers} times, by {usage.questions} questions:")
    for retrieval in usage.last[-SHOWN:]:
        how = "given" if retrieval.given else "found, not given"
        say(f"  {retrieval.at} {how}, question {retrieval.question}")


def _tell_chain(chain: Custody) -> None:
    say(f"{chain.source}/{chain.document}, sha256 {chain.digest}, now in {chain.zone or 'no zone'}")
    by = ", ".join(name for _, name in chain.manifest["signers"]) or "nobody"
    say(f"  manifest {chain.manifest['digest'][:16]}… signed by {by}")
    if chain.revoked:
        say(f"  revoked since: {', '.join(k[:16] + '…' for k in chain.revoked)}")
    for version in chain.versions:
        why = ", ".join(f["check"] for f in version["findings"])
        say(
            f"  commit {version['commit']}: {version['outcome']}, score {version['score']:.2f}"
            + (f" ({why})" if why else "")
        )
    for decision in chain.decisions:
        say(
            f"  case {decision['case']}: {decision['action']} by {decision['reviewer']} "
            f"({decision['reason']})"
        )
    sealed = sum(p["sealed"] for p in chain.points)
    say(f"  {sealed} of {len(chain.points)} points are as they were written")
    if chain.proof:
        say(f"  proved by the signed checkpoint of {chain.proof['size']} entries")
    for problem in chain.problems:
        say(f"  PROBLEM: {problem}")


def _tell_graph(graph: Lineage) -> None:
    unproved = graph.count("unproved")
    rest = f", {unproved} not proved" if unproved else ""
    say(f"  {graph.count('verified')} of {len(graph.steps)} steps verified{rest}")
    for step in graph.wrong:
        say(f"  WRONG: {line(step.label)}: {line(step.reason)}")
