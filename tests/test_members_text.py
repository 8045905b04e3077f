"""Member cards as text, Markdown, CSV and a page: each figure where a reader looks for it."""

import csv
import io

import numpy as np
import pytest

from synthdetect.evaluation.members import against_best
from synthdetect.evaluation.members_text import as_csv, as_markdown, as_text, tables
from synthdetect.evaluation.metrics import figures
from test_members import Y, card


@pytest.fixture(scope="module")
def cards():
    made = [card("x/good", 4, 2), card("x/<b>|poor", 30, 10)]
    pair = {"cam / gan": figures(Y, made[0].evaluation.p, 0.5)}
    for one in made:
        object.__setattr__(one, "pairs", pair)
    return against_best(made)


def test_text_has_every_table(cards):
    text = as_text(cards)
    assert text.startswith("n = 200 (100 real, 100 synthetic), 95 % intervals\n")
    for table in tables(cards):
        assert f"\n{table.title}\n" in text
        assert all(cell in text for row in table.rows for cell in row)
    assert len(tables(cards)) == 5


def test_every_rate_has_its_interval_and_every_class_its_support(cards):
    whole, by_class, *_ = tables(cards)
    good = cards[0].evaluation
    assert whole.rows[0][1] == "97.0 % (93.6 % to 98.9 %)"
    assert f"{good.accuracy.low:.1%}" == "93.6%"
    assert [row[:2] for row in by_class.rows[:2]] == [("x/good", "real"), ("x/good", "synthetic")]
    assert [row[-1] for row in by_class.rows] == ["100"] * 4
    assert by_class.rows[0][3].startswith("96.0 % (")


def test_text_says_who_is_good_enough(cards):
    assert (
        "At least 85 % precision and recall in both classes: x/good; "
        "with the lower ends of the intervals too: x/good"
    ) in as_text(cards)


def test_markdown_escapes_what_a_name_holds(cards):
    text = as_markdown(cards)
    assert "x/\\<b\\>\\|poor" in text
    lines = [line for line in text.splitlines() if line.startswith("| x/good | 97")]
    assert len(lines) == 1
    assert "most accurate" in lines[0]


def test_csv_has_the_numbers_with_their_intervals(cards):
    rows = list(csv.DictReader(io.StringIO(as_csv(cards))))
    assert [row["member"] for row in rows] == [one.name for one in cards]
    for row, one in zip(rows, cards, strict=True):
        of = one.evaluation
        assert float(row["accuracy"]) == of.accuracy.value
        assert float(row["accuracy_low"]) == of.accuracy.low
        assert float(row["recall_synthetic_high"]) == of.synthetic.recall.high
        assert int(row["precision_real_n"]) == of.real.precision.n
        assert float(row["error at cam"]) == one.error_at_sources()["cam"].value
        assert float(row["auroc on cam / gan_n"]) == 200
    assert rows[0]["mcnemar_p_against_best"] == ""
    assert float(rows[1]["mcnemar_p_against_best"]) == cards[1].against_best.p_value


def test_one_class_has_dashes_and_empty_fields():
    cards = against_best([card("a", y=np.zeros(40, dtype=int))])
    assert "–" in as_text(cards)
    (row,) = csv.DictReader(io.StringIO(as_csv(cards)))
    assert (row["auroc"], row["recall_synthetic"]) == ("", "")
    assert float(row["recall_real"]) == 1
