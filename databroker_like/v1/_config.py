"""Configurations of versions 0 and 1, as data: what they mean becomes a catalog; nothing they name is imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus, urlsplit, urlunsplit

from databroker_like import registry
from databroker_like.errors import InvalidConfig, NotOffered, listed, nearest
from databroker_like.utils import Secret

__all__ = ["configured", "mongo_uri"]

_KNOWN = frozenset(
    {"description", "metadatastore", "assets", "handlers", "root_map", "transforms", "api_version", "timezone"}
)
_MONGO = {"metadatastore": "databroker.headersource.mongo", "assets": "databroker.assets.mongo"}
_CONNECTION = frozenset(
    {"host", "port", "database", "uri", "authsource", "mongo_user", "mongo_pwd", "timezone", "auth", "tz", "test"}
)
_CURE = (
    "open these files with the databroker they were written with (version 1 or older, `databroker.v0.Broker`) and "
    "export the runs as JSON lines, with `pip install databroker suitcase-jsonl` in an environment of its own; then "
    "`BlueskyJSONLCatalog('runs/*.jsonl')` opens them here"
)


def configured(config: Any, auto_register: bool, name: str | None) -> tuple[Any, int]:
    """The catalog of a configuration, and the version of the API it asks for.

    Parameters
    ----------
    config : mapping
    auto_register : bool
    name : str or None

    Returns
    -------
    (catalog, int)

    Raises
    ------
    InvalidConfig
    NotOffered
    """
    if not isinstance(config, Mapping):
        raise InvalidConfig(f"a configuration is a mapping of 'metadatastore', 'assets', ..., not {config!r}")
    called = f"the configuration {name!r}" if name else "the configuration"
    version = _version(config, called)
    if "event_sources" in config:
        raise NotOffered(
            f"{called} has 'event_sources', which only version 0 knew; list the files or databases as catalogs in a "
            "YAML file of their own"
        )
    unknown = [key for key in config if key not in _KNOWN]
    if unknown:
        near = listed([n for key in unknown for n in nearest(key, _KNOWN)] or _KNOWN)
        raise InvalidConfig(f"{called} has {listed(unknown)}, which means nothing; did you mean {near}?")
    uris = {part: _uri(config, part, called) for part in _MONGO}
    handlers = _handlers(config, called)
    kwargs: dict[str, Any] = {
        "root_map": _mapping(config, "root_map", called),
        "transforms": _mapping(config, "transforms", called),
    }
    if name is not None:
        kwargs["name"] = name
    if config.get("description"):
        kwargs["description"] = str(config["description"])
    if not auto_register:
        kwargs["handler_registry"] = handlers
    catalog = registry.load("mongo_normalized")(uris["metadatastore"], uris["assets"], **kwargs)
    if auto_register:
        for spec, handler in handlers.items():
            catalog.register_handler(spec, handler, overwrite=True)
    return catalog, version


def _version(config: Mapping[str, Any], called: str) -> int:
    version = config.get("api_version", 1)
    if version == 0 and not isinstance(version, bool):
        raise NotOffered(
            f"{called} asks for version 0 of the API, which is not offered; take 'api_version: 0' out of it, and the "
            "same runs are there in version 1"
        )
    if isinstance(version, bool) or version not in (1, 2):
        raise InvalidConfig(f"{called} has 'api_version: {version!r}'; there are the versions 1 and 2")
    return int(version)


def _mapping(config: Mapping[str, Any], key: str, called: str) -> dict[str, Any]:
    value = config.get(key) or {}
    if not isinstance(value, Mapping):
        raise InvalidConfig(f"{key!r} of {called} is to be a mapping, not {type(value).__name__}")
    return dict(value)


def _handlers(config: Mapping[str, Any], called: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for spec, handler in _mapping(config, "handlers", called).items():
        if isinstance(handler, str):
            found[spec] = handler
        elif isinstance(handler, Mapping) and {"module", "class"} <= handler.keys():
            found[spec] = f"{handler['module']}.{handler['class']}"
        else:
            raise InvalidConfig(
                f"the handler of {spec!r} in {called} is to be written as a mapping of 'module' and 'class'"
            )
    return found


def _uri(config: Mapping[str, Any], part: str, called: str) -> str:
    """The address of a database, with its password in it."""
    if part not in config:
        raise InvalidConfig(
            f"{called} has no {part!r}, which says where the {_holds(part)} are; it has {listed(config)}"
        )
    section = config[part]
    if not isinstance(section, Mapping) or "module" not in section:
        raise InvalidConfig(f"{part!r} of {called} is to be a mapping of 'module', 'class' and 'config'")
    module = section["module"]
    if module != _MONGO[part]:
        if isinstance(module, str) and module.startswith(("databroker.", "metadataservice", "filestore", "portable_")):
            raise NotOffered(
                f"{part!r} of {called} is {module!r}, a storage of version 0, which is not offered; {_CURE}"
            )
        near = nearest(module, _MONGO.values())
        raise InvalidConfig(
            f"{part!r} of {called} is {module!r}, which is not known; "
            + f"did you mean {listed(near or [_MONGO[part]])}?"
        )
    connection = section.get("config")
    if not isinstance(connection, Mapping):
        raise InvalidConfig(f"{part!r} of {called} has no mapping 'config', which says where the database is")
    return mongo_uri(connection, f"{part!r} of {called}")


def _holds(part: str) -> str:
    return "runs" if part == "metadatastore" else "references to external files"


def mongo_uri(connection: Mapping[str, Any], called: str = "the configuration") -> str:
    """The URI of a MongoDB database.

    Parameters
    ----------
    connection : mapping
        ``host``, ``port`` and ``database``, and where there are such ``mongo_user``, ``mongo_pwd`` and
        ``authsource``; or ``uri``, with the ``database`` in it or beside it.
    called : str
        What it belongs to, for errors.

    Returns
    -------
    str
        A `Secret`: its password is not shown.

    Raises
    ------
    InvalidConfig
        When both are there, or neither, or no database is named.

    Examples
    --------
    >>> mongo_uri({"host": "db.example", "port": 27017, "database": "runs", "mongo_user": "me", "mongo_pwd": "a:b"})
    'mongodb://me:***@db.example:27017/runs'
    """
    unknown = [key for key in connection if key not in _CONNECTION]
    if unknown:
        near = listed([n for key in unknown for n in nearest(key, _CONNECTION)] or _CONNECTION)
        raise InvalidConfig(f"{called} has {listed(unknown)}, which means nothing; did you mean {near}?")
    if "uri" in connection:
        if "host" in connection or "port" in connection:
            raise InvalidConfig(f"{called} must define either uri, or host/port, but not both")
        return Secret(_with_database(str(connection["uri"]), connection.get("database"), called))
    if "host" not in connection or "database" not in connection:
        raise InvalidConfig(f"{called} must define either uri, or host and database; it has {listed(connection)}")
    host = str(connection["host"])
    port = f":{connection['port']}" if connection.get("port") is not None else ""
    user, password = connection.get("mongo_user"), connection.get("mongo_pwd")
    who = ""
    if user:
        who = quote_plus(str(user)) + (f":{quote_plus(str(password))}" if password is not None else "") + "@"
    source = connection.get("authsource")
    query = f"?authSource={quote_plus(str(source))}" if source else ""
    return Secret(f"mongodb://{who}{host}{port}/{quote_plus(str(connection['database']))}{query}")


def _with_database(uri: str, database: Any, called: str) -> str:
    parts = urlsplit(uri)
    if parts.scheme not in ("mongodb", "mongodb+srv"):
        raise InvalidConfig(f"the uri of {called} is to begin with 'mongodb://'")
    if database is None:
        if parts.path.strip("/") == "":
            raise InvalidConfig(f"the uri of {called} names no database; write it as 'mongodb://host:port/database'")
        return uri
    query = parts.query
    inside = parts.path.strip("/")
    if inside and inside != database and "authsource" not in query.lower():
        # What a URI names is also where its user is known; the database beside it is where the runs are.
        query += ("&" if query else "") + f"authSource={quote_plus(inside)}"
    return urlunsplit((parts.scheme, parts.netloc, "/" + quote_plus(str(database)), query, ""))
