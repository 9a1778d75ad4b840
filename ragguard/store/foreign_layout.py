"""Find where a foreign collection keeps text, metadata and documents, from a sample or as told.

Layouts as the libraries' own source writes them:

- LangChain (`langchain_qdrant.QdrantVectorStore._build_payloads`, 1.1.0): `page_content` and
  `metadata`.
- LlamaIndex (`llama_index.core.vector_stores.utils.node_to_metadata_dict`): metadata keys flat,
  `_node_content` with the node as a JSON string (`text`, or `text_resource.text`), `doc_id`,
  `ref_doc_id` and `document_id` ("None" for none).
- Haystack (`haystack_integrations.document_stores.qdrant.converters`, `Document.to_dict(
  flatten=False)`): `content`, `meta`; what a splitter cut has `meta.source_id` and
  `meta.split_idx_start`.
- ragguard: LangChain's, and its own under `ragguard`.
- plain: one text field and others.

Paths are dotted. A payload is hostile: whatever is not of the shape is counted as a fault of the
passage, and never stops the run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Literal, Protocol

from ragguard.errors import UsageError
from ragguard.model import Metadata

Name = Literal["langchain", "llamaindex", "haystack", "ragguard", "plain"]

MAX_TEXT = 1_000_000  # characters of a passage that are read
MAX_NODE = 8_000_000  # characters of a node's JSON that are parsed
MAX_KEYS = 64  # metadata keys that are kept
MAX_VALUE = 1000  # characters of a metadata value that are kept
MAX_ITEMS = 64  # items of a list that are kept
MAX_DEPTH = 4  # levels of nested metadata that are flattened
MAX_ID = 512  # characters of a document or source name
CONSTANT_AFTER = 20  # points that share one value: it names a source, not a document

_NODE = "_node_content"
_TEXTS = ("text", "content", "page_content", "chunk", "chunk_text", "body", "passage", "document")
_HOLDERS = ("metadata", "meta")
_DOCUMENTS = (
    *("document_id", "doc_id", "ref_doc_id", "documentId", "docId", "source_id", "parent_id"),
    *("source", "file_path", "filename", "file_name", "url", "uri", "path", "title"),
)
_SOURCES = ("source", "origin", "collection", "namespace", "dataset", "tenant")
_STARTS = ("start_index", "split_idx_start", "start", "start_char_idx", "chunk_index", "split_id")
_OFFSETS = {"start_index", "split_idx_start", "start", "start_char_idx"}  # characters, not ordinals
_LLAMA_OWN = {_NODE, "_node_type", "document_id", "doc_id", "ref_doc_id"}
_MISSING = object()


class LayoutPoint(Protocol):
    """A point as far as a layout needs it."""

    @property
    def id(self) -> str:
        """Point id."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """JSON object."""


@dataclass(frozen=True)
class Layout:
    """Dotted paths into a payload where things are.

    Attributes:
        metadata: An object; empty when metadata lie flat beside the text.
        source: Name of where the document comes from; `None` when nothing says so.
        document: Id of the document a passage is of; `None` when each is its own.
        name: Whose layout it is.
        start: Place of the passage in its document; `None` when nothing says so.
    """

    text: str
    metadata: str
    source: str | None
    document: str | None
    name: Name
    start: str | None = None

    @property
    def offsets(self) -> bool:
        """Whether `start` counts characters (else it only orders passages)."""
        return self.start is not None and self.start.rpartition(".")[2] in _OFFSETS


@dataclass(frozen=True)
class ForeignPassage:
    """Text, document and metadata of a point.

    Attributes:
        text: Hostile text; empty when there is none.
        metadata: Scalars and lists of scalars, bounded; nested ones flattened to dotted keys.
        document: Id of its document; the point's own id when nothing says so.
        source: Where it says it comes from; empty when nothing says so.
        start: Place in its document, `None` when unknown.
        faults: What is not of the layout's shape, of a few fixed kinds.
    """

    text: str
    metadata: Metadata
    document: str
    source: str
    start: int | None = None
    faults: tuple[str, ...] = field(default=())


def detect(
    points: Sequence[LayoutPoint], *, text: str = "", metadata: str = "", document: str = ""
) -> Layout:
    """Find a collection's layout from a sample of its points.

    Args:
        points: A sample.
        text: Path of the text, if told.
        metadata: Path of the metadata, if told.
        document: Path of the document id, if told.

    Raises:
        UsageError: No text field is found, or none is where it was told to be.
    """
    payloads = [_opened(p.payload) for p in points]
    layout = _known(payloads)
    if text:
        layout = Layout(text, _holder(payloads), None, None, "plain")
        if points and not _share(payloads, text):
            raise UsageError(
                f"no text at {text!r} in {len(points)} sampled points", hint=_seen(payloads)
            )
    if layout is None:
        raise UsageError(
            f"no text field found in {len(points)} sampled points",
            hint=f"Name it with --text-field. {_seen(payloads)}",
        )
    if metadata:
        layout = replace(layout, metadata=metadata)
    if layout.document is None:
        layout = _with_document(layout, payloads)
    if document:
        if points and not any(_word(at(p, document)) for p in payloads):
            raise UsageError(
                f"no document id at {document!r} in {len(points)} sampled points",
                hint=_seen(payloads),
            )
        layout = replace(layout, document=document)
    return layout


def read(point: LayoutPoint, layout: Layout) -> ForeignPassage:
    """Read a point under a layout.

    Args:
        layout: From `detect`.
    """
    payload = _opened(point.payload)
    faults: list[str] = []
    text = at(payload, layout.text)
    if text is _MISSING and layout.name == "llamaindex":
        text = _node_text(payload)
    if not isinstance(text, str):
        faults.append("no text" if text is _MISSING or text is None else "text is not a string")
        text = ""
    elif len(text) > MAX_TEXT:
        faults.append("text cut")
        text = text[:MAX_TEXT]
    elif not text.strip():
        faults.append("text is empty")
    if layout.name == "llamaindex" and not isinstance(payload.get(_NODE), Mapping):
        faults.append("node content unreadable")
    held = at(payload, layout.metadata) if layout.metadata else _flat(payload, layout)
    if held is not _MISSING and held is not None and not isinstance(held, Mapping):
        faults.append("metadata is no object")
    metadata, cut = _bounded(held if isinstance(held, Mapping) else {})
    if cut:
        faults.append("metadata cut")
    document = _word(at(payload, layout.document)) if layout.document else ""
    source = _word(at(payload, layout.source)) if layout.source else ""
    start = at(payload, layout.start) if layout.start else None
    if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start < 2**53:
        start = None
    return ForeignPassage(
        sound(text), metadata, document or str(point.id), source, start, tuple(faults)
    )


def at(payload: Any, path: str) -> Any:
    """Look up a dotted path; a marker that is no JSON value when nothing is there.

    A key that itself holds dots is found by its whole name first.
    """
    if isinstance(payload, Mapping) and path in payload:
        return payload[path]
    for key in path.split("."):
        if not isinstance(payload, Mapping) or key not in payload:
            return _MISSING
        payload = payload[key]
    return payload


def sound(text: str) -> str:
    """Return the text without lone surrogates, which no UTF-8 holds."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _opened(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a payload with LlamaIndex's node in it parsed, where that can be done."""
    text = payload.get(_NODE)
    if not isinstance(text, str) or len(text) > MAX_NODE:
        return payload
    try:
        node = json.loads(text)
    except (ValueError, RecursionError):
        return payload
    return {**payload, _NODE: node}


def _node_text(payload: Mapping[str, Any]) -> Any:
    for path in (f"{_NODE}.text", f"{_NODE}.text_resource.text", "text"):
        text = at(payload, path)
        if isinstance(text, str) and text:
            return text
    return _MISSING


def _flat(payload: Mapping[str, Any], layout: Layout) -> Mapping[str, Any]:
    """Return the metadata that lie beside the text."""
    own = _LLAMA_OWN if layout.name == "llamaindex" else {layout.text}
    return {k: v for k, v in payload.items() if k not in own}


# --- detection ------------------------------------------------------------------------------------


def _known(payloads: Sequence[Mapping[str, Any]]) -> Layout | None:
    """Return the layout most of the sample has; the more telling one first."""
    chosen: tuple[float, Layout] | None = None
    for layout in _CANDIDATES:
        share = _share(payloads, layout.text)
        if layout.metadata and layout.name != "ragguard":
            share = min(share, _holds(payloads, layout.metadata))
        if layout.name == "ragguard":
            share = min(share, _holds(payloads, "ragguard"))
        if share >= 0.5 and (chosen is None or share > chosen[0]):
            chosen = share, layout
    if chosen is not None:
        return chosen[1]
    for name in _TEXTS:
        if _share(payloads, name) >= 0.5:
            return Layout(name, _holder(payloads), None, None, "plain")
    longest = _longest(payloads)
    return Layout(longest, _holder(payloads), None, None, "plain") if longest else None


_CANDIDATES = (
    Layout(
        "page_content",
        "metadata",
        "ragguard.source",
        "ragguard.document",
        "ragguard",
        "ragguard.start",
    ),
    Layout(f"{_NODE}.text", "", None, "ref_doc_id", "llamaindex", f"{_NODE}.start_char_idx"),
    Layout(
        f"{_NODE}.text_resource.text",
        *("", None, "ref_doc_id", "llamaindex", f"{_NODE}.start_char_idx"),
    ),
    Layout("page_content", "metadata", None, None, "langchain"),
    Layout("content", "meta", None, None, "haystack"),
)


def _share(payloads: Sequence[Mapping[str, Any]], path: str) -> float:
    """Return the share of payloads with a non-empty string at a path."""
    hits = sum(1 for p in payloads if isinstance(v := at(p, path), str) and v.strip())
    return hits / len(payloads) if payloads else 0.0


def _holds(payloads: Sequence[Mapping[str, Any]], path: str) -> float:
    """Return the share of payloads with an object, or with nothing said, at a key that is there."""
    hits = sum(1 for p in payloads if (v := at(p, path)) is None or isinstance(v, Mapping))
    return hits / len(payloads) if payloads else 0.0


def _holder(payloads: Sequence[Mapping[str, Any]]) -> str:
    """Return the key of an object that holds metadata; empty when they lie flat."""
    for name in _HOLDERS:
        if sum(isinstance(p.get(name), Mapping) for p in payloads) * 2 > len(payloads):
            return name
    return ""


def _longest(payloads: Sequence[Mapping[str, Any]]) -> str:
    """Return the key of the longest strings that read like text, if most payloads have it."""
    best, length = "", 20.0
    keys = sorted({str(k) for p in payloads for k in list(p)[:MAX_KEYS]})
    for key in keys[:1000]:
        lengths = [len(v) for p in payloads if isinstance(v := p.get(key), str) and " " in v]
        if len(lengths) * 2 > len(payloads) and median(lengths) > length:
            best, length = key, median(lengths)
    return best


def _with_document(layout: Layout, payloads: Sequence[Mapping[str, Any]]) -> Layout:
    """Return the layout with paths of document, source and place, where something says them."""
    prefix = f"{layout.metadata}." if layout.metadata else ""
    document = next(
        (p for p in (prefix + n for n in _DOCUMENTS) if _names_documents(payloads, p)), None
    )
    source = next(
        (p for p in (prefix + n for n in _SOURCES) if p != document and _common(payloads, p)), None
    )
    start = next(
        (
            p
            for p in (prefix + n for n in _STARTS)
            if document and sum(isinstance(at(x, p), int) for x in payloads) * 2 > len(payloads)
        ),
        None,
    )
    return replace(layout, document=document, source=source, start=start)


def _values(payloads: Sequence[Mapping[str, Any]], path: str) -> list[str]:
    return [v for p in payloads if (v := _word(at(p, path)))]


def _common(payloads: Sequence[Mapping[str, Any]], path: str) -> bool:
    return len(_values(payloads, path)) * 2 > len(payloads)


def _names_documents(payloads: Sequence[Mapping[str, Any]], path: str) -> bool:
    values = _values(payloads, path)
    constant = len(set(values)) == 1 and len(values) >= CONSTANT_AFTER
    return len(values) * 2 > len(payloads) and not constant


def _seen(payloads: Sequence[Mapping[str, Any]]) -> str:
    """Return the keys of the sample, for a message."""
    keys = sorted({str(k)[:60] for p in payloads for k in list(p)[:MAX_KEYS]})
    return f"Its payloads have: {', '.join(keys[:20]) or 'nothing'}."


# --- bounds ---------------------------------------------------------------------------------------


def _word(value: Any) -> str:
    """Return a name: a short string or a whole number as text; else empty."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = sound(str(value)).strip() if not isinstance(value, int) or abs(value) < 2**64 else ""
    return "" if text == "None" else text[:MAX_ID]


def _bounded(held: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the metadata as a small flat object, and whether anything was left out."""
    bounded: dict[str, Any] = {}
    cut = False
    for key, value in _leaves(held, "", 0):
        if len(bounded) >= MAX_KEYS:
            return bounded, True
        kept, whole = _kept(value)
        cut = cut or not whole
        if kept is not _MISSING:
            bounded[sound(key)[:MAX_ID]] = kept
    return bounded, cut


def _leaves(held: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in held.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < MAX_DEPTH:
            yield from _leaves(value, f"{name}.", depth + 1)
        else:
            yield name, value


def _kept(value: Any) -> tuple[Any, bool]:
    """Return a value within bounds, and whether it is all of it."""
    if value is None or isinstance(value, bool):
        return value, True
    if isinstance(value, int | float):
        # Beyond it a number has two spellings, or none, in canonical JSON.
        return (value, True) if abs(value) < 2**53 else (_MISSING, False)
    if isinstance(value, str):
        return sound(value[:MAX_VALUE]), len(value) <= MAX_VALUE
    if isinstance(value, list | tuple):
        items = [_kept(v) for v in value[:MAX_ITEMS] if not isinstance(v, Mapping | list | tuple)]
        kept = [v for v, _ in items if v is not _MISSING]
        return kept, len(kept) == len(value) and all(whole for _, whole in items)
    return _MISSING, False
