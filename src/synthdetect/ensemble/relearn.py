"""Learn steps of a decision again, on logits of new images: what is asked for, and what follows it.

A step is learned on what the steps before it give. So with a new calibrator comes a new threshold,
and with a new combiner come both.
"""

from dataclasses import dataclass, replace
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from synthdetect.ensemble.calibrate import CalibratorLearner
from synthdetect.ensemble.cascade import Cascade, learn_cascade, stage_columns
from synthdetect.ensemble.checks import check_share
from synthdetect.ensemble.combine import CombinerLearner
from synthdetect.ensemble.learn import Decision, learn_decision
from synthdetect.ensemble.policies import Youden
from synthdetect.ensemble.prevalence import Shifted
from synthdetect.ensemble.scaling import TemperatureScaling
from synthdetect.ensemble.threshold import Policy

What = Literal["threshold", "probability", "combiner", "all"]
WHAT: tuple[What, ...] = ("threshold", "probability", "combiner", "all")

Step = TypeVar("Step")


@dataclass(frozen=True)
class Kept(Generic[Step]):
    """A learner with nothing to learn: it gives the step that is there.

    Parameters
    ----------
    step : Combiner or Calibrator
    """

    step: Step

    def fit(self, values: ArrayLike, y: ArrayLike) -> Step:
        """Return the step, whatever the images."""
        return self.step


@dataclass(frozen=True)
class ForPrevalence:
    """Learns a calibrator and shifts it to another share of synthetic images.

    Parameters
    ----------
    learner : CalibratorLearner
    prevalence : float
        Share of synthetic images where the detector will be used, between 0 and 1.

    Raises
    ------
    ValueError
        If the share is out of range.

    Examples
    --------
    >>> learner = ForPrevalence(TemperatureScaling(), prevalence=0.1)
    >>> learner.fit([-2.0, 2.0] * 20, [0, 1] * 20)([0.0]).round(3)
    array([0.1])
    """

    learner: CalibratorLearner
    prevalence: float

    def __post_init__(self) -> None:
        check_share("calibrator", "prevalence", self.prevalence)

    def fit(self, logit: ArrayLike, y: ArrayLike) -> Shifted:
        """Learn; parameters and errors are those of `TemperatureScaling.fit`."""
        learned = self.learner.fit(logit, y)
        return Shifted(learned, training=float(np.asarray(y).mean()), deployed=self.prevalence)


def check_what(what: str, policy: Policy | None = None) -> None:
    """Raise ValueError unless `what` is one of `WHAT` and the policy, if any, can learn."""
    if what not in WHAT:
        raise ValueError(f"what is {what!r}; use one of {', '.join(map(repr, WHAT))}")
    if policy is not None and (isinstance(policy, type) or not hasattr(policy, "fit")):
        raise ValueError(f"policy is {policy!r}; give one such as Youden() or CostWeighted(10, 1)")


def relearn(
    decision: Decision,
    logits: ArrayLike,
    y: ArrayLike,
    *,
    what: What = "threshold",
    combiner: CombinerLearner | None = None,
    calibrator: CalibratorLearner | None = None,
    policy: Policy | None = None,
    prevalence: float | None = None,
    groups: ArrayLike | None = None,
    n_folds: int = 5,
    seed: int,
) -> Decision:
    """Learn a step, and those after it, on images that are new to the decision.

    The threshold is never chosen on probabilities of a calibrator or a combiner that learned on the
    same image: where these are learned, it is cross-fitted as in `learn_decision`.

    Parameters
    ----------
    decision : Decision
        What stays comes from it.
    logits : array-like of shape (n, members), float
        Finite logits of images that neither the members nor `decision` learned on.
    y : array-like of shape (n,), int
        1 = synthetic, 0 = real.
    what : {"threshold", "probability", "combiner", "all"}, default="threshold"
        "probability" learns the calibrator and the threshold. "combiner" and "all" learn combiner,
        calibrator and threshold, as the combiner decides what the others mean.
    combiner, calibrator, policy : learners, optional
        As in `learn_decision`; those of steps that stay do not count.
    prevalence : float, optional
        Share of synthetic images where the detector will be used, between 0 and 1. A calibrator
        that is learned is shifted to it, and a policy that depends on the share takes it if it
        has none of its own.
    groups : array-like of shape (n,), optional
        Rows with equal values stay in one fold; for the threshold alone there are no folds.
    n_folds, seed : int
        As in `learn_decision`.

    Returns
    -------
    decision : Decision

    Raises
    ------
    DataError
        As `learn_decision`, or if the images are too few for what the policy guarantees.
    ValueError
        If `what` is none of these, `policy` is none, or `prevalence` is out of range or nothing
        depends on it.
    """
    check_what(what, policy)
    policy = policy_at(Youden() if policy is None else policy, prevalence)
    if what == "threshold":
        if prevalence is not None and not hasattr(policy, "prevalence"):
            raise ValueError(
                f"prevalence does not change the threshold by {policy!r}; leave it out, use a "
                "policy such as CostWeighted, or what='probability'"
            )
        return replace(decision, threshold=policy.fit(y, decision.probability(logits)))
    calibrator = TemperatureScaling() if calibrator is None else calibrator
    return learn_decision(
        logits,
        y,
        combiner=Kept(decision.combiner) if what == "probability" else combiner,
        calibrator=calibrator if prevalence is None else ForPrevalence(calibrator, prevalence),
        policy=policy,
        groups=groups,
        n_folds=n_folds,
        seed=seed,
    )


def relearn_cascade(
    cascade: Cascade,
    decision: Decision,
    logits: ArrayLike,
    y: ArrayLike,
    *,
    what: What,
    calibrator: CalibratorLearner | None = None,
    prevalence: float | None = None,
    groups: ArrayLike | None = None,
    seed: int,
) -> Cascade:
    """Learn the bands of a cascade again for a decision that `relearn` returned.

    What the stages say is learned again if, and as, what the whole ensemble says was: for the same
    prevalence, by the same kind of calibrator.

    Parameters
    ----------
    cascade : Cascade
        Says which members are asked in which order.
    decision : Decision
        The new one.
    logits, y, what, calibrator, prevalence, groups, seed
        As `relearn` had them.

    Returns
    -------
    cascade : Cascade

    Raises
    ------
    DataError
        As `learn_cascade`.
    """
    order = [*dict.fromkeys(column for stage in cascade.stages for column in stage.columns)]
    learner = TemperatureScaling() if calibrator is None else calibrator
    if prevalence is not None and what != "threshold":
        learner = ForPrevalence(learner, prevalence)
    kept = {frozenset(stage.columns): Kept(stage.calibrator) for stage in cascade.stages}
    learners = [
        kept.get(frozenset(columns), learner) if what == "threshold" else learner
        for columns in stage_columns(order, decision.combiner.n_members)
    ]
    return learn_cascade(
        decision, logits, y, order=order, calibrator=learners, groups=groups, seed=seed
    )


def policy_at(policy: Policy, prevalence: float | None) -> Policy:
    """Return the policy with this prevalence, if it depends on one and has none of its own.

    Raises
    ------
    ValueError
        If the prevalence is out of range.

    Examples
    --------
    >>> from synthdetect.ensemble.policies import FBeta
    >>> policy_at(FBeta(), 0.02)
    FBeta(beta=1.0, prevalence=0.02)
    """
    if prevalence is None:
        return policy
    check_share("calibrate", "prevalence", prevalence)
    if getattr(policy, "prevalence", prevalence) is not None:
        return policy
    return replace(policy, prevalence=prevalence)  # type: ignore[type-var]
