"""Who may talk to the page's server: who knows its token, from its own page, by its own name."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-polymorph-token"
_TOKEN_QUERY = "token"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


@dataclass(frozen=True)
class Access:
    """Where the server listens, and the secret that opens it.

    Attributes:
        host: as it was asked for.
        port: that it listens on.
        token: random; whoever started the server has it from there.
    """

    host: str
    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        """The address to open, with the token."""
        name = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        name = f"[{name}]" if ":" in name else name
        return f"http://{name}:{self.port}/?{_TOKEN_QUERY}={self.token}"

    @property
    def cookie(self) -> str:
        """Its name; other ports of this machine share its cookies."""
        return f"polymorph_{self.port}"

    def knows(self, token: str) -> bool:
        """Whether it is the token, compared in constant time."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def is_own_name(self, authority: str) -> bool:
        """Whether a Host header names this server.

        Another site can let its own name point here (DNS rebinding), but not become one of these:
        a loopback name, or where the server is open to others an address or the machine's name.
        """
        try:
            parts = urlsplit(f"//{authority}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port:
            return False
        if name in ("127.0.0.1", "localhost", "::1", self.host.lower()):
            return True
        if self.host in ("127.0.0.1", "localhost", "::1"):
            return False
        return _is_address(name) or name == socket.gethostname().lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guard:
    """Lets requests through that come from the page itself; the first one brings the token."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 in place of the app where something is amiss."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal, opened = self._judge(Headers(scope=scope), scope)
        if scope["type"] != "http" or refusal:
            answer = PlainTextResponse(refusal or "no such thing", status_code=403)
            await answer(scope, receive, self._hardened(send, False))
            return
        await self._app(scope, receive, self._hardened(send, opened))

    def _judge(self, headers: Headers, scope: Scope) -> tuple[str, bool]:
        """Why a request is refused (empty if it is not), and whether it brought the token."""
        access = self._access
        if not access.is_own_name(headers.get("host", "")):
            return "wrong host: open the address that 'polymorph label' printed", False
        origin = headers.get("origin")
        if origin is not None and not (
            origin.startswith("http://") and access.is_own_name(origin[len("http://") :])
        ):
            return "wrong origin", False
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            query = QueryParams(scope["query_string"]).get(_TOKEN_QUERY, "")
            if scope["method"] != "GET" or not access.knows(query):
                return "wrong origin", False
        query = QueryParams(scope["query_string"]).get(_TOKEN_QUERY, "")
        if query:
            return ("", True) if access.knows(query) else ("wrong token", False)
        if access.knows(headers.get(TOKEN_HEADER, "") or self._cookie(headers)):
            return "", False
        return "no token: open the address that 'polymorph label' printed", False

    def _cookie(self, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._access.cookie)
        except CookieError:
            return ""
        return found.value if found else ""

    def _hardened(self, send: Send, opened: bool) -> Callable[[Message], Awaitable[None]]:
        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = list(_HEADERS)
                if opened:
                    text = f"{self._access.cookie}={self._access.token}; HttpOnly; SameSite=Strict"
                    extra.append((b"set-cookie", f"{text}; Path=/".encode()))
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        return hardened
