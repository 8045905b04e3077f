"""What all HTML pages are made of: one file, pictures inside, no script, nothing fetched."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any

from synthdetect.evaluation.displays import drawn
from synthdetect.evaluation.frame import framed
from synthdetect.evaluation.table import Table

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
