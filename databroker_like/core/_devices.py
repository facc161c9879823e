"""The devices of a stream, each as the stream of its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from databroker_like.core._intake import CatalogBase
from databroker_like.core._persistence import NotPersisted
from databroker_like.errors import NoSuchColumn, listed, nearest

__all__ = ["Devices"]


class DeviceMap(Mapping[str, Any]):
    """Device -> the stream that reads its configuration."""

    def __init__(self, stream: Any, sub_dict: str) -> None:
        self._stream = stream
        self._sub_dict = sub_dict

    def _names(self) -> list[str]:
        return list(
            dict.fromkeys(
                name
                for descriptor in self._stream._descriptors
                for field in ("object_keys", "configuration")
                for name in descriptor.get(field, {})
            )
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __getitem__(self, name: str) -> Any:
        names = self._names()
        if name not in names:
            near = listed(nearest(name, names) or names)
            raise NoSuchColumn(f"no device {name!r} in {self._stream._where}; it has {near}")
        return self._stream.configure_new(configuration_for=name, sub_dict=self._sub_dict)


class Devices(NotPersisted, CatalogBase):
    """The devices of a stream, each as the stream of its configuration."""

    container = "catalog"
    name = "configuration"

    def __init__(self, *, stream: Any, sub_dict: str, **kwargs: Any) -> None:
        self._devices = DeviceMap(stream, sub_dict)
        super().__init__(**kwargs)

    def _make_entries_container(self) -> Mapping[str, Any]:
        return self._devices

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or "_devices" not in self.__dict__:
            raise AttributeError(name)
        try:
            return self._devices[name]
        except NoSuchColumn as error:
            raise AttributeError(f"{self.name} has no attribute {name!r}, and there is {error}") from None
