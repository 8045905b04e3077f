"""A monitor's report as a page: one file, small, readable without seeing it."""

import base64
import re

import numpy as np
import pytest

from monitored import started, two_members

pytest.importorskip("matplotlib", reason="needs the plots extra")

DAY = 86_400.0


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    monitor = started(tmp_path_factory.mktemp("page") / "m.db")
    for day in range(5):
        monitor.record(
            two_members(200, 0.05 if day < 4 else 0.5, day),
            when=day * DAY + 10,
            labels=np.arange(200) % 2,
            tags={"<script>": "x"},
        )
    report = monitor.report(window="1d", n_windows=5, until=5 * DAY, tags={"<script>": "x"})
    return report.to_html(title="A & B")


def test_the_page_has_its_pictures_inside(html):
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    assert len(pictures) == 6 + 4  # over time; score, two members, their disagreement
    assert all(base64.b64decode(one).startswith(b"\x89PNG") for one in pictures)
    assert len(html) < 3_000_000


def test_the_page_fetches_nothing_and_runs_nothing(html):
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
    assert "<script" not in html


def test_names_are_text(html):
    assert "&lt;script&gt; = x" in html
    assert "<h1>A &amp; B</h1>" in html


def test_the_page_can_be_read_without_seeing_it(html):
    assert '<html lang="en">' in html
    assert all(len(alt) > 30 for alt in re.findall(r'<img alt="([^"]*)"', html))
    assert html.count("<img ") == len(re.findall(r'<img alt="', html))
    assert not re.findall(r"<th>", html)
    assert '<th scope="col">' in html
    assert '<th scope="row">' in html


def test_verdicts_are_on_the_page(html):
    assert "ALARM: score" in html


def test_an_empty_store_has_a_page_too(tmp_path):
    page = started(tmp_path / "m.db").report(window="1h").to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert "0 images" in page
