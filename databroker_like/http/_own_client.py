"""The client of httpx with which users make requests of their own: credentials go to one server alone here, too."""

from __future__ import annotations

from collections.abc import Generator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from databroker_like.http._session import Session

__all__ = ["client_of"]


class _Credentials(httpx.Auth):
    """Adds to a request to the server what a session adds to its own."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        session = self._session
        if not session.is_own(request.url):
            yield request
            return
        for name, value in session.headers.items():
            request.headers.setdefault(name, value)
        if session.auth is not None:
            yield from session.auth.sync_auth_flow(request)
            return
        is_ours = session.authorization is not None and "authorization" not in request.headers
        if is_ours and session.authorization is not None:
            request.headers["Authorization"] = session.authorization
        response = yield request
        if is_ours and session.renewed(request, response):
            request.headers["Authorization"] = session.authorization or ""
            yield request


class _Connections(httpx.BaseTransport):
    """Sends requests by the connections of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        session = self._session
        if not session.is_own(request.url):
            # A redirect brought them along.
            ours = {**session.headers, "Authorization": session.authorization}
            for name in [name for name, value in ours.items() if request.headers.get(name) == value]:
                del request.headers[name]
        return session.send(request)


def client_of(session: Session) -> httpx.Client:
    """A client of httpx that speaks with the server of a session, by the same connections.

    Parameters
    ----------
    session : Session

    Returns
    -------
    httpx.Client
        It raises what those of httpx raise, and repeats nothing. The headers and credentials of the session go to its
        server alone, and are not in the client's own ``headers``.

    Examples
    --------
    >>> answers = httpx.MockTransport(lambda request: httpx.Response(200, text=request.headers["X-Lab"]))
    >>> session = Session("http://localhost:8000/api/v1", headers={"X-Lab": "3"}, transport=answers)
    >>> client_of(session).get("/healthz").text
    '3'
    """
    return httpx.Client(
        base_url=session.resolved("/"),
        transport=_Connections(session),
        auth=_Credentials(session),
        timeout=session.timeout,
        headers={"User-Agent": "databroker-like"},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=True,
    )
