"""Report what an ingest did; the commands and their JSON are drawn from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ragguard.corpus.job import Job, finding_dict
from ragguard.corpus.spans import Attributes
from ragguard.ingest.adopt_vectors import VectorReport
from ragguard.model import Skipped, Verdict


@dataclass(frozen=True)
class ManifestResult:
    """What became of a manifest.

    Attributes:
        path: As given.
        digest: Of its payload; empty when it could not be read.
        commit: Commit number, `None` when nothing was committed.
        error: Why it was refused, or `None`.
        exit_code: Of the error; 0 without one.
        unknown: Key id hints of signatures that were ignored.
        note: What else is to be said, such as a removal that waits for a reviewer.
    """

    path: str
    digest: str = ""
    source: str = ""
    version: int = 0
    commit: int | None = None
    error: str | None = None
    hint: str = ""
    exit_code: int = 0
    unknown: tuple[str, ...] = ()
    note: str = ""


@dataclass
class Report(Job):
    """What an ingest did.

    Attributes:
        manifests: One for each given.
        documents: A verdict for every document of the accepted manifests.
        pulled: Verdicts on documents admitted earlier that were pulled back into quarantine.
        removed: Number of documents taken out.
        skipped: Checks that had nothing to say, or failed, over all batches.
        profile: Reference the verdicts were calibrated on; empty when nothing was judged.
        promised: Smallest false-alarm rate that reference can promise; 1 where it promises none.
        observed_rate: False-alarm rate that reviewers' decisions show; `None` before any.
        least_promised: Rate below which nothing is promised, because it was observed.
        observe: Whether the gate only observed: nothing was held.
        pages_drawn: Whether a browser told what is hidden in pages, and not rules.
        vectors: What became of the vectors of an adopted collection; `None` for documents that had
            none.
        judged_until: Number of the newest version that was not yet judged and now is; 0 if none.
    """

    manifests: list[ManifestResult] = field(default_factory=list)
    documents: list[Verdict] = field(default_factory=list)
    pulled: list[Verdict] = field(default_factory=list)
    removed: int = 0
    skipped: dict[str, Skipped] = field(default_factory=dict)
    profile: str = ""
    promised: float = 0.0
    stale: str = ""
    observed_rate: float | None = None
    least_promised: float = 0.0
    observe: bool = False
    pages_drawn: bool = False
    vectors: VectorReport | None = None
    judged_until: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Documents by outcome."""
        by_outcome = Counter(v.outcome for v in self.documents)
        return {
            "admitted": by_outcome["admit"],
            "quarantined": by_outcome["quarantine"],
            "rejected": by_outcome["reject"],
            "unchanged": by_outcome["unchanged"],
            "removed": self.removed,
        }

    @property
    def exit_code(self) -> int:
        """The gravest of what happened."""
        codes = {m.exit_code for m in self.manifests}
        if any(f.facts.get("integrity") for v in self.documents for f in v.findings):
            codes.add(3)
        if any(s.crashed for s in self.skipped.values()):
            codes.add(5)
        waits = any(m.note for m in self.manifests)
        if waits or self.pulled or self.counts["quarantined"] or self.counts["rejected"]:
            codes.add(1)
        return next((code for code in (70, 3, 5, 4, 2, 1) if code in codes), 0)

    def told(self) -> Attributes:
        """Tell what its span tells."""
        return {
            **super().told(),
            **{f"ragguard.documents.{outcome}": n for outcome, n in self.counts.items()},
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the report as docs/schemas/ingest.json describes it."""
        return {
            "manifests": [
                {
                    "path": m.path,
                    "digest": m.digest,
                    "source": m.source,
                    "version": m.version,
                    "commit": m.commit,
                    "error": m.error,
                    "hint": m.hint or None,
                    "ignored_signatures": list(m.unknown),
                    "note": m.note or None,
                }
                for m in self.manifests
            ],
            "counts": self.counts,
            "documents": [verdict_body(v) for v in self.documents],
            "pulled": [verdict_body(v) for v in self.pulled],
            "skipped": [
                {"check": s.check, "reason": s.reason, "crashed": s.crashed}
                for s in self.skipped.values()
            ],
            "profile": self.profile or None,
            "promised_false_alarm_rate": round(max(self.promised, self.least_promised), 6)
            if 0.0 < self.promised < 1.0
            else None,
            "observed_false_alarm_rate": None
            if self.observed_rate is None
            else round(self.observed_rate, 6),
            "not_yet_judged": sum(v.not_yet_judged for v in self.documents),
            "observe": self.observe,
            "hidden_text_by": {
                "html": "ink" if self.pages_drawn else "rules",
                "pdf": "ink",
                "docx": "rules",
            },
            "stale_calibration": self.stale or None,
            **({"vectors": self.vectors.as_dict()} if self.vectors else {}),
            **self.run_dict(),
        }


def verdict_body(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as a JSON object."""
    return {
        "source": verdict.source,
        "id": verdict.id,
        "digest": verdict.digest,
        "verdict": verdict.outcome,
        "score": verdict.score,
        "p_value": verdict.p_value,
        "not_yet_judged": verdict.not_yet_judged,
        "observed": verdict.observed,
        "findings": [finding_dict(f) for f in verdict.findings],
    }
