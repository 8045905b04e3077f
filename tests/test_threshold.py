import doctest
import json

import numpy as np
import pytest

from synthdetect.ensemble import threshold
from synthdetect.ensemble.bounds import counted_rate
from synthdetect.ensemble.threshold import BandThreshold, Threshold, threshold_from_dict

CUTOFF = Threshold(
    0.5,
    "by hand",
    n_real=40,
    n_synthetic=60,
    interval=(0.4, 0.6),
    false_positive_rate=counted_rate(2, 40, optimism=0.01),
    false_negative_rate=counted_rate(3, 60),
    precision=counted_rate(57, 59),
    notes=("mind the gap",),
)
BAND = BandThreshold(
    0.25,
    0.75,
    "by hand",
    low_interval=(0.2, 0.3),
    high_interval=(0.7, 0.8),
    uncertain_real=counted_rate(1, 10),
)


def test_threshold_includes_its_value_and_nan_is_not_synthetic():
    assert Threshold(0.5, "by hand")([0.5, 0.4, np.nan]).tolist() == [True, False, False]


def test_a_cutoff_decides_between_two_and_a_band_between_three():
    p = [0.1, 0.25, 0.5, 0.75, np.nan]
    decided = ["real", "real", "synthetic", "synthetic", "uncertain"]
    assert CUTOFF.decide(p).tolist() == decided
    decided = ["real", "uncertain", "uncertain", "synthetic", "uncertain"]
    assert BAND.decide(p).tolist() == decided


def test_a_call_is_true_exactly_where_the_decision_is_synthetic():
    p = np.linspace(0, 1, 101)
    for kind in (CUTOFF, BAND):
        assert (kind(p) == (kind.decide(p) == "synthetic")).all()
        assert (kind(p) == (p >= kind.value)).all()


@pytest.mark.parametrize("kind", [CUTOFF, BAND, Threshold(0.5, "by hand")])
def test_thresholds_survive_json(kind):
    assert threshold_from_dict(json.loads(json.dumps(kind.to_dict()))) == kind


def test_a_description_of_the_first_version_is_read_and_written_as_it_was():
    old = {"kind": "cutoff", "value": 0.7, "policy": "Youden()", "n_real": 3, "n_synthetic": 4}
    assert threshold_from_dict(old).to_dict() == old


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"value": 1.2}, "value is 1.2"),
        ({"value": float("nan")}, "value is nan"),
        ({"policy": ""}, "policy is ''"),
        ({"n_real": -1}, "n_real is -1"),
        ({"n_real": True}, "n_real is True"),
        ({"n_synthetic": 1.5}, "n_synthetic is 1.5"),
        ({"extra": 1}, "extra is not known"),
    ],
)
def test_threshold_description_is_refused_by_field(changed, message):
    description = {
        "kind": "cutoff",
        "value": 0.5,
        "policy": "by hand",
        "n_real": 1,
        "n_synthetic": 1,
    } | changed
    with pytest.raises(ValueError, match=message):
        Threshold.from_dict(description)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "guess"}, "kind is 'guess'; use one of"),
        ({"low": 0.9}, "low 0.9 is above high 0.75"),
        ({"low": "x"}, "low is 'x'"),
        ({"value": 0.5}, "value is not known"),
        ({"low_interval": [0.1]}, "low_interval is .* two numbers"),
        ({"low_interval": [0.3, 0.1]}, "use 0 <= low <= high <= 1"),
        ({"notes": "text"}, "notes is not a list"),
        ({"notes": [""]}, r"notes\[0\] is ''"),
        ({"uncertain_real": {"value": 0.5}}, "uncertain_real: rate: low is missing"),
        (
            {"uncertain_real": {"value": 0.5, "low": 0.6, "high": 0.7, "n": 1}},
            "uncertain_real: rate: value 0.5 with interval 0.6",
        ),
    ],
)
def test_band_description_is_refused_by_field(changed, message):
    with pytest.raises(ValueError, match=message):
        threshold_from_dict(BAND.to_dict() | changed)


def test_docstring_examples_run():
    assert doctest.testmod(threshold).failed == 0
