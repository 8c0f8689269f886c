"""Who may ask: not the page of another site that a browser has open, by whatever name it calls this server."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import web

_NAVIGATION = ("navigate", "nested-navigate")


@dataclass(frozen=True)
class Guard:
    """hosts: names, beside localhost and every IP address, that Host may have: a site could make any other name mean this machine. origins:
    such as "http://example.org:8080", whose pages may ask, and are told so (CORS)."""

    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def refuses(self, request: web.BaseRequest) -> str:
        """Why, "" if it does not."""
        host = request.headers.get("Host", "")
        if len(request.headers.getall("Host", [])) != 1 or not self._is_ours(host):
            return "the Host of the request is not one of this server's names: give an IP address or localhost, or start it with --allow-host"
        origin = request.headers.get("Origin")
        if origin is not None and not self._is_friend(origin) and not _same(origin, host):
            return "pages of another origin may not ask here: start it with --allow-origin"
        site, mode = request.headers.get("Sec-Fetch-Site", ""), request.headers.get("Sec-Fetch-Mode", "")
        if origin is None and site in ("cross-site", "same-site") and (mode not in _NAVIGATION or request.path != "/"):
            return "another site may not ask here"
        return ""

    def allowed(self, request: web.BaseRequest) -> dict[str, str]:
        """The headers of CORS that an answer has."""
        origin = request.headers.get("Origin")
        if origin is None or not self._is_friend(origin):
            return {}
        return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}

    def preflight(self, request: web.BaseRequest) -> dict[str, str]:
        """The same of what a browser asks before it asks."""
        found = self.allowed(request)
        return {**found, "Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": "Content-Type"} if found else {}

    def _is_friend(self, origin: str) -> bool:
        """A browser writes it in small letters, and without a path."""
        return origin in (each.lower().rstrip("/") for each in self.origins)

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        if name is None:
            return False
        if name == "localhost" or name in map(_name, self.hosts):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _name(host: str) -> str | None:
    """Without the port. None: it is no host."""
    try:
        parts = urlsplit(f"//{host}")
        whole = parts.netloc == host and "@" not in host and (parts.port is None or parts.port >= 0)  # a port that is none raises
        return parts.hostname if whole else None
    except ValueError:
        return None


def _same(origin: str, host: str) -> bool:
    scheme, _, rest = origin.partition("://")
    return scheme in ("http", "https") and rest.lower() == host.lower()
