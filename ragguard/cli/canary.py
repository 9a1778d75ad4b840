"""`ragguard canary`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ragguard.cli.context import FILE, NEW_FOLDER, OUTPUT, open_workspace
from ragguard.cli.output import emit, format_of_one_option, note, say, short, table
from ragguard.errors import UsageError

if TYPE_CHECKING:
    from ragguard.canary import Canaries, Comparison, Run
    from ragguard.workspace import Workspace

SHOWN = 10  # queries of a table
_k = click.option(
    "-k",
    default=10,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Documents for each query.",
)


@click.group()
def canary() -> None:
    """Ask queries whose answers are known, and watch what they answer."""


@canary.command()
@click.argument("files", type=FILE, nargs=-1, metavar="[FILE]...")
@click.option("--qrels", type=FILE, multiple=True, help="Which documents answer: TREC qrels.")
@click.option("--must-not", type=FILE, multiple=True, help="JSON lines of documents and patterns.")
@click.option("--trigger", "triggers", multiple=True, help="Text known to bring poison up.")
@click.option("--prefix", default="", help="Put before ids of documents, such as wiki/.")
@click.option("--replace", is_flag=True, help="Begin a new set; the old one is left out.")
@click.pass_context
def add(
    ctx: click.Context,
    files: tuple[Path, ...],
    qrels: tuple[Path, ...],
    must_not: tuple[Path, ...],
    triggers: tuple[str, ...],
    prefix: str,
    replace: bool,
) -> None:
    """Add queries, what answers them, and what must never appear.

    A FILE holds queries: JSON lines with id and text, or id, tab and text.

    \b
    Example:
      ragguard canary add queries.jsonl --qrels qrels.trec --prefix wiki/
      ragguard canary add --must-not poison.jsonl --trigger "cf mn bb"
    """
    from ragguard import canary as canaries
    from ragguard.canary import formats

    if not (files or qrels or must_not or triggers):
        raise UsageError("nothing to add", hint="ragguard canary add --help")
    with open_workspace(ctx) as workspace:
        canary_set = canaries.Canaries() if replace else canaries.in_force(workspace)
        canary_set = canary_set or canaries.Canaries()
        for path in files:
            canary_set = canaries.merge(canary_set, formats.read_queries(path, prefix))
        for path in qrels:
            canary_set = canaries.merge(
                canary_set, canaries.Canaries(qrels=formats.read_qrels(path, prefix))
            )
        for path in must_not:
            forbidden = formats.read_must_not(path, prefix)
            canary_set = canaries.merge(canary_set, canaries.Canaries(forbidden=forbidden))
        canary_set = canaries.merge(canary_set, canaries.Canaries(triggers=triggers))
        digest = canaries.keep(workspace, canary_set)
    say(f"{_size(canary_set)}, set {digest[:12]}…")
    say("next: ragguard canary run")


def _size(suite: Canaries) -> str:
    judged = sum(any(g > 0 for g in grades.values()) for grades in suite.qrels.values())
    return (
        f"{len(suite.queries)} queries ({judged} judged), {len(suite.forbidden)} must-not entries, "
        f"{len(suite.triggers)} triggers"
    )


def _in_force(workspace: Workspace) -> Canaries:
    from ragguard import canary as canaries

    canary_set = canaries.in_force(workspace)
    if canary_set is None:
        raise UsageError(
            "this workspace has no canary queries",
            hint="`ragguard canary add`, or `ragguard canary suggest` to derive some.",
        )
    return canary_set


@canary.command(name="list")
@format_of_one_option
@click.pass_context
def list_(ctx: click.Context, fmt: str) -> None:
    """List the set in force.

    \b
    Example:
      ragguard canary list
    """
    with open_workspace(ctx, exclusive=False) as workspace:
        canary_set = _in_force(workspace)
    if fmt == "json":
        emit(
            "json",
            {
                "digest": canary_set.digest,
                "queries": dict(canary_set.queries),
                "qrels": {query: dict(grades) for query, grades in canary_set.qrels.items()},
                "forbidden": [entry.__dict__ for entry in canary_set.forbidden],
                "triggers": list(canary_set.triggers),
            },
        )
        return
    say(f"{_size(canary_set)}, set {canary_set.digest[:12]}…")
    rows = [
        [query, text, ", ".join(n for n, g in canary_set.qrels.get(query, {}).items() if g > 0)]
        for query, text in canary_set.queries.items()
    ]
    rows += [
        [entry.query or "(any)", f"must not: {entry.name}", entry.reason]
        for entry in canary_set.forbidden
    ]
    rows += [["(trigger)", text, ""] for text in canary_set.triggers]
    table(["query", "text", "answered by"], rows)


@canary.command()
@click.option(
    "-n", "count", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Queries."
)
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same queries.")
@click.option("-o", "--output", type=OUTPUT, help="File to write, to look through and then add.")
@click.option("--add", "take", is_flag=True, help="Add them at once.")
@click.pass_context
def suggest(ctx: click.Context, count: int, seed: int, output: Path | None, take: bool) -> None:
    """Derive queries from clean documents.

    No document that is suspect, was held back or came lately gives a query.

    \b
    Example:
      ragguard canary suggest -n 50 -o queries.jsonl
    """
    from ragguard import canary as canaries
    from ragguard.canary import formats
    from ragguard.trust.files import replace_file

    with open_workspace(ctx) as workspace:
        workspace.recover()
        draft = canaries.suggest(workspace, count, seed)
        if take:
            old = canaries.in_force(workspace) or canaries.Canaries()
            canaries.keep(workspace, canaries.merge(old, draft.canaries))
    note(
        f"{len(draft.canaries.queries)} queries of {draft.documents} documents; {draft.held_apart}"
    )
    text = formats.dump_queries(draft.canaries)
    if output is not None:
        replace_file(output, text.encode(), shared=True)
        say(f"{short(output)}: {len(draft.canaries.queries)} queries")
    elif not take:
        say(text.rstrip("\n"))
    if take:
        say("next: ragguard canary run")
    elif output is not None:
        say(f"next: look through it, then ragguard canary add {short(output)}")


@canary.command()
@click.argument("folder", type=NEW_FOLDER)
@click.option(
    "-n", "count", default=3, show_default=True, type=click.IntRange(1, 1000), help="Documents."
)
def plant(folder: Path, count: int) -> None:
    """Write honeytokens into FOLDER: documents that no honest question finds.

    Sign them as a source of their own whose contract says so. Readers are never given them; when
    one is found, that is an alarm.

    \b
    Example:
      ragguard canary plant register -n 3
      ragguard trust add ada.pub --source register
      ragguard trust policy register --set honeytoken=true
      ragguard sign register --source register --key ada.key -o r.intoto.json
      ragguard ingest r.intoto.json --root register
    """
    from ragguard.canary.honeytokens import make
    from ragguard.trust.files import replace_file

    honeytokens = make(count)
    for name, text in honeytokens.items():
        replace_file(folder / name, text.encode(), shared=True)
    say(f"{short(folder)}: {', '.join(honeytokens)}")
    say("next: a source of its own, named as an ordinary one, and")
    say("  ragguard trust policy SOURCE --set honeytoken=true   before it is ingested")


@canary.command()
@click.option(
    "--keep",
    default=0.95,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the queries with a known answer that are still to be answered.",
)
@format_of_one_option
@click.pass_context
def floor(ctx: click.Context, keep: float, fmt: str) -> None:
    """Suggest the similarity below which the guarded retriever gives no passage.

    The queries of the set are asked, and those counted whose answers hold a relevant document.

    \b
    Example:
      ragguard canary floor --keep 0.98
    """
    from ragguard import canary as canaries
    from ragguard.canary.floor import suggest_floor

    with open_workspace(ctx) as workspace:
        workspace.recover()
        advice = suggest_floor(canaries.run(workspace, _in_force(workspace)), keep)
    if fmt == "json":
        emit("json", vars(advice))
        return
    say(
        f"floor {advice.floor:.2f}: {advice.kept} of {advice.queries} answered queries are answered"
    )
    if advice.unanswered:
        say(f"  {advice.stopped} of {advice.unanswered} that nothing answers are stopped by it")
    say(f"next: [retriever] floor = {advice.floor:.2f} in ragguard.toml")


@canary.command()
@_k
@click.option("--run-file", type=OUTPUT, help="Write the answers as a TREC run.")
@click.option("--exit-zero", is_flag=True, help="Exit 0 where it would be 1.")
@format_of_one_option
@click.pass_context
def run(ctx: click.Context, k: int, run_file: Path | None, exit_zero: bool, fmt: str) -> int:
    """Ask the serving index all canary queries, exactly.

    Exit 1 when something appears that must not, or a trigger is alive.

    \b
    Example:
      ragguard canary run --run-file before.run
    """
    from ragguard import canary as canaries
    from ragguard.canary import formats
    from ragguard.canary.honeytokens import found_planted
    from ragguard.trust.files import replace_file

    with open_workspace(ctx) as workspace:
        workspace.recover()
        asked = _in_force(workspace)
        canary_run = canaries.run(workspace, asked, k)
        sources = workspace.root.sources.values()
        planted = [source.name for source in sources if source.policy.honeytoken]
    for hit in found_planted(canary_run, planted):
        note(
            f"planted {hit.document} is found by {hit.query} (rank {hit.rank}): honest questions "
            "like it would alarm"
        )
    if run_file is not None:
        replace_file(run_file, formats.dump_run(canary_run.rankings).encode(), shared=True)
        note(f"{short(run_file)}: {len(canary_run.rankings)} queries")
    if fmt == "json":
        emit("json", canary_run.as_dict())
    else:
        _show_run(canary_run, asked)
    return 1 if (canary_run.forbidden or canary_run.alive) and not exit_zero else 0


def _show_run(canary_run: Run, asked: Canaries) -> None:
    from ragguard.canary.measures import NDCG
    from ragguard.canary.result import told

    figures = "  ".join(f"{name} {value:.3f}" for name, value in canary_run.means.items())
    say(f"{canary_run.name}: {len(canary_run.rankings)} queries, {len(canary_run.qrels)} judged")
    say(f"  {figures}" if figures else "  no query is judged: add qrels to measure quality")
    if canary_run.latency_ms is not None and canary_run.rankings:
        say(f"  {canary_run.latency_ms:.1f} ms a query, exact search")
    if canary_run.dropped:
        say(
            f"  {len(canary_run.dropped)} relevant documents are not in the index and were dropped:"
        )
        for query, name in canary_run.dropped[:SHOWN]:
            say(f"    {query}: {name}")
    worst = sorted(canary_run.measures.get(NDCG, {}).items(), key=lambda pair: (pair[1], pair[0]))
    missed = [query for query, value in worst if value < 1][:SHOWN]
    if missed:
        table(
            ["query", NDCG, "text"],
            [[q, f"{canary_run.measures[NDCG][q]:.2f}", asked.queries[q]] for q in missed],
            right=frozenset({NDCG}),
        )
    for hit in canary_run.forbidden:
        say(f"MUST NOT APPEAR: {told(hit)}")
    for trigger in canary_run.triggers or ():
        state = f"ALIVE: {trigger.reason} ({trigger.document})" if trigger.alive else "not alive"
        say(f"trigger {trigger.text!r}: {state}")
    if canary_run.forbidden:
        say("next: ragguard audit, and ragguard log prove DOCUMENT to see where it came from")


@canary.command()
@click.argument("before")
@click.argument("after")
@_k
@click.option(
    "--tolerance",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Mean loss of a measure that is let pass.",
)
@click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
@format_of_one_option
@click.pass_context
def compare(
    ctx: click.Context, before: str, after: str, k: int, tolerance: float, seed: int, fmt: str
) -> int:
    """Hold the answers of AFTER against those of BEFORE.

    Each is a TREC run file, the number of a generation, `serving`, or `ranked`: what serves, ranked
    by provenance too, by as much as `[retriever] ranking` says, or 0.1 where that is off. Exit 4
    when the gate would refuse AFTER: something must not appear, a trigger is alive, or it answers
    worse. Of two generations it also says how labels and vectors changed.

    \b
    Example:
      ragguard canary compare before.run serving
      ragguard canary compare serving ranked
    """
    from ragguard import canary as canaries
    from ragguard.rebuild.compare import contrast, lines

    with open_workspace(ctx) as workspace:
        workspace.recover()
        asked = _in_force(workspace)
        sides = [_side(workspace, asked, name, k) for name in (before, after)]
        compared = None
        if None not in (sides[0].triggers, sides[1].triggers):  # two collections, no run file
            compared = contrast(workspace.open_store(), sides[0].name, sides[1].name)
    comparison = canaries.compare(sides[0], sides[1], seed=seed)
    reasons = canaries.gate(comparison, tolerance)
    if fmt == "json":
        body: dict[str, Any] = {**comparison.as_dict(), "tolerance": tolerance, "refused": reasons}
        emit("json", {**body, "compared": None if compared is None else compared.as_dict()})
    else:
        for text in () if compared is None else lines(compared):
            say(text)
        _show_comparison(comparison, reasons)
    return 4 if reasons else 0


def _side(workspace: Workspace, asked: Canaries, name: str, k: int) -> Run:
    """Return a run of a generation, or one that was written down."""
    from ragguard import canary as canaries
    from ragguard.canary import formats
    from ragguard.ledger import audit_queries, versions

    if name == "serving":
        return canaries.run(workspace, asked, k)
    if name == "ranked":
        from ragguard.serving.ranking import MOST_BOUND, DocumentRanker

        bound = workspace.settings.retriever.ranking or MOST_BOUND
        return canaries.run(workspace, asked, k, ranker=DocumentRanker(workspace, bound))
    if name.isdecimal():
        with workspace.ledger.reading() as conn:
            known = {g.id: g for g in audit_queries.all_generations(conn)}
        generation = known.get(int(name))
        if generation is None or not workspace.open_store(repair=False).exists(generation.serving):
            raise UsageError(f"generation {name}: there is none, or it was dropped")
        if generation.recipe != workspace.encoder.recipe.digest:
            raise UsageError(
                f"generation {name}: was built with another recipe than this workspace has now",
                hint="Compare a run file of it: `ragguard canary run --run-file FILE`.",
            )
        return canaries.run(workspace, asked, k, collection=generation.serving)
    if not Path(name).is_file():
        raise UsageError(
            f"{name}: no such run file, and no generation",
            hint="Expected a TREC run file, the number of a generation, `serving` or `ranked`.",
        )
    with workspace.ledger.reading() as conn:
        there = versions.members(conn, "serving").keys()
    return canaries.judged(name, asked, k, formats.read_run(Path(name)), there)


def _show_comparison(comparison: Comparison, reasons: list[str]) -> None:
    if comparison.differences:
        table(
            ["measure", "before", "after", "difference", "95 %", "p worse"],
            [
                [
                    name,
                    f"{d.before:.4f}",
                    f"{d.after:.4f}",
                    f"{d.paired.mean:+.4f}",
                    f"{d.paired.low:+.4f} to {d.paired.high:+.4f}",
                    "-" if d.p_value is None else f"{d.p_value:.3f}",
                ]
                for name, d in comparison.differences.items()
            ],
        )
    say(
        f"overlap@{comparison.k} {comparison.overlap:.3f}, rank-biased overlap {comparison.rbo:.3f}"
    )
    times = (comparison.before.latency_ms, comparison.after.latency_ms)
    if None not in times:
        say(f"{times[0]:.1f} ms a query before, {times[1]:.1f} ms after")
    if comparison.dropped:
        say(f"{len(comparison.dropped)} relevant documents are not in both and were dropped")
    for text in comparison.eliminated:
        say(f"trigger {text!r}: eliminated")
    changed = [q for q in comparison.queries if q.loss or q.rbo < 1]
    if changed:
        table(
            ["query", "nDCG lost", "overlap", "RBO", "first before", "first after"],
            [
                [
                    *(q.query, f"{q.loss:+.3f}", f"{q.overlap:.2f}", f"{q.rbo:.2f}"),
                    *(", ".join(names[:1]) for names in (q.left, q.right)),
                ]
                for q in changed[:SHOWN]
            ],
        )
    for side in (comparison.before, comparison.after):
        if side.triggers is None:
            say(f"note: {side.name} is a run file: patterns and triggers were not looked for in it")
    for reason in reasons:
        say(f"REFUSED: {reason}")
    if not reasons:
        say("the gate would let it pass")
