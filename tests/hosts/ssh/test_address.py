from __future__ import annotations

import pytest

from codex_nb.errors import UsageError
from codex_nb.hosts.ssh.address import Address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("gpu1", Address("gpu1")),
        ("me@gpu1", Address("gpu1", "me")),
        ("me@gpu1.example:2222", Address("gpu1.example", "me", 2222)),
        ("[::1]:22", Address("::1", None, 22)),
        ("me@[fe80::1%eth0]", Address("fe80::1%eth0", "me")),
    ],
)
def test_a_host_is_written_as_for_ssh(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-oProxyCommand=x",
        "a b",
        "a:0",
        "a:65536",
        "a:b",
        "@a",
        "a@",
        "a:1:2",
        "a\nb",
        "::1",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no host"):
        Address.parse(text)
