"""What compression, scaling and sharing do to a detector: a stress test on a sample."""

import time
from collections.abc import Iterator, Sequence
from functools import partial

from synthdetect.auditing.section import Material, Picture, Section, Table
from synthdetect.data.sample import sample
from synthdetect.errors import DataError, MissingExtraError
from synthdetect.evaluation.displays import drawn
from synthdetect.evaluation.interval import Difference
from synthdetect.evaluation.robustness import Perturbed, Robustness
from synthdetect.evaluation.robustness_html import draw_family, families
from synthdetect.evaluation.robustness_text import tables
from synthdetect.images.limits import DEFAULT_LIMITS
from synthdetect.images.perturbations import BY_NAME
from synthdetect.stress import stress_test

# Half of what `synthdetect stress` measures, at half its cost: what happens to most images on their
# way, with levels enough for three curves, and the far ends of what happens to some.
MAIN = tuple(
    BY_NAME[name]
    for name in (
        *("jpeg-85", "jpeg-70", "jpeg-60", "jpeg-50", "jpeg-30"),
        *("webp-90", "webp-75", "webp-50"),
        *("scale-0.5", "scale-0.75", "scale-1.5", "scale-2.0"),
        *("thumbnail-128-back", "blur-1.0", "noise-5.0", "crop-0.9-centre", "crop-0.7"),
        *("brightness-0.6", "brightness-1.6", "contrast-0.6", "contrast-1.6"),
        *("screenshot-0.8-jpeg-80", "shared-1600-1080", "scale-0.5-jpeg-70"),
    )
)
_TITLE = "After compression, scaling and sharing"
# More decisions than this that turn when an image is only shipped again, beyond chance.
_FLIP_ALARM = 0.05


def robustness(material: Material) -> Section:
    """Whether rates and decisions stay when images are compressed, scaled and shared."""
    if material.stress_images == 0:
        return _left_out("no images were to be perturbed (stress_images is 0)")
    dataset = material.dataset
    drawn_images = sample(dataset, material.stress_images, seed=material.seed)
    n, begin = len(drawn_images), time.perf_counter()
    try:
        with material.progress("images under stress", n) as advance:
            found = stress_test(
                material.detector,
                drawn_images,
                perturbations=MAIN,
                seed=material.seed,
                confidence=material.evaluation.confidence,
                limits=material.detector.limits or DEFAULT_LIMITS,
                workers=material.detector.workers,
                advance=advance,
            ).robustness
    except DataError as error:
        return _left_out(str(error))
    seconds = time.perf_counter() - begin
    first = found.rows[0]
    words = [
        f"{first.n} of {len(dataset)} images ({first.n_real} real, {first.n_synthetic} synthetic), "
        "drawn with classes and sources in proportion, each as it is and in "
        f"{len(found.rows) - 1} other forms; it took {seconds:.0f} s. Rates are those at the "
        f"threshold, {found.confidence * 100:g} % intervals, seed {found.seed}.",
        "So few images show large changes only: one that does not show may be there. "
        "`synthdetect stress` measures more images and about fifty forms.",
        *([found.note] if found.note else []),
    ]
    # The seconds are in the words alone: the values of two runs are equal.
    return Section(
        _TITLE,
        words,
        [Table(f"{t.title}. {t.note}".strip(), t.header, t.rows) for t in tables(found)],
        _curves(found),
        tuple(_attention(found)),
        found.to_dict(),
    )


def _left_out(reason: str) -> Section:
    line = f"Robustness was not measured: {reason}."
    return Section(_TITLE, [line], attention=[line], values={"left_out": reason})


def _attention(found: Robustness) -> Iterator[str]:
    """Say what moves beyond chance, the worst of each kind, with all tests counted in."""
    rows = found.rows[1:]
    flagged = [row.false_positive_rate_change for row in rows]
    caught = [row.true_positive_rate_change for row in rows]
    shown = _beyond_chance([*flagged, *caught], 1 - found.confidence)
    rises = [i for i, change in enumerate(flagged) if shown[i] and change.value > 0]
    falls = [i for i, change in enumerate(caught) if shown[len(rows) + i] and change.value < 0]
    first = found.rows[0]
    if rises:
        worst = rows[max(rises, key=lambda i: flagged[i].value)]
        yield (
            f"Under {worst.name}, {worst.false_positive_rate:.1%} of real images are flagged, "
            f"{first.false_positive_rate:.1%} untouched (n = {worst.n_real}). The rate rises, more "
            f"than chance would, under {len(rises)} of {len(rows)} perturbations."
        )
    if falls:
        worst = rows[min(falls, key=lambda i: caught[i].value)]
        yield (
            f"Under {worst.name}, {worst.true_positive_rate:.1%} of synthetic images are found, "
            f"{first.true_positive_rate:.1%} untouched (n = {worst.n_synthetic}). The rate falls, "
            f"more than chance would, under {len(falls)} of {len(rows)} perturbations."
        )
    flips = found.flips
    if flips.any.low > _FLIP_ALARM:
        worst_form = max(flips.by_form, key=lambda name: flips.by_form[name].value)
        yield (
            f"{flips.any:.1%} of decisions flip when an image is shipped again in one of "
            f"{len(flips.by_form)} ordinary ways (n = {flips.n}), {flips.by_form[worst_form]:.1%} "
            f"by {worst_form}. Asking for stability calls such images uncertain."
        )


def _beyond_chance(changes: Sequence[Difference], tail: float) -> list[bool]:
    """Say which changes are shown, by Benjamini and Hochberg; those of no image are not."""
    from scipy.stats import false_discovery_control

    p_values = [change.p_value if change.n else 1.0 for change in changes]
    return [bool(p < tail) for p in false_discovery_control(p_values)]


def _curves(found: Robustness) -> list[Picture]:
    try:
        return [
            Picture(name, drawn(partial(draw_family, rows, found.rows[0])), _told(rows), chart=True)
            for name, rows in families(found).items()
        ]
    except MissingExtraError:  # the page, the only place for pictures, needs matplotlib too
        return []


def _told(rows: Sequence[Perturbed]) -> str:
    """Return the curve in words, for whoever does not see it."""
    flagged = ", ".join(f"{row.level:g}: {row.false_positive_rate.value:.0%}" for row in rows)
    caught = ", ".join(f"{row.level:g}: {row.true_positive_rate.value:.0%}" for row in rows)
    return (
        f"By {rows[0].family}, real images flagged (n = {rows[0].n_real}) at {flagged}; synthetic "
        f"images found (n = {rows[0].n_synthetic}) at {caught}. Bars: intervals. Dashed: untouched."
    )
