"""What a test of an errand of codex needs: a place for its homes, and a fake of OpenAI."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.codex.account import Checked, Probed, check_with_codex, probe_turn
from codex_nb.codex.environment import OFFLINE
from codex_nb.codex.login import DeviceLogin
from codex_nb.codex.scratch import Surroundings
from codex_nb.hosts.local import LocalHost

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from codex_nb.codex.binary import CodexProgram
    from tests.support.openai_fake import FakeOpenAI


@dataclass(frozen=True)
class Desk:
    """Everything that an errand needs, and what came of it.

    Attributes:
        kept: Every auth.json that was handed back to be saved.
    """

    program: CodexProgram
    root: Path
    fake: FakeOpenAI
    host: LocalHost = field(default_factory=LocalHost)
    kept: list[bytes] = field(default_factory=list)

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            root=str(self.root),
            environment={**OFFLINE, **self.fake.environment()},
            config=self.fake.codex_config(),
        )

    def device_login(self) -> AbstractAsyncContextManager[DeviceLogin]:
        return DeviceLogin.start(self.host, self.program, self.surroundings)

    async def keep(self, auth: bytes) -> None:
        self.kept.append(auth)

    async def check(self, auth: bytes) -> Checked:
        return await check_with_codex(
            self.host,
            self.program,
            auth,
            keep=self.keep,
            label="seed",
            surroundings=self.surroundings,
        )

    async def probe(self, auth: bytes, *, timeout: float = 60) -> Probed:
        return await probe_turn(
            self.host,
            self.program,
            auth,
            keep=self.keep,
            label="seed",
            surroundings=self.surroundings,
            timeout=timeout,
        )

    @property
    def left(self) -> list[str]:
        """What is in the folder of the homes."""
        return [path.name for path in self.root.iterdir()] if self.root.is_dir() else []


def refresh_token(auth: bytes) -> str:
    return str(json.loads(auth)["tokens"]["refresh_token"])


def mode_of(folder: str) -> int:
    return Path(folder).stat().st_mode & 0o777
