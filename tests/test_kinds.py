import json

import numpy as np
import pytest

from synthdetect.bundle.hub import bundled_names, open_bundle
from synthdetect.ensemble.calibrate import Beta, Platt, Temperature
from synthdetect.ensemble.combine import LinearCombiner, TrimmedCombiner
from synthdetect.ensemble.isotonic import Isotonic
from synthdetect.ensemble.kinds import (
    CALIBRATORS,
    COMBINERS,
    calibrator_from_dict,
    combiner_from_dict,
)
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.prevalence import Shifted
from synthdetect.ensemble.stacked import StackedCombiner
from synthdetect.ensemble.trees import BoostedCombiner, Tree

LEAF = Tree((-1,), (0.0,), (-1,), (-1,), (0.25,))
COMBINER_EXAMPLES = [
    LinearCombiner((0.25, 0.75)),
    LinearCombiner((0.0, 1.0), kind="best"),
    TrimmedCombiner((1.0, 2.0), cut=0.5),
    StackedCombiner((1.0, 2.0), 0.5, (0.0, 0.0), (1.0, 2.0), (0.1, 0.2), (3.0,)),
    BoostedCombiner(0.5, (LEAF,), (0.0, 0.0)),
]
CALIBRATOR_EXAMPLES = [
    Temperature(2.0),
    Platt(0.5, 1.0),
    Beta(1.0, 0.5, 0.1),
    Isotonic((-1.0, 1.0), (0.2, 0.8)),
    Shifted(Platt(0.5, 1.0), training=0.5, deployed=0.02),
]


@pytest.mark.parametrize("combiner", COMBINER_EXAMPLES, ids=lambda c: c.to_dict()["kind"])
def test_combiners_survive_json(combiner):
    again = combiner_from_dict(json.loads(json.dumps(combiner.to_dict())))
    assert again == combiner
    assert again.n_members == 2


@pytest.mark.parametrize("calibrator", CALIBRATOR_EXAMPLES, ids=lambda c: c.to_dict()["kind"])
def test_calibrators_survive_json(calibrator):
    assert calibrator_from_dict(json.loads(json.dumps(calibrator.to_dict()))) == calibrator


def test_every_kind_has_an_example_here():
    assert {c.to_dict()["kind"] for c in COMBINER_EXAMPLES} == set(COMBINERS)
    assert {c.to_dict()["kind"] for c in CALIBRATOR_EXAMPLES} == {*CALIBRATORS, "shifted"}


@pytest.mark.parametrize(
    ("read", "description", "message"),
    [
        (combiner_from_dict, {"kind": "oracle"}, "combiner: kind is 'oracle'; use one of"),
        (combiner_from_dict, {"kind": ["soft_vote"]}, "combiner: kind is"),
        (combiner_from_dict, None, "combiner: None is not a mapping"),
        (calibrator_from_dict, {}, "calibrator: kind is None"),
        (calibrator_from_dict, {"kind": "shifted", "training": 0.5}, "calibrator is missing"),
    ],
)
def test_unknown_kinds_are_refused(read, description, message):
    with pytest.raises(ValueError, match=message):
        read(description)


def test_a_shift_inside_a_shift_is_refused_without_going_deeper():
    description = Shifted(Platt(1.0, 0.0), 0.5, 0.1).to_dict()
    for _ in range(5000):
        description = {**description, "calibrator": description}
    with pytest.raises(ValueError, match="kind is 'shifted'; use one of"):
        calibrator_from_dict(description)


@pytest.mark.skipif("ensemble-v1" not in bundled_names(), reason="not in this checkout")
def test_the_decision_of_ensemble_v1_is_read_and_written_as_it_was():
    manifest = open_bundle("ensemble-v1").manifest
    parts = {name: getattr(manifest, name) for name in ("combiner", "calibrator", "threshold")}
    decision = Decision.from_dict(parts)
    assert decision.to_dict() == parts
    weights = parts["combiner"]["weights"]
    logits = np.random.default_rng(0).normal(0, 5, (100, len(weights)))
    total = sum(logits[:, k] * weight for k, weight in enumerate(weights))
    line = parts["calibrator"]
    p = 1 / (1 + np.exp(-(line["slope"] * total + line["bias"])))
    np.testing.assert_allclose(decision.probability(logits), p, rtol=1e-12)
    assert (decision.decision(logits) == (p >= parts["threshold"]["value"])).all()
