"""Whatever is asked, by whomever: a sentence or an answer, never a failure of the service."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import schemathesis
import xarray as xr
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from databroker_like.nodes import (
    ArrayData,
    Asset,
    DataSource,
    MapNode,
    RaggedData,
    SparseData,
    TableData,
    dataset_node,
)
from databroker_like.tree import build_app
from databroker_like.tree.routes._all import API, ROUTES, VIEWS
from tests.tree.conftest import DocumentedMap

PATHS = [
    "",
    "grid",
    "table",
    "table/x",
    "inner",
    "inner/deep",
    "sparse",
    "ragged",
    "set",
    "set/t",
    "run",
    "file",
    "nope",
]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


class OfFiles(MapNode):
    """Is read of a file and of a folder."""

    def __init__(self, folder):
        super().__init__({})
        self.folder = folder

    def data_source(self):
        return DataSource("image/tiff", (Asset(self.folder / "a.bin", "a.bin"), Asset(self.folder, "f", True)))


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "a.bin").write_bytes(bytes(100))
    table = pd.DataFrame({"x": [1, 2, 3], "name": ["a", "b", "c"]})
    grid = np.arange(35.0).reshape(7, 5)
    dataset = xr.Dataset({"d": ("t", [1.0, 2.0])}, coords={"t": [1, 2]})
    tree = MapNode(
        {
            "grid": ArrayData(grid, chunks=((3, 3, 1), (2, 2, 1)), metadata={"color": "red", "n": 9}),
            "table": TableData(table, metadata={"color": "blue"}),
            "inner": MapNode({"deep": MapNode({"one": ArrayData(np.arange(3))})}, metadata={"tags": ["a", 5, None]}),
            "sparse": SparseData([[0, 3], [1, 2]], [1.5, 2.5], (4, 4)),
            "ragged": RaggedData([[1.0, 2.0], [3.0]]),
            "set": dataset_node(dataset),
            "run": DocumentedMap({}, metadata={"start": {"uid": "a"}}),
            "file": OfFiles(folder),
        }
    )
    return build_app(tree, public=True)


@pytest.fixture(scope="module")
def api(app):
    """The description of the routes, with paths in which there is something."""
    schema = schemathesis.openapi.from_asgi("/openapi.json", app).raw_schema
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] == "path":
                    parameter["schema"] = {"enum": PATHS[1:]} if "asset" not in path else {"enum": ["file", "grid"]}
    found = schemathesis.openapi.from_dict(schema)
    found.app = app
    return found


OPERATIONS = [
    *((method, f"{API}/{name}/{{path}}") for name, answers in ROUTES.items() for method in answers.methods),
    *(("GET", f"{prefix}/{{path}}") for prefix in VIEWS),
    ("GET", f"{API}/"),
    ("GET", f"{API}/metadata/"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode))
@pytest.mark.parametrize("number", [4, pytest.param(100, marks=pytest.mark.slow)])
def test_what_the_description_allows_or_not_is_answered_as_it_says(api, method, path, mode, number):
    @given(case=api[path][method].as_strategy(generation_mode=mode))
    @settings(max_examples=number, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    def asked(case):
        case.validate_response(case.call(), checks=CHECKS)

    try:
        asked()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # There is nothing that it does not allow.
