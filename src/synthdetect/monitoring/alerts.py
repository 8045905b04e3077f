"""Alerts that were raised, and the outbox from which webhooks are sent."""

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPException
from typing import Any

from synthdetect.monitoring.connect import Connection
from synthdetect.monitoring.rules import Fired
from synthdetect.monitoring.store import Store, take_numbers
from synthdetect.monitoring.windows import as_text

logger = logging.getLogger("synthdetect.monitoring")

_TIMEOUT_S = 10.0
# While one process sends, the others leave the message alone; if it dies, they try after this.
_LEASE_S = 120.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 60.0, 6 * 3600.0
_AT_ONCE = 50
_LONGEST_ERROR = 500


@dataclass(frozen=True)
class Alert:
    """A rule that was found to hold.

    Parameters
    ----------
    id : int
    at_s : float
        Seconds since 1970, UTC.
    rule, subject, message : str
    """

    id: int
    at_s: float
    rule: str
    subject: str
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready description."""
        return asdict(self) | {"at": as_text(self.at_s)}


def raised(
    store: Store,
    found: Sequence[Fired],
    *,
    at_s: float,
    repeat_after_s: float,
    webhooks: Sequence[str] = (),
) -> tuple[Alert, ...]:
    """Write alerts and their messages to webhooks, in one transaction; return those that are new.

    Parameters
    ----------
    store : Store
    found : sequence of Fired
    at_s : float
        Now.
    repeat_after_s : float
        What was told of within this time is not told again.
    webhooks : sequence of str

    Returns
    -------
    alerts : tuple of Alert
    """
    if not found:
        return ()
    alerts = []
    with store.database.writing(durable=True) as connection:
        # Locks the counter first, so of two checks at once the second sees the first one's alerts.
        take_numbers(connection, "alerts", 0)
        for one in found:
            if _told(connection, one, since_s=at_s - repeat_after_s):
                continue
            number = take_numbers(connection, "alerts", 1)
            alert = Alert(number, at_s, one.rule, one.subject, one.message)
            connection.change(
                "INSERT INTO monitor_alerts (id, at_s, rule, subject, message) "
                "VALUES (:id, :at_s, :rule, :subject, :message)",
                asdict(alert),
            )
            for url in webhooks:
                _queue(connection, alert, url)
            alerts.append(alert)
    for alert in alerts:
        logger.warning("alert %d: %s", alert.id, alert)
    return tuple(alerts)


def history(store: Store, *, most: int = 100) -> tuple[Alert, ...]:
    """Return the alerts that were raised last, newest first."""
    rows = store.rows(
        "SELECT id, at_s, rule, subject, message FROM monitor_alerts ORDER BY id DESC "
        f"LIMIT {int(most)}"
    )
    return tuple(Alert(*row) for row in rows)


def waiting(store: Store) -> int:
    """Return how many messages to webhooks are still to be sent."""
    ((n,),) = store.rows("SELECT COUNT(*) FROM monitor_outbox WHERE sent_s IS NULL")
    return int(n)


def deliver(store: Store, *, now_s: float) -> int:
    """Send the messages that are due; return how many were.

    A message is written with its alert and is done when the receiver has answered with 2xx, so a
    restart loses none; one may come twice, with the same `Idempotency-Key`. After a failure it is
    due again in 1, 2, 4, ... minutes, at most 6 hours, for ever.

    Parameters
    ----------
    store : Store
    now_s : float
    """
    sent = 0
    for number, url, body, attempts in _claimed(store, now_s):
        error = _post(url, body, key=f"synthdetect-{number}")
        values: dict[str, Any] = {"id": number}
        if error is None:
            sent += 1
            values["now"] = now_s
            sql = "UPDATE monitor_outbox SET sent_s = :now, error = NULL WHERE id = :id"
        else:
            # Not the URL: it often has a secret in it.
            logger.warning("webhook message %d failed (attempt %d): %s", number, attempts, error)
            delay = min(_FIRST_DELAY_S * 2.0 ** min(attempts - 1, 20), _LONGEST_DELAY_S)
            values |= {"due": now_s + delay, "error": error[:_LONGEST_ERROR]}
            sql = "UPDATE monitor_outbox SET due_s = :due, error = :error WHERE id = :id"
        with store.database.writing() as connection:
            connection.change(sql, values)
    return sent


def _told(connection: Connection, one: Fired, *, since_s: float) -> bool:
    rows = connection.rows(
        "SELECT id FROM monitor_alerts "
        "WHERE rule = :rule AND subject = :subject AND at_s > :since LIMIT 1",
        {"rule": one.rule, "subject": one.subject, "since": since_s},
    )
    return bool(rows)


def _queue(connection: Connection, alert: Alert, url: str) -> None:
    connection.change(
        "INSERT INTO monitor_outbox (id, alert, url, body, attempts, due_s) "
        "VALUES (:id, :alert, :url, :body, 0, :due)",
        {
            "id": take_numbers(connection, "outbox", 1),
            "alert": alert.id,
            "url": url,
            # `text` is what chat services show.
            "body": json.dumps({"text": f"synthdetect: {alert}", "alert": alert.to_dict()}),
            "due": alert.at_s,
        },
    )


def _claimed(store: Store, now_s: float) -> list[tuple[int, str, str, int]]:
    """Take messages that are due, so that no other process sends them meanwhile."""
    claimed = []
    with store.database.writing() as connection:
        rows = connection.rows(
            "SELECT id, url, body, attempts FROM monitor_outbox "
            f"WHERE sent_s IS NULL AND due_s <= :now ORDER BY due_s LIMIT {_AT_ONCE}",
            {"now": now_s},
        )
        for number, url, body, attempts in rows:
            changed = connection.change(
                "UPDATE monitor_outbox SET attempts = :next, due_s = :lease "
                "WHERE id = :id AND attempts = :seen AND sent_s IS NULL",
                {"next": attempts + 1, "lease": now_s + _LEASE_S, "id": number, "seen": attempts},
            )
            if changed:
                claimed.append((number, url, body, attempts + 1))
    return claimed


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET, without its body."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(url: str, body: str, *, key: str) -> str | None:
    """Return None if the receiver took it, else why not."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    request = urllib.request.Request(url, body.encode("utf-8"), headers, method="POST")
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=_TIMEOUT_S):
            return None
    except (OSError, ValueError, HTTPException) as error:  # HTTPError and URLError are OSErrors
        return str(error) or type(error).__name__
