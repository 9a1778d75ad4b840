"""What frameworks get from the guarded retriever: proved passages, and nothing else in a prompt."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from haystack import Pipeline
from haystack.components.builders import PromptBuilder
from langchain_core.documents import Document
from langchain_core.prompts import PromptTemplate, format_document
from langchain_core.runnables import RunnableLambda
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.indices import VectorStoreIndex
from llama_index.core.llms.mock import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle, TextNode
from llama_index.vector_stores.qdrant import QdrantVectorStore

from ragguard.integrations import haystack, langchain, llamaindex
from ragguard.serving.answer import Answer
from ragguard.serving.retriever import open_retriever
from ragguard.store.qdrant import QdrantStore
from tests.integrations.conftest import Served
from tests.support.simulator import HONEST, Gate

QUESTION = "how many days of vacation do I get"
LEAVE = "wiki/leave.md"
FORGED = "You get 99 days of vacation."


def assert_clean(prompt: str, served: Served) -> None:
    """A prompt holds the passage and nothing of ragguard's."""
    assert HONEST["leave.md"] in prompt
    assert "ragguard" not in prompt
    assert not [seal for seal in served.seals if seal in prompt]


# --- LangChain ------------------------------------------------------------------------------------


def test_langchain_gets_passages_with_the_documents_own_metadata(served: Served) -> None:
    retriever = langchain.GuardedRetriever(
        retriever=served.retriever, k=2, on_answer=served.answers.append
    )
    found = retriever.invoke(QUESTION)
    assert [type(d) for d in found] == [Document, Document]
    assert (found[0].page_content, found[0].metadata) == (
        HONEST["leave.md"],
        {"department": "le", "source": LEAVE},
    )
    [answer] = served.answers
    assert [h.proof.point for h in answer.hits] == [d.id for d in found]


def test_langchain_puts_nothing_of_ours_into_a_prompt(served: Served) -> None:
    retriever = langchain.GuardedRetriever(retriever=served.retriever)
    each = PromptTemplate.from_template("{page_content} ({source}, {department})")
    chain = retriever | RunnableLambda(
        lambda found: "\n".join(format_document(d, each) + str(d.metadata) for d in found)
    )
    assert_clean(chain.invoke(QUESTION), served)


def test_langchain_does_not_get_a_forged_passage(served: Served) -> None:
    point = served.forge("leave.md", FORGED)
    retriever = langchain.GuardedRetriever(
        retriever=served.retriever, k=3, on_answer=served.answers.append
    )
    found = retriever.invoke(QUESTION)
    assert len(found) == 3
    assert FORGED not in {d.page_content for d in found}
    assert [(r.point, r.kind) for r in served.answers[0].alarms] == [(point, "seal")]


def test_langchain_may_ask_from_many_threads_and_from_a_loop(served: Served) -> None:
    retriever = langchain.GuardedRetriever(retriever=served.retriever, k=1)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(retriever.invoke, [QUESTION] * 8))
    found.append(asyncio.run(retriever.ainvoke(QUESTION)))
    assert {d.metadata["source"] for one in found for d in one} == {LEAVE}


# --- LlamaIndex -----------------------------------------------------------------------------------


class Ours(BaseEmbedding):
    """The workspace's encoder as LlamaIndex wants it."""

    encoder: Any

    def _get_query_embedding(self, query: str) -> list[float]:
        return [float(x) for x in self.encoder.encode([query])[0]]

    _get_text_embedding = _get_query_embedding

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


def directly(served: Served) -> VectorStoreIndex:
    """LlamaIndex's own Qdrant store on the alias, as a user without adapters has it."""
    opened = served.store
    assert isinstance(opened, QdrantStore)
    store = QdrantVectorStore("corpus", client=opened.client, text_key="page_content")
    encoder = Ours(encoder=served.gate.workspace.encoder)
    return VectorStoreIndex.from_vector_store(store, embed_model=encoder)


def test_llamaindex_gets_nodes_with_the_documents_own_metadata(served: Served) -> None:
    retriever = llamaindex.GuardedRetriever(served.retriever, 2, served.answers.append)
    found = retriever.retrieve(QUESTION)
    node = found[0].node
    assert (node.get_content(), node.metadata) == (
        HONEST["leave.md"],
        {"department": "le", "source": LEAVE},
    )
    assert isinstance(node, TextNode)
    assert node.ref_doc_id == LEAVE
    assert [h.proof.point for h in served.answers[0].hits] == [n.node.node_id for n in found]
    assert found[0].score == served.answers[0].hits[0].similarity
    assert asyncio.run(retriever.aretrieve(QUESTION))[0].node.node_id == node.node_id


def test_llamaindex_puts_nothing_of_ours_into_a_prompt(served: Served) -> None:
    retriever = llamaindex.GuardedRetriever(served.retriever, 2)
    engine = RetrieverQueryEngine.from_args(retriever, llm=MockLLM())
    assert_clean(str(engine.query(QUESTION)), served)  # this model says what it was asked
    for mode in MetadataMode:
        assert_clean(retriever.retrieve(QUESTION)[0].node.get_content(mode), served)


def test_llamaindex_on_the_collection_itself_would_put_our_fields_into_it(served: Served) -> None:
    found = directly(served).as_retriever(similarity_top_k=1).retrieve(QUESTION)
    assert "ragguard" in found[0].node.get_content(MetadataMode.LLM)


def test_the_postprocessor_makes_that_clean(served: Served) -> None:
    guard = llamaindex.GuardPostprocessor(
        retriever=served.retriever, on_answer=served.answers.append
    )
    before = directly(served).as_retriever(similarity_top_k=3).retrieve(QUESTION)
    found = guard.postprocess_nodes(before)
    assert [(n.node.node_id, n.score) for n in found] == [(n.node.node_id, n.score) for n in before]
    assert_clean(found[0].node.get_content(MetadataMode.ALL), served)
    assert len(served.answers[0].hits) == 3


def test_the_postprocessor_lets_no_forged_node_through(served: Served) -> None:
    point = served.forge("leave.md", FORGED)
    guard = llamaindex.GuardPostprocessor(
        retriever=served.retriever, on_answer=served.answers.append
    )
    engine = directly(served).as_query_engine(
        llm=MockLLM(), similarity_top_k=6, node_postprocessors=[guard]
    )
    answer = str(engine.query(QUESTION))
    assert FORGED not in answer
    assert HONEST["visitors.md"] in answer
    assert [(r.point, r.kind) for r in served.answers[0].alarms] == [(point, "seal")]


def test_the_postprocessor_hands_on_what_is_proved_and_not_what_the_node_says(
    served: Served,
) -> None:
    [leave] = [p for p in served.kept if p.payload["ragguard"]["document"] == "leave.md"]
    ids = [leave.id, "not a point", "00000000-0000-4000-8000-000000000001"]
    nodes = [NodeWithScore(node=TextNode(id_=i, text=FORGED)) for i in ids]
    guard = llamaindex.GuardPostprocessor(
        retriever=served.retriever, on_answer=served.answers.append
    )
    found = asyncio.run(guard.apostprocess_nodes(nodes, QueryBundle(QUESTION)))
    assert [(n.node.get_content(), n.score) for n in found] == [(HONEST["leave.md"], None)]
    refused = {r.point: (r.kind, r.alarm) for r in served.answers[0].refused}
    assert refused == dict.fromkeys(ids[1:], ("unknown", False))


def test_the_postprocessor_keeps_to_the_scope(new_gate: Callable[..., Gate]) -> None:
    gate = new_gate()
    gate.set_policy(scope=["tenant=@tenant"])
    gate.publish(HONEST, metadata={n: {"tenant": n[:2]} for n in HONEST})
    answers: list[Answer] = []
    guard = llamaindex.GuardPostprocessor(
        retriever=open_retriever(gate.workspace, scope={"tenant": "le"}), on_answer=answers.append
    )
    nodes = [NodeWithScore(node=TextNode(id_=i, text="")) for i in gate.points()]
    found = guard.postprocess_nodes(nodes)
    assert [n.node.get_content() for n in found] == [HONEST["leave.md"]]
    assert {(r.kind, r.alarm) for r in answers[0].refused} == {("scope", False)}
    assert len(answers[0].refused) == len(HONEST) - 1


# --- Haystack -------------------------------------------------------------------------------------


def test_haystack_gets_documents_with_content_and_their_own_metadata(served: Served) -> None:
    pipeline = Pipeline()
    pipeline.add_component("retriever", haystack.GuardedRetriever(served.retriever, top_k=3))
    template = "{% for d in documents %}{{ d.content }} {{ d.meta }}\n{% endfor %}{{ question }}"
    pipeline.add_component(
        "prompt", PromptBuilder(template, required_variables=["documents", "question"])
    )
    pipeline.connect("retriever.documents", "prompt.documents")
    made = pipeline.run(
        {"retriever": {"query": QUESTION}, "prompt": {"question": QUESTION}},
        include_outputs_from={"retriever"},
    )
    assert_clean(made["prompt"]["prompt"], served)
    found, answer = made["retriever"]["documents"], made["retriever"]["answer"]
    assert (found[0].content, found[0].meta) == (
        HONEST["leave.md"],
        {"department": "le", "source": LEAVE},
    )
    assert [(d.id, d.score) for d in found] == [(h.proof.point, h.similarity) for h in answer.hits]


def test_haystack_does_not_get_a_forged_passage(served: Served) -> None:
    served.forge("leave.md", FORGED)
    component = haystack.GuardedRetriever(served.retriever, on_answer=served.answers.append)
    found = component.run(QUESTION, top_k=2)["documents"]
    assert isinstance(found, list)
    assert len(found) == 2
    assert FORGED not in {d.content for d in found}
    assert [r.kind for r in served.answers[0].alarms] == ["seal"]


# --- without the framework ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "module"),
    [
        ("langchain", "langchain_core"),
        ("llamaindex", "llama_index"),
        ("haystack", "haystack"),
        ("mcp", "mcp"),
    ],
)
def test_an_adapter_without_its_framework_says_what_to_install(extra: str, module: str) -> None:
    script = (
        f"import sys; sys.modules[{module!r}] = None\n"
        "from ragguard.errors import MissingExtraError\n"
        f"try:\n    import ragguard.integrations.{extra}\n"
        "except ImportError as error:\n"
        "    print(isinstance(error, MissingExtraError), error.hint)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == f"True pip install 'ragguard[{extra}]'\n", done.stderr
