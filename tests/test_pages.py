"""Every page that the project writes: whole, small, offline, and accessible by axe-core.

`SYNTHDETECT_TEST_AXE` names the file axe.min.js of an installed axe-core (npm).
"""

import html
import json
import os
import re
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("matplotlib", reason="needs the plots extra")

from conftest import labelled_arrays, write_manifest
from synthdetect import Detector
from synthdetect.cli import app
from test_evaluation_html import CHROMIUM, Outline

pytestmark = pytest.mark.slow

AXE = os.environ.get("SYNTHDETECT_TEST_AXE")
PAGES = ("audit", "compare", "evaluate", "explain", "monitor", "stress")


@pytest.fixture(scope="module")
def pages(tmp_path_factory, tiny_bundle):
    """The folder of the pages, each made as a user makes it."""
    folder = tmp_path_factory.mktemp("pages")
    manifest = str(write_manifest(folder / "images", 30, seed=5, split="test"))
    image, store = str(folder / "images/000.png"), str(folder / "m.db")
    bundle, out = (
        ("--bundle", str(tiny_bundle)),
        {one: str(folder / f"{one}.html") for one in PAGES},
    )
    for command in (
        ("audit", manifest, *bundle, "--out", out["audit"], "--stress-images", "4"),
        ("compare", manifest, *bundle, "--out", out["compare"]),
        ("explain", image, *bundle, "--occlusion", "--html", out["explain"]),
        ("stress", manifest, *bundle, "--max-images", "6", "--out", out["stress"]),
        ("monitor", "start", store, *bundle, "--reference", str(folder / "images")),
        ("monitor", "record", store, str(folder / "images"), *bundle),
        ("monitor", "report", store, "--window", "30", "--html", out["monitor"]),
    ):
        found = CliRunner().invoke(app, command)
        assert found.exit_code == 0, found.output
    images, y = labelled_arrays(20, seed=6)
    groups = {"age": np.repeat(["under 30", "30 and over"], 20)}
    Detector.load(tiny_bundle).evaluate(images, y, groups=groups).to_html(out["evaluate"])
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_fetches_nothing_and_is_read_in_order(pages, name):
    text = (pages / f"{name}.html").read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert len(text.encode()) < 3_000_000
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert not {"script", "iframe", "object", "embed", "form"} & {tag for tag, _ in outline.tags}
    assert ("html", {"lang": "en"}) in outline.tags
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h\d", tag)]
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(len(a["alt"]) > 10 for tag, a in outline.tags if tag == "img")
    assert all(a.get("scope") in ("row", "col") for tag, a in outline.tags if tag == "th")


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.skipif(AXE is None, reason="SYNTHDETECT_TEST_AXE does not name an axe.min.js")
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_serious(pages, name, colours, tmp_path):
    axe = Path(AXE).read_text(encoding="utf-8").replace("</script", "<\\/script")
    told = 'axe.run().then(found => { document.title = "AXE" + JSON.stringify(found) + "END" })'
    page = (pages / f"{name}.html").read_text(encoding="utf-8")
    watched = tmp_path / "page.html"
    scripts = f"<script>{axe}</script><script>{told}</script></body>"
    watched.write_text(page.replace("</body>", scripts), encoding="utf-8")
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=20000",
        f"--user-data-dir={tmp_path / 'profile'}",
        *(["--blink-settings=preferredColorScheme=0"] if colours == "dark" else []),
        "--dump-dom",
        watched.as_uri(),
    ]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True).stdout
    found = json.loads(html.unescape(re.search("AXE(.*?)END</title>", shown, re.DOTALL).group(1)))
    assert found["passes"]
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    assert serious == []
