"""What makes probabilities of logits: a decision, and a cascade where members are asked in turn."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from synthdetect.ensemble.cascade import Cascade
from synthdetect.ensemble.learn import Decision
from synthdetect.ensemble.threshold import AnyThreshold
from synthdetect.members.score import Turn


@dataclass(frozen=True)
class Judge:
    """Decision and cascade of one moment: a detector may learn others while images are scored.

    Parameters
    ----------
    decision : Decision
    cascade : Cascade or None
        None asks all members about every image.
    """

    decision: Decision
    cascade: Cascade | None

    @property
    def threshold(self) -> AnyThreshold:
        """What makes decisions of probabilities."""
        return self.decision.threshold

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Who is asked first, for `score_stream`; empty if all members always are."""
        if self.cascade is None:
            return ()
        turns, before = [], set[int]()
        for stage in self.cascade.stages:
            new = tuple(column for column in stage.columns if column not in before)
            turns.append(Turn(new, partial(stage.undecided, self.decision.combiner)))
            before |= set(new)
        return tuple(turns)

    def probability(self, logits: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return P(synthetic), shape (n,), of logits (n, members) that came by these turns."""
        if self.cascade is None:
            return self.decision.probability(logits)
        return self.cascade.probability(self.decision, logits)
