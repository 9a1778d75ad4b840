"""Adopt documents of a collection that ragguard never wrote, as an unsigned source.

Nobody speaks for such documents, and everything says so: the record that stands in place of a
manifest has no signers, every document has the finding `unsigned`. Their text is taken and chunked
anew. A vector in a foreign index need not be the embedding of its text: vectors are kept only where
the model of the recipe proves to have made them (`adopt_vectors`), and else made anew.

- mode `quarantine`: every document waits for a reviewer, with what the checks say of it.
- mode `trust` (trust on first use): documents are judged like newcomers, and those that pass are
  admitted; so are those that wait only because nobody signed them.

Running it again adds what is new or changed, and removes nothing. Once a source has a signed
manifest nothing more is adopted into it; a signed document replaces the adopted one of its id.
See docs/adr/0013-adopting-unsigned.md and docs/adr/0038-kept-vectors.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Literal

from ragguard.corpus import changes
from ragguard.corpus.documents import IncomingDocument
from ragguard.corpus.embed import EmbeddedDocument, Given, embed, take_apart
from ragguard.corpus.spans import traced
from ragguard.corpus.state import SourceState, state_of
from ragguard.errors import UsageError
from ragguard.ingest.admission import sort_out, stands
from ragguard.ingest.adopt_documents import ForeignPiece, documents_of, look_alikes
from ragguard.ingest.adopt_vectors import Claims
from ragguard.ingest.report import ManifestResult, Report
from ragguard.ingest.verdicts import Pulled, judge_documents
from ragguard.ledger import commits, versions
from ragguard.ledger.commits import ManifestRow
from ragguard.ledger.versions import VersionRow
from ragguard.model import Finding, Floats, Policy, Progress, Verdict
from ragguard.store.foreign import ForeignCollection
from ragguard.store.foreign_layout import Layout, detect, read
from ragguard.trust import adoption, root, scope
from ragguard.trust.canonical import digest, digest_bytes, format_time
from ragguard.trust.manifest import is_source_name
from ragguard.workspace import Workspace

Mode = Literal["quarantine", "trust"]
UNSIGNED = "unsigned"  # check name of the finding that every adopted document has
ACTOR = "nobody"  # who signed


@dataclass
class AdoptResult:
    """What an adoption did.

    Attributes:
        layout: Where text, metadata and documents were found.
        points: Points that were read.
        left_out: Points that are in no document, and passages that were cut, by reason.
        report: As of an ingest; its one entry of `manifests` is the record of the adoption.
    """

    layout: Layout
    points: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    report: Report = field(default_factory=Report)


@traced("adopt", lambda adopted: adopted.report.told())
def adopt(
    workspace: Workspace,
    foreign: ForeignCollection,
    source: str,
    mode: Mode = "quarantine",
    *,
    text: str = "",
    metadata: str = "",
    document: str = "",
    re_embed: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> AdoptResult:
    """Take the documents of a foreign collection into a workspace, unsigned.

    Args:
        workspace: Open and locked.
        foreign: Open collection; nothing is written to it.
        source: Name of the unsigned source they become.
        mode: `quarantine`, or `trust` on first use.
        text: Path of the text, if it is not to be found out.
        metadata: Path of the metadata, likewise.
        document: Path of the document id, likewise.
        re_embed: Embed everything anew, whatever vectors the collection has.

    Returns:
        What was done.

    Raises:
        UsageError: No such source name, one with signed manifests, or no text is found.
        StoreError: The collection does not answer, or is damaged.
    """
    if not is_source_name(source):
        raise UsageError(
            f"source {source!r}: 1 to 64 of a-z, 0-9, '_', '.', '-'", hint="Such as `legacy`."
        )
    report = Report(pages_drawn=workspace.settings.parse.render != "rules")
    if not dry_run:
        with report.timed("recover"):
            report.recovered = workspace.recover()
    with workspace.ledger.reading() as conn:
        if commits.last_manifest(conn, source) is not None:
            raise UsageError(
                f"source {source!r} has signed manifests: nothing unsigned comes into it",
                hint="Choose another name for what is adopted, such as `legacy`.",
            )
    known = workspace.root.sources.get(source)
    contract = known.policy if known is not None else Policy()
    demanded = scope.enforced(workspace.root, contract)
    with report.timed("read"):
        layout = detect(foreign.sample(), text=text, metadata=metadata, document=document)
        adopted = AdoptResult(layout, report=report)
        claims = Claims(foreign.dimensions, workspace.settings.chunks.size)
        taken = None if re_embed else claims
        items = _gather(workspace, foreign, source, demanded, adopted, taken, progress)
    given: Given | None = None
    if not re_embed:
        given, report.vectors = partial(_proved, workspace, claims), claims.report
    standing = state_of(workspace, source)
    rules = digest([UNSIGNED, root.judged_under(contract)])
    settled, fresh = sort_out(workspace, items, standing, rules)
    with workspace.ledger.reading() as conn:
        refused = _refused_before(versions.latest(conn, source), fresh, rules)
    settled.update(refused)
    fresh = [i for i in fresh if i.document.id not in refused]
    verdicts, embedded, pulled = judge_documents(
        workspace, fresh, contract, standing, dry_run, report, progress, given=given
    )
    if mode == "trust":
        waiting = {n for n, v in settled.items() if v.outcome == "quarantine" and passed(v)}
        verdicts.update((name, _admitted(settled[name])) for name in waiting)
        again = [i for i in items if i.document.id in waiting]
        embedded.update(_embedded(workspace, again, dry_run, given))
        fresh += again
    alike = look_alikes(items)
    place = f"{foreign.name} at {foreign.place}"
    for item in fresh:
        name = item.document.id
        texts = embedded[name].text_digests if name in embedded else ()
        claimed = sum(text in claims.kept for text in texts)
        verdicts[name] = _unsigned(verdicts[name], mode, place, alike.get(name, ""), claimed)
    result = ManifestResult(foreign.place, source=source, note=_note(adopted))
    if fresh and not dry_run:
        with report.timed("commit"):
            result = _commit(
                workspace,
                foreign,
                mode,
                [(i, verdicts[i.document.id]) for i in fresh],
                embedded,
                standing,
                rules,
                adopted,
                len(items) - len(fresh),
                pulled,
                report.judged_until,
                result,
            )
        with report.timed("index"):
            workspace.maintain()
    report.pulled.extend(verdict for _, verdict in pulled)
    report.documents.extend(verdicts.get(i.document.id) or settled[i.document.id] for i in items)
    report.manifests.append(result)
    return adopted


def _gather(
    workspace: Workspace,
    foreign: ForeignCollection,
    source: str,
    contract: Policy,
    adopted: AdoptResult,
    claims: Claims | None,
    progress: Progress,
) -> list[IncomingDocument]:
    """Read every point; documents in the order of their ids."""
    passages: dict[str, list[ForeignPiece]] = {}
    left_out: Counter[str] = Counter()
    total = foreign.count()
    for block in foreign.scan():
        for point in block:
            adopted.points += 1
            passage = read(point, adopted.layout)
            left_out.update(passage.faults)
            if passage.text.strip():
                piece = ForeignPiece(point.id, passage.text, passage.metadata, passage.start)
                passages.setdefault(passage.document, []).append(piece)
                if claims is not None and not point.fault:
                    claims.add(passage.text, point.vector)
        progress("read", adopted.points, total)
    adopted.left_out = dict(sorted(left_out.items()))
    limit = workspace.settings.limits.document
    return documents_of(passages, source, contract, offsets=adopted.layout.offsets, max_bytes=limit)


def _refused_before(
    latest: Mapping[str, VersionRow], fresh: Sequence[IncomingDocument], rules: str
) -> dict[str, Verdict]:
    """List verdicts on documents that were rejected as they are now: they stand."""
    refused = {}
    for item in fresh:
        row, document = latest.get(item.document.id), item.document
        if row is None or row.outcome != "reject":
            continue
        if (row.digest, row.metadata_digest, row.policy_digest) == (
            document.digest,
            item.metadata_digest,
            rules,
        ):
            refused[document.id] = stands(row, "reject")
    return refused


def passed(verdict: Verdict) -> bool:
    """Tell whether a document passed the checks, and waits, if it does, for a signature only."""
    return any(f.check == UNSIGNED and f.facts.get("passed") is True for f in verdict.findings)


def _admitted(verdict: Verdict) -> Verdict:
    kept = tuple(f for f in verdict.findings if f.check != UNSIGNED)
    return replace(verdict, outcome="admit", findings=kept)


def _proved(workspace: Workspace, claims: Claims, texts: Mapping[str, str]) -> Mapping[str, Floats]:
    return claims.proved(texts, workspace.encoder, workspace.seal_key)


def _embedded(
    workspace: Workspace, items: Sequence[IncomingDocument], dry_run: bool, given: Given | None
) -> dict[str, EmbeddedDocument]:
    """Documents that were embedded when they were put into quarantine: the vault has the vectors.

    They are not judged again: beside their own copies they would look like a campaign.
    """
    if not items:
        return {}
    parts, _ = take_apart(workspace, items)
    embedded = embed(
        workspace,
        items,
        parts,
        {},
        keep=not dry_run,
        progress=lambda done, total: None,
        given=given,
    )
    return {items[n].document.id: e for n, e in embedded.items()}


def _unsigned(verdict: Verdict, mode: Mode, place: str, alike: str, claimed: int) -> Verdict:
    """A verdict on a document that nobody signed, and of which so many vectors were taken over."""
    if verdict.outcome == "reject":
        return verdict
    sentence = f"nobody signed it: adopted from the collection {place}"
    findings = list(verdict.findings)
    outcome = verdict.outcome
    if alike:
        detail = f"its name cannot be told from that of {alike!r}"
        findings.insert(0, Finding("look-alike", 1.0, None, detail))
        outcome = "quarantine"
    facts = {"passed": outcome == "admit", **({"claimed_vectors": claimed} if claimed else {})}
    findings.append(Finding(UNSIGNED, 0.0, None, sentence, facts))
    if mode == "quarantine":
        outcome = "quarantine"
    return replace(verdict, outcome=outcome, findings=tuple(findings))


def _note(adopted: AdoptResult) -> str:
    notes = []
    if adopted.left_out:
        listed = ", ".join(f"{n} with {reason!r}" for reason, n in adopted.left_out.items())
        notes.append(
            f"of {adopted.points} points not all could be read as the layout says: {listed}"
        )
    vectors = adopted.report.vectors
    if vectors is not None and vectors.suspicious:
        notes.append(f"no vector was kept: {vectors.reason}")
    return "; ".join(notes)


def _commit(
    workspace: Workspace,
    foreign: ForeignCollection,
    mode: Mode,
    judged: Sequence[tuple[IncomingDocument, Verdict]],
    embedded: Mapping[str, EmbeddedDocument],
    standing: SourceState,
    rules: str,
    adopted: AdoptResult,
    unchanged: int,
    pulled: Sequence[Pulled],
    judged_until: int,
    result: ManifestResult,
) -> ManifestResult:
    """Write the commit, its record first."""
    generation = workspace.generation() or workspace.ensure_generation(workspace.encoder.recipe)
    source = judged[0][0].document.source
    record = adoption.dump(
        adoption.Adoption(
            source,
            format_time(workspace.now),
            foreign.place,
            foreign.name,
            mode,
            layout=asdict(adopted.layout),
            documents={i.document.id: i.document.digest for i, _ in judged},
            vectors=adopted.report.vectors.as_dict() if adopted.report.vectors else {},
        )
    )
    texts = [i.text.encode() for i, v in judged if v.outcome != "reject"]
    workspace.vault.put_many([*texts, record])
    plan = changes.draft(workspace, generation, {source: standing})
    with workspace.ledger.reading() as conn:
        version = commits.next_adoption(conn, source)
    name = digest_bytes(record)
    plan.admit(judged, embedded, source, rules, name)
    plan.quarantine(pulled)
    plan.counts["unchanged"] += unchanged
    accepted = ManifestRow(name, source, version, name, [], adoption.FOREVER, plan.commit)
    workspace.committer.commit(
        plan.finish("adopt", ACTOR, source, accepted, judged_until=judged_until)
    )
    return replace(result, digest=name, commit=plan.commit)
