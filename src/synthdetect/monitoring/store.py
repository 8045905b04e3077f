"""A monitor's store: rows in, columns out, labels later, and the states that live beside them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from synthdetect.errors import StoreError
from synthdetect.monitoring.connect import Connection, Database
from synthdetect.monitoring.events import SELECTED, Events, from_rows, joined
from synthdetect.monitoring.schema import COLUMNS, create, member_column, migrate, version_of

_CHUNK = 20_000


class Store:
    """Recorded images of one detector.

    Parameters
    ----------
    database : Database
    members : sequence of str
        Names of the detector's members, one column of logits each.
    """

    def __init__(self, database: Database, members: Sequence[str]) -> None:
        self.database = database
        self.members = tuple(members)
        self._logits = tuple(member_column(i) for i in range(len(self.members)))
        names = (*COLUMNS, *self._logits)
        self._insert = (
            f"INSERT INTO monitor_events ({', '.join(names)}) "
            f"VALUES ({', '.join(':' + name for name in names)})"
        )
        self._select = f"SELECT {', '.join((*SELECTED, *self._logits))} FROM monitor_events"

    @classmethod
    def opened(cls, database: Database) -> "Store | None":
        """Return the store that is there, brought to the newest version; None if there is none.

        Raises
        ------
        StoreError
            If it is damaged, or of a later version.
        """
        if not version_of(database):
            return None
        members = json.loads(read_meta(database)["members"])
        migrate(database, len(members))
        return cls(database, members)

    @classmethod
    def created(
        cls, database: Database, members: Sequence[str], meta: Mapping[str, str]
    ) -> "Store":
        """Make the tables and return the store.

        Raises
        ------
        StoreError
            If one was made meanwhile, or the database refuses.
        """
        described = {**meta, "members": json.dumps(list(members))}
        if not create(database, described, len(members)):
            raise StoreError(f"{database.name}: was made by another process meanwhile; try again")
        return cls(database, members)

    def append(self, rows: Sequence[dict[str, Any]]) -> NDArray[np.int64]:
        """Write images and return their ids, of shape (n,).

        Parameters
        ----------
        rows : sequence of dict
            One value for each of `COLUMNS` and of the members' columns; `id` is filled in.
        """
        if not rows:
            return np.empty(0, dtype=np.int64)
        with self.database.writing() as connection:
            first = take_numbers(connection, "events", len(rows))
            for i, row in enumerate(rows):
                row["id"] = first + i
            connection.change(self._insert, list(rows))
        return np.arange(first, first + len(rows), dtype=np.int64)

    def label(self, key: str, labels: Mapping[Any, int], at_s: float) -> int:
        """Write labels of images that were recorded before.

        Parameters
        ----------
        key : {"id", "sha256"}
        labels : mapping
            From an id or hash to 1 (synthetic) or 0.
        at_s : float

        Returns
        -------
        n : int
            Rows that have a label now; a hash may be that of several.
        """
        if not labels:
            return 0
        rows = [{"k": k, "label": label, "at_s": at_s} for k, label in labels.items()]
        with self.database.writing() as connection:
            return connection.change(
                f"UPDATE monitor_events SET label = :label, labelled_s = :at_s WHERE {key} = :k",
                rows,
            )

    def between(
        self, since_s: float, until_s: float, *, tags: Mapping[str, str] | None = None
    ) -> Events:
        """Return the images from `since_s`, included, to `until_s`, excluded.

        Parameters
        ----------
        since_s, until_s : float
        tags : mapping of str to str, optional
            Only images with all of these.
        """
        values = {"since": since_s, "until": until_s}
        return self._read("at_s >= :since AND at_s < :until", values, tags)

    def newest(
        self,
        n: int,
        *,
        until_s: float,
        skip: int = 0,
        tags: Mapping[str, str] | None = None,
    ) -> Events:
        """Return the last `n` images recorded, n >= 1, of those from before `until_s`.

        Parameters
        ----------
        n : int
        until_s : float
        skip : int
            Leave out so many of the newest.
        tags : mapping of str to str, optional
            Only images with all of these.
        """
        values: dict[str, Any] = {"until": until_s}
        with self.database.reading() as connection:
            where = "at_s < :until" + _with_tags(connection, tags, values)
            cuts = [
                connection.rows(
                    f"SELECT id FROM monitor_events WHERE {where} ORDER BY id DESC "
                    f"LIMIT 1 OFFSET {int(place)}",
                    values,
                )
                for place in (skip, skip + n - 1)
            ]
        last, first = (cut[0][0] if cut else 0 for cut in cuts)
        values = {"first": first, "last": last, "until": until_s}
        return self._read("id >= :first AND id <= :last AND at_s < :until", values, tags)

    def after(self, last_id: int) -> Iterator[Events]:
        """Yield the images recorded after one, in parts, in the order of their ids."""
        formats: dict[str, int] = {}
        sql = f"{self._select} WHERE id > :last ORDER BY id"
        with self.database.reading() as connection:
            for rows in connection.chunks(sql, {"last": last_id}, _CHUNK):
                yield from_rows(rows, len(self.members), formats)

    def span(self) -> tuple[float, float] | None:
        """Return the time of the first and last image in seconds, or None without any."""
        ((first, last),) = self.rows("SELECT MIN(at_s), MAX(at_s) FROM monitor_events")
        return None if first is None else (float(first), float(last))

    def rows(self, sql: str, values: Mapping[str, Any] | None = None) -> list[Sequence[Any]]:
        """Return the rows of a query of its own transaction."""
        with self.database.reading() as connection:
            return connection.rows(sql, values or {})

    def _read(self, where: str, values: dict[str, Any], tags: Mapping[str, str] | None) -> Events:
        formats: dict[str, int] = {}
        n_members = len(self.members)
        with self.database.reading() as connection:
            where += _with_tags(connection, tags, values)
            chunks = connection.chunks(f"{self._select} WHERE {where} ORDER BY id", values, _CHUNK)
            parts = [from_rows(rows, n_members, formats) for rows in chunks]
        return joined(parts) if parts else from_rows([], n_members, formats)


def tags_text(tags: Mapping[str, str] | None) -> str | None:
    """Return tags as they are stored: one text for equal tags, whatever their order."""
    return json.dumps(dict(tags), sort_keys=True) if tags else None


def _with_tags(
    connection: Connection, tags: Mapping[str, str] | None, values: dict[str, Any]
) -> str:
    """Return the condition that rows have all of these tags; its values join `values`."""
    if not tags:
        return ""
    # Few texts are in use, however many rows, so their JSON is read here and not by the database.
    found = connection.rows("SELECT DISTINCT tags FROM monitor_events WHERE tags IS NOT NULL")
    wanted = [text for (text,) in found if tags.items() <= json.loads(text).items()]
    named = {f"tags_{i}": text for i, text in enumerate(wanted)}
    values |= named
    return f" AND tags IN ({', '.join(f':{name}' for name in named) or 'NULL'})"


def read_meta(database: Database) -> dict[str, str]:
    """Return what a store says of itself."""
    with database.reading() as connection:
        return dict(map(tuple, connection.rows("SELECT name, value FROM monitor_meta")))


def write_meta(connection: Connection, name: str, value: str) -> None:
    """Write one entry of what a store says of itself."""
    values = {"name": name, "value": value}
    if not connection.change("UPDATE monitor_meta SET value = :value WHERE name = :name", values):
        connection.change("INSERT INTO monitor_meta (name, value) VALUES (:name, :value)", values)


def take_numbers(connection: Connection, table: str, n: int) -> int:
    """Reserve `n` numbers for rows of a table and return the first.

    The counter's row stays locked until the transaction ends, so that numbers appear in the order
    in which transactions are committed: who has read up to a number will miss none below it.
    """
    values = {"n": n, "name": table}
    connection.change(
        "UPDATE monitor_counters SET following = following + :n WHERE name = :name", values
    )
    ((following,),) = connection.rows(
        "SELECT following FROM monitor_counters WHERE name = :name", {"name": table}
    )
    return int(following) - n
