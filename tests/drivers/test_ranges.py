import itertools

from hypothesis import given
from hypothesis import strategies as st

from databroker_like.drivers._ranges import Ranges

NUMBERS = st.lists(st.integers(-20, 40), max_size=40)


@given(NUMBERS, NUMBERS)
def test_it_is_a_set_of_numbers(added, asked):
    some = Ranges(added)
    assert [number in some for number in asked] == [number in set(added) for number in asked]
    assert some.has_any(asked) == bool(set(asked) & set(added))
    ranges = list(some)
    assert sum(last - first + 1 for first, last in ranges) == len(set(added))
    assert all(one[1] + 1 < other[0] for one, other in itertools.pairwise(ranges))


@given(st.lists(NUMBERS, max_size=5))
def test_several_at_once_are_as_good_as_one_by_one(batches):
    some = Ranges()
    for batch in batches:
        some.add_all(batch)
    assert list(some) == list(Ranges(number for batch in batches for number in batch))


def test_numbers_that_follow_one_another_are_one_range():
    some = Ranges()
    some.add_all(range(1, 1001))
    some.add_all(range(1001, 5001))
    for number in range(5001, 9001):
        some.add(number)
    assert list(some) == [(1, 9000)]
