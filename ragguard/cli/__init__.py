"""Run the command line. Commands are imported when called, so that help answers at once."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from ragguard import __version__

# Command: module and its help's first sentence (a test compares it with the command's own).
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "Show the whole story on a shipped corpus, in a temporary workspace."),
    "init": ("init", "Make a workspace: settings, keys, trust root, ledger."),
    "doctor": ("doctor", "Look at everything that can be wrong with a workspace."),
    "key": ("key", "Make and list key pairs."),
    "trust": ("trust", "Say which keys may speak for which source."),
    "sign": ("sign", "Sign documents and record files of a source."),
    "verify": ("sign", "Verify manifests and every byte they list, offline."),
    "ingest": ("ingest", "Bring signed documents in; keep suspects out."),
    "sync": (
        "sign",
        "Keep a source in step with a folder or URL: sign what changed, and ingest it.",
    ),
    "search": ("serving.search", "Ask the serving index."),
    "mcp": (
        "integrations.mcp",
        "Serve search, trace and what waits to a model's client (MCP), read-only.",
    ),
    "quarantine": ("quarantine", "Review what waits in quarantine."),
    "web": (
        "integrations.web",
        "Review the quarantine in a browser: a page on this machine, and the same as JSON.",
    ),
    "audit": ("audit", "Look at the whole index: is it ours, is it still good, what changed."),
    "alarm": (
        "integrations.alarm",
        "Tell a webhook, a mail server or a syslog collector what happened ([alarms]).",
    ),
    "adopt": (
        "adopt",
        "Take over a collection that ragguard never wrote, as a source that nobody signed.",
    ),
    "reindex": ("rebuild.reindex", "Rebuild the index from what is clean, and switch to it."),
    "cutover": (
        "rebuild.cutover",
        "Try a rebuilt index beside the one that serves, then switch to it.",
    ),
    "rollback": (
        "rebuild.rollback",
        "Go back to the corpus as of a commit, or to a kept generation.",
    ),
    "canary": (
        "canary",
        "Ask queries whose answers are known, and watch what they answer.",
    ),
    "publish": (
        "serving.publish",
        "Publish a read-only copy of the serving index for readers in other processes.",
    ),
    "export": (
        "export",
        "Export what is clean, to be kept off this host; verify it, and restore from it.",
    ),
    "history": ("lineage.history", "List what changed the corpus, newest first."),
    "trace": ("lineage.trace", "Trace a document to its signer, or a bad answer to its documents."),
    "log": ("lineage.log", "Verify the tamper-evident log and prove what is in it."),
    "calibrate": ("calibrate", "Learn on your own corpus how much each check is worth."),
    "redteam": ("redteam", "Attack your own corpus, and see what would get through."),
    "bench": ("bench", "Measure what the gate finds of attacks on a corpus, and at which price."),
}
# Variables any of which turns telemetry on.
TRACED = [f"OTEL_EXPORTER_OTLP_{each}ENDPOINT" for each in ("", "TRACES_", "METRICS_")]


class _Lazy(click.Group):
    """A group whose commands live in modules that are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"ragguard.cli.{COMMANDS[name][0]}")
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        import difflib

        close = difflib.get_close_matches(args[0], COMMANDS, 1) if args else []
        if close and args[0] not in COMMANDS:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 1 done, something to look at; 2 usage; 3 integrity; 4 canary gate "
    "refused; 5 could not complete; 70 a bug.",
)
@click.option(
    "-w",
    "--workspace",
    type=click.Path(file_okay=False),
    help="Workspace folder; else the one the current folder is in.",
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(__version__, prog_name="ragguard")
@click.pass_context
def cli(ctx: click.Context, workspace: str | None, debug: bool) -> None:
    """The gatekeeper of a RAG corpus.

    Nothing reaches the index that serves answers unless its signer may speak for its source, its
    bytes are the signed bytes, and it sits in the corpus the way an honest document does.

    \b
    First steps:
      ragguard demo                                see it work
      ragguard init w && cd w                      make a workspace
      ragguard key generate alice                  a signer
      ragguard trust add keys/alice.pub --source wiki
      ragguard sign DIR --source wiki --key keys/alice.key -o m.intoto.json
      ragguard ingest m.intoto.json --root DIR
    """
    ctx.ensure_object(dict).update(workspace=workspace, debug=debug)
    if any(os.environ.get(name) for name in TRACED):
        _begin_telemetry(ctx)


def _begin_telemetry(ctx: click.Context) -> None:
    """Send what the command does to a collector; whatever keeps it from that is said, no more."""
    from ragguard.cli.output import line, note
    from ragguard.errors import RagguardError

    def tell(problem: str) -> None:
        note(f"warning: telemetry: {line(problem)[:300]}")

    try:
        from ragguard.integrations.telemetry import Telemetry

        telemetry = Telemetry(os.environ, tell)
    except RagguardError as error:
        tell(f"{error.message}; {error.hint}" if error.hint else error.message)
    else:
        telemetry.begin(f"ragguard {_name(ctx)}")
        ctx.obj["telemetry"] = telemetry


def _name(ctx: click.Context) -> str:
    """Return the command that was asked for, in the words of our command line alone."""
    given = list(ctx.obj.get("args", ()))
    asked = str(ctx.invoked_subcommand)
    words: list[str] = []
    group: click.Command | None = ctx.command
    for word in (asked, *(given[given.index(asked) + 1 :] if asked in given else ())):
        if not isinstance(group, click.Group) or word not in group.list_commands(ctx):
            break
        words.append(word)
        group = group.get_command(ctx, word)
    return " ".join(words)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; the one place where errors become exit codes."""
    from ragguard.trust.files import keep_private

    keep_private()
    sys.exit(run(args))


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    given = list(sys.argv[1:] if args is None else args)
    held: dict[str, Any] = {"args": given}
    code = _run(given, held)
    if "telemetry" in held:
        held["telemetry"].finish(code)
    return code


def _run(args: list[str], held: dict[str, Any]) -> int:
    """Run it with what its commands share; see `context`."""
    from ragguard.errors import RagguardError

    for place, given in enumerate(args, 1):
        if any("\ud800" <= c <= "\udfff" for c in given):
            return _tell(
                f"argument {place} ({given.encode('utf-8', 'replace').decode()!r}) is not UTF-8",
                "Give it in the encoding of this terminal's locale, or set LC_ALL=C.UTF-8.",
                2,
            )
    try:
        result: Any = cli.main(args=args, prog_name="ragguard", standalone_mode=False, obj=held)
        return result if isinstance(result, int) else 0
    except SystemExit as leaving:
        # click and rich leave so when the reader of a pipe has gone, click when a shell completes.
        return _gone() if leaving.code == 1 else int(leaving.code or 0)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # click wraps it
            return _tell(
                "interrupted", "Nothing is lost: the next run finishes what was begun.", 130
            )
        return _tell("aborted: no answer was given", "", 130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        used = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f"`{used} --help` shows how it is used." if used else ""
        return _tell(error.format_message(), hint, error.exit_code)
    except BrokenPipeError:
        return _gone()
    except RagguardError as error:
        return _tell(error.message, error.hint, error.exit_code)
    except OSError as error:
        hint = "Free some space and run it again; nothing is lost." if error.errno == 28 else ""
        return _tell(f"{error.strerror or error} {error.filename or ''}".strip(), hint, 5)
    except Exception as error:
        # The outermost frame: what nobody expected is a bug of ours and is said as such, with exit
        # code 70; --debug shows the traceback. SQLAlchemy wraps a full disk in errors of its own,
        # and importing it here to name them would cost every command its start.
        if failed := _database_failed(error):
            return _tell(
                f"the database cannot be written or read ({failed})",
                "Free some space and run it again; nothing is lost.",
                5,
            )
        return _tell(
            f"this is a bug: {type(error).__name__}: {error}",
            "Please report it with the output of `ragguard --debug …`.",
            70,
        )


def _database_failed(error: BaseException) -> str:
    """Tell what SQLite says where the disk is full or fails; empty for any other error."""
    import sqlite3

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, sqlite3.Error):
            name = getattr(cause, "sqlite_errorname", "") or ""
            return str(cause) if name.startswith(("SQLITE_FULL", "SQLITE_IOERR")) else ""
        cause = cause.__cause__ or cause.__context__
    return ""


def _gone() -> int:
    """Whoever read our output is gone: as if SIGPIPE had ended us, and nothing more is written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + 13


def _tell(message: str, hint: str, code: int) -> int:
    from ragguard.cli.output import line

    if "--debug" in sys.argv:
        import traceback

        traceback.print_exc()
    click.echo(f"error: {line(message)}", err=True)
    if hint:
        click.echo(f"hint: {line(hint)}", err=True)
    return code
