"""*Pure:* where requests come from."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Client = tuple[str, int] | None
"""The other end of a connection, as ASGI has it."""


def address_of(client: Client) -> IPv4Address | IPv6Address | None:
    """The address of a client, if it has one.

    A socket for both families shows IPv4 addresses in IPv6 ones (RFC 4291, section 2.5.5.2): here they come out of it.
    """
    try:
        address = ip_address(client[0] if client else "")
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def plain(client: Client) -> Client:
    """A client by its address in that form."""
    if client and ":" not in client[0]:
        return client
    address = address_of(client)
    return (str(address), client[1]) if client and address else client


def subscriber(client: Client) -> str:
    """The key to count a client's attempts under: the address; for IPv6 the network, as they can use any address in it.

    Such a network has 64 bits for its hosts (RFC 4291, section 2.5.4), and nobody is given less than one (RFC 6177).
    """
    address = address_of(client)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), 64), strict=False))
    return str(address or "")
