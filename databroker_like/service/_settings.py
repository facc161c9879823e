"""The settings of a service: limits on what a stranger may ask for."""

from __future__ import annotations

from dataclasses import dataclass

from databroker_like.errors import Invalid, listed

__all__ = ["Settings"]

_COMPRESSION = ("auto", "always", "never")


@dataclass(frozen=True)
class Settings:
    """Limits on what may be asked for.

    Parameters
    ----------
    most_reply_bytes : int
        Of the data in one reply, before it is encoded; 300 MB by default.
    most_held_bytes : int
        Of the data in all replies that are being made or sent, before it is encoded; 2 GB by default. Who asks for
        more meanwhile is told to ask again.
    most_body_bytes : int
        Of a request; 1 MB by default.
    most_items : int
        On a page of a listing; 300 by default.
    most_keys : int
        On a page of keys alone, which costs little; 2 000 by default.
    most_filters : int
        In a search; 32 by default.
    deepest : int
        Containers in one another that are sent as one, and values in one another in a query; 32 by default.
    most_nodes : int
        That one reply may take together from inside a container; 10 000 by default.
    most_files : int
        In the list of what is in a folder; 100 000 by default.
    most_idle_seconds : int
        For which a caller may take nothing of a large answer, before it is given up; 60 by default.
    compression : {"auto", "always", "never"}
        Whether answers are compressed for who takes them so, and gains by it; by default for all but those who are on
        the same machine.

    Raises
    ------
    Invalid
        When a number is not positive, or there is no such choice.

    Examples
    --------
    >>> Settings(most_items=100).most_items
    100
    """

    most_reply_bytes: int = 300_000_000
    most_held_bytes: int = 2_000_000_000
    most_body_bytes: int = 1_000_000
    most_items: int = 300
    most_keys: int = 2_000
    most_filters: int = 32
    deepest: int = 32
    most_nodes: int = 10_000
    most_files: int = 100_000
    most_idle_seconds: int = 60
    compression: str = "auto"

    def __post_init__(self) -> None:
        if self.compression not in _COMPRESSION:
            raise Invalid(f"the setting 'compression' is {listed(_COMPRESSION)}, not {self.compression!r}")
        for name, value in vars(self).items():
            if name == "compression":
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise Invalid(f"the setting {name!r} is a positive number, not {value!r}")
