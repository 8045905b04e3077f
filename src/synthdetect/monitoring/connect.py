"""One small face for two ways to a database: the standard library's SQLite, and SQLAlchemy.

Statements are plain SQL with parameters such as `:name`, which both understand.
"""

import contextlib
import os
import sqlite3
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from synthdetect.errors import StoreError
from synthdetect.optional import require

Row = Sequence[Any]
Values = Mapping[str, Any]

# Seconds that a writer waits for another one.
_BUSY_TIMEOUT_S = 60.0
_SQLITE_PREFIX = "sqlite:///"


class Connection(Protocol):
    """Statements within one transaction."""

    def change(self, sql: str, values: Values | Sequence[Values] = ...) -> int:
        """Run a statement, once or for each of `values`; return how many rows it changed."""
        ...

    def rows(self, sql: str, values: Values = ...) -> list[Row]:
        """Return all rows of a query."""
        ...

    def chunks(self, sql: str, values: Values, size: int) -> Iterator[list[Row]]:
        """Yield the rows of a query, at most `size` at once."""
        ...


class Database(Protocol):
    """Where transactions come from; threads and forked processes may share it.

    Attributes
    ----------
    dialect : str
        `sqlite`, `postgresql`, ...
    name : str
        What errors call it, without a password.
    """

    dialect: str
    name: str

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """Open a transaction that only reads, from one snapshot where the database has those."""
        ...

    def writing(self, *, durable: bool = False) -> contextlib.AbstractContextManager[Connection]:
        """Open a transaction that is committed at the end, or rolled back on an exception.

        Parameters
        ----------
        durable : bool, default=False
            Wait until it would outlive a power cut. In SQLite that takes milliseconds; without it,
            what was committed outlives this process, and a power cut may take the last seconds.
        """
        ...


def connect(store: str | os.PathLike[str]) -> Database:
    """Return the database behind a path or URL; nothing is opened yet.

    Parameters
    ----------
    store : str or path-like
        A path, or `sqlite:///path`: SQLite by the standard library. Any other URL with a scheme,
        such as `postgresql+psycopg://user@host/name`, goes through SQLAlchemy.

    Returns
    -------
    database : Database

    Raises
    ------
    StoreError
        If the URL is none, or a SQLite database has no file.
    MissingExtraError
        If it needs SQLAlchemy and that is not installed.
    """
    text = os.fspath(store)
    if text.startswith(_SQLITE_PREFIX):
        text = text.removeprefix(_SQLITE_PREFIX)
    elif "://" in text:
        return AlchemyDatabase(text)
    if text in ("", ":memory:"):
        raise StoreError(f"store {text!r}: is no file; give the path of a file to keep it in")
    return SqliteDatabase(Path(text))


class SqliteDatabase:
    """A SQLite file with a write-ahead log, by the standard library.

    A transaction takes an idle connection or opens one, so threads share none at a time.

    Parameters
    ----------
    path : Path
        Created with the first transaction; its folder must exist.
    """

    dialect = "sqlite"

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        # Kept open: SQLite empties the log whenever the last connection to a file closes.
        self._idle: list[sqlite3.Connection] = []
        self._process = os.getpid()
        # What a fork left here; a child must neither use nor close it.
        self._inherited: list[sqlite3.Connection] = []
        weakref.finalize(self, _close_all, self._idle, self._process)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """As `Database.reading`."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """As `Database.writing`."""
        # IMMEDIATE takes the writers' lock now: to take it after a read may fail at once, as
        # SQLite does not wait where another writer has made the snapshot stale.
        with self._transaction("BEGIN IMMEDIATE", durable) as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str, durable: bool = False) -> Iterator[Connection]:
        raw = self._taken()
        try:
            raw.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            raw.execute(begin)
            yield _SqliteConnection(raw)
            raw.execute("COMMIT")
        except BaseException as error:
            raw.close()  # which rolls back
            if isinstance(error, sqlite3.Error):
                raise StoreError(f"{self.name}: {error}; is it a monitor's store?") from error
            raise
        self._idle.append(raw)

    def _taken(self) -> sqlite3.Connection:
        if os.getpid() != self._process:
            self._inherited, self._idle, self._process = self._idle[:], [], os.getpid()
            weakref.finalize(self, _close_all, self._idle, self._process)
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            raw = sqlite3.connect(
                self._path,
                timeout=_BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )
            raw.execute("PRAGMA journal_mode = WAL")
        except sqlite3.Error as error:
            raise StoreError(
                f"{self.name}: cannot be opened ({error}); its folder must exist and be writable, "
                "and the file be a monitor's store"
            ) from error
        return raw


def _close_all(idle: list[sqlite3.Connection], process: int) -> None:
    if os.getpid() == process:
        while idle:
            idle.pop().close()


class _SqliteConnection:
    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def change(self, sql: str, values: Values | Sequence[Values] = ()) -> int:
        many = isinstance(values, list | tuple) and bool(values)
        run = self._raw.executemany if many else self._raw.execute
        return run(sql, values).rowcount

    def rows(self, sql: str, values: Values | None = None) -> list[Row]:
        return self._raw.execute(sql, values or {}).fetchall()

    def chunks(self, sql: str, values: Values, size: int) -> Iterator[list[Row]]:
        cursor = self._raw.execute(sql, values)
        while found := cursor.fetchmany(size):
            yield found


class AlchemyDatabase:
    """A database that SQLAlchemy reaches.

    Parameters
    ----------
    url : str

    Raises
    ------
    StoreError
        If it is no URL that SQLAlchemy knows, or its driver is not installed.
    MissingExtraError
        If SQLAlchemy is not installed.
    """

    def __init__(self, url: str) -> None:
        self._sql = require("sqlalchemy", extra="sql")
        try:
            self._engine = self._sql.create_engine(url, pool_pre_ping=True)
        except (self._sql.exc.SQLAlchemyError, ImportError) as error:
            raise StoreError(
                f"the store's URL is not usable ({error}); use dialect+driver://user@host/name"
            ) from error
        self.dialect = self._engine.dialect.name
        self.name = self._engine.url.render_as_string(hide_password=True)
        if hasattr(os, "register_at_fork"):
            # A child must not talk over its parent's connections. The hook stays for ever, so it
            # must not keep the engine.
            engine = weakref.ref(self._engine)
            os.register_at_fork(after_in_child=lambda: _dispose(engine()))

    @contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[Connection]:
        """As `Database.writing`; how durable a commit is, is the server's affair."""
        try:
            with self._engine.begin() as connection:
                yield _AlchemyConnection(connection, self._sql.text)
        except self._sql.exc.SQLAlchemyError as error:
            raise StoreError(f"{self.name}: {error}; check the server and the URL") from error

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """As `Database.reading`."""
        return self.writing()


def _dispose(engine: Any) -> None:
    if engine is not None:
        engine.dispose(close=False)


class _AlchemyConnection:
    def __init__(self, connection: Any, text: Any) -> None:
        self._connection, self._text = connection, text

    def change(self, sql: str, values: Values | Sequence[Values] = ()) -> int:
        return int(self._connection.execute(self._text(sql), values or None).rowcount)

    def rows(self, sql: str, values: Values | None = None) -> list[Row]:
        return list(self._connection.execute(self._text(sql), values or {}))

    def chunks(self, sql: str, values: Values, size: int) -> Iterator[list[Row]]:
        streamed = self._connection.execution_options(stream_results=True, max_row_buffer=size)
        yield from streamed.execute(self._text(sql), values).partitions(size)
