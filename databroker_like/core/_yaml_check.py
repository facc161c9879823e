"""Finding the mistakes in a catalog YAML file, each with its line and what was expected there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from databroker_like import registry
from databroker_like.core import _yaml_templates
from databroker_like.core._intake import CatalogBase, accepted_arguments, required_arguments
from databroker_like.core._transforms import parse_transforms
from databroker_like.errors import DatabrokerError, InvalidCatalog, listed, nearest
from databroker_like.queries import parse as parse_query

__all__ = ["check_catalog", "driver_class", "faulty_sources"]

_TOP = ("sources", "metadata", "name", "description", "plugins", "version")
_SOURCE = (
    "args",
    "cache",
    "cls",
    "description",
    "direct_access",
    "driver",
    "metadata",
    "parameters",
    "remote",
)
_TYPES = ("bool", "datetime", "dict", "float", "int", "list", "mlist", "other", "str", "tuple", "unicode")
_PLAIN = {
    f"tag:yaml.org,2002:{name}"
    for name in (
        *("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "binary", "set", "omap", "pairs", "merge"),
        "python/tuple",
    )
}
#: Modules whose functions would run a command, or anything at all, if a catalog file named them.
_RUNNING = frozenset(
    {"builtins", "code", "commands", "importlib", "nt", "os", "posix", "pty", "runpy", "shutil", "subprocess", "sys"}
)


def check_catalog(text: str, path: str, *, alone: bool = True) -> None:
    """Raise what is wrong with the text of a catalog file.

    Parameters
    ----------
    text : str
        The YAML.
    path : str
        Where it comes from, for the message.
    alone : bool
        True by default: parameters that its templates use must be declared in it. A file inside another
        catalog may use those of the outer one.

    Raises
    ------
    InvalidCatalog
        With the file, the line of every mistake, and what was expected.
    """
    _Check(path, alone).run(text)


def faulty_sources(text: str, path: str, *, alone: bool = True) -> dict[str, str]:
    """The sources of a catalog file that have mistakes, where the rest of it can be used without them.

    Parameters
    ----------
    text, path, alone
        As of `check_catalog`.

    Returns
    -------
    dict of str to str
        Name of a source -> its mistakes, each with its line.

    Raises
    ------
    InvalidCatalog
        When there are mistakes outside of sources.

    Examples
    --------
    >>> text = "sources: {good: {driver: csv, args: {urlpath: a.csv}}, bad: {args: {}}}"
    >>> faulty_sources(text, "lab.yml")
    {'bad': "line 1: source 'bad' needs a 'driver', such as 'bluesky-jsonl-catalog'"}
    """
    check = _Check(path, alone)
    try:
        check.run(text)
    except InvalidCatalog:
        if len(check.problems) > sum(map(len, check.of_sources.values())) or not check.of_sources:
            raise
    return {
        name: "; ".join(f"line {line}: {message}" for line, message in problems)
        for name, problems in check.of_sources.items()
    }


def driver_class(driver: str) -> type | None:
    """The class a driver name or dotted path stands for, or None when intake knows none.

    Parameters
    ----------
    driver : str

    Returns
    -------
    type or None

    Raises
    ------
    DatabrokerError
        When it is a dotted path that cannot be imported.
    """
    from intake.source import registry as intake_drivers

    if driver in intake_drivers:
        found: type = intake_drivers[driver]
        return found
    return registry.import_path(driver) if "." in driver else None


@dataclass
class _Check:
    path: str
    alone: bool
    problems: list[tuple[int, str]] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    of_sources: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def wrong(self, node: Any, message: str) -> None:
        self.problems.append((node.start_mark.line + 1, message))

    def run(self, text: str) -> None:
        top = self._compose(text)
        if top is None:
            self._raise([(1, "the file is empty; a catalog is a mapping with the key 'sources'")])
        self._tags_and_keys(top, set())
        if not self.problems:
            self._top(top)
        self._raise(sorted(self.problems, key=lambda p: p[0]))

    def _raise(self, problems: list[tuple[int, str]]) -> None:
        if len(problems) == 1:
            line, message = problems[0]
            raise InvalidCatalog(f"{self.path}, line {line}: {message}")
        if problems:
            lines = "\n".join(f"  line {line}: {message}" for line, message in problems)
            raise InvalidCatalog(f"{self.path} has {len(problems)} mistakes:\n{lines}")

    def _compose(self, text: str) -> Any:
        import yaml

        try:
            return yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else 1
            lines = text.splitlines()
            at = lines[line - 1] if line <= len(lines) else ""
            if "\t" in at[: len(at) - len(at.lstrip())]:
                said = "the line is indented with a tab; YAML wants spaces"
            else:
                said = ": ".join(part for part in (error.context, error.problem) if part) or "this is no YAML"
            raise InvalidCatalog(f"{self.path}, line {line}: {said}: {at.strip()!r}") from error
        except yaml.YAMLError as error:
            raise InvalidCatalog(f"{self.path}, line 1: this is no YAML: {error}") from error

    # -- what holds everywhere in the file

    def _tags_and_keys(self, node: Any, seen: set[int]) -> None:
        import yaml

        if id(node) in seen:
            return
        seen.add(id(node))
        if node.tag not in _PLAIN:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            self.wrong(node, f"the tag {tag} makes a Python object; write a plain value")
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                if key.tag == "tag:yaml.org,2002:merge":
                    self.wrong(key, "intake does not read merges with '<<'; write the keys out")
                elif _is_scalar(key):
                    if key.value in lines:
                        line = lines[key.value]
                        self.wrong(key, f"the key {key.value!r} stands a second time, after line {line}; keep one")
                    lines.setdefault(key.value, key.start_mark.line + 1)
                self._tags_and_keys(key, seen)
                self._tags_and_keys(value, seen)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._tags_and_keys(item, seen)

    # -- the parts of a catalog

    def _top(self, top: Any) -> None:
        if not self._is(top, "mapping", "a catalog", "with the key 'sources'"):
            return
        entries = _members(top)
        metadata = entries.get("metadata")
        if self._is_version_2(entries, metadata):
            return
        missed = self._near_misses(entries, _TOP, "a catalog")
        if "sources" not in entries:
            if "sources" in missed:
                return
            self.wrong(top, f"a catalog needs the key 'sources'; this file has {listed(entries)}")
            return
        if metadata is not None and not _is_null(metadata[1]) and self._is(metadata[1], "mapping", "'metadata'"):
            shared = _members(metadata[1]).get("parameters")
            if shared is not None and self._is(shared[1], "mapping", "'metadata: parameters'"):
                self.shared = set(_members(shared[1]))
                for name, (_, parameter) in _members(shared[1]).items():
                    self._parameter(name, parameter, needs_description=False)
        sources = entries["sources"][1]
        if self._is(sources, "mapping", "'sources'", "from the name of each source to what it is"):
            for name, (key, source) in _members(sources).items():
                before = len(self.problems)
                self._source(name, key, source)
                if len(self.problems) > before:
                    self.of_sources[name] = self.problems[before:]

    def _is_version_2(self, entries: Mapping[str, tuple[Any, Any]], metadata: tuple[Any, Any] | None) -> bool:
        inner = _members(metadata[1]) if metadata is not None and metadata[1].id == "mapping" else {}
        stated = [found["version"][1] for found in (entries, inner) if "version" in found]
        return any(_is_scalar(node) and node.value.isdigit() and int(node.value) > 1 for node in stated)

    def _source(self, name: str, key: Any, source: Any) -> None:
        if not self._is(source, "mapping", f"source {name!r}", "with the key 'driver'"):
            return
        entries = _members(source)
        if "cls" in entries or "remote" in entries:
            return
        cls = self._driver(name, key, entries)
        arguments = accepted_arguments(cls) - set(_SOURCE) if _ours(cls) else frozenset()
        misplaced = arguments & entries.keys()
        missed = self._near_misses(
            {k: v for k, v in entries.items() if k not in misplaced}, _SOURCE, f"source {name!r}"
        )
        for argument in sorted(misplaced):
            self.wrong(entries[argument][0], f"source {name!r}: {argument!r} is an argument; put it below 'args'")
        parameters: set[str] = set()
        declared = entries.get("parameters")
        if declared is not None and self._is(declared[1], "mapping", f"'parameters' of source {name!r}"):
            for parameter, (_, node) in _members(declared[1]).items():
                parameters.add(parameter)
                self._parameter(parameter, node)
        if "description" in entries and not _is_text(entries["description"][1]):
            self.wrong(entries["description"][0], f"the description of source {name!r} is a text")
        if "metadata" in entries:
            self._is(entries["metadata"][1], "mapping", f"'metadata' of source {name!r}")
        args = entries.get("args")
        if args is None:
            if misplaced or "args" in missed:
                return
            self._arguments(name, key, {}, cls, parameters)
        elif self._is(args[1], "mapping", f"'args' of source {name!r}"):
            self._arguments(name, args[0], _members(args[1]), cls, parameters)

    def _driver(self, name: str, key: Any, entries: Mapping[str, tuple[Any, Any]]) -> type | None:
        from intake.source import registry as intake_drivers

        if "driver" not in entries:
            self.wrong(key, f"source {name!r} needs a 'driver', such as 'bluesky-jsonl-catalog'")
            return None
        node = entries["driver"][1]
        if not _is_text(node):
            if _is_scalar(node):
                self.wrong(node, f"the driver of source {name!r} is a name or a dotted path, not {node.value!r}")
            return None
        try:
            self._harmless(node.value)
            found = driver_class(node.value)
        except (DatabrokerError, ImportError) as error:
            self.wrong(node, f"source {name!r}: the driver {error}")
            return None
        if found is None:
            near = nearest(node.value, intake_drivers)
            known = near or [d for d in intake_drivers if d.startswith("bluesky-")] or list(intake_drivers)
            what = "nearest" if near else "there are"
            self.wrong(node, f"source {name!r}: there is no driver {node.value!r}; {what}: {listed(known)}")
        elif not isinstance(found, type):
            self.wrong(node, f"source {name!r}: the driver {node.value!r} is not a class")
            return None
        elif not hasattr(found, "container"):
            self.wrong(node, f"source {name!r}: {node.value!r} is no driver: it is no subclass of intake's DataSource")
            return None
        return found

    def _arguments(
        self, name: str, at: Any, given: Mapping[str, tuple[Any, Any]], cls: type | None, parameters: set[str]
    ) -> None:
        known = {"CATALOG_DIR", "metadata", *given, *parameters, *self.shared}
        for argument, (key, node) in given.items():
            self._templates(f"{argument!r} of source {name!r}", node, known)
            if argument == "getshell" and _value(node) is not False:
                self.wrong(key, "'getshell' cannot be true: nothing in a catalog file runs a shell")
        if not _ours(cls):
            return
        accepted = accepted_arguments(cls)
        for argument in sorted(given.keys() - accepted - {"auth"}):
            near = nearest(argument, accepted)
            hint = f"nearest: {listed(near)}; " if near else ""
            self.wrong(
                given[argument][0],
                f"source {name!r}: {cls.__name__} takes no argument {argument!r}; {hint}"
                f"it takes {listed(accepted, most=30)}",
            )
        missing = [a for a in required_arguments(cls) if a not in given]
        if missing:
            self.wrong(at, f"source {name!r}: {cls.__name__} needs {listed(missing)} below 'args'")
        for argument, checked in self._checks().items():
            if argument in given and argument in accepted and not _is_null(given[argument][1]):
                checked(f"{argument!r} of source {name!r}", given[argument][1])
        for argument, (_, node) in given.items():
            if argument.startswith("get_") and _is_text(node):
                self._importable(f"{argument!r} of source {name!r}", node)

    def _checks(self) -> Mapping[str, Callable[[str, Any], None]]:
        return {
            "root_map": self._root_map,
            "handler_registry": self._dotted_values,
            "transforms": self._transforms,
            "filler_class": self._importable,
            "query": self._query,
        }

    def _root_map(self, what: str, node: Any) -> None:
        if self._is(node, "mapping", what, "from the recorded root to where the files are now"):
            for key, (_, value) in _members(node).items():
                if not _is_text(value):
                    self.wrong(value, f"{what}: {key!r} maps to a folder, as text")

    def _dotted_values(self, what: str, node: Any) -> None:
        if self._is(node, "mapping", what, "from a spec to the dotted path of a handler class"):
            for key, (_, value) in _members(node).items():
                self._importable(f"{key!r} in {what}", value)

    def _transforms(self, what: str, node: Any) -> None:
        if not self._is(node, "mapping", what, "from 'start', 'stop', 'resource' or 'descriptor' to a dotted path"):
            return
        for key, (key_node, value) in _members(node).items():
            try:
                parse_transforms({key: _unchanged})
            except (DatabrokerError, NotImplementedError, ValueError) as error:
                self.wrong(key_node, f"{what}: {error}")
            self._importable(f"{key!r} in {what}", value)

    def _query(self, what: str, node: Any) -> None:
        if self._is(node, "mapping", what, "such as {plan_name: scan}") and not any(
            _yaml_templates.is_template(text.value) for text in _texts(node)
        ):
            try:
                parse_query(_value(node))
            except DatabrokerError as error:
                self.wrong(node, f"{what}: {error}")

    def _importable(self, what: str, node: Any) -> None:
        if not _is_text(node):
            self.wrong(node, f"{what} is a dotted path, such as 'package.module.Name'")
        elif not _yaml_templates.is_template(node.value):
            try:
                self._harmless(node.value)
                registry.import_path(node.value)
            except (DatabrokerError, ImportError) as error:
                self.wrong(node, f"{what}: {error}")

    def _harmless(self, path: str) -> None:
        if path.replace(":", ".").partition(".")[0] in _RUNNING and "." in path.replace(":", "."):
            raise InvalidCatalog(f"{path!r} could run a command; nothing in a catalog file does")

    def _templates(self, what: str, node: Any, known: set[str]) -> None:
        for text in _texts(node):
            for problem in _yaml_templates.problems(text.value, known if self.alone else None):
                self.wrong(text, f"{what}: {problem}")

    def _parameter(self, name: str, node: Any, *, needs_description: bool = True) -> None:
        if not self._is(node, "mapping", f"parameter {name!r}", "with 'description', 'type' and 'default'"):
            return
        entries = _members(node)
        for needed in ("description", "type") if needs_description else ():
            if needed not in entries:
                self.wrong(node, f"parameter {name!r} needs a {needed!r}")
        kind = entries.get("type")
        if kind is not None and (not _is_scalar(kind[1]) or kind[1].value.partition("[")[0] not in _TYPES):
            shown, known = getattr(kind[1], "value", kind[1]), listed(_TYPES, most=20)
            self.wrong(kind[1], f"the type of parameter {name!r} cannot be {shown!r}; it is one of {known}")
        default = entries.get("default")
        if default is not None:
            for text in _texts(default[1]):
                if text.value.lstrip().startswith(("shell(", "client_shell(")):
                    self.wrong(text, f"the default of parameter {name!r} would run a shell; write the value itself")
                for problem in _yaml_templates.problems(text.value, None):
                    self.wrong(text, f"the default of parameter {name!r}: {problem}")

    # -- words

    def _is(self, node: Any, kind: str, what: str, such: str = "") -> bool:
        if node.id == kind:
            return True
        is_a = {"mapping": "a mapping", "sequence": "a list", "scalar": "a single value"}
        self.wrong(node, f"{what} is {is_a[kind]}{' ' + such if such else ''}, not {is_a[node.id]}")
        return False

    def _near_misses(self, entries: Mapping[str, tuple[Any, Any]], known: tuple[str, ...], what: str) -> set[str]:
        meant = set()
        for name, (key, _) in entries.items():
            near = [] if name in known else nearest(name, [k for k in known if k not in entries], most=1)
            if near:
                self.wrong(key, f"{what} has no key {name!r}; nearest: {near[0]!r}")
                meant.add(near[0])
        return meant


def _unchanged(doc: Any) -> Any:
    return doc


def _ours(cls: type | None) -> TypeGuard[type[CatalogBase]]:
    return cls is not None and issubclass(cls, CatalogBase)


def _members(node: Any) -> dict[str, tuple[Any, Any]]:
    """Key -> (its node, the node of its value)."""
    return {str(key.value): (key, value) for key, value in node.value}


def _texts(node: Any) -> Iterator[Any]:
    if node.id == "scalar":
        if node.tag == "tag:yaml.org,2002:str":
            yield node
    elif node.id == "sequence":
        for item in node.value:
            yield from _texts(item)
    else:
        for _, value in node.value:
            yield from _texts(value)


def _is_scalar(node: Any) -> bool:
    return bool(node.id == "scalar")


def _is_text(node: Any) -> bool:
    return _is_scalar(node) and bool(node.tag == "tag:yaml.org,2002:str")


def _is_null(node: Any) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _value(node: Any) -> Any:
    import yaml

    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()
