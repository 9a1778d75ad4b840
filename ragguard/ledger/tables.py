"""Define the ledger's tables (SQLAlchemy Core), and open its database.

SQLite runs in WAL mode with `synchronous = FULL`; a writer takes its lock at BEGIN. Another
database is reached by URL. Rows of a commit that is not confirmed yet belong to nobody: readers
join `commits` on state `confirmed`, or read `membership`, `cases` and `log_entries`, which are
written with the confirmation.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from ragguard.errors import IncompleteError, LedgerError

SCHEMA_VERSION = "1"

schema = sa.MetaData()

meta = sa.Table(
    "meta",
    schema,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

roots = sa.Table(
    "trust_roots",
    schema,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("envelope", sa.LargeBinary, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
)

commits = sa.Table(
    "commits",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # pending | confirmed
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("source", sa.Text),
    sa.Column("manifest", sa.Text),
    sa.Column("plan", sa.Text, nullable=False),  # vault digest of the plan
    sa.Column("corpus", sa.Text),  # digest of the serving corpus after it
    sa.Column("log_index", sa.Integer),
    sa.Column("counts", sa.JSON, nullable=False),
)

manifests = sa.Table(
    "manifests",
    schema,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("envelope", sa.Text, nullable=False),  # vault digest
    sa.Column("signers", sa.JSON, nullable=False),
    sa.Column("expires", sa.Text, nullable=False),
    sa.Column("commit", sa.Integer, sa.ForeignKey("commits.id"), nullable=False),
    sa.UniqueConstraint("source", "version"),
)

recipes = sa.Table(
    "recipes",
    schema,
    sa.Column("digest", sa.Text, primary_key=True),
    sa.Column("body", sa.JSON, nullable=False),
)

generations = sa.Table(
    "generations",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("serving", sa.Text, nullable=False, unique=True),
    sa.Column("quarantine", sa.Text, nullable=False, unique=True),
    sa.Column("recipe", sa.Text, sa.ForeignKey("recipes.digest"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # serving|retired|candidate|dropped
    sa.Column("at", sa.Text, nullable=False),
)

versions = sa.Table(
    "versions",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("metadata_digest", sa.Text, nullable=False),
    sa.Column("policy_digest", sa.Text, nullable=False),
    sa.Column("recipe", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("subject_digest", sa.Text, nullable=False),
    sa.Column("manifest", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("score", sa.Float, nullable=False),
    sa.Column("p_value", sa.Float),
    sa.Column("findings", sa.JSON, nullable=False),
    sa.Column("hidden", sa.JSON, nullable=False),  # [kind, text] found while parsing
    sa.Column("chunks", sa.Integer, nullable=False),
    sa.Column("commit", sa.Integer, sa.ForeignKey("commits.id"), nullable=False),
    sa.Index("versions_document", "source", "document"),
    sa.Index("versions_digest", "digest"),
    sa.Index("versions_commit", "commit"),
)

points = sa.Table(
    "points",
    schema,
    sa.Column("version", sa.Integer, sa.ForeignKey("versions.id"), primary_key=True),
    sa.Column("ordinal", sa.Integer, primary_key=True),
    sa.Column("point", sa.Text, nullable=False, index=True),
    sa.Column("start", sa.Integer, nullable=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("text_digest", sa.Text, nullable=False),
)

membership = sa.Table(
    "membership",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, sa.ForeignKey("versions.id"), nullable=False, index=True),
    sa.Column("zone", sa.Text, nullable=False),  # serving | quarantine
    sa.Column("since", sa.Integer, sa.ForeignKey("commits.id"), nullable=False),
    sa.Column("until", sa.Integer, sa.ForeignKey("commits.id"), index=True),
)

seals = sa.Table(
    "seals",
    schema,
    sa.Column("point", sa.Text, primary_key=True),
    sa.Column("collection", sa.Text, primary_key=True),
    sa.Column("seal", sa.Text, nullable=False),
)

cases = sa.Table(
    "cases",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # document | removal
    sa.Column("state", sa.Text, nullable=False),  # open|released|rejected|superseded|withdrawn
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("document", sa.Text, nullable=False),  # empty for a removal
    sa.Column("version", sa.Integer, sa.ForeignKey("versions.id")),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("opened", sa.Integer, sa.ForeignKey("commits.id"), nullable=False),
    sa.Column("closed", sa.Integer, sa.ForeignKey("commits.id")),
)

decisions = sa.Table(
    "decisions",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case", sa.Integer, sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("reviewer", sa.Text, nullable=False),
    sa.Column("keyid", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("covers", sa.JSON, nullable=False),
    sa.Column("envelope", sa.Text, nullable=False),  # vault digest
    sa.Column("commit", sa.Integer, sa.ForeignKey("commits.id"), nullable=False),
)

denials = sa.Table(
    "denials",
    schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Integer, sa.ForeignKey("versions.id"), nullable=False),
    sa.Column("digest", sa.Text, nullable=False, index=True),
    sa.Column("text_digest", sa.Text, nullable=False, index=True),
    sa.Column("sketches", sa.Text, nullable=False),  # vault digest: MinHash rows, npy
    sa.Column("vectors", sa.Text, nullable=False),  # vault digest: float32 rows, npy
    sa.Column("texts", sa.Text, nullable=False),  # vault digest: JSON list
    sa.Column("commit", sa.Integer, sa.ForeignKey("commits.id"), nullable=False),
)

vectors = sa.Table(
    "vectors",
    schema,
    sa.Column("recipe", sa.Text, primary_key=True),
    sa.Column("text_digest", sa.Text, primary_key=True),
    sa.Column("pack", sa.Text, nullable=False),  # vault digest (float32 rows, npy), and a keyed tag
    sa.Column("row", sa.Integer, nullable=False),
)

log_entries = sa.Table(
    "log_entries",
    schema,
    sa.Column("index", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("leaf", sa.LargeBinary(32), nullable=False),
)

checkpoints = sa.Table(
    "checkpoints",
    schema,
    sa.Column("size", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("note", sa.Text, nullable=False),
)


class Ledger:
    """An open ledger.

    Args:
        create: Make the tables; else they must be there, of this version.

    Raises:
        LedgerError: No ledger, or of another schema version.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.engine = sa.create_engine(url)
        self._watchers: list[sqlite3.Connection] = []
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        if create:
            self._make_file()
            with self.writing() as conn:
                schema.create_all(conn)
                conn.execute(sa.insert(meta), {"key": "schema", "value": SCHEMA_VERSION})
        else:
            with self.reading() as conn:
                stored = get_meta(conn, "schema") if sa.inspect(conn).has_table("meta") else None
            if stored != SCHEMA_VERSION:
                raise LedgerError(
                    f"ledger: schema {stored or 'missing'}, this ragguard reads {SCHEMA_VERSION}",
                    hint="See docs/upgrading.md.",
                )
            self._refuse_triggers()

    def _refuse_triggers(self) -> None:
        """Refuse a database that does more than is asked of it; ours has tables and indexes."""
        if self.engine.dialect.name != "sqlite":
            return
        query = "SELECT type, name FROM sqlite_master WHERE type NOT IN ('table', 'index')"
        with self.reading() as conn:
            odd = conn.exec_driver_sql(query).first()
        if odd is not None:
            raise LedgerError(
                f"ledger: it has a {odd[0]} {str(odd[1])[:80]!r} that ragguard did not make",
                hint="Somebody wrote to it: restore it from its backup, and find out who.",
            )

    def _make_file(self) -> None:
        """Make SQLite's file 0600; those that it makes beside it get the same mode."""
        name = self.engine.url.database
        if self.engine.dialect.name == "sqlite" and name and name != ":memory:":
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """Return a connection that sees one consistent state and writes nothing."""
        with self.engine.connect() as conn:
            conn = conn.execution_options(ragguard_read=True)
            yield conn
            conn.rollback()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Return a transaction; all of it is durable when the block ends, or none.

        Raises:
            IncompleteError: The database refused (disk full, locked).
        """
        try:
            with self.engine.begin() as conn:
                yield conn
        except sa.exc.OperationalError as error:
            raise IncompleteError(f"ledger: {error.orig}", hint="Check disk and locks.") from error

    def watch(self) -> Callable[[], int | None]:
        """Make a way to ask, in microseconds, whether anything was committed to the database.

        Returns:
            Gives a number that is another one after any commit, whoever made it; `None` where the
            database cannot say, and has to be read.
        """
        name = self.engine.url.database
        if self.engine.dialect.name != "sqlite" or not name or name == ":memory:":
            return lambda: None
        watcher = sqlite3.connect(name, check_same_thread=False, isolation_level=None)
        self._watchers.append(watcher)
        return lambda: int(watcher.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Let go of the database."""
        while self._watchers:
            self._watchers.pop().close()
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        "busy_timeout = 10000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(conn: sa.Connection) -> None:
    read_only = conn.get_execution_options().get("ragguard_read", False)
    conn.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def get_meta(conn: sa.Connection, key: str) -> str | None:
    """Return a value of the `meta` table."""
    return conn.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar()


def set_meta(conn: sa.Connection, key: str, value: str) -> None:
    """Set a value of the `meta` table."""
    conn.execute(sa.delete(meta).where(meta.c.key == key))
    conn.execute(sa.insert(meta), {"key": key, "value": value})


def drop_meta(conn: sa.Connection, key: str) -> None:
    """Forget a value of the `meta` table."""
    conn.execute(sa.delete(meta).where(meta.c.key == key))
