"""What a node was before."""

from datetime import UTC, datetime

from databroker_like.nodes import MapNode, Revised
from databroker_like.structures import Spec


def test_what_is_said_to_have_been_is_kept_as_it_was():
    when = datetime(2026, 1, 1, tzinfo=UTC)
    revised = Revised(2, {"color": "red"}, (Spec("demo", "1"),), when)
    assert (revised.number, revised.metadata["color"], revised.specs[0].name, revised.time) == (2, "red", "demo", when)


def test_a_node_that_nobody_changed_was_never_anything_else():
    assert tuple(MapNode({}).revisions()) == ()


def test_a_page_of_a_container_comes_with_the_number_of_all():
    tree = MapNode({key: MapNode({}) for key in "abc"})
    count, page = tree.page(1, 5)
    assert (count, [key for key, _ in page]) == (3, ["b", "c"])
    count, page = tree.page(3, 5)
    assert (count, list(page)) == (3, [])
    count, page = tree.page(0, 0)
    assert (count, list(page)) == (3, [])
