"""Rows that are kept until all are there: what goes on, what is refused, what stays."""

import contextlib
import json
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from synthdetect.cli import journal as module
from synthdetect.cli.journal import journal
from synthdetect.cli.output import Row

TERMS = {"bundle": "abc", "threshold": {"value": 0.5}}
NAMES = [f"{i}.png" for i in range(5)]
ROWS = [Row(name, 0.25 + i / 3, "real", 0.5) for i, name in enumerate(NAMES)]


class StoppedError(Exception):
    """Ends a run."""


def stopped_after(n: int, target: Path, *, resume: bool = False) -> None:
    """A run that ends after n rows of its own."""
    with contextlib.suppress(StoppedError), journal(target, TERMS, NAMES, resume=resume) as kept:
        for row in ROWS[kept.n : kept.n + n]:
            kept.add(row)
        raise StoppedError


def resumed(target: Path, terms: dict = TERMS, names: list[str] = NAMES) -> list[Row]:
    with journal(target, terms, names, resume=True) as kept:
        return list(kept.rows())


@pytest.fixture
def target(tmp_path):
    return tmp_path / "out.csv"


@pytest.fixture
def partial(target):
    return target.with_name("out.csv.partial.jsonl")


def test_rows_come_back_as_they_were_and_nothing_is_left_when_all_is_done(target):
    stopped_after(3, target)
    assert resumed(target) == ROWS[:3]
    assert list(target.parent.iterdir()) == []


def test_each_row_is_in_the_file_before_the_next(target, partial):
    with journal(target, TERMS, NAMES, resume=False) as kept:
        for i, row in enumerate(ROWS, start=1):
            kept.add(row)
            assert partial.read_bytes().count(b"\n") == 1 + i


def test_a_run_can_be_stopped_and_go_on_many_times(target):
    for _ in range(5):
        stopped_after(1, target, resume=True)
    assert resumed(target) == ROWS


def test_a_run_that_was_stopped_before_its_first_row_leaves_nothing(target):
    stopped_after(0, target)
    assert list(target.parent.iterdir()) == []


def test_resume_without_anything_to_go_on_with_begins(target):
    assert resumed(target) == []


def test_what_is_kept_is_told(target, partial, capsys):
    stopped_after(2, target)
    told = f"synthdetect: 2 of 5 results are kept in {partial}; --resume goes on\n"
    assert capsys.readouterr().err == told


@given(cut=st.integers(0, 400))
def test_a_file_cut_anywhere_gives_its_whole_rows(tmp_path_factory, cut):
    target = tmp_path_factory.mktemp("cut") / "out.csv"
    stopped_after(5, target)
    partial = target.with_name("out.csv.partial.jsonl")
    whole = partial.read_bytes()
    partial.write_bytes(whole[: len(whole) - cut])
    n = max(0, partial.read_bytes().count(b"\n") - 1)
    if b"\n" in partial.read_bytes() or not partial.read_bytes():
        assert resumed(target) == ROWS[:n]


def test_a_torn_row_is_written_again(target, partial):
    stopped_after(2, target)
    partial.write_bytes(partial.read_bytes()[:-7])
    stopped_after(1, target, resume=True)
    assert resumed(target) == ROWS[:2]


def test_names_that_are_not_utf_8_come_back(target):
    row = Row("\udcff\n.png", None, "unreadable", 0.5, "why")
    with (
        contextlib.suppress(StoppedError),
        journal(target, TERMS, [row.path], resume=False) as kept,
    ):
        kept.add(row)
        raise StoppedError
    assert resumed(target, names=[row.path]) == [row]


def test_more_images_at_the_end_are_no_problem(target):
    stopped_after(5, target)
    assert resumed(target, names=[*NAMES, "new.png"]) == ROWS


def test_rows_of_an_earlier_run_are_refused_without_resume(target, partial):
    stopped_after(2, target)
    before = partial.read_bytes()
    with (
        pytest.raises(typer.BadParameter, match="--resume goes on with them; or delete them"),
        journal(target, TERMS, NAMES, resume=False),
    ):
        pass
    assert partial.read_bytes() == before


@pytest.mark.parametrize(
    ("terms", "names", "told"),
    [
        (TERMS | {"bundle": "def"}, NAMES, "was made with another bundle; delete it"),
        (TERMS | {"threshold": {"value": 0.6}}, NAMES, "another threshold"),
        (TERMS, ["other.png", *NAMES], r"of other images \(its number 1 is '0.png'\)"),
        (TERMS, NAMES[:1], "its number 2 is '1.png'"),
    ],
)
def test_rows_of_another_run_are_refused_and_stay(target, partial, terms, names, told):
    stopped_after(2, target)
    before = partial.read_bytes()
    with pytest.raises(typer.BadParameter, match=told):
        resumed(target, terms, names)
    assert partial.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes\nof today\n", b"[1]\n", json.dumps({}).encode()])
def test_a_file_that_is_not_ours_is_refused_and_stays(target, partial, content):
    partial.write_bytes(content)
    with pytest.raises(typer.BadParameter, match="is no such file"):
        resumed(target)
    assert partial.read_bytes() == content


def test_two_runs_at_once_are_refused(target):
    pytest.importorskip("fcntl")
    with journal(target, TERMS, NAMES, resume=False) as kept:
        kept.add(ROWS[0])
        with pytest.raises(typer.BadParameter, match="is being written by another run"):
            resumed(target)
        kept.add(ROWS[1])
        assert list(kept.rows()) == ROWS[:2]


def test_a_run_that_opened_the_file_as_another_one_finished_begins_anew(
    target, partial, monkeypatch
):
    pytest.importorskip("fcntl")
    real = module._lock

    def meanwhile(file, path):
        """The other run ends, and takes its file away, between opening and locking."""
        path.unlink()
        monkeypatch.setattr(module, "_lock", real)
        real(file, path)

    stopped_after(2, target)
    monkeypatch.setattr(module, "_lock", meanwhile)
    with journal(target, TERMS, NAMES, resume=True) as kept:
        assert kept.n == 0
        kept.add(ROWS[0])
        assert partial.read_bytes().count(b"\n") == 2
        assert list(kept.rows()) == ROWS[:1]


def test_what_ended_a_run_is_told_even_if_somebody_took_the_file_away(target, partial):
    def run():
        with journal(target, TERMS, NAMES, resume=False) as kept:
            kept.add(ROWS[0])
            partial.unlink()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()


def test_the_file_goes_while_it_is_locked(target, partial, monkeypatch):
    order = []
    real = module._close
    monkeypatch.setattr(module, "_close", lambda file: (order.append(partial.exists()), real(file)))
    resumed(target)
    assert order == [False]
