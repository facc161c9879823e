"""What tells cached replies apart, and by what it is known that they are whole."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from typing import Any

import httpx
import orjson

__all__ = ["checksum_of", "key_of"]

#: Which do not change what is answered, or are said of one connection.
_NEUTRAL = (
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "host",
    "if-none-match",
    "user-agent",
    "x-tiled-request-id",
)


def key_of(request: httpx.Request) -> bytes:
    """What tells requests apart: what is asked for, in which form, and by whom."""
    told = sorted((name, value) for name, value in request.headers.multi_items() if name not in _NEUTRAL)
    whole = [request.method, str(request.url), told, _who(request.headers.get("authorization", ""))]
    return hashlib.blake2b(orjson.dumps(whole), digest_size=20).digest()


def _who(authorization: str) -> str:
    """Whose credentials they are: those of a session are others every quarter of an hour, and the same person's."""
    scheme, _, credentials = authorization.partition(" ")
    parts = credentials.split(".")
    if scheme == "Bearer" and len(parts) == 3:
        try:
            claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        except (ValueError, binascii.Error):
            return authorization
        if isinstance(claims, dict) and isinstance(claims.get("sub"), str):
            # With fewer rights, the same person sees less.
            return orjson.dumps(
                ["sub", claims["sub"], claims.get("iss"), sorted(map(str, claims.get("scp") or ()))]
            ).decode()
    return authorization


def checksum_of(headers: Any, content: Any) -> int | None:
    """By what it is known that a stored reply is whole; None for what is not even of the right type."""
    if not isinstance(headers, str) or not isinstance(content, bytes):
        return None
    return zlib.crc32(content, zlib.crc32(headers.encode()))
