import pickle

import pytest

from databroker_like import errors


def family():
    found, waiting = [], [errors.DatabrokerError]
    while waiting:
        cls = waiting.pop()
        waiting += [sub for sub in cls.__subclasses__() if sub.__module__ == errors.__name__]
        found.append(cls)
    return found


@pytest.mark.parametrize("cls", family(), ids=lambda cls: cls.__name__)
def test_every_error_says_its_message_without_quotes_and_survives_pickling(cls):
    error = cls("no run '41fb'")
    assert str(error) == "no run '41fb'"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is cls
    assert str(again) == str(error)


@pytest.mark.parametrize("cls", family(), ids=lambda cls: cls.__name__)
def test_every_error_knows_its_codes_and_stands_in_the_drawing(cls):
    assert 400 <= cls.http_status < 600
    assert cls.grpc_code.isupper()
    assert cls.__name__ in errors.__all__
    assert cls.__name__ in errors.__doc__


@pytest.mark.parametrize(
    ("cls", "standard"),
    [
        (errors.NoSuchRun, KeyError),
        (errors.OutOfRange, IndexError),
        (errors.AmbiguousKey, ValueError),
        (errors.NotMutable, TypeError),
        (errors.NotAuthenticated, PermissionError),
        (errors.NotPermitted, PermissionError),
        (errors.NotWritable, PermissionError),
        (errors.ServiceFailed, RuntimeError),
        (errors.MissingFile, FileNotFoundError),
        (errors.Unreachable, ConnectionError),
        (errors.MissingExtra, ImportError),
        (errors.NotOffered, NotImplementedError),
    ],
)
def test_an_error_is_also_the_standard_one_that_a_caller_expects(cls, standard):
    assert issubclass(cls, standard)


def test_nearest_finds_the_misspelt_name_first_and_nothing_for_a_strange_one():
    known = ["primary", "baseline", "baseline_2"]
    assert errors.nearest("baselin", known)[0] == "baseline"
    assert errors.nearest("xyz", known) == []
    assert errors.nearest("bas", ["base"] * 5, most=1) == ["base"]


def test_listed_sorts_quotes_and_counts_what_it_leaves_out():
    assert errors.listed([]) == "nothing"
    assert errors.listed(["b", "a", "b"]) == "'a', 'b'"
    assert errors.listed(range(5), most=2) == "'0', '1' and 3 more"
