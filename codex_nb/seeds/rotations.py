"""Logins that follow a stored one, on their way into the store by way of the spool.

A rotation is saved by its lineage, with or without a lease: whoever holds the login that follows
the stored one may save it. It leaves the spool only when the store has it, or will never take it.
"""

from __future__ import annotations

import logging
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from codex_nb.errors import (
    HostError,
    LineageError,
    LoginError,
    SeedNotFoundError,
    StoreError,
    VaultError,
)
from codex_nb.seeds.archive import pack, unpack
from codex_nb.seeds.auth import UnusableLoginError
from codex_nb.seeds.finishing import finished
from codex_nb.seeds.records import Blob
from codex_nb.seeds.spool import Entry
from codex_nb.seeds.vault import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.spool import Spooled
    from codex_nb.seeds.spooling import Spooling
    from codex_nb.seeds.store import Store
    from codex_nb.seeds.vault import Fingerprints, Vault

logger = logging.getLogger(__name__)

_TRIES = 3


class Drain(StrEnum):
    """How it went with one file of the spool.

    SAVED is in the store. EMPTY was only reserved, and is removed. ORPHANED will never be taken by
    the store and was put aside. WAITING could not be saved yet. BUSY belongs to a living process.
    """

    SAVED = "saved"
    EMPTY = "empty"
    ORPHANED = "orphaned"
    WAITING = "waiting"
    BUSY = "busy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """One file of the spool that was tried.

    Attributes:
        seed: Id of the seed.
        result: How it went.
        reason: Why it was not saved, as one sentence; else "".
    """

    seed: str
    result: Drain
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A login and the one that it follows.

    Attributes:
        seed: Id of the seed.
        parent: Fingerprint of the login before.
        version: That the seed has with this login.
        login: The new one.
        config: Settings of codex that go with it.
        payload: Both, if they were packed already; else b"".
    """

    seed: str
    parent: str
    version: int
    login: Login
    config: JsonObject = field(default_factory=dict)
    payload: bytes = field(default=b"", repr=False)

    def packed(self) -> bytes:
        """Login and settings as they are sealed."""
        return self.payload or pack(self.login, self.config)


class Rotations:
    """Brings rotations into a store. Belongs to the event loop of the store.

    Args:
        store: An open store.
        vault: Seals what goes there.
        fingerprints: Those of the store.
        spool: Of the store on this machine.
        at: Told each point that a fault may hit.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        fingerprints: Fingerprints,
        spool: Spooling,
        *,
        at: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self._store = store
        self._vault = vault
        self._fingerprints = fingerprints
        self._spool = spool
        self._at = at
        self._only_here: dict[str, Rotation] = {}

    async def save(self, rotation: Rotation) -> Seed:
        """Spool a login that came from elsewhere, such as from codex itself, and store it.

        Cancelling takes effect when that is done or failed.

        Raises:
            StoreError: The store did not take it now. It waits in the spool.
            LineageError: Another login is stored by now; this one was put aside.
            SeedNotFoundError: The seed is gone; the login was put aside.
            HostError: Neither the store nor the disk took it. It is kept in memory.
        """
        return await finished(self._save(rotation))

    async def store_spooled(
        self, rotation: Rotation, spooled: Spooled | None, *, is_next: bool = True
    ) -> Seed:
        """Store a login and clear its file.

        Args:
            rotation: The login.
            spooled: Its file, which is closed in any case; None if the disk did not take it.
            is_next: Whether no earlier login of the seed waits here. If one does, this one may
                follow it, and is not put aside because it does not follow the stored one.

        Raises:
            StoreError: The store did not take it now. It waits in the spool, or in memory.
            LineageError: Another login is stored by now; this one was put aside.
            SeedNotFoundError: The seed is gone; the login was put aside.
        """
        seed = rotation.seed
        try:
            self._at("before_save")
            saved = await self._store_next(rotation)
            self._at("after_save")
        except StoreError:
            if spooled is None:
                self._only_here[seed] = rotation
            raise
        except LineageError as exc:
            if not is_next:
                raise StoreError(
                    "The login follows one that is not stored yet.", hint=exc.hint
                ) from exc
            await self._forget(seed, spooled, is_saved=False)
            raise
        except SeedNotFoundError:
            await self._forget(seed, spooled, is_saved=False)
            raise
        else:
            await self._forget(seed, spooled, is_saved=True)
            self._at("after_clear")
            return saved
        finally:
            if spooled is not None:
                spooled.close()

    async def drain(self, seed: str = "") -> Sequence[Drained]:
        """Bring what waits on this machine into the store.

        Args:
            seed: Id of the only one to look at; "" is all.

        Returns:
            What was tried, one for each file. Without any, nothing waits.

        Raises:
            HostError: The spool cannot be read.
        """
        names = await self._spool.names(seed)
        if not names and not self._only_here:
            return []
        return await finished(self._drain(seed, names))

    async def _save(self, rotation: Rotation) -> Seed:
        try:
            waiting = {each.result for each in await self.drain(rotation.seed)}
        except HostError:
            waiting = set()
        if (earlier := self._only_here.get(rotation.seed)) is not None:
            rotation = replace(rotation, parent=earlier.parent, version=earlier.version)
        spooled = None
        refusal: HostError | None = None
        try:
            spooled = await self._spooled(rotation)
            self._only_here.pop(rotation.seed, None)
        except HostError as exc:
            refusal = exc  # the store may take it all the same
        try:
            is_next = Drain.WAITING not in waiting or earlier is not None
            return await self.store_spooled(rotation, spooled, is_next=is_next)
        except StoreError as exc:
            if refusal is not None:
                raise refusal from exc
            raise

    async def _store_next(self, rotation: Rotation) -> Seed:
        """Store a login that follows the stored one, which may have a later version by now."""
        for _ in range(_TRIES):
            try:
                return await self._store_as(rotation)
            except LineageError:
                seed = await self._store.find(rotation.seed)
                if seed.fingerprint != rotation.parent:
                    raise
                # A refresh that left the refresh token as it was does not break the lineage.
                rotation = replace(rotation, version=seed.version + 1)
        raise StoreError(
            "The login changes faster than it can be saved.", hint="It is tried again."
        )

    async def _store_as(self, rotation: Rotation) -> Seed:
        login, seed = rotation.login, rotation.seed
        binding = Binding(self._store.id, seed, "login", rotation.version)
        data = self._vault.seal(rotation.packed(), binding)
        return await self._store.save(
            seed,
            parent=rotation.parent,
            blob=Blob(data=data, version=rotation.version),
            fingerprint=self._fingerprints.credential(login),
            details=login.details(),
        )

    async def _spooled(self, rotation: Rotation) -> Spooled:
        payload = rotation.packed()
        entry = Entry(
            seed=rotation.seed,
            attempt=uuid.uuid4().hex,
            parent=rotation.parent,
            version=rotation.version,
            at=time.time(),
        )
        spooled = await self._spool.reserve(entry, room=len(payload))
        try:
            await self._spool.keep(spooled, payload)
        except HostError:
            await self._spool.do(spooled.clear)
            raise
        return spooled

    async def _forget(self, seed: str, spooled: Spooled | None, *, is_saved: bool) -> None:
        if spooled is None:
            self._only_here.pop(seed, None)
        else:
            await self._leave(spooled.clear if is_saved else spooled.orphan)

    async def _drain(self, seed: str, found: Sequence[str]) -> Sequence[Drained]:
        names: dict[str, list[str]] = {}
        for name in found:
            names.setdefault(name.partition("-")[0], []).append(name)
        for each in self._only_here:
            if seed in ("", each):
                names.setdefault(each, [])
        done: list[Drained] = []
        for owner, files in names.items():
            done += await self._drain_seed(owner, files)
        for drained in done:
            if drained.result is not Drain.EMPTY:
                text, extra = "spool: login was %s", {"codex_seed": drained.seed}
                logger.info(text, drained.result.value, extra=extra)
        return done

    async def _drain_seed(self, seed: str, names: Sequence[str]) -> Sequence[Drained]:
        """Save the logins of one seed, each of which may follow the one before."""
        done: list[Drained] = []
        with ExitStack() as open_files:
            files: list[Spooled] = []
            for name in names:
                spooled = await self._spool.claim(name)
                if spooled is not None:
                    files.append(open_files.enter_context(spooled))
                elif await self._spool.is_busy(name):
                    reason = "another process on this machine is refreshing it"
                    done.append(Drained(seed=seed, result=Drain.BUSY, reason=reason))
            for spooled in sorted(files, key=lambda each: each.entry.version):
                is_next = all(each.result is not Drain.WAITING for each in done)
                done.append(await self._drain_file(spooled, is_next=is_next))
            if (rotation := self._only_here.get(seed)) is not None:
                is_next = all(each.result is not Drain.WAITING for each in done)
                done.append(await self._try(rotation, None, is_next=is_next))
        return done

    async def _drain_file(self, spooled: Spooled, *, is_next: bool) -> Drained:
        entry = spooled.entry
        if not spooled.is_filled:
            if await self._spool.is_abandoned(spooled):
                await self._leave(spooled.clear)
            return Drained(seed=entry.seed, result=Drain.EMPTY)
        try:
            login, config = unpack(spooled.payload())
        except UnusableLoginError as exc:
            await self._leave(spooled.orphan)
            return Drained(seed=entry.seed, result=Drain.ORPHANED, reason=exc.message)
        except (VaultError, LoginError) as exc:
            return Drained(seed=entry.seed, result=Drain.WAITING, reason=exc.message)
        rotation = Rotation(
            seed=entry.seed, parent=entry.parent, version=entry.version, login=login, config=config
        )
        return await self._try(rotation, spooled, is_next=is_next)

    async def _try(self, rotation: Rotation, spooled: Spooled | None, *, is_next: bool) -> Drained:
        try:
            await self.store_spooled(rotation, spooled, is_next=is_next)
        except StoreError as exc:
            return Drained(seed=rotation.seed, result=Drain.WAITING, reason=exc.message)
        except (LineageError, SeedNotFoundError) as exc:
            return Drained(seed=rotation.seed, result=Drain.ORPHANED, reason=exc.message)
        return Drained(seed=rotation.seed, result=Drain.SAVED)

    async def _leave(self, change: Callable[[], None]) -> None:
        """Clear a file or put it aside; one that stays is judged the same next time."""
        try:
            await self._spool.do(change)
        except HostError as exc:
            logger.warning("spool: %s", exc.message)


__all__ = ["Drain", "Drained", "Rotation", "Rotations"]
