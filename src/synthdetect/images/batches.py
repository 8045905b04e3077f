"""Streams of images: decoded in threads ahead of the consumer, in order, a few at once."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from PIL import Image

from synthdetect.errors import ImageError
from synthdetect.images.decode import check_pil, decode, source_name
from synthdetect.images.limits import DEFAULT_LIMITS, Limits
from synthdetect.images.reading import NO_MEMORY, read_encoded
from synthdetect.images.views import Pixels

T = TypeVar("T")

# How often a wait for a thread looks whether there still is one, in seconds.
_LOOK_S = 1.0

# fmt: off
EXTENSIONS = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".gif",
    ".bmp", ".dib", ".tif", ".tiff", ".avif", ".heic", ".heif",
))
# fmt: on


@dataclass(frozen=True)
class Prepared(Generic[T]):
    """One image of a stream, decoded and prepared, or the reason why not.

    Parameters
    ----------
    index : int
        Position in the stream.
    name : str
        The image's path, or `image 3`.
    value : object or None
        What `prepare` made of the pixels.
    error : ImageError or None
        Why there is no value.
    """

    index: int
    name: str
    value: T | None = None
    error: ImageError | None = None


def iter_sources(images: Any, *, recursive: bool = False) -> Iterator[Any]:
    """Yield images one by one; a generator is advanced no further than asked.

    Parameters
    ----------
    images : path, bytes, binary file, PIL image, ndarray, directory, or an iterable of those
        An array of 4 dimensions is (n, h, w, c): n images; one of paths or objects is an iterable.
        Of a directory come the files whose extension is an image's, sorted.
    recursive : bool, default=False
        Take the directories below a directory as well.

    Yields
    ------
    source : object
        What `decode` takes.

    Raises
    ------
    ImageError
        If a directory cannot be listed.
    """
    if isinstance(images, str | os.PathLike):
        # Not Path.is_dir, which raises for a name that is too long.
        is_folder = os.path.isdir(images)  # noqa: PTH112
        yield from _files_in(Path(images), recursive) if is_folder else [images]
    elif (
        isinstance(images, bytes | bytearray | memoryview | Image.Image)
        or hasattr(images, "read")
        or (isinstance(images, np.ndarray) and images.dtype.kind not in "OU" and images.ndim != 4)
        or not isinstance(images, Iterable)
    ):
        yield images
    else:
        yield from images


def prepared(
    sources: Iterable[Any],
    prepare: Callable[[Pixels], T],
    *,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
    ahead: int | None = None,
) -> Iterator[Prepared[T]]:
    """Decode and prepare images in threads, in order.

    Parameters
    ----------
    sources : iterable
        Of what `decode` takes. File objects and arrays are copied when they are drawn, so a
        generator may reuse or close them.
    prepare : callable
        From pixels (h, w, 3), uint8, to what is kept of them; runs in the threads.
    limits : Limits, optional
    workers : int, optional
        Threads; by default one for each core that the process may use.
    ahead : int, optional
        Images that are held at once; by default twice the workers.

    Yields
    ------
    image : Prepared
        Bad images come with their error. An exception of `sources` itself is raised after the
        images that came before it.
    """
    return prepared_in_place(
        sources,
        lambda _, pixels: prepare(pixels),
        limits=limits,
        workers=workers,
        ahead=ahead,
    )


def prepared_in_place(
    sources: Iterable[Any],
    prepare: Callable[[int, Pixels], T],
    *,
    limits: Limits = DEFAULT_LIMITS,
    workers: int | None = None,
    ahead: int | None = None,
) -> Iterator[Prepared[T]]:
    """Do as `prepared` does with a `prepare` that is told the image's place in the stream too."""
    workers = workers or _n_cores()
    ahead = ahead or 2 * workers

    def work(index: int, name: str, source: Any) -> Prepared[T]:
        try:
            return Prepared(index, name, prepare(index, decode(source, name=name, limits=limits)))
        except ImageError as error:
            return Prepared(index, name, error=_without_frames(error))
        except MemoryError:
            return Prepared(index, name, error=ImageError(name, NO_MEMORY))

    pending: deque[Callable[[], Prepared[T]]] = deque()
    failure: Exception | None = None
    threads = _Threads(workers)
    try:
        drawn = enumerate(sources)
        while True:
            try:
                index, source = next(drawn)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - raised again below
                failure = error
                break
            name = source_name(source, index)
            try:
                kept = _keep(source, name, limits)
            except ImageError as error:
                pending.append(partial(Prepared, index, name, error=_without_frames(error)))
            else:
                pending.append(threads.start(partial(work, index, name, kept)))
            if len(pending) >= ahead:
                yield pending.popleft()()
        while pending:
            yield pending.popleft()()
    finally:
        threads.shutdown()
    if failure is not None:
        raise failure


class _Threads:
    """Threads that work ahead; what none of them does, the caller does."""

    def __init__(self, n: int) -> None:
        self._started: list[threading.Thread] = []
        self._pool = ThreadPoolExecutor(
            n,
            thread_name_prefix="synthdetect-decode",
            initializer=lambda: self._started.append(threading.current_thread()),
        )

    def start(self, work: Callable[[], T]) -> Callable[[], T]:
        """Have a thread begin; return what waits for the result."""
        try:
            future = self._pool.submit(work)
        except RuntimeError:  # no thread can be started: out of memory, or at the user's limit
            return work
        return partial(self._result, future, work)

    def _result(self, future: "Future[T]", work: Callable[[], T]) -> T:
        """Wait, unless the thread died or was lost to a fork, which no future tells."""
        while not future.done():
            if self._started and not any(thread.is_alive() for thread in self._started):
                return work()
            if not wait([future], timeout=_LOOK_S).done and future.cancel():
                return work()  # it has not begun: the thread that took it died, or all are busy
        try:
            return future.result()
        except SystemExit:  # of a thread that was told to end
            return work()

    def shutdown(self) -> None:
        """Drop what has not begun and wait for the rest."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _without_frames(error: ImageError) -> ImageError:
    """Let go of the frames that an error and its causes hold, and so of the image in them."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


def _keep(source: Any, name: str, limits: Limits) -> Any:
    """Take what the caller may change or close once the next image is drawn."""
    try:
        return _copied(source, name, limits)
    except MemoryError as error:
        raise ImageError(name, NO_MEMORY) from error


def _copied(source: Any, name: str, limits: Limits) -> Any:
    if isinstance(source, np.ndarray):
        return source.copy() if source.nbytes <= 4 * limits.max_pixels else source
    if isinstance(source, Image.Image):
        check_pil(source, name=name, limits=limits)
        try:
            source.load()
        except Exception as error:
            raise ImageError(name, f"cannot be loaded ({error}); open it again") from error
        return source
    return read_encoded(source, name=name, limits=limits) if hasattr(source, "read") else source


def _files_in(folder: Path, recursive: bool) -> list[Path]:
    try:
        found = folder.rglob("*") if recursive else folder.iterdir()
        return sorted(
            path for path in found if path.suffix.lower() in EXTENSIONS and not path.is_dir()
        )
    except OSError as error:
        raise ImageError(str(folder), f"cannot be listed ({error}); check it") from error


def _n_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
