from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.show._catalog import CatalogSummary, RunRow, catalog_html, catalog_text

ROWS = (
    RunRow("41fb8ca9", 7, "scan", 1_700_000_000.0, "success"),
    RunRow("0a<b>", None, None, None, None),
)


def test_a_catalog_is_told_by_kind_name_and_number():
    assert catalog_text(CatalogSummary("Broker", "mine", 0)) == "<Broker 'mine': no runs>"
    assert catalog_text(CatalogSummary("Broker", None, 0)) == "<Broker: no runs>"
    assert catalog_text(CatalogSummary("Broker", "mine", 1, ROWS[:1])).startswith("<Broker 'mine': 1 run>\n")


def test_the_newest_stand_in_columns_and_the_rest_is_counted():
    lines = catalog_text(CatalogSummary("Broker", "mine", 12, ROWS)).splitlines()
    assert lines[1].split() == ["scan_id", "began", "plan", "status", "uid"]
    assert lines[2].split()[0] == "7"
    assert lines[2].endswith("41fb8ca9")
    assert "no stop yet" in lines[3]
    assert lines[2].index("41fb8ca9") == lines[3].index("0a<b>") == lines[1].index("uid")
    assert lines[4].strip() == "and 10 before these"


def test_a_search_says_what_it_is_narrowed_to():
    text = catalog_text(CatalogSummary("Broker", "search results", 0, query="{'plan_name': 'scan'}"))
    assert text == "<Broker 'search results': no runs, those that match {'plan_name': 'scan'}>"


def test_a_storage_that_cannot_be_reached_is_told_in_its_place():
    summary = CatalogSummary("Broker", "mine", None, problem="ConnectionError: no route")
    assert "cannot be looked at: ConnectionError: no route" in catalog_text(summary)
    assert "no route" in catalog_html(summary)


def test_what_documents_say_is_escaped_in_html():
    html = catalog_html(CatalogSummary("Broker", "<mine>", 2, ROWS, query="<q>"))
    assert "0a&lt;b&gt;" in html
    assert "&lt;mine&gt;" in html
    assert "&lt;q&gt;" in html
    assert "0a<b>" not in html
    assert html.count("<tr>") == 3


def test_a_time_that_is_none_is_shown_as_it_is():
    text = catalog_text(CatalogSummary("Broker", "m", 1, (RunRow("a", 1, "scan", 1e300, "success"),)))
    assert "1e+300" in text


def test_what_could_not_be_read_is_told_below():
    summary = CatalogSummary("Broker", "mine", 0, problem="'/data/<x>': there is no such folder")
    assert catalog_text(summary) == "<Broker 'mine': no runs>\n  '/data/<x>': there is no such folder; see .problems"
    assert "/data/&lt;x&gt;" in catalog_html(summary)


def test_a_mistyped_path_shows_in_the_catalog(tmp_path):
    shown = repr(BlueskyJSONLCatalog(str(tmp_path / "rnus" / "*.jsonl"), name="mine"))
    assert "no runs" in shown
    assert "there is no such folder; see .problems" in shown
