"""Answers that are on their way hold no more than there is."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like.errors import Unreachable
from databroker_like.service import Budget


def test_who_asks_for_more_than_there_is_left_asks_again_when_others_are_done():
    budget = Budget(100)
    first, second = budget.hold(), budget.hold()
    first.reserve(60)
    first.reserve(50)  # less than it has
    with pytest.raises(Unreachable, match="ask again"):
        second.reserve(41)
    second.reserve(40)
    assert budget.used == 100
    first.release()
    first.release()
    assert budget.used == 40
    second.reserve(90)
    second.release()
    assert budget.used == 0


def test_whoever_is_alone_gets_what_he_asks_for():
    hold = Budget(10).hold()
    hold.reserve(1000)


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60)), max_size=30))
def test_what_is_held_is_the_sum_of_what_each_holds(steps):
    budget = Budget(100)
    holds, held = [budget.hold() for _ in range(4)], [0] * 4
    for who, much in steps:
        if much > 50:
            holds[who].release()
            held[who] = 0
            continue
        try:
            holds[who].reserve(much)
            held[who] = max(held[who], much)
        except Unreachable:
            assert sum(held) - held[who] + much > 100
        assert budget.used == sum(held)


def test_many_threads_hold_and_give_back():
    budget = Budget(1000)

    def work():
        for _ in range(500):
            hold = budget.hold()
            hold.reserve(5)
            hold.release()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert budget.used == 0
