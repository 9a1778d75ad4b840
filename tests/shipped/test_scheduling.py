"""The shipped timer, cron line and CronJob, as far as a machine without them can tell."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = REPOSITORY / "docs/scheduling"
EXPOSED = 25  # tenths of systemd's exposure level (0 to 100) that the service may have
analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not here (Debian: apt-get install systemd)",
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that is there."""
    stub = tmp_path / "ragguard"
    stub.write_text("#!/bin/sh\n")
    stub.chmod(0o755)
    for name in ("ragguard-audit.service", "ragguard-audit.timer"):
        text = (FILES / name).read_text("utf-8")
        (tmp_path / name).write_text(text.replace("ExecStart=ragguard", f"ExecStart={stub}"))
    return tmp_path


def analyzed(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", "--no-pager", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@analyze
@pytest.mark.parametrize("name", ["ragguard-audit.service", "ragguard-audit.timer"])
def test_systemd_finds_nothing_wrong_with_the_unit(units: Path, name: str) -> None:
    done = analyzed("verify", "--man=no", "--recursive-errors=no", units / name)
    assert (done.returncode, done.stderr) == (0, "")


@analyze
def test_systemd_does_find_what_is_wrong(units: Path) -> None:
    """Or the test before this one proves nothing."""
    service = units / "ragguard-audit.service"
    service.write_text(service.read_text().replace("ProtectSystem=strict", "ProtectSystem=very"))
    done = analyzed("verify", "--man=no", "--recursive-errors=no", service)
    assert "Failed to parse protect system value" in done.stderr


@analyze
def test_the_service_is_shut_in(units: Path) -> None:
    done = analyzed(
        "security", "--offline=yes", f"--threshold={EXPOSED}", units / "ragguard-audit.service"
    )
    assert done.returncode == 0, done.stdout[-600:] + done.stderr


@analyze
def test_the_timer_says_a_time_that_comes_every_night() -> None:
    timer = _ini("ragguard-audit.timer")["Timer"]
    done = analyzed("calendar", "--iterations=2", timer["OnCalendar"])
    assert done.returncode == 0, done.stderr
    assert "02:00:00" in done.stdout
    assert timer["Persistent"] == "true"
    assert timer["Unit"] == "ragguard-audit.service"


def _ini(name: str) -> dict[str, dict[str, str]]:
    parser = RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str
    parser.read(FILES / name, "utf-8")
    return {name: dict(section) for name, section in parser.items()}


def test_only_findings_are_a_success_of_the_unit() -> None:
    """3 and 5 must fail it; 1 must not."""
    service = _ini("ragguard-audit.service")["Service"]
    assert service["SuccessExitStatus"] == "1"
    assert service["Type"] == "oneshot"
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"


# --- cron -----------------------------------------------------------------------------------------


def _cron() -> tuple[dict[str, str], str, str]:
    """Variables, user and command of the file."""
    variables, lines = {}, []
    for line in (FILES / "ragguard.cron").read_text("utf-8").splitlines():
        if found := re.fullmatch(r"([A-Z_]+)=(\S+)", line):
            variables[found[1]] = found[2]
        elif line and not line.startswith("#"):
            lines.append(line)
    (line,) = lines
    *schedule, user, command = line.split(maxsplit=6)
    assert all(re.fullmatch(r"\*|\d+", part) for part in schedule)
    assert len(schedule) == 5
    return variables, user, command


@pytest.mark.parametrize("code", [0, 1, 3, 5, 70])
def test_cron_mails_everything_but_exit_0(tmp_path: Path, code: int) -> None:
    variables, user, command = _cron()
    assert user == "ragguard"
    assert "%" not in command  # cron takes it for the end of the line
    stub = tmp_path / "ragguard"
    stub.write_text(f'#!/bin/sh\necho "asked: $*"\necho "error: why" >&2\nexit {code}\n')
    stub.chmod(0o755)
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={**variables, "PATH": f"{stub.parent}:{variables['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code
    assert done.stderr == ""
    if code:
        assert done.stdout.splitlines()[0] == f"ragguard audit: exit {code}"
        assert "error: why" in done.stdout
        assert "asked: audit --max-minutes 50" in done.stdout
    else:
        assert done.stdout == ""


# --- Kubernetes -----------------------------------------------------------------------------------


@pytest.fixture
def job() -> Any:
    return yaml.safe_load((FILES / "cronjob.yaml").read_text("utf-8"))


def test_the_cron_job_fits_the_schema_of_kubernetes(job: Any) -> None:
    kubernetes_validate.validate(job, "1.37", strict=True)


def test_the_schema_does_refuse_what_kubernetes_would(job: Any) -> None:
    job["spec"]["concurencyPolicy"] = "Forbid"
    with pytest.raises(kubernetes_validate.ValidationError, match="concurencyPolicy"):
        kubernetes_validate.validate(job, "1.37", strict=True)
    del job["spec"]["concurencyPolicy"]
    job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0].pop("name")
    with pytest.raises(kubernetes_validate.ValidationError, match="'name' is a required property"):
        kubernetes_validate.validate(job, "1.37", strict=True)


def test_the_cron_job_forbids_overlap_and_tries_again_only_what_may_pass(job: Any) -> None:
    spec = job["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    inner = spec["jobTemplate"]["spec"]
    (rule,) = inner["podFailurePolicy"]["rules"]
    assert rule["action"] == "FailJob"
    assert rule["onExitCodes"]["values"] == [2, 3, 70]
    pod = inner["template"]["spec"]
    assert pod["restartPolicy"] == "Never"  # what a pod failure policy asks for
    (container,) = pod["containers"]
    assert rule["onExitCodes"]["containerName"] == container["name"]
    assert "--exit-zero" in container["args"]
    assert {m["name"] for m in container["volumeMounts"]} == {v["name"] for v in pod["volumes"]}


def test_key_files_stay_readable_by_their_owner_alone(job: Any) -> None:
    """`fsGroup` would add the group to the mode of keys/, which ragguard refuses to read."""
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert "fsGroup" not in pod["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True


# --- what they run --------------------------------------------------------------------------------


def _commands() -> dict[str, list[str]]:
    service = _ini("ragguard-audit.service")["Service"]["ExecStart"].split()
    job = yaml.safe_load((FILES / "cronjob.yaml").read_text("utf-8"))
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    cron = re.search(r"ragguard ([^)]*?) 2>&1", _cron()[2])
    assert cron is not None
    return {
        "systemd": service[1:],
        "cron": cron[1].split(),
        "kubernetes": pod["containers"][0]["args"],
    }


@pytest.mark.parametrize("name", ["systemd", "cron", "kubernetes"])
def test_what_is_scheduled_is_a_command_there_is(name: str) -> None:
    args = _commands()[name]
    asked = [sys.executable, "-m", "ragguard", args[0], "--help"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout
    assert [a for a in args if a.startswith("--") and a not in told] == []
