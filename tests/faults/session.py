"""A session whose codex holds its auth.json itself, and what saves such a file after a crash."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from codex_nb.hosts.local import LocalHost
from codex_nb.seeds import oauth
from codex_nb.seeds.planted import PlantedLogin, recover
from codex_nb.seeds.rotations import Rotation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import httpx

    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.lease import HeldSeed
    from codex_nb.seeds.planted import LeftLogin
    from codex_nb.seeds.refresh import Refresher

_TURN = 0.05


async def rotated(login: Login, client: httpx.AsyncClient, environment: Mapping[str, str]) -> Login:
    """What codex makes of a login when it refreshes it."""
    answer = await oauth.ask(client, oauth.refresh_request(login, environment), timeout=10)
    if not isinstance(answer, oauth.Rotated):
        raise TypeError(f"codex got {answer!r}")
    return login.rotated(answer.tokens, time.time())


async def play(
    held: HeldSeed,
    refresher: Refresher,
    client: httpx.AsyncClient,
    environment: Mapping[str, str],
    folder: Path,
    at: Callable[[str], None],
) -> None:
    """Plant a login; codex writes the file halfway, then refreshes it, and logs out in the end."""
    path = folder / "auth.json"
    planted = PlantedLogin(
        LocalHost(),
        str(path),
        seed=held.seed.id,
        fingerprints=refresher.fingerprints,
        save=held.save,
        records=folder / "records",
        tell=lambda _text: None,
    )
    await planted.plant(held.login)
    at("planted")
    # As codex does: truncated, then written; a reader may come in between.
    whole = held.login.to_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    at("file_torn")
    looking = asyncio.create_task(planted.look())
    await asyncio.sleep(_TURN)
    new = await rotated(held.login, client, environment)
    path.write_bytes(new.to_bytes())
    at("codex_wrote")
    await looking
    at("login_saved")
    path.write_bytes(b"{}")
    await planted.look()
    at("logged_out")
    await planted.remove()


async def recover_left(refresher: Refresher, folder: Path) -> None:
    """Save what a killed session of this machine left."""

    async def save(left: LeftLogin) -> None:
        stored = await refresher.read(left.seed)
        await refresher.rotations.save(
            Rotation(
                seed=left.seed,
                parent=left.parent,
                version=stored.seed.version + 1,
                login=left.login,
                config=stored.config,
            )
        )

    await recover(folder / "records", save, refresher.fingerprints)


__all__ = ["play", "recover_left", "rotated"]
