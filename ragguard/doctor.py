"""Diagnose a workspace: everything that can be wrong with it, and what to do about it."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Literal

from ragguard.canary import in_force, trigger_probe
from ragguard.config import without_credentials
from ragguard.corpus import drawn_by
from ragguard.detect import scoring
from ragguard.errors import RagguardError
from ragguard.ingest import calibration
from ragguard.ledger import commits, versions
from ragguard.model import Progress
from ragguard.parse.browser import BROWSERS
from ragguard.trust.canonical import format_time, parse_time
from ragguard.trust.files import open_to_others
from ragguard.trust.person import persons
from ragguard.trust.plugins import Kind, PluginError, find, running
from ragguard.workspace import Workspace

State = Literal["ok", "note", "wrong"]
LOW_DISK = 1_000_000_000
SOON = timedelta(days=30)
NAMED = 5  # triggers that are written out


@dataclass(frozen=True)
class DoctorFinding:
    """One thing looked at.

    Attributes:
        state: `ok`, `note` (works, but look at it) or `wrong`.
        exit_code: Of what is wrong; 0 otherwise.
    """

    name: str
    state: State
    detail: str
    hint: str = ""
    exit_code: int = 0


def examine(
    workspace: Workspace,
    *,
    probe: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> list[DoctorFinding]:
    """Look at everything; a part that fails is a finding and stops nothing.

    Args:
        workspace: Open and locked.
        probe: Look for triggers in the model too, which takes about half a minute.
        progress: Called with stage, done and total while triggers are looked for.
    """
    parts: tuple[tuple[str, Callable[[Workspace], Iterator[DoctorFinding]]], ...] = (
        ("trust root", _root),
        ("keys", _keys),
        ("permissions", _permissions),
        ("clock", _clock),
        ("disk", _disk),
        ("plug-ins", _plugins),
        ("model", _model),
        ("pages", _pages),
        ("store", _store),
        ("calibration", _calibration),
        *((("trigger probe", partial(_triggers, progress=progress)),) if probe else ()),
    )
    findings = [DoctorFinding("single writer", "ok", "the workspace lock is ours")]
    for name, look in parts:
        try:
            findings.extend(look(workspace))
        except RagguardError as error:
            findings.append(
                DoctorFinding(name, "wrong", error.message, error.hint, error.exit_code)
            )
    return findings


def _root(workspace: Workspace) -> Iterator[DoctorFinding]:
    root = workspace.root
    left = root.expires - workspace.now
    detail = f"version {root.version}, expires {format_time(root.expires)}"
    hint = "Renew it with `ragguard trust rotate --renew`."
    if left <= timedelta(0):
        yield DoctorFinding(
            "trust root", "wrong", f"{detail}: expired, nothing can come in", hint, 3
        )
    elif left < SOON:
        yield DoctorFinding("trust root", "note", f"{detail}: soon", hint)
    else:
        yield DoctorFinding("trust root", "ok", detail)
    if not root.sources:
        yield DoctorFinding(
            "sources",
            "note",
            "none may be ingested yet",
            "`ragguard trust add KEY.pub --source S`.",
        )
    signers = persons(
        root.keys[g.keyid].principal for s in root.sources.values() for g in s.signers
    )
    reviewers = persons(root.keys[g.keyid].principal for g in root.reviewers)
    if root.sources and not reviewers - signers:
        yield DoctorFinding(
            "reviewers",
            "note",
            "nobody can decide cases: there is no reviewer beside the signers",
            "`ragguard trust add KEY.pub --role reviewer`.",
        )


def _permissions(workspace: Workspace) -> Iterator[DoctorFinding]:
    paths = open_to_others(workspace.folder)
    if not paths:
        yield DoctorFinding("permissions", "ok", "nobody else can read the workspace")
        return
    first = ", ".join(os.path.relpath(path, workspace.folder) for path in paths[:NAMED])
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    yield DoctorFinding(
        "permissions",
        "note",
        f"{len(paths)} files and folders are open to others, as older versions made them: "
        f"{first}{more}",
        f"chmod -R go= {workspace.folder}",
    )


def _keys(workspace: Workspace) -> Iterator[DoctorFinding]:
    open_files = []
    for path in sorted((workspace.folder / "keys").glob("*.key")):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            open_files.append(path.name)
    if open_files:
        yield DoctorFinding(
            "keys",
            "wrong",
            f"others may read {', '.join(open_files)}",
            "chmod 600 them, and consider them known to others.",
            2,
        )
    _ = workspace.checkpoint_key, workspace.seal_key
    yield DoctorFinding("keys", "ok", "checkpoint and seal key are there and ours alone")
    if (workspace.folder / "keys/root.key").exists():
        yield DoctorFinding(
            "root key",
            "note",
            "keys/root.key lies in this workspace",
            "Move it offline; changes of trust then take --root-key FILE.",
        )


def _clock(workspace: Workspace) -> Iterator[DoctorFinding]:
    with workspace.ledger.reading() as conn:
        last = commits.listed(conn, limit=1)
    if last and parse_time(last[0].at) > workspace.now + timedelta(minutes=5):
        yield DoctorFinding(
            "clock",
            "wrong",
            f"now is {format_time(workspace.now)}, the last commit is of {last[0].at}",
            "Set the clock: expiry and freshness depend on it.",
            5,
        )
    else:
        yield DoctorFinding("clock", "ok", format_time(workspace.now))


def _disk(workspace: Workspace) -> Iterator[DoctorFinding]:
    free = shutil.disk_usage(workspace.folder).free
    detail = f"{free / 1e9:.1f} GB free"
    if free < LOW_DISK:
        yield DoctorFinding("disk", "wrong", detail, "Free some space before the next ingest.", 5)
    else:
        yield DoctorFinding("disk", "ok", detail)


def _pages(workspace: Workspace) -> Iterator[DoctorFinding]:
    settings = workspace.settings.parse
    if settings.render == "rules":
        yield DoctorFinding(
            "pages", "ok", "what is hidden in them is judged by rules ([parse] render)"
        )
        return
    with BROWSERS.borrowed(settings.chromium) as browser:
        told = f"drawn by {browser.version}, without network and scripts"
        other = drawn_by.difference(workspace, browser.product)
    if other:
        hint = "What is cut at a page's edge may differ. To read all again: reindex --from-clean."
        yield DoctorFinding("pages", "note", f"{told}; {other}", hint)
    else:
        yield DoctorFinding("pages", "ok", told)


def _plugins(workspace: Workspace) -> Iterator[DoctorFinding]:
    named = workspace.settings.plugins
    kinds: dict[Kind, Sequence[str]] = {
        "parsers": named.parsers,
        "encoders": [named.encoder] if named.encoder else [],
        "checks": named.checks,
        "loaders": named.loaders,
    }
    for kind, names in kinds.items():
        for plugin in (find(kind, name) for name in names):
            label = f"{plugin.identity}, of {kind}"
            try:
                if kind != "parsers":  # those are imported in workers only
                    with running(plugin):
                        plugin.load()
            except PluginError as error:
                detail = f"{label}: cannot be loaded ({error.kind})"
                yield DoctorFinding("plug-in", "wrong", detail, "Look at the package.", 5)
            else:
                yield DoctorFinding("plug-in", "ok", label)


def _model(workspace: Workspace) -> Iterator[DoctorFinding]:
    from ragguard.embed import fastembed, models

    settings = workspace.settings.model
    if settings.url:
        yield from _endpoint(workspace)
        return
    if settings.runtime == "fastembed":
        model = fastembed.read(settings.name, offline=settings.offline, pooling=settings.pooling)
    else:
        model = models.load(settings.name, offline=settings.offline)
    known = trigger_probe.is_known(model.digest)
    detail = f"{model.name}, files sha256 {model.digest[:12]}…"
    if known:
        detail += ", the pinned ones"
    if settings.runtime == "fastembed":
        recipe = workspace.encoder.recipe  # opened: the graph runs
        detail += f", {recipe.pooling}, {recipe.dimensions} dimensions"
    generation = workspace.generation()
    if generation is not None:
        workspace.check_recipe(workspace.encoder.recipe)
        detail += ", the one the index was built with"
    yield DoctorFinding("model", "ok", detail)
    if not known:
        yield DoctorFinding(
            "model origin",
            "note",
            "these are not files that ragguard knows; nothing says who trained them",
            "Compare the digest with its maker's; `ragguard doctor --probe` looks for triggers.",
        )


def _endpoint(workspace: Workspace) -> Iterator[DoctorFinding]:
    """Ask the endpoint that embeds; it proves itself by the probe texts."""
    settings, encoder = workspace.settings.model, workspace.encoder
    encoder.encode(["Is anybody there?"])
    generation = workspace.generation()
    if generation is not None:
        workspace.check_recipe(encoder.recipe)
    since = "not pinned yet" if generation is None else "answers as when the index was built"
    size = encoder.recipe.dimensions
    where = without_credentials(settings.url)
    yield DoctorFinding("model", "ok", f"{settings.name} at {where}, {size} dimensions, {since}")
    yield DoctorFinding(
        "model origin",
        "note",
        "an endpoint has no files to digest; nothing says what computes its vectors",
        "Its probe texts are asked again at every run, which finds a model that was replaced.",
    )


def _triggers(workspace: Workspace, progress: Progress) -> Iterator[DoctorFinding]:
    name = "trigger probe"
    generation = workspace.generation()
    canaries = in_force(workspace)
    probed = trigger_probe.probe(
        workspace.encoder,
        triggers=canaries.triggers if canaries else (),
        store=workspace.open_store() if generation else None,
        collection=generation.serving if generation else "",
        progress=lambda done, total: progress("probe", done, total),
    )
    for pull in probed.alive[:NAMED]:
        yield DoctorFinding(
            name,
            "wrong",
            f"alive: {trigger_probe.told(pull)}",
            "Do not serve with this model: set [model] name to one you trust, then "
            "`ragguard reindex --from-clean`.",
            3,
        )
    detail = (
        f"{probed.scanned} words of {probed.vocabulary} tokens scanned in {probed.seconds:.0f} s, "
        f"{len(probed.alive)} alarms"
    )
    if probed.alive:
        yield DoctorFinding(name, "wrong", detail, "docs/canaries.md says what it sees.", 3)
        return
    if probed.near:
        yield DoctorFinding(
            name,
            "note",
            f"{detail}; near the bar of {probed.near[0].bar:.0%}: "
            f"{trigger_probe.told(probed.near[0])}",
            "No alarm. Add it as a trigger to watch it: `ragguard canary add --trigger TEXT`.",
        )
        return
    yield DoctorFinding(
        name, "ok", f"{detail}; a word or phrase takes at most {probed.pulls[0].collapse:.0%}"
    )


def _store(workspace: Workspace) -> Iterator[DoctorFinding]:
    settings = workspace.settings.store
    store = workspace.open_store()
    begun = _pending(workspace)
    if begun:
        yield DoctorFinding(
            "commits",
            "note",
            f"{begun} begun and not finished",
            "`ragguard ingest --resume` finishes them; so does any other command that writes.",
        )
    generation = workspace.generation()
    if generation is None:
        yield DoctorFinding("store", "ok", "empty: nothing was ingested yet")
        return
    with workspace.ledger.reading() as conn:
        rows = versions.members(conn, "serving")
        waiting = versions.members(conn, "quarantine")
    expected = {
        generation.serving: sum(r.chunks for r in rows.values()),
        generation.quarantine: sum(r.chunks for r in waiting.values()),
    }
    for name, chunks in expected.items():
        there = store.count(name)
        if there != chunks and not begun:
            yield DoctorFinding(
                "store",
                "wrong",
                f"{name} holds {there} points, the ledger has {chunks}",
                "Somebody else wrote to the index, or it was restored from an older copy.",
                3,
            )
        else:
            yield DoctorFinding("store", "ok", f"{name}: {there} points, as in the ledger")
    where = "server" if settings.url else "embedded Qdrant Edge"
    if settings.url and not settings.api_key:
        yield DoctorFinding(
            "authentication",
            "note",
            "the Qdrant server answers without a key from us; self-hosted it is open by default",
            "Set service.api_key on the server and RAGGUARD_STORE__API_KEY here.",
        )
    yield DoctorFinding(
        "engine", "ok", f"{where}, alias {settings.collection!r} -> {generation.serving}"
    )


def _pending(workspace: Workspace) -> int:
    with workspace.ledger.reading() as conn:
        return len(commits.pending(conn))


def _learned(workspace: Workspace, kept: calibration.Calibration) -> Iterator[DoctorFinding]:
    """Tell what `calibrate` left behind."""
    reason = calibration.stale(workspace, kept)
    if reason:
        yield DoctorFinding(
            "calibration",
            "note",
            f"{calibration.FILE} of {kept.at} is stale: {reason}; the shipped shares are in force",
            "Run `ragguard calibrate` again.",
        )
        return
    yield DoctorFinding(
        "calibration",
        "ok",
        f"calibrated {kept.at} at {kept.rate:.2%}, from {kept.promised_rate:.2%} promised there; "
        f"{kept.report.mean_after:.0%} of simulated attacks stopped "
        f"({kept.report.mean_before:.0%} with the shipped shares)",
    )


def _calibration(workspace: Workspace) -> Iterator[DoctorFinding]:
    judge = workspace.settings.judge
    with workspace.ledger.reading() as conn:
        indexed = len(versions.members(conn, "serving"))
    kept = calibration.kept(workspace)
    least = scoring.needed(judge.least_documents, judge.false_alarm_rate)
    if indexed < least:
        yield DoctorFinding(
            "calibration",
            "note",
            f"first import: {indexed} documents indexed, {least} are needed to judge at "
            f"{judge.false_alarm_rate:.2%} false alarms; only what is wrong by itself is held",
            "Ingest more of the corpus; what came in is judged as soon as the index can.",
        )
        promised = 1.0 / (judge.reference_documents + 1.0)  # once there are enough
    else:
        promised = 1.0 / (min(indexed, judge.reference_documents) + 1.0)
        if kept is not None:
            yield from _learned(workspace, kept)
    if promised > judge.false_alarm_rate:
        yield DoctorFinding(
            "calibration",
            "note",
            f"a false-alarm rate of {judge.false_alarm_rate:.2%} is asked, {promised:.2%} is the "
            "least that can be promised",
            "Raise [judge] reference_documents, or the rate.",
        )
    elif indexed >= least:
        yield DoctorFinding(
            "calibration",
            "ok",
            f"on this index; rates from {promised:.2%} can be promised"
            + (", `ragguard calibrate` learns shares for it" if kept is None else ""),
        )
