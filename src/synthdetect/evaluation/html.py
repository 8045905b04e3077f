"""An `Evaluation` as one HTML page: pictures inside, no script, nothing fetched."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from synthdetect.evaluation.displays import drawn
from synthdetect.evaluation.frame import framed
from synthdetect.evaluation.interval import Estimate
from synthdetect.evaluation.table import Table
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
    from synthdetect.evaluation.evaluate import Evaluation

_STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #4a5565; --line: #d5dae1;
  --page: #f4f6f8; --card: #ffffff; --accent: #14548c; --note: #fff4d6; --mark: #c2410c; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8ecf1; --soft: #b3bdca; --line: #3a4554;
  --page: #12171e; --card: #1b222c; --accent: #7cbcf0; --note: #3a3217; --mark: #fb923c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.3rem; margin: 2.75rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
p { max-width: 46rem; margin: .4rem 0 .8rem; }
.lead { font-size: 1.15rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
.note { background: var(--note); border-left: 4px solid #b7791f; padding: .6rem .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1rem;
  margin: 1.25rem 0; padding: 0; list-style: none; }
.cards li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .9rem 1rem; }
.cards strong { display: block; font-size: 1.75rem; line-height: 1.2; color: var(--accent);
  font-variant-numeric: tabular-nums; }
.cards span { display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); margin: .5rem 0 1rem; width: 100%;
  font-size: .93rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: .25rem 0; max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { min-width: 5.5rem; padding: .4rem .7rem; border: 1px solid var(--line); text-align: right;
  vertical-align: top; }
th:first-child, td:first-child, .words td:last-child, .words th:last-child { text-align: left; }
.words td:last-child { min-width: 14rem; }
tbody th { min-width: 8.5rem; font-weight: 600; overflow-wrap: anywhere; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(25rem, 1fr));
  gap: 1.25rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; padding: .75rem; }
figure h3 { margin-top: .25rem; }
figure img { width: 100%; height: auto; display: block; background: #fff; border-radius: .25rem; }
figcaption { margin-top: .5rem; }
figure svg { display: block; min-width: 34rem; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem;
  overflow-wrap: anywhere; }
@media (max-width: 30rem) { .pictures { grid-template-columns: 1fr; } }
@media print { body { background: #fff; } .cards li, figure, table { break-inside: avoid; } }
"""

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


def page(title: str, parts: Sequence[str]) -> str:
    """Return a whole page of parts of its body; the title is escaped here, the parts are not."""
    # A number stays on one line with its sign.
    body = "\n".join(parts).replace(" %", "\N{NO-BREAK SPACE}%")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def opening(title: str, lead: str, notes: Sequence[str] = ()) -> list[str]:
    """Return the top of a page: its heading, what it is about, and notes; escaped here."""
    return [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(lead)}</p>',
        *(f'<p class="note">{escape(note)}</p>' for note in notes),
    ]


def titled(tables: Iterable[Table]) -> Iterator[str]:
    """Yield tables, each below its title."""
    for one in tables:
        yield f"<h2>{escape(one.title)}</h2>"
        yield table(one.header, one.rows, one.note)


def gallery(title: str, pictures: Iterable[str]) -> list[str]:
    """Return figures, as `picture` makes them, side by side below a heading."""
    return [f"<h2>{escape(title)}</h2>", '<div class="pictures">', *pictures, "</div>"]


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


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, *, words: bool = False
) -> str:
    """Return a table whose first cells head their rows; every text is escaped here."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    kind = ' class="words"' if words else ""
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table{kind}>{told}<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _usable_pictures(evaluation: "Evaluation") -> list[tuple[str, str, str]]:
    """Leave out curves that need both classes where there is one only."""
    if not np.isnan(evaluation.auroc.value):
        return list(_PICTURES)
    curves = ("plot_roc", "plot_precision_recall", "plot_det")
    return [one for one in _PICTURES if one[0] not in curves]


def picture(draw: Callable[[Any], Any], title: str, caption: str) -> str:
    """Return a figure of the page.

    Parameters
    ----------
    draw : callable
        Draws on the matplotlib Axes that it is given.
    title, caption : str

    Returns
    -------
    html : str
        With the picture inside.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    return framed(title, drawn(draw), caption)
