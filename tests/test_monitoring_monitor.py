"""The monitor as a whole: reports over windows, its alarms, and a new reference."""

import doctest
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from monitored import started, two_members
from synthdetect.bundle.hub import bundled_names
from synthdetect.errors import DataError
from synthdetect.monitoring import monitor as module
from synthdetect.monitoring import windows
from synthdetect.monitoring.monitor import Monitor
from synthdetect.monitoring.windows import Window, seconds_of

DAY = 86_400.0
END = datetime(2026, 3, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def week(tmp_path_factory):
    """Seven days of 300 images; on the last two 30 % are synthetic and JPEG quality falls."""
    monitor = started(tmp_path_factory.mktemp("week") / "m.db")
    facts = {"format": ["JPEG"] * 300, "width": [800] * 300, "height": [600] * 300}
    rng = np.random.default_rng(0)
    start = END.timestamp() - 7 * DAY
    for day in range(7):
        new = day >= 5
        monitor.record(
            two_members(300, 0.3 if new else 0.05, day + 10),
            when=start + day * DAY + np.linspace(0, DAY - 1, 300),
            facts={**facts, "jpeg_quality": rng.normal(70 if new else 90, 4, 300).astype(int)},
            labels=rng.integers(0, 2, 300),
            tags={"camera": "phone" if day % 2 else "webcam"},
        )
    return monitor


def test_each_window_has_its_own_images(week):
    report = week.report(window="1d", n_windows=30, until=END)
    assert [one.n for one in report.windows] == [300] * 7
    assert report.windows[0].until_s == report.windows[1].since_s
    assert report.newest.until_s == END.timestamp()


def test_the_days_that_differ_are_those_that_drift(week):
    report = week.report(window="1d", n_windows=7, until=END)
    psi = [next(d.psi for d in w.drift if d.quantity == "score") for w in report.windows]
    assert max(psi[:5]) < 0.25 < min(psi[5:])
    assert {one.quantity for one in report.alarms} >= {"score", "member a"}
    assert all(one.alarm_at_s > END.timestamp() - 2 * DAY for one in report.alarms)
    assert 0.2 < report.newest.prevalence.value < 0.4


def test_windows_by_number_of_images(week):
    report = week.report(window=1000, n_windows=5, until=END)
    assert [one.n for one in report.windows] == [100, 1000, 1000]
    assert report.windows[1].until_s <= report.windows[2].since_s


def test_tags_narrow_a_report(week):
    report = week.report(window="7d", until=END, tags={"camera": "phone"})
    assert report.newest.n == 900
    assert "camera = phone" in str(report)


def test_text_json_and_figures_agree(week):
    report = week.report(window="1d", n_windows=2, until=END)
    told = json.loads(report.to_json())
    assert told["windows"][-1]["n"] == 300
    assert told["windows"][-1]["labelled"]["weighted"]["n_known"] == 300
    assert "ALARM: score" in str(report)
    assert "By labels" in str(report)


def test_a_window_without_images_is_reported_as_that(week):
    report = week.report(window="1h", until="2030-01-01T00:00+00:00")
    assert report.newest.n == 0
    assert report.newest.drift == ()
    assert report.newest.expected is None
    assert "0 images" in str(report)


def test_a_report_of_now_has_what_was_recorded_just_before(tmp_path):
    monitor = started(tmp_path / "m.db")
    monitor.record(two_members(100, 0.05, 1))
    assert monitor.report(window="1h").newest.n == 100


def test_nothing_changed_is_said_so(tmp_path):
    monitor = started(tmp_path / "m.db")
    monitor.record(two_members(3000, 0.05, 7))
    report = monitor.report(window="1h")
    assert report.alarms == ()
    assert "Nothing in this window" in str(report)
    assert monitor.check() == ()


def test_evidence_is_the_same_whether_looked_at_often_or_once(tmp_path):
    often, once = started(tmp_path / "a.db"), started(tmp_path / "b.db")
    for part in np.split(two_members(1000, 0.05, 3), 4):
        often.record(part)
        often.report(window="1h")
        once.record(part)
    found = zip(often.report().evidence, once.report().evidence, strict=True)
    for one, other in found:
        assert one.n == other.n == 1000
        assert one.log10_evidence == pytest.approx(other.log10_evidence)


def test_a_reference_of_recorded_images_ends_the_alarm(tmp_path):
    monitor = started(tmp_path / "m.db")
    monitor.record(two_members(2000, 0.3, 2), when=1000.0)
    assert monitor.report().alarms
    monitor.rebase(since=0.0, until=2000.0)
    assert monitor.reference.n == 2000
    monitor.record(two_members(2000, 0.3, 3), when=3000.0)
    report = Monitor.open(tmp_path / "m.db").report(window="1h", until=3001.0)
    assert report.alarms == ()
    assert report.evidence[0].n == 2000
    assert max(one.psi for one in report.newest.drift) < 0.1


def test_values_with_many_digits_are_the_same_on_both_sides(tmp_path):
    monitor = started(tmp_path / "m.db")
    size = {"width": [4032] * 1000, "height": [3024] * 1000}  # 12.192768 megapixels
    monitor.record(two_members(1000, 0.05, 2), when=1000.0, facts=size)
    monitor.rebase(since=0.0, until=2000.0)
    monitor.record(two_members(1000, 0.05, 3), when=3000.0, facts=size)
    report = Monitor.open(tmp_path / "m.db").report(window="1h", until=3001.0)
    assert report.alarms == ()
    assert max(one.psi for one in report.newest.drift) < 0.1


def test_a_store_keeps_its_reference_and_its_detector_may_come_back(tmp_path):
    monitor = started(tmp_path / "m.db")
    again = started(tmp_path / "m.db", reference=np.full(60, 0.5))
    assert again.reference.to_json() == monitor.reference.to_json()
    again.rebase(np.full(60, 0.5))
    assert Monitor.open(tmp_path / "m.db").reference.n == 60


@pytest.mark.parametrize("window", ["1y", "0h", "-3", 0, None, "h", timedelta(0), 1.5])
def test_an_impossible_window_is_refused(window):
    with pytest.raises(DataError, match="window is"):
        Window.of(window)


def test_windows_and_moments_in_all_their_forms():
    assert Window.of(timedelta(hours=36)) == Window.of("36h") == Window.of("1.5d")
    assert str(Window.of("48h")) == "2 d"
    assert str(Window.of(5000)) == "5,000 images"
    assert seconds_of("1970-01-02T00:00+00:00") == seconds_of(DAY) == DAY


@pytest.mark.skipif("ensemble-v1" not in bundled_names(), reason="needs ensemble-v1")
def test_the_examples_of_the_docstrings_hold():
    for one in (module, windows):
        assert doctest.testmod(one, extraglobs={"np": np}).failed == 0


@pytest.mark.slow
def test_100_000_images_without_change_raise_no_alert(tmp_path):
    monitor = started(tmp_path / "m.db", reference=two_members(10_000, 0.01, 1))
    n_alerts = 0
    for day in range(50):
        monitor.record(two_members(2000, 0.01, 100 + day), when=day * DAY + 1000.0)
        n_alerts += len(monitor.check(until=(day + 1) * DAY))
    # Evidence: at most one chance in a hundred; PSI: 50 windows of 4 quantities.
    assert n_alerts == 0
