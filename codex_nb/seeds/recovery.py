"""Logins that a killed process of ours left in files of codex, saved by whoever comes next.

Codex may have rotated such a login after we saw it last, and then the file is the only place that
has it (row C2 of docs/seeds.md).
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.codex.scratch import left_behind
from codex_nb.errors import HostError, LineageError, SeedNotFoundError, StoreError
from codex_nb.hosts.local import LocalHost
from codex_nb.seeds.auth import Login, UnusableLoginError
from codex_nb.seeds.planted import recover
from codex_nb.seeds.rotations import Rotation

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.seeds.opened import OpenedStore
    from codex_nb.seeds.planted import LeftLogin
    from codex_nb.seeds.refresh import Refresher

logger = logging.getLogger(__name__)


def planted_records(opened: OpenedStore) -> Path:
    """Where it is written down which files of codex hold logins of this store."""
    return opened.spool_folder / "planted" / opened.store.id


def errand_label(opened: OpenedStore, seed: str, login: Login) -> str:
    """What an errand of codex with a login is called, so that its home says whose it was."""
    return ".".join((_short(opened), seed, opened.fingerprints.credential(login)))


async def recover_logins(opened: OpenedStore, refresher: Refresher) -> None:
    """Save what is left in sessions and errands that were killed; the files go.

    What cannot be saved now stays where it is.
    """

    async def save(seed: str, parent: str, login: Login) -> None:
        stored = await refresher.read(seed)
        rotation = Rotation(
            seed=stored.seed.id,
            parent=parent,
            version=stored.seed.version + 1,
            login=login,
            config=stored.config,
        )
        await refresher.rotations.save(rotation)

    async def save_left(left: LeftLogin) -> None:
        await save(left.seed, left.parent, left.login)

    await recover(planted_records(opened), save_left, opened.fingerprints)
    host = LocalHost()
    for left in await left_behind(host):
        store, _, rest = left.label.partition(".")
        seed, _, parent = rest.partition(".")
        if store != _short(opened):
            continue
        try:
            with suppress(UnusableLoginError):  # logged out, or never written
                login = Login.parse(left.auth)
                if opened.fingerprints.credential(login) != parent:
                    await save(seed, parent, login)
        except (StoreError, HostError):
            continue
        except (LineageError, SeedNotFoundError):
            logger.info("login of an errand was outdated", extra={"codex_seed": seed})
        await host.remove_tree(left.folder)


def _short(opened: OpenedStore) -> str:
    return opened.store.id.replace("-", "")[:12]


__all__ = ["errand_label", "planted_records", "recover_logins"]
