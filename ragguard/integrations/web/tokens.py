"""Issue tokens of API clients, in a file that holds no token.

`keys/web-tokens.json`, 0600, has for each its name, role, scope, end, and the SHA-256 of the token.
A token is 256 random bits, so that its digest needs no slow function. The file is read again when
it has changed: who is taken out of it is out with the next request. Format: docs/formats.md.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ragguard.errors import KeyFileError, UsageError
from ragguard.integrations.turns import turn
from ragguard.integrations.web.sessions import Role, Visitor
from ragguard.trust.canonical import digest_text, format_time, parse_time
from ragguard.trust.files import read_private, replace_file
from ragguard.trust.scope import scope_of

FILE = "keys/web-tokens.json"
PREFIX = "rgt_"
ID = "^[0-9a-f]{8}$"
MOST_TOKENS = 1_000
MAX_NAME = 64  # characters
LOCK_SECONDS = 10.0


class Row(BaseModel):
    """A token as the file has it.

    Attributes:
        id: To name it by, shown in lists and in its own text.
        name: A reviewer's is a principal of the trust root.
        scope: Values by key of whose documents are shown; `None`: all.
        sha256: Of the token.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(pattern=ID)]
    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    role: Literal["viewer", "reviewer", "operator"]
    scope: dict[str, list[str]] | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created: str
    expires: str

    @property
    def visitor(self) -> Visitor:
        """Who comes with it."""
        return Visitor(self.name, self.role, None if self.scope is None else scope_of(self.scope))

    def is_over(self, now: datetime) -> bool:
        """Tell whether its time is up."""
        return now >= parse_time(self.expires)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    version: Literal[1]
    tokens: list[Row]


@dataclass(frozen=True)
class Made:
    """A new token.

    Attributes:
        token: What its client sends; kept nowhere.
    """

    row: Row
    token: str


class Tokens:
    """The tokens of a workspace."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._mark: tuple[int, int, int] | None = None
        self._rows: Mapping[str, Row] = {}

    def rows(self) -> Sequence[Row]:
        """List all of them, oldest first.

        Raises:
            KeyFileError: The file is damaged, or others may read it.
        """
        return list(self._read().values())

    def visitor(self, token: str, now: datetime) -> tuple[Row, Visitor] | None:
        """Tell who comes with a token; `None` when there is no such one, or it is over."""
        if not token.startswith(PREFIX):
            return None
        row = self._read().get(digest_text(token))
        return None if row is None or row.is_over(now) else (row, row.visitor)

    def add(
        self,
        name: str,
        role: Role,
        scope: Mapping[str, Sequence[str]] | None,
        now: datetime,
        expires: datetime,
    ) -> Made:
        """Make a token.

        Raises:
            UsageError: A name or a scope that cannot be, or too many tokens.
        """
        if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
            raise UsageError(f"token name: expected 1 to {MAX_NAME} printable characters")
        if scope is not None and role != "viewer":
            raise UsageError(
                f"a {role}'s token has no scope: it sees every document",
                hint="--scope goes with --role viewer.",
            )
        if scope is not None:
            scope_of(scope)
        number = secrets.token_hex(4)
        token = f"{PREFIX}{number}_{secrets.token_urlsafe(32)}"
        row = Row(
            id=number,
            name=name,
            role=role,
            scope=None if scope is None else {k: list(v) for k, v in scope.items()},
            sha256=digest_text(token),
            created=format_time(now),
            expires=format_time(expires),
        )
        with self._changing() as rows:
            if len(rows) >= MOST_TOKENS:
                raise UsageError(f"{len(rows)} tokens, at most {MOST_TOKENS}: revoke some")
            self._write([*rows, row])
        return Made(row, token)

    def revoke(self, named: str) -> list[Row]:
        """Take out the token of this id, or all of this name.

        Returns:
            Those that are out.

        Raises:
            UsageError: There is none.
        """
        with self._changing() as rows:
            # A name may look like an id: of that id there is one token, and it is the one meant.
            gone = [row for row in rows if row.id == named] or [r for r in rows if r.name == named]
            if not gone:
                raise UsageError(
                    f"token {named[:80]!r}: there is no such one by id or name",
                    hint="`ragguard web token list` shows them.",
                )
            self._write([row for row in rows if row not in gone])
        return gone

    @contextmanager
    def _changing(self) -> Iterator[Sequence[Row]]:
        """Hold the file while it is changed; gives its rows."""
        with turn(self._path, LOCK_SECONDS, f"{FILE}: another process changes it"):
            yield self.rows()

    def _read(self) -> Mapping[str, Row]:
        """List tokens by digest; read again only when the file is another."""
        try:
            there = self._path.stat()
        except FileNotFoundError:
            self._mark, self._rows = None, {}
            return self._rows
        mark = (there.st_ino, there.st_size, there.st_mtime_ns)
        if mark != self._mark:
            try:
                file = _File.model_validate_json(read_private(self._path), strict=True)
            except ValidationError as error:
                first = error.errors()[0]
                place = ".".join(str(part) for part in first["loc"])
                raise KeyFileError(
                    f"{self._path}: damaged at {place or 'its beginning'}: {first['msg'].lower()}",
                    hint="Restore it, or remove it: then no token is good any more.",
                ) from None
            self._rows, self._mark = {row.sha256: row for row in file.tokens}, mark
        return self._rows

    def _write(self, rows: Sequence[Row]) -> None:
        body = {"version": 1, "tokens": [row.model_dump() for row in rows]}
        replace_file(self._path, json.dumps(body, indent=1).encode() + b"\n")
