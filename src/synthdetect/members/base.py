"""What a member is: first a plan to train, then files and a scorer that gives logits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from synthdetect.images.views import View

# What a bundle stores: recipes refuse other names before the training, manifests after it.
DETECTOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MEMBER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Scorer(Protocol):
    """A trained member that is ready to look at images.

    Attributes
    ----------
    uses_all_cores : bool
        Whether it spreads a batch over the cores by itself; if not, images are given to it one by
        one, in several threads at once.
    """

    @property
    def uses_all_cores(self) -> bool: ...

    def logits(self, crops: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Score images.

        Parameters
        ----------
        crops : ndarray of shape (n, k, size, size, 3), uint8
            The member's view of n images.

        Returns
        -------
        logits : ndarray of shape (n,), float64
            Positive means synthetic. An image's logit does not depend on the others.
        """
        ...


class Member(Protocol):
    """An untrained member: options only. `kind` is its key in `members.registry.KINDS`."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def view(self) -> View: ...


@dataclass(frozen=True)
class TrainedMember:
    """A trained member as plain values, the form in which it is stored and loaded.

    Parameters
    ----------
    name : str
        Unique in an ensemble.
    kind : str
        Key in `members.registry.KINDS`; says how it is read.
    view : View
        How the member looks at an image.
    graph : mapping of str to bytes
        The `xml` and `bin` of an OpenVINO IR; empty for a member of arrays.
    arrays : mapping of str to ndarray
        What a member of arrays learned; empty for a graph.
    details : mapping
        JSON-ready facts about its training.
    """

    name: str
    kind: str
    view: View
    graph: Mapping[str, bytes] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
