"""One user's folders and settings, and logins to keep there."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from codex_nb.seeds.auth import Login
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import SeedSettings
from tests.support.openai_state import OpenAIState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

AUTHORITY = OpenAIState(strict=True)


def chatgpt(account: str = "acct-1", **facts: float) -> Login:
    return Login.parse(AUTHORITY.auth_json(account, expires_in=facts.get("expires_in", 3600)))


def api_key() -> Login:
    key = AUTHORITY.api_key()
    return Login.parse(f'{{"auth_mode": "apikey", "OPENAI_API_KEY": "{key}"}}'.encode())


class Place:
    """One user's folders and settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self.settings = SeedSettings()

    @asynccontextmanager
    async def open(self, **settings: str) -> AsyncIterator[Seeds]:
        changed = replace(self.settings, **settings)  # type: ignore[arg-type]  # texts only
        async with Seeds(changed, environment=self.env) as seeds:
            yield seeds

    def run(self, work: Callable[[Seeds], Coroutine[object, object, None]]) -> None:
        """Do something with the seeds of this place."""

        async def do() -> None:
            async with self.open() as seeds:
                await work(seeds)

        asyncio.run(do())


async def add_two(seeds: Seeds) -> None:
    await seeds.add("work", chatgpt())
    await seeds.add("key", api_key())
