"""Define the audit's rules: stable ids and names, level, what each means, what to do next.

Ids are for machines and never change or come back for another meaning: 1xx integrity, 2xx
provenance, 3xx neighbourhoods, 4xx drift, 5xx answers. docs/audit.md is tested against this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Rule:
    """A kind of finding.

    Attributes:
        id: Stable, such as `RG101`.
        name: Stable, such as `foreign-point`.
        level: How grave.
        summary: What it means, in one sentence.
        advice: What to do next.
    """

    id: str
    name: str
    level: Level
    summary: str
    advice: str

    @property
    def integrity(self) -> bool:
        """Whether it means that index, ledger or log are not what we wrote (exit 3)."""
        return self.id.startswith("RG1") and self.level == "error"


_TABLE = (
    Rule(
        "RG101",
        "foreign-point",
        "error",
        "A point that ragguard never wrote.",
        "Find out who can write to the index; remove it with a clean rebuild.",
    ),
    Rule(
        "RG102",
        "missing-point",
        "error",
        "A point that was written and is gone.",
        "Rebuild the index from the vault.",
    ),
    Rule(
        "RG103",
        "vector-changed",
        "error",
        "A point's vector is not the one that was written.",
        "Rebuild the index from the vault, and find out who wrote.",
    ),
    Rule(
        "RG104",
        "payload-changed",
        "error",
        "A point's text, metadata or rights are not the ones that were written.",
        "Rebuild the index from the vault, and find out who wrote.",
    ),
    Rule(
        "RG105",
        "point-moved",
        "error",
        "A point of another collection or generation.",
        "Rebuild the index from the vault, and find out who wrote.",
    ),
    Rule(
        "RG106",
        "point-copied",
        "error",
        "A copy of one of our points under another id.",
        "Remove it with a clean rebuild, and find out who wrote.",
    ),
    Rule(
        "RG107",
        "point-orphaned",
        "error",
        "A point of a document that was removed.",
        "Remove it with a clean rebuild.",
    ),
    Rule(
        "RG108",
        "point-replayed",
        "error",
        "An older, once valid state of a point was put back.",
        "Rebuild the index from the vault, and find out who wrote.",
    ),
    Rule(
        "RG109",
        "vector-not-of-text",
        "error",
        "A vector is not the embedding of its text.",
        "Rebuild with --re-embed, and look at model and vault.",
    ),
    Rule(
        "RG110",
        "vector-invalid",
        "error",
        "A vector that no search finds or that distorts it: NaN, infinite, zero, not unit length.",
        "Remove the point, and find out who wrote it.",
    ),
    Rule(
        "RG111",
        "alias-moved",
        "error",
        "The alias that readers use points at another collection than the ledger's.",
        "Find out who moved it; the next ingest puts it back.",
    ),
    Rule(
        "RG112",
        "collection-changed",
        "error",
        "The collection is gone, or has another distance or dimension than it was made with.",
        "Rebuild the index from the vault.",
    ),
    Rule(
        "RG113",
        "log-broken",
        "error",
        "The log was truncated or rewritten, or its checkpoint is not signed by this workspace.",
        "Compare with a checkpoint kept elsewhere; restore the ledger from its backup.",
    ),
    Rule(
        "RG114",
        "log-rolled-back",
        "error",
        "The log is older than the checkpoint remembered outside, or does not continue it.",
        "Restore the newest ledger, and find out who put an old one back.",
    ),
    Rule(
        "RG115",
        "ledger-inconsistent",
        "error",
        "The ledger contradicts itself or its log.",
        "Restore the ledger from its backup.",
    ),
    Rule(
        "RG116",
        "noise-flood",
        "error",
        "Many points of another hand that look alike were poured in.",
        "Remove them with a clean rebuild; find out who can write to the index.",
    ),
    Rule(
        "RG117",
        "vault-damaged",
        "error",
        "Bytes that the ledger names are missing from the vault or are other bytes.",
        "Restore the vault from its backup.",
    ),
    Rule(
        "RG118",
        "text-not-of-document",
        "error",
        "What serves is not what the signed bytes of its document say.",
        "Find out who had the keys of this workspace; rebuild the index from the vault.",
    ),
    Rule(
        "RG201",
        "source-stale",
        "warning",
        "A source's last manifest has expired.",
        "Ask its signer for a new manifest.",
    ),
    Rule(
        "RG202",
        "key-revoked",
        "error",
        "Documents whose signers, under today's trust root, are not enough.",
        "See `ragguard trust revoke --since`; quarantine what came by that key.",
    ),
    Rule(
        "RG203",
        "contract-broken",
        "warning",
        "Documents that the source's contract of today would refuse.",
        "Ask the source for a new version, or remove them.",
    ),
    Rule(
        "RG204",
        "source-gone",
        "error",
        "Documents of a source that the trust root no longer knows.",
        "Remove them, or add the source again.",
    ),
    Rule(
        "RG301",
        "suspect-document",
        "warning",
        "A document that sits in the corpus the way poison does.",
        "Look at its evidence; `ragguard audit --quarantine` takes such documents out.",
    ),
    Rule(
        "RG302",
        "campaign",
        "warning",
        "Several documents that say the same in other words, apart from all others.",
        "Look at its evidence; `ragguard audit --quarantine` takes such documents out.",
    ),
    Rule(
        "RG303",
        "hub",
        "warning",
        "A chunk that is among the nearest of far too many others.",
        "Look at its text: it may be written to be found for everything.",
    ),
    Rule(
        "RG304",
        "label-outvoted",
        "warning",
        "A document whose metadata its neighbours contradict.",
        "Check its metadata at the source.",
    ),
    Rule(
        "RG305",
        "conflicting-twins",
        "warning",
        "Near-duplicates whose metadata or facts contradict each other.",
        "Find out which of them is right.",
    ),
    Rule(
        "RG306",
        "spectral-outlier",
        "note",
        "Points that stand together off their cluster along one direction.",
        "Look at what they have in common.",
    ),
    Rule(
        "RG307",
        "hidden-or-instructing",
        "warning",
        "A text that hides something from readers, or speaks to the model.",
        "Read it; take it out if nobody can say why it is there.",
    ),
    Rule(
        "RG401",
        "embedding-drift",
        "note",
        "A source's documents have moved in the embedding space.",
        "Look at what arrived lately.",
    ),
    Rule(
        "RG402",
        "label-drift",
        "note",
        "The shares of a source's labels have changed.",
        "Look at what arrived lately.",
    ),
    Rule(
        "RG403",
        "score-drift",
        "note",
        "A check's scores are distributed otherwise than at the last audits.",
        "Look at the highest of them; calibrate again when the change is honest.",
    ),
    Rule(
        "RG404",
        "arrival-burst",
        "note",
        "A source has sent far more than it usually does.",
        "Ask its owner why.",
    ),
    Rule(
        "RG405",
        "size-jump",
        "note",
        "The index has grown or shrunk far more than usual.",
        "Look at `ragguard history`.",
    ),
    Rule(
        "RG501",
        "canary-quality",
        "warning",
        "Canary queries are answered worse than at the last audits.",
        "Look at the queries that changed; a poisoned corpus shows here first.",
    ),
    Rule(
        "RG502",
        "canary-forbidden",
        "error",
        "A document that must not appear was among the answers of a canary query.",
        "Trace it and take it out.",
    ),
    Rule(
        "RG503",
        "retrieved-after-removal",
        "error",
        "A document was given to readers after it had been taken out.",
        "Find out which reader gave it, and publish for it again; ask what it answered.",
    ),
    Rule(
        "RG504",
        "answers-dominated",
        "warning",
        "A newcomer is among the answers to far more unlike questions than any document before.",
        "Read it: it may be written to be found for everything. `ragguard trace` names its signer.",
    ),
    Rule(
        "RG505",
        "popular-newcomer",
        "note",
        "A newcomer is among the answers to far more questions than any document before.",
        "Nothing, where it is about what everybody asks now.",
    ),
    Rule(
        "RG506",
        "new-source-in-answers",
        "note",
        "A new source is in more answers, for its size, than any source before.",
        "Ask its owner what it holds.",
    ),
    Rule(
        "RG507",
        "honeytoken-retrieved",
        "error",
        "A planted document was found, which no honest question finds.",
        "Find out who asked: the answering process knows the question's digest and time.",
    ),
)

RULES = {rule.name: rule for rule in _TABLE}
