"""Revision: one time that the metadata of a run was amended."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DocumentKey", "Revision"]

#: The kind of a document and its uid.
DocumentKey = tuple[str, str]


@dataclass(frozen=True)
class Revision:
    """One time that the metadata of a run was amended: when, by whom, why, and in which documents.

    Parameters
    ----------
    number : int
        1 is the first time; 0 is what was recorded, which nobody amended.
    time : float
        Seconds since the epoch.
    author : str
    reason : str
    changed : tuple of (str, str)
        Kind and uid of the documents that became others.

    Examples
    --------
    >>> print(Revision(1, 1700000000.0, "ada", "the sample was silver", (("start", "41fb8ca9"),)))
    revision 1 by ada: the sample was silver (start)
    """

    number: int
    time: float
    author: str
    reason: str
    changed: tuple[DocumentKey, ...]

    def __str__(self) -> str:
        kinds = ", ".join(dict.fromkeys(name for name, _ in self.changed))
        return f"revision {self.number} by {self.author}: {self.reason} ({kinds})"
