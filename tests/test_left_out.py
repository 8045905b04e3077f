"""What was left out, as a table and as JSON that can be read back."""

import json
import math

import pytest

from synthdetect.evaluation.interval import Estimate, Rate, rate
from synthdetect.evaluation.left_out import LeaveOneOut, LeftOut, LeftOutFigures


def fold(value="cam", n_real=30, n_synthetic=0, n_against=20):
    return LeftOut(
        value,
        n_real,
        n_synthetic,
        n_against,
        (LeftOutFigures("a", 0.5, Estimate(0.9, 0.8, 0.95, 50), rate(3, 30), rate(1, 20)),),
    )


def test_text_and_markdown_have_each_figure_with_its_interval():
    table = LeaveOneOut("source", (fold(), fold("g|n", 0, 30)))
    for text in (str(table), table.to_markdown()):
        assert "without each source" in text
        assert "0.9000 (0.8000 to 0.9500)" in text
        assert "10.0 % (2.1 % to 26.5 %)" in text
    assert "| cam | real | 30 | 20 | a |" in table.to_markdown()
    assert "| g\\|n | synthetic | 30 |" in table.to_markdown()


def test_both_classes_left_out_have_nothing_against_them():
    both = fold("mixed", 10, 10, 0)
    assert both.class_name == "both"


def test_json_gives_the_same_back_and_has_no_nan():
    nothing = Rate(math.nan, 0.0, 1.0, 0)
    one = LeftOut("x", 1, 1, 0, (LeftOutFigures("a", 0.5, Estimate(1, 0, 1, 2), nothing, nothing),))
    text = json.dumps(one.to_dict(), allow_nan=False)
    again = LeftOut.from_dict(json.loads(text))
    assert again.to_dict() == one.to_dict()
    assert math.isnan(again.figures[0].error.value)
    assert LeftOut.from_dict(json.loads(json.dumps(fold().to_dict()))) == fold()


def test_something_else_is_not_read():
    with pytest.raises((KeyError, TypeError)):
        LeftOut.from_dict({"figures": [{}]})
