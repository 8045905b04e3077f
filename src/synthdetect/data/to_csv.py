"""Write labelled images down as a CSV manifest."""

import csv
import io
import os
from pathlib import Path

import numpy as np

from synthdetect.data.dataset import CLASSES, Dataset
from synthdetect.errors import DataError


def manifest_text(dataset: Dataset, folder: str | Path) -> str:
    """Return the CSV manifest of a dataset of files, which `read_manifest` reads as the same data.

    Parameters
    ----------
    dataset : Dataset
        Its images are paths.
    folder : str or Path
        That the manifest will lie in: paths are relative to it.

    Returns
    -------
    text : str
        The columns `path` and `label`; `split`, `source` and `group` if any image has one; then
        the facets. Lines end with a newline.

    Raises
    ------
    DataError
        If an image is no path, or its name is no UTF-8.
    """
    columns = {"path": [_relative(image, i, folder) for i, image in enumerate(dataset.images)]}
    columns["label"] = [CLASSES[y] for y in dataset.y.tolist()]
    given = {"split": dataset.split, "source": dataset.source, "group": dataset.group}
    for name, values in {**given, **dataset.facets}.items():
        if name in dataset.facets or np.any(values != ""):
            columns[name] = values.tolist()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def _relative(image: object, index: int, folder: str | Path) -> str:
    if not isinstance(image, str | os.PathLike):
        raise DataError(f"image {index} is no file; a manifest has paths: save the images first")
    path = os.path.relpath(image, folder)
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{Path(path)!s}: the name is no UTF-8, as a manifest must be; rename the file"
        ) from error
    return Path(path).as_posix()
