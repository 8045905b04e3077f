"""A real generator that the detector has not learned takes the place of those that it has."""

import csv
from pathlib import Path

import numpy as np
import pytest

from monitored import ScoresOnly
from synthdetect.monitoring.monitor import Monitor
from synthdetect.monitoring.sequential import Evidence

SCORES = Path(__file__).with_name("left_out_scores.csv")
# What each of nine quantities gets of 0.01.
ALPHA = 0.01 / 9
REFERENCE, BEFORE = 10_000, 30_000


@pytest.fixture(scope="module")
def scores():
    """Calibrated logits of 816 real, 682 known synthetic and 878 left-out images."""
    lines = [line for line in SCORES.read_text().splitlines() if not line.startswith("#")]
    found = {}
    for row in csv.DictReader(lines):
        found.setdefault(row["images"], []).append(float(row["logit"]))
    return {name: np.array(values) for name, values in found.items()}


def stream(scores, n, share, synthetic, rng):
    """Traffic with a share of synthetic images, drawn with replacement."""
    drawn = rng.random(n) < share
    return np.where(drawn, rng.choice(scores[synthetic], n), rng.choice(scores["real"], n))


def delay(scores, share, seed, n_after):
    """Images from the takeover to the alarm; infinite without one."""
    rng = np.random.default_rng(seed)
    before = stream(scores, REFERENCE + BEFORE, share, "known", rng)
    after = stream(scores, n_after, share, "left out", rng)
    evidence = Evidence.start(before[:REFERENCE], alpha=ALPHA, seed=seed)
    evidence = evidence.after(before[REFERENCE:])
    assert evidence.alarm is None
    alarm = evidence.after(after).alarm
    return np.inf if alarm is None else alarm - BEFORE


@pytest.mark.parametrize(
    ("share", "within"), [(0.5, 300), (0.2, 1000), (0.1, 2000), (0.05, 4000)], ids=str
)
def test_the_takeover_is_found(scores, share, within):
    assert max(delay(scores, share, seed, within) for seed in range(4)) < within


@pytest.mark.slow
def test_most_takeovers_of_a_hundredth_of_the_traffic_are_found_but_late(scores):
    found = [delay(scores, 0.01, seed, 60_000) for seed in range(24)]
    assert 5000 < np.median(found) < 30_000
    assert np.isfinite(found).sum() >= 18


def test_a_monitor_tells_of_it_and_says_which_quantity(scores, tmp_path):
    rng = np.random.default_rng(0)
    p = {
        name: 1 / (1 + np.exp(-stream(scores, n, 0.2, synthetic, rng)))
        for name, n, synthetic in (
            ("reference", 5000, "known"),
            ("usual", 5000, "known"),
            ("takeover", 1500, "left out"),
        )
    }
    monitor = Monitor.for_detector(ScoresOnly(), reference=p["reference"], store=tmp_path / "m.db")
    monitor.record(p["usual"])
    assert not monitor.report(window="1h").alarms
    monitor.record(p["takeover"])
    report = monitor.report(window=1500)
    assert [one.quantity for one in report.alarms] == ["score"]
    # Fewer images are called synthetic, though as many are: the detector has grown blind.
    assert report.newest.flagged.value < 0.2
