"""Pages: what goes in comes out, however it is packed, cut, joined or merged."""

import heapq
import itertools
import pickle

import event_model
import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.core import _pages as pages
from databroker_like.core import to_datum_pages, to_event_pages
from databroker_like.errors import Invalid, InvalidDocument

VALUES = st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.lists(st.integers(), max_size=3)
KEYS = st.lists(st.sampled_from("xyz"), unique=True, max_size=3)


@st.composite
def event_lists(draw, descriptor=None, keys=None, min_size=0, external=None):
    """Events of one descriptor with the same keys, at times in any order."""
    keys = draw(KEYS) if keys is None else keys
    external = draw(st.booleans()) if external is None else external
    descriptor = draw(st.sampled_from(["d1", "d2"])) if descriptor is None else descriptor
    times = draw(st.lists(st.floats(0, 10), min_size=min_size, max_size=8))
    return [
        {
            "descriptor": descriptor,
            "uid": f"{descriptor}-{n}",
            "time": time,
            "seq_num": n + 1,
            "data": {key: draw(VALUES) for key in keys},
            "timestamps": dict.fromkeys(keys, time),
            "filled": dict.fromkeys(keys, False) if external else {},
        }
        for n, time in enumerate(times)
    ]


@st.composite
def datum_lists(draw):
    keys = draw(KEYS)
    resource = draw(st.sampled_from(["r1", "r2"]))
    return [
        {"resource": resource, "datum_id": f"{resource}/{n}", "datum_kwargs": {key: draw(VALUES) for key in keys}}
        for n in range(draw(st.integers(0, 8)))
    ]


@st.composite
def array_pages(draw, descriptor="d", min_size=0):
    """A page with every sort of column: lists, arrays of scalars, arrays of frames."""
    rows = draw(st.integers(min_size, 8))
    columns = {
        "list": [draw(VALUES) for _ in range(rows)],
        "float": numpy.linspace(0, 1, rows),
        "int": numpy.arange(rows),
        "bool": numpy.arange(rows) % 2 == 0,
        "str": numpy.array([f"s{n}" for n in range(rows)], dtype=str),
        "frame": numpy.arange(rows * 6).reshape(rows, 2, 3),
        "frames in a list": [numpy.full((2, 2), n) for n in range(rows)],
    }
    keys = draw(st.lists(st.sampled_from(sorted(columns)), unique=True))
    return {
        "descriptor": descriptor,
        "uid": [f"{descriptor}-{n}" for n in range(rows)],
        "time": draw(st.sampled_from([list, numpy.array]))([n / 2 for n in range(rows)]),
        "seq_num": numpy.arange(1, rows + 1),
        "data": {key: columns[key] for key in keys},
        "timestamps": {key: numpy.arange(rows) / 2 for key in keys},
        "filled": {key: [False] * rows for key in keys if key.startswith("frame")},
    }


def listed(document):
    """A document with arrays as lists, so that it can be compared."""
    if isinstance(document, dict):
        return {key: listed(value) for key, value in document.items()}
    if isinstance(document, list | tuple):
        return [listed(value) for value in document]
    return document.tolist() if isinstance(document, numpy.ndarray) else document


def unpacked(several):
    return [listed(event) for page in several for event in pages.unpack_event_page(page)]


def types_of(document):
    """The types of everything in a document."""
    if isinstance(document, dict):
        return {key: types_of(value) for key, value in document.items()}
    return [types_of(value) for value in document] if isinstance(document, list) else type(document)


# -- pack and unpack --------------------------------------------------------------------------------------------------


@given(st.lists(event_lists(), max_size=4), st.none() | st.integers(1, 5))
def test_events_come_out_of_pages_as_they_went_in(lists, size):
    events = list(itertools.chain.from_iterable(lists))
    packed = list(pages.pack_event_pages(iter(events), size))
    assert unpacked(packed) == events
    assert all(len(page["uid"]) <= (size or len(events)) for page in packed)


@given(event_lists(min_size=1))
def test_packing_one_page_agrees_with_event_model(events):
    page = pages.pack_event_page(*events)
    assert page == event_model.pack_event_page(*events)
    assert next(pages.pack_event_pages(events)) == page
    assert list(pages.unpack_event_page(page)) == list(event_model.unpack_event_page(page))


@given(st.lists(datum_lists(), max_size=4), st.none() | st.integers(1, 5))
def test_datums_come_out_of_pages_as_they_went_in(lists, size):
    datums = list(itertools.chain.from_iterable(lists))
    packed = list(pages.pack_datum_pages(datums, size))
    assert [datum for page in packed for datum in pages.unpack_datum_page(page)] == datums
    for page in packed:
        assert page == event_model.pack_datum_page(*pages.unpack_datum_page(page))


def test_a_page_ends_where_descriptor_or_keys_change():
    def event(uid, descriptor, *keys):
        data = dict.fromkeys(keys, 1)
        return {"uid": uid, "time": 0, "seq_num": 1, "descriptor": descriptor, "data": data, "timestamps": data}

    events = [event("1", "a", "x"), event("2", "a", "x"), event("3", "b", "x"), event("4", "b", "x", "y")]
    assert [page["uid"] for page in pages.pack_event_pages(events)] == [["1", "2"], ["3"], ["4"]]
    with pytest.raises(InvalidDocument, match="descriptor or in their keys"):
        pages.pack_event_page(*events)


@pytest.mark.parametrize("pack", [pages.pack_event_page, pages.pack_datum_page])
def test_a_page_of_nothing_is_refused(pack):
    with pytest.raises(ValueError, match=r"no .* documents to pack"):
        pack()


def test_keys_in_another_order_are_the_same_keys():
    events = [
        {"uid": str(n), "time": n, "seq_num": n, "descriptor": "d", "data": data, "timestamps": {}}
        for n, data in enumerate([{"x": 1, "y": 2}, {"y": 4, "x": 3}])
    ]
    assert pages.pack_event_page(*events)["data"] == {"x": [1, 3], "y": [2, 4]}


@given(array_pages())
def test_arrays_unpack_to_what_their_lists_unpack_to(page):
    as_lists = {
        **page,
        **{key: pages.scalars(page[key]) for key in ("time", "seq_num")},
        **{group: {k: pages.scalars(c) for k, c in page[group].items()} for group in ("data", "timestamps")},
    }
    events = list(pages.unpack_event_page(page))
    assert listed(events) == listed(list(event_model.unpack_event_page(as_lists)))
    # Not numpy's scalars: what reads JSON elsewhere sees the same.
    for event in events:
        assert type(event["time"]) is float
        assert type(event["seq_num"]) is int
        assert not any(isinstance(value, numpy.generic) for value in event["data"].values())


@given(array_pages())
def test_single_event_pages_are_the_unpacked_events_packed_one_by_one(page):
    singles = list(pages.single_event_pages(page))
    expected = [pages.pack_event_page(event) for event in pages.unpack_event_page(page)]
    assert listed(singles) == listed(expected)
    assert types_of(singles) == types_of(expected)


def test_frames_are_viewed_and_not_read_before_they_are_asked_for():
    class Frames:
        """A lazy array."""

        ndim, shape = 3, (4, 2, 2)
        read = 0

        def __len__(self):
            return 4

        def __getitem__(self, index):
            Frames.read += 1
            return numpy.zeros((2, 2))

    page = {
        "descriptor": "d",
        "uid": list("abcd"),
        "time": [0.0] * 4,
        "seq_num": [1] * 4,
        "data": {"img": Frames()},
        "timestamps": {"img": [0.0] * 4},
    }
    singles = pages.single_event_pages(page)
    assert next(singles)["data"]["img"][0].shape == (2, 2)
    assert Frames.read == 1
    frames = numpy.zeros((4, 2, 2))
    assert all(
        single["data"]["img"][0].base is frames
        for single in pages.single_event_pages({**page, "data": {"img": frames}})
    )


@pytest.mark.parametrize("unpack", [pages.unpack_event_page, pages.single_event_pages])
def test_columns_of_different_lengths_are_named(unpack):
    page = {"descriptor": "d", "uid": ["a", "b"], "time": [0, 1], "seq_num": [1, 2], "timestamps": {}}
    with pytest.raises(InvalidDocument, match=r"descriptor 'd' has 2 rows, but its column 'data.x' has 1 values"):
        list(unpack({**page, "data": {"x": [5]}}))
    with pytest.raises(InvalidDocument, match=r"column 'time' has 3 values"):
        list(unpack({**page, "time": [0, 1, 2], "data": {}}))


def test_keys_are_never_taken_for_code():
    keys = ["); raise SystemExit #", "k0", "rows", "1", "\n"]
    page = pages.pack_event_page(
        {
            "uid": "a",
            "time": 0.0,
            "seq_num": 1,
            "descriptor": "d",
            "data": {key: n for n, key in enumerate(keys)},
            "timestamps": {},
        }
    )
    assert next(pages.unpack_event_page(page))["data"] == {key: n for n, key in enumerate(keys)}


def test_a_page_of_very_many_keys_unpacks():
    data = {f"key-{n}": n for n in range(3000)}
    event = {"uid": "a", "time": 0.0, "seq_num": 1, "descriptor": "d", "data": data, "timestamps": data, "filled": {}}
    assert list(pages.unpack_event_page(pages.pack_event_page(event))) == [event]


# -- slice ------------------------------------------------------------------------------------------------------------


@given(st.lists(array_pages(), max_size=4), st.integers(0, 20), st.none() | st.integers(0, 20))
def test_slicing_pages_is_slicing_their_events(several, skip, limit):
    sliced = list(pages.slice_pages(several, skip, limit))
    stop = None if limit is None else skip + limit
    assert unpacked(sliced) == unpacked(several)[skip:stop]
    assert all(pages.page_size(page) for page in sliced)


@given(st.lists(datum_lists(), max_size=4), st.integers(0, 20), st.none() | st.integers(0, 20))
def test_slicing_datum_pages_is_slicing_their_datums(lists, skip, limit):
    datums = list(itertools.chain.from_iterable(lists))
    sliced = pages.slice_pages(pages.pack_datum_pages(datums), skip, limit)
    stop = None if limit is None else skip + limit
    assert [datum for page in sliced for datum in pages.unpack_datum_page(page)] == datums[skip:stop]


def a_page(**columns):
    rows = len(next(iter(columns.values())))
    return {
        "descriptor": "d",
        "uid": [str(n) for n in range(rows)],
        "time": [float(n) for n in range(rows)],
        "seq_num": list(range(1, rows + 1)),
        "data": columns,
        "timestamps": {key: [0.0] * rows for key in columns},
        "filled": {},
    }


def test_slices_view_the_arrays_and_whole_pages_stay_themselves():
    page = a_page(x=numpy.arange(5))
    (cut,) = pages.slice_pages([page], 1, 2)
    assert cut["data"]["x"].base is page["data"]["x"]
    (whole,) = pages.slice_pages([page], 0, 5)
    assert whole is page


def test_slicing_reads_no_page_more_than_it_needs():
    def read():
        yield a_page(x=[1, 2])
        pytest.fail("the second page was read")

    assert len(list(pages.slice_pages(read(), 0, 2))) == 1
    assert list(pages.slice_pages(read(), 0, 0)) == []


@pytest.mark.parametrize("arguments", [(-1, None), (0, -1)])
def test_negative_counts_are_refused_at_once(arguments):
    with pytest.raises(Invalid, match="negative"):
        pages.slice_pages([], *arguments)


# -- concat and rechunk -----------------------------------------------------------------------------------------------


@given(event_lists(descriptor="d", keys=["x", "y"], min_size=1, external=False), st.integers(1, 10), st.integers(1, 10))
def test_rechunking_agrees_with_event_model(events, before, after):
    packed = list(pages.pack_event_pages(events, before))
    assert list(pages.rechunk_event_pages(packed, after)) == list(event_model.rechunk_event_pages(packed, after))


@given(st.lists(event_lists(), max_size=5), st.integers(1, 5), st.integers(1, 10))
def test_rechunking_keeps_every_event_and_fills_the_pages(lists, before, after):
    events = list(itertools.chain.from_iterable(lists))
    rechunked = list(pages.rechunk_event_pages(pages.pack_event_pages(events, before), after))
    assert unpacked(rechunked) == events
    # As few as packing at that size makes, which is known to break only where it must.
    sizes = [len(page["uid"]) for page in rechunked]
    assert sizes == [len(page["uid"]) for page in pages.pack_event_pages(events, after)]


@given(st.lists(datum_lists(), max_size=5), st.integers(1, 5), st.integers(1, 10))
def test_rechunking_datum_pages_keeps_every_datum(lists, before, after):
    datums = list(itertools.chain.from_iterable(lists))
    rechunked = list(pages.rechunk_datum_pages(pages.pack_datum_pages(datums, before), after))
    assert rechunked == list(pages.pack_datum_pages(datums, after))


@given(array_pages(min_size=1), st.integers(1, 5))
def test_joining_slices_gives_the_page_with_its_arrays(page, size):
    slices = list(pages.rechunk_event_pages([page], size))
    whole = pages.concat_event_pages(slices)
    assert listed(whole) == listed(page)
    for key, column in page["data"].items():
        assert type(whole["data"][key]) is type(column)
        assert getattr(whole["data"][key], "dtype", None) == getattr(column, "dtype", None)


def test_joining_arrays_of_two_dtypes_changes_no_value():
    big = 2**53 + 1
    joined = pages.concat_event_pages([a_page(x=numpy.array([big])), a_page(x=numpy.array([0.5]))])
    assert joined["data"]["x"] == [big, 0.5]
    assert types_of(joined["data"]["x"]) == [int, float]


def test_joining_frames_of_two_shapes_makes_a_list():
    joined = pages.concat_event_pages([a_page(x=numpy.zeros((2, 3, 4))), a_page(x=numpy.zeros((1, 5, 4)))])
    assert [frame.shape for frame in joined["data"]["x"]] == [(3, 4), (3, 4), (5, 4)]


def test_joining_a_list_and_an_array_makes_a_list():
    joined = pages.concat_event_pages([a_page(x=[None]), a_page(x=numpy.array([1]))])
    assert joined["data"]["x"] == [None, 1]


def test_what_cannot_be_joined_is_named():
    with pytest.raises(InvalidDocument, match=r"differ in their keys, 'data.x', 'data.y', 'timestamps.x'"):
        pages.concat_event_pages([a_page(x=[1]), a_page(y=[1])])
    with pytest.raises(InvalidDocument, match="two descriptors, 'd' and 'e'"):
        pages.concat_event_pages([a_page(x=[1]), {**a_page(x=[1]), "descriptor": "e"}])
    with pytest.raises(InvalidDocument, match="two resources"):
        pages.concat_datum_pages([{"resource": r, "datum_id": ["a"], "datum_kwargs": {}} for r in "ab"])
    with pytest.raises(ValueError, match="no event pages"):
        pages.concat_event_pages([])


@pytest.mark.parametrize("make", [pages.rechunk_event_pages, pages.rechunk_datum_pages, pages.pack_event_pages])
def test_pages_of_no_rows_are_refused_at_once(make):
    with pytest.raises(ValueError, match="1 or more"):
        make([], 0)


# -- interlace --------------------------------------------------------------------------------------------------------


def time_of(event):
    return event["time"]


STREAMS = st.lists(st.tuples(event_lists(keys=["x"]), st.integers(1, 4)), max_size=4)


@given(STREAMS)
def test_interlacing_pages_is_merging_events_by_time(streams):
    events = [events for events, _ in streams]
    packed = [list(pages.pack_event_pages(events, size)) for events, size in streams]
    merged = list(heapq.merge(*events, key=time_of))
    assert unpacked(pages.interlace_event_pages(*packed)) == merged
    singles = list(pages.interlace_single_event_pages(*packed))
    assert singles == [pages.pack_event_page(event) for event in merged]


@given(STREAMS)
def test_interlacing_cuts_only_where_another_stream_comes_in_between(streams):
    packed = [
        list(pages.pack_event_pages([{**event, "descriptor": str(n)} for event in events], size))
        for n, (events, size) in enumerate(streams)
    ]
    owners = [page["descriptor"] for page in pages.interlace_event_pages(*packed)]
    changes = sum(one != other for one, other in itertools.pairwise(owners))
    assert len(owners) <= sum(map(len, packed)) + changes


def test_interlacing_one_stream_passes_its_pages_on():
    page = a_page(x=[1, 2])
    empty = pages.slice_page(page, 0, 0)
    assert [id(p) for p in pages.interlace_event_pages([page, empty, page])] == [id(page), id(page)]
    assert list(pages.interlace_event_pages()) == []
    assert list(pages.interlace_event_pages([], [empty])) == []
    assert list(pages.interlace_single_event_pages()) == []


def test_interlacing_holds_one_page_of_each_stream():
    read = []

    def stream(name):
        for n in range(3):
            read.append((name, n))
            yield {**a_page(x=[1]), "time": numpy.array([float(n)]), "descriptor": name}

    merged = pages.interlace_event_pages(stream("a"), stream("b"))
    assert next(merged)["descriptor"] == "a"
    assert read == [("a", 0), ("b", 0)]


# -- cursors ----------------------------------------------------------------------------------------------------------


def get_events(descriptor_uid, count=5):
    """The events of a descriptor."""
    for n in range(count):
        yield {
            "uid": str(n),
            "time": float(n),
            "seq_num": n + 1,
            "descriptor": descriptor_uid,
            "data": {"x": n},
            "timestamps": {"x": float(n)},
            "filled": {},
        }


def get_datums(resource_uid):
    return [{"resource": resource_uid, "datum_id": f"{resource_uid}/{n}", "datum_kwargs": {"n": n}} for n in range(5)]


@pytest.mark.parametrize("page_size", [1, 2, 5, 100])
def test_a_cursor_of_events_becomes_a_getter_of_pages(page_size):
    get_pages = to_event_pages(get_events, page_size)
    expected = [event_model.pack_event_page(*get_events("d"))]
    assert list(get_pages("d")) == list(event_model.rechunk_event_pages(expected, page_size))
    assert list(get_pages("d", count=0)) == []
    assert get_pages.__name__ == "get_events"
    assert get_pages.__doc__ == get_events.__doc__


def test_a_list_of_datums_becomes_pages_too():
    assert [page["datum_id"] for page in to_datum_pages(get_datums, 3)("r")] == [["r/0", "r/1", "r/2"], ["r/3", "r/4"]]


def test_a_getter_made_of_a_cursor_pickles():
    again = pickle.loads(pickle.dumps(to_event_pages(get_events, 2)))
    assert list(again("d")) == list(to_event_pages(get_events, 2)("d"))


# -- columns ----------------------------------------------------------------------------------------------------------


def test_scalars_are_python_values_and_a_list_is_itself():
    column = [1, 2]
    assert pages.scalars(column) is column
    assert pages.scalars((1, 2)) == [1, 2]
    assert types_of(pages.scalars(numpy.arange(2))) == [int, int]
    assert types_of(pages.scalars(numpy.zeros((2, 3)))) == [numpy.ndarray, numpy.ndarray]
    assert pages.scalars(numpy.zeros((0, 3))) == []
