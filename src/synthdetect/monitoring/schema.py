"""The tables of a store, their version, and how an older one becomes the newest."""

from collections.abc import Callable, Sequence

from synthdetect.errors import StoreError
from synthdetect.monitoring.connect import Connection, Database

# Columns of `monitor_events` beside those of the members, in the order in which they are written.
FACTS = ("width", "height", "n_bytes", "jpeg_quality", "sharpness")
COLUMNS = ("id", "at_s", "p", "decision", "format", *FACTS, "tags", "sha256", "label", "labelled_s")

# In SQLite a column of this very type is the row's own number and needs no index.
_WHOLE = {"sqlite": "INTEGER"}
# Any number, the same for all who create or change the tables of a PostgreSQL database.
_POSTGRES_LOCK = 7_305_221_011


def member_column(index: int) -> str:
    """Return the column of a member's logit."""
    return f"logit_{index}"


def _events(whole: str, n_members: int) -> list[str]:
    logits = "".join(f"{member_column(i)} DOUBLE PRECISION, " for i in range(n_members))
    return [
        "CREATE TABLE monitor_meta (name VARCHAR(40) PRIMARY KEY, value TEXT NOT NULL)",
        f"CREATE TABLE monitor_counters (name VARCHAR(40) PRIMARY KEY, following {whole} NOT NULL)",
        "INSERT INTO monitor_counters (name, following) VALUES ('events', 1)",
        f"CREATE TABLE monitor_events (id {whole} PRIMARY KEY, at_s DOUBLE PRECISION NOT NULL, "
        "p DOUBLE PRECISION, decision VARCHAR(12) NOT NULL, format VARCHAR(12), "
        "width INTEGER, height INTEGER, n_bytes BIGINT, jpeg_quality INTEGER, "
        f"sharpness DOUBLE PRECISION, {logits}"
        "tags TEXT, sha256 CHAR(64), label INTEGER, labelled_s DOUBLE PRECISION)",
        "CREATE INDEX monitor_events_at ON monitor_events (at_s)",
        "CREATE INDEX monitor_events_sha256 ON monitor_events (sha256)",
        "CREATE TABLE monitor_streams (quantity VARCHAR(200) PRIMARY KEY, last_id BIGINT NOT NULL, "
        "state TEXT NOT NULL)",
    ]


def _alerts(whole: str, n_members: int) -> list[str]:
    return [
        "INSERT INTO monitor_counters (name, following) VALUES ('alerts', 1)",
        "INSERT INTO monitor_counters (name, following) VALUES ('outbox', 1)",
        f"CREATE TABLE monitor_alerts (id {whole} PRIMARY KEY, at_s DOUBLE PRECISION NOT NULL, "
        "rule VARCHAR(200) NOT NULL, subject VARCHAR(200) NOT NULL, message TEXT NOT NULL)",
        "CREATE INDEX monitor_alerts_rule ON monitor_alerts (rule, subject)",
        f"CREATE TABLE monitor_outbox (id {whole} PRIMARY KEY, alert {whole} NOT NULL, "
        "url TEXT NOT NULL, body TEXT NOT NULL, attempts INTEGER NOT NULL, "
        "due_s DOUBLE PRECISION NOT NULL, sent_s DOUBLE PRECISION, error TEXT)",
        "CREATE INDEX monitor_outbox_due ON monitor_outbox (sent_s, due_s)",
    ]


# The statements that make version i + 1 of version i. Append, and never change one: stores of
# every earlier version are in use.
MIGRATIONS: Sequence[Callable[[str, int], list[str]]] = (_events, _alerts)
VERSION = len(MIGRATIONS)


def create(database: Database, meta: dict[str, str], n_members: int) -> bool:
    """Make the tables, unless they are there.

    Parameters
    ----------
    database : Database
    meta : dict of str to str
        Written with the tables.
    n_members : int

    Returns
    -------
    created : bool
        False if another process was first; its `meta` stands.

    Raises
    ------
    StoreError
        If the database refuses.
    """
    with database.writing() as connection:
        _lock(database, connection)
        if _version(database, connection):
            return False
        _run(database, connection, 0, n_members)
        rows = [{"name": name, "value": value} for name, value in meta.items()]
        connection.change("INSERT INTO monitor_meta (name, value) VALUES (:name, :value)", rows)
        return True


def version_of(database: Database) -> int:
    """Return the version of the tables that are there; 0 if there are none.

    Raises
    ------
    StoreError
        If it is later than this package knows, or the tables are not a monitor's.
    """
    with database.reading() as connection:
        found = _version(database, connection)
    if found > VERSION:
        raise StoreError(
            f"{database.name}: is of version {found}, this synthdetect knows {VERSION}; update it"
        )
    return found


def migrate(database: Database, n_members: int) -> None:
    """Bring tables that are there to the newest version, in one transaction."""
    if version_of(database) < VERSION:
        with database.writing() as connection:
            _lock(database, connection)
            # Another process may have done it meanwhile.
            _run(database, connection, _version(database, connection), n_members)


def _run(database: Database, connection: Connection, version: int, n_members: int) -> None:
    whole = _WHOLE.get(database.dialect, "BIGINT")
    for migration in MIGRATIONS[version:]:
        for statement in migration(whole, n_members):
            connection.change(statement)
    connection.change("DELETE FROM monitor_meta WHERE name = 'schema'")
    connection.change(
        "INSERT INTO monitor_meta (name, value) VALUES ('schema', :version)",
        {"version": str(VERSION)},
    )


def _version(database: Database, connection: Connection) -> int:
    catalogue = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'monitor_meta'"
        if database.dialect == "sqlite"
        else "SELECT table_name FROM information_schema.tables WHERE table_name = 'monitor_meta'"
        " AND table_schema = current_schema()"
    )
    if not connection.rows(catalogue):
        return 0
    found = connection.rows("SELECT value FROM monitor_meta WHERE name = 'schema'")
    if not found or not str(found[0][0]).isdigit():
        raise StoreError(
            f"{database.name}: has a table `monitor_meta` of something else; name another"
        )
    return int(found[0][0])


def _lock(database: Database, connection: Connection) -> None:
    """Let one process at a time change tables; SQLite's writers take turns anyway."""
    if database.dialect == "postgresql":
        connection.rows("SELECT pg_advisory_xact_lock(:key)", {"key": _POSTGRES_LOCK})
