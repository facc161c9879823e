"""What came of a transfer: counts, and what failed and why."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any

from databroker_like.errors import DatabrokerError

__all__ = ["Tallies", "TransferReport"]

_SHOWN = 10


def _frozen(value: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(value))


@dataclass(frozen=True)
class TransferReport:
    """What came of copying, packing or unpacking.

    Parameters
    ----------
    what : str
        In words, as ``"copied"``.
    to : str
        Where to.
    copied : tuple of str
        The uids of the runs that were moved.
    continued : tuple of str
        Those of them of which a part was there before.
    skipped : tuple of str
        Those that were there already.
    failed : mapping
        uid -> why, of those that could not be moved.
    documents : int
        Documents written, each event and datum counted for itself.
    files : int
        External files written.
    bytes : int
        How much that was.
    root_map : mapping
        The root of external files as recorded -> where they are now.
    issues : tuple of str
        What could not be done and is no failure, such as an external file that is not there.

    Examples
    --------
    >>> TransferReport("copied", "my catalog", copied=("a", "b"), skipped=("c",), documents=12)
    <TransferReport: 2 runs copied to my catalog, 1 there already; 12 documents>
    """

    what: str
    to: str
    copied: tuple[str, ...] = ()
    continued: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    documents: int = 0
    files: int = 0
    bytes: int = 0
    root_map: Mapping[str, str] = field(default_factory=dict)
    issues: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "failed", _frozen(self.failed))
        object.__setattr__(self, "root_map", _frozen(self.root_map))

    def __reduce__(self) -> tuple[Any, ...]:
        values = (getattr(self, one.name) for one in fields(self))
        return type(self), tuple(dict(value) if isinstance(value, Mapping) else value for value in values)

    @property
    def ok(self) -> bool:
        """Whether no run failed."""
        return not self.failed

    def raise_if_failed(self) -> None:
        """Raise when a run failed.

        Raises
        ------
        DatabrokerError
            With the runs that failed, and why.
        """
        if self.failed:
            raise DatabrokerError(f"{len(self.failed)} runs were not {self.what}:\n" + "\n".join(self._failures()))

    def _headline(self) -> str:
        said = f"{_number(len(self.copied), 'run')} {self.what} to {self.to}"
        if self.continued:
            said += f" ({len(self.continued)} continued)"
        if self.skipped:
            said += f", {len(self.skipped)} there already"
        if self.failed:
            said += f", {len(self.failed)} FAILED"
        said += f"; {_number(self.documents, 'document')}"
        if self.files:
            said += f", {_number(self.files, 'external file')} ({_size(self.bytes)})"
        return said

    def _failures(self) -> list[str]:
        return _some([f"  {uid}: {why}" for uid, why in self.failed.items()])

    def __str__(self) -> str:
        lines = [self._headline()]
        lines += self._failures()
        if self.issues:
            lines += [f"{_number(len(self.issues), 'issue')}:", *_some([f"  {issue}" for issue in self.issues])]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def _some(lines: list[str]) -> list[str]:
    return lines if len(lines) <= _SHOWN else [*lines[:_SHOWN], f"  and {len(lines) - _SHOWN} more"]


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}".replace(",", " ")


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@dataclass
class Tallies:
    """A report in the making."""

    copied: list[str] = field(default_factory=list)
    continued: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    documents: int = 0
    files: int = 0
    bytes: int = 0
    root_map: dict[str, str] = field(default_factory=dict)
    issues: list[str] = field(default_factory=list)

    def report(self, what: str, to: str) -> TransferReport:
        """The report, as it stands."""
        return TransferReport(
            what,
            to,
            tuple(self.copied),
            tuple(self.continued),
            tuple(self.skipped),
            self.failed,
            self.documents,
            self.files,
            self.bytes,
            self.root_map,
            tuple(dict.fromkeys(self.issues)),
        )
