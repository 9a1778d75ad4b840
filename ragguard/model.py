"""Define the nouns, as frozen dataclasses without behaviour.

Signing:   `PublicKey`, `Grant`, `Policy`, `SourcePolicy`, `Root`, `Subject`, `Manifest`.
Corpus:    `Document`, `Chunk`, `Recipe`, `Hidden`.
Judgement: `Neighbours`, `CorpusView`, `Signal`, `Skipped`, `Evidence`, `Finding`, `Verdict`.

Arrays: `n` chunks, `d` dimensions, `k` neighbours. Digests are lower-case SHA-256 hex. Times are
    aware UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

Metadata = Mapping[str, Any]
Progress = Callable[[str, int, int], None]  # told how far a job is: stage, done, total

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]
else:
    # Made when asked for: who only verifies signatures does not wait for numpy.
    _ARRAYS = {"Floats": "float32", "Doubles": "float64", "Ints": "int64", "Bools": "bool_"}

    def __getattr__(name: str) -> Any:
        if name not in _ARRAYS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import numpy as np
        from numpy.typing import NDArray

        array_type = globals()[name] = NDArray[getattr(np, _ARRAYS[name])]
        return array_type


class Labelled:
    """What is about a document of a source, and told by a label."""

    source: str
    document: str

    @property
    def label(self) -> str:
        """`source/document`."""
        return f"{self.source}/{self.document}"


# --- signing --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PublicKey:
    """An Ed25519 public key and whose it is.

    Attributes:
        keyid: SHA-256 of the canonical JSON of the key, as in TUF; a hint in envelopes, never a
            decision.
        public: 32 raw bytes.
        principal: The person or service that holds it.
    """

    keyid: str
    public: bytes
    principal: str


@dataclass(frozen=True)
class Grant:
    """Leave for one key to speak, until a time (`None`: as long as the root says)."""

    keyid: str
    expires: datetime | None = None


@dataclass(frozen=True)
class Policy:
    """A source's contract. `None` or empty means no limit of that kind.

    Attributes:
        labels: Allowed values of the metadata key `label`.
        departments: Allowed values of the metadata key `department`.
        formats: Allowed file endings, without the dot.
        max_document_bytes: Upper size of one file.
        max_documents: Upper number of documents (records count) in one manifest.
        max_new_per_day: Upper number of new or changed documents accepted in 24 hours.
        required_metadata: Metadata keys every document must carry.
        block_secrets: Whether a found secret is quarantined (else only reported).
        fact_changes: What becomes of an update that changes nothing but numbers, dates, names or
            negations: `allow`, `review` (it waits for a reviewer) or `second-signature` (it waits
            unless two principals of the source signed).
        tier: `standard` or `low`; low asks a tenfold false-alarm rate, so that more is looked at,
            and its documents are no company for those of other sources (collusion, accord).
        scope: Rules that say which readers its documents are for, see `trust.scope`.
        reviewers: How many reviewers have to agree before a case of the source is decided.
        review: What always waits for a reviewer, see `trust.contract`: `all`, `label=VALUE`,
            `path=PATTERN`.
        probation: Documents that reviewers have to let in before others need no reviewer.
        honeytoken: Whether its documents are planted: never given to a reader, and an alarm when
            they are found.
    """

    labels: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    max_document_bytes: int = 20_000_000
    max_documents: int | None = None
    max_new_per_day: int | None = None
    required_metadata: tuple[str, ...] = ()
    block_secrets: bool = True
    tier: Literal["standard", "low"] = "standard"
    fact_changes: Literal["allow", "review", "second-signature"] = "allow"
    scope: tuple[str, ...] = ()
    reviewers: int = 1
    review: tuple[str, ...] = ()
    probation: int = 0
    honeytoken: bool = False


@dataclass(frozen=True)
class SourcePolicy:
    """Who may speak for a source, how many must, under which contract."""

    name: str
    signers: tuple[Grant, ...]
    threshold: int = 1
    distinct: Literal["keys", "principals"] = "keys"
    policy: Policy = Policy()


@dataclass(frozen=True)
class Revocation:
    """A key that counts no more, from the moment the root says so."""

    keyid: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class Root:
    """The trust root: signed, versioned, expiring."""

    version: int
    issued: datetime
    expires: datetime
    keys: Mapping[str, PublicKey]
    root_keyids: tuple[str, ...]
    root_threshold: int
    reviewers: tuple[Grant, ...]
    sources: Mapping[str, SourcePolicy]
    revoked: Mapping[str, Revocation]


@dataclass(frozen=True)
class Subject:
    """One signed file.

    Attributes:
        name: Relative to the signed root folder; `/` between parts; NFC.
        digest: SHA-256 of its bytes.
        length: Its size in bytes.
        metadata: Signed metadata; wins over metadata inside a record file.
    """

    name: str
    digest: str
    length: int
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class Manifest:
    """A signed list of a source's documents.

    Attributes:
        digest: SHA-256 of the payload bytes; what `previous` of the next one names.
        previous: Digest of the manifest before, `None` for the first.
        mode: `full` lists the whole source; `delta` adds subjects and removes `removes`.
    """

    source: str
    version: int
    issued: datetime
    expires: datetime
    previous: str | None
    mode: Literal["full", "delta"]
    subjects: tuple[Subject, ...]
    removes: tuple[str, ...]
    digest: str


# --- corpus ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """One document as signed.

    Attributes:
        id: Subject name, or `name#record` for a record of a record file.
        digest: SHA-256 of its bytes; of the UTF-8 text for a record.
        metadata: Metadata in force (the manifest's wins).
        subject: Name of the signed file it is in.
        subject_digest: That file's digest, under which the vault keeps it.
    """

    source: str
    id: str
    digest: str
    metadata: Metadata
    subject: str
    subject_digest: str


@dataclass(frozen=True)
class Hidden:
    """Text a reader would not see, found while parsing.

    Attributes:
        kind: How it is hidden, such as `css` or `html-comment`.
        text: The hidden text.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Chunk:
    """A passage of a document; `start` and `end` are character offsets into the document's text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Recipe:
    """Everything that decides which vector a text gets; not the runtime that computes it.

    Attributes:
        digest: SHA-256 of the canonical JSON of all other attributes.
    """

    parser: str
    splitter: str
    model: str
    model_digest: str
    pooling: str
    normalised: bool
    max_tokens: int
    dimensions: int
    digest: str = ""


# --- what a check sees ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Neighbours:
    """Nearest neighbours of `n` rows.

    Attributes:
        indices: int64 (n, k), rows of the view's `vectors`; -1 where there are fewer.
        similarities: float32 (n, k), cosine, descending; -1 where there are fewer.
    """

    indices: Ints
    similarities: Floats


@dataclass(frozen=True)
class Lexicon:
    """What the serving corpus says about words.

    Attributes:
        words: Number of chunks each lower-cased word occurs in, in their prose.
        bigrams: How many chunks' prose holds a word pair, by hash, uint16 (2**21,), saturating.
        trigrams: Character trigram counts of the prose by hash, float32 (2**16,).
        closeness: Mean and standard deviation over sampled serving chunks of the mean similarity to
            their four nearest chunks of other documents; (nan, nan) when there are too few.
        includes_batch: Whether the judged chunks themselves were counted (a cold start).
    """

    documents: int
    words: Mapping[str, int]
    bigrams: NDArray[np.uint16]
    trigrams: Floats
    closeness: tuple[float, float]
    includes_batch: bool = False


@dataclass(frozen=True)
class DeniedText:
    """What a reviewer rejected: sketches for near-copies, vectors for rewrites.

    Attributes:
        label: Source and document id, for the report.
        sketches: MinHash signatures of its chunks, uint64 (m, permutations).
        vectors: float32 (m, d), unit length.
        texts: Its chunks' normalised text.
        originals: Documents (`source/id`) that serve, were there before it, and that it was copied
            from; their chunks' normalised text.
    """

    label: str
    sketches: NDArray[np.uint64]
    vectors: Floats
    texts: tuple[str, ...]
    originals: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class CorpusView:
    """All a check may know.

    Rows `0 .. n-1` are the chunks to be judged; the rows after them are context: their neighbours
    in the serving index and in the quarantine. Per-document sequences are indexed by
    `documents[row]`; the judged documents come first.

    Attributes:
        n: Number of chunks to judge.
        texts: Chunk texts (m,), NFKC and without invisible characters.
        prose: Their sentences (m,), without code, addresses, tables and what a source repeats on
            page after page; see `text.prose`. May be empty.
        words: Lower-cased words of each chunk's prose (m,).
        terms: Which chunk's prose holds which word, scipy CSR float32 (m, vocabulary).
        vectors: float32 (m, d), unit length.
        zones: Per row: `batch`, `serving`, `recent` (admitted lately) or `quarantine`.
        documents: Row to document number, int64 (m,).
        labels: Per document: `source/id`.
        sources: Per document: the source.
        metadata: Per document: metadata in force.
        previous_metadata: Per judged document: metadata of the version it replaces, or `None`.
        raws: Per judged document: its decoded source text, before rendering and normalisation.
        hidden: Per judged document: text found hidden while parsing.
        reference: Neighbours of the judged rows in the serving index.
        newcomers: Neighbours of the judged rows in the batch, in quarantine and among the recent.
        lexicon: Word statistics of the serving corpus.
        now: The run's one reading of the clock.
        low: Sources of tier `low`: their documents are nobody's company but their own.
        first: Documents (`source/id`) to the commit that brought their first version: those that
            wait, and judged ones of which a version serves; empty where nothing waits.
        shared: What one check has worked out and another may use; a changed copy starts empty.
    """

    n: int
    texts: Sequence[str]
    prose: Sequence[str]
    words: Sequence[Sequence[str]]
    terms: Any
    vectors: Floats
    zones: Sequence[str]
    documents: Ints
    labels: Sequence[str]
    sources: Sequence[str]
    metadata: Sequence[Metadata]
    previous_metadata: Sequence[Metadata | None]
    raws: Sequence[str]
    hidden: Sequence[Sequence[Hidden]]
    reference: Neighbours
    newcomers: Neighbours
    lexicon: Lexicon
    denied: Sequence[DeniedText]
    now: datetime
    low: Set[str] = frozenset()
    first: Mapping[str, int] = field(default_factory=dict)
    shared: dict[Any, Any] = field(init=False, repr=False, compare=False, default_factory=dict)


# --- judgement ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Evidence:
    """Why a chunk looks bad, for a person.

    Attributes:
        detail: One sentence. May quote document text: escape it before showing it.
    """

    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Signal:
    """What a check measured.

    Attributes:
        scores: Raw scores of the judged chunks, float64 (n,); higher is more suspicious; 0 means
            nothing seen; NaN that this chunk could not be examined, which is a finding.
        explain: Evidence for a judged row; called only for rows that end in a finding.
        p_values: For a check that can be conclusive alone, float64 (n,): an upper 95 % bound of the
            share of ordinary documents that score this much or more, measured on ordinary
            documents; 1.0 where nothing was found. `None`: scores have to be compared with those
            of other documents.
    """

    scores: NDArray[np.float64]
    explain: Callable[[int], Evidence]
    p_values: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Skipped:
    """A check that had nothing to say, or failed.

    Attributes:
        crashed: True when it should have run: a finding, never a pass.
    """

    check: str
    reason: str
    crashed: bool = False


@dataclass(frozen=True)
class Finding:
    """One check's word on one document.

    Attributes:
        check: Name of the check, or of the rule for contract findings.
        score: Raw score, higher is worse.
        p_value: Share of clean reference documents at least this suspicious; `None` for
            deterministic rules.
        detail: One sentence for a person; may quote hostile text.
    """

    check: str
    score: float
    p_value: float | None
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As a JSON object."""
        return {**vars(self), "facts": dict(self.facts)}


FIRST_IMPORT = "first import"  # name of the reference while the index cannot say what is usual
Outcome = Literal["admit", "unchanged", "quarantine", "reject"]


@dataclass(frozen=True)
class Verdict:
    """The judgement on one document.

    Attributes:
        score: Combined suspicion in [0, 1], higher is worse.
        p_value: Combined p-value; `None` where nothing statistical was asked: a document that was
            admitted so is *not yet judged*.
    """

    source: str
    id: str
    digest: str
    outcome: Outcome
    score: float
    p_value: float | None
    findings: tuple[Finding, ...] = ()

    @property
    def not_yet_judged(self) -> bool:
        """Whether it was admitted while the index was too small to judge it."""
        return self.outcome == "admit" and self.p_value is None

    @property
    def observed(self) -> bool:
        """Whether it would have been held, but the gate only observes."""
        return self.outcome == "admit" and any(f.facts.get("observed") for f in self.findings)
