"""Where foreign collections keep things: each library's layout, told ones, and hostile payloads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models

from ragguard.errors import UsageError
from ragguard.store import foreign_layout
from ragguard.store.foreign import open_foreign
from ragguard.store.foreign_layout import ForeignPassage, detect, read
from ragguard.trust.canonical import canonical
from tests.support.servers import qdrant_shim


@dataclass(frozen=True)
class Stored:
    payload: Mapping[str, Any]
    id: str = "7"


def stored(*payloads: Mapping[str, Any]) -> list[Stored]:
    return [Stored(p, str(n)) for n, p in enumerate(payloads)]


def passages(*payloads: Mapping[str, Any], **told: str) -> list[ForeignPassage]:
    points = stored(*payloads)
    found = detect(points, **told)
    return [read(p, found) for p in points]


def llama(text: str, document: str, *, modern: bool = False, **metadata: Any) -> dict[str, Any]:
    """A payload as `node_to_metadata_dict` of llama_index.core.vector_stores.utils makes it."""
    node: dict[str, Any] = {
        "id_": f"{document}-{text[:3]}",
        "embedding": None,
        "metadata": metadata,
        "relationships": {"1": {"node_id": document, "node_type": "4"}},
        "start_char_idx": 12,
        "class_name": "Node" if modern else "TextNode",
    }
    if modern:
        node["text_resource"] = {"text": text, "mimetype": "text/plain"}
    else:
        node["text"] = text
    ids = dict.fromkeys(("document_id", "doc_id", "ref_doc_id"), document)
    return {**metadata, "_node_content": json.dumps(node), "_node_type": node["class_name"], **ids}


def haystack(text: str, document: str, start: int) -> dict[str, Any]:
    """A payload as `Document.to_dict(flatten=False)` of Haystack makes it, `embedding` popped."""
    meta = {"source_id": document, "page_number": 1, "split_id": 0, "split_idx_start": start}
    return {
        "id": f"{document}-{start}",
        "content": text,
        "blob": None,
        "meta": meta,
        "score": None,
        "sparse_embedding": None,
    }


# --- the libraries' layouts -----------------------------------------------------------------------


class Letters(Embeddings):
    """Counts letters: an embedding that needs no model."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(t) for t in texts]

    def embed_query(self, text: str) -> list[float]:
        return [1.0 + text.count(c) for c in "aeinr"]


def test_what_langchain_wrote_is_read_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["Days of leave lapse in March.", "The safe is in the cellar.", "Ask the porter."]
    given = [
        {"source": "leave.md", "start_index": 0, "team": "people"},
        {"source": "safe.md", "start_index": 0},
        {"source": "safe.md", "start_index": 26, "tags": ["keys", "porter"]},
    ]
    client = QdrantClient(":memory:")
    monkeypatch.setattr(qdrant_shim, "open_edge", lambda _folder, **_: client)
    shim = qdrant_shim.Shim(tmp_path)
    params = models.VectorParams(size=5, distance=models.Distance.COSINE)
    client.create_collection("docs", vectors_config=params)
    QdrantVectorStore(client, "docs", Letters()).add_texts(texts, metadatas=given)
    with open_foreign(url=shim.url, collection="docs") as foreign:
        points = [p for block in foreign.scan() for p in block]
    shim.close()
    assert [p.fault for p in points] == ["", "", ""]
    found = detect(points)
    assert (found.name, found.text, found.metadata) == ("langchain", "page_content", "metadata")
    assert (found.document, found.start) == ("metadata.source", "metadata.start_index")
    assert found.offsets
    read_back = {p.text: p for p in (read(p, found) for p in points)}
    assert {t: dict(p.metadata) for t, p in read_back.items()} == dict(
        zip(texts, given, strict=True)
    )
    assert read_back["Ask the porter."].document == "safe.md"
    assert read_back["Ask the porter."].start == 26
    assert all(p.faults == () for p in read_back.values())


@pytest.mark.parametrize("modern", [False, True], ids=["text", "text-resource"])
def test_a_llamaindex_node_is_read_out_of_its_json(modern: bool) -> None:
    made = passages(
        llama("First part.", "doc-1", modern=modern, file_name="a.pdf"),
        llama("Second part.", "doc-1", modern=modern, file_name="a.pdf"),
        llama("Alone.", "None", modern=modern),
    )
    assert [p.text for p in made] == ["First part.", "Second part.", "Alone."]
    assert [p.document for p in made] == ["doc-1", "doc-1", "2"]
    assert [dict(p.metadata) for p in made] == [{"file_name": "a.pdf"}] * 2 + [{}]
    assert [p.start for p in made] == [12, 12, 12]
    found = detect(stored(llama("x", "d", modern=modern)))
    assert (found.name, found.metadata, found.offsets) == ("llamaindex", "", True)


def test_haystack_documents_are_put_under_what_they_were_split_from() -> None:
    points = stored(haystack("Part one.", "long", 0), haystack("Part two.", "long", 9))
    found = detect(points)
    assert (found.name, found.text, found.metadata) == ("haystack", "content", "meta")
    assert (found.document, found.start) == ("meta.source_id", "meta.split_idx_start")
    made = [read(p, found) for p in points]
    assert [(p.text, p.document, p.start) for p in made] == [
        ("Part one.", "long", 0),
        ("Part two.", "long", 9),
    ]


def test_our_own_layout_is_known() -> None:
    own = {"source": "wiki", "document": "a.md", "start": 3, "seal": "0"}
    payload = {"page_content": "Text.", "metadata": {"source": "wiki/a.md"}, "ragguard": own}
    (made,) = passages(payload)
    assert detect(stored(payload)).name == "ragguard"
    assert (made.source, made.document, made.start) == ("wiki", "a.md", 3)
    assert made.metadata == {"source": "wiki/a.md"}


def test_langchain_points_without_metadata_are_langchain_still() -> None:
    made = passages({"page_content": "One.", "metadata": None}, {"page_content": "Two."})
    assert [p.text for p in made] == ["One.", "Two."]
    assert [p.document for p in made] == ["0", "1"]
    assert detect(stored({"page_content": "One.", "metadata": None})).name == "langchain"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        pytest.param({"text": "Hello there.", "url": "u"}, "text", id="text"),
        pytest.param({"content": "Hello there.", "lang": "en"}, "content", id="content"),
        pytest.param(
            {"k": "short", "answer": "A longer sentence that reads like text."},
            "answer",
            id="longest",
        ),
    ],
)
def test_plain_fields_are_found(payload: dict[str, Any], text: str) -> None:
    found = detect(stored(payload))
    assert (found.name, found.text) == ("plain", text)
    (made,) = passages(payload)
    assert made.text == payload[text]
    assert dict(made.metadata) == {k: v for k, v in payload.items() if k != text}


def test_what_most_points_have_decides() -> None:
    points = stored(
        {"page_content": "A decoy.", "metadata": {}},
        *({"content": f"Text {n}.", "meta": {}} for n in range(3)),
    )
    found = detect(points)
    assert found.name == "haystack"
    assert read(points[0], found).faults == ("no text",)


def test_a_value_that_all_points_share_names_a_source_and_no_document() -> None:
    points = stored(
        *(
            {"page_content": f"Text {n}.", "metadata": {"source": "wiki", "title": f"t{n}"}}
            for n in range(foreign_layout.CONSTANT_AFTER)
        )
    )
    found = detect(points)
    assert (found.document, found.source) == ("metadata.title", "metadata.source")
    assert read(points[3], found).source == "wiki"


# --- told -----------------------------------------------------------------------------------------


def test_told_fields_win_and_may_lie_deep() -> None:
    payload = {
        "page_content": "A decoy.",
        "metadata": {},
        "doc": {"body": {"raw": "The text."}, "about": {"x": 1}, "key": 41},
        "a.b": "dotted",
    }
    (made,) = passages(payload, text="doc.body.raw", metadata="doc.about", document="doc.key")
    assert (made.text, made.metadata, made.document) == ("The text.", {"x": 1}, "41")
    (made,) = passages(payload, text="a.b")
    assert made.text == "dotted"


def test_a_told_field_that_is_not_there_is_a_usage_error_that_lists_what_is() -> None:
    points = stored({"body": "Text.", "n": 1})
    with pytest.raises(UsageError, match="no text at 'txt'") as error:
        detect(points, text="txt")
    assert "body, n" in error.value.hint
    with pytest.raises(UsageError, match="no document id at 'key'"):
        detect(points, text="body", document="key")
    with pytest.raises(UsageError, match="no text field found") as error:
        detect(stored({"n": 1}, {"vec": [1, 2]}))
    assert "--text-field" in error.value.hint


# --- hostile --------------------------------------------------------------------------------------


def deep(levels: int) -> dict[str, Any]:
    made: dict[str, Any] = {"end": "here"}
    for _ in range(levels):
        made = {"k": made}
    return made


HOSTILE: Sequence[tuple[str, Mapping[str, Any], tuple[str, ...]]] = (
    ("nothing", {}, ("no text",)),
    ("null", {"page_content": None, "metadata": {}}, ("no text",)),
    ("number", {"page_content": 7, "metadata": {}}, ("text is not a string",)),
    ("object", {"page_content": {"a": "b"}}, ("text is not a string",)),
    ("blank", {"page_content": " \n", "metadata": {}}, ("text is empty",)),
    ("huge", {"page_content": "x" * (foreign_layout.MAX_TEXT + 1)}, ("text cut",)),
    ("list", {"page_content": "t", "metadata": [1]}, ("metadata is no object",)),
    ("deep", {"page_content": "t", "metadata": deep(5000)}, ("metadata cut",)),
    ("many", {"page_content": "t", "metadata": {str(n): n for n in range(999)}}, ("metadata cut",)),
    ("long", {"page_content": "t", "metadata": {"k": "v" * 9999}}, ("metadata cut",)),
    ("big", {"page_content": "t", "metadata": {"k": 2**70, "ok": 1}}, ("metadata cut",)),
    ("nan", {"page_content": "t", "metadata": {"k": float("nan")}}, ("metadata cut",)),
    ("nested", {"page_content": "t", "metadata": {"k": [[1], {"a": 2}, 3]}}, ("metadata cut",)),
)


@pytest.mark.parametrize(
    ("payload", "faults"), [h[1:] for h in HOSTILE], ids=[h[0] for h in HOSTILE]
)
def test_a_payload_of_another_shape_is_counted(
    payload: Mapping[str, Any], faults: tuple[str, ...]
) -> None:
    found = foreign_layout.Layout(
        "page_content", "metadata", "metadata.source", "metadata.k", "langchain"
    )
    made = read(Stored(payload), found)
    assert made.faults == faults
    assert len(made.text) <= foreign_layout.MAX_TEXT
    assert len(made.metadata) <= foreign_layout.MAX_KEYS
    canonical(dict(made.metadata))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("[" * 200_000, id="deep"),
        pytest.param('{"text": ', id="cut-short"),
        pytest.param("[1]", id="no-object"),
        pytest.param(7, id="number"),
        pytest.param('"' + "x" * (foreign_layout.MAX_NODE + 1) + '"', id="huge"),
    ],
)
def test_a_node_that_cannot_be_read_is_counted(content: Any) -> None:
    found = detect(stored(llama("Honest.", "d")))
    made = read(Stored({"_node_content": content, "ref_doc_id": "d"}), found)
    assert made.faults == ("no text", "node content unreadable")
    assert made.document == "d"


def test_lone_surrogates_do_not_reach_the_text() -> None:
    node = json.dumps({"text": "a\ud800b", "metadata": {}})
    found = detect(stored(llama("Honest.", "d")))
    made = read(Stored({"_node_content": node, "ref_doc_id": "\ud800", "k": "\udfff"}), found)
    assert made.text == "a?b"
    assert (made.document, made.metadata) == ("?", {"k": "?"})
    made.text.encode()


def test_hostile_keys_and_samples_do_not_stop_detection() -> None:
    points = stored(
        {"": "", "a": deep(3000), "b" * 100_000: 1},
        {"_node_content": "[" * 100_000},
        *({"body": f"Text number {n}."} for n in range(3)),
    )
    assert detect(points).text == "body"


@pytest.mark.parametrize("document", ["", " ", True, 1.5, None, ["a"], {"a": 1}, 2**70])
def test_a_document_id_that_is_none_leaves_the_point_alone(document: Any) -> None:
    found = foreign_layout.Layout("text", "", None, "id", "plain")
    assert read(Stored({"text": "t", "id": document}, "p1"), found).document == "p1"
