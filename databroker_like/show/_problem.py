"""What is shown of something that cannot be read any more: a notebook shows a reason, never a traceback."""

from __future__ import annotations

import html
from collections.abc import Callable

from databroker_like.errors import DatabrokerError

__all__ = ["shown"]


def shown(render: Callable[[], str], what: str, *, as_html: bool = False) -> str:
    """What a function shows; or, where that cannot be read any more, what it is and why.

    Parameters
    ----------
    render : callable
        ``() -> str``.
    what : str
        What is shown, in words.
    as_html : bool
        Whether it is HTML that is asked for; False by default.

    Returns
    -------
    str

    Examples
    --------
    >>> shown(lambda: "three streams", "run 41fb8ca9")
    'three streams'
    """
    try:
        return render()
    except (DatabrokerError, OSError) as error:
        text = f"<{what}: {error}>"
        return f"<pre>{html.escape(text)}</pre>" if as_html else text
