"""Where and how data lies on a server, as the server says it."""

from __future__ import annotations

from typing import Any

__all__ = ["Asset", "DataSource"]


class _Said(dict[str, Any]):
    """A dictionary whose keys are attributes as well."""

    def __getattr__(self, name: str) -> Any:
        if name in self.__annotations__:
            # What a server does not say is not known.
            return self.get(name)
        raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(self.__annotations__)}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.items())})"


class Asset(_Said):
    """A file or a folder that holds data: a dictionary, whose keys are attributes as well.

    Examples
    --------
    >>> Asset({"data_uri": "file://localhost/data/a.h5", "is_directory": False}).data_uri
    'file://localhost/data/a.h5'
    """

    data_uri: str
    is_directory: bool
    parameter: str | None
    num: int | None
    size: int | None
    id: int | None


class DataSource(_Said):
    """Where and how the data of a node lies: a dictionary, whose keys are attributes as well.

    Examples
    --------
    >>> told = {"mimetype": "application/x-hdf5", "assets": [{"id": 3, "data_uri": "file://localhost/data/a.h5"}]}
    >>> source = DataSource(told)
    >>> source.mimetype, source["mimetype"], source.assets[0].id, source.structure
    ('application/x-hdf5', 'application/x-hdf5', 3, None)
    """

    structure_family: str
    structure: dict[str, Any] | None
    id: int | None
    mimetype: str | None
    parameters: dict[str, Any]
    properties: dict[str, Any]
    assets: list[Asset]
    management: str

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told)
        self["assets"] = [Asset(asset) for asset in told.get("assets") or ()]
