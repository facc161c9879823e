"""Transforms: the user's functions see a copy, and are named when they fail."""

import functools
import pickle

import pytest

from databroker_like.core import parse_transforms
from databroker_like.core._document import KINDS, Start
from databroker_like.core._transforms import TRANSFORMABLE, apply_transform
from databroker_like.errors import Invalid, NotOffered, TransformFailed

START = Start({"uid": "41fb", "sample": {"name": "gold"}})


def rename(doc):
    """Changes the document in place, as transforms often do."""
    doc["sample"]["name"] = "silver"
    return doc


def fails(doc):
    raise KeyError("nothing")


def forgets(doc):
    rename(doc)


def add(doc, key):
    return {**doc, key: 1}


class Patch:
    def __call__(self, doc):
        return {**doc, "patched": True}


def test_none_is_four_transforms_that_change_nothing():
    transforms = parse_transforms(None)
    assert set(transforms) == set(TRANSFORMABLE)
    for kind in TRANSFORMABLE:
        assert transforms[kind](START) is START
        assert apply_transform(transforms, kind, {"uid": "a"}) == KINDS[kind]({"uid": "a"})


def test_a_document_without_a_transform_is_itself():
    assert apply_transform(parse_transforms({}), "start", START) is START


def test_functions_objects_and_dotted_paths_are_taken():
    transforms = parse_transforms({"start": rename, "stop": Patch(), "descriptor": "copy.deepcopy", "resource": None})
    assert transforms["start"] is rename
    assert apply_transform(transforms, "stop", {"uid": "b"}) == {"uid": "b", "patched": True}
    assert apply_transform(transforms, "descriptor", {"uid": "c"}) == {"uid": "c"}
    assert apply_transform(transforms, "resource", {"uid": "d"}) == {"uid": "d"}


def test_a_path_written_for_databroker_is_found_here():
    with pytest.warns(UserWarning, match="taken from databroker_like"):
        transforms = parse_transforms({"start": "databroker.core.Start"})
    assert transforms["start"] is Start


def test_transforms_pickle():
    transforms = pickle.loads(pickle.dumps(parse_transforms({"start": rename})))
    assert apply_transform(transforms, "start", START)["sample"] == {"name": "silver"}
    assert apply_transform(transforms, "stop", {"uid": "b"}) == {"uid": "b"}


def test_a_transform_may_change_its_document_and_the_original_stays():
    changed = apply_transform(parse_transforms({"start": rename}), "start", START)
    assert type(changed) is Start
    assert changed["sample"]["name"] == "silver"
    assert START["sample"]["name"] == "gold"


def test_a_transform_may_ask_for_a_copy_as_of_a_document():
    changed = apply_transform(parse_transforms({"start": lambda doc: doc.to_dict()}), "start", START)
    assert changed == START


@pytest.mark.parametrize("kind", TRANSFORMABLE)
def test_the_result_is_of_the_document_s_kind(kind):
    assert type(apply_transform(parse_transforms({kind: Patch()}), kind, {"uid": "a"})) is KINDS[kind]


def test_other_kinds_are_not_offered():
    with pytest.raises(NotImplementedError, match="'event'") as caught:
        parse_transforms({"event": rename})
    assert isinstance(caught.value, NotOffered)
    with pytest.raises(NotOffered, match=r"'descriptors' cannot be transformed.*'descriptor'"):
        parse_transforms({"descriptors": rename})


@pytest.mark.parametrize("transforms", [[rename], "copy.copy", 5])
def test_what_is_no_mapping_is_a_value_error(transforms):
    with pytest.raises(ValueError, match="transforms are a mapping"):
        parse_transforms(transforms)


@pytest.mark.parametrize("transform", [5, "copy.nothing_of_the_kind", "not a path", "copy._deepcopy_dispatch"])
def test_what_is_no_function_is_refused(transform):
    with pytest.raises(Invalid):
        parse_transforms({"start": transform})


@pytest.mark.parametrize(
    ("transform", "name", "what"),
    [
        (fails, "fails", "raised on the start document '41fb': KeyError: 'nothing'"),
        (forgets, "forgets", "returned None for the start document '41fb'"),
        (functools.partial(add), "add", "raised on the start document '41fb': TypeError"),
        (lambda doc: [doc], "<lambda>", "returned"),
    ],
)
def test_a_transform_that_fails_names_itself_and_the_document(transform, name, what):
    with pytest.raises(TransformFailed) as caught:
        apply_transform(parse_transforms({"start": transform}), "start", START)
    assert f"{__name__}." in str(caught.value)
    assert name in str(caught.value)
    assert what in str(caught.value)


def test_what_the_transform_raised_is_the_cause():
    with pytest.raises(TransformFailed) as caught:
        apply_transform(parse_transforms({"start": fails}), "start", START)
    assert type(caught.value.__cause__) is KeyError


def test_an_object_that_fails_shows_itself():
    class Odd:
        def __call__(self, doc):
            return None

        def __repr__(self):
            return "<Odd patch>"

    with pytest.raises(TransformFailed, match="<Odd patch> returned None"):
        apply_transform(parse_transforms({"start": Odd()}), "start", START)
