"""What a run was before its metadata was amended."""

from contextlib import closing
from datetime import UTC, datetime

import pytest

from databroker_like.drivers.embedded import BlueskyEmbeddedCatalog
from databroker_like.drivers.in_memory import BlueskyInMemoryCatalog
from databroker_like.nodes._run_revisions import _moment
from databroker_like.nodes.runs import RunsNode
from databroker_like.testing import _runs as samples


def fill(catalog):
    for name, doc in samples.scalars(3, uid="run-0", time=1000.0, sample="gold"):
        catalog.v1.insert(name, doc)
    return catalog


def test_what_was_recorded_comes_first_and_what_is_now_is_not_there(tmp_path):
    with closing(fill(BlueskyEmbeddedCatalog(str(tmp_path / "store")))) as catalog:
        tree = RunsNode(catalog)
        assert list(tree.get("run-0").revisions()) == []
        for sample in ("silver", "copper"):
            catalog["run-0"].amend({"start": {"sample": sample}}, reason="it was another")
        run = tree.get("run-0")
        assert run.metadata["start"]["sample"] == "copper"
        before = run.revisions()
        assert [(one.number, one.metadata["start"]["sample"]) for one in before] == [(1, "gold"), (2, "silver")]
        assert before[-1] == before[1:][0]
        assert [one.amendment for one in before] == catalog["run-0"].revisions
        assert before[0].metadata["stop"]["exit_status"] == "success"
        assert before[0].specs == run.specs
        assert before[0].time == datetime.fromtimestamp(1000.0, UTC)
        assert before[1].time == datetime.fromtimestamp(catalog["run-0"].revisions[0].time, UTC)
        with pytest.raises(IndexError):
            before[2]


def test_a_storage_that_keeps_no_revisions_has_none():
    assert len(RunsNode(fill(BlueskyInMemoryCatalog())).get("run-0").revisions()) == 0


@pytest.mark.parametrize("seconds", ["yesterday", None, float("nan"), 1e300, [5]])
def test_a_time_that_is_none_is_not_told(seconds):
    assert _moment(seconds) is None
