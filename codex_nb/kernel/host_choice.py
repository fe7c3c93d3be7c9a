"""Which host a cell means: one that the settings name, or any that SSH can find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.hosts.ssh.address import Address

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = ("", "local")
"""What means this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostChoice:
    """A host that is not this machine.

    Attributes:
        name: What the person calls it.
        address: A name of ~/.ssh/config, or "user@host:port".
        codex: Path of codex there, or "" to look for it or to send it.
        tmux: Path of tmux there, or "".
        cwd: The folder there in which codex works, unless a cell names one.
    """

    name: str
    address: str
    codex: str = ""
    tmux: str = ""
    cwd: str = "~"


def host_from(name: str, hosts: Mapping[str, Mapping[str, str]]) -> HostChoice | None:
    """The host of this name; None for this machine.

    Args:
        name: As `--host` has it.
        hosts: `CodexNB.hosts`.

    Raises:
        UsageError: It can be no host.
    """
    if name in HERE:
        return None
    entry = hosts.get(name)
    if entry is None:
        Address.parse(name)
        return HostChoice(name=name, address=name)
    address = entry.get("address") or name
    Address.parse(address)
    return HostChoice(
        name=name,
        address=address,
        codex=entry.get("codex", ""),
        tmux=entry.get("tmux", ""),
        cwd=entry.get("cwd") or "~",
    )


__all__ = ["HostChoice", "host_from"]
