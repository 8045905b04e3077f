"""Member cards as a page: one file, its pictures inside, names as text."""

import base64
import re

import numpy as np
import pytest

from synthdetect.evaluation.members import against_best
from test_members import card

pytest.importorskip("matplotlib", reason="needs the plots extra")

from synthdetect.evaluation.members_html import as_html


@pytest.fixture(scope="module")
def html():
    return as_html(against_best([card("x/good", 4, 2), card("<script>x", 30, 10)]), title="A & B")


def test_the_page_has_one_picture_of_all_curves_and_a_matrix_for_each_card(html):
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert len(pictures) == 3
    assert all(base64.b64decode(one).startswith(b"\x89PNG") for one in pictures)
    assert html.count("<h3>ROC curves</h3>") == 1
    assert "<h3>Decisions of x/good</h3>" in html


def test_names_and_titles_are_no_markup(html):
    assert "<script" not in html
    assert "&lt;script&gt;x" in html
    assert "<h1>A &amp; B</h1>" in html


def test_the_page_fetches_nothing(html):
    assert not re.findall(r'(?:src|href)="(?!data:)', html)


def test_one_class_has_no_curves_and_still_a_page():
    html = as_html(against_best([card("a", y=np.zeros(40, dtype=int))]))
    assert "ROC curves" not in html
    assert html.count("<figure>") == 1
