"""Roll back to the corpus as it was after a commit, or to an older generation.

Going back is one more commit; history is never rewritten. Bytes and vectors come from the vault.

- To a commit, in the serving generation: what served then serves, what came later leaves the
  index. It is refused when it would bring back what a reviewer denied, or what today's trust does
  not prove. What waits for a reviewer goes on waiting, whatever served then.
- To a generation that is kept: what it held when it ceased to serve, with everything that was
  ingested, decided, revoked and removed since done to it again. What a rebuild put into quarantine
  and nobody decided serves again. The ledger turns first, then the alias.

Nothing is judged again. See docs/rollback.md and docs/adr/0017-going-back.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ragguard.corpus import generations
from ragguard.corpus.clean_set import ExcludedDocument, never_decided, read_back
from ragguard.corpus.job import Job
from ragguard.corpus.spans import traced
from ragguard.corpus.state import Members, retirements
from ragguard.corpus.transition import Zones, good_today, replayed, turn, zones_at
from ragguard.errors import IntegrityError, RecipeMismatchError, UsageError
from ragguard.ledger import audit_queries, commits, versions_at
from ragguard.ledger.commits import Generation, Switch
from ragguard.ledger.versions import VersionRow
from ragguard.model import Progress
from ragguard.workspace import Workspace, alias

ACTOR = "rollback"
NAMED = 20  # documents named in a refusal


@dataclass
class RollbackResult(Job):
    """Result of a rollback, or of its dry run.

    Attributes:
        to: Where to, in words.
        generation: Number of the generation that serves, or would.
        switched: Whether that is another one than before.
        commit: Its commit; `None` where nothing was changed.
        before: Documents that served.
        after: Documents that serve, or would.
        back: Documents (`source/id`) that come back, or go back to other bytes or metadata.
        gone: Documents that leave the index.
        waiting: Documents that served then and wait for a reviewer now: they go on waiting.
        freed: Documents that a rebuild put into quarantine, and that serve again.
        left: Documents that are left out, with the reason.
        embedded: Texts that had to be embedded.
    """

    to: str
    generation: int
    switched: bool = False
    commit: int | None = None
    before: int = 0
    after: int = 0
    back: Sequence[str] = ()
    gone: Sequence[str] = ()
    waiting: Sequence[str] = ()
    freed: Sequence[str] = ()
    left: Sequence[ExcludedDocument] = ()
    embedded: int = 0

    @property
    def unchanged(self) -> bool:
        """Whether the corpus is, or would be, just what it was."""
        return not (self.back or self.gone)

    @property
    def exit_code(self) -> int:
        """0 done and nothing to look at, 1 something of that state is not back."""
        return 1 if self.left or self.waiting else 0

    def as_dict(self) -> dict[str, Any]:
        """Return the result as a JSON object."""
        body = super().as_dict()
        del body["switched"]
        names = ("source", "id", "digest", "findings")
        return body | {
            "left": [{name: document[name] for name in names} for document in body["left"]]
        }


@traced("rollback", RollbackResult.told)
def rollback(
    workspace: Workspace,
    where: str,
    *,
    leave_out: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda stage, done, total: None,
) -> RollbackResult:
    """Go back.

    Args:
        workspace: Open and locked.
        where: Number of a commit, or `g` and the number of a kept generation.
        leave_out: Go back to a commit without the documents for which it would be refused.
        dry_run: Say what would come and go, and change nothing.

    Raises:
        UsageError: No such commit or generation, or one that cannot be gone back to.
        IntegrityError: It would bring back what is denied or cannot be proved.
        RecipeMismatchError: Documents would have to be embedded and may not be, or the settings
            are not those that the generation was built with.
        StoreError: The store did not take or keep a point.
    """
    number = where.removeprefix("g")
    if not (number.isascii() and number.isdigit() and 0 < len(number) < 10):
        raise UsageError(
            f"{where[:40]!r}: neither a commit nor a generation",
            hint="Name a commit by its number (12), or a generation (g2). See `ragguard history`.",
        )
    recovered = 0 if dry_run else workspace.recover()
    serving = workspace.generation()
    if serving is None:
        raise UsageError(
            "nowhere to go back to: no manifest was ingested yet",
            hint="`ragguard ingest` a manifest first.",
        )
    work = _Run(workspace, serving, progress)
    work.made.recovered = recovered
    if where.startswith("g"):
        work.to_generation(int(number), dry_run)
    else:
        work.to_commit(int(number), leave_out, dry_run)
    return work.made


class _Run:
    """One rollback."""

    def __init__(self, workspace: Workspace, serving: Generation, progress: Progress) -> None:
        self._workspace = workspace
        self._serving = serving
        self._progress = progress
        self.made = RollbackResult("", serving.id)
        with workspace.ledger.reading() as conn:
            self._now = zones_at(conn)

    # --- to a commit ------------------------------------------------------------------------------

    def to_commit(self, number: int, leave_out: bool, dry_run: bool) -> None:
        """Bring back the corpus as after a commit, in the generation that serves."""
        rolled_back, now = self.made, self._now
        rolled_back.to = f"commit {number}"
        with self._workspace.ledger.reading() as conn:
            if commits.get(conn, number) is None:
                raise UsageError(
                    f"commit {number}: there is none", hint="`ragguard history` lists the commits."
                )
            then = zones_at(conn, number).serving
        stay = {label: now.serving[label] for label in then if _alike(then, now.serving, label)}
        come = {label: row for label, row in then.items() if label not in stay}
        held = [label for label in come if _alike(come, now.quarantine, label)]
        rolled_back.waiting = sorted(held)
        with self.made.timed("provenance"):
            clean, left = self._provable([r for n, r in come.items() if n not in held])
            clean, left = self._decided(clean, left)
        if left and not leave_out:
            raise IntegrityError(
                f"commit {number}: going back would bring back {len(left)} documents that must "
                f"not serve: {_reasons(left)}",
                hint="--leave-out goes back without them.",
            )
        rolled_back.left = left
        serves = {**stay, **{row.label: row for row in clean}}
        self._tell(serves)
        if dry_run or rolled_back.unchanged:
            return
        self._carry_out(self._serving, Zones(serves, now.quarantine), embed=False, row=None)

    def _provable(
        self, rows: Sequence[VersionRow]
    ) -> tuple[list[VersionRow], list[ExcludedDocument]]:
        """Tell what may serve, and whose bytes are there."""
        clean, left = good_today(self._workspace, rows)
        _, lost = read_back(self._workspace, clean)
        gone = {document.version.id for document in lost}
        every = sorted([*left, *lost], key=lambda document: document.label)
        return [row for row in clean if row.id not in gone], every

    def _decided(
        self, clean: Sequence[VersionRow], left: Sequence[ExcludedDocument]
    ) -> tuple[list[VersionRow], list[ExcludedDocument]]:
        """Tell what was taken out for a reviewer does not come back because it waits no more."""
        with self._workspace.ledger.reading() as conn:
            open_yet = versions_at.undecided(conn, clean)
        held = [never_decided(row) for row in clean if row.id in open_yet]
        every = sorted([*left, *held], key=lambda document: document.label)
        return [row for row in clean if row.id not in open_yet], every

    # --- to a generation --------------------------------------------------------------------------

    def to_generation(self, number: int, dry_run: bool) -> None:
        """Let a kept generation serve again, with what happened since."""
        workspace, rolled_back, now = self._workspace, self.made, self._now
        rolled_back.to = f"generation {number}"
        generation, ended = self._find(number)
        self._require_settings(generation)
        with self.made.timed("replay"), workspace.ledger.reading() as conn:
            before = zones_at(conn, ended - 1)
            target = replayed(workspace, conn, before, ended - 1)
        with self.made.timed("provenance"):
            clean, left = good_today(workspace, list(target.serving.values()))
            here = {row.id for zone in (now.serving, now.quarantine) for row in zone.values()}
            strange = [r for r in (*clean, *target.quarantine.values()) if r.id not in here]
            _, lost = read_back(workspace, strange)
        out = {document.version.id for document in lost}
        serves = {row.label: row for row in clean if row.id not in out}
        waits = {n: row for n, row in target.quarantine.items() if row.id not in out}
        for document in left:  # what is out for its signatures may wait for a reviewer already
            if document.waits and document.label in now.quarantine:
                waits.setdefault(document.label, now.quarantine[document.label])
        rolled_back.left = sorted([*left, *lost], key=lambda document: document.label)
        rolled_back.freed = sorted(
            n for n in serves if n not in waits and _alike(serves, now.quarantine, n)
        )
        rolled_back.generation, rolled_back.switched = number, True
        self._tell(serves)
        if dry_run:
            return
        row = Switch(**asdict(generation), state="serving", again=True)
        self._carry_out(generation, Zones(serves, waits), embed=True, row=row)

    def _find(self, number: int) -> tuple[Generation, int]:
        """Return a generation that is kept, and the commit with which it ceased to serve."""
        with self._workspace.ledger.reading() as conn:
            known = {g.id: g for g in audit_queries.all_generations(conn)}
            states = {n: state for n, (state, _) in commits.generation_states(conn).items()}
            ended = retirements(conn)
        state = states.get(number)
        if state == "retired" and number in ended:
            return known[number], ended[number]
        kept = ", ".join(f"g{n}" for n, s in sorted(states.items()) if s == "retired")
        says = {
            None: "there is none",
            "serving": "serves already",
            "candidate": "never served: `ragguard cutover finish` lets it",
            "dropped": "was dropped, its collections are gone",
        }.get(state, f"is {state}, which the log does not say")
        raise UsageError(
            f"generation {number}: {says}",
            hint=f"Kept are: {kept}." if kept else "No generation is kept to go back to.",
        )

    def _require_settings(self, generation: Generation) -> None:
        """Otherwise ingest would refuse right after."""
        settings = self._workspace.settings
        with self._workspace.ledger.reading() as conn:
            built = commits.recipe_body(conn, generation.recipe)
        mine = {
            "[model] name": settings.model.name,
            "[chunks] size": settings.chunks.size,
            "[chunks] overlap": settings.chunks.overlap,
            "[parse] render": settings.parse.render,
            "[parse] details": settings.parse.details,
        }
        wanted = generations.settings_of(built)
        odd = [f"{n} = {wanted[n]!r} (now {mine[n]!r})" for n in wanted if wanted[n] != mine[n]]
        if not odd and generation.recipe != self._serving.recipe:
            now = asdict(self._workspace.encoder.recipe)
            odd = [
                f"{name} {built.get(name)!r} (now {now[name]!r})"
                for name in now
                if name != "digest" and now[name] != built.get(name)
            ]
        if odd:
            raise RecipeMismatchError(
                f"generation {generation.id}: was built with {'; '.join(odd)}",
                hint="Set ragguard.toml back to that first: ingest would refuse manifests after.",
            )

    # --- both -------------------------------------------------------------------------------------

    def _tell(self, serves: Members) -> None:
        rolled_back, now = self.made, self._now.serving
        rolled_back.before, rolled_back.after = len(now), len(serves)
        rolled_back.back = sorted(label for label in serves if not _alike(serves, now, label))
        rolled_back.gone = sorted(label for label in now if label not in serves)

    def _carry_out(
        self,
        generation: Generation,
        target: Zones,
        *,
        embed: bool,
        row: Switch | None,
    ) -> None:
        workspace = self._workspace
        with workspace.ledger.reading() as conn:
            known = versions_at.count_vectors(conn)
        with self.made.timed("plan"):
            plan = turn(
                workspace,
                generation,
                target,
                kind="rollback",
                actor=ACTOR,
                embed=embed,
                row=row,
                progress=self._progress,
            )
        with workspace.ledger.reading() as conn:
            self.made.embedded = versions_at.count_vectors(conn) - known
        with self.made.timed("commit"):
            self._progress("commit", 0, 1)
            workspace.committer.commit(plan)
            if row is not None:
                alias.point(workspace)
            self._progress("commit", 1, 1)
        self.made.commit = plan.commit
        with self.made.timed("index"):
            index_after = workspace.settings.store.index_after
            workspace.open_store(repair=False).maintain(generation.serving, index_after)


def _alike(these: Members, others: Members, label: str) -> bool:
    """Tell whether a document is in both with the same bytes and metadata."""
    a, b = these[label], others.get(label)
    return b is not None and (a.digest, a.metadata_digest) == (b.digest, b.metadata_digest)


def _reasons(left: Sequence[ExcludedDocument]) -> str:
    named = "; ".join(
        f"{document.label} ({document.findings[0].detail})" for document in left[:NAMED]
    )
    more = len(left) - NAMED
    return f"{named}; and {more} more" if more > 0 else named
