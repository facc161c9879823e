"""One MongoDB database as the drivers ask it: connected late, once a process, with its errors translated here."""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from databroker_like import registry
from databroker_like.drivers._mongo_address import MongoAddress
from databroker_like.drivers._mongo_patience import ATTEMPTS, first_refused, is_passing
from databroker_like.errors import Invalid, NotWritable, Unreachable, WrongType

__all__ = ["MongoServer", "as_python", "close_clients", "is_database", "is_not_allowed"]

#: How long to look for a server, unless the URI says otherwise.
_SECONDS = 5
_NOT_ALLOWED = frozenset({13})
_LOGIN_REFUSED = frozenset({18, 11})

_clients: dict[tuple[Any, ...], Any] = {}
_lock = threading.Lock()


class MongoServer:
    """A database, by its URI or as an object of pymongo or mongomock.

    Made from a URI it pickles, and connects when it is first asked; each process has connections of its own.

    Parameters
    ----------
    given : str, MongoAddress or Database
    argument : str
        What it was given as, for errors.
    """

    def __init__(self, given: Any, argument: str = "uri") -> None:
        self._given: Any = None
        self.address: MongoAddress | None = None
        if isinstance(given, str):
            self.address = MongoAddress(given, argument)
        elif isinstance(given, MongoAddress):
            self.address = given
        elif is_database(given):
            self._given = given
        else:
            kind = type(given).__name__
            raise WrongType(
                f"{argument} is the URI of a MongoDB database or a pymongo Database, not {kind}"
                + ("; take a database of the client: client['name']" if hasattr(type(given), "get_database") else "")
            )

    @property
    def captured(self) -> Any:
        """What a catalog remembers it was made from: the address, or the object."""
        return self.address if self.address is not None else self._given

    @property
    def shown(self) -> str:
        """Which database of which host, for people."""
        if self.address is not None:
            return str(self.address)
        return f"the database {self._given.name!r}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.shown!r})"

    def check_pickles(self) -> None:
        """Raise when it does not pickle: a Database object is bound to the connections of its process."""
        if self.address is None:
            raise WrongType(
                f"a catalog made from a Database object ({self.shown}) does not pickle: its connections stay in this "
                "process; make the catalog from a URI"
            )

    def __getstate__(self) -> dict[str, Any]:
        self.check_pickles()
        return {"address": self.address}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["address"])  # type: ignore[misc]

    @property
    def database(self) -> Any:
        """The Database object."""
        if self._given is not None:
            return self._given
        assert self.address is not None
        return _client(self.address)[self.address.database]

    def collection(self, name: str) -> Any:
        """A collection of it, whose documents come out as plain dictionaries and numbers."""
        if self.is_mongomock:
            return self.database[name]
        return self.database.get_collection(name, codec_options=self._codec_options)

    @cached_property
    def _codec_options(self) -> Any:
        return as_python(self.database.codec_options)

    def is_beside(self, other: MongoServer) -> bool:
        """Whether another database is on the same server, as far as is known."""
        if self.address is None or other.address is None:
            return self.address is other.address and bool(self.database.client == other.database.client)
        return self.address.hosts == other.address.hosts

    @cached_property
    def is_mongomock(self) -> bool:
        """Whether it is mongomock's imitation, which lacks some of what servers do."""
        return type(self.database).__module__.partition(".")[0] == "mongomock"

    @cached_property
    def finds_words_as_mongodb(self) -> bool:
        """Whether its text index cuts text into words as MongoDB's own does.

        Others that speak its protocol leave words out that a search has to find, as those of a path or a host.
        """
        if self.is_mongomock:
            return False
        with self.translated():
            return "storageEngines" in self.database.client.admin.command("buildInfo")

    @contextmanager
    def translated(self, *, writes: bool = False) -> Iterator[None]:
        """The errors of pymongo raised inside become errors of this package that say which server and what to do."""
        errors = registry.require("pymongo.errors", "reach a MongoDB")
        try:
            yield
        except (errors.ConfigurationError, errors.InvalidURI):
            # Their text may hold a part of the password.
            raise Invalid(
                f"pymongo cannot use {self.shown}; see its documentation of connection strings for what the options "
                "may be, and whether a host of mongodb+srv:// has a DNS record"
            ) from None
        except (errors.WriteError, errors.BulkWriteError) as error:
            raise NotWritable(f"{self.shown} refuses to write: {_said(error)}{_what_helps(error)}") from error
        except errors.OperationFailure as error:
            if writes and is_passing(error):
                raise NotWritable(f"{self.shown} refuses for now: {_said(error)}{_what_helps(error)}") from error
            if error.code in _LOGIN_REFUSED:
                user = self.address.user if self.address is not None else None
                raise Unreachable(
                    f"{self.shown} refuses the login{f' of {user!r}' if user else ''}; look at user, password and the "
                    "option authSource"
                ) from None
            if writes or is_not_allowed(error):
                raise NotWritable(f"{self.shown} does not allow it: {_said(error)}") from error
            raise Unreachable(f"{self.shown} could not answer: {_said(error)}") from error
        except errors.ConnectionFailure as error:
            raise Unreachable(
                f"no answer from {self.shown}: {_said(error)}; is the server running, and is it reached from here?"
            ) from error
        except errors.PyMongoError as error:
            raise Unreachable(f"{self.shown}: {_said(error)}") from error


def is_database(value: Any) -> bool:
    """Whether it is a Database object, of pymongo or mongomock.

    Asked of its class: a client, a database and a collection have whatever attribute they are asked for.
    """
    return hasattr(type(value), "get_collection") and hasattr(type(value), "list_collection_names")


def is_not_allowed(error: Exception) -> bool:
    """Whether the server says that whoever logged in may not do this."""
    return getattr(error, "code", None) in _NOT_ALLOWED


def as_python(options: Any) -> Any:
    """Codec options with which documents are dictionaries and whole numbers are int, not a kind of int of its own.

    Parameters
    ----------
    options : bson.codec_options.CodecOptions

    Returns
    -------
    bson.codec_options.CodecOptions
    """
    plain, as_int = _registries()
    registered = options.type_registry  # another than the plain one is somebody's choice
    return options.with_options(document_class=dict, type_registry=as_int if registered == plain else registered)


@functools.cache
def _registries() -> tuple[Any, Any]:
    from bson.codec_options import TypeDecoder, TypeRegistry
    from bson.int64 import Int64

    class AsInt(TypeDecoder):
        bson_type = Int64

        def transform_bson(self, value: int) -> int:
            return int(value)

    return TypeRegistry(), TypeRegistry([AsInt()])


def _said(error: Exception) -> str:
    """The first line of an error, cut; pymongo adds the whole answer or the whole topology to it."""
    refused = first_refused(error)
    text = str(error if refused is None else refused.get("errmsg"))
    text = text.split(", full error:")[0].split(", Timeout:")[0].split(" (configured timeouts:")[0]
    line = text.splitlines()[0] if text else type(error).__name__
    return line if len(line) <= 300 else line[:300] + "..."


def _what_helps(error: Exception) -> str:
    """What to do about something written that a server refused for the moment, each time it was asked."""
    if not is_passing(error):
        return ""
    return (
        f"; it was asked {ATTEMPTS} times, and other writers were in the way each time. Send the same document "
        "again when the server has less to do: what is there already is not recorded twice"
    )


def _client(address: MongoAddress) -> Any:
    """The connections of this process to one server, shared by every catalog of it."""
    pymongo = registry.require("pymongo", "reach a MongoDB")
    # pymongo is not safe across a fork: the child connects anew. Who replaces MongoClient gets what it replaced it by.
    key = (os.getpid(), pymongo.MongoClient, address.uri)
    with _lock:
        client = _clients.get(key)
        if client is None:
            options: dict[str, Any] = {}
            if "serverselectiontimeoutms" not in address.options:
                options["serverSelectionTimeoutMS"] = _SECONDS * 1000
            if "connecttimeoutms" not in address.options:
                options["connectTimeoutMS"] = _SECONDS * 1000
            try:
                client = pymongo.MongoClient(address.uri, **options)
            except (pymongo.errors.PyMongoError, ValueError, TypeError) as error:
                said = "" if isinstance(error, pymongo.errors.PyMongoError) else f" ({type(error).__name__})"
                raise Invalid(
                    f"pymongo cannot use {address}{said}; see its documentation of connection strings for what the "
                    "options may be"
                ) from None
            _clients[key] = client
    return client


@atexit.register
def close_clients() -> None:
    """Close the connections of this process; they are made again when they are needed."""
    with _lock:
        for key in [key for key in _clients if key[0] == os.getpid()]:
            _clients.pop(key).close()


def _new_lock_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock_in_child)
