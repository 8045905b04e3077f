"""Labelled folders: the class, the split and the source of an image from the folders it is in."""

import os
from pathlib import Path

import numpy as np

from synthdetect.data.dataset import CLASSES, SPLITS, Dataset, read_manifest
from synthdetect.errors import DataError, ImageError
from synthdetect.images.batches import iter_sources

# Names of folders, as people use them, in lower case with `_` for spaces and hyphens.
CLASS_FOLDERS = {
    "real": (
        "real", "reals", "0_real", "real_images", "real_faces", "training_real", "authentic",
        "genuine", "nature", "natural", "original", "originals", "photo", "photos", "photographs",
    ),
    "synthetic": (
        "synthetic", "synth", "1_synthetic", "fake", "fakes", "1_fake", "fake_images", "fake_faces",
        "training_fake", "ai", "1_ai", "ai_generated", "ai_images", "generated", "gan", "diffusion",
        "deepfake", "deepfakes",
    ),
}  # fmt: skip
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
_CLASS_OF = {name: label for label, names in CLASS_FOLDERS.items() for name in names}
_SPLIT_OF = {name: split for split, names in SPLIT_FOLDERS.items() for name in names}
# Numbers name shards as well as classes, so they count only where no word says otherwise.
_CLASS_OF_NUMBER = {"0": "real", "1": "synthetic"}


def read_dataset(path: str | Path) -> Dataset:
    """Read labelled images: of folders, or of a CSV manifest.

    Parameters
    ----------
    path : str or Path
        A directory is read by `read_folder`, a file by `synthdetect.data.dataset.read_manifest`.

    Returns
    -------
    dataset : Dataset

    Raises
    ------
    DataError
        As those two do.
    """
    return read_folder(path) if Path(path).is_dir() else read_manifest(path)


def read_folder(path: str | Path) -> Dataset:
    """Read a directory whose folders say the class of the images in them.

    Every file with the extension of an image counts, but not what is hidden: names that begin with
    a dot and `__MACOSX`. Names of folders are compared without regard to case, and spaces and
    hyphens are as good as underscores.

    Parameters
    ----------
    path : str or Path
        The directory. An image's class is that of the nearest folder above it whose name is in
        `CLASS_FOLDERS` (`real`, `0_real`, ...; `synthetic`, `fake`, `ai`, `1_fake`, ...); `0` and
        `1` count too. Folders of `SPLIT_FOLDERS` (`train`, `val`, `test`, ...), above or below, say
        the split. The other folders' names, joined by `/`, are the source.

    Returns
    -------
    dataset : Dataset
        Sorted by path.

    Raises
    ------
    DataError
        If there is no image, or an image is in no folder of a class, in folders of two splits, in
        a numbered folder that contradicts the class above it, or there twice by a link; the message
        names it.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> folder = Path(mkdtemp())
    >>> for name in ("train/real", "train/fake/some-gan"):
    ...     (folder / name).mkdir(parents=True)
    ...     Image.new("RGB", (64, 64)).save(folder / name / "a.png")
    >>> dataset = read_folder(folder)
    >>> dataset.y.tolist(), dataset.source.tolist(), dataset.split.tolist()
    ([1, 0], ['some-gan', ''], ['train', 'train'])
    """
    root = Path(path)
    images = _images(root)
    _check_once(images)
    folders = [image.relative_to(root).parts[:-1] for image in images]
    return Dataset(
        images=tuple(images),
        y=np.array(
            [CLASSES.index(_class(*pair)) for pair in zip(images, folders, strict=True)],
            dtype=np.int64,
        ),
        source=np.array([_source(parts) for parts in folders], dtype=np.str_),
        group=np.full(len(images), "", dtype=np.str_),
        split=np.array(
            [_split(*pair) for pair in zip(images, folders, strict=True)], dtype=np.str_
        ),
    )


def _images(root: Path) -> list[Path]:
    if not root.is_dir():
        raise DataError(f"{root}: there is no such directory; check the path")
    try:
        found = [Path(image) for image in iter_sources(root, recursive=True)]
    except ImageError as error:
        raise DataError(str(error)) from error
    images = [
        image
        for image in found
        if not any(part.startswith((".", "__MACOSX")) for part in image.relative_to(root).parts)
    ]
    if not images:
        raise DataError(
            f"{root}: there is no image in it; expected folders such as {root / 'real'} and "
            f"{root / 'synthetic'} with images in them"
        )
    return images


def _class(image: Path, parts: tuple[str, ...]) -> str:
    """Return the class of an image by the folders that it is in, outermost first."""
    names = [_plain(part) for part in parts]
    words = [name for name in names if name in _CLASS_OF]
    numbers = [name for name in names if name in _CLASS_OF_NUMBER]
    if words:
        label = _CLASS_OF[words[-1]]
        inner = names[len(names) - names[::-1].index(words[-1]) :]
        for number in inner:
            if _CLASS_OF_NUMBER.get(number, label) != label:
                raise DataError(
                    f"{image}: folder {words[-1]!r} says {label} and folder {number!r} in it "
                    f"{_CLASS_OF_NUMBER[number]}; rename one"
                )
        return label
    if len(set(numbers)) > 1:
        raise DataError(f"{image}: is below folders '0' and '1'; rename one")
    if numbers:
        return _CLASS_OF_NUMBER[numbers[0]]
    known = "; ".join(f"{label}: {', '.join(n)}" for label, n in CLASS_FOLDERS.items())
    raise DataError(
        f"{image}: is in no folder whose name is a class; put it into one of these ({known}; or "
        "0 and 1)"
    )


def _split(image: Path, parts: tuple[str, ...]) -> str:
    found = {_SPLIT_OF[name] for name in map(_plain, parts) if name in _SPLIT_OF}
    if len(found) > 1:
        told = " and ".join(split for split in SPLITS if split in found)
        raise DataError(f"{image}: is below folders of {told}; keep it in one split")
    return found.pop() if found else ""


def _source(parts: tuple[str, ...]) -> str:
    known = (_CLASS_OF, _CLASS_OF_NUMBER, _SPLIT_OF)
    source = "/".join(part for part in parts if not any(_plain(part) in names for names in known))
    # A name of bytes that are no UTF-8 could be in no bundle and no report.
    return source.encode("utf-8", "backslashreplace").decode("utf-8")


def _plain(name: str) -> str:
    return name.casefold().replace(" ", "_").replace("-", "_")


def _check_once(images: list[Path]) -> None:
    """Refuse an image that is there twice, by a link."""
    seen: dict[str, Path] = {}
    for image in images:
        first = seen.setdefault(os.path.realpath(image), image)
        if first != image:
            raise DataError(f"{image}: is the same file as {first}; keep one")
