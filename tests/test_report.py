"""Reports: the figures of an ensemble, its members, sources and pairs."""

import json

import numpy as np
import pytest

from synthdetect.evaluation.metrics import figures
from synthdetect.evaluation.report import as_lines, measure


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    y = np.arange(200) % 2
    source = np.array(["camera", "gan", "phone", "diffusion"] * 50)
    better, worse = (1 / (1 + np.exp(-(s * (2 * y - 1) + rng.normal(0, 1, 200)))) for s in (3, 1))
    p = {"ensemble": better, "net": worse, "other": 1 - worse}
    pairs = [("camera", "gan"), ("phone", "diffusion")]
    thresholds = dict.fromkeys(p, 0.5)
    return y, p, source, measure(y, p, thresholds, split="test", source=source, pairs=pairs)


def test_rows_are_the_figures_of_each(report):
    y, p, _, measured = report
    assert measured["n"] == 200
    assert measured["ensemble"] == figures(y, p["ensemble"], 0.5).to_dict()
    assert measured["members"]["net"] == figures(y, p["net"], 0.5).to_dict()


def test_each_pair_is_measured_alone_and_all_together(report):
    y, p, source, measured = report
    alone = np.isin(source, ["camera", "gan"])
    wanted = figures(y[alone], p["ensemble"][alone], 0.5)
    pair = measured["pairs"]["camera / gan"]["ensemble"]
    assert pair["accuracy"] == wanted.accuracy.to_dict()
    assert pair["auroc"] == wanted.auroc.to_dict()
    assert measured["pairs"]["all pairs"]["net"]["accuracy"]["n"] == 200


def test_gain_is_over_the_best_member(report):
    gain = report[-1]["auroc_gain_over_best_member"]
    assert gain["best_member"] == "net"
    assert gain["value"] > 0
    assert gain["low"] <= gain["value"] <= gain["high"]


def test_report_is_json_and_counts_sources(report):
    measured = json.loads(json.dumps(report[-1], allow_nan=False))
    assert {name: rate["n"] for name, rate in measured["accuracy_by_source"].items()} == {
        "camera": 50,
        "diffusion": 50,
        "gan": 50,
        "phone": 50,
    }


def test_text_has_n_intervals_pairs_and_note(report):
    text = "\n".join(as_lines({**report[-1], "note": "an old threshold"}))
    assert "on test, n = 200, with 95 % intervals" in text
    assert "camera / gan (n = 100): accuracy" in text
    assert "(an old threshold)" in text
    value = report[-1]["ensemble"]["accuracy"]
    assert f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]" in text


def test_no_figures_are_said_to_be_none():
    assert as_lines({}) == ["not measured"]


def test_sources_of_one_class_have_no_auroc():
    measured = measure(
        np.ones(4, int),
        {"ensemble": np.full(4, 0.9)},
        {"ensemble": 0.5},
        split="val",
        source=np.array(["gan"] * 4),
    )
    assert measured["ensemble"]["auroc"]["value"] is None
    assert "AUROC undefined" in "\n".join(as_lines({**measured, "pairs": {}}))
