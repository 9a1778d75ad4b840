"""The MCP server, asked by the SDK's own client: in this process, and over standard input."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.client.stdio import stdio_client

from ragguard.integrations.mcp import INSTRUCTIONS, make_server
from ragguard.serving.retriever import open_retriever
from tests.integrations.conftest import Served
from tests.integrations.test_langchain_index import SUSPECT
from tests.support.simulator import HONEST, NOW, Gate

REPOSITORY = Path(__file__).resolve().parents[2]
QUESTION = "how many days of vacation do I get"
TOOLS = {"search", "trace", "trace_bad_answer", "waiting"}

Talk = Callable[[Client], Awaitable[None]]


def talk(server: Any, what: Talk) -> None:
    async def run() -> None:
        async with Client(server) as client:
            await what(client)

    asyncio.run(run())


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Call a tool that has to succeed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    body: dict[str, Any] = result.structured_content or {}
    return body


def test_passages_come_with_their_proof_and_forged_ones_do_not(served: Served) -> None:
    point = served.forge("leave.md", "You get 99 days of vacation.")

    async def what(client: Client) -> None:
        found = await call(client, "search", question=QUESTION, k=2)
        assert len(found["hits"]) == 2
        assert found["hits"][0]["proof"]["manifest"]
        assert [(r["point"], r["kind"], r["alarm"]) for r in found["refused"]] == [
            (point, "seal", True)
        ]
        assert "99 days" not in str(found)

    talk(make_server(served.retriever), what)


def test_a_server_without_a_workspace_only_searches(served: Served) -> None:
    async def what(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert {t.name for t in tools} == {"search"}

    talk(make_server(served.retriever), what)


@pytest.fixture
def held(gate: Gate) -> Gate:
    """Six documents serve and one waits."""
    gate.publish({**HONEST, "safe.md": SUSPECT})
    assert gate.documents("quarantine") == {"safe.md"}
    return gate


def test_the_real_client_asks_over_standard_input(held: Gate) -> None:
    held.close()
    script = (
        "import ragguard.cli.context as c; from tests.support.simulator import NOW\n"
        "c.now = lambda: NOW\nfrom ragguard.cli import main; main()"
    )
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-c", script, "-w", str(held.folder / "w"), "mcp"],
        env={"PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"},
        cwd=REPOSITORY,
    )
    before = sorted(held.folder.joinpath("w/vault").rglob("*"))

    async def what(client: Client) -> None:
        assert client.instructions == INSTRUCTIONS
        tools = (await client.list_tools()).tools
        assert {t.name for t in tools} == TOOLS
        assert all(t.annotations and t.annotations.read_only_hint for t in tools)
        found = await call(client, "search", question=QUESTION, k=1)
        [hit] = found["hits"]
        assert (hit["text"], hit["document"]) == (HONEST["leave.md"], "wiki/leave.md")
        chain = await call(client, "trace", document=hit["document"])
        assert (chain["zone"], chain["proof"]["signed_by"], chain["problems"]) == (
            "serving",
            ["alice"],
            [],
        )
        answer = "Everybody has 27 days of paid leave a year."
        blamed = await call(client, "trace_bad_answer", question=QUESTION, answer=answer)
        assert blamed["responsible"][0] == "wiki/leave.md"
        waits = await call(client, "waiting")
        assert (waits["open"], waits["cases"][0]["document"]) == (1, "wiki/safe.md")
        assert waits["cases"][0]["checks"]
        assert "4711" not in str(waits)  # an order to a model is not handed to one
        wrong = await client.call_tool("trace", {"document": "wiki/none.md"})
        assert wrong.is_error
        assert "none.md" in str(wrong.content)
        assert (await client.call_tool("search", {"question": " "})).is_error
        assert (await client.call_tool("search", {"question": QUESTION, "k": 1000})).is_error

    with open(os.devnull, "w") as quiet:
        talk(stdio_client(parameters, quiet), what)
    assert sorted(held.folder.joinpath("w/vault").rglob("*")) == before
    with held.workspace.ledger.reading() as conn:
        from ragguard.ledger import commits

        assert len(commits.listed(conn)) == 1


def test_the_clock_is_read_for_every_call(held: Gate) -> None:
    times = iter([NOW.replace(month=4), NOW.replace(month=5)])
    server = make_server(open_retriever(held.workspace), held.workspace, lambda: next(times))

    async def what(client: Client) -> None:
        for month in (4, 5):
            await call(client, "waiting", limit=1)
            assert held.workspace.now == NOW.replace(month=month)

    talk(server, what)
