"""The names that ``databroker_like.files`` offers are there, and cost nothing until they are asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from databroker_like import files


@pytest.mark.parametrize("name", files.__all__)
def test_every_name_resolves(name):
    found = getattr(files, name)
    assert found.__name__ == name
    assert name in dir(files)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'LazyArry'"):
        _ = files.LazyArry


def test_importing_it_loads_no_numpy():
    code = "import sys, databroker_like.files; print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
