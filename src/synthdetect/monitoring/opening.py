"""Whose store it is, and whether a detector may write to it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.prevalence import Shifted
from synthdetect.errors import BundleError, StoreError
from synthdetect.monitoring.connect import Database, SqliteDatabase, connect
from synthdetect.monitoring.store import Store, read_meta, write_meta


def training_share(decision: Decision) -> float:
    """Share of synthetic images that probabilities are for, as far as the decision tells."""
    if isinstance(decision.calibrator, Shifted):
        return decision.calibrator.deployed
    one = decision.threshold
    return one.n_synthetic / one.n if one.n_real and one.n_synthetic else 0.5


def described(decision: Decision) -> dict[str, Any] | None:
    try:
        return decision.to_dict()
    except BundleError:  # a combiner of the user's own, which works in memory only
        return None


def same_detector(
    database: Database, store: Store, names: Sequence[str], decision: Decision
) -> None:
    """Raise StoreError unless the store's scores are comparable with this detector's."""
    if store.members != tuple(names):
        raise StoreError(
            f"{database.name}: is of a detector with the members {list(store.members)}, this one "
            f"has {list(names)}; give the detector that it was started with, or another store"
        )
    known, now = json.loads(read_meta(database)["decision"]), described(decision)
    if known is None or now is None:
        return
    for step in ("combiner", "calibrator"):
        if known[step] != json.loads(json.dumps(now[step])):
            raise StoreError(
                f"{database.name}: its probabilities come from another {step}, so they do not "
                "compare; name another store"
            )
    # A threshold may move: what was decided before is recorded as it was.
    if known != json.loads(json.dumps(now)):
        with database.writing() as connection:
            write_meta(connection, "decision", json.dumps(now))
            write_meta(connection, "threshold", json.dumps(decision.threshold.to_dict()))


def is_store(address: str) -> bool:
    """Say whether a monitor's store is there."""
    return Store.opened(connect(address)) is not None


def check_there(database: Database) -> None:
    if isinstance(database, SqliteDatabase) and not Path(database.name).exists():
        raise StoreError(f"{database.name}: there is no such file; check the path")
