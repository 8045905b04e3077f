"""The command line: what goes where, what it exits with, and what it says."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from numpy.random import default_rng
from PIL import Image
from typer.testing import CliRunner, Result

import synthdetect
from conftest import native, run, write_manifest
from synthdetect import cli
from synthdetect.bundle.format import read_bundle, write_bundle
from synthdetect.cli.judge import EVIDENCE, STABILITY
from synthdetect.cli.output import COLUMNS, Row, write_csv, write_jsonl, write_table
from synthdetect.cli.policies import POLICIES
from synthdetect.detector import Detector
from synthdetect.ensemble.threshold import BandThreshold

posix = pytest.mark.skipif(os.name != "posix", reason="names and signals of POSIX")

RECIPE = """
name = "{name}"
seed = 3

[[members]]
kind = "spectral"
name = "{member}"
view = {{ kind = "crops", n = 1, size = 128 }}
copies = 0
n_nets = 2
n_hidden = 8
n_epochs = 40
learning_rate = 3e-3
"""


def command(*args: str | Path | bytes, options: tuple[str, ...] = ()) -> list[str | Path | bytes]:
    return [sys.executable, *options, "-m", "synthdetect", *args]


def environment() -> dict[str, str]:
    source = str(Path(synthdetect.__file__).parents[1])
    return os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


def run_alone(
    *args: str | Path | bytes, options: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in its own process."""
    return subprocess.run(
        command(*args, options=options), capture_output=True, env=environment(), timeout=60
    )


def records(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def one_line(text: str) -> bool:
    return text.startswith("synthdetect: ") and text.count("\n") == 1 and "Traceback" not in text


@pytest.fixture
def broken_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The bundle with one byte changed."""
    path = shutil.copytree(tiny_bundle, tmp_path / "broken")
    file = path / "members" / "spectral.npz"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, image_manifest: Path) -> tuple[Path, Result]:
    """Folder of a finished training, and what the command printed."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "recipe.toml").write_text(RECIPE.format(name="probe", member="spectral"))
    out = folder / "run"
    return out, run("train", folder / "recipe.toml", "--data", image_manifest, "--out", out)


class TestPredict:
    def test_csv_has_a_record_for_each_image_of_a_directory(self, tiny_bundle, image_folder):
        result = run("predict", image_folder, "--bundle", tiny_bundle, "--format", "csv")
        rows = records(result.stdout)
        assert list(rows[0]) == ["path", "p_synthetic", "decision", "threshold", "error"]
        assert [Path(row["path"]).name for row in rows] == ["a.jpg", "b.png", "broken.jpg", "c.png"]
        assert [row["decision"] for row in rows] == ["real", "real", "unreadable", "synthetic"]
        assert [bool(row["error"]) for row in rows] == [False, False, True, False]
        assert rows[2]["p_synthetic"] == ""

    def test_csv_and_jsonl_give_the_api_s_probabilities_to_the_last_bit(
        self, tiny_bundle, image_folder
    ):
        paths = [image_folder / "a.jpg", image_folder / "c.png"]
        detector = Detector.load(tiny_bundle)
        wanted = detector.predict_proba(paths)[:, 1].tolist()
        table = run("predict", *paths, "--bundle", tiny_bundle, "-f", "csv").stdout
        lines = run("predict", *paths, "--bundle", tiny_bundle, "-f", "jsonl").stdout
        objects = [json.loads(line) for line in lines.splitlines()]
        assert [float(row["p_synthetic"]) for row in records(table)] == wanted
        assert [row["p_synthetic"] for row in objects] == wanted
        assert objects[0] == {
            "path": str(paths[0]),
            "p_synthetic": wanted[0],
            "decision": "real",
            "threshold": detector.threshold_,
            "error": None,
        }

    def test_jsonl_of_an_unreadable_image_has_null_and_the_reason(self, tiny_bundle, image_folder):
        broken = image_folder / "broken.jpg"
        row = json.loads(run("predict", broken, "--bundle", tiny_bundle, "-f", "jsonl").stdout)
        assert (row["p_synthetic"], row["decision"]) == (None, "unreadable")
        assert "truncated" in row["error"]

    def test_table_is_aligned_and_says_decisions_in_words(self, tiny_bundle, image_folder):
        result = run("predict", image_folder, "--bundle", tiny_bundle)
        header, *lines = result.stdout.splitlines()
        assert "\x1b" not in result.stdout
        assert {line.index(str(image_folder)) for line in lines} == {header.index("path")}
        assert [line[header.index("decision") :].split()[0] for line in lines] == [
            "real",
            "real",
            "unreadable",
            "synthetic",
        ]

    def test_bad_files_are_told_at_the_end_with_a_summary_and_exit_code_1(
        self, tiny_bundle, image_folder
    ):
        result = run("predict", image_folder, "--bundle", tiny_bundle)
        reason, summary = result.stderr.splitlines()
        assert result.exit_code == 1
        assert "broken.jpg: is truncated" in reason
        assert "4 images, 1 synthetic, 1 unreadable" in summary

    def test_exit_code_is_0_when_all_were_read(self, tiny_bundle, image_folder):
        assert run("predict", image_folder / "c.png", "--bundle", tiny_bundle).exit_code == 0

    def test_quiet_leaves_reasons_and_no_summary(self, tiny_bundle, image_folder):
        result = run("predict", image_folder, "--bundle", tiny_bundle, "--quiet")
        assert one_line(result.stderr)
        assert "broken.jpg" in result.stderr

    def test_recursive_finds_more(self, tiny_bundle, image_folder):
        flat = run("predict", image_folder, "--bundle", tiny_bundle, "-f", "csv").stdout
        deep = run("predict", image_folder, "--bundle", tiny_bundle, "-f", "csv", "-r").stdout
        more = {row["path"] for row in records(deep)} - {row["path"] for row in records(flat)}
        assert more == {str(image_folder / "sub" / "d.png")}

    def test_paths_keep_the_order_in_which_they_were_given(self, tiny_bundle, image_folder):
        paths = [str(image_folder / name) for name in ("c.png", "a.jpg", "b.png")]
        rows = records(run("predict", *paths, "--bundle", tiny_bundle, "-f", "csv").stdout)
        assert [row["path"] for row in rows] == paths

    @pytest.mark.parametrize(("threshold", "decision"), [("0", "synthetic"), ("1", "real")])
    def test_threshold_replaces_the_bundle_s(self, tiny_bundle, image_folder, threshold, decision):
        options = ("--bundle", tiny_bundle, "-f", "csv", "--threshold", threshold)
        rows = records(run("predict", image_folder, *options).stdout)
        assert {row["decision"] for row in rows} == {decision, "unreadable"}
        assert {float(row["threshold"]) for row in rows} == {float(threshold)}

    @pytest.mark.parametrize("form", ["csv", "table"])
    def test_a_band_leaves_images_uncertain(self, tiny_bundle, image_folder, tmp_path, form):
        bundle = read_bundle(tiny_bundle)
        band = BandThreshold(0.0, 1.0, "by hand").to_dict()
        manifest = dataclasses.replace(bundle.manifest, threshold=band)
        write_bundle(tmp_path / "band", manifest, bundle.files)
        result = run("predict", image_folder, "--bundle", tmp_path / "band", "-f", form)
        assert result.stdout.count("uncertain") == 3
        assert "synthetic" not in result.stdout.replace("p_synthetic", "")

    @pytest.mark.parametrize("options", [("--workers", "1"), ("--precision", "f32")])
    def test_how_it_is_computed_changes_no_bit(self, tiny_bundle, image_folder, options):
        plain = run("predict", image_folder, "--bundle", tiny_bundle, "-f", "csv")
        other = run("predict", image_folder, "--bundle", tiny_bundle, "-f", "csv", *options)
        assert other.stdout == plain.stdout

    def test_names_with_spaces_unicode_and_newlines_come_back(self, tiny_bundle, tmp_path):
        names = ["two words.png", "żółć 照片.png", 'a,"quoted".png', "[red]x.png"]
        names += ["new\nline.png", "\x1b[31mred.png"] if os.name == "posix" else []
        for name in names:
            Image.fromarray(native(default_rng(5))).save(tmp_path / name)
        paths = [str(tmp_path / name) for name in names]
        table = run("predict", *paths, "--bundle", tiny_bundle, "-f", "csv").stdout
        lines = run("predict", *paths, "--bundle", tiny_bundle, "-f", "jsonl").stdout
        assert [row["path"] for row in records(table)] == paths
        assert [json.loads(line)["path"] for line in lines.splitlines()] == paths

    @posix
    def test_table_escapes_terminal_commands_and_newlines(self, tiny_bundle, tmp_path):
        path = tmp_path / "new\nline \x1b[2J[red].png"
        Image.fromarray(native(default_rng(5))).save(path)
        lines = run("predict", path, "--bundle", tiny_bundle).stdout.splitlines()
        assert len(lines) == 2
        assert lines[1].rstrip().endswith(r"new\nline \x1b[2J[red].png")

    @posix
    def test_names_that_are_not_utf_8_come_out_as_their_bytes(self, tiny_bundle, tmp_path):
        path = os.fsencode(tmp_path) + b"/\xff.png"
        try:
            Image.fromarray(native(default_rng(5))).save(os.fsdecode(path))
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
        result = run_alone("predict", path, "--bundle", tiny_bundle, "-f", "csv")
        assert result.returncode == 0
        assert result.stdout.splitlines()[1].startswith(path + b",")

    def test_a_name_that_begins_with_a_dash_goes_after_two(
        self, tiny_bundle, image_folder, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        shutil.copy(image_folder / "b.png", "-x.png")
        with_dashes = run("predict", "--bundle", tiny_bundle, "-f", "csv", "--", "-x.png")
        assert records(with_dashes.stdout)[0]["path"] == "-x.png"
        assert run("predict", "--bundle", tiny_bundle, "-x.png").exit_code == 2

    def test_a_dash_is_not_standard_input(self, tiny_bundle):
        result = run("predict", "-", "--bundle", tiny_bundle)
        assert result.exit_code == 2
        assert "'-' is not standard input" in result.stderr

    @pytest.mark.parametrize("missing", ["nowhere.png", ""])
    def test_a_missing_path_stops_before_anything_is_done(self, tiny_bundle, image_folder, missing):
        result = run("predict", image_folder / "a.jpg", missing, "--bundle", tiny_bundle)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"no such file or directory: {missing or repr('')}" in result.stderr

    def test_a_directory_without_images_is_told(self, tiny_bundle, image_folder, tmp_path):
        (tmp_path / "deep.png").mkdir()
        alone = run("predict", tmp_path, "--bundle", tiny_bundle)
        beside = run("predict", tmp_path, image_folder / "a.jpg", "--bundle", tiny_bundle)
        assert (alone.exit_code, beside.exit_code) == (2, 0)
        assert f"{tmp_path}: no images in this directory; --recursive" in beside.stderr

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (("--treshold", "0.5"), "--threshold"),
            (("--threshold", "1.5"), "1.5 is not from 0 to 1"),
            (("--threshold", "nan"), "nan is not from 0 to 1"),
            (("--threshold", "0.9", "--mode", "cascade"), "its own threshold"),
            (("--format", "xml"), "csv"),
            (("--precision", "f16"), "bf16"),
            (("--workers", "0"), "--workers"),
        ],
    )
    def test_wrong_options_exit_with_2_and_say_what_is_right(self, image_folder, options, told):
        result = run("predict", image_folder, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert told in result.stderr


class TestOut:
    def test_file_has_what_standard_output_would(self, tiny_bundle, image_folder, tmp_path):
        options = ("predict", image_folder, "--bundle", tiny_bundle)
        plain = run(*options, "-f", "csv")
        filed = run(*options, "-f", "csv", "--out", tmp_path / "results")
        assert filed.stdout == ""
        assert (tmp_path / "results").read_text(encoding="utf-8") == plain.stdout
        assert filed.exit_code == 1

    @pytest.mark.parametrize("extension", ["csv", "jsonl"])
    def test_extension_says_the_format(self, tiny_bundle, image_folder, tmp_path, extension):
        out = tmp_path / f"results.{extension}"
        image = image_folder / "a.jpg"
        run("predict", image, "--bundle", tiny_bundle, "--out", out)
        asked = run("predict", image, "--bundle", tiny_bundle, "-f", extension)
        assert out.read_text(encoding="utf-8") == asked.stdout

    def test_a_failure_leaves_the_old_file_and_nothing_beside_it(
        self, broken_bundle, image_folder, tmp_path
    ):
        out = tmp_path / "out" / "results.csv"
        out.parent.mkdir()
        out.write_text("old")
        assert run("predict", image_folder, "--bundle", broken_bundle, "--out", out).exit_code == 2
        assert out.read_text() == "old"
        assert [file.name for file in out.parent.iterdir()] == ["results.csv"]

    def test_an_interrupted_table_has_the_rows_that_are_there(self):
        stream = io.StringIO()

        def rows() -> Iterator[Row]:
            yield Row("a.png", 0.5, "real", 0.6)
            yield Row("b.png", 0.7, "synthetic", 0.6)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_table(rows(), stream)
        assert [line.split()[-1] for line in stream.getvalue().splitlines()] == [
            "path",
            "a.png",
            "b.png",
        ]

    def test_resume_goes_with_out(self, tiny_bundle, image_folder):
        result = run("predict", image_folder, "--bundle", tiny_bundle, "--resume")
        assert result.exit_code == 2
        assert "goes with --out" in result.stderr

    @pytest.mark.parametrize("form", ["csv", "jsonl", "table"])
    def test_resume_gives_the_file_and_the_summary_of_an_undisturbed_run(
        self, tiny_bundle, image_folder, tmp_path, form
    ):
        options = ("predict", image_folder, "--bundle", tiny_bundle, "-f", form, "--out")
        undisturbed = run(*options, tmp_path / "whole")
        detector = Detector.load(tiny_bundle)
        terms = {
            "version": synthdetect.__version__,
            "bundle": detector.digest_,
            "threshold": detector.decision_.threshold.to_dict(),
            "precision": "f32",
            "mode": "full",
            "columns": list(COLUMNS),
        }
        row = Row(str(image_folder / "a.jpg"), 0.125, "real", detector.threshold_)
        lines = [json.dumps(terms), json.dumps(row.record())]
        (tmp_path / "out.partial.jsonl").write_text("\n".join(lines) + "\n")
        resumed = run(*options, tmp_path / "out", "--resume")
        assert (resumed.exit_code, resumed.stderr) == (1, undisturbed.stderr)
        got, wanted = (
            (tmp_path / name).read_text(encoding="utf-8").splitlines() for name in ("out", "whole")
        )
        # The row that was there was taken, not made again.
        assert sum(a != b for a, b in zip(got, wanted, strict=True)) == 1
        assert any("0.125" in line for line in got)

    def test_resumed_rows_have_the_columns_that_were_asked_for_in_their_order(
        self, tiny_bundle, image_folder, tmp_path
    ):
        asked = ("--stability", "--evidence")
        options = ("predict", image_folder, "--bundle", tiny_bundle, *asked, "--out")
        run(*options, tmp_path / "whole.jsonl")
        rows = (tmp_path / "whole.jsonl").read_text().splitlines(keepends=True)
        columns = [*COLUMNS, *STABILITY, *EVIDENCE]
        assert all(list(json.loads(row)) == columns for row in rows)
        run(*options, tmp_path / "whole.csv")
        detector = Detector.load(tiny_bundle)
        terms = {
            "version": synthdetect.__version__,
            "bundle": detector.digest_,
            "threshold": detector.decision_.threshold.to_dict(),
            "precision": "f32",
            "mode": "full",
            "columns": columns,
        }
        for form in ("csv", "jsonl"):
            partial = tmp_path / f"out.{form}.partial.jsonl"
            partial.write_text(json.dumps(terms) + "\n" + "".join(rows[:2]))
            run(*options, tmp_path / f"out.{form}", "--resume")
            got, wanted = (tmp_path / f"{name}.{form}" for name in ("out", "whole"))
            assert got.read_bytes() == wanted.read_bytes()
        assert run(*options[:-1], "-f", "jsonl").stdout == "".join(rows)

    @posix
    def test_mode_of_the_old_file_and_a_link_to_it_stay(self, tiny_bundle, image_folder, tmp_path):
        (tmp_path / "real.csv").touch(mode=0o640)
        (tmp_path / "real.csv").chmod(0o640)
        (tmp_path / "link.csv").symlink_to("real.csv")
        image = image_folder / "a.jpg"
        run("predict", image, "--bundle", tiny_bundle, "--out", tmp_path / "link.csv")
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "real.csv").stat().st_mode & 0o777 == 0o640
        assert len(records((tmp_path / "real.csv").read_text())) == 1

    @pytest.mark.parametrize("name", [".", "missing/results.csv"])
    def test_a_place_where_no_file_can_be_is_refused(
        self, tiny_bundle, image_folder, tmp_path, name
    ):
        out = tmp_path / name
        result = run("predict", image_folder / "a.jpg", "--bundle", tiny_bundle, "--out", out)
        assert result.exit_code == 2
        assert "--out" in result.stderr

    @pytest.mark.parametrize("name", ["results.json", "results.xlsx"])
    def test_a_name_of_another_kind_of_file_needs_a_format(
        self, tiny_bundle, image_folder, tmp_path, name
    ):
        out = tmp_path / name
        options = ("predict", image_folder / "a.jpg", "--bundle", tiny_bundle, "--out", out)
        result = run(*options)
        assert result.exit_code == 2
        assert "is no kind of results; use .csv or .jsonl" in " ".join(result.stderr.split())
        assert run(*options, "--format", "jsonl").exit_code == 0

    @pytest.mark.parametrize(("write", "n_lines_before"), [(write_csv, 1), (write_jsonl, 0)])
    def test_each_row_is_written_before_the_next_is_asked_for(self, write, n_lines_before):
        stream, seen = io.StringIO(), []

        def rows() -> Iterator[Row]:
            for i in range(3):
                seen.append(len(stream.getvalue().splitlines()))
                yield Row(f"{i}.png", 0.5, "real", 0.6)

        write(rows(), stream)
        assert seen == [n_lines_before + i for i in range(3)]

    @posix
    def test_a_reader_that_goes_away_causes_no_traceback(self, tiny_bundle, image_folder):
        images = [image_folder / "b.png"] * 4000
        args = command("predict", *images, "--bundle", tiny_bundle, "--format", "csv")
        with subprocess.Popen(
            args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith(b"path,")
            process.stdout.close()
            told = process.stderr.read()
            process.wait(timeout=30)
        assert (process.returncode, told) == (141, b"")


class TestTerminal:
    @posix
    def test_bar_and_colour_are_for_terminals_only(self, tiny_bundle, image_folder):
        import pty

        images = [image_folder / "c.png"] * 300
        args = command("predict", *images, "--bundle", tiny_bundle)
        variables = environment() | {"TERM": "xterm-256color"}
        master, terminal = pty.openpty()
        with subprocess.Popen(
            args, stdout=subprocess.PIPE, stderr=terminal, env=variables
        ) as process:
            os.close(terminal)
            told = read_all(master)
            assert process.stdout is not None
            written = process.stdout.read()
        assert b"/300" in told
        assert b"/s " in told
        assert b"\x1b[" in told
        assert b"\x1b" not in written
        assert written.count(b" synthetic ") == 300


class TestErrors:
    def test_an_unknown_bundle_is_one_line(self, image_folder):
        result = run("predict", image_folder / "a.jpg", "--bundle", "ensemble-v0")
        assert result.exit_code == 2
        assert one_line(result.stderr)
        assert "ensemble-v0: no bundle of this name" in result.stderr

    def test_a_broken_bundle_is_one_line_in_every_command(
        self, broken_bundle, image_folder, image_manifest, tmp_path
    ):
        for args in (
            ("predict", image_folder / "a.jpg", "--bundle", broken_bundle),
            ("info", broken_bundle),
            ("calibrate", image_manifest, "--bundle", broken_bundle, "--out", tmp_path / "new"),
        ):
            result = run(*args)
            assert (result.exit_code, result.stdout) == (2, "")
            assert one_line(result.stderr)
            assert "SHA-256" in result.stderr

    def test_debug_shows_the_traceback_too(self, broken_bundle):
        result = run("--debug", "info", broken_bundle)
        assert result.exit_code == 2
        assert "Traceback" in result.stderr
        assert result.stderr.splitlines()[-1].startswith("synthdetect: error: ")

    @posix
    def test_an_error_of_the_disk_is_one_line(self, tiny_bundle, image_folder):
        if not os.path.exists("/dev/full"):  # noqa: PTH110
            pytest.skip("there is no /dev/full")
        args = command("predict", image_folder / "a.jpg", "--bundle", tiny_bundle, "-f", "csv")
        with open("/dev/full", "wb") as full:  # noqa: PTH123
            result = subprocess.run(
                args, stdout=full, stderr=subprocess.PIPE, env=environment(), timeout=60
            )
        assert result.returncode == 2
        assert one_line(result.stderr.decode())
        assert "No space left" in result.stderr.decode()

    @pytest.mark.parametrize(
        ("raised", "code", "told"),
        [
            (MemoryError, 2, "error: out of memory"),
            (KeyboardInterrupt, 130, "interrupted"),
            (cli.Terminated, 143, "terminated"),
        ],
    )
    def test_what_ends_a_command_is_one_line_and_a_code(self, raised, code, told):
        def fail() -> None:
            raise raised

        commands = typer.Typer(cls=cli._Commands)
        commands.callback()(cli.options)
        commands.command()(fail)
        result = CliRunner().invoke(commands, ["fail"])
        assert result.exit_code == code
        assert one_line(result.stderr)
        assert told in result.stderr
        assert "Traceback" in CliRunner().invoke(commands, ["--debug", "fail"]).stderr

    def test_an_unknown_command_names_the_nearest(self):
        result = run("predikt")
        assert result.exit_code == 2
        assert "'predict'" in result.stderr


class TestHelp:
    def test_every_command_documents_its_exit_codes_and_prints_to_standard_output(self):
        for args in ((), ("predict",), ("train",), ("calibrate",), ("info",)):
            result = run(*args, "--help")
            assert (result.exit_code, result.stderr) == (0, "")
            assert "Exit codes:" in result.stdout

    def test_train_says_where_the_bundle_goes(self):
        assert "DIR/bundle/<recipe name>" in run("train", "--help").stdout

    def test_version(self):
        result = run_alone("--version")
        assert result.stdout.decode().split() == ["synthdetect", synthdetect.__version__]

    def test_help_imports_nothing_heavy(self):
        loaded = imported("--help")
        assert "typer" in loaded
        assert not loaded & {"numpy", "scipy", "sklearn", "PIL", "openvino", "tensorflow", "keras"}

    def test_prediction_imports_what_help_must_not_and_no_training(self, tiny_bundle, image_folder):
        loaded = imported("predict", image_folder / "a.jpg", "--bundle", tiny_bundle)
        assert {"numpy", "scipy", "sklearn", "PIL"} <= loaded
        assert not loaded & {"tensorflow", "keras", "matplotlib", "synthdetect.training"}


class TestInfo:
    def test_describes_a_bundle(self, tiny_bundle):
        result = run("info", tiny_bundle)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout == Detector.load(tiny_bundle).describe() + "\n"

    def test_json_is_the_manifest(self, tiny_bundle):
        shown = json.loads(run("info", tiny_bundle, "--json").stdout)
        assert shown == json.loads((tiny_bundle / "manifest.json").read_text(encoding="utf-8"))

    def test_without_a_name_lists_bundled_ones_that_can_be_shown(self):
        names = json.loads(run("info", "--json").stdout)
        assert run("info").stdout.split() == names
        for name in names:
            assert run("info", name).stdout.startswith(f"{name} (")


class TestTrain:
    def test_prints_figures_and_the_bundle_s_path_last(self, trained):
        out, result = trained
        lines = result.stdout.splitlines()
        assert result.exit_code == 0
        assert "AUROC" in result.stdout
        assert Path(lines[-1]) == out / "bundle" / "probe"
        assert "start:" in result.stderr

    def test_the_bundle_predicts_and_knows_its_recipe_and_data(self, trained, image_folder):
        bundle = trained[0] / "bundle" / "probe"
        shown = json.loads(run("info", bundle, "--json").stdout)
        assert shown["recipe"]["seed"] == 3
        assert len(shown["training_data"]["manifest_sha256"]) == 64
        rows = records(run("predict", image_folder, "--bundle", bundle, "-f", "csv").stdout)
        assert [row["decision"] for row in rows] == ["real", "real", "unreadable", "synthetic"]

    def test_a_full_folder_is_refused_unless_resumed(self, trained, image_manifest):
        out, _ = trained
        bundle = out / "bundle" / "probe"
        recipe = out.parent / "recipe.toml"
        before = read_bundle(bundle)
        again = run("train", recipe, "--data", image_manifest, "--out", out)
        assert again.exit_code == 2
        assert one_line(again.stderr)
        assert "--resume" in again.stderr
        resumed = run("train", recipe, "--data", image_manifest, "--out", out, "--resume", "-q")
        assert (resumed.exit_code, resumed.stderr) == (0, "")
        assert read_bundle(bundle).files == before.files
        log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
        events = [line["event"] for line in log]
        assert (events.count("start"), events.count("features")) == (2, 1)

    def test_one_member_of_several_makes_no_bundle_and_says_what_is_left(
        self, image_manifest, tmp_path
    ):
        recipe = tmp_path / "recipe.toml"
        first, second = (RECIPE.format(name="two", member=name) for name in ("one", "other"))
        recipe.write_text(first + second[second.index("[[members]]") :])
        out = tmp_path / "run"
        options = ("train", recipe, "--data", image_manifest, "--out", out, "--quiet")
        result = run(*options, "--member", "other", "--jobs", "2")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("not trained by this: one\n")
        assert not (out / "bundle").exists()
        assert list((out / "other").glob("trained-*.npz"))
        result = run(*options, "--resume", "--member", "one", "--member", "other")
        assert result.stdout.splitlines()[-1] == str(out / "bundle" / "two")
        result = run(*options, "--resume", "--member", "on")
        assert result.exit_code == 2
        assert "there is no member 'on'; did you mean one?" in result.stderr

    def test_a_member_called_like_the_recipe_is_no_problem(self, image_manifest, tmp_path):
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(RECIPE.format(name="spectral", member="spectral"))
        out = tmp_path / "run"
        result = run("train", recipe, "--data", image_manifest, "--out", out, "--quiet")
        assert (result.exit_code, result.stderr) == (0, "")
        assert read_bundle(out / "bundle" / "spectral").manifest.name == "spectral"

    @pytest.mark.parametrize(
        ("recipe", "told"),
        [
            (RECIPE.format(name="probe", member="bundle"), "another name"),
            (RECIPE.format(name="../up", member="spectral"), "../up"),
            (RECIPE.format(name="probe", member="spectral") + "n_nest = 3\n", "n_nets"),
            ("members = 3", "[[members]]"),
        ],
    )
    def test_a_wrong_recipe_is_refused_before_anything_is_written(
        self, image_manifest, tmp_path, recipe, told
    ):
        (tmp_path / "recipe.toml").write_text(recipe)
        out = tmp_path / "run"
        result = run("train", tmp_path / "recipe.toml", "--data", image_manifest, "--out", out)
        assert result.exit_code == 2
        assert one_line(result.stderr)
        assert told in result.stderr
        assert not out.exists()

    def test_a_missing_manifest_is_one_line(self, trained, tmp_path):
        recipe = trained[0].parent / "recipe.toml"
        missing = tmp_path / "missing.csv"
        result = run("train", recipe, "--data", missing, "--out", tmp_path / "run")
        assert result.exit_code == 2
        assert one_line(result.stderr)
        assert "missing.csv" in result.stderr


@pytest.fixture(scope="module")
def overlapping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifest of 40 images, of which one in ten has the other class's label."""
    manifest = write_manifest(tmp_path_factory.mktemp("overlapping"), 20, seed=8)
    rows = records(manifest.read_text(encoding="utf-8"))
    for row in rows[::10]:
        row["label"] = "real" if row["label"] == "synthetic" else "synthetic"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return manifest


class TestCalibrate:
    def test_moves_the_threshold_and_says_on_what(self, tiny_bundle, image_manifest, tmp_path):
        out = tmp_path / "mine"
        result = run("calibrate", image_manifest, "--bundle", tiny_bundle, "--out", out)
        old, new = (read_bundle(path).manifest.threshold for path in (tiny_bundle, out))
        assert result.exit_code == 0
        assert (new["n_real"], new["n_synthetic"]) == (30, 30)
        assert new["value"] != old["value"]
        for threshold in (old, new):
            assert f"{threshold['value']:.4f}  0.000 [0.000, 0.116]" in result.stdout
        assert f"on all images of {image_manifest}: n = 60" in result.stdout
        assert "measured on the same images, which also chose" in result.stdout
        assert str(out) in result.stdout.splitlines()[-1]

    def test_probabilities_stay_and_decisions_change(
        self, tiny_bundle, image_manifest, image_folder, tmp_path
    ):
        out = tmp_path / "mine.zip"
        options = ("--bundle", tiny_bundle, "--out", out, "--policy", "fixed", "--value", "0.999")
        result = run("calibrate", image_manifest, *options)
        before, after = (
            records(run("predict", image_folder, "--bundle", bundle, "-f", "csv").stdout)
            for bundle in (tiny_bundle, out)
        )
        assert [r["p_synthetic"] for r in before] == [r["p_synthetic"] for r in after]
        assert before[3]["decision"] == "synthetic"
        assert (after[3]["decision"], after[3]["threshold"]) == ("real", "0.999")
        assert "also chose" not in result.stdout

    def test_costs_reach_the_policy(self, tiny_bundle, image_manifest, tmp_path):
        costs = ("--false-positive", "10", "--prevalence", "0.02")
        options = ("--bundle", tiny_bundle, "--out", tmp_path / "new", "--policy", "cost")
        run("calibrate", image_manifest, *options, *costs)
        assert read_bundle(tmp_path / "new").manifest.threshold["policy"] == (
            "CostWeighted(false_positive=10.0, false_negative=1.0, prevalence=0.02)"
        )

    def test_the_costs_of_thresholds_are_shown_with_the_chosen_one_marked(
        self, tiny_bundle, overlapping, tmp_path
    ):
        costs = ("--false-positive", "10", "--false-negative", "1", "--prevalence", "0.02")
        options = ("--bundle", tiny_bundle, "--out", tmp_path / "new", "--policy", "cost")
        lines = run("calibrate", overlapping, *options, *costs).stdout.splitlines()
        start = next(i for i, line in enumerate(lines) if line.startswith("expected of 1,000"))
        rows = [line.split() for line in lines[start + 2 : start + 13]]
        marked = [row for row in rows if "chosen" in row]
        threshold = read_bundle(tmp_path / "new").manifest.threshold["value"]
        assert [row[0] for row in marked] == [f"{threshold:.4f}"]
        assert float(marked[0][3]) == min(float(row[3]) for row in rows)
        assert any(line.startswith("where 2 % of the images are synthetic, ") for line in lines)

    def test_a_band_shows_what_it_leaves_uncertain(self, tiny_bundle, overlapping, tmp_path):
        options = ("--bundle", tiny_bundle, "--out", tmp_path / "new", "--policy", "band")
        output = run("calibrate", overlapping, *options, "--review", "0.01").stdout
        threshold = read_bundle(tmp_path / "new").manifest.threshold
        assert f"{threshold['low']:.4f} to {threshold['high']:.4f}" in output
        assert " of real and " in output
        assert "cost" not in output

    def test_learning_probabilities_moves_them_and_keeps_the_combiner(
        self, tiny_bundle, overlapping, tmp_path
    ):
        options = ("--what", "probability", "--calibrator", "platt", "--bundle", tiny_bundle)
        assert run("calibrate", overlapping, *options, "--out", tmp_path / "new").exit_code == 0
        old, new = (read_bundle(path).manifest for path in (tiny_bundle, tmp_path / "new"))
        assert new.calibrator["kind"] == "platt"
        assert new.combiner == old.combiner
        assert "before calibrator and threshold were changed" in new.figures["note"]

    def test_groups_of_the_manifest_stay_together_while_learning(
        self, tiny_bundle, overlapping, tmp_path
    ):
        rows = records(overlapping.read_text(encoding="utf-8"))
        manifest = overlapping.with_name("grouped.csv")
        with manifest.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*rows[0], "group"])
            writer.writeheader()
            writer.writerows(row | {"group": row["label"]} for row in rows)
        options = ("--what", "probability", "--bundle", tiny_bundle, "--out", tmp_path / "new")
        result = run("calibrate", manifest, *options)
        assert result.exit_code == 2
        assert "1 real groups of images, too few for 5 folds" in result.stderr

    def test_too_few_images_for_a_bound_are_told_with_how_many_are_needed(
        self, tiny_bundle, image_manifest, tmp_path
    ):
        options = ("--bundle", tiny_bundle, "--out", tmp_path / "new", "--policy", "max-fpr")
        result = run("calibrate", image_manifest, *options, "--alpha", "0.001")
        assert result.exit_code == 2
        assert one_line(result.stderr)
        assert "you need at least 2,995 real images; you gave 30" in result.stderr

    def test_what_to_know_of_the_threshold_is_a_note_and_no_warning(
        self, tiny_bundle, image_manifest, tmp_path
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            options = ("--bundle", tiny_bundle, "--out", tmp_path / "new")
            result = run("calibrate", image_manifest, *options)
        assert result.exit_code == 0
        assert "note: the classes are separated perfectly on these images" in result.stdout
        assert result.stderr == ""

    @pytest.mark.parametrize(
        ("options", "policy"),
        [
            (("f-beta", "--beta", "2", "--prevalence", "0.1"), "FBeta(beta=2.0, prevalence=0.1)"),
            (("min-recall", "--recall", "0.8"), "MinRecall(recall=0.8, confidence=0.95)"),
            (
                ("max-fpr", "--alpha", "0.2", "--confidence", "0.9"),
                "MaxFPR(alpha=0.2, confidence=0.9)",
            ),
            (
                ("min-precision", "--precision", "0.6"),
                "MinPrecision(precision=0.6, prevalence=None, confidence=0.95)",
            ),
            (("equal-error",), "EqualError()"),
            (("conformal-band", "--alpha", "0.1"), "ConformalBand(alpha=0.1)"),
        ],
    )
    def test_every_policy_has_a_name_and_its_options(
        self, tiny_bundle, image_manifest, tmp_path, options, policy
    ):
        fixed = ("--bundle", tiny_bundle, "--out", tmp_path / "new", "--policy", *options)
        result = run("calibrate", image_manifest, *fixed)
        assert result.exit_code == 0, result.stderr
        assert f"new threshold by {policy}" in result.stdout
        assert read_bundle(tmp_path / "new").manifest.threshold["policy"] == policy

    @pytest.mark.parametrize("name", list(POLICIES))
    def test_the_table_of_policies_is_their_parameters(self, name):
        options = POLICIES[name]
        parameters = dataclasses.fields(getattr(synthdetect, options.policy))
        assert {f.name for f in parameters} == {*options.needs, *options.takes}
        needed = {f.name for f in parameters if f.default is dataclasses.MISSING}
        assert needed == set(options.needs)

    def test_a_manifest_with_training_images_uses_val_and_says_so(self, tiny_bundle, tmp_path):
        manifest = two_splits(tmp_path, "train", "val")
        result = run("calibrate", manifest, "--bundle", tiny_bundle, "--out", tmp_path / "new")
        assert result.exit_code == 0
        assert f"on split 'val' of {manifest}: n = 20" in result.stdout

    def test_without_val_it_asks_for_a_split(self, tiny_bundle, tmp_path):
        manifest = two_splits(tmp_path, "train", "test")
        options = ("calibrate", manifest, "--bundle", tiny_bundle, "--out", tmp_path / "new")
        asked = run(*options)
        assert asked.exit_code == 2
        assert "--split" in asked.stderr
        named = run(*options, "--split", "test")
        assert f"on split 'test' of {manifest}: n = 20" in named.stdout
        assert "its splits: test, train" in run(*options, "--split", "val").stderr

    def test_unreadable_images_do_not_count_and_are_told(self, tiny_bundle, image_folder, tmp_path):
        manifest = write_manifest(tmp_path / "images", 10, seed=6)
        shutil.copy(image_folder / "broken.jpg", manifest.parent / "003.png")
        options = ("--bundle", tiny_bundle, "--out", tmp_path / "new")
        result = run("calibrate", manifest, *options)
        assert result.exit_code == 1
        assert "n = 19 (9 real, 10 synthetic)" in result.stdout
        assert "003.png: is truncated" in result.stderr
        assert read_bundle(tmp_path / "new").manifest.threshold["n_real"] == 9

    def test_when_nothing_is_left_the_reasons_are_told(self, tiny_bundle, image_folder, tmp_path):
        manifest = write_manifest(tmp_path / "images", 2, seed=6)
        for i in range(4):
            shutil.copy(image_folder / "broken.jpg", manifest.parent / f"{i:03}.png")
        result = run("calibrate", manifest, "--bundle", tiny_bundle, "--out", tmp_path / "new")
        assert result.exit_code == 2
        assert result.stderr.count(": is truncated") == 4
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (("--policy", "fixed"), "--value: --policy fixed needs it"),
            (("--value", "0.5"), "not belong to --policy youden; it goes with fixed"),
            (("--policy", "fixed", "--value", "2"), "0 to 1"),
            (("--false-positive", "2"), "it goes with cost, band"),
            (("--policy", "max-fpr", "--alpha", "0.1", "--beta", "2"), "it goes with f-beta"),
            (("--policy", "cost", "--prevalence", "2"), "prevalence"),
            (("--policy", "cost_weighted"), "cost"),
            (("--combiner", "median"), "goes with --what combiner or all"),
            (("--what", "probability", "--calibrator", "plat"), "'platt'"),
            (("--split", "validation"), "val"),
        ],
    )
    def test_wrong_options_exit_with_2_and_say_what_is_right(
        self, tiny_bundle, image_manifest, tmp_path, options, told
    ):
        fixed = ("calibrate", image_manifest, "--bundle", tiny_bundle, "--out", tmp_path / "new")
        result = run(*fixed, *options)
        assert result.exit_code == 2
        assert told in result.stderr
        assert not (tmp_path / "new").exists()

    def test_a_learner_is_refused_by_its_own_option(self, tiny_bundle, image_manifest, tmp_path):
        options = ("--bundle", tiny_bundle, "--out", tmp_path / "new", "--what", "all")
        result = run("calibrate", image_manifest, *options, "--combiner", "vote")
        assert "--combiner" in result.stderr
        result = run("calibrate", image_manifest, *options, "--calibrator", "plat")
        assert "--calibrator" in result.stderr

    def test_what_is_no_bundle_is_told_before_images_are_scored(self, image_manifest, tmp_path):
        (tmp_path / "pictures").mkdir()
        (tmp_path / "pictures" / "é.png").touch()
        out = tmp_path / "pictures"
        result = run("calibrate", image_manifest, "--bundle", "no-such-bundle", "--out", out)
        assert result.exit_code == 2
        assert "pictures: what is there is not a bundle; move it away" in result.stderr

    def test_a_missing_folder_is_told_before_images_are_scored(self, image_manifest, tmp_path):
        result = run("calibrate", image_manifest, "--out", tmp_path / "missing" / "new")
        assert result.exit_code == 2
        assert "--out" in result.stderr


def imported(*args: str | Path) -> set[str]:
    """Modules that a command imports."""
    told = run_alone(*args, options=("-X", "importtime")).stderr.decode()
    lines = [line for line in told.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip() for line in lines}


def two_splits(folder: Path, first: str, second: str) -> Path:
    """Manifest of 20 images in each of two splits."""
    parts = [
        write_manifest(folder / split, 10, seed, split)
        for seed, split in enumerate((first, second))
    ]
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "split"])
        writer.writeheader()
        for part in parts:
            for row in records(part.read_text(encoding="utf-8")):
                writer.writerow(row | {"path": f"{part.parent.name}/{row['path']}"})
    return manifest


def read_all(descriptor: int) -> bytes:
    """Read a terminal until its other end is closed, which Linux tells as an error."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(descriptor, 65536):
            parts.append(part)
    os.close(descriptor)
    return b"".join(parts)
