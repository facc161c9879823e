"""What a file catalog hands out as documents is as plain as what was recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from databroker_like.drivers.jsonl import BlueskyJSONLCatalog

RUNS = Path(__file__).parents[1] / "data" / "runs"


@pytest.mark.parametrize("strict_order", [True, False])
@pytest.mark.parametrize("path", sorted(RUNS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_every_document_can_be_written_as_json(path: Path, strict_order: bool) -> None:
    run = BlueskyJSONLCatalog(str(path))[-1]
    for _ in range(2):  # the second time from columns that were kept
        written = [json.dumps(doc) for _, doc in run.documents(fill="no", strict_order=strict_order)]
        assert len(written) >= 1
