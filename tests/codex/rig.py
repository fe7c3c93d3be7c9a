"""A session's codex for tests: real program, real folders, no session above it."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from codex_nb.codex.app_server import AppServer
from codex_nb.codex.home import SESSION_VARIABLE, SessionHome
from codex_nb.codex.posture import Posture
from codex_nb.codex.settings import merged
from codex_nb.hosts.local import LocalHost
from tests.support.waiting import wait_until_now

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.protocol.messages import JsonObject, Message

LIMIT = 30.0


@dataclass(frozen=True)
class Rig:
    """What a codex needs to start, in a test's own folder."""

    program: CodexProgram
    root: Path
    posture: Posture = field(default_factory=Posture)
    extra: Mapping[str, str] = field(default_factory=dict)
    host: LocalHost = field(default_factory=LocalHost)
    listens: bool = False

    @property
    def home(self) -> SessionHome:
        return SessionHome(str(self.root / "session"))

    @property
    def cwd(self) -> str:
        return str(self.root / 'work "ü"')

    @property
    def session(self) -> str:
        """A session id that no other test has."""
        return f"test {self.root}"

    @property
    def env(self) -> dict[str, str]:
        return self.home.environment(
            os.environ, self.extra, self.program, session=self.session, offline=True
        )

    async def lay_out(self, config: JsonObject | None = None) -> None:
        await self.host.make_folder(self.cwd)
        settings = merged(self.posture.config(), config or {})
        await self.home.lay_out(self.host, config=settings, cwd=self.cwd)

    async def start(self, *, start_timeout: float = LIMIT) -> AppServer:
        return await AppServer.start(
            self.host,
            self.program,
            cwd=self.cwd,
            env=self.env,
            start_timeout=start_timeout,
            client_version="1.2.3",
            listen=str(self.root / "codex.sock") if self.listens else "",
            mark=f"{SESSION_VARIABLE}={self.session}",
        )

    @asynccontextmanager
    async def running(self, config: JsonObject | None = None) -> AsyncIterator[AppServer]:
        """A started app-server, closed after the block."""
        await self.lay_out(config)
        server = await self.start()
        try:
            yield server
        finally:
            await server.close()

    def assert_gone(self) -> None:
        """Fail unless no process of this session is left; the system takes a moment for a kill."""
        with suppress(TimeoutError):
            wait_until_now(lambda: not self.processes())
        assert self.processes() == []

    def processes(self) -> list[str]:
        """The command lines of all processes that carry the mark of this session."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(SESSION_VARIABLE) == self.session:
                    found.append(" ".join(process.cmdline()))
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        return found


async def next_message(server: AppServer, method: str) -> Message:
    """The next message of this method; those before it are gone."""
    async for message in server.messages():
        if getattr(message, "method", "") == method:
            return message
    raise AssertionError(f"codex ended without {method}")
