"""Which targets a request may have."""

from __future__ import annotations

import ipaddress
import pathlib
import re
import socket

import pytest

from mistral.actions.addresses import own_addresses
from mistral.actions.egress import (
    DEFAULT_DENIED,
    AddressPolicy,
    EgressDeniedError,
    EgressGuard,
    EgressOptions,
)


def resolver(*addresses: str):
    """A name service that always gives these addresses."""

    def resolve(host: str, port: int):
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                socket.IPPROTO_TCP,
                "",
                (address, port, 0, 0) if ":" in address else (address, port),
            )
            for address in addresses
        ]

    return resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.9.10",
        "::1",
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_the_machine_and_its_link_are_denied(address: str) -> None:
    guard = EgressGuard(resolver=resolver(address))
    with pytest.raises(EgressDeniedError, match="address is not allowed"):
        guard.addresses("some.name", 80)


@pytest.mark.parametrize(
    "address",
    [
        "100.100.100.200",
        "168.63.129.16",
        "fd00:ec2::254",
        "::ffff:100.100.100.200",
        "224.0.0.1",
        "239.255.255.255",
        "255.255.255.255",
        "240.0.0.1",
        "192.0.0.192",
        "ff02::1",
        "64:ff9b::8.8.8.8",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "64:ff9b:1:a9fe:a9:fe00::",
        "2001:0:4136:e378:8000:63bf:5601:5601",
        "2001:0:7f00:1::1",
        "::ffff:0:7f00:1",
        "2001:db8::5efe:7f00:1",
        "100::1",
    ],
)
@pytest.mark.parametrize("denied", [DEFAULT_DENIED, ("198.51.100.0/24", "127.0.0.0/8")])
def test_metadata_and_special_addresses_are_denied(address: str, denied: tuple[str, ...]) -> None:
    guard = EgressGuard(EgressOptions(denied_cidrs=denied), resolver(address))
    with pytest.raises(EgressDeniedError, match=r"option=\[action_std_http\] denied_cidrs\]"):
        guard.addresses("some.name", 80)


def test_all_addresses_of_this_machine_are_denied() -> None:
    trie = pathlib.Path("/proc/net/fib_trie").read_text()
    own = re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", trie)
    for line in pathlib.Path("/proc/net/if_inet6").read_text().splitlines():
        own.append(str(ipaddress.IPv6Address(int(line.split()[0], 16))))
    policy = AddressPolicy(EgressOptions())
    assert [address for address in own if not policy.denying_option(address)] == []
    elsewhere = AddressPolicy(EgressOptions(), lambda: {ipaddress.ip_address("203.0.113.7")})
    for spelling in ("203.0.113.7", "::ffff:203.0.113.7", "2002:cb00:7107::"):
        assert elsewhere.denying_option(spelling) == "denied_cidrs"
    assert elsewhere.denying_option("203.0.113.8") is None
    assert set(map(ipaddress.ip_address, own)) == own_addresses()


def test_where_loopback_is_allowed_so_are_the_machines_other_addresses() -> None:
    options = EgressOptions(denied_cidrs=("169.254.0.0/16",))
    policy = AddressPolicy(options, lambda: {ipaddress.ip_address("203.0.113.7")})
    assert [policy.denying_option(a) for a in ("203.0.113.7", "127.0.0.1", "::1")] == [None] * 3
    assert policy.denying_option("169.254.169.254") == "denied_cidrs"
    assert policy.denying_option("100.100.100.200") == "denied_cidrs"


def test_allowed_networks_win_but_not_for_what_they_hide() -> None:
    allowed = ("127.0.0.1/32", "10.1.0.0/16", "64:ff9b::/96", "64:ff9b:1::/48")
    policy = AddressPolicy(EgressOptions(allowed_cidrs=allowed, deny_private=True))
    for address in ("127.0.0.1", "10.1.2.3", "64:ff9b::8.8.8.8", "64:ff9b:1:808:8:800::"):
        assert policy.denying_option(address) is None
    assert policy.denying_option("127.0.0.2") == "denied_cidrs"
    assert policy.denying_option("10.2.0.1") == "deny_private"
    assert policy.denying_option("64:ff9b::a9fe:a9fe") == "denied_cidrs"
    assert policy.denying_option("64:ff9b:1:a9fe:a9:fe00::") == "denied_cidrs"


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "10.1.2.3", "2606:2800:220:1::", "::ffff:8.8.8.8"]
)
def test_others_are_allowed(address: str) -> None:
    assert EgressGuard(resolver=resolver(address)).addresses("some.name", 80)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "172.16.0.1", "192.168.1.1", "fd00::1", "::ffff:10.0.0.1"]
)
def test_private_networks_are_denied_on_demand(address: str) -> None:
    guard = EgressGuard(EgressOptions(deny_private=True), resolver(address))
    with pytest.raises(EgressDeniedError, match="deny_private"):
        guard.addresses("some.name", 80)


def test_one_bad_address_among_good_ones_is_enough() -> None:
    guard = EgressGuard(resolver=resolver("93.184.216.34", "127.0.0.1"))
    with pytest.raises(EgressDeniedError):
        guard.addresses("some.name", 80)


def test_an_empty_list_switches_the_check_off() -> None:
    guard = EgressGuard(EgressOptions(denied_cidrs=()), resolver("127.0.0.1", "::", "0.0.0.0"))
    assert len(guard.addresses("some.name", 80)) == 3


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_odd_spellings_are_judged_by_what_they_mean(spelling: str) -> None:
    try:
        socket.getaddrinfo(spelling, 80)
    except socket.gaierror:
        pytest.skip("this system does not read that spelling")
    with pytest.raises(EgressDeniedError):
        EgressGuard().addresses(spelling, 80)


def test_a_name_is_resolved_once_and_the_judged_address_is_used() -> None:
    """A name that changes its mind after the check gains nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        asked: list[str] = []

        def resolve(host: str, port: int):
            asked.append(host)
            return resolver("127.0.0.1")(host, port)

        guard = EgressGuard(EgressOptions(denied_cidrs=("10.0.0.0/8",)), resolve)
        guard.connect("rebinding.example", port, 5).close()
        assert asked == ["rebinding.example"]


@pytest.mark.parametrize("scheme", ["ftp", "file", "gopher", "", None])
def test_only_http_and_https(scheme: str | None) -> None:
    with pytest.raises(EgressDeniedError, match="only http and https"):
        EgressGuard().check_url(scheme, "example.org")


def test_a_list_of_allowed_hosts() -> None:
    guard = EgressGuard(EgressOptions(allowed_hosts=("Good.example", "[2001:db8::1]")))
    guard.check_url("https", "good.EXAMPLE.")
    guard.check_url("http", "2001:db8::1")
    with pytest.raises(EgressDeniedError, match="host is not allowed.*allowed_hosts"):
        guard.check_url("https", "good.example.evil.example")
    with pytest.raises(EgressDeniedError):
        guard.connect("evil.example", 80, 1)
