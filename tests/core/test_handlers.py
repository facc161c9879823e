"""Handlers: found through entry points, imported on first use, registered by hand, and told apart."""

from __future__ import annotations

import functools
import itertools
import logging
import pickle
import random
import subprocess
import sys
import warnings
from pathlib import Path

import event_model
import pytest
from hypothesis import given
from hypothesis import strategies as st

from databroker_like import core, errors
from databroker_like.core._handlers import (
    DuplicateHandler,
    HandlerRegistry,
    LazyHandler,
    UndefinedAssetSpecification,
    discover_handlers,
    parse_handler_registry,
)
from databroker_like.core._plugins import Plugin, contest, plugins

GROUP = "tests.databroker_handlers"
GOOD = "class Handler:\n    def __init__(self, path): self.path = path\n    def __call__(self): return self.path\n"

_numbers = itertools.count()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """``installed(name, {spec: "Handler"}, ...)``: a distribution with a module of its own; gives the module's name."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name, specs, code=GOOD, requires=(), group=GROUP):
        module = f"plugin_{next(_numbers)}_{random.randrange(10**9)}"
        (tmp_path / f"{module}.py").write_text(code)
        info = tmp_path / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
        lines = [f"{spec} = {target if '.' in target else module + ':' + target}" for spec, target in specs.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        return module

    return install


def imported(module):
    return module in sys.modules


# -- discover_handlers ------------------------------------------------------------------------------------------------


def test_it_is_where_the_reference_has_it():
    assert core.discover_handlers is discover_handlers
    assert core.parse_handler_registry is parse_handler_registry


def test_every_handler_that_is_installed_is_found(installed):
    module = installed("one", {"SPEC_A": "Handler", "SPEC_B": "Handler"})
    found = discover_handlers(GROUP)
    assert sorted(found) == ["SPEC_A", "SPEC_B"]
    assert found["SPEC_A"] is found["SPEC_B"] is sys.modules[module].Handler


def test_a_package_installed_a_moment_ago_is_found(installed):
    assert discover_handlers(GROUP) == {}
    installed("late", {"LATE": "Handler"})
    assert sorted(discover_handlers(GROUP)) == ["LATE"]


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("import a_package_nobody_has", "ModuleNotFoundError", "a_package_nobody_has"),
        ("raise RuntimeError('no licence')", "RuntimeError", "no licence"),
        ("def broken(:", "SyntaxError", "invalid syntax"),
        ("Other = 1", "AttributeError", "Handler"),
        ("Handler = 'a string'", "WrongType", "cannot be called"),
    ],
)
def test_a_plugin_that_fails_becomes_a_warning_with_its_name(installed, code, name, words):
    module = installed("broken-plugin", {"BROKEN": "Handler"}, code)
    installed("healthy", {"FINE": "Handler"})
    with pytest.warns(UserWarning, match=f"'BROKEN', '{module}:Handler' of 'broken-plugin'.*{name}.*{words}"):
        assert sorted(discover_handlers(GROUP)) == ["FINE"]


def test_or_the_error_when_failures_are_not_skipped(installed):
    installed("broken-plugin", {"BROKEN": "Handler"}, "raise RuntimeError('no licence')")
    with pytest.raises(RuntimeError, match="no licence") as caught:
        discover_handlers(GROUP, skip_failures=False)
    assert "of 'broken-plugin', the handler for the spec 'BROKEN'" in caught.value.__notes__[0]


def test_a_plugin_that_fails_gives_way_to_the_next(installed):
    installed("aaa", {"SPEC": "Handler"}, "raise RuntimeError('no licence')")
    module = installed("bbb", {"SPEC": "Handler"})
    with pytest.warns(UserWarning, match="aaa is used, not bbb"), pytest.warns(UserWarning, match="no licence"):
        found = discover_handlers(GROUP)
    assert found["SPEC"] is sys.modules[module].Handler


def test_a_handler_may_be_nested_in_a_class(installed):
    module = installed("nested", {}, "class Outer:\n    class Handler: pass\n")
    assert Plugin("SPEC", f"{module}:Outer.Handler", "nested").load().__qualname__ == "Outer.Handler"


# -- collisions -------------------------------------------------------------------------------------------------------


def test_one_warning_says_who_won(installed):
    winner = installed("alpha-handlers", {"SPEC_A": "Handler", "SPEC_B": "Handler"})
    installed("beta-handlers", {"SPEC_A": "Handler", "SPEC_B": "Handler"})
    with pytest.warns(UserWarning, match="more than one distribution") as caught:
        found = discover_handlers(GROUP)
    assert len(caught) == 1
    assert "'SPEC_A', 'SPEC_B': alpha-handlers is used, not beta-handlers" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert found["SPEC_A"] is sys.modules[winner].Handler


def test_what_was_made_for_this_project_comes_first(installed):
    installed("alpha-handlers", {"SPEC": "Handler"}, requires=["databroker", "databroker-like-handlers"])
    ours = installed("zeta-handlers", {"SPEC": "Handler"}, requires=["numpy>=2", "Databroker_Like[files]>=0.1"])
    with pytest.warns(UserWarning, match="zeta-handlers is used, not alpha-handlers"):
        assert discover_handlers(GROUP)["SPEC"] is sys.modules[ours].Handler


def test_the_same_class_named_twice_is_no_collision(installed):
    module = installed("alpha-handlers", {"SPEC": "Handler"})
    assert [p.path for p in plugins(GROUP)["SPEC"]] == [f"{module}:Handler"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        discover_handlers(GROUP)


@given(st.permutations(["alpha", "beta", "gamma", "delta"]), st.sets(st.sampled_from(["alpha", "gamma", "delta"])))
def test_who_wins_does_not_depend_on_the_order_of_installation(names, made_for_us):
    from databroker_like.core import _plugins

    class Distro:
        def __init__(self, name):
            self.name = name

    class EntryPoint:
        name, object_name, extras = "SPEC", "Handler", None

        def __init__(self, name):
            self.module_name = f"module_of_{name}"
            self.distro = Distro(name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_plugins, "entry_points", lambda group: [EntryPoint(n) for n in names])
        patch.setattr(_plugins, "_made_for_us", lambda name: name in made_for_us)
        order = [p.distribution for p in plugins(GROUP)["SPEC"]]
    assert order == sorted(made_for_us) + sorted(set(names) - made_for_us)


def test_who_wins_is_told_in_few_words():
    offered = {
        spec: (Plugin(spec, f"ours:{spec}", "ours"), Plugin(spec, f"theirs:{spec}", "theirs")) for spec in ("A", "B")
    }
    offered["C"] = (Plugin("C", "ours:C", "ours"),)
    assert contest(offered) == "'A', 'B': ours is used, not theirs"
    assert contest({}) == ""


def test_ours_win_over_those_of_the_real_packages(tmp_path):
    """With all three installed: quiet on opening and reading, and discover_handlers says it once."""
    pytest.importorskip("area_detector_handlers", reason="area-detector-handlers is not installed")
    pytest.importorskip("ophyd", reason="ophyd is not installed")
    source = Path(__file__).parents[2] / "handlers"
    info = tmp_path / "databroker_like_handlers-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: databroker-like-handlers\nVersion: 0.1.0\nRequires-Dist: databroker-like[files]\n"
    )
    cfg = (source / "setup.cfg").read_text().partition("databroker.handlers =\n")[2]
    (info / "entry_points.txt").write_text("[databroker.handlers]\n" + "\n".join(map(str.strip, cfg.splitlines())))
    code = f"""
import sys, warnings
sys.path[:0] = [{str(tmp_path)!r}, {str(source)!r}]
from databroker_like.core._handlers import HandlerRegistry, discover_handlers
with warnings.catch_warnings():
    warnings.simplefilter("error")
    registry = HandlerRegistry()
    print(registry["AD_HDF5"].__module__, registry["NPY_SEQ"].__module__)
    print("ophyd" in sys.modules, "area_detector_handlers" in sys.modules)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    found = discover_handlers()
said = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
print(len([s for s in said if "more than one distribution" in s]))
print(found["AD_TIFF"].__module__, found["XSP3"].__module__)
print(said[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "databroker_like_handlers.hdf5 databroker_like_handlers.npy",
        "False False",
        "1",
        "databroker_like_handlers.tiff area_detector_handlers._xspress3",
    ], done.stderr
    assert "'AD_TIFF': databroker-like-handlers is used, not area-detector-handlers" in lines[4]
    assert "'NPY_SEQ': databroker-like-handlers is used, not ophyd" in lines[4]


# -- parse_handler_registry -------------------------------------------------------------------------------------------


class SomeHandler:
    def __init__(self, path, scale=1):
        self.path = path

    def __call__(self, index):
        return (self.path, index)


def test_dotted_paths_classes_partials_and_other_callables():
    partial = functools.partial(SomeHandler, scale=2)
    found = parse_handler_registry({"A": "fractions.Fraction", "B": SomeHandler, "C": partial, "D": len})
    assert found["A"].__name__ == "Fraction"
    assert (found["B"], found["C"], found["D"]) == (SomeHandler, partial, len)


def test_a_path_of_databroker_is_found_here_with_a_notice():
    with pytest.warns(UserWarning, match=r"databroker\.assets\.handlers_base\.HandlerBase"):
        found = parse_handler_registry({"A": "databroker.assets.handlers_base.HandlerBase"})
    from databroker_like.assets.handlers_base import HandlerBase

    assert found["A"] is HandlerBase


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("fractions.Fracton", errors.Invalid, "the handler for the spec 'A'.*'Fraction'"),
        ("no_package_of_this_name.Handler", errors.MissingExtra, "the handler for the spec 'A'.*no_package_of_this"),
        ("not a path", errors.Invalid, "'A'.*package.module.Name"),
        (3, errors.WrongType, "'A'.*3 cannot be called"),
        ("math.pi", errors.WrongType, "'A'.*cannot be called"),
    ],
)
def test_a_mistake_names_the_spec_and_what_is_near(value, error, words):
    with pytest.raises(error, match=words):
        parse_handler_registry({"A": value})


def test_what_is_no_mapping_is_refused():
    with pytest.raises(TypeError, match="mapping of specs to handlers"):
        parse_handler_registry(["AD_HDF5"])


def test_a_module_that_raises_is_named(installed):
    module = installed("x", {}, "1 / 0")
    with pytest.raises(errors.HandlerFailed, match=f"'A': importing '{module}.Handler' raised ZeroDivisionError"):
        parse_handler_registry({"A": f"{module}.Handler"})


# -- HandlerRegistry --------------------------------------------------------------------------------------------------


def test_a_registry_imports_a_handler_when_it_is_asked_for(installed):
    one = installed("one", {"ONE": "Handler"})
    two = installed("two", {"TWO": "Handler"})
    registry = HandlerRegistry(group=GROUP)
    assert list(registry) == ["ONE", "TWO"]
    assert "ONE" in registry
    assert len(registry) == 2
    assert "of 'one'" in repr(registry)
    assert not imported(one)
    assert registry["ONE"] is sys.modules[one].Handler
    assert not imported(two)


def test_a_registry_that_was_handed_handlers_discovers_none(installed):
    installed("one", {"ONE": "Handler"})
    assert list(HandlerRegistry({"MINE": SomeHandler}, group=GROUP)) == ["MINE"]
    assert list(HandlerRegistry({}, group=GROUP)) == []


def test_a_package_installed_while_a_catalog_is_open_is_found(installed):
    registry = HandlerRegistry(group=GROUP)
    assert list(registry) == []
    module = installed("late", {"LATE": "Handler"})
    assert registry["LATE"] is sys.modules.get(module).Handler


def test_it_says_who_won_in_the_log_and_not_in_a_warning(installed, caplog):
    installed("alpha", {"SPEC": "Handler"})
    installed("beta", {"SPEC": "Handler"})
    registry = HandlerRegistry(group=GROUP)
    with caplog.at_level(logging.INFO, "databroker_like.handlers"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert registry["SPEC"] is registry["SPEC"]
    assert [r.getMessage() for r in caplog.records] == [
        "more than one distribution registers a handler. 'SPEC': alpha is used, not beta"
    ]
    assert "of 'alpha' (which wins over" in registry.origin("SPEC")


def test_a_broken_plugin_fails_when_its_spec_is_needed_and_not_before(installed):
    installed("broken-plugin", {"BROKEN": "Handler"}, "raise RuntimeError('no licence')")
    fine = installed("fine", {"FINE": "Handler"})
    registry = HandlerRegistry(group=GROUP)
    assert registry["FINE"] is sys.modules[fine].Handler
    with pytest.raises(errors.HandlerFailed, match=r"of 'broken-plugin'.*no licence.*register_handler") as caught:
        registry["BROKEN"]
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_broken_plugin_gives_way_to_the_next(installed):
    installed("aaa", {"SPEC": "Handler"}, "raise RuntimeError('no licence')")
    module = installed("bbb", {"SPEC": "Handler"})
    with pytest.warns(UserWarning, match="of 'aaa'.*no licence.*the next one is used"):
        assert HandlerRegistry(group=GROUP)["SPEC"] is sys.modules[module].Handler


def test_registering_twice_is_an_error_of_both_families():
    registry = HandlerRegistry({"A": SomeHandler})
    with pytest.raises(DuplicateHandler, match=r"'A' has a handler already, .*SomeHandler; pass overwrite=True") as it:
        registry.register("A", float)
    assert isinstance(it.value, errors.Conflict)
    assert isinstance(it.value, event_model.DuplicateHandler)
    assert registry["A"] is SomeHandler
    registry.register("A", float, overwrite=True)
    assert registry["A"] is float


@pytest.mark.parametrize("again", [SomeHandler, "fractions.Fraction"])
def test_registering_the_same_again_changes_nothing(again):
    registry = HandlerRegistry({"A": again})
    registry.register("A", again)
    assert list(registry) == ["A"]


def test_a_discovered_spec_is_registered_too(installed):
    module = installed("one", {"ONE": "Handler"})
    registry = HandlerRegistry(group=GROUP)
    with pytest.raises(DuplicateHandler, match="of 'one'"):
        registry.register("ONE", SomeHandler)
    registry.register("ONE", f"{module}.Handler")
    registry["ONE"] = SomeHandler
    assert registry["ONE"] is SomeHandler


def test_deregistering_is_silent_and_lasts(installed):
    installed("one", {"ONE": "Handler"})
    registry = HandlerRegistry(group=GROUP)
    registry.deregister("ONE")
    registry.deregister("ONE")
    registry.deregister("never there")
    assert "ONE" not in registry
    with pytest.raises(UndefinedAssetSpecification):
        registry["ONE"]
    registry.register("ONE", SomeHandler)
    assert registry["ONE"] is SomeHandler
    del registry["ONE"]
    with pytest.raises(KeyError):
        del registry["ONE"]


@given(st.lists(st.tuples(st.sampled_from(["set", "get", "del", "reg", "dereg"]), st.sampled_from("ABC"))))
def test_it_behaves_as_a_dictionary_does(steps):
    registry, model = HandlerRegistry({}), {}
    for i, (step, spec) in enumerate(steps):
        handler = functools.partial(SomeHandler, scale=i)
        if step == "set":
            registry[spec] = model[spec] = handler
        elif step == "reg" and spec not in model:
            registry.register(spec, handler)
            model[spec] = handler
        elif step == "dereg":
            registry.deregister(spec)
            model.pop(spec, None)
        elif step == "del" and spec in model:
            del registry[spec]
            del model[spec]
        assert registry.get(spec) == model.get(spec)
        assert dict(registry) == model
        assert (len(registry), sorted(registry)) == (len(model), sorted(model))
        assert (spec in registry) == (spec in model)


def test_a_view_shows_later_changes_and_makes_none():
    registry = HandlerRegistry({"A": SomeHandler})
    view = registry.view
    registry.register("B", "fractions.Fraction")
    assert dict(view) == {"A": SomeHandler, "B": registry["B"]}
    assert "SomeHandler" in repr(view)
    with pytest.raises(TypeError, match="register_handler"):
        view["C"] = SomeHandler
    with pytest.raises(TypeError, match="deregister_handler"):
        del view["A"]
    assert list(view) == ["A", "B"]


def test_a_missing_handler_names_the_spec_the_resource_what_is_known_and_the_cure():
    registry = HandlerRegistry({"AD_HDF5": SomeHandler, "NPY_SEQ": SomeHandler})
    resource = {"spec": "AD_HDF", "uid": "1234-abcd", "resource_path": "x"}
    with pytest.raises(UndefinedAssetSpecification) as caught:
        registry.for_resource(resource)
    words = str(caught.value)
    for part in ("'AD_HDF'", "1234-abcd", "'AD_HDF5', 'NPY_SEQ'", "did you mean 'AD_HDF5'"):
        assert part in words
    for cure in (
        "pip install databroker-like-handlers",
        "pip install area-detector-handlers",
        "catalog.register_handler('AD_HDF', ",
    ):
        assert cure in words
    for family in (errors.NoSuchHandler, event_model.UndefinedAssetSpecification, KeyError):
        assert isinstance(caught.value, family)


def test_it_pickles_without_importing_anything(installed):
    module = installed("one", {"ONE": "Handler"})
    registry = HandlerRegistry(group=GROUP)
    registry.register("MINE", SomeHandler)
    registry.register("DOTTED", "fractions.Fraction")
    registry.deregister("GONE")
    assert "ONE" in registry
    again = pickle.loads(pickle.dumps(registry))
    assert not imported(module)
    assert list(again) == ["DOTTED", "MINE", "ONE"]
    assert again["MINE"] is SomeHandler
    assert again["ONE"] is sys.modules[module].Handler


# -- in event-model's Filler ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coerce", ["as_is", "force_numpy"])
def test_a_filler_reads_through_it(coerce, tmp_path):
    registry = HandlerRegistry({"SPEC": SomeHandler})
    bundle = event_model.compose_run()
    resource = event_model.compose_resource(
        spec="SPEC", root=str(tmp_path), resource_path="a", resource_kwargs={}, start=bundle.start_doc
    )
    datum = resource.compose_datum({"index": 3})
    key = {"source": "x", "dtype": "array", "shape": [2], "external": "FILESTORE:"}
    descriptor = bundle.compose_descriptor(name="primary", data_keys={"img": key})
    event = descriptor.compose_event(data={"img": datum["datum_id"]}, timestamps={"img": 0.0}, filled={"img": False})
    with event_model.Filler(registry.for_filler(), inplace=False, coerce=coerce) as filler:
        for name, doc in [
            ("start", bundle.start_doc),
            ("resource", resource.resource_doc),
            ("datum", datum),
            ("descriptor", descriptor.descriptor_doc),
        ]:
            filler(name, doc)
        _, filled = filler("event", event)
    assert list(filled["data"]["img"]) == [str(tmp_path / "a"), 3 if coerce == "as_is" else "3"]


def test_handing_it_to_a_filler_imports_nothing(installed):
    module = installed("one", {"ONE": "Handler"})
    handlers = HandlerRegistry(group=GROUP).for_filler()
    event_model.Filler(handlers, inplace=False, coerce="as_is")
    assert not imported(module)
    assert pickle.loads(pickle.dumps(handlers["ONE"]))("path")() == "path"
    assert imported(module)


def test_what_stands_in_for_a_handler_has_its_name_and_nothing_else_of_it():
    lazy = LazyHandler(HandlerRegistry({"A": SomeHandler}), "A")
    assert (lazy.__name__, lazy.resolve()) == ("SomeHandler", SomeHandler)
    assert not hasattr(lazy, "specs")
