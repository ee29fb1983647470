"""
Which proxy a URL is requested by: one answer for all clients, as `requests` gives it, from the environment.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in upper or lower case. What `requests` knows in
``NO_PROXY`` it decides itself: hosts, their endings, ports, IPv4 addresses and networks, ``*``. Known here besides are
IPv6 addresses and networks, with brackets or without, an address with a port, and ``*`` in a list.
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


def proxy_for(url: str) -> str | None:
    """
    Return the URL of the proxy to request a URL by, with its scheme; ``None`` to request it without.

    :raises ValueError: if its scheme is none that a proxy can have here. No message quotes the URL: it may hold a
        password.
    """
    proxies = getproxies()
    proxy = (proxies.get(urlsplit(url).scheme) or proxies.get("all") or "").strip()
    if not proxy or _is_exempt(url, proxies.get("no", "")):
        return None
    scheme, mark, _ = proxy.partition("://")
    if not mark:
        return f"http://{proxy}"
    if scheme.lower() not in _SCHEMES:
        raise ValueError(f"its scheme is none of {', '.join(_SCHEMES)}")
    return scheme.lower() + proxy[len(scheme) :]


def _is_exempt(url: str, no_proxy: str) -> bool:
    parts = urlsplit(url)
    address = _address(parts.hostname or "")
    for entry in _entries(no_proxy):
        if entry == "*" or (address is not None and _covers(entry, address, parts.port or _PORTS.get(parts.scheme))):
            return True
    # Here, since most have no proxy, and importing it takes 30 ms.
    from requests.utils import should_bypass_proxies

    return bool(should_bypass_proxies(url, no_proxy=None))


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
