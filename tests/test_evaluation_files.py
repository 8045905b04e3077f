"""A report is written whole, or not at all."""

import pytest

from synthdetect.evaluation.files import write_whole


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


def test_a_missing_folder_is_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "report.md", "text")
