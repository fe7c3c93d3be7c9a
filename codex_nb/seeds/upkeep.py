"""Care of a whole store: its examination, and a change of its keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_nb.errors import HostError, SeedNotFoundError, StoreError, VaultError
from codex_nb.seeds.keys import add_key
from codex_nb.seeds.opened import FINGERPRINT_NOTE, open_store
from codex_nb.seeds.records import Blob, Finding
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import file_of
from codex_nb.seeds.vault import Binding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_nb.seeds.settings import SeedSettings
    from codex_nb.seeds.store import Store
    from codex_nb.seeds.vault import Vault

_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Rekeyed:
    """What a change of keys did.

    Attributes:
        key: Id of the key that seals from now on.
        wrapped: How many logins were wrapped anew.
    """

    key: str
    wrapped: int


async def rekey(seeds: Seeds, *, given: bool = False) -> Rekeyed:
    """Make a new key, and wrap the logins with it; the frames of none are read out or rewritten.

    It can be repeated after it was interrupted, and while seeds are in use. The old key stays where
    keys are kept, because a spool, an older copy or another store may need it.

    Args:
        seeds: The open store. It seals with the new key when this returns.
        given: Make no key: the first one that is given is the new one.

    Raises:
        VaultError: There is no encryption, no place for a new key, or a login does not open.
    """
    if seeds.keys is None:
        raise VaultError(
            "There is no key to change: logins are kept in clear here.",
            hint="Leave out the encryption `none` to seal them.",
        )
    if not given:
        seeds.keys = await asyncio.to_thread(add_key, seeds.keys)
        seeds.vault.change(seeds.keys.keys)
    store, vault = seeds.store, seeds.vault
    binding = Binding(store.id, FINGERPRINT_NOTE, "note", 1)
    note = await store.note(FINGERPRINT_NOTE)
    if note is not None and (anew := vault.rewrap(note, binding)) is not None:
        await store.replace_note(FINGERPRINT_NOTE, note, anew)
    wrapped = 0
    for seed in await store.list():
        wrapped += await _rewrap(store, vault, seed.id)
    return Rekeyed(key=vault.current, wrapped=wrapped)


async def examine(settings: SeedSettings, environment: Mapping[str, str]) -> Sequence[Finding]:
    """Try whatever seeds rely on: the store, the key, the logins, the spool.

    It says what it can where something does not work, and changes nothing that it finds. A server
    on which something fails is not opened as a store: that would make indexes there.
    """
    try:
        if file_of(settings.store, environment) is None:
            found = list(await _examine_server(settings, environment))
            if any(each.state == "fail" for each in found):
                return found
        else:
            async with open_store(settings.store, environment) as store:
                found = list(await store.examine())
    except StoreError as exc:
        return [Finding(name="store", state="fail", text=_told(exc))]
    seeds = Seeds(settings, environment=environment)
    try:
        async with seeds:
            found.append(_key_finding(seeds))
            found.append(await _logins_finding(seeds))
            found.append(await _spool_finding(seeds))
    except (VaultError, StoreError) as exc:
        found.append(Finding(name="key", state="fail", text=_told(exc)))
    return found


async def _examine_server(
    settings: SeedSettings, environment: Mapping[str, str]
) -> Sequence[Finding]:
    # Takes long to import, which a store in a file does without.
    from codex_nb.seeds.mongo.probe import examine_server

    return await examine_server(settings.store or environment["CODEX_NB_STORE"])


async def _rewrap(store: Store, vault: Vault, seed_id: str) -> bool:
    for _ in range(_TRIES):
        try:
            blob = await store.read_blob(seed_id)
        except SeedNotFoundError:  # deleted meanwhile
            return False
        data = vault.rewrap(blob.data, Binding(store.id, seed_id, "login", blob.version))
        if data is None:
            return False
        if await store.replace_blob(seed_id, Blob(data=data, version=blob.version)):
            return True
    raise StoreError(
        f"The seed {seed_id} changes faster than it can be wrapped.", hint="Repeat it later."
    )


def _key_finding(seeds: Seeds) -> Finding:
    if seeds.keys is None or seeds.warning:
        return Finding(name="key", state="warn", text=seeds.warning)
    text = f"{seeds.keys.source}, current key {seeds.vault.current}"
    if seeds.store.is_shared and seeds.keys.file is not None:
        return Finding(
            name="key",
            state="warn",
            text=f"{text}; others who use this store need the same key, in CODEX_NB_KEY.",
        )
    return Finding(name="key", state="ok", text=text)


async def _logins_finding(seeds: Seeds) -> Finding:
    older, bad = 0, []
    for seed in await seeds.list():
        try:
            blob = await seeds.store.read_blob(seed.id)
            older += seeds.vault.key_id(blob.data) != seeds.vault.current
            await seeds.open(seed)
        except VaultError:
            bad.append(seed.name)
        except SeedNotFoundError:
            continue
    if bad:
        return Finding(name="logins", state="fail", text=f"these do not open: {', '.join(bad)}")
    if older:
        text = f"{older} are wrapped by an older key; `rekey --given` wraps them anew."
        return Finding(name="logins", state="warn", text=text)
    return Finding(name="logins", state="ok", text="all open with the current key")


async def _spool_finding(seeds: Seeds) -> Finding:
    try:
        waiting = await asyncio.to_thread(seeds.spool.pending)
        orphans = await asyncio.to_thread(seeds.spool.orphans)
    except HostError as exc:
        return Finding(name="spool", state="fail", text=f"{exc.message} {exc.hint}".strip())
    if not waiting and not orphans:
        return Finding(name="spool", state="ok", text="no login waits to be stored")
    text = f"{len(waiting)} logins wait to be stored, {len(orphans)} belong to no seed any more"
    return Finding(name="spool", state="warn", text=f"{text}, in {seeds.spool_folder}.")


def _told(error: StoreError | VaultError) -> str:
    return f"{error.message} {error.hint}".strip()


__all__ = ["Rekeyed", "examine", "rekey"]
