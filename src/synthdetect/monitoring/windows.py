"""Windows: a length of time or a number of images; and times that callers give."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from synthdetect.ensemble.checks import Floats
from synthdetect.errors import DataError
from synthdetect.monitoring.events import Events
from synthdetect.monitoring.store import Store

_MOST_SECONDS, _MOST_IMAGES = 1_000_000 * 86_400, 10**12
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True)
class Window:
    """How far back a window goes: one of the two is set.

    Parameters
    ----------
    seconds : float or None
    images : int or None

    Examples
    --------
    >>> Window.of("36h").seconds, Window.of("5000").images
    (129600.0, 5000)
    """

    seconds: float | None = None
    images: int | None = None

    @classmethod
    def of(cls, value: Any) -> "Window":
        """Read a window.

        Parameters
        ----------
        value : str, int, timedelta or Window
            `"36h"` (s, m, h, d, w), a timedelta, or a number of images.

        Raises
        ------
        DataError
            If it is none of these, not above 0, or over 1,000,000 days or 10^12 images.
        """
        if isinstance(value, Window):
            return value
        seconds = value.total_seconds() if isinstance(value, timedelta) else 0.0
        text = str(value) if isinstance(value, str | int) else ""
        if match := re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,20})?)([smhdw])", text):
            seconds = float(match[1]) * _UNITS_S[match[2]]
        if 0 < seconds <= _MOST_SECONDS:
            return cls(seconds=seconds)
        if re.fullmatch(r"[1-9][0-9]{0,12}", text) and int(text) <= _MOST_IMAGES:
            return cls(images=int(text))
        raise DataError(
            f"window is {value!r}; use a time such as '36h' (s, m, h, d, w) or a number of images"
        )

    def __str__(self) -> str:
        if self.images is not None:
            return f"{self.images:,} images"
        seconds = float(self.seconds or 0)
        unit = max((u for u in _UNITS_S if not seconds % _UNITS_S[u]), key=_UNITS_S.__getitem__)
        return f"{seconds / _UNITS_S[unit]:g} {unit}"


def newest_first(
    store: Store,
    window: Window,
    n_windows: int,
    *,
    until_s: float,
    tags: Mapping[str, str] | None = None,
) -> Iterator[tuple[float, float, Events]]:
    """Yield windows back in time, one at a time so that one is in memory.

    Parameters
    ----------
    store : Store
    window : Window
    n_windows : int
    until_s : float
        End of the newest, excluded.
    tags : mapping of str to str, optional

    Yields
    ------
    since_s, until_s : float
        Of images by number: the times of the first and last.
    events : Events
    """
    span = store.span()
    for i in range(n_windows):
        if window.images is not None:
            events = store.newest(window.images, until_s=until_s, skip=i * window.images, tags=tags)
            if i and not len(events):
                return
            ends = (until_s, until_s) if not len(events) else (events.at_s.min(), events.at_s.max())
            yield float(ends[0]), float(ends[1]), events
            continue
        length = float(window.seconds or 0)
        since_s, end_s = until_s - (i + 1) * length, until_s - i * length
        if i and (span is None or end_s <= span[0]):
            return
        yield since_s, end_s, store.between(since_s, end_s, tags=tags)


def seconds_of(when: Any) -> float:
    """Return a moment in seconds since 1970.

    Parameters
    ----------
    when : datetime, str, float or None
        With a time zone; a text in ISO 8601; seconds since 1970; None is now.

    Raises
    ------
    DataError
        If it is none of these, or has no time zone.
    """
    if when is None:
        return datetime.now(UTC).timestamp()
    if isinstance(when, int | float | np.number) and np.isfinite(when):
        return float(when)
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError as error:
            raise DataError(f"time is {when!r}; use ISO 8601, as 2026-01-31T12:00+00:00") from error
    if not isinstance(when, datetime):
        raise DataError(f"time is {when!r}; use a datetime, ISO 8601 or seconds since 1970")
    if when.tzinfo is None:
        raise DataError(f"time {when.isoformat()} has no time zone; add one, such as +00:00")
    return when.timestamp()


def moments(when: Any, n: int) -> Floats:
    """Return the time of each of n images, of shape (n,), from one moment or one each.

    Raises
    ------
    DataError
        As `seconds_of`, or if there is not one for each.
    """
    if isinstance(when, list | tuple | np.ndarray) and np.ndim(when) > 0:
        if len(when) != n:
            raise DataError(f"when has {len(when)} times for {n} images; give one for each")
        return np.array([seconds_of(one) for one in when], dtype=np.float64)
    return np.full(n, seconds_of(when))


def as_text(at_s: float) -> str:
    """Return seconds since 1970 as text, in UTC."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
