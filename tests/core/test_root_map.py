from pathlib import Path

import pytest

from databroker_like.core._root_map import absolute_root_map
from databroker_like.errors import Invalid, WrongType


def test_full_paths_stay_as_they_are_and_the_mapping_is_a_copy():
    given = {"/recorded": "/now", "/other": Path("/there")}
    found = absolute_root_map(given, None)
    assert found == {"/recorded": "/now", "/other": "/there"}
    assert found is not given


def test_nothing_gives_an_empty_mapping_each_time_another():
    assert absolute_root_map(None, None) == {}
    assert absolute_root_map(None, None) is not absolute_root_map(None, None)


@pytest.mark.parametrize("folder", ["/catalogs", "/catalogs/", "file:///catalogs"])
def test_relative_paths_are_relative_to_the_catalog_file(folder):
    assert absolute_root_map({"/recorded": "data/../images"}, folder) == {"/recorded": "/catalogs/images"}


@pytest.mark.parametrize("folder", [None, ""])
def test_a_relative_path_without_a_catalog_file_is_refused(folder):
    with pytest.raises(Invalid, match=r"root_map\['/recorded'\] is the relative path 'data'"):
        absolute_root_map({"/recorded": "data"}, folder)


@pytest.mark.parametrize("wrong", [["/a"], "/a", 3])
def test_what_is_no_mapping_is_refused(wrong):
    with pytest.raises(WrongType, match="root_map maps"):
        absolute_root_map(wrong, None)


def test_what_is_no_folder_is_refused():
    with pytest.raises(WrongType, match="is a folder, as text"):
        absolute_root_map({"/recorded": 3}, None)
