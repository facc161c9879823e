"""A property is worked out once, and nobody waits for that of another object."""

import threading

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
        assert self.may.wait(30)
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
        assert first.asked.wait(30)
        assert other.value is other
    finally:
        first.may.set()
        thread.join(30)
    assert first.value is first


def test_the_class_has_the_property_with_what_is_said_of_it():
    assert isinstance(Slow.value, once)
    assert Slow.value.__doc__ == "What it is."
