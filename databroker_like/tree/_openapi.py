"""The description of the routes for machines, as OpenAPI, and for people, both made of the one table of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING, Any

import databroker_like

if TYPE_CHECKING:
    from databroker_like.tree.routes._all import Answers

__all__ = ["described", "described_in_words"]

_JSON = "application/json"
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
#: What a wrong request is answered; each with a sentence.
_PROBLEMS: Mapping[str, str] = {
    "400": "Something in the request is not there: an index, a key, a part.",
    "401": "A key is needed, or this one is not known.",
    "403": "Who asks may not.",
    "404": "There is no such node, or it is of another structure family.",
    "406": "It cannot be sent in such a format.",
    "409": "It is not as the request takes it to be.",
    "410": "The file of which it is read is gone.",
    "413": "It is more than is sent, or taken, at once.",
    "422": "The request cannot be understood, or what it asks for cannot be read.",
    "503": "What it is read from cannot be reached now.",
}
_PATH = {
    "name": "path",
    "in": "path",
    "required": True,
    "description": "The keys that lead to the node, each percent-encoded, with a slash between them.",
    "schema": {"type": "string"},
}


def described(routes: Mapping[str, Answers], views: Mapping[str, Answers], api: str, root: str) -> dict[str, Any]:
    """The routes as OpenAPI 3.1 describes them.

    Parameters
    ----------
    routes : mapping of str to Answers
    views : mapping of str to Answers
        Other routes, by their paths.
    api : str
        Under which path the routes are.
    root : str
        The URL of the service.

    Returns
    -------
    dict
    """
    paths: dict[str, Any] = {
        "/healthz": {"get": _plain("healthz", "Whether the service runs.")},
        f"{api}/": {"get": _plain("about", "What the service is, and how it is asked.")},
    }
    for name, answers in routes.items():
        for path, inner in ((f"{api}/{name}/", []), (f"{api}/{name}/{{path}}", [_PATH])):
            paths[path] = {method.lower(): _operation(name, answers, method, inner) for method in answers.methods}
    for prefix, answers in views.items():
        operations = {method.lower(): _operation(prefix[1:], answers, method, [_PATH]) for method in answers.methods}
        paths[f"{prefix}/{{path}}"] = operations
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "databroker-like",
            "version": databroker_like.__version__,
            "description": "A tree of arrays, tables and containers, for the clients of the Tiled protocol.",
        },
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {
            "schemas": {
                "Problem": {
                    "type": "object",
                    "properties": {"detail": {"type": "string", "description": "What is wrong, and what to do."}},
                    "required": ["detail"],
                }
            },
            "securitySchemes": {
                "header": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The word Apikey, a space, and the key.",
                },
                "query": {"type": "apiKey", "in": "query", "name": "api_key"},
            },
        },
        # The empty one: where everybody may read no key is needed.
        "security": [{"header": []}, {"query": []}, {}],
    }


def _plain(name: str, says: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": says,
        "responses": {"200": {"description": says, "content": {_JSON: {"schema": {"type": "object"}}}}},
        "security": [{}],
    }


def _operation(name: str, answers: Answers, method: str, inner: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    inner = list(inner)
    where = "node" if inner else "root"
    found: dict[str, Any] = {
        "operationId": f"{method.lower()}-{name.replace('/', '-')}-of-{where}",
        "summary": answers.says,
        "parameters": [*inner, *(parameter.described() for parameter in answers.parameters)],
        "responses": {
            "200": {"description": answers.says, "content": _content(answers.sends)},
            "304": {"description": "What the caller has is what would be sent."},
            **{status: _problem(says) for status, says in _PROBLEMS.items()},
        },
    }
    if name == "asset/bytes":
        found["responses"] |= {
            "206": {"description": "The bytes that 'Range' asks for.", "content": _content(answers.sends)},
            "416": _problem("There are no such bytes."),
        }
    if method == "POST":
        texts = {"type": "array", "items": {"type": "string"}}
        found["requestBody"] = {
            "description": "What is wanted, when it is too long for the URL.",
            "content": {_JSON: {"schema": texts}},
        }
    return found


def _content(media_types: Iterable[str]) -> dict[str, Any]:
    return {one: {"schema": {"type": "object"} if one == _JSON else {}} for one in media_types} or {"*/*": {}}


def _problem(says: str) -> dict[str, Any]:
    return {"description": says, "content": {_JSON: {"schema": _PROBLEM}}}


def described_in_words(description: Mapping[str, Any]) -> bytes:
    """The same as a page of HTML, with nothing in it that comes from elsewhere.

    Parameters
    ----------
    description : mapping
        As `described` gives it.

    Returns
    -------
    bytes
    """
    parts = []
    for path, methods in description["paths"].items():
        if not path.endswith("{path}") and f"{path}{{path}}" in description["paths"]:
            continue
        for method, operation in methods.items():
            rows = "".join(_row(one) for one in operation.get("parameters", ()))
            table = f"<table><tr><th>parameter<th>what it may be<th>what it is for</tr>{rows}</table>" if rows else ""
            parts.append(
                f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>{table}"
            )
    info = description["info"]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])} Programs read the same at <a href=openapi.json>openapi.json</a>.</p>"
        f"{''.join(parts)}</html>"
    ).encode()


_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}table{border-collapse:collapse}"
    "td,th{border:1px solid #bbb;padding:.2em .6em;text-align:left;vertical-align:top}h2{margin-top:2em}"
)


def _row(parameter: Mapping[str, Any]) -> str:
    schema = parameter["schema"]
    many = " (several times)" if schema["type"] == "array" else ""
    schema = schema.get("items", schema)
    said = " or ".join(map(repr, schema["enum"])) if "enum" in schema else schema["type"]
    if "minimum" in schema:
        said += f" from {schema['minimum']} to {schema['maximum']}"
    needed = ", needed" if parameter["required"] else ""
    return (
        f"<tr><td><code>{escape(parameter['name'])}</code><td>{escape(said + many + needed)}"
        f"<td>{escape(parameter['description'])}</tr>"
    )
