"""One detector in threads, in forked children and in other processes: the same bits, no hang."""

import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from joblib import Parallel, delayed
from openvino import opset13 as ops

import synthdetect
from conftest import labelled_arrays
from synthdetect.bundle.assemble import assemble
from synthdetect.bundle.format import write_bundle
from synthdetect.detector import Detector
from synthdetect.ensemble.learn import learn_decision
from synthdetect.images.views import Crops
from synthdetect.members.base import TrainedMember
from synthdetect.scoring.panel import Panel

N_THREADS = 32


def network(folder: Path, side: int) -> dict[str, bytes]:
    """A small real network as OpenVINO IR: convolution, ReLU, mean, one logit."""
    rng = np.random.default_rng(0)
    crops = ops.parameter([-1, side, side, 3], np.uint8, name="crops")
    x = ops.transpose(ops.convert(crops, np.float32), np.array([0, 3, 1, 2]))
    x = ops.multiply(x, np.float32(1 / 255))
    kernel = rng.normal(size=(16, 3, 3, 3)).astype(np.float32)
    x = ops.relu(ops.convolution(x, kernel, [2, 2], [1, 1], [1, 1], [1, 1]))
    x = ops.reduce_mean(x, np.array([2, 3]))
    logit = ops.matmul(x, rng.normal(size=(16, 1)).astype(np.float32), False, False)
    path = folder / "graph.xml"
    ov.save_model(ov.Model([logit], [crops], "tiny"), path, compress_to_fp16=False)
    return {"xml": path.read_bytes(), "bin": path.with_suffix(".bin").read_bytes()}


@pytest.fixture(scope="module")
def bundle(tiny_bundle, tmp_path_factory):
    """The spectral member of the small bundle, and a network beside it."""
    folder = tmp_path_factory.mktemp("threads")
    (spectral,) = Detector.load(tiny_bundle).members_
    net = TrainedMember("net", "MobileNetV2", Crops(2, 48), graph=network(folder, 48))
    images, y = labelled_arrays(20, seed=6)
    logits, _ = Panel((spectral, net), precision="f32").logits(images)
    manifest, files = assemble(
        (spectral, net),
        learn_decision(logits, y, seed=0),
        name="both",
        license_name="CC0",
        facts={},
    )
    write_bundle(folder / "both", manifest, files)
    return folder / "both"


@pytest.fixture(scope="module")
def detector(bundle):
    return Detector.load(bundle, workers=2)


@pytest.fixture(scope="module")
def images():
    return labelled_arrays(4, seed=9)[0]


def at_once(call, n=N_THREADS):
    """Results of `call(i)` in n threads that begin together."""
    barrier = threading.Barrier(n)

    def run(i):
        barrier.wait()
        return call(i)

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))


def test_many_threads_get_the_bits_that_one_gets(detector, images):
    expected = detector.member_logits(images)
    for got in at_once(lambda _: detector.member_logits(images)):
        np.testing.assert_array_equal(got, expected)


def test_many_threads_with_other_images_each_get_their_own(detector, images):
    expected = [detector.predict_proba([image])[0] for image in images]
    got = at_once(lambda i: detector.predict_proba([images[i % 8], images[(i + 3) % 8]]))
    for i, rows in enumerate(got):
        np.testing.assert_array_equal(rows, [expected[i % 8], expected[(i + 3) % 8]])


def test_the_first_use_by_many_threads_compiles_once_and_is_right(bundle, detector, images):
    fresh = Detector.load(bundle)
    for got in at_once(lambda _: fresh.predict_proba(images[:2])):
        np.testing.assert_array_equal(got, detector.predict_proba(images[:2]))


def test_errors_are_those_of_one_whole_call(bundle, images):
    detector = Detector.load(bundle)
    bad = [b"no image"] * 3

    def call(i):
        proba = detector.predict_proba([*bad[: i % 3], images[0]], on_error="nan")
        assert np.isnan(proba[:, 0]).sum() == i % 3

    at_once(call)
    assert list(detector.errors_) in ([], [0], [0, 1])


def test_streams_of_many_threads_are_each_in_order(detector, images):
    expected = [p for _, p, _ in detector.stream(images)]
    for got in at_once(lambda _: [p for _, p, _ in detector.stream(iter(images))], n=8):
        assert got == expected


def test_a_pickle_has_what_was_loaded_and_nothing_that_is_compiled(detector, images):
    detector.predict_proba(images)
    size = sum(len(content) for content in detector._bundle.files.values())
    pickled = pickle.dumps(detector)
    assert "_panel" not in detector.__getstate__()
    assert len(pickled) < 2.5 * size  # files, and arrays as they are used
    again = pickle.loads(pickled)  # noqa: S301 - our own object
    np.testing.assert_array_equal(again.member_logits(images), detector.member_logits(images))
    assert again.digest_ == detector.digest_


def test_workers_of_joblib_get_the_same_bits(detector, images, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(synthdetect.__file__).parents[1]))
    expected = detector.predict_proba(images)
    got = Parallel(n_jobs=2, backend="loky")(
        delayed(detector.predict_proba)(images[i::2]) for i in range(2)
    )
    np.testing.assert_array_equal(got[0], expected[::2])
    np.testing.assert_array_equal(got[1], expected[1::2])


# Rounds of what has hung other programs: threads that begin together, a detector that is freed
# while others infer, a fork while threads hold locks, a pickle that another thread uses.
ROUNDS = """
import multiprocessing, os, pickle, sys, threading
import numpy as np
from synthdetect import Detector

def child(detector, images, expected):
    assert np.array_equal(detector.predict_proba(images), expected)

def main(bundle, n_rounds, context, n_between):
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (130, 130, 3), dtype=np.uint8) for _ in range(3)]
    shared = Detector.load(bundle, workers=2)
    expected = shared.predict_proba(images)
    right = []

    def use(barrier, detector):
        barrier.wait()
        right.append(np.array_equal(detector.predict_proba(images), expected))

    for i in range(n_rounds):
        barrier = threading.Barrier(4)
        others = [shared, shared, pickle.loads(pickle.dumps(shared)) if i % 5 == 0 else shared]
        threads = [threading.Thread(target=use, args=(barrier, other)) for other in others]
        for thread in threads:
            thread.start()
        del others
        barrier.wait()
        if i % n_between == 0:  # while they are at it
            process = multiprocessing.get_context(context).Process(
                target=child, args=(shared, images, expected)
            )
            process.start()
            process.join()
            assert process.exitcode == 0, process.exitcode
        for thread in threads:
            thread.join()
    assert len(right) == 3 * n_rounds and all(right)
    print("all right")

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
"""


def rounds(bundle: Path, n: int, context: str, n_between: int, folder: Path, timeout_s: float):
    """Run the rounds in a process of their own, which a deadlock cannot keep from ending."""
    path = folder / "rounds.py"
    path.write_text(ROUNDS)
    source = str(Path(synthdetect.__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", path, bundle, str(n), context, str(n_between)],
        env=os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "all right\n"), result.stderr


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
def test_thirty_rounds_of_threads_and_forks_hang_nowhere(bundle, tmp_path):
    rounds(bundle, 30, "fork", 10, tmp_path, timeout_s=240)


@needs_fork
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_thousand_rounds_of_threads_and_forks_hang_nowhere(bundle, tmp_path):
    rounds(bundle, 1000, "fork", 10, tmp_path, timeout_s=3500)


@pytest.mark.slow
def test_spawned_processes_get_the_same_bits(bundle, tmp_path):
    rounds(bundle, 3, "spawn", 1, tmp_path, timeout_s=280)
