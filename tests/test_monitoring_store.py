"""Stores: what goes in comes out, from several processes, in every database."""

import multiprocessing
import os
import sqlite3

import numpy as np
import pytest

from monitored import started, two_members
from synthdetect.errors import StoreError
from synthdetect.monitoring.connect import AlchemyDatabase, SqliteDatabase, connect
from synthdetect.monitoring.monitor import Monitor
from synthdetect.monitoring.schema import MIGRATIONS, VERSION, version_of
from synthdetect.monitoring.store import Store, read_meta

POSTGRES = os.environ.get("SYNTHDETECT_TEST_POSTGRES")
TABLES = ("outbox", "alerts", "streams", "events", "counters", "meta")


@pytest.fixture(params=["sqlite", "sqlalchemy", "postgresql"])
def url(request, tmp_path):
    """A new database, as a caller names it."""
    if request.param == "sqlite":
        yield str(tmp_path / "monitor.db")
        return
    sql = pytest.importorskip("sqlalchemy", reason="needs the sql extra")
    if request.param == "sqlalchemy":
        yield f"sqlite+pysqlite:///{tmp_path}/monitor.db"
        return
    if not POSTGRES:
        pytest.skip("SYNTHDETECT_TEST_POSTGRES names no database")

    def drop():
        engine = sql.create_engine(POSTGRES)
        with engine.begin() as connection:
            for table in TABLES:
                connection.execute(sql.text(f"DROP TABLE IF EXISTS monitor_{table}"))
        engine.dispose()

    drop()
    yield POSTGRES
    drop()


def all_of(store):
    return store.between(0.0, 1e12)


def test_what_was_recorded_comes_back(url):
    monitor = started(url)
    logits = two_members(700, 0.1, 2)
    facts = {"format": ["JPEG", "PNG"] * 350, "width": [640] * 700, "height": [480] * 700}
    recorded = monitor.record(logits, when=1000.0, facts=facts, labels=[0, 1] * 350)
    events = all_of(Monitor.open(url)._store)
    np.testing.assert_array_equal(events.id, recorded.ids)
    np.testing.assert_array_equal(events.logits, logits)
    np.testing.assert_array_equal(events.p, recorded.p)
    np.testing.assert_array_equal(events.label, [0, 1] * 350)
    assert [events.formats[code] for code in events.format[:2]] == ["JPEG", "PNG"]
    assert np.isnan(events.facts["sharpness"]).all()
    assert (events.facts["width"] == 640).all()


def test_labels_come_later_by_id_and_by_hash(url):
    monitor = started(url)
    hashes = ["a" * 64, "b" * 64, "a" * 64]
    ids = monitor.record([0.1, 0.2, 0.3], facts={"sha256": hashes}).ids
    assert monitor.label({int(ids[1]): "synthetic", 999: "real"}) == 1
    assert monitor.label({"A" * 64: "real"}, by="sha256") == 2
    np.testing.assert_array_equal(all_of(monitor._store).label, [0, 1, 0])


def test_tags_narrow_and_their_order_does_not_matter(url):
    monitor = started(url)
    monitor.record([0.1] * 3, tags={"camera": "a", "site": "x"}, when=10)
    monitor.record([0.2] * 4, tags={"site": "y", "camera": "a"}, when=10)
    monitor.record([0.3] * 5, when=10)
    store = monitor._store
    assert len(store.between(0, 20, tags={"camera": "a"})) == 7
    assert len(store.between(0, 20, tags={"camera": "a", "site": "y"})) == 4
    assert len(store.between(0, 20, tags={"camera": "b"})) == 0
    assert len(store.newest(2, until_s=20, tags={"site": "x"})) == 2


def test_windows_by_number_do_not_overlap(url):
    monitor = started(url)
    monitor.record(np.linspace(0, 1, 10), when=10)
    parts = [monitor._store.newest(4, until_s=20, skip=skip) for skip in (0, 4, 8)]
    assert [len(part) for part in parts] == [4, 4, 2]
    assert len({i for part in parts for i in part.id.tolist()}) == 10


def test_a_failed_transaction_leaves_nothing(url):
    monitor = started(url)
    database = monitor._store.database

    def fail():
        with database.writing() as connection:
            connection.change("UPDATE monitor_counters SET following = 77")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    ((following,),) = monitor._store.rows(
        "SELECT following FROM monitor_counters WHERE name = 'events'"
    )
    assert following == 1


def test_an_older_store_is_migrated_and_keeps_its_rows(url):
    if url == POSTGRES:
        pytest.skip("one database is enough for the order of migrations")
    monitor = started(url)
    monitor.record([0.5] * 3, when=10)
    database = monitor._store.database
    with database.writing() as connection:  # back to version 1
        for table in ("outbox", "alerts"):
            connection.change(f"DROP TABLE monitor_{table}")
            connection.change("DELETE FROM monitor_counters WHERE name = :name", {"name": table})
        connection.change("UPDATE monitor_meta SET value = '1' WHERE name = 'schema'")
    assert version_of(database) == 1
    reopened = Monitor.open(url)
    assert version_of(database) == VERSION == len(MIGRATIONS)
    assert len(all_of(reopened._store)) == 3
    assert reopened.alerts() == ()


def test_a_later_store_is_refused(url):
    database = started(url)._store.database
    with database.writing() as connection:
        connection.change("UPDATE monitor_meta SET value = '99' WHERE name = 'schema'")
    with pytest.raises(StoreError, match="is of version 99"):
        Monitor.open(url)


def test_only_one_of_two_creations_wins(url):
    monitor = started(url)
    with pytest.raises(StoreError, match="meanwhile"):
        Store.created(monitor._store.database, ["a"], {})
    assert read_meta(monitor._store.database)["members"] == '["a", "b"]'


def _record_some(path, seed):
    monitor = Monitor.open(path)
    for _ in range(10):
        monitor.record(np.random.default_rng(seed).random(20), when=10)


def test_several_processes_record_at_once_and_no_number_is_twice(url):
    started(url)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_record_some, args=(url, i)) for i in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    ids = all_of(Monitor.open(url)._store).id
    np.testing.assert_array_equal(ids, np.arange(1, 601))


def test_a_forked_child_may_use_its_parents_monitor(url):
    monitor = started(url)
    monitor.record([0.5])
    child = multiprocessing.get_context("fork").Process(target=monitor.record, args=([0.5, 0.6],))
    child.start()
    child.join()
    assert child.exitcode == 0
    monitor.record([0.7])
    assert len(all_of(monitor._store)) == 4


def test_sqlite_has_a_write_ahead_log(tmp_path):
    started(tmp_path / "m.db")
    mode = sqlite3.connect(tmp_path / "m.db").execute("PRAGMA journal_mode").fetchone()
    assert mode == ("wal",)


def test_paths_and_sqlite_urls_need_no_extra(tmp_path):
    assert isinstance(connect(tmp_path / "a.db"), SqliteDatabase)
    assert isinstance(connect(f"sqlite:///{tmp_path}/a.db"), SqliteDatabase)


def test_a_store_without_a_file_is_refused():
    with pytest.raises(StoreError, match="is no file"):
        connect(":memory:")


def test_a_missing_folder_and_a_foreign_file_are_store_errors(tmp_path):
    with pytest.raises(StoreError, match="there is no such file"):
        Monitor.open(tmp_path / "none.db")
    with pytest.raises(StoreError, match="cannot be opened"):
        started(tmp_path / "no" / "m.db")
    (tmp_path / "text.db").write_text("no database, but a long enough text" * 50)
    with pytest.raises(StoreError, match=r"text\.db"):
        Monitor.open(tmp_path / "text.db")


def test_an_impossible_url_is_a_store_error_without_its_password():
    pytest.importorskip("sqlalchemy", reason="needs the sql extra")
    with pytest.raises(StoreError, match="dialect"):
        connect("nosuch+driver://user:secret@host/name")
    database = AlchemyDatabase("sqlite+pysqlite:////nowhere/else/m.db?timeout=1")
    with pytest.raises(StoreError), database.reading() as connection:
        connection.rows("SELECT 1")
