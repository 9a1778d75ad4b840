"""Write the generated pages: cli.md, configuration.md, openapi.json, tables in checks.md, audit.md.

python docs/generate.py            # write
python docs/generate.py --check    # exit 1 if a page is not what the program says
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import click

from ragguard.audit.rules import RULES
from ragguard.cli import cli
from ragguard.config import Settings
from ragguard.detect import checks, scoring
from ragguard.detect.checks import rules as phrases
from ragguard.integrations.web.app import openapi

HERE = Path(__file__).resolve().parent
MADE = "<!-- made by docs/generate.py: do not edit -->"


def command_pages() -> str:
    """The command line reference, one section a command."""
    parts = [
        MADE,
        "# Command line",
        "Global options stand before the command: `-w DIR` names the workspace (else the one the "
        "current folder is in, or `RAGGUARD_WORKSPACE`), `--debug` shows tracebacks. Data goes to "
        "standard output, progress and notes to standard error. What exit codes mean: "
        "[formats.md](formats.md#exit-codes).",
        'Shell completion: `eval "$(_RAGGUARD_COMPLETE=bash_source ragguard)"` in `~/.bashrc`, '
        "`zsh_source` for zsh, `fish_source` for fish.",
    ]
    context = click.Context(cli, info_name="ragguard")
    for path, command in _commands(cli, context):
        text = command.get_help(_context(command, path))
        parts += [f"## {path}", f"```text\n{text.rstrip()}\n```"]
    return "\n\n".join(parts) + "\n"


def _context(command: click.Command, path: str) -> click.Context:
    names = ["-h", "--help"]
    return click.Context(command, info_name=path, terminal_width=94, help_option_names=names)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    yield context.info_name or "", group
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            continue
        inner = click.Context(command, info_name=f"{context.info_name} {name}")
        if isinstance(command, click.Group):
            yield from _commands(command, inner)
        else:
            yield inner.info_name or "", command


def configuration_page() -> str:
    """All settings with type, default and meaning."""
    lines = [
        MADE,
        "# Configuration",
        "",
        "`ragguard.toml` in the workspace. An unknown key is an error. Precedence: a flag, then a "
        "variable `RAGGUARD_<SECTION>__<KEY>` (such as `RAGGUARD_STORE__URL`), then the file, then "
        "the default.",
        "",
        "| setting | type | default | meaning |",
        "|---|---|---|---|",
    ]
    defaults = Settings()
    for section, field in Settings.model_fields.items():
        model = field.annotation
        if not hasattr(model, "model_fields"):
            continue
        for key, inner in model.model_fields.items():
            value = getattr(getattr(defaults, section), key)
            meaning = inner.description or ""
            if section in ("ledger", "vault"):
                meaning = "SQLAlchemy URL" if section == "ledger" else "folder or fsspec URL"
            lines.append(
                f"| `[{section}] {key}` | {_type(inner.annotation)} | `{value!r}` | {meaning} |"
            )
    lines += [
        "",
        "`RAGGUARD_PASSPHRASE_FILE` names a file with the passphrase of a private key; "
        "`RAGGUARD_WORKSPACE` a workspace folder. `OTEL_EXPORTER_OTLP_ENDPOINT` names a collector "
        "for [traces and metrics](telemetry.md).",
        "",
        "## Checks",
        "",
        "Each check has a table `[checks.NAME]`; `enabled = false` turns it off, `enabled = true` "
        f"on ({_off()} is off by default). Its parameters:",
        "",
        "| parameter | default |",
        "|---|---|",
    ]
    for name, check in checks.registry().items():
        for field_ in dataclasses.fields(check.params):
            lines.append(f"| `[checks.{name}] {field_.name}` | `{field_.default!r}` |")
    return "\n".join(lines) + "\n"


def _off() -> str:
    """The checks that are off by default."""
    return ", ".join(f"`{name}`" for name, one in checks.registry().items() if not one.on)


def _type(annotation: Any) -> str:
    if get_origin(annotation) is dict:
        return "table of " + _type(get_args(annotation)[1])
    if get_origin(annotation) is list:
        return "list of " + _type(get_args(annotation)[0])
    if get_args(annotation):
        return " or ".join(f"`{a}`" for a in get_args(annotation))
    return f"`{annotation.__name__}`"


def checks_table() -> str:
    """The table of checks."""
    lines = [
        "| check | family | weight | what it measures |",
        "|---|---|---|---|",
    ]
    for name, check in checks.registry().items():
        weight = scoring.WEIGHTS.get(name, 1.0)
        about = f"| {check.family} | {weight:g} | {check.summary} |"
        lines.append(f'| <a id="{name}"></a>`{name}` {about}')
    return "\n".join(lines)


def rules_table() -> str:
    """The table of what an audit can find."""
    lines = [
        "| id | rule | level | what it means | what to do |",
        "|---|---|---|---|---|",
    ]
    for rule in RULES.values():
        about = f"| `{rule.name}` | {rule.level} | {rule.summary} | {rule.advice} |"
        lines.append(f'| <a id="{rule.id.lower()}"></a>{rule.id} {about}')
    return "\n".join(lines)


def weights_table() -> str:
    """The table of rules and kinds of finds, as measured."""
    found = json.loads(
        (HERE.parent / "ragguard/detect/checks/rules/weights.json").read_text("utf-8")
    )
    lines = [
        f"Seen on {found['documents']:,} ordinary documents; matched in {found['orders']} texts "
        "with an order.",
        "",
        "| rule | ordinary documents | upper 95 % bound | orders | weight | alone |",
        "|---|---|---|---|---|---|",
    ]
    weak = phrases.weak()
    for name, row in found["rules"].items():
        alone = "no" if name in weak or row["bound"] > phrases.ORDINARY else "yes"
        lines.append(
            f"| `{name}` | {row['seen']} | {row['bound']:.2g} | {row['orders']} "
            f"| {row['weight']:g} | {alone} |"
        )
    for check in ("hidden", "secrets"):
        of = found[f"{check}_documents"]
        lines += [
            "",
            f"| `{check}`: kind | of {of:,} ordinary documents | upper 95 % bound |",
            "|---|---|---|",
        ]
        lines += [
            f"| {kind} | {row['seen']} | {row['bound']:.2g} |" for kind, row in found[check].items()
        ]
    return "\n".join(lines)


def with_table(page: Path, table: str, mark: str = "table") -> str:
    """A page with the table between its marks."""
    return _between(page.read_text("utf-8"), table, mark)


def _between(text: str, table: str, mark: str) -> str:
    begin, end = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}\n{table}\n{end}{tail}"


def pages() -> dict[Path, str]:
    """Every generated page and what it must hold."""
    return {
        HERE / "cli.md": command_pages(),
        HERE / "configuration.md": configuration_page(),
        HERE / "checks.md": _between(
            with_table(HERE / "checks.md", checks_table()), weights_table(), "weights"
        ),
        HERE / "audit.md": with_table(HERE / "audit.md", rules_table()),
        HERE / "schemas/openapi.json": json.dumps(openapi(), indent=1) + "\n",
    }


def main() -> int:
    """Write or compare."""
    stale = []
    for path, wanted in pages().items():
        found = path.read_text("utf-8") if path.exists() else ""
        if found != wanted:
            stale.append(path.name)
            if "--check" not in sys.argv:
                path.write_text(wanted, "utf-8")
    if stale and "--check" in sys.argv:
        sys.stderr.write(f"docs: {', '.join(stale)} not up to date: run `make docs`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
