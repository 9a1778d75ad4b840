"""Ask an outside command how far an answer rests on each passage, one number a passage.

The command gets one JSON object a line on its standard input, `{"question", "answer", "passage"}`,
and prints one number in [0, 1] a line, in the same order; its standard error is shown as it is. A
language model stands behind most judges and a passage may have told it what to say: what it prints
is taken for numbers and for nothing else, and how much of it is read is bounded.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Sequence

from ragguard.errors import JudgeError, UsageError

MAX_LINE = 64  # bytes of a number
SHOWN = 40  # characters of what was said that an error repeats
HINT = "docs/incident-response.md says what a judge reads and prints."


def command_judge(
    command: str, timeout_s: float
) -> Callable[[str, str, Sequence[str]], list[float]]:
    """Make a judge of a command.

    Args:
        command: Program and arguments, quoted as for a shell; no shell runs it.
        timeout_s: Seconds for all passages of one call.

    Returns:
        From question, answer and passages to numbers in [0, 1], higher is more support; raises
        `JudgeError`.

    Raises:
        UsageError: Not a command.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"judge: {command!r} is no command: {error}") from error
    if not words:
        raise UsageError("judge: the command is empty")

    def judge(question: str, answer: str, passages: Sequence[str]) -> list[float]:
        if not passages:
            return []
        lines = [
            json.dumps({"question": question, "answer": answer, "passage": p}) for p in passages
        ]
        output = _run(words, "\n".join(lines) + "\n", MAX_LINE * len(passages), timeout_s)
        return _numbers(words[0], output, len(passages))

    return judge


def _run(words: Sequence[str], asked: str, most: int, timeout_s: float) -> bytes:
    with tempfile.TemporaryFile() as out:
        try:
            completed = subprocess.run(  # noqa: S603 - the user's own command, no shell
                words, input=asked.encode(), stdout=out, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise JudgeError(
                f"judge {words[0]!r}: no answer after {timeout_s:g} s", hint=HINT
            ) from error
        except OSError as error:
            raise UsageError(f"judge {words[0]!r}: cannot be run: {error.strerror}") from error
        if completed.returncode:
            raise JudgeError(
                f"judge {words[0]!r}: ended with exit code {completed.returncode}", hint=HINT
            )
        out.seek(0)
        output = out.read(most + 1)
    if len(output) > most:
        raise JudgeError(f"judge {words[0]!r}: expected at most {most} bytes, got more", hint=HINT)
    return output


def _numbers(name: str, output: bytes, expected: int) -> list[float]:
    lines = output.decode("utf-8", "replace").splitlines()
    if len(lines) != expected:
        raise JudgeError(f"judge {name!r}: expected {expected} lines, got {len(lines)}", hint=HINT)
    support = []
    for number, line in enumerate(lines, start=1):
        try:
            value = float(line)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:  # nor is NaN between them
            raise JudgeError(
                f"judge {name!r}: line {number}: expected a number in [0, 1], got {line[:SHOWN]!r}",
                hint=HINT,
            )
        support.append(value)
    return support
