"""Kills the review page's server before every write of a job, and asks for the job again.

Run as `python -m tests.support.killing.jobs FOLDER EACH`: prints a JSON object. The job is an
ingest; writes are traced as in `killing`. After a kill a new server says of the job that it was
interrupted, or knows nothing of it where it had not begun; and after the same job again all rows
and points have to be what an uninterrupted one leaves.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx

from ragguard.config import Settings
from tests.support.killing.trials import SUSPECT, child, problems_of, state
from tests.support.killing.web import serving
from tests.support.simulator import HONEST, Gate
from tests.support.workspaces.copying import copy_folder

ASKED = {"job": "ingest", "source": "wiki"}
SETTINGS = Settings.model_validate(
    {"web": {"ingest": {"wiki": {"manifest": "../wiki-2.intoto.json", "root": "../site"}}}}
)


def prepare(folder: Path) -> None:
    """A workspace with a wiki, and a manifest of it that changes, adds and brings a suspect."""
    gate = Gate(folder)
    gate.publish(HONEST)
    changed = {"leave.md": HONEST["leave.md"].replace("27 days", "28 days")}
    gate.publisher.publish({**changed, "safe.md": f"# Safes\n\n{SUSPECT}"})
    gate.close()


def attempt(folder: Path, target: int) -> tuple[str, int]:
    """Ask for the job; its state (empty: the server died), and the process's wait status."""
    with serving(folder, target, SETTINGS) as (client, pid):
        try:
            found = job(client)["state"]
        except httpx.TransportError:
            found = ""
    return found, os.waitpid(pid, 0)[1]


def job(client: httpx.Client) -> dict[str, Any]:
    """Ask for the job and follow it to its end."""
    begun = client.post("/api/v1/jobs", json=ASKED)
    if begun.status_code != 202:
        raise AssertionError(f"{begun.status_code} {begun.text[:300]}")
    path = f"/api/v1/jobs/{begun.json()['number']}"
    client.get(f"{path}/events")  # to its end
    found: dict[str, Any] = client.get(path).json()
    return found


def again(folder: Path) -> list[str]:
    """Start a new server, look at what it says, and ask again; what is wrong."""
    problems = []
    with serving(folder, -1, SETTINGS) as (client, pid):
        states = [row["state"] for row in client.get("/api/v1/jobs").json()["jobs"]]
        if states not in ([], ["interrupted"], ["done"]):
            problems.append(f"after the kill its state is {states}")
        for path in ("/", "/jobs", "/health"):
            if client.get(path).status_code != 200:
                problems.append(f"{path}: {client.get(path).status_code}")
        done = job(client)
        if done["state"] != "done":
            problems.append(f"asked again it is {done['state']}: {done['said']}")
        wrong = client.get("/api/v1/lineage", params={"what": "wiki/leave.md"}).json()["wrong"]
        if wrong:
            problems.append(f"{wrong} steps of the lineage are wrong")
    os.waitpid(pid, 0)
    return problems


def main(folder: Path, each: int) -> dict[str, Any]:
    """Try every nth boundary of the job."""
    start, clean, out = folder / "start", folder / "clean", folder / "out.json"
    start.mkdir()
    if child(lambda: prepare(start), out):
        raise SystemExit("the workspace could not be prepared")
    copy_folder(start, clean)
    if (ended := attempt(clean, -1)) != ("done", 0):
        raise SystemExit(f"uninterrupted it ended with {ended}")
    names = json.loads((clean / "names.json").read_text())
    if child(lambda: state(clean), out):
        raise SystemExit("the state could not be read")
    wanted = json.loads(out.read_text())
    failures: list[str] = []
    tried = 0
    for place in range(each // 2, len(names), each):
        trial = folder / "trial"
        copy_folder(start, trial)
        name = f"at {place} ({names[place]})"
        _, status = attempt(trial, place)
        tried += 1
        found = problems_of(status, again(trial), trial, wanted, out)
        failures += [f"{name}: {problem}" for problem in found]
        shutil.rmtree(trial)
    return {"boundaries": names, "tried": tried, "failures": failures}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
