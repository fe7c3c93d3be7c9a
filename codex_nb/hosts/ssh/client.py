"""What asyncssh asks of us while it makes one connection: is this the key, who is this.

A secret goes from the person to asyncssh and is kept nowhere here. The steps of the connection have
a limit each, which does not run while a person is asked.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from codex_nb.hosts.ssh.asking import Asker

ATTEMPTS = 3
"""How often a person is asked to prove who they are; sshd hangs up after six failures."""


class Step(StrEnum):
    """The steps of a connection, as a message calls them."""

    CONNECT = "a connection"
    KEY_EXCHANGE = "the exchange of keys"
    LOGIN = "the login"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds that each step on the way to a host may take.

    Attributes:
        connect: Look the name up and connect, to all its addresses together.
        key_exchange: Agree on keys.
        login: Let us in; without the time in which a person is asked.
        channel: Open a channel, and start what it is for.
        keepalive: Between two looks whether the host is still there; three without an answer mean
            that it is not. A setting of the user (ServerAliveInterval) goes first.
    """

    connect: float = 20
    key_exchange: float = 20
    login: float = 30
    channel: float = 20
    keepalive: float = 10

    def of(self, step: Step) -> float:
        """The limit of a step."""
        return {
            Step.CONNECT: self.connect,
            Step.KEY_EXCHANGE: self.key_exchange,
            Step.LOGIN: self.login,
        }[step]


class Steps:
    """Where a connection is, and how long it may stay there."""

    def __init__(self, limits: Limits, timeout: asyncio.Timeout) -> None:
        self.current = Step.CONNECT
        self._limits = limits
        self._timeout = timeout
        self.begin(Step.CONNECT)

    @property
    def limit(self) -> float:
        """Seconds that the current step may take."""
        return self._limits.of(self.current)

    def begin(self, step: Step) -> None:
        """Go to a step, or start the current one anew."""
        self.current = step
        if not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self.limit)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No limit runs in the block."""
        if not self._timeout.expired():
            self._timeout.reschedule(None)
        try:
            yield
        finally:
            self.begin(self.current)


class Client(asyncssh.SSHClient):
    """The answers to asyncssh for one attempt to connect.

    Attributes:
        refused: The host, port and key that no file knows, when that is why the attempt failed.
        tried: The methods of authentication that were tried, as SSH calls them.
        offered: Those that the host would take.
        locked: The key files whose passphrase was asked for.
    """

    def __init__(self, *, where: str, asker: Asker, steps: Steps) -> None:
        self.refused: tuple[str, int, asyncssh.SSHKey] | None = None
        self.tried: list[str] = []
        self.offered: list[str] = []
        self.locked: list[str] = []
        self._where = where
        self._asker = asker
        self._steps = steps
        self._conn: asyncssh.SSHClientConnection | None = None
        self._asked = 0

    @property
    def step(self) -> Step:
        """Where the attempt is."""
        return self._steps.current

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        """The host answers; called by asyncssh."""
        self._conn = conn
        self._steps.begin(Step.KEY_EXCHANGE)

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        """Refuse a key that is not known; called by asyncssh."""
        # Nobody can be asked here, where the answer has to be given at once.
        self.refused = (host, port, key)
        return False

    def begin_auth(self, username: str) -> None:
        """The key is right; called by asyncssh."""
        self._steps.begin(Step.LOGIN)

    def public_key_auth_requested(self) -> None:
        """All keys were refused; called by asyncssh."""
        self._note("publickey")

    async def password_auth_requested(self) -> str | None:
        """A password for the host, or None; called by asyncssh."""
        self._note("password")
        return await self._ask(f"Password for {self._where}")

    def kbdint_auth_requested(self) -> str | None:
        """Whether a person can answer; called by asyncssh."""
        self._note("keyboard-interactive")
        return "" if self._asked < ATTEMPTS else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> list[str] | None:
        """The answers to questions of the host; called by asyncssh."""
        asked = self._asked
        answers = []
        for prompt, _ in prompts:
            self._asked = asked  # however many questions, it is one attempt
            answer = await self._ask(f"{self._where} asks: {prompt.strip()}")
            if answer is None:
                return None
            answers.append(answer)
        return answers

    async def passphrase(self, path: str) -> str:
        """The passphrase of a key file; empty, which opens none, when nobody knows."""
        self.locked.append(path)
        with self._steps.paused():
            return await self._asker.secret(f"Passphrase of the key {path}") or ""

    async def _ask(self, prompt: str) -> str | None:
        if self._asked >= ATTEMPTS:
            return None
        self._asked += 1
        with self._steps.paused():
            answer = await self._asker.secret(prompt)
        if answer is None:
            self._asked = ATTEMPTS  # who gave up is not asked again
        return answer

    def _note(self, method: str) -> None:
        if method not in self.tried:
            self.tried.append(method)
        if self._conn is not None and not self.offered:
            self.offered = list(self._conn.get_server_auth_methods())
