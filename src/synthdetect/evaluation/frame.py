"""A picture in a page, with its heading, its caption and words for who cannot see it."""

from html import escape


def framed(title: str, source: str, caption: str) -> str:
    """Return a figure of HTML; `source` is a data URL, and an empty title is left away."""
    heading = f"<h3>{escape(title)}</h3>" if title else ""
    told = escape(f"{title}. {caption}" if title else caption)
    return (
        f'<figure>{heading}<img alt="{told}" src="{source}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
