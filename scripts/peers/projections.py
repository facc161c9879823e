"""What is asked about projections, of databroker 1.2.5 and of this project alike; it imports neither."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["about", "cases", "with_projections"]


def cases(data: Path) -> list[dict[str, Any]]:
    """The cases: a run, the projections it carries, and what is handed in."""
    found: list[dict[str, Any]] = json.loads((data / "projections.json").read_text(encoding="utf-8"))
    return found


def about(
    case: dict[str, Any],
    module: Any,
    open_run: Callable[[], Any],
    encode: Callable[[Any], Any],
    **more: Any,
) -> dict[str, Any]:
    """What the functions of a module give for one case; an error in the place of an answer.

    Parameters
    ----------
    case : dict
    module : module
        ``databroker.projector``, or ours.
    open_run : callable
        Gives the run.
    encode : callable
        Makes JSON of an answer.
    **more
        Handed on to what projects columns.

    Returns
    -------
    dict
        By the name of what was asked.
    """
    named = {key: case[key] for key in ("projection", "projection_name") if key in case}
    summary = {**named, **({"return_fields": case["return_fields"]} if "return_fields" in case else {})}

    def callbacks(run: Any) -> Any:
        heard: list[Any] = []
        projector = module.Projector(
            metadata_cb=lambda *args: heard.append(["metadata", *args]),
            event_configuration_cb=lambda *args: heard.append(["configuration", *args]),
            event_field_cb=lambda *args: heard.append(["field", *args]),
            **more,
        )
        returned = projector.project(run, **named)
        return {"heard": heard, "issues": projector.issues, "returned": returned}

    asked: dict[str, Callable[[Any], Any]] = {
        "get_run_projection": lambda run: module.get_run_projection(run, case.get("projection_name")),
        "project_xarray": lambda run: module.project_xarray(run, **named, **more),
        "project_summary_dict": lambda run: module.project_summary_dict(run, **summary),
        "Projector": callbacks,
    }
    found = {}
    for name, call in asked.items():
        try:
            found[name] = encode(call(open_run()))
        except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
            found[name] = encode(error)
    return found


def with_projections(case: dict[str, Any], data: Path, folder: Path | None = None) -> tuple[str, str]:
    """A file with the run of a case, its start document with the projections of the case; and the run's uid."""
    lines = (data / "runs" / f"{case['run']}.jsonl").read_text(encoding="utf-8").splitlines()
    documents = [json.loads(line) for line in lines]
    if case.get("projections") is not None:
        documents[0][1]["projections"] = case["projections"]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", dir=folder, delete=False) as file:
        file.writelines(f"{json.dumps(document)}\n" for document in documents)
    return file.name, documents[0][1]["uid"]
