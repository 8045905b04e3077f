"""An `Evaluation` as one HTML page: pictures inside, no script, nothing fetched."""

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from synthdetect.evaluation.interval import Estimate
from synthdetect.evaluation.page import gallery, page, picture, table
from synthdetect.evaluation.text import (
    GAP_HEADER,
    GROUP_HEADER,
    gap_cells,
    group_cells,
    heading,
    interval,
    number,
    predictive_cells,
    sections,
)

if TYPE_CHECKING:
    from synthdetect.evaluation.figures import Evaluation

_PICTURES = (
    (
        "plot_scores",
        "Scores",
        "How many images got which probability. Where the two kinds overlap, no threshold is right "
        "for all.",
    ),
    (
        "plot_confusion",
        "Right and wrong decisions",
        "Rows are what the images are, columns what was decided.",
    ),
    (
        "plot_threshold",
        "What another threshold would do",
        "Moving it right flags fewer photographs and misses more synthetic images. The cost counts "
        "both errors the same.",
    ),
    (
        "plot_roc",
        "ROC curve",
        "Synthetic images found against photographs flagged, over all thresholds. The nearer to "
        "the upper left corner, the better.",
    ),
    (
        "plot_precision_recall",
        "Precision and recall",
        "Share of alarms that are right against synthetic images found, at this data's share of "
        "synthetic images.",
    ),
    (
        "plot_det",
        "DET curve",
        "Both error rates on scales that spread small ones. The nearer to the lower left corner, "
        "the better.",
    ),
    (
        "plot_reliability",
        "Do the probabilities mean what they say?",
        "Points on the diagonal do. Points inside the grey band differ from it by no more than "
        "chance would.",
    ),
)


def as_html(evaluation: "Evaluation", *, title: str = "") -> str:
    """Return the report as one HTML page.

    Parameters
    ----------
    evaluation : Evaluation
    title : str
        By default it says what was measured.

    Returns
    -------
    html : str

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    title = title or "How well real photographs and synthetic images are told apart"
    return page(title, body(evaluation, title))


def body(evaluation: "Evaluation", title: str) -> list[str]:
    """Return the parts of the page, from its heading on; errors are those of `as_html`."""
    return [
        *_summary(evaluation, title),
        *_in_use(evaluation),
        *gallery(
            "Pictures",
            (
                picture(getattr(evaluation, method), name, caption)
                for method, name, caption in _usable_pictures(evaluation)
            ),
        ),
        *_figures(evaluation),
        *_groups(evaluation),
        *_method(evaluation),
    ]


def _summary(evaluation: "Evaluation", title: str) -> list[str]:
    one = evaluation
    (n_right_real, _), (_, n_found) = one.confusion
    level = f"{one.confidence * 100:g} %"
    cards = [
        ("Judged rightly", one.accuracy, ".2%", "of all images"),
        ("Photographs flagged", one.false_positive_rate, ".2%", "of real photographs"),
        ("Synthetic images missed", one.false_negative_rate, ".2%", "of synthetic images"),
        ("AUROC", one.auroc, ".4f", "1 perfect, 0.5 guessing"),
    ]
    return [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">Of {one.n:,} images, {n_right_real + n_found:,} were judged rightly: '
        f"{number(one.accuracy.value, '.2%')}. The {level} interval, which says what chance in the "
        f"choice of images may do, is {interval(one.accuracy, '.2%')}.</p>",
        f'<p class="soft">{escape(heading(one))}</p>',
        *([f'<p class="note">{escape(one.note)}</p>'] if one.note else []),
        '<ul class="cards">',
        *(_card(name, figure, spec, words, level) for name, figure, spec, words in cards),
        "</ul>",
    ]


def _card(name: str, figure: Estimate, spec: str, words: str, level: str) -> str:
    return (
        f"<li><span>{escape(name)}</span><strong>{number(figure.value, spec)}</strong>"
        f'<span class="soft">{interval(figure, spec)} ({level} interval)</span>'
        f'<span class="soft">{escape(words)}, n\u00a0=\u00a0{figure.n:,}</span></li>'
    )


def _in_use(evaluation: "Evaluation") -> list[str]:
    header = ("share of synthetic images", "alarms that are right", "all-clears that are right")
    return [
        "<h2>What an alarm is worth in use</h2>",
        "<p>An alarm is less certain than it looks where synthetic images are rare, as the many "
        "photographs then make most of the alarms. At 1 % synthetic images, a detector that finds "
        "95 % of them and wrongly flags 5 % of the photographs is right in only 16 % of its "
        "alarms. With the rates measured here:</p>",
        table(header, predictive_cells(evaluation), "With intervals in brackets"),
        "<p>So never take an alarm as the only evidence against a person.</p>",
    ]


def _figures(evaluation: "Evaluation") -> list[str]:
    header = ("figure", "value", f"{evaluation.confidence * 100:g} % interval", "n", "meaning")
    (tn, fp), (fn, tp) = (tuple(f"{n:,}" for n in row) for row in evaluation.confusion)
    counts = [("real", tn, fp), ("synthetic", fn, tp)]
    parts = ["<h2>All figures</h2>"]
    parts += [table(("truth", "decided real", "decided synthetic"), counts, "Confusion matrix")]
    for title, rows in sections(evaluation):
        cells = [(*row.cells(), row.meaning) for row in rows]
        parts += [f"<h3>{escape(title)}</h3>", table(header, cells, "", words=True)]
    return parts


def _groups(evaluation: "Evaluation") -> list[str]:
    if not evaluation.groupings:
        return []
    parts = [
        "<h2>By group</h2>",
        "<p>Small groups have wide intervals, and some differ by chance. “More than noise?” says "
        "yes where chance alone would rarely give such a gap, with all gaps of this page counted "
        "in. “Not shown” is no proof that there is none.</p>",
    ]
    for name in evaluation.groupings:
        parts += [f"<h3>By {escape(name)}</h3>"]
        parts += [table(GROUP_HEADER, group_cells(evaluation, name), "With intervals in brackets")]
        if gaps := gap_cells(evaluation, name):
            parts += [table(GAP_HEADER, gaps, "Gaps between groups")]
    return parts


def _method(evaluation: "Evaluation") -> list[str]:
    level = f"{evaluation.confidence * 100:g} %"
    clusters = (
        "Images count as independent of each other."
        if evaluation.cluster is None
        else "Images of one cluster, such as one person, go together; the intervals allow for it."
    )
    return [
        "<h2>How to read this</h2>",
        "<p>n is the number of images behind a figure. Each interval is made so that about "
        f"{level} of such intervals, or more, hold the true figure; it says what chance in the "
        "choice of images may do, and nothing of other kinds of images than these. A dash stands "
        "where a figure describes these images only and has no interval. A threshold that was "
        f"chosen on the same images looks better than it is. {clusters}</p>",
        "<p>Rates: Clopper and Pearson. AUROC: DeLong. Average precision and partial AUROC: "
        "stratified bootstrap. Functions of two rates: Zou and Donner. Calibration errors: by "
        "simulation, corrected for noise; the plain ECE over 15 bins, which noise makes larger, is "
        f"{evaluation.plain_expected_calibration_error:.4f}. Gaps: permutation tests, adjusted by "
        "Benjamini and Hochberg.</p>",
    ]


def _usable_pictures(evaluation: "Evaluation") -> list[tuple[str, str, str]]:
    """Leave out curves that need both classes where there is one only."""
    if not np.isnan(evaluation.auroc.value):
        return list(_PICTURES)
    curves = ("plot_roc", "plot_precision_recall", "plot_det")
    return [one for one in _PICTURES if one[0] not in curves]
