"""Jobs: asked for by name, watched as events, cancelled before a commit, told when they fail."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ragguard import canary
from ragguard.audit.run import audit
from ragguard.canary.sets import Canaries
from ragguard.cli import context, run
from ragguard.config import Settings
from ragguard.errors import LockedError
from ragguard.integrations.alarms import events
from ragguard.integrations.jobs import kept
from ragguard.integrations.web.jobs import api
from ragguard.ledger import commits, log
from ragguard.trust import canonical
from ragguard.workspace import Workspace
from tests.integrations.web.conftest import CAROL, ORDER, SINGLE
from tests.support.servers.waiting_site import Site, waiting_site
from tests.support.simulator import HONEST, NOW, Gate
from tests.support.web import Served, serving

DAYS = timedelta(days=30)
Event = tuple[int, str, dict[str, Any]]


@contextmanager
def site_gate(folder: Path, at: datetime = NOW) -> Iterator[tuple[Gate, Site]]:
    """A workspace whose settings name a manifest, signed at a time, of a site that lets wait."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site").mkdir()
    with waiting_site(folder / "site") as site:
        wiki = {"manifest": "../wiki-2.intoto.json", "root": site.url}
        gate = Gate(folder, web={"ingest": {"wiki": wiki}})
        try:
            gate.publish(HONEST)
            gate.publisher.publish({"tea.md": f"{HONEST['leave.md']}\n\n{ORDER}"}, now=at)
            yield gate, site
        finally:
            gate.close()


@pytest.fixture
def met(tmp_path: Path) -> Iterator[tuple[Gate, Site, Served, httpx.Client]]:
    """A server with a job that waits in the middle of reading; an operator's client."""
    with (
        site_gate(tmp_path / "m") as (gate, site),
        serving(gate) as served,
        served.client() as client,
    ):
        began = client.post("/api/v1/jobs", json={"job": "ingest", "source": "wiki"})
        assert began.status_code == 202, began.text
        assert site.asked.wait(60)
        yield gate, site, served, client
        site.open.set()


def follow(client: httpx.Client, number: int, last: int | None = None) -> list[Event]:
    """Read a job's events to their end, as any reader of event streams does."""
    headers = {} if last is None else {"last-event-id": str(last)}
    with client.stream("GET", f"/api/v1/jobs/{number}/events", headers=headers) as answer:
        if answer.status_code == 204:
            return []
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        return list(parsed(answer.iter_lines()))


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield int(fields["id"]), fields["event"], json.loads(fields["data"])
            fields = {}


def ended(client: httpx.Client, number: int) -> dict[str, Any]:
    *_, (_, name, job) = follow(client, number)
    assert name == "end"
    return job


def commits_of(gate: Gate) -> list[str]:
    with gate.workspace.ledger.reading() as conn:
        return [row.kind for row in commits.listed(conn)]


# --- from beginning to end ------------------------------------------------------------------------


def test_an_ingest_is_told_stage_by_stage_to_its_end(
    met: tuple[Gate, Site, Served, httpx.Client],
) -> None:
    _, site, _, client = met
    listed = client.get("/api/v1/jobs").json()
    assert [row["source"] for row in listed["allowed"]] == ["wiki"]
    assert (listed["running"], listed["jobs"][0]["state"]) == (1, "running")
    assert listed["jobs"][0]["steps"] == [{"stage": "read", "done": 0, "total": 7}]
    threading.Timer(0.5, site.open.set).start()
    told = follow(client, 1)
    numbers = [number for number, _, _ in told]
    assert numbers == sorted(set(numbers))
    assert {"read", "embed", "checks", "commit"} <= {b["stage"] for _, n, b in told if n != "end"}
    assert [name for _, name, _ in told].count("end") == 1
    job = told[-1][2]
    assert (job["state"], job["exit_code"], job["by"]) == ("done", 1, "")
    assert (job["counts"]["quarantined"], job["said"]) == (1, ["wiki version 2: commit 2"])
    # What came is told again to whoever asks, what was had is not.
    assert follow(client, 1)[-1] == told[-1]
    assert follow(client, 1, last=numbers[-2]) == [told[-1]]
    assert follow(client, 1, last=numbers[-1]) == []
    assert client.get("/api/v1/jobs/1").json() == job
    assert client.get("/api/v1/cases").json()["total"] == 1
    assert [r["job"] for r in client.get("/api/v1/health").json()["jobs"]] == ["ingest"]
    again = client.post("/api/v1/jobs", json={"job": "ingest", "source": "wiki"}).json()
    assert ended(client, again["number"])["said"] == ["wiki version 2: nothing to do"]


def test_an_audit_is_logged_and_starts_what_triggers_allow(tmp_path: Path) -> None:
    gate = Gate(tmp_path, triggers={"canaries": ["audit"]})
    gate.publish(HONEST)
    asked = Canaries({"q1": "How many days of leave do I have?"}, {"q1": {"wiki/leave.md": 1}})
    canary.keep(gate.workspace, asked)
    audit(gate.reopen(days=1))
    gate.publish({"leave.md": "# Bicycles\n\nStands for bicycles are behind the machine hall."})
    gate.now += timedelta(days=1)
    with serving(gate) as served, served.client() as client:
        first = client.post("/api/v1/jobs", json={"job": "audit"}).json()
        job = ended(client, first["number"])
        assert (job["state"], job["exit_code"]) == ("done", 1)
        assert any("[triggers] canaries: started a full audit" in said for said in job["said"])
        assert client.get("/api/v1/health").json()["audit"]["at"] == "2026-03-03T12:00:00Z"
        full = client.post("/api/v1/jobs", json={"job": "audit", "full": True}).json()
        job = ended(client, full["number"])
        assert not any("[triggers]" in said for said in job["said"])
    with gate.workspace.ledger.reading() as conn:
        audits = [text for _, text, _ in log.entries(conn) if '"act":"audit"' in text]
    assert len(audits) == 4
    gate.close()


# --- in the middle --------------------------------------------------------------------------------


def test_while_a_job_runs_pages_answer_and_whoever_changes_something_is_told(
    met: tuple[Gate, Site, Served, httpx.Client],
) -> None:
    gate, _, served, client = met
    document = "/api/v1/lineage?what=wiki/leave.md"
    for path in (
        "/",
        "/jobs",
        "/health",
        "/lineage/history",
        "/lineage?what=wiki/leave.md",
        document,
    ):
        assert client.get(path).status_code == 200, path
    assert client.get(document).json()["wrong"] == 0  # out of the index that the job has open
    again = client.post("/api/v1/jobs", json={"job": "audit"})
    assert (again.status_code, "one at a time" in again.json()["error"]) == (409, True)
    signed = {"payload": "", "payloadType": "x", "signatures": [{"keyid": "", "sig": ""}]}
    word = client.post("/api/v1/decisions", json={"cases": [1], "envelopes": [signed]})
    assert (word.status_code, word.json()["error"]) == (
        503,
        "job 1 (ingest wiki) works on this workspace",
    )
    # No other process gets in, and the stream of a viewer is not for him.
    with pytest.raises(LockedError, match="another ragguard process"):
        Workspace(gate.folder / "w", gate.settings, NOW)
    with served.client("bob") as bob:
        for path in ("/jobs", "/api/v1/jobs", "/api/v1/jobs/1", "/api/v1/jobs/1/events"):
            assert bob.get(path).status_code == 403, path
        assert bob.post("/api/v1/jobs", json={"job": "audit"}).status_code == 403
        assert "/jobs" not in bob.get("/").text
    del client.headers["x-csrf-token"]
    assert client.post("/api/v1/jobs/1/cancel").status_code == 403


def test_a_job_that_is_cancelled_changes_nothing(
    met: tuple[Gate, Site, Served, httpx.Client],
) -> None:
    gate, site, served, client = met
    asked = client.post("/api/v1/jobs/1/cancel", json={})
    assert (asked.status_code, asked.json()["can_stop"]) == (200, False)
    site.open.set()
    job = ended(client, 1)
    assert (job["state"], job["exit_code"]) == ("cancelled", None)
    late = client.post("/api/v1/jobs/1/cancel", json={})
    assert (late.status_code, late.json()["error"]) == (409, "job 1 is cancelled")
    assert client.post("/api/v1/jobs/9/cancel", json={}).status_code == 404
    assert client.get("/api/v1/cases").json()["total"] == 0
    served.desk.jobs.close()
    assert commits_of(gate) == ["ingest"]
    assert events.happened(gate.workspace) == []  # whoever cancels knows


def test_from_its_commit_on_a_job_goes_to_its_end(
    met: tuple[Gate, Site, Served, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, site, _, client = met
    there, on, tend = threading.Event(), threading.Event(), Workspace.maintain

    def late(workspace: Workspace) -> None:
        there.set()
        on.wait(60)
        tend(workspace)

    monkeypatch.setattr(Workspace, "maintain", late)  # what follows the commit
    site.open.set()
    assert there.wait(120)
    refused = client.post("/api/v1/jobs/1/cancel", json={})
    assert (refused.status_code, "writes what it did" in refused.json()["error"]) == (409, True)
    assert client.get("/api/v1/lineage?what=wiki/tea.md").json()["wrong"] == 0
    on.set()
    assert ended(client, 1)["state"] == "done"


def test_while_a_job_writes_its_commit_nobody_reads_the_index(
    met: tuple[Gate, Site, Served, httpx.Client],
) -> None:
    """What stands there then is not what the ledger says, and would be called tampering."""
    _, site, served, client = met
    engine = served.desk.jobs.engine
    engine.write()
    answer = client.get("/api/v1/lineage?what=wiki/leave.md")
    assert (answer.status_code, answer.json()["error"]) == (503, "index: a job writes a commit")
    assert client.get("/lineage/history").status_code == 200
    engine.wrote()
    assert client.get("/api/v1/lineage?what=wiki/leave.md").json()["wrong"] == 0
    site.open.set()
    assert ended(client, 1)["state"] == "done"
    engine.write()
    shown = client.get("/api/v1/cases/1")  # goes without neighbours, and does not remember it so
    engine.wrote()
    assert (shown.status_code, shown.json()["document"]) == (200, "tea.md")
    assert shown.json()["beside"] == []
    assert client.get("/api/v1/cases/1").json()["beside"] != []


def test_so_many_follow_at_once_and_no_more(
    met: tuple[Gate, Site, Served, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, site, served, client = met
    monkeypatch.setattr(api, "MOST_STREAMS", 1)
    monkeypatch.setattr(api, "HEARTBEAT_SECONDS", 0.0)
    with client.stream("GET", "/api/v1/jobs/1/events") as first:
        lines = first.iter_lines()
        while next(lines) != ": still there":
            pass
        with served.client() as other:
            refused = other.get("/api/v1/jobs/1/events")
            assert (refused.status_code, "streams" in refused.json()["error"]) == (429, True)
        site.open.set()
        assert [name for _, name, _ in parsed(lines)][-1] == "end"


def test_pages_answer_all_through_an_ingest_and_an_audit(tmp_path: Path) -> None:
    """Nothing waits here: whatever the job is at, whoever looks is answered, and rightly."""
    pages = ("/", "/cases/1", "/health", "/jobs", "/lineage/history", "/api/v1/cases/1")
    document = "/api/v1/lineage?what=wiki/leave.md"
    gate = Gate(tmp_path, web={"ingest": {"wiki": {"manifest": "../new.json", "root": "../site"}}})
    gate.publish({**HONEST, "door.md": SINGLE["door.md"]})
    rooms = {
        f"room{n}.md": f"# Room {n}\n\n{text} In room {n} the light is {n} years old."
        for n, text in enumerate(list(HONEST.values()) * 8)
    }
    changed = {"leave.md": HONEST["leave.md"].replace("27 days", "28 days")}
    gate.publisher.publish({**rooms, **changed}, name="new.json")
    seen: Counter[tuple[str, int]] = Counter()
    wrong: list[str] = []
    with serving(gate) as served, served.client() as client, served.client() as watcher:
        for asked in ({"job": "ingest", "source": "wiki"}, {"job": "audit", "full": True}):
            begun = watcher.post("/api/v1/jobs", json=asked).json()
            with ThreadPoolExecutor(1) as pool:
                job = pool.submit(ended, watcher, begun["number"])
                over = False
                while not over:
                    over = job.done()
                    seen.update((path, client.get(path).status_code) for path in pages)
                    lineage = client.get(document)
                    seen[document, lineage.status_code] += 1
                    if lineage.status_code == 200 and lineage.json()["wrong"]:
                        wrong += [
                            f"{s['label']}: {s['reason']}"
                            for s in lineage.json()["steps"]
                            if s["state"] == "wrong"
                        ]
            assert job.result()["state"] == "done", job.result()
            assert job.result()["exit_code"] in (0, 1)
    assert wrong == []
    assert {status for (path, status) in seen if path != document} == {200}
    assert seen[document, 200] > 0
    assert {status for (path, status) in seen if path == document} <= {200, 503}


def test_a_server_that_is_interrupted_stops_its_job_and_ends_its_streams(tmp_path: Path) -> None:
    """As a person has it: `ragguard web` in a terminal, and Ctrl-C while a job runs."""
    with site_gate(tmp_path / "m", canonical.now()) as (gate, site):
        gate.close()
        folder = gate.folder / "w"
        named = f"[web.ingest.wiki]\nmanifest = '../wiki-2.intoto.json'\nroot = '{site.url}'\n"
        (folder / "ragguard.toml").write_text(named)
        command = [sys.executable, "-m", "ragguard", "-w", str(folder), "web", "--port", "0"]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                base, _, token = process.stdout.readline().strip().partition("/enter?link=")
                with httpx.Client(base_url=base, trust_env=False, timeout=120) as client:
                    client.post("/enter", data={"link": token})
                    client.headers["x-csrf-token"] = client.get("/api/v1/me").json()["csrf"]
                    begun = client.post("/api/v1/jobs", json={"job": "ingest", "source": "wiki"})
                    assert begun.status_code == 202, begun.text
                    assert site.asked.wait(120)
                    with client.stream("GET", "/api/v1/jobs/1/events") as answer:
                        lines = answer.iter_lines()
                        assert next(lines).startswith("retry:")
                        process.send_signal(signal.SIGINT)
                        assert "end" not in [name for _, name, _ in parsed(lines)]
            except BaseException:
                process.kill()
                raise
            site.open.set()
            said, told = process.communicate(timeout=120)
        assert (process.returncode, said, told) == (0, "", "")
        (row,) = kept.rows(folder)
        assert row.state == "cancelled"
        assert commits_of(gate) == ["ingest"]


# --- what cannot be asked for, and what goes wrong ------------------------------------------------


def test_only_what_the_settings_name_can_be_asked_for(tmp_path: Path) -> None:
    gate = Gate(tmp_path, web={"operators": ["carol"]})
    gate.trust(CAROL, role="reviewer")
    with serving(gate) as served, served.client() as client:
        for body, says in (
            ({"job": "ingest", "source": "../../etc/passwd"}, "the settings of this server name"),
            ({"job": "ingest"}, "the settings of this server name"),
            ({"job": "ingest", "source": "w", "manifest": "/etc/passwd"}, "extra inputs"),
            ({"job": "ingest", "source": "w", "root": "/"}, "extra inputs"),
            ({"job": "reindex"}, "input should be"),
            ({"job": "audit", "full": "yes"}, "bool"),
        ):
            answer = client.post("/api/v1/jobs", json=body)
            assert answer.status_code == 400, body
            assert says in answer.json()["error"].lower(), answer.text
        assert client.get("/api/v1/jobs").json()["jobs"] == []
        assert client.get("/api/v1/jobs/1").status_code == 404
        assert client.get("/api/v1/jobs/1/events").status_code == 404
        assert served.desk.visitor("carol").rights == ("look", "decide", "operate")
        assert served.desk.visitor("bob").rights == ("look", "decide")


def test_a_job_that_cannot_be_done_says_why_and_somebody_is_told(tmp_path: Path) -> None:
    ingest = {
        "gone": {"manifest": "nowhere.json"},
        "forged": {"manifest": "../forged.json", "root": "../site"},
        "wiki": {"manifest": "../wiki-2.intoto.json", "root": "../site"},
    }
    gate = Gate(tmp_path, web={"ingest": ingest})
    gate.publish(HONEST)
    good = gate.publisher.publish({"tea.md": "# Tea\n\nTea is served at four in the kitchen."})
    body = json.loads(good.read_text())
    body["signatures"][0]["sig"] = "A" * 86 + "=="
    (tmp_path / "forged.json").write_text(json.dumps(body))
    with serving(gate) as served, served.client() as client:
        said: dict[str, Any] = {}
        for name in ("gone", "forged", "wiki"):
            begun = client.post("/api/v1/jobs", json={"job": "ingest", "source": name}).json()
            said[name] = ended(client, begun["number"])
        assert [(job["state"], job["exit_code"]) for job in said.values()] == [
            ("failed", 2),
            ("failed", 3),
            ("done", 0),
        ]
        assert "No such file" in said["gone"]["said"][0]
        states = {
            one["name"]: one["state"] for one in client.get("/api/v1/health").json()["health"]
        }
        assert (states["job ingest gone"], states.get("job ingest wiki")) == ("wrong", None)
        assert "ingest forged" in client.get("/jobs").text
        assert "job ingest forged" in client.get("/health").text
    told = [event.summary for event in events.happened(gate.workspace)]
    assert len(told) == 2
    assert told[0].startswith("job not done, ingest gone: failed, asked at 2026-03-01T12:00:00Z: ")
    (tmp_path / "forged.json").write_bytes(good.read_bytes())
    gate.reopen(minutes=1)
    with serving(gate) as served, served.client() as client:
        begun = client.post("/api/v1/jobs", json={"job": "ingest", "source": "forged"}).json()
        assert ended(client, begun["number"])["state"] == "done"
    assert [event.text for event in events.happened(gate.workspace)] == [
        "job not done, ingest gone"
    ]
    gate.close()


def test_while_another_process_works_no_job_begins(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    with serving(gate) as served, served.client() as client:
        _ = gate.workspace  # opened and locked, as an ingest does
        answer = client.post("/api/v1/jobs", json={"job": "audit"})
        assert (answer.status_code, "another ragguard" in answer.json()["error"]) == (503, True)
        gate.close()
        assert client.get("/api/v1/jobs").json()["jobs"] == []
        begun = client.post("/api/v1/jobs", json={"job": "audit"})
        assert (begun.status_code, ended(client, begun.json()["number"])["state"]) == (202, "done")


def test_a_bug_in_a_job_is_said_and_the_next_job_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(tmp_path)
    with serving(gate) as served, served.client() as client:
        for error, code in ((ZeroDivisionError("x"), 70), (OSError(28, "No space left"), 5)):

            def broken(*_: Any, error: Exception = error, **__: Any) -> None:
                raise error

            with monkeypatch.context() as patch:
                patch.setattr("ragguard.integrations.jobs.work.audit", broken)
                begun = client.post("/api/v1/jobs", json={"job": "audit"}).json()
                job = ended(client, begun["number"])
            assert (job["state"], job["exit_code"]) == ("failed", code)
            with monkeypatch.context() as patch:  # before it began
                patch.setattr("ragguard.integrations.jobs.runner.Workspace", broken)
                answer = client.post("/api/v1/jobs", json={"job": "audit"})
            assert answer.status_code == 503, answer.text
        begun = client.post("/api/v1/jobs", json={"job": "audit"}).json()
        assert ended(client, begun["number"])["state"] == "done"
        assert [row["number"] for row in client.get("/api/v1/jobs").json()["jobs"]] == [3, 2, 1]


def test_a_file_of_jobs_that_is_damaged_or_hostile_harms_nobody(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    path = gate.folder / "w" / kept.FILE
    gate.close()
    hostile = "<img src=x onerror=alert(1)>\x1b[31m"
    row = {"number": 7, "job": "ingest", "source": hostile, "by": hostile, "state": "failed"}
    row |= {"began": "2026-03-01T12:00:00Z", "said": [hostile], "counts": {hostile: 1}}
    with serving(gate) as served, served.client() as client:
        for text in ("{}", "[]", "nonsense", '{"version": 2}'):
            path.write_text(text)
            assert client.get("/api/v1/jobs").json()["jobs"] == []
        path.write_text(json.dumps({"version": 1, "jobs": [row]}))
        page = client.get("/jobs").text
        assert "<img" not in page
        assert "\x1b" not in page
        begun = client.post("/api/v1/jobs", json={"job": "audit"}).json()
        assert begun["number"] == 8
        assert ended(client, 8)["state"] == "done"
    assert path.stat().st_mode & 0o777 == 0o600


def test_settings_that_name_no_job_are_refused(
    gate: Gate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "now", lambda: NOW)
    gate.close()
    file = gate.folder / "w" / "ragguard.toml"
    for text, says in (
        ("[web.ingest.WIKI]\nmanifest = 'x'", "WIKI"),
        ("[web.ingest.wiki]\nroot = 'x'", "manifest"),
        ("[web.ingest.wiki]\nmanifest = 'x'\nshell = 'rm'", "no such setting"),
    ):
        file.write_text(text)
        assert run(["-w", str(gate.folder / "w"), "web", "--port", "0"]) == 2
        assert says in capsys.readouterr().err
    named = {"web": {"ingest": {"wiki": {"manifest": "wiki.json"}}}}
    assert Settings.model_validate(named).digest == Settings().digest
