"""The same orders on PostgreSQL."""

import pytest

from tests.store.test_search_on_postgresql import engine
from tests.store.test_search_order import KEYS, PAGES, check, mixed, sizes

pytestmark = pytest.mark.slow
__all__ = ["engine", "sizes"]


def test_every_page_is_that_of_a_loop(engine, sizes):
    runs = mixed(60, engine=engine)
    assert engine.dialect.name == "postgresql"
    for key in KEYS:
        check(runs, [(key, 1)], None, PAGES[2:5])
        check(runs, [(key, -1)], None, PAGES[:1])
    for by in ([("half", -1), ("scan_id", 1)], [("w", 1), ("v", -1)]):
        check(runs, by, None, PAGES[:4])
        check(runs, by, {"half": "odd"}, PAGES[3:4])
