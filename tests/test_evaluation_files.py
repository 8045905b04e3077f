"""A report is written whole, or not at all."""

import doctest

import pytest

from synthdetect.evaluation import files
from synthdetect.evaluation.files import one_line, writable, write_whole


def test_no_path_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_whole(None, "text") == "text"
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "report.md"
    path.write_text("old", encoding="utf-8")
    assert write_whole(path, "ä\n") == "ä\n"
    assert path.read_bytes() == "ä\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_text_that_utf_8_holds_stays_and_other_can_still_be_told_apart():
    assert writable("ä\U0001f600\n") == "ä\U0001f600\n"
    assert writable("a\udcff") != writable("a\udcfe")
    assert writable("a\udcff").encode("utf-8")


def test_a_line_has_no_breaks_and_no_commands_of_terminals():
    assert one_line("  a\r\n\u2028b\x1b[31m\x9b \u202ec ä ") == "a b [31m c ä"


def test_examples_run():
    assert doctest.testmod(files).failed == 0


def test_a_missing_folder_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "report.md", "text")
