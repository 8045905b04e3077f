"""The facade: what a detector says is recorded, and compared with what is normal."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.bars import Advance, Progress, silent
from synthdetect.data.dataset import labels_to_y
from synthdetect.ensemble.checks import check_share
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.threshold import AnyThreshold, threshold_from_dict
from synthdetect.errors import DataError, StoreError
from synthdetect.images.batches import iter_sources
from synthdetect.monitoring import alerts, streams
from synthdetect.monitoring.connect import connect
from synthdetect.monitoring.opening import check_there, described, same_detector, training_share
from synthdetect.monitoring.quantities import Reference, reference_of
from synthdetect.monitoring.recording import (
    Looked,
    Scorer,
    as_id,
    batches,
    from_scores,
    is_scores,
    look,
    rows_of,
)
from synthdetect.monitoring.report import MonitorReport, window_report, with_adjusted
from synthdetect.monitoring.rules import DEFAULT_RULES, Rules, fired
from synthdetect.monitoring.store import Store, read_meta, write_meta
from synthdetect.monitoring.windows import Window, moments, newest_first, seconds_of
from synthdetect.monitoring.writing import (
    BATCH,
    Recorded,
    Tags,
    events_of,
    joined,
    looked_at,
    part_of,
    tag_texts,
)


class Monitor:
    """Records what a detector says in use, and compares it with a reference.

    Get one by `for_detector` or `open`. Several threads and processes may record into one store.

    Attributes
    ----------
    members : tuple of str
    threshold : Threshold or BandThreshold
    reference : Reference

    Examples
    --------
    >>> import tempfile
    >>> from synthdetect import Detector
    >>> store = tempfile.mkdtemp() + "/monitor.db"
    >>> rng = np.random.default_rng(0)
    >>> normal = rng.beta(1, 9, 1000)
    >>> detector = Detector.load("ensemble-v1")
    >>> monitor = Monitor.for_detector(detector, reference=normal, store=store)
    >>> recorded = monitor.record(rng.beta(1, 9, 500))
    >>> monitor.label({int(recorded.ids[0]): "real"})
    1
    >>> report = monitor.report(window="1h")
    >>> report.newest.n, len(report.alarms)
    (500, 0)
    """

    threshold: AnyThreshold
    reference: Reference
    _alpha: float
    _training: float
    _decision: Decision | None

    def __init__(self, store: Store, detector: Scorer | None = None) -> None:
        self._store = store
        self._detector = detector
        self.members = store.members
        self._reload()

    @classmethod
    def for_detector(
        cls,
        detector: Scorer,
        *,
        reference: Any = None,
        store: str | os.PathLike[str],
        alpha: float = 0.01,
        prevalence: float | None = None,
        advance: Advance | None = None,
    ) -> "Monitor":
        """Open a detector's monitor, or start one.

        Parameters
        ----------
        detector : Detector
            Fitted or loaded. Images are shown to all its members, with `mode="cascade"` too, since
            members that were not asked cannot be compared. Probability and decision are recorded
            as all members give them: rarely not those that such a detector gave its caller.
        reference : scores or images, optional
            What is normal: some thousand images of your own traffic, or what the detector said of
            them, P(synthetic) of shape (n,) or logits of shape (n, members). Needed where the store
            is new; one that has a reference keeps it (see `rebase`).
        store : path-like or str
            A file, made if it is not there; or the URL of a database (extra `sql`).
        alpha : float, default=0.01
            Of a new store: bound on the probability that the sequential tests ever raise a false
            alarm.
        prevalence : float, optional
            Of a new store: share of synthetic images that the probabilities were calibrated for;
            by default that of the images that chose the threshold.
        advance : callable, optional
            Called after each image of the reference.

        Returns
        -------
        monitor : Monitor

        Raises
        ------
        StoreError
            If the store is of another detector, of a later version, or cannot be opened.
        DataError
            If the reference is missing or has fewer than 50 readable images.
        ImageError
            If images of the reference are in a folder that cannot be listed.
        ValueError
            If `alpha` or `prevalence` is not between 0 and 1.
        """
        check_share("Monitor", "alpha", alpha)
        decision = detector.decision_
        share = training_share(decision) if prevalence is None else prevalence
        check_share("Monitor", "prevalence", share)
        names = tuple(member.name for member in detector.members_)
        database = connect(store)
        found = Store.opened(database)
        if found is not None:
            same_detector(database, found, names, decision)
            return cls(found, detector)
        if reference is None:
            raise DataError(
                f"{database.name}: is new, so it needs a reference; give images or scores of "
                "traffic that is normal"
            )
        meta = {
            "threshold": json.dumps(decision.threshold.to_dict()),
            "decision": json.dumps(described(decision)),
            "training": json.dumps(share),
            "alpha": json.dumps(alpha),
        }
        looked = looked_at(reference, detector, names, decision, advance)
        normal = reference_of(events_of(looked, decision.threshold), names)
        made = Store.created(database, names, {**meta, "reference": normal.to_json()})
        with database.writing() as connection:
            streams.restart(connection, normal, alpha=alpha)
        return cls(made, detector)

    @classmethod
    def open(cls, store: str | os.PathLike[str]) -> "Monitor":
        """Open a monitor without its detector: for scores, labels, reports and checks.

        Parameters
        ----------
        store : path-like or str

        Raises
        ------
        StoreError
            If there is none.
        """
        database = connect(store)
        check_there(database)
        found = Store.opened(database)
        if found is None:
            raise StoreError(
                f"{database.name}: has no monitor; start one with Monitor.for_detector or "
                "`synthdetect monitor start`"
            )
        return cls(found)

    def record(
        self,
        images: Any,
        *,
        labels: ArrayLike | None = None,
        when: Any = None,
        tags: Tags | Sequence[Tags] | None = None,
        facts: Mapping[str, Any] | None = None,
        hashes: bool = False,
        advance: Advance | None = None,
    ) -> Recorded:
        """Record images, scored here, or scores that are known.

        What is kept is time, probability, members' logits, decision, size, format, JPEG quality,
        sharpness and tags; of an image neither pixels nor name. An image that cannot be read is
        recorded as that.

        Parameters
        ----------
        images : images as for `Detector.predict_proba`, or scores
            Scores are floats: P(synthetic) of shape (n,), NaN if unreadable, or members' logits of
            shape (n, members).
        labels : array-like of shape (n,), optional
            `real`/`synthetic` or 0/1, where they are known already.
        when : datetime, str, float, or a sequence of n, optional
            With a time zone, or seconds since 1970; by default now.
        tags : mapping of str to str, or a sequence of n, optional
            What reports may be narrowed to, such as `{"source": "upload"}`.
        facts : mapping of str to sequence of length n, optional
            Beside scores: `format`, `width`, `height`, `n_bytes`, `jpeg_quality`, `sharpness`,
            `sha256`.
        hashes : bool, default=False
            Keep the SHA-256 of each image's bytes, by which labels may come later. Who has the
            image can then tell that it was here.
        advance : callable, optional
            Called after each image that was looked at, or with how many scores were recorded.

        Returns
        -------
        recorded : Recorded

        Raises
        ------
        DataError
            If something does not fit, or images come without a detector.
        StoreError
            If the database refuses.
        """
        if is_scores(images):
            decision = self._decision
            looked = from_scores(
                images, n_members=len(self.members), decision=decision, facts=facts
            )
            recorded = self._append([looked], labels, when, tags)
            if advance is not None:
                advance(len(looked.p))
            return recorded
        if facts is not None:
            raise DataError("facts go with scores; those of images are read from the images")
        detector = self._needed_detector()
        parts = (
            look(part, detector, hashes=hashes, first=number * BATCH, advance=advance)
            for number, part in enumerate(batches(iter_sources(images), BATCH))
        )
        if labels is None and (tags is None or isinstance(tags, Mapping)) and np.ndim(when) == 0:
            # Nothing to match with the number of images, so each batch can be written at once.
            written = [self._append([part], None, when, tags) for part in parts]
            return joined(written) if written else self._append([], None, when, None)
        return self._append(list(parts), labels, when, tags)

    def label(self, labels: Mapping[Any, Any], *, by: str = "id", when: Any = None) -> int:
        """Add labels that came later.

        Parameters
        ----------
        labels : mapping
            From an id of `Recorded.ids`, or a SHA-256, to `real`/`synthetic` or 0/1.
        by : {"id", "sha256"}, default="id"
        when : as for `record`

        Returns
        -------
        n : int
            Recorded images that got a label; others are not known here.

        Raises
        ------
        DataError
            If a label or an id is none.
        ValueError
            If `by` is something else.
        """
        if by not in ("id", "sha256"):
            raise ValueError(f"by is {by!r}; use 'id' or 'sha256'")
        y = labels_to_y(list(labels.values())).tolist()
        keys = [as_id(k) if by == "id" else str(k).lower() for k in labels]
        return self._store.label(by, dict(zip(keys, y, strict=True)), seconds_of(when))

    def report(
        self,
        *,
        window: Any = "1d",
        n_windows: int = 1,
        until: Any = None,
        tags: Tags | None = None,
        progress: Progress = silent,
    ) -> MonitorReport:
        """Compare windows with the reference, and bring the sequential tests up to date.

        Parameters
        ----------
        window : str, int or timedelta, default="1d"
            A time such as `"36h"`, or a number of images.
        n_windows : int, default=1
            Windows back in time; fewer where nothing was recorded earlier.
        until : datetime, str or float, optional
            End of the newest window; by default now.
        tags : mapping of str to str, optional
            Only images with all of these.
        progress : callable, optional
            From what is counted and how many there are to a context manager, whose value is called
            with how many were done.

        Returns
        -------
        report : MonitorReport

        Raises
        ------
        DataError
            If the window or the time is none.
        """
        # Now is after what was recorded at this very moment.
        until_s = seconds_of(until) + (1e-3 if until is None else 0.0)
        size, found = Window.of(window), []
        histograms: dict[str, Any] = {}
        n_windows = max(1, n_windows)
        parts = newest_first(self._store, size, n_windows, until_s=until_s, tags=tags)
        with progress("windows", n_windows) as advance:
            for since_s, end_s, events in parts:
                one, pictures = window_report(
                    events,
                    since_s=since_s,
                    until_s=end_s,
                    members=self.members,
                    reference=self.reference,
                    training=self._training,
                )
                histograms = histograms or pictures
                found.append(one)
                del events
                advance()
        windows = with_adjusted(found[::-1])
        evidence = streams.advance(self._store, progress)
        return MonitorReport(size, windows, evidence, self.reference, histograms, dict(tags or {}))

    def check(
        self,
        rules: Rules = DEFAULT_RULES,
        *,
        until: Any = None,
        callback: Callable[[alerts.Alert], None] | None = None,
    ) -> tuple[alerts.Alert, ...]:
        """Raise alerts for the rules that hold now, and send what waits for webhooks.

        Each alert is written, logged as a warning of the logger `synthdetect.monitoring`, queued
        for each webhook, and given to `callback`.

        Parameters
        ----------
        rules : Rules, optional
        until : as for `report`
        callback : callable, optional

        Returns
        -------
        alerts : tuple of Alert
            The new ones; a rule that was told of within `repeat_after` is not among them.
        """
        report = self.report(window=rules.window, until=until)
        now_s = seconds_of(until)
        raised = alerts.raised(
            self._store,
            fired(rules, report),
            at_s=now_s,
            repeat_after_s=Window.of(rules.repeat_after).seconds or 0.0,
            webhooks=rules.webhooks,
        )
        alerts.deliver(self._store, now_s=now_s)
        for alert in raised if callback else ():
            callback(alert)  # type: ignore[misc]
        return raised

    def deliver(self) -> int:
        """Send the messages to webhooks that are due; return how many were sent."""
        return alerts.deliver(self._store, now_s=seconds_of(None))

    @property
    def n_waiting(self) -> int:
        """Messages to webhooks that are still to be sent."""
        return alerts.waiting(self._store)

    def alerts(self, *, most: int = 100) -> tuple[alerts.Alert, ...]:
        """Return the alerts raised so far, newest first."""
        return alerts.history(self._store, most=most)

    def rebase(self, reference: Any = None, *, since: Any = None, until: Any = None) -> "Monitor":
        """Say what is normal from now on, and start the sequential tests anew.

        Parameters
        ----------
        reference : scores or images, optional
            As in `for_detector`. Without it, the images recorded from `since` to `until`; without
            these too, the reference stays and only the tests start anew.
        since, until : datetime, str or float, optional

        Returns
        -------
        self : Monitor

        Raises
        ------
        DataError
            If there are fewer than 50 readable images.
        """
        normal = self.reference
        if reference is not None:
            looked = looked_at(reference, self._detector, self.members, self._decision)
            normal = reference_of(events_of(looked, self.threshold), self.members)
        elif since is not None or until is not None:
            start_s = -np.inf if since is None else seconds_of(since)
            events = self._store.between(max(start_s, -1e300), seconds_of(until))
            normal = reference_of(events, self.members)
        with self._store.database.writing() as connection:
            write_meta(connection, "reference", normal.to_json())
            streams.restart(connection, normal, alpha=self._alpha)
        self.reference = normal
        return self

    def __repr__(self) -> str:
        return f"<Monitor {self._store.database.name}: {', '.join(self.members)}>"

    def _reload(self) -> None:
        meta = read_meta(self._store.database)
        known = json.loads(meta["decision"])
        self.threshold = threshold_from_dict(json.loads(meta["threshold"]))
        self.reference = Reference.from_json(meta["reference"])
        self._training = float(json.loads(meta["training"]))
        self._alpha = float(json.loads(meta["alpha"]))
        self._decision = known and Decision.from_dict(known)
        if self._detector is not None:
            self._decision = self._detector.decision_
            self.threshold = self._decision.threshold

    def _needed_detector(self) -> Scorer:
        if self._detector is None:
            raise DataError("this monitor has no detector; open it with Monitor.for_detector")
        return self._detector

    def _append(
        self,
        parts: Sequence[Looked],
        labels: ArrayLike | None,
        when: Any,
        tags: Tags | Sequence[Tags] | None,
    ) -> Recorded:
        n = sum(len(part.p) for part in parts)
        at_s = moments(when, n)
        y = [None] * n if labels is None else labels_to_y(labels, n=n).tolist()
        texts = tag_texts(tags, n)
        written, begin = [], 0
        for part in parts:
            for first in range(0, len(part.p), BATCH):
                one = part_of(part, first, first + BATCH)
                here = slice(begin, begin + len(one.p))
                rows, decisions = rows_of(
                    one, self.threshold, at_s=at_s[here], tags=texts[here], labels=y[here]
                )
                ids = self._store.append(rows)
                written.append(Recorded(ids, one.p, decisions, one.errors))
                begin += len(one.p)
        return joined(written)
