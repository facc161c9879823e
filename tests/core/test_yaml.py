"""Mistakes in catalog files, each with its line; and that a catalog file runs nothing."""

import os
import pickle
import textwrap
import warnings

import intake
import pytest
from intake.catalog.local import LocalCatalogEntry

import databroker_like
from databroker_like.core._yaml import CatalogFile, CatalogFiles, open_catalog
from databroker_like.drivers.jsonl import BlueskyJSONLCatalog
from databroker_like.errors import InvalidCatalog, MissingFile, NotFound

GOOD = """
sources:
  mine:
    description: Runs of mine
    driver: bluesky-jsonl-catalog
    args:
      paths: ["{{ CATALOG_DIR }}/*.jsonl"]
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="cat.yml"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return str(path)

    return write


def mistakes(write, text):
    path = write(text)
    with pytest.raises(InvalidCatalog) as caught:
        open_catalog(path)
    message = str(caught.value)
    assert path in message
    return message


def test_a_good_file_opens_as_with_intake(write):
    path = write(GOOD)
    catalog = databroker_like.open_catalog(path)
    assert list(catalog) == list(intake.open_catalog(path)) == ["mine"]
    assert isinstance(catalog["mine"], BlueskyJSONLCatalog)
    assert catalog["mine"] == intake.open_catalog(path)["mine"]
    assert catalog.mine is catalog.mine
    assert catalog.name == intake.open_catalog(path).name


@pytest.mark.parametrize("place", ["cat.yml", "."])
def test_a_source_that_is_not_there_is_answered_with_the_nearest(write, tmp_path, place):
    write(GOOD)
    catalog = open_catalog(str(tmp_path / place))
    told = f"no source 'mime' in the catalog '{catalog.name}'; it has 'mine'$"
    with pytest.raises(NotFound, match=told):
        catalog["mime"]
    with pytest.raises(AttributeError, match=f"{type(catalog).__name__} has no attribute 'mime', and {told}"):
        catalog.mime  # noqa: B018
    assert "mime" not in catalog
    assert not hasattr(catalog, "nope")
    with pytest.raises(NotFound, match=r"no source 'other\.mine' in the catalog"):
        catalog["other.mine"]
    with pytest.raises(KeyError):
        catalog["other", "mine"]


def test_a_key_that_a_driver_of_its_own_does_not_find_is_its_own_error(write, monkeypatch):
    def missing(*args, **kwargs):
        raise KeyError("a key of the driver")

    catalog = open_catalog(write(GOOD))
    monkeypatch.setattr(LocalCatalogEntry, "get", missing)
    with pytest.raises(KeyError, match="a key of the driver"):
        catalog["mine"]


def test_a_catalog_that_nothing_offers_says_where_it_is_looked_for():
    with pytest.raises(NotFound, match=r"no source 'no such one' in the catalog 'builtin'; .*catalog_search_path\(\)"):
        databroker_like.catalog["no such one"]


def test_a_misspelt_name_of_the_package_is_answered_with_the_nearest():
    with pytest.raises(AttributeError, match="has no attribute 'catalogs'; nearest: 'catalog'"):
        databroker_like.catalogs  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute '__nothing__'$"):
        databroker_like.__nothing__  # noqa: B018


def test_a_given_name_and_description_are_used_and_the_file_read_at_once(write):
    catalog = open_catalog(write(GOOD), name="other", description="text")
    assert (catalog.name, catalog.description) == ("other", "text")
    with pytest.raises(InvalidCatalog):
        open_catalog(write("sources: 3", "bad.yml"), name="other")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "the file is empty"),
        ("just text", 1, "a catalog is a mapping with the key 'sources', not a single value"),
        ("- a\n- b\n", 1, "a catalog is a mapping with the key 'sources', not a list"),
        ("metadata: {}\n", 1, "needs the key 'sources'; this file has 'metadata'"),
        ("source: {}\n", 1, "no key 'source'; nearest: 'sources'"),
        ("sources: [a]\n", 1, "'sources' is a mapping"),
        ("sources:\n  mine: text\n", 2, "source 'mine' is a mapping with the key 'driver'"),
        ("sources:\n  mine:\n    description: no driver\n", 2, "source 'mine' needs a 'driver'"),
        ("sources:\n  mine:\n    driver: bluesky-jsonl-catalogue\n", 3, "nearest: 'bluesky-jsonl-catalog'"),
        ("sources:\n  mine:\n    driver: zzz\n", 3, "there is no driver 'zzz'; there are: 'bluesky-"),
        ("sources:\n  mine:\n    driver: pathlib.Path\n", 3, "'pathlib.Path' is no driver: it is no subclass"),
        ("sources:\n  mine:\n    driver: 3\n", 3, "is a name or a dotted path, not '3'"),
        ("sources:\n  mine:\n    driver: no_such_package.Driver\n", 3, "no module 'no_such_package'"),
        ("sources:\n  mine:\n    driver: databroker_like.v2.Brokr\n", 3, "it has 'Broker'"),
        ("sources:\n  mine:\n    driver: databroker_like.v2.temp\n", 3, "is not a class"),
        ("sources:\n\tmine: {}\n", 2, "indented with a tab"),
        ("sources:\n  mine: [\n", 3, "while parsing"),
        ("sources: {mine: 'a}\n", 2, "while scanning"),
        ("sources: {}\nsources: {}\n", 2, "'sources' stands a second time, after line 1"),
        ("sources: !!python/object/apply:os.system ['true']\n", 1, "the tag !!python/object/apply:os.system"),
        ("sources: !mine {}\n", 1, "the tag !mine"),
        ("sources:\n  a: &a {}\n  b:\n    <<: *a\n", 4, "write the keys out"),
        ("metadata: 3\nsources: {}\n", 1, "'metadata' is a mapping"),
        ("metadata: {parameters: [a]}\nsources: {}\n", 1, "'metadata: parameters' is a mapping"),
    ],
)
def test_a_mistake_in_the_frame_is_told_with_its_line(write, text, line, said):
    message = mistakes(write, text)
    assert f", line {line}: " in message
    assert said in message


def source(body):
    return "sources:\n  mine:\n    driver: bluesky-jsonl-catalog\n" + textwrap.indent(textwrap.dedent(body), " " * 4)


@pytest.mark.parametrize(
    ("body", "line", "said"),
    [
        ("", 2, "BlueskyJSONLCatalog needs 'paths' below 'args'"),
        ("args: {}\n", 4, "BlueskyJSONLCatalog needs 'paths'"),
        ("args: [a]\n", 4, "'args' of source 'mine' is a mapping"),
        ("args:\n  path: a\n  paths: b\n", 5, "takes no argument 'path'; nearest: 'paths'"),
        ("paths: a\n", 4, "'paths' is an argument; put it below 'args'"),
        ("arg: {paths: a}\nargs: {paths: a}\n", 4, None),
        ("argz: {paths: a}\n", 4, "no key 'argz'; nearest: 'args'"),
        ("description: [a]\nargs: {paths: a}\n", 4, "the description of source 'mine' is a text"),
        ("metadata: a\nargs: {paths: a}\n", 4, "'metadata' of source 'mine' is a mapping"),
        ("args:\n  paths: a\n  root_map: /data\n", 6, "from the recorded root to where the files are now"),
        ("args:\n  paths: a\n  root_map:\n    /data: 3\n", 7, "'/data' maps to a folder, as text"),
        ("args:\n  paths: a\n  transforms: json.loads\n", 6, "'transforms' of source 'mine' is a mapping"),
        ("args:\n  paths: a\n  transforms:\n    strt: json.loads\n", 7, "strt"),
        (
            "args:\n  paths: a\n  transforms:\n    start: json.load_s\n",
            7,
            "'json' has no 'load_s'; it has '__loader__', 'load'",
        ),
        ("args:\n  paths: a\n  transforms:\n    start: 3\n", 7, "is a dotted path"),
        ("args:\n  paths: a\n  handler_registry:\n    AD: no_such.Handler\n", 7, "'AD' in 'handler_registry'"),
        ("args:\n  paths: a\n  handler_registry: [a]\n", 6, "from a spec to the dotted path"),
        ("args:\n  paths: a\n  filler_class: event_model.Fillr\n", 6, "'Filler'"),
        ("args:\n  paths: a\n  query: scan\n", 6, "'query' of source 'mine' is a mapping"),
        ("args:\n  paths: a\n  query: {time: {$gte_: 3}}\n", 6, "$gte"),
        ("args:\n  paths: a\n  getshell: true\n", 6, "nothing in a catalog file runs a shell"),
        ("args:\n  paths: '{{ CATALOGDIR }}/a'\n", 5, "nearest: 'CATALOG_DIR'"),
        ("args:\n  paths: ['{{ CATALOG_DIR }']\n", 5, "cannot be read"),
        ("parameters: [a]\nargs: {paths: a}\n", 4, "'parameters' of source 'mine' is a mapping"),
        ("parameters:\n  p: a\nargs: {paths: a}\n", 5, "parameter 'p' is a mapping"),
        ("parameters:\n  p: {type: str}\nargs: {paths: a}\n", 5, "parameter 'p' needs a 'description'"),
        ("parameters:\n  p: {description: a}\nargs: {paths: a}\n", 5, "parameter 'p' needs a 'type'"),
        ("parameters:\n  p: {description: a, type: strng}\nargs: {paths: a}\n", 5, "cannot be 'strng'; it is one of"),
    ],
)
def test_a_mistake_in_a_source_is_told_with_its_line(write, body, line, said):
    if said is None:
        assert list(open_catalog(write(source(body)))) == [
            "mine"
        ]  # both are there: nobody can mean the one by the other
        return
    message = mistakes(write, source(body))
    assert f", line {line}: " in message
    assert said in message


def test_several_mistakes_are_told_together_in_the_order_of_their_lines(write):
    message = mistakes(write, source("args:\n  path: a\n  root_map: b\n  query: c\n"))
    assert "has 4 mistakes" in message
    lines = [int(part.split(":")[0]) for part in message.split("line ")[1:]]
    assert lines == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "body",
    [
        "args:\n  paths: [a, b]\n  root_map: {/data: relative}\n  query: {plan_name: scan}\n",
        "args:\n  paths: a\n  auth: null\n  transforms: null\n  handler_registry: {}\n",
        "args:\n  paths: a\n  handler_registry: {AD: json.JSONDecoder}\n  transforms: {start: copy.copy}\n",
        "args:\n  paths: '{{ folder }}/{{ env(USER) }}'\n"
        "parameters:\n  folder: {description: a, type: str, default: b}\n",
        "args:\n  paths: a\n  name: other\n  metadata: {a: 1}\ncache: []\ndirect_access: allow\n",
    ],
)
def test_what_is_allowed_opens(write, body):
    assert list(open_catalog(write(source(body)))) == ["mine"]


def test_parameters_for_the_whole_file_may_be_used_in_every_source(write):
    shared = "metadata:\n  parameters:\n    folder: {type: str, default: a}\n"
    catalog = open_catalog(write(shared + source("args: {paths: '{{ folder }}/*.jsonl'}\n")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # intake speaks of getshell for every text that is a default
        assert catalog["mine"].paths == ["a/*.jsonl"]
        assert catalog["mine"](folder="b").paths == ["b/*.jsonl"]


def test_sources_of_other_drivers_are_left_to_them(write):
    text = "sources:\n  table:\n    driver: csv\n    args: {urlpath: a.csv, anything: 3}\n"
    if "csv" not in intake.source.registry:
        pytest.skip("intake has no csv driver here")
    assert list(open_catalog(write(text))) == ["table"]


def test_a_catalog_of_version_2_opens_as_intake_opens_it(write):
    path = write("version: 2\ndata: {}\nentries: {}\nuser_parameters: {}\naliases: {}\nmetadata: {}\n")
    assert type(open_catalog(path)) is type(intake.open_catalog(path))


def test_databroker_drivers_by_dotted_path_open_with_a_notice(write):
    path = write(GOOD.replace("bluesky-jsonl-catalog", "databroker._drivers.jsonl.BlueskyJSONLCatalog"))
    with pytest.warns(UserWarning, match="taken from databroker_like"):
        catalog = open_catalog(path)
    assert isinstance(catalog["mine"], BlueskyJSONLCatalog)


@pytest.mark.parametrize("driver", ["databroker_like.drivers.jsonl.BlueskyJSONLCatalog", "intake.catalog.Catalog"])
def test_drivers_by_dotted_path_open(write, driver):
    catalog = open_catalog(
        write(
            f"sources:\n  mine:\n    driver: {driver}\n    args: {{}}\n".replace(
                "args: {}", "args: {paths: a}" if "jsonl" in driver else "args: {}"
            )
        )
    )
    assert type(catalog["mine"]).__name__ == driver.rpartition(".")[2]


# -- several files


def test_a_folder_a_glob_and_a_list_open_side_by_side(write, tmp_path):
    one = write(GOOD, "one.yml")
    two = write(GOOD.replace("mine", "yours"), "two.yaml")
    for uri in (str(tmp_path), tmp_path, str(tmp_path / "*.y*ml"), [one, two], [str(tmp_path / "*.yml"), two]):
        assert sorted(open_catalog(uri)) == ["mine", "yours"], uri
    assert isinstance(open_catalog(tmp_path)["mine"], BlueskyJSONLCatalog)
    assert sorted(open_catalog(tmp_path, flatten=False)) == ["one", "two"]
    assert list(open_catalog(tmp_path, flatten=False)["two"]) == ["yours"]


def test_two_sources_of_one_name_are_told_with_both_files(write, tmp_path):
    one, two = write(GOOD, "one.yml"), write(GOOD, "two.yml")
    with pytest.raises(InvalidCatalog, match="'mine'") as caught:
        open_catalog(tmp_path)
    assert one in str(caught.value)
    assert two in str(caught.value)


def test_files_that_come_change_and_go_are_seen_at_once(write, tmp_path):
    write(GOOD, "one.yml")
    catalog = open_catalog(tmp_path)
    kept = catalog["mine"]
    added = write(GOOD.replace("mine", "yours"), "two.yml")
    assert sorted(catalog) == ["mine", "yours"]
    write(GOOD.replace("mine", "everybodys"), "two.yml")
    assert sorted(catalog) == ["everybodys", "mine"]
    os.unlink(added)
    assert list(catalog) == ["mine"]
    assert catalog["mine"] is kept


def test_one_file_that_is_edited_is_seen_at_once_and_otherwise_not_read_again(write):
    path = write(GOOD)
    catalog = open_catalog(path)
    kept = catalog["mine"]
    assert catalog["mine"] is kept
    write(GOOD.replace("mine", "everybodys"))
    assert list(catalog) == ["everybodys"]
    os.unlink(path)
    with pytest.raises(MissingFile, match="not there any more"):
        list(catalog)


def test_a_file_that_is_not_there_is_answered_with_the_nearest(write, tmp_path):
    write(GOOD)
    with pytest.raises(MissingFile, match=r"'cat\.yml'"):
        open_catalog(tmp_path / "cot.yml")
    with pytest.raises(MissingFile, match="no folder"):
        open_catalog(tmp_path / "nowhere" / "cat.yml")
    with pytest.raises(MissingFile, match="no folder"):
        open_catalog(tmp_path / "nowhere")


def test_a_remote_file_opens_and_its_mistakes_are_told():
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/catalogs/cat.yml", GOOD.encode())
    assert list(open_catalog("memory://catalogs/cat.yml")) == ["mine"]
    memory.pipe("/catalogs/cat.yml", b"sources: 3")
    with pytest.raises(InvalidCatalog, match="line 1"):
        open_catalog("memory://catalogs/cat.yml")


def test_a_catalog_file_within_a_catalog_file_is_checked_too(write):
    inner = write(source("args:\n  path: a\n"), "inner.yml")
    outer = write(f"sources:\n  inner:\n    driver: yaml_file_cat\n    args: {{path: '{inner}'}}\n", "outer.yml")
    catalog = open_catalog(outer)
    with pytest.raises(InvalidCatalog, match=r"inner\.yml"):
        list(catalog["inner"])
    write(GOOD, "inner.yml")
    assert list(catalog["inner"]) == ["mine"]
    assert isinstance(catalog["inner"]["mine"], BlueskyJSONLCatalog)
    assert isinstance(catalog["inner.mine"], BlueskyJSONLCatalog)
    assert isinstance(catalog["inner", "mine"], BlueskyJSONLCatalog)


def test_a_file_within_a_file_may_use_the_parameters_of_the_outer_one(write):
    inner = write(source("args: {paths: '{{ folder }}/*.jsonl'}\n"), "inner.yml")
    outer = write(
        "metadata:\n  parameters:\n    folder: {type: str, default: a}\n"
        f"sources:\n  inner:\n    driver: yaml_file_cat\n    args: {{path: '{inner}'}}\n",
        "outer.yml",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert open_catalog(outer)["inner"]["mine"].paths == ["a/*.jsonl"]


def test_another_driver_opens_by_name(tmp_path):
    catalog = open_catalog(str(tmp_path / "*.jsonl"), driver="bluesky-jsonl-catalog", name="direct")
    assert isinstance(catalog, BlueskyJSONLCatalog)
    assert list(catalog) == []
    assert list(open_catalog()) == []
    with pytest.raises(InvalidCatalog, match="no driver 'zzz'"):
        open_catalog("a", driver="zzz")


def test_catalogs_of_files_pickle(write, tmp_path):
    path = write(GOOD)
    for catalog in (open_catalog(path), open_catalog(tmp_path)):
        again = pickle.loads(pickle.dumps(catalog))
        assert type(again) in (CatalogFile, CatalogFiles)
        assert again == catalog
        assert list(again) == ["mine"]


# -- nothing in a catalog file runs a shell


def shells(canary):
    touch = f"touch {canary}"
    plain = "sources:\n  mine:\n    driver: bluesky-jsonl-catalog\n    args:\n"
    yield plain + f"      paths: \"{{{{ shell('{touch}') }}}}\"\n"
    yield plain + f"      paths: '{{{{ shell({canary}) }}}}'\n      getshell: true\n"
    yield plain + f"      paths: \"{{{{ client_shell('{touch}') }}}}\"\n"
    yield plain + f"      paths: \"{{{{ cycler.__init__.__globals__.os.popen('{touch}').read() }}}}\"\n"
    yield (
        plain
        + "      paths: '{{ p }}'\n    parameters:\n      p:\n        description: a\n        type: str\n"
        + f"        default: 'shell({touch})'\n"
    )
    yield (
        f"metadata:\n  parameters:\n    p: {{type: str, default: 'shell({touch})'}}\n"
        + plain
        + "      paths: '{{ p }}'\n"
    )
    yield f"sources: !!python/object/apply:os.system ['{touch}']\n"
    yield plain + f"      paths: !!python/object/apply:os.system ['{touch}']\n"
    yield f"sources:\n  mine:\n    driver: os.system\n    args: {{command: '{touch}'}}\n"
    yield plain + "      paths: a\n      transforms: {start: os.system}\n"
    yield plain + "      paths: a\n      filler_class: subprocess.Popen\n"
    yield plain + "      paths: a\n      handler_registry: {AD: 'subprocess:Popen'}\n"


@pytest.mark.parametrize("number", range(12))
def test_nothing_in_a_catalog_file_runs_a_shell(write, tmp_path, number):
    canary = tmp_path / "canary"
    text = list(shells(canary))[number]
    with pytest.raises(InvalidCatalog):
        open_catalog(write(text))
    assert not canary.exists()


def test_a_file_inside_a_file_cannot_switch_shells_on(write, tmp_path):
    canary = tmp_path / "canary"
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {canary}\n")
    script.chmod(0o755)
    inner = write(
        "sources:\n  mine:\n    driver: intake.catalog.Catalog\n    args:\n"
        f"      name: \"{{{{ shell('{script}') }}}}\"\n",
        "inner.yml",
    )
    outer = "sources:\n  inner:\n    driver: yaml_file_cat\n    args:\n      path: '%s'\n%s"
    with pytest.raises(InvalidCatalog, match="'getshell' cannot be true"):
        open_catalog(write(outer % (inner, "      getshell: true\n"), "outer.yml"))
    with pytest.raises(InvalidCatalog, match=r"shell\(\.\.\.\) would run a shell"):
        list(open_catalog(write(outer % (inner, ""), "outer.yml"))["inner"])
    assert not canary.exists()
    # The canary can sing: intake itself runs the script when it is told to.
    intake.open_catalog(inner, getshell=True)["mine"]
    assert canary.exists()


@pytest.mark.parametrize("number", [0, 2])
def test_what_intake_leaves_of_a_shell_is_refused_by_our_drivers(write, tmp_path, number):
    canary = tmp_path / "canary"
    path = write(list(shells(canary))[number])
    with pytest.raises(ValueError, match=r"source 'mine' of .*cat\.yml: .*nothing in a catalog runs a shell"):
        intake.open_catalog(path)["mine"]
    assert not canary.exists()


def test_shells_are_refused_when_intake_opens_the_file_and_an_argument_switches_them_on(write, tmp_path):
    path = write(source("args: {paths: a, getshell: true}\n"))
    with pytest.raises(ValueError, match="'getshell' cannot be true"):
        intake.open_catalog(path)["mine"]


def test_a_file_that_is_not_utf_8_is_told_with_its_line(tmp_path):
    path = tmp_path / "c.yml"
    path.write_bytes(b"sources:\n  abc:\n    description: caf\xe9\n")
    with pytest.raises(InvalidCatalog, match=r"c\.yml, line 3: the byte 0xe9 is not UTF-8"):
        open_catalog(path)
