"""Rules: what they read, when they hold, and what they refuse."""

import dataclasses

import numpy as np
import pytest

from monitored import started, two_members
from synthdetect.errors import DataError
from synthdetect.monitoring.rules import FIGURES, Rule, Rules, fired, read_rules


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """2,000 images of which 30 % are synthetic, where 5 % were; 100 of them unreadable."""
    monitor = started(tmp_path_factory.mktemp("rules") / "m.db")
    monitor.record(two_members(1900, 0.3, 2), labels=np.arange(1900) % 2)
    monitor.record([float("nan")] * 100)
    return monitor.report(window="1h")


def names(report, *rules):
    return [(one.rule, one.subject) for one in fired(Rules(rules), report)]


def test_a_figure_must_be_surely_beyond(report):
    flagged = report.newest.flagged
    assert names(report, Rule("flagged", above=0.2)) == [("flagged above 0.2", "flagged")]
    assert not names(report, Rule("flagged", above=flagged.value - 1e-6))
    assert not names(report, Rule("flagged", below=flagged.value + 1e-6))
    assert names(report, Rule("flagged", below=0.5))


def test_drift_tells_of_each_quantity_or_of_one(report):
    told = names(report, Rule("psi", above=0.25))
    assert ("psi above 0.25", "score") in told
    assert len(told) >= 3
    assert names(report, Rule("psi", above=0.25, quantity="member a", name="x")) == [
        ("x", "member a")
    ]
    assert not names(report, Rule("psi", above=50))


def test_evidence_tells_of_each_alarm(report):
    assert ("evidence", "score") in names(report, Rule("evidence"))


def test_the_volume_has_no_fewest(report):
    assert names(report, Rule("images", below=10_000)) == [("images below 10000", "images")]


def test_few_images_say_nothing(report):
    assert not names(report, Rule("unreadable", above=0.01, fewest=5000))
    assert names(report, Rule("unreadable", above=0.01))


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_can_be_a_rule(report, figure):
    assert len(names(report, Rule(figure, above=-1), Rule(figure, below=1e9))) == 2


def test_figures_of_labels_say_nothing_without_labels(tmp_path):
    monitor = started(tmp_path / "m.db")
    monitor.record(two_members(500, 0.3, 2))
    assert not names(monitor.report(window="1h"), Rule("precision", above=-1))


def test_a_file_of_rules(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text(
        'window = "12h"\nrepeat_after = "2d"\nwebhooks = ["https://example.org/x"]\n'
        '[[rules]]\nfigure = "psi"\nabove = 0.3\nquantity = "score"\n'
        '[[rules]]\nfigure = "evidence"\n'
    )
    assert read_rules(path) == Rules(
        (Rule("psi", above=0.3, quantity="score"), Rule("evidence")),
        window="12h",
        repeat_after="2d",
        webhooks=("https://example.org/x",),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x", "is not TOML"),
        ("", r"has no \[\[rules\]\]"),
        ("windw = 1", "'windw' is not known"),
        ('[[rules]]\nfigure = "psii"', "figure is 'psii'"),
        ('[[rules]]\nfigure = "psi"\nabov = 1', "'abov' is not known"),
        ("[[rules]]\nabove = 1", "figure"),
        ('[[rules]]\nfigure = "flagged"', "give one of above and below"),
        ('[[rules]]\nfigure = "flagged"\nabove = "x"', "are numbers"),
        ('[[rules]]\nfigure = "psi"\nbelow = 1', "above something"),
        ('[[rules]]\nfigure = "evidence"\nabove = 1', "neither for evidence"),
        ('[[rules]]\nfigure = "flagged"\nabove = 1\nquantity = "score"', "quantity belongs"),
        ('window = "soon"\n[[rules]]\nfigure = "evidence"', "window is 'soon'"),
        ('repeat_after = "100"\n[[rules]]\nfigure = "evidence"', "repeat_after"),
        ('webhooks = ["file:///etc/passwd"]\n[[rules]]\nfigure = "evidence"', "no http"),
        ('webhooks = "x"\n[[rules]]\nfigure = "evidence"', "list of URLs"),
    ],
)
def test_a_bad_file_names_itself_and_what_is_wrong(tmp_path, text, told):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=told) as caught:
        read_rules(path)
    assert str(caught.value).startswith("rules.toml")


def test_a_rule_keeps_its_own_name():
    rule = Rule("psi", above=0.1, name="mine")
    assert dataclasses.replace(rule, above=0.2).name == "mine"
