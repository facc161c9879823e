"""Files with bytes that are not what was written: each is read, or refused with a sentence of ours, and soon."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from databroker_like.errors import DatabrokerError
from databroker_like.nodes import ArrayNode, ContainerNode, Node
from databroker_like.nodes.files import FolderNode

NAMES = ["a.tif", "a.npy", "a.csv", "a.parquet", "a.arrow", "a.arrows", "a.xlsx", "a.png", "a.jpg"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of a whole file of each format."""
    folder = tmp_path_factory.mktemp("whole")
    frame = pd.DataFrame({"x": range(20), "name": [f"n{i}" for i in range(20)]})
    table = pa.Table.from_pandas(frame)
    tifffile.imwrite(folder / "a.tif", np.zeros((2, 8, 8), "u2"), compression="zlib", photometric="minisblack")
    np.save(folder / "a.npy", np.zeros((4, 4)))
    frame.to_csv(folder / "a.csv", index=False)
    pq.write_table(table, folder / "a.parquet", row_group_size=7)
    with pa.ipc.new_file(folder / "a.arrow", table.schema) as file:
        file.write_table(table, max_chunksize=7)
    with pa.ipc.new_stream(folder / "a.arrows", table.schema) as stream:
        stream.write_table(table, max_chunksize=7)
    frame.to_excel(folder / "a.xlsx", index=False)
    Image.fromarray(np.zeros((8, 8), "u1")).save(folder / "a.png")
    Image.fromarray(np.zeros((8, 8), "u1")).save(folder / "a.jpg")
    return {name: (folder / name).read_bytes() for name in NAMES}


def read(node: Node) -> None:
    """Everything that can be read of a node without much memory."""
    node.structure()
    if isinstance(node, ContainerNode):
        for _, inner in node.items():
            read(inner)
    elif isinstance(node, ArrayNode):
        if node.structure().nbytes < 1 << 20:
            node.read()
    else:
        node.read()  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore")
def test_a_file_with_other_bytes_is_read_or_refused(
    whole: dict[str, bytes], name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(whole[name])
    if data.draw(st.booleans(), "cut short"):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    for at in data.draw(st.lists(st.integers(0, max(0, len(content) - 1)), max_size=5)):
        if content:
            content[at] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / name).write_bytes(content)
    tree = FolderNode(folder)
    refusals: list[str] = []
    # tifffile tells the log of each tag that it cannot understand.
    logging.disable(logging.ERROR)
    try:
        for _, node in tree.items():
            read(node)
    except DatabrokerError as error:
        refusals.append(str(error))
    finally:
        logging.disable(logging.NOTSET)
        tree.close()
    assert all(name in refusal and str(folder) not in refusal for refusal in refusals)
