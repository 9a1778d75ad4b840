"""A judge is an outside command: numbers in the order asked, and a clear error for all else."""

from __future__ import annotations

import shlex
import sys

import pytest

from ragguard.errors import JudgeError, UsageError
from ragguard.lineage.external_judge import command_judge

LENGTHS = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    assert (asked["question"], asked["answer"]) == ("q", "a")
    print(len(asked["passage"]) / 10)
"""


def command(program: str) -> str:
    return shlex.join([sys.executable, "-I", "-c", program])


def test_each_passage_gets_its_number_in_the_order_asked() -> None:
    judge = command_judge(command(LENGTHS), 30)
    assert judge("q", "a", ["four", "line\nfeed", "\u2028 x"]) == [0.4, 0.9, 0.3]
    assert judge("q", "a", []) == []


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("print(0.5)", "expected 2 lines, got 1"),
        ("print(0.5, 0.5, sep='\\n'); print(1)", "expected 2 lines, got 3"),
        ("print('nan'); print(0)", r"line 1: expected a number in \[0, 1\], got 'nan'"),
        ("print(0); print(1.5)", "line 2: expected a number"),
        ("print(0); print('\\x1b[2J' * 5)", r"got '\\x1b\[2J"),
        ("print('0' * 500)", "expected at most 128 bytes, got more"),
        ("raise SystemExit(3)", "ended with exit code 3"),
        ("import threading; threading.Event().wait()", "no answer after 0.3 s"),
    ],
)
def test_what_is_no_number_a_passage_is_a_clear_error(program: str, said: str) -> None:
    timeout = 0.3 if "Event" in program else 30.0
    with pytest.raises(JudgeError, match=said):
        command_judge(command(program), timeout)("q", "a", ["one", "two"])


@pytest.mark.parametrize("wrong", ["", "'open quote", "/nowhere/judge"])
def test_what_is_no_command_is_a_usage_error(wrong: str) -> None:
    with pytest.raises(UsageError, match="judge"):
        command_judge(wrong, 1)("q", "a", ["one"])
