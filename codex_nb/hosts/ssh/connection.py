"""One SSH connection to one host, made step by step.

Names, users, keys, agents, jumps and ciphers come from OpenSSH's configuration files, which
asyncssh reads. Two things are ours: host keys are always checked, whatever the files say, and each
host of a ProxyJump is treated as the last one is, so that a person can be asked about it.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncssh

from codex_nb.hosts.ssh import trouble
from codex_nb.hosts.ssh.address import Address
from codex_nb.hosts.ssh.asking import KeyAnswer
from codex_nb.hosts.ssh.client import Client, Limits, Steps
from codex_nb.hosts.ssh.known_hosts import SYSTEM_FILES, USER_FILE, KnownHosts, Trust, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_nb.hosts.ssh.asking import Asker

CONFIG_FILES = ("~/.ssh/config", "/etc/ssh/ssh_config")

# The fastest where a processor has AES, as nearly all have by now.
_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_KEY_ALGORITHMS = (
    "ssh-ed25519",
    *(f"ecdsa-sha2-nistp{bits}" for bits in (256, 384, 521)),
    *(f"rsa-sha2-{bits}" for bits in (512, 256)),
)
_KEEPALIVES = 3
_HANG_UP = 5
"""Seconds for a connection to end in peace."""


class _UnknownKeyError(Exception):
    """A key that no file knows, of a host that no file knows."""

    def __init__(self, host: str, port: int | None, key: asyncssh.SSHKey) -> None:
        super().__init__(host)
        self.host = host
        self.port = port
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """Makes connections.

    Attributes:
        asker: Who is asked for secrets, and about unknown keys.
        limits: Seconds that the steps may take.
        config: OpenSSH's configuration files, the most important first; a missing one is empty.
        accepted: Lines of known_hosts that were accepted for the life of this object.
    """

    asker: Asker
    limits: Limits
    config: Sequence[str] = CONFIG_FILES
    accepted: list[str] = field(default_factory=list)

    async def connect(self, address: Address) -> list[asyncssh.SSHClientConnection]:
        """Connections to the hosts on the way and, as the last, to the host itself.

        Raises:
            HostError: What failed, and what to do.
        """
        made: list[asyncssh.SSHClientConnection] = []
        try:
            await self._connect(address, made)
        except BaseException:
            await hang_up(made)
            raise
        return made

    async def _connect(self, address: Address, made: list[asyncssh.SSHClientConnection]) -> None:
        settings: dict[str, Any] = {
            "host": address.host,
            "port": () if address.port is None else address.port,
            "username": () if address.user is None else address.user,
            "config": [path for path in map(_expanded, self.config) if os.access(path, os.R_OK)],
        }
        try:
            # Without keys, for a passphrase is asked for only when it comes to that.
            facts = await asyncssh.SSHClientConnectionOptions.construct(
                client_keys=None, **settings
            )
        except (asyncssh.Error, OSError, ValueError) as exc:
            raise trouble.explained(
                exc, where=address.host, name=address.host, client=None
            ) from exc
        if not made and isinstance(facts.tunnel, str):
            for jump in facts.tunnel.split(","):
                await self._connect(Address.parse(jump), made)
        settings |= {"tunnel": made[-1] if made else ()}
        if not facts.config.get("Ciphers"):
            settings |= {"encryption_algs": _CIPHERS}
        if not facts.keepalive_interval:
            settings |= {
                "keepalive_interval": self.limits.keepalive,
                "keepalive_count_max": _KEEPALIVES,
            }
        where = facts.host if facts.port == asyncssh.DEFAULT_PORT else f"{facts.host}:{facts.port}"
        if facts.host != address.host:
            where = f"{address.host} ({where})"
        known = KnownHosts(_files(facts), self.accepted)
        if not facts.config.get("HostKeyAlgorithms"):
            name = cast("str", facts.host_key_alias or facts.host)
            port = None if facts.port == asyncssh.DEFAULT_PORT else facts.port
            settings |= {"server_host_key_algs": _key_algorithms(known.trust(name, port))}
        while True:
            try:
                made.append(await self._attempt(settings, f"{facts.username}@{where}", known))
            except _UnknownKeyError as unknown:
                # The next attempt connects anew: sshd does not wait until a person has thought.
                await self._ask(known, unknown)
            else:
                return

    async def _attempt(
        self, settings: dict[str, Any], where: str, known: KnownHosts
    ) -> asyncssh.SSHClientConnection:
        name = str(settings["host"])

        def trust(host: str, addr: str, port: int | None) -> Trust:
            nonlocal name
            name = name_of(host, port)
            return known.trust(host, port)

        client: Client | None = None
        try:
            async with asyncio.timeout(None) as timeout:
                steps = Steps(self.limits, timeout)
                client = Client(where=where, asker=self.asker, steps=steps)
                return await asyncssh.connect(
                    **settings,
                    client_factory=lambda: client,
                    known_hosts=trust,
                    passphrase=client.passphrase,
                    connect_timeout=None,
                    agent_forwarding=False,
                    x11_forwarding=False,
                )
        except TimeoutError:
            raise trouble.no_answer(where, steps) from None
        except (asyncssh.Error, OSError, ValueError) as exc:
            if isinstance(exc, asyncssh.HostKeyNotVerifiable) and client and client.refused:
                host, port, key = client.refused
                if known.has(host, port):
                    question = known.question(host, port, key)
                    shown = f" to {question.key_type} {question.fingerprint}"
                    raise trouble.changed_key(question.host, shown) from exc
                raise _UnknownKeyError(host, port, key) from exc
            raise trouble.explained(exc, where=where, name=name, client=client) from exc

    async def _ask(self, known: KnownHosts, unknown: _UnknownKeyError) -> None:
        question = known.question(unknown.host, unknown.port, unknown.key)
        answer = await self.asker.host_key(question)
        if answer is KeyAnswer.REFUSE:
            raise trouble.refused_key(question) from None
        keep = answer is KeyAnswer.ACCEPT
        known.accept(unknown.host, unknown.port, unknown.key, keep=keep)


async def hang_up(connections: Sequence[asyncssh.SSHClientConnection]) -> None:
    """End connections, the last one first, and those that do not end in time by force."""
    for connection in reversed(connections):
        connection.close()
        try:
            async with asyncio.timeout(_HANG_UP):
                await connection.wait_closed()
        except TimeoutError:
            connection.abort()


def _key_algorithms(trust: Trust) -> str:
    """Kinds of host keys: those that are known first, so that the host does not show another one.

    The others follow, or a host that has only another one by now would end the connection.
    """
    keys, authorities, _ = trust
    known = {name.decode() for key in keys for name in key.sig_algorithms}
    names = sorted(_KEY_ALGORITHMS, key=lambda name: name not in known)
    signed = [f"{name}-cert-v01@openssh.com" for name in names]
    return ",".join([*(signed if authorities else ()), *names])


def _expanded(path: str) -> str:
    return str(Path(path).expanduser())


def _files(facts: asyncssh.SSHClientConnectionOptions) -> list[str]:
    """The known_hosts files; a configuration that names none has no user's file."""
    user = cast("list[str] | None", facts.config.get("UserKnownHostsFile"))
    system = cast("list[str] | None", facts.config.get("GlobalKnownHostsFile"))
    return [
        *([USER_FILE] if user is None else user),
        *(SYSTEM_FILES if system is None else system),
    ]
