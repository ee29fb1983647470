"""
Which proxy a URL is requested by: one answer for all clients, as `requests` gives it, from the environment.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in upper or lower case. What `requests` knows in
``NO_PROXY`` it decides itself: hosts, their endings, ports, IPv4 addresses and networks, ``*``. Known here besides are
IPv6 addresses and networks, with brackets or without, a host or an address with the port that its scheme has by itself,
and ``*`` in a list.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies

_PORTS = {"http": 80, "https": 443}
_SCHEMES = ("http", "https", "socks5", "socks5h")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class UnusableProxyError(ValueError):
    """A proxy's URL can't be one; the message says why, and quotes nothing of it: it may hold a password."""


def proxy_for(url: str) -> str | None:
    """
    Return the URL of the proxy to request a URL by, with its scheme; ``None`` to request it without.

    :raises UnusableProxyError: if its scheme is none that a proxy can have here, or its URL is no address.
    """
    proxies = getproxies()
    proxy = (proxies.get(urlsplit(url).scheme) or proxies.get("all") or "").strip()
    if not proxy or _is_exempt(url, proxies.get("no", "")):
        return None
    scheme, mark, rest = proxy.partition("://")
    if not mark:
        scheme, rest = "http", proxy.removeprefix("//")
    if scheme.lower() not in _SCHEMES:
        raise UnusableProxyError(f"its scheme is none of {', '.join(_SCHEMES)}")
    found = f"{scheme.lower()}://{rest}"
    _check(found)
    return found


def _check(proxy: str) -> None:
    """
    Check that a proxy's URL is the address of one, which no library does before it connects.

    :raises UnusableProxyError: if it isn't.
    """
    try:
        parts = urlsplit(proxy)
        host, is_port = parts.hostname or "", parts.port != 0
        host.encode("idna")  # an empty or endless label fails here
    except ValueError:
        raise UnusableProxyError("its URL can't be read") from None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UnusableProxyError(
            "its URL is more than an address. Characters such as / # ? in a user or password are to be percent-encoded"
        )
    if not is_port or not host or any(char.isspace() for char in host):
        raise UnusableProxyError("its URL names no host, or no port that there is")


def _is_exempt(url: str, no_proxy: str) -> bool:
    parts = urlsplit(url)
    address = _address(parts.hostname or "")
    for entry in _entries(no_proxy):
        if entry == "*" or (address is not None and _covers(entry, address, parts.port or _PORTS.get(parts.scheme))):
            return True
    # Here, since most have no proxy, and importing it takes 30 ms.
    from requests.utils import should_bypass_proxies

    port = "" if parts.port or not parts.hostname else f":{_PORTS.get(parts.scheme, '')}"
    return bool(should_bypass_proxies(f"{parts.scheme}://{parts.netloc.rstrip(':')}{port}", no_proxy=None))


def _entries(no_proxy: str) -> Iterator[str]:
    return filter(None, (entry.strip() for entry in no_proxy.split(",")))


def _covers(entry: str, address: Address, port: int | None) -> bool:
    """Return whether an entry of ``NO_PROXY`` names an address: itself, its network, or itself with this port."""
    with_port = re.fullmatch(r"(?:\[(?P<v6>[^\]]*)\]|(?P<v4>[\d.]+)):(?P<port>\d{1,5})", entry)
    if with_port:
        named = _address(with_port["v6"] or with_port["v4"] or "")
        return named == address and int(with_port["port"]) == port
    try:
        network = ipaddress.ip_network(re.sub(r"[\[\]]", "", entry), strict=False)
    except ValueError:
        return False
    return address.version == network.version and address in network


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])  # without the network interface
    except ValueError:
        return None
