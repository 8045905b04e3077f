"""What tells one set of labelled images from another."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from synthdetect.data.dataset import Dataset
from synthdetect.images.decode import source_name


def images_sha256(*parts: Dataset) -> str:
    """Return the SHA-256 of images and labels in their order.

    A file counts by its size and by its path below the folder that all have in common, so that data
    may be moved; bytes and arrays count by their content.

    Parameters
    ----------
    *parts : Dataset
        Such as the training and the validation images; what is in which part counts.

    Returns
    -------
    sha256 : str
        Of 64 hexadecimal digits.
    """
    folders = {
        _absolute(image).parent
        for part in parts
        for image in part.images
        if isinstance(image, str | os.PathLike)
    }
    top = Path(os.path.commonpath(folders)) if folders else Path()
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)} images\n".encode())
        digest.update(part.y.tobytes())
        for index, image in enumerate(part.images):
            digest.update(_identity(image, index, top))
    return digest.hexdigest()


def _absolute(image: str | os.PathLike[str]) -> Path:
    """Return an absolute path without `..`; links stay."""
    return Path(os.path.normpath(Path(image).absolute()))


def _identity(image: Any, index: int, top: Path) -> bytes:
    if isinstance(image, str | os.PathLike):
        path = _absolute(image)
        size = path.stat().st_size if path.exists() else -1
        name = f"{path.relative_to(top).as_posix()}\0{size}\n"
        return name.encode("utf-8", "surrogateescape")
    if isinstance(image, np.ndarray):
        told = f"{image.shape} {image.dtype}\n".encode()
        return told + hashlib.sha256(np.ascontiguousarray(image).tobytes()).digest()
    if isinstance(image, bytes | bytearray | memoryview):
        return hashlib.sha256(image).digest()
    return f"{source_name(image, index)}\n".encode("utf-8", "surrogateescape")
