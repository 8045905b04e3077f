"""What stands in for the logit of a member that did not look at an image."""

import warnings

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.checks import Floats


def imputed(columns: Floats, fill: tuple[float, ...]) -> tuple[Floats, NDArray[np.bool_]]:
    """Return logits without NaN, and which rows have nothing else.

    Parameters
    ----------
    columns : ndarray of shape (n, members), float64
    fill : tuple of float
        What stands in, one for each member.

    Returns
    -------
    columns : ndarray of shape (n, members), float64
        A copy where something stands in.
    unseen : ndarray of shape (n,), bool
        Where no member looked; what stands in there means nothing.

    Warns
    -----
    UserWarning
        If something stands in, for each member with the number of rows, unless nobody looked.
    """
    absent = np.isnan(columns)
    unseen = np.asarray(absent.all(axis=1))
    if not absent.any():
        return columns, unseen
    for member, n in enumerate((absent & ~unseen[:, np.newaxis]).sum(axis=0)):
        if n:
            warnings.warn(
                f"member {member} has no logit in {n} of {len(columns)} rows; its median where "
                f"the stacking was learned, {fill[member]:.3g}, stands in",
                UserWarning,
                stacklevel=3,
            )
    return np.where(absent, np.array(fill), columns), unseen
