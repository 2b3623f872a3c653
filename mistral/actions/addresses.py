"""What an IP address stands for: its readings, this machine's own ones, and ranges of no use.

No policy here; :mod:`mistral.actions.egress` has that.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(*cidrs: str) -> tuple[Network, ...]:
    """Networks of their texts."""
    return tuple(ipaddress.ip_network(cidr) for cidr in cidrs)


LOOPBACK = networks("127.0.0.0/8", "::1/128")
#: Connecting to the unspecified address reaches the machine itself.
THIS_HOST = networks("0.0.0.0/8", "::/128")
PRIVATE = networks(
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "198.18.0.0/15",
    "fc00::/7",
    "fec0::/10",
)
#: Where clouds keep what a machine may know of itself, credentials among it.
METADATA = networks(
    "169.254.0.0/16",
    "fe80::/10",
    "100.100.100.200/32",
    "168.63.129.16/32",
    "192.0.0.192/32",
    "fd00:ec2::/32",
    "fd20:ce::254/128",
)
#: Nobody's address, or everybody's; translators (NAT64) would hide the real one from us.
SPECIAL = networks(
    "192.0.0.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "ff00::/8",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
)

_ISATAP = (0x00005EFE, 0x02005EFE)
_WELL_KNOWN_TRANSLATOR = networks("64:ff9b::/96")
_LOCAL_TRANSLATOR = networks("64:ff9b:1::/48")
#: Lengths of a translator's prefix, and how far right of it the IPv4 address ends (RFC 6052);
#: bits 64 to 71 are left out.
_PREFIX_LENGTHS = (48, 56, 64, 96)


def is_in(address: Address, ranges: Iterable[Network]) -> bool:
    """Whether one of the networks has the address."""
    return any(address.version == network.version and address in network for network in ranges)


def overlap(one: Network, other: Network) -> bool:
    """Whether two networks have an address in common."""
    return one.version == other.version and one.overlaps(other)


def readings(address: Address) -> list[Address]:
    """The address and the IPv4 addresses that it may be a spelling of."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    found: list[Address] = [address]
    bits = int(address)
    found += [old for old in (address.ipv4_mapped, address.sixtofour) if old]
    found += address.teredo or ()
    # "IPv4-compatible", "IPv4-translated" and ISATAP; ::1 and :: stay covered as IPv6
    if bits >> 32 in (0, 0xFFFF0000) or (bits >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(_ipv4(bits))
    if is_in(address, _WELL_KNOWN_TRANSLATOR):
        found.append(_ipv4(bits))
    elif is_in(address, _LOCAL_TRANSLATOR):
        # its operator chose the length; the wrong ones read zeros
        embedded = [_embedded(bits, length) for length in _PREFIX_LENGTHS]
        found += [old for old in embedded if old.packed[0]]
    return found


def _ipv4(bits: int) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(bits & 0xFFFFFFFF)


def _embedded(bits: int, length: int) -> ipaddress.IPv4Address:
    if length == 96:
        return _ipv4(bits)
    without_gap = (bits >> 64 << 56) | (bits & ((1 << 56) - 1))
    return _ipv4(without_gap >> (120 - length - 32))


_GET_ADDRESSES, _NEW_ADDRESS, _DONE = 22, 20, 3
_DUMP_REQUEST = 0x301
_ADDRESS, _LOCAL = 1, 2
_BUFFER = 256 * 1024


def own_addresses() -> frozenset[Address]:
    """The addresses of all interfaces of this machine, as the kernel has them now."""
    found: set[Address] = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(struct.pack("=IHHIIB3x", 20, _GET_ADDRESSES, _DUMP_REQUEST, 1, 0, 0))
        while True:
            data = kernel.recv(_BUFFER)
            while len(data) >= 16:
                length, kind = struct.unpack_from("=IH", data)
                if kind != _NEW_ADDRESS:
                    # the end, or an error
                    return frozenset(found)
                # on a link between two points the first is that of the other side
                told = _attributes(data[24:length])
                value = told.get(_LOCAL) or told.get(_ADDRESS)
                if value:
                    found.add(ipaddress.ip_address(value))
                data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> dict[int, bytes]:
    """The values of one message of the kernel by their kinds."""
    found: dict[int, bytes] = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind] = data[4:length]
        data = data[max((length + 3) & ~3, 4) :]
    return found
