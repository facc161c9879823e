import gc

import numpy

from databroker_like.core._held import RunsHeld


class Run:
    pass


def test_the_same_run_is_given_as_long_as_somebody_holds_it():
    held = RunsHeld(latest=1)
    run = Run()
    held.keep("a", {"uid": "a"}, run)
    held.keep("b", {"uid": "b"}, Run())
    assert held.get("a", {"uid": "a"}) is run


def test_of_runs_nobody_holds_the_latest_few_are_kept_and_no_more():
    held = RunsHeld(latest=2)
    for uid in "abcd":
        held.keep(uid, {"uid": uid}, Run())
    gc.collect()
    assert len(held) == 2
    assert held.get("a", {"uid": "a"}) is None
    assert held.get("d", {"uid": "d"}) is not None


def test_asking_for_a_run_makes_it_one_of_the_latest():
    held = RunsHeld(latest=2)
    held.keep("a", {"uid": "a"}, Run())
    held.keep("b", {"uid": "b"}, Run())
    first = id(held.get("a", {"uid": "a"}))
    held.keep("c", {"uid": "c"}, Run())
    gc.collect()
    assert id(held.get("a", {"uid": "a"})) == first
    assert held.get("b", {"uid": "b"}) is None


def test_a_run_that_was_recorded_anew_is_not_given_again():
    held = RunsHeld()
    run = Run()
    held.keep("a", {"uid": "a", "sample": "old"}, run)
    assert held.get("a", {"uid": "a", "sample": "new"}) is None
    newer = Run()
    held.keep("a", {"uid": "a", "sample": "new"}, newer)
    del run
    gc.collect()
    assert held.get("a", {"uid": "a", "sample": "new"}) is newer


def test_a_finished_run_of_another_version_is_not_given_again():
    held = RunsHeld()
    run = Run()
    held.keep("a", {"uid": "a"}, run, version=None)
    assert held.get("a", {"uid": "a"}, version=None) is run
    assert held.get("a", {"uid": "a"}, version=1) is run  # it has ended
    assert held.get("a", {"uid": "a"}, version=1) is run
    assert held.get("a", {"uid": "a"}, version=2) is None


def test_runs_with_equal_arrays_in_their_start_are_the_same():
    held = RunsHeld()
    run = Run()
    held.keep("a", {"uid": "a", "grid": numpy.array([1, 2])}, run)
    assert held.get("a", {"uid": "a", "grid": numpy.array([1, 2])}) is run
    assert held.get("a", {"uid": "a", "grid": numpy.array([1, 3])}) is None
