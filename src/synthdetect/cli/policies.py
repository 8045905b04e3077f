"""The policies of `synthdetect calibrate`: their names, their options, and how one is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from synthdetect.ensemble.threshold import Policy


class PolicyName(StrEnum):
    """How the threshold is chosen."""

    youden = "youden"
    cost = "cost"
    f_beta = "f-beta"
    max_fpr = "max-fpr"
    min_recall = "min-recall"
    min_precision = "min-precision"
    equal_error = "equal-error"
    fixed = "fixed"
    band = "band"
    conformal_band = "conformal-band"


@dataclass(frozen=True)
class PolicyOptions:
    """The policy of a name.

    Parameters
    ----------
    policy : str
        Its name in `synthdetect`.
    needs, takes : tuple of str
        Its parameters: those that must be given, and those that may be.
    """

    policy: str
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()


POLICIES = {
    PolicyName.youden: PolicyOptions("Youden"),
    PolicyName.cost: PolicyOptions(
        "CostWeighted", takes=("false_positive", "false_negative", "prevalence")
    ),
    PolicyName.f_beta: PolicyOptions("FBeta", takes=("beta", "prevalence")),
    PolicyName.max_fpr: PolicyOptions("MaxFPR", needs=("alpha",), takes=("confidence",)),
    PolicyName.min_recall: PolicyOptions("MinRecall", needs=("recall",), takes=("confidence",)),
    PolicyName.min_precision: PolicyOptions(
        "MinPrecision", needs=("precision",), takes=("prevalence", "confidence")
    ),
    PolicyName.equal_error: PolicyOptions("EqualError"),
    PolicyName.fixed: PolicyOptions("Fixed", needs=("value",)),
    PolicyName.band: PolicyOptions(
        "Band", takes=("false_positive", "false_negative", "review", "prevalence")
    ),
    PolicyName.conformal_band: PolicyOptions("ConformalBand", takes=("alpha",)),
}


def policy_of(name: PolicyName, options: Mapping[str, float | None]) -> "Policy":
    """Make the policy of its options.

    Parameters
    ----------
    name : PolicyName
    options : mapping of str to float or None
        By the policies' parameters; None is not given.

    Returns
    -------
    policy : Policy

    Raises
    ------
    typer.BadParameter
        If an option is missing, belongs to another policy, or is out of range.
    """
    import synthdetect

    wanted = POLICIES[name]
    given: dict[str, Any] = {key: value for key, value in options.items() if value is not None}
    for key in given:
        if key not in (*wanted.needs, *wanted.takes):
            owners = ", ".join(
                other for other, of in POLICIES.items() if key in of.needs + of.takes
            )
            raise typer.BadParameter(
                f"does not belong to --policy {name}; it goes with {owners}", param_hint=_flag(key)
            )
    for key in wanted.needs:
        if key not in given:
            raise typer.BadParameter(f"--policy {name} needs it", param_hint=_flag(key))
    make: Any = getattr(synthdetect, wanted.policy)
    try:
        policy: Policy = make(**given)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--policy") from error
    return policy


def _flag(parameter: str) -> str:
    return f"--{parameter.replace('_', '-')}"
