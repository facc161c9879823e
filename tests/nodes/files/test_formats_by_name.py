"""By their names: formats, keys, and numbered files that belong together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from databroker_like.nodes.files._formats import entries_of

NAMES = st.lists(
    st.from_regex(r"[ab0-9_.]{0,3}[a-b1-2]\.(npy|csv|tif|tiff|npy\.csv|h5|zarr|txt|NPY)", fullmatch=True), unique=True
)


@given(NAMES, NAMES)
def test_keys_are_all_different_and_every_file_of_a_known_format_is_there_once(
    files: list[str], folders: list[str]
) -> None:
    folders = [name for name in folders if name not in files]
    entries = entries_of(files, folders)
    keys = [entry.key for entry in entries]
    assert len(set(keys)) == len(keys)
    assert keys == sorted(keys)
    assert all(keys)
    shown = [name for entry in entries for name in entry.names]
    assert sorted(shown) == sorted([*(name for name in files if not name.endswith(".txt")), *folders])


@given(NAMES, st.randoms())
def test_the_order_in_which_files_are_found_does_not_matter(files: list[str], random: object) -> None:
    other = list(files)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert entries_of(files, []) == entries_of(other, [])


def test_numbered_files_are_ordered_by_their_numbers() -> None:
    (entry,) = entries_of(["i_10.tif", "i_9.tif", "i_008.TIF"], [])
    assert (entry.key, entry.names, entry.numbered) == ("i_", ("i_008.TIF", "i_9.tif", "i_10.tif"), True)


def test_numbered_files_of_different_formats_are_different_arrays() -> None:
    assert [(e.key, len(e.names)) for e in entries_of(["i_1.tif", "i_2.tif", "i_1.npy", "1.png", "2.png"], [])] == [
        ("i_.npy", 1),
        ("i_.tiff", 2),
        ("png", 2),
    ]


def test_tables_and_containers_with_numbers_stay_by_themselves() -> None:
    assert [entry.key for entry in entries_of(["t_1.csv", "t_2.csv", "s_1.h5", "s_2.h5"], [])] == [
        "s_1",
        "s_2",
        "t_1",
        "t_2",
    ]


def test_a_store_of_zarr_is_known_by_its_name_packed_or_not() -> None:
    assert [(e.key, e.format) for e in entries_of(["p.zarr.zip", "q.zip"], ["z.zarr", "z.zarr.zip2", "n.h5"])] == [
        ("n.h5", "folder"),
        ("p", "zarr"),
        ("z", "zarr"),
        ("z.zarr.zip2", "folder"),
    ]


def test_numbered_files_whose_name_in_common_is_that_of_a_file_have_the_name_of_their_first() -> None:
    assert [entry.key for entry in entries_of(["a.npy", "a1.npy", "a2.npy", "a.csv"], [])] == [
        "a.csv",
        "a.npy",
        "a1.npy",
    ]
