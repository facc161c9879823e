"""Documents as tables of HTML, as far as a person reads them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

__all__ = ["documents_html"]

_ROWS = 40
_DEEP = 4
_LETTERS = 300


def documents_html(header: Any) -> str:
    """The start, the stop and the descriptors of a header, side by side.

    Parameters
    ----------
    header : Header

    Returns
    -------
    str
        Everything a document says is escaped, and cut where it is long.
    """
    descriptors = {str(doc.get("name", "primary")): doc for doc in header.descriptors}
    parts = (("Start", header.start), ("Descriptors", descriptors), ("Stop", header.stop))
    cells = "".join(
        f'<td style="vertical-align: top"><table><caption>{title}</caption>{_rows(doc, 0)}</table></td>'
        for title, doc in parts
    )
    return f"<table><tbody><tr>{cells}</tr></tbody></table>"


def _rows(doc: Mapping[str, Any], depth: int) -> str:
    shown = [
        f"<tr><th>{_text(key)}</th><td>{_cell(key, doc[key], depth)}</td></tr>" for key in sorted(doc, key=str)[:_ROWS]
    ]
    if len(doc) > _ROWS:
        shown.append(f"<tr><td colspan='2'>and {len(doc) - _ROWS} more</td></tr>")
    return "".join(shown)


def _cell(key: str, value: Any, depth: int) -> str:
    if isinstance(value, Mapping) and depth < _DEEP:
        return f"<table>{_rows(value, depth + 1)}</table>" if value else ""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and depth < _DEEP:
        cells = "".join(f"<tr><td>{_cell('', item, depth + 1)}</td></tr>" for item in value[:_ROWS])
        more = f"<tr><td>and {len(value) - _ROWS} more</td></tr>" if len(value) > _ROWS else ""
        return f"<table>{cells}{more}</table>" if value else ""
    if key == "time" and isinstance(value, int | float):
        try:
            return _text(datetime.fromtimestamp(value).isoformat(" ", "seconds"))
        except (OverflowError, OSError, ValueError):
            return _text(value)
    return _text(value)


def _text(value: Any) -> str:
    text = str(value)
    return html.escape(text if len(text) <= _LETTERS else text[:_LETTERS] + "…")
