"""A property is worked out once, and nobody waits for that of another object."""

import threading
from concurrent.futures import ThreadPoolExecutor

from databroker_like.utils._once import once


class Slow:
    """Works out a property as soon as it may."""

    def __init__(self):
        self.asked, self.may, self.times = threading.Event(), threading.Event(), 0

    @once
    def value(self):
        """What it is."""
        self.times += 1
        self.asked.set()
        assert self.may.wait(300)
        return self


def test_it_is_worked_out_when_it_is_asked_for_and_stays():
    slow = Slow()
    slow.may.set()
    assert slow.times == 0
    assert slow.value is slow
    assert slow.value is slow
    assert slow.times == 1


def test_an_object_waits_for_no_other():
    first, other = Slow(), Slow()
    other.may.set()
    thread = threading.Thread(target=lambda: first.value)
    thread.start()
    try:
        assert first.asked.wait(300)
        assert other.value is other
    finally:
        first.may.set()
        thread.join(300)
    assert first.value is first


def test_threads_that_ask_together_get_the_same():
    both_work_it_out = threading.Barrier(2)

    class Shared:
        @once
        def value(self):
            both_work_it_out.wait(300)
            return object()

    shared = Shared()
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(lambda: shared.value) for _ in range(2)]
    first, other = (one.result() for one in asked)
    assert first is other is shared.value


def test_the_class_has_the_property_with_what_is_said_of_it():
    assert isinstance(Slow.value, once)
    assert Slow.value.__doc__ == "What it is."
