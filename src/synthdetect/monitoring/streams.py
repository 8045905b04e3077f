"""The sequential tests of a store: one for each quantity, kept beside the images."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthdetect.bars import Progress, silent
from synthdetect.evaluation.interval import json_ready
from synthdetect.monitoring.connect import Connection
from synthdetect.monitoring.events import Events
from synthdetect.monitoring.quantities import Reference, quantities
from synthdetect.monitoring.sequential import Evidence, combined_alpha
from synthdetect.monitoring.store import Store


@dataclass(frozen=True)
class StreamStatus:
    """Where the sequential test of one quantity stands.

    Parameters
    ----------
    quantity : str
    n : int
        Values seen since the reference was set.
    log10_evidence, log10_peak, log10_limit : float
        What the bets have come to, the most that it has been, and where the alarm is, all as
        powers of ten.
    alarm_at_s : float or None
        Time of the image with which the alarm came, seconds since 1970; None without one.
    alarm_n : int or None
        Its number among the values.
    """

    quantity: str
    n: int
    log10_evidence: float
    log10_peak: float
    log10_limit: float
    alarm_at_s: float | None
    alarm_n: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return {name: json_ready(value) for name, value in vars(self).items()}


@dataclass
class _Stream:
    """A quantity's evidence, and the time of its alarm."""

    evidence: Evidence
    alarm_at_s: float | None = None

    def take(self, values: np.ndarray, at_s: np.ndarray) -> None:
        known = np.flatnonzero(np.isfinite(values))
        n_before = self.evidence.n
        was_quiet = self.evidence.alarm is None
        self.evidence = self.evidence.after(values[known])
        if was_quiet and self.evidence.alarm is not None:
            self.alarm_at_s = float(at_s[known[self.evidence.alarm - n_before - 1]])

    def to_json(self) -> str:
        return json.dumps({"evidence": self.evidence.to_json(), "alarm_at_s": self.alarm_at_s})

    @classmethod
    def from_json(cls, text: str) -> "_Stream":
        read = json.loads(text)
        return cls(Evidence.from_json(read["evidence"]), read["alarm_at_s"])


def restart(connection: Connection, reference: Reference, *, alpha: float) -> None:
    """Start every test anew, after the images recorded so far.

    Parameters
    ----------
    connection : Connection
    reference : Reference
    alpha : float
        Bound on the probability of a false alarm of any of them, ever.
    """
    share = combined_alpha(alpha, tuple(reference.samples))
    ((last,),) = connection.rows("SELECT MAX(id) FROM monitor_events")
    connection.change("DELETE FROM monitor_streams")
    rows = [
        {
            "quantity": name,
            "last": last or 0,
            "state": _Stream(Evidence.start(sample, alpha=share, seed=i)).to_json(),
        }
        for i, (name, sample) in enumerate(reference.samples.items())
    ]
    if rows:
        connection.change(
            "INSERT INTO monitor_streams (quantity, last_id, state) "
            "VALUES (:quantity, :last, :state)",
            rows,
        )


def advance(store: Store, progress: Progress = silent) -> tuple[StreamStatus, ...]:
    """Show the tests all images that they have not seen, and return where they stand.

    Several processes may do this at once: who comes second finds that the first has moved on, and
    takes that.
    """
    streams, last = _read(store)
    if not streams:
        return ()
    newest = last
    ((end,),) = store.rows("SELECT MAX(id) FROM monitor_events")
    with progress("images tested", (end or 0) - last) as done:
        for part in store.after(last):
            newest = int(part.id[-1])
            _take(streams, part.readable, store.members)
            done(len(part.id))
    if newest > last and not _written(store, streams, last, newest):
        streams, _ = _read(store)
    return tuple(_status(name, stream) for name, stream in streams.items())


def _take(streams: dict[str, _Stream], events: Events, members: Sequence[str]) -> None:
    found = quantities(events, members)
    for name, stream in streams.items():
        stream.take(found[name], events.at_s)


def _read(store: Store) -> tuple[dict[str, _Stream], int]:
    rows = store.rows("SELECT quantity, state, last_id FROM monitor_streams ORDER BY quantity")
    streams = {name: _Stream.from_json(state) for name, state, _ in rows}
    return streams, int(rows[0][2]) if rows else 0


def _written(store: Store, streams: dict[str, _Stream], last: int, newest: int) -> bool:
    """Write the states, unless somebody else did since they were read at image `last`."""
    values = [
        {"quantity": name, "state": stream.to_json(), "last": last, "newest": newest}
        for name, stream in streams.items()
    ]
    sql = (
        "UPDATE monitor_streams SET last_id = :newest, state = :state "
        "WHERE quantity = :quantity AND last_id = :last"
    )
    with store.database.writing() as connection:
        # All have one `last_id`: if the first still has it, and is locked now, so have the others.
        return all(connection.change(sql, one) == 1 for one in values)


def _status(name: str, stream: _Stream) -> StreamStatus:
    evidence = stream.evidence
    return StreamStatus(
        quantity=name,
        n=evidence.n,
        log10_evidence=float(np.log10(evidence.wealth)),
        log10_peak=float(np.log10(evidence.peak)),
        log10_limit=float(np.log10(evidence.limit)),
        alarm_at_s=stream.alarm_at_s,
        alarm_n=evidence.alarm,
    )
