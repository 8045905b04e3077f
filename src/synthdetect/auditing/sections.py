"""The parts of an audit, each a function of the same material."""

import platform
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import synthdetect
from synthdetect.auditing.robustness import robustness
from synthdetect.auditing.section import Material, Picture, Section, Table
from synthdetect.data.dataset import CLASSES
from synthdetect.errors import ImageError
from synthdetect.evaluation.interval import Rate, rate_of
from synthdetect.images.decode import decode, source_name
from synthdetect.images.limits import DEFAULT_LIMITS
from synthdetect.images.pictures import data_uri, resized

# Fewer of a class than this and its rate is known to no better than 10 % either way.
_FEW = 100
# Probabilities that are wrong by more than this, beyond what noise explains, mislead a reader.
_CALIBRATION_ALARM = 0.05
# A cascade is learned to change one decision in a thousand.
_CASCADE_ALARM = 0.01
_N_NEAREST, _N_WRONG, _SIDE = 12, 12, 160


def what_was_measured(material: Material) -> Section:
    """Which detector, on which images, with which versions."""
    detector, dataset = material.detector, material.dataset
    n_unread = len(material.card.unreadable)
    attention = []
    for value, name in enumerate(CLASSES):
        if (n := int(np.sum(dataset.y == value))) < _FEW:
            attention.append(f"Only {n} {name} images: the rates of that class are poorly known.")
    if n_unread:
        attention.append(
            f"{n_unread} of {material.card.n} images could not be read and are not in any figure."
        )
    trained_on = (detector.facts_.get("training_data") or {}).get("manifest_sha256")
    own = bool(dataset.sha256) and dataset.sha256 == trained_on
    if own and set(dataset.split.tolist()) != {"test"}:
        attention.append(
            "The detector was trained on this very manifest, and not only its test split was "
            "measured: figures are too good."
        )
    asked = _asked_in_turn(material)
    if asked and asked["changed"].low > _CASCADE_ALARM:
        attention.append(
            f"Asked in turn, its members decide {asked['changed']:.1%} of these images otherwise "
            f"than all together (n = {asked['changed'].n}): calibrate on images like these."
        )
    words = [
        "What it is, and what its bundle says of it:",
        *(line.strip() for line in detector.describe().splitlines()),
        f"Data: n = {len(dataset)}, manifest SHA-256 {dataset.sha256[:12] or 'none'}. "
        f"synthdetect {synthdetect.__version__}, Python {platform.python_version()}.",
    ]
    if asked:
        words.append(
            "Its members are asked in turn (mode 'cascade'), and so every probability and decision "
            f"here is. {asked['stopped']:.1%} of {asked['stopped'].n} images are decided before "
            f"the last members, {asked['changed']:.1%} otherwise than by all members together."
        )
    values = {
        "detector": detector.describe(),
        "manifest_sha256": dataset.sha256,
        "n": len(dataset),
        "unreadable": dict(material.card.unreadable),
        "synthdetect": synthdetect.__version__,
        "mode": detector.mode,
        "cascade": asked,
    }
    return Section("What was measured", words, attention=attention, values=values)


def _asked_in_turn(material: Material) -> dict[str, Rate] | None:
    """Return what a cascade does to these images; None where all members are always asked."""
    detector, logits = material.detector, material.logits
    if detector.mode != "cascade" or detector.cascade_ is None:
        return None
    decision = detector.decision_
    decide = decision.threshold.decide
    unasked = np.isnan(detector.cascade_.masked(decision.combiner, logits)) & ~np.isnan(logits)
    return {
        "stopped": rate_of(np.asarray(unasked.any(axis=1))),
        "changed": rate_of(decide(material.p) != decide(decision.probability(logits))),
    }


def figures(material: Material) -> Section:
    """What stands out in the evaluation, whose own part of the page has every figure."""
    one, attention = material.evaluation, []
    error = one.expected_calibration_error
    if error.low > _CALIBRATION_ALARM:
        attention.append(
            f"Probabilities are off by {error:.3f} on average (n = {error.n}), more than noise "
            "explains: calibrate on images like these with `what='probability'`."
        )
    worth = one.at_prevalence(0.01).synthetic
    if worth.value < 0.5:
        attention.append(
            f"Where 1 % of the images are synthetic, {worth:.1%} of alarms are right: "
            "most alarms would be false there."
        )
    for grouping, found in one.groupings.items():
        for rate, gap in found.gaps.items():
            if gap.p_adjusted < 1 - one.confidence:
                name, by = rate.replace("_", " "), gap.difference.value
                attention.append(
                    f"By {grouping}, the {name} differs by {by:.1%} ({gap.highest} against "
                    f"{gap.lowest}, n = {gap.difference.n}), more than chance would."
                )
    if not np.any(material.dataset.group != ""):
        attention.append(
            "The manifest has no column group: if several images show one person, intervals are "
            "too narrow."
        )
    return Section("Figures", attention=attention, values=one.to_dict())


def file_facts(material: Material) -> Section:
    """Whether formats, sizes and JPEG settings alone predict the label."""
    found = material.confounds
    title = "Do file facts tell the classes apart?"
    if isinstance(found, str):
        return Section(title, [f"Not checked: {found}"], values={"verdict": found})
    rows = [("all together", str(found.together)), *((k, str(v)) for k, v in found.alone.items())]
    table = Table("AUROC of file facts alone, with 95 % intervals", ("fact", "AUROC"), rows)
    attention = [f"Images give themselves away: {found.verdict}."] if found.alarming else []
    return Section(title, [f"{found.verdict}."], [table], (), attention, found.to_dict())


def data_card(material: Material) -> Section:
    """What the images are made of."""
    card = material.card
    classes = ", ".join(f"{n} {name}" for name, n in card.by_class.items())
    words = [f"{card.n} images: {classes}; {card.n_groups} groups."]
    words += [f"Not read: {name}: {reason}" for name, reason in card.unreadable.items()]
    tables = [Table(f"By {header[0]}", header, rows) for header, rows in card.tables()]
    return Section("Data card", words, tables, values=card.to_dict())


def nearest(material: Material) -> Section:
    """The images that a small move of the threshold would decide otherwise."""
    threshold = material.detector.threshold_
    order = np.argsort(np.abs(_log_odds(material.p) - _log_odds(np.array(threshold))))
    words = [
        f"Of all images these are the nearest to the threshold of {threshold:.4f}, by log-odds. "
        "Look whether they have something in common."
    ]
    return _gallery("Nearest to the threshold", words, material, order[:_N_NEAREST])


def most_wrong(material: Material) -> Section:
    """The images that the detector is surest of, and wrong."""
    wrong = np.flatnonzero(material.evaluation.called != (material.dataset.y == 1))
    order = wrong[np.argsort(-np.abs(_log_odds(material.p[wrong])), kind="stable")]
    words = [
        f"{len(wrong)} of {len(material.p)} images are judged wrongly; these are those of which "
        "the detector is surest. Check their labels first."
    ]
    return _gallery("Wrong and sure of it", words, material, order[:_N_WRONG])


def _gallery(title: str, words: list[str], material: Material, rows: NDArray[np.int64]) -> Section:
    dataset, pictures, listed = material.dataset, [], []
    for i in rows.tolist():
        name = source_name(dataset.images[i], i)
        label, p = CLASSES[dataset.y[i]], float(material.p[i])
        decision = str(material.detector.decision_.threshold.decide([p])[0])
        caption = f"{label}, called {decision}, P(synthetic) {p:.4f}: {name}"
        listed.append({"image": name, "label": label, "decision": decision, "p": p})
        try:
            limits = material.detector.limits or DEFAULT_LIMITS
            pixels = decode(dataset.images[i], name=name, limits=limits)
        except ImageError:  # it was there when it was scored
            continue
        pictures.append(Picture("", data_uri(resized(pixels, _SIDE)[0]), caption))
    return Section(title, words, pictures=pictures, values={"images": listed})


def _log_odds(p: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(p, 1e-300, 1 - 1e-16)
    return np.asarray(np.log(inside) - np.log1p(-inside))


# In the order of the page. A further part of the audit is a further function here.
SECTIONS: tuple[Callable[[Material], Section], ...] = (
    what_was_measured,
    figures,
    robustness,
    nearest,
    most_wrong,
    file_facts,
    data_card,
)
