"""Runs and streams as text and HTML."""

from __future__ import annotations

from databroker_like.show._run import ColumnRow, RunSummary, StreamSummary, run_html, run_text, stream_html, stream_text

RUN = RunSummary("41fb8ca9-53b7", 3, "scan", 0.0, 5.0, "success", [("primary", 5), ("baseline", 1)])


def test_a_run_says_when_what_and_how_it_ended() -> None:
    text = run_text(RUN)
    for part in ("uid='41fb8ca9-53b7'", "scan_id=3, plan_name='scan'", "exit_status='success'", "* primary (5 events)"):
        assert part in text
    assert "* baseline (1 event)" in text
    assert text.count("--") == 1


def test_a_run_in_progress_says_so() -> None:
    text = run_text(RunSummary("41fb8ca9", began=1.0))
    assert "no stop yet" in text
    assert "-- ?" in text
    assert "No streams yet" in text
    assert "no stop yet" in run_html(RunSummary("41fb8ca9"))
    assert "none yet" in run_html(RunSummary("41fb8ca9"))


def test_times_that_no_calendar_has_are_shown_as_they_are() -> None:
    assert "1e+30" in run_text(RunSummary("41fb8ca9", began=1e30))


def test_html_escapes_what_a_user_wrote() -> None:
    assert "<script>" not in run_html(RunSummary("41fb8ca9", plan_name="<script>"))
    assert "<script>" not in stream_html(StreamSummary("<script>", "41fb8ca9", 1, [ColumnRow("<script>", "number")]))


def test_html_is_a_table_of_what_the_text_says() -> None:
    found = run_html(RUN)
    assert "<table>" in found
    assert "primary (5 events), baseline (1 event)" in found


def test_a_stream_lists_its_columns_with_shapes_and_devices() -> None:
    summary = StreamSummary(
        "primary",
        "41fb8ca9-53b7",
        2,
        [ColumnRow("det", "number", (), "det"), ColumnRow("img", "array", (4, 6), "camera", True)],
    )
    assert stream_text(summary).splitlines() == [
        "<BlueskyEventStream 'primary' of run 41fb8ca9: 2 events>",
        "  det  number        det",
        "  img  array (4, 6)  camera  in files",
    ]
    assert "in files" in stream_html(summary)
    assert "<table>" not in stream_html(StreamSummary("primary", "41fb8ca9", 0))
