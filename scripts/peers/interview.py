"""The questions that are put to a catalog of the recorded runs, whoever made it; and the answers, written down.

Only what databroker 1.2.5 and this project share is imported: the standard library.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["Interview"]


class Interview:
    """Puts the questions.

    Parameters
    ----------
    open_catalog : callable
        Gives a catalog of the recorded runs, opened anew: a read may change what is cached.
    external : Path
        The folder of the files that the runs refer to.
    encode : callable
        Writes an answer down.
    time_range : callable
        The class TimeRange.
    """

    def __init__(
        self,
        open_catalog: Callable[[], Any],
        external: Path,
        encode: Callable[[Any], Any],
        time_range: Callable[..., Any],
    ) -> None:
        self.open_catalog, self.external, self.encode, self.time_range = open_catalog, external, encode, time_range

    def answer(self, question: Callable[[], Any]) -> Any:
        """The answer to a question, or the error it raised, written down."""
        try:
            return self.encode(question())
        except Exception as error:  # noqa: BLE001  whatever it raises is its answer
            return self.encode(error)

    def about_run(self, path: Path) -> Iterator[tuple[str, Any]]:
        """Everything that is asked of the run in a file: name of the question, answer."""
        _, start = json.loads(path.read_text(encoding="utf-8").splitlines()[0])

        def run() -> Any:
            return self.open_catalog()[start["uid"]]

        def file_lists() -> list[list[str]]:
            resources = [doc for name, doc in run().documents(fill="no") if name == "resource"]
            return [[str(Path(f).relative_to(self.external)) for f in run().get_file_list(r)] for r in resources]

        streams = sorted(run())  # databroker gives them in the order of a set
        yield "streams", streams
        yield "metadata", self.answer(lambda: {key: run().metadata[key] for key in ("start", "stop")})
        for fill in ("no", "yes", "delayed"):
            yield (
                f"documents {fill}",
                self.answer(lambda fill=fill: [[n, dict(d)] for n, d in run().documents(fill=fill)]),  # type: ignore[misc]
            )
        yield "file list", self.answer(file_lists)
        for stream in streams:
            for question, answer in self._about_stream(run, stream):
                yield f"{stream}: {question}", answer

    def _about_stream(self, run: Callable[[], Any], stream: str) -> Iterator[tuple[str, Any]]:
        descriptors = [dict(d) for d in run()[stream].metadata["descriptors"]]
        keys = list(descriptors[0]["data_keys"])
        devices = sorted({device for d in descriptors for device in d["configuration"]})

        def narrowed(**kwargs: Any) -> Any:
            return run()[stream].configure_new(**kwargs).read()

        def excluding() -> Any:
            dataset = narrowed(exclude=keys[:1])
            return dataset[sorted(dataset.data_vars)]  # databroker gives them in the order of a set

        def shapes() -> dict[str, Any]:
            variables = run()[stream].to_dask().data_vars
            return {
                n: {"dims": list(v.dims), "shape": list(v.shape), "dtype": v.dtype.str} for n, v in variables.items()
            }

        yield "descriptors", self.encode(descriptors)
        yield "read", self.answer(lambda: run()[stream].read())
        yield "to_dask", self.answer(shapes)
        yield "include first", self.answer(lambda: narrowed(include=keys[:1]))
        yield "exclude first", self.answer(excluding)
        yield "include unknown", self.answer(lambda: narrowed(include=["nobody"]))
        yield "include and exclude", self.answer(lambda: narrowed(include=keys, exclude=keys))
        yield "timestamps", self.answer(lambda: run()[stream].timestamps.read())
        yield "configured devices", self.answer(lambda: sorted(run()[stream].config))
        for device in devices:
            yield f"config {device}", self.answer(lambda d=device: run()[stream].config[d].read())  # type: ignore[misc]
            yield (
                f"config_timestamps {device}",
                self.answer(lambda d=device: run()[stream].config_timestamps[d].read()),  # type: ignore[misc]
            )

    def about_catalog(
        self, lookups: list[Any], searches: list[dict[str, Any]], time_ranges: list[dict[str, Any]]
    ) -> Iterator[tuple[str, Any]]:
        """Lookups and searches: name of the question, uids."""
        yield "list", sorted(self.open_catalog())
        yield "len", len(self.open_catalog())
        for key in lookups:
            yield (
                f"catalog[{key!r}]",
                self.answer(lambda key=key: self.open_catalog()[key].metadata["start"]["uid"]),  # type: ignore[misc]
            )
        for query in searches:
            yield (
                f"search({query!r})",
                self.answer(lambda query=query: sorted(self.open_catalog().search(query))),  # type: ignore[misc]
            )
        for kwargs in time_ranges:
            yield (
                f"search(TimeRange(**{kwargs!r}))",
                self.answer(lambda kw=kwargs: sorted(self.open_catalog().search(self.time_range(**kw)))),  # type: ignore[misc]
            )
