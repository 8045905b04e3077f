"""Logits of the last images, by content, so that what was scored once is not scored again."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synthdetect.errors import ImageError
from synthdetect.images.batches import iter_sources
from synthdetect.images.decode import decode, source_name
from synthdetect.images.limits import Limits
from synthdetect.images.reading import read_encoded
from synthdetect.locks import Lock
from synthdetect.members.score import Scored

# About 230 bytes each with three members: 23 MB (measured).
_MOST = 100_000


class ScoreCache:
    """The logits of the images that were used last.

    It lives in memory alone: copies and pickles start empty. Threads may share it.

    Parameters
    ----------
    most : int, default=100,000
        Images to remember.
    """

    def __init__(self, most: int = _MOST) -> None:
        self.most = most
        self._logits: OrderedDict[bytes, bytes] = OrderedDict()
        self._turn = Lock()

    def __len__(self) -> int:
        return len(self._logits)

    def get(self, key: bytes) -> NDArray[np.float64] | None:
        """Return the logits of an image of shape (members,), or None."""
        with self._turn:
            stored = self._logits.get(key)
            if stored is None:
                return None
            self._logits.move_to_end(key)
        return np.frombuffer(stored, dtype=np.float64)

    def put(self, key: bytes, logits: NDArray[np.float64]) -> None:
        """Remember logits of shape (members,), and forget what was used longest ago."""
        with self._turn:
            self._logits[key] = logits.tobytes()
            self._logits.move_to_end(key)
            while len(self._logits) > self.most:
                self._logits.popitem(last=False)

    def __getstate__(self) -> dict[str, int]:
        return {"most": self.most}

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__init__(**state)  # type: ignore[misc]


@dataclass
class _Place:
    """An image of a stream that waits for its turn; `scored` is None until it is known."""

    index: int
    name: str
    key: bytes = b""
    scored: Scored | None = None


def remembered(
    images: Any,
    score: Callable[[Iterator[Any]], Iterator[Scored]],
    cache: ScoreCache,
    *,
    limits: Limits,
    keep: bool,
) -> Iterator[Scored]:
    """Yield what `score` would, but score only images that are not in the cache.

    Parameters
    ----------
    images : as for `score_stream`
    score : callable
        From a stream of sources to their logits, in order.
    cache : ScoreCache
    limits : Limits
        What `score` accepts; other limits are another entry of the cache.
    keep : bool
        Put what was scored into the cache. Errors are not kept.

    Yields
    ------
    scored : Scored
        In the order of `images`.
    """
    waiting: deque[_Place] = deque()

    def unknown() -> Iterator[Any]:
        for index, source in enumerate(iter_sources(images)):
            place = _Place(index, source_name(source, index))
            waiting.append(place)
            try:
                content, place.key = _content(source, place.name, limits)
            except ImageError as error:
                place.scored = Scored(index, place.name, np.array(np.nan), error)
                continue
            if (logits := cache.get(place.key)) is not None:
                place.scored = Scored(index, place.name, logits)
                continue
            yield content

    for scored in score(unknown()):
        while (place := waiting.popleft()).scored is not None:
            yield place.scored
        if keep and scored.error is None:
            cache.put(place.key, scored.logits)
        # Its number among the images that were scored is not its number among all.
        error = scored.error and ImageError(place.name, scored.error.reason)
        yield Scored(place.index, place.name, scored.logits, error)
    while waiting:
        if (known := waiting.popleft().scored) is not None:
            yield known


def _content(source: Any, name: str, limits: Limits) -> tuple[Any, bytes]:
    """Return what to score in the source's place, and a key of what is in it."""
    if isinstance(source, Image.Image):
        source = decode(source, name=name, limits=limits)
    if isinstance(source, np.ndarray):
        described = f"{limits} {source.dtype} {source.shape} ".encode()
        return source, sha256(described + np.ascontiguousarray(source).tobytes()).digest()
    # Bytes from here on: a file that changes meanwhile must not be scored under an old key.
    encoded = read_encoded(source, name=name, limits=limits)
    digest = sha256(f"{limits} encoded ".encode())
    digest.update(encoded)
    return encoded, digest.digest()
