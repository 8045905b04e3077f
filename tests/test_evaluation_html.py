"""The page: one file, nothing fetched, no markup of users, and a browser shows it."""

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image
from scipy.special import expit

pytest.importorskip("matplotlib", reason="needs the plots extra")

from synthdetect.evaluation.evaluate import evaluate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
HOSTILE = "<script>document.title='owned'</script>\"'&"


def drawn(n=300):
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    return y, expit(3 * (2 * y - 1) + rng.normal(0, 2, n))


@pytest.fixture(scope="module")
def evaluation():
    y, p = drawn()
    source = np.where(np.arange(300) % 3 == 0, HOSTILE, "plain")
    return evaluate(y, p, 0.5, groups={"source": source, HOSTILE: source}, note=HOSTILE)


@pytest.fixture(scope="module")
def page(evaluation, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    evaluation.to_html(path, title=f"A report {HOSTILE}")
    return path


class Outline(HTMLParser):
    """Tags with their attributes, and that every element is closed in order."""

    VOID = ("meta", "link", "img")

    def __init__(self):
        super().__init__()
        self.tags, self.open = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def outline(page):
    parser = Outline()
    parser.feed(page.read_text(encoding="utf-8"))
    assert parser.open == []
    return parser.tags


def test_it_runs_and_fetches_nothing(page, outline):
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in outline}
    for tag, attributes in outline:
        assert not any(name.startswith("on") for name in attributes), tag
        for name in ("src", "href"):
            assert attributes.get(name, "data:").startswith("data:"), tag
    style = re.search(r"<style>(.*?)</style>", page.read_text("utf-8"), re.DOTALL).group(1)
    assert "url(" not in style
    assert "@import" not in style


def test_it_is_accessible(outline):
    assert ("html", {"lang": "en"}) in outline
    assert [tag for tag, _ in outline].count("h1") == 1
    levels = [int(tag[1]) for tag, _ in outline if re.fullmatch(r"h\d", tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(len(a["alt"]) > 10 for tag, a in outline if tag == "img")
    assert all(a.get("scope") in ("row", "col") for tag, a in outline if tag == "th")
    assert sum(tag == "img" for tag, _ in outline) == 7


def test_it_is_small_and_says_what_matters(page, evaluation):
    text = page.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert page.stat().st_size < 3_000_000
    assert "right in only 16 % of its alarms" in text
    assert (
        f"{evaluation.accuracy.low * 100:.2f} % to {evaluation.accuracy.high * 100:.2f} %" in text
    )


def test_names_that_utf_8_cannot_hold_are_written_by_their_escape(tmp_path):
    y, p = drawn(40)
    group = np.where(np.arange(40) < 20, "byte \udcff", "plain")
    html = evaluate(y, p, 0.5, groups=group).to_html(tmp_path / "page.html", title="\udcfe")
    assert "byte \\udcff" in html
    assert "<title>\\udcfe</title>" in html


def test_one_class_leaves_out_the_curves_that_need_two():
    html = evaluate(np.ones(20, int), np.linspace(0, 1, 20), 0.5).to_html()
    assert html.count("<img ") == 4


def test_an_earlier_page_survives_a_failed_write(evaluation, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    monkeypatch.setattr(type(path), "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        evaluation.to_html(path)
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_it_without_a_network(page, tmp_path):
    picture = tmp_path / "page.png"
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--screenshot={picture}",
        "--window-size=1000,3000",
        page.as_uri(),
    ]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    with Image.open(picture) as shot:
        pixels = np.asarray(shot.convert("RGB"))
    # Text and pictures all the way down: no long stretch of one colour.
    bands = pixels[: len(pixels) // 10 * 10].reshape(10, -1, 3)
    assert all(len(np.unique(band, axis=0)) > 20 for band in bands)
