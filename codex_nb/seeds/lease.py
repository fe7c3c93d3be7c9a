"""A seed that is held for as long as a session needs it.

* When the lease is lost, `lost` is set and nobody refreshes here any more. What codex wrote is
  still saved, by its lineage.
* The lease is given back last of all, and however the block ends.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Self

from codex_nb.errors import (
    CodexNBError,
    HostError,
    LeaseLostError,
    LineageError,
    LoginError,
    StoreError,
)
from codex_nb.seeds.auth import REFRESH_MARGIN
from codex_nb.seeds.finishing import finished
from codex_nb.seeds.hold import boot_clock
from codex_nb.seeds.records import Status
from codex_nb.seeds.results import RefreshState
from codex_nb.seeds.rotations import Drain, Rotation
from codex_nb.seeds.tenure import Tenure
from codex_nb.seeds.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.hold import Hold
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.refresh import Refresher
    from codex_nb.seeds.results import RefreshResult, Stored
    from codex_nb.seeds.store import Store

logger = logging.getLogger(__name__)

LEASE_TTL = timedelta(seconds=60)
MIN_LEFT = timedelta(seconds=REFRESH_MARGIN)

_CLEANUP_LIMIT = 10.0
_LOG_IN = "Log in anew with `%codex_seed login`, or take another seed."
_LATER = "Try again later, or take another seed."


class HeldSeed:
    """A leased seed and its login. Entering it waits for the lease; leaving it gives it back.

    Args:
        store: An open store.
        refresher: Of that store.
        holder: Who we are, in words for a person: "session <id> on <host>".
        seed: Name or id of the seed; or
        pool: of which pool one is taken.
        wait: How long to wait for a seed that others have.
        ttl: Of the lease; what has to be renewed.
        on_wait: Told now and then who has it meanwhile.
        clock: Counts seconds, those of a suspend included.
    """

    def __init__(
        self,
        store: Store,
        refresher: Refresher,
        *,
        holder: str,
        seed: str = "",
        pool: str = "",
        wait: timedelta = timedelta(0),
        ttl: timedelta = LEASE_TTL,
        on_wait: Callable[[Waiting], None] = lambda _waiting: None,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        if bool(seed) == bool(pool):
            raise ValueError("give the name of a seed, or a pool")
        self._store = store
        self._refresher = refresher
        self._name = seed
        self._pool = pool
        self._tenure = Tenure(
            store,
            holder=holder,
            wait=wait,
            ttl=ttl,
            on_wait=on_wait,
            on_renewed=self._drain,
            clock=clock,
        )
        self._stored: Stored | None = None
        self._lineage = ""
        self._version = 0
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Lease the seed, with a login that can be used.

        Raises:
            SeedBusyError: Others had it for longer than `wait`.
            SeedNotFoundError: There is no such seed, or nothing in that pool.
            LoginError: It is dead or retired, or its login ran out and could not be refreshed now.
            VaultError: It does not open with these keys.
            StoreError: The store cannot be reached.
        """
        seed_id = (await self._store.find(self._name)).id if self._name else ""
        tries = 1 if seed_id else max(1, len(await self._store.list(self._pool)))
        for left in reversed(range(tries)):
            await self._tenure.acquire(seed_id, self._pool)
            try:
                await self._begin()
                break
            except LoginError:
                await self._tenure.release()
                if not left:
                    raise
            except BaseException:
                await self._tenure.release()
                raise
        await self._tenure.start(self.seed.name)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._tenure.stop(error)
        finally:
            await finished(self._leave())

    @property
    def seed(self) -> Seed:
        """The seed as it was last read."""
        return self._current.seed

    @property
    def login(self) -> Login:
        """The newest login that is known here."""
        return self._current.login

    @property
    def config(self) -> JsonObject:
        """Settings of codex that go with the login."""
        return self._current.config

    @property
    def hold(self) -> Hold:
        """The lease."""
        return self._tenure.hold

    @property
    def lost(self) -> asyncio.Event:
        """Set when the lease is lost before it was given back."""
        return self._tenure.lost

    @property
    def why(self) -> str:
        """Why it was lost, as one sentence; "" as long as it was not."""
        return self._tenure.why

    async def fresh(self, min_left: timedelta = MIN_LEFT) -> Login:
        """The login, refreshed if its access token is good for less than `min_left`.

        When that fails, and the access token is still good, it is returned as it is.

        Raises:
            LoginError: The login was refused for good, or ran out and cannot be refreshed now.
            LeaseLostError: The lease was lost, and the access token ran out.
            VaultError: What is stored does not open with these keys any more.
        """
        seconds = min_left.total_seconds()
        async with self._turn:
            if not self.login.needs_refresh(self.hold.now + seconds - REFRESH_MARGIN):
                return self.login
            return await self._refresh(force=False, min_left=seconds)

    async def refreshed(self) -> Login:
        """Another login than the one of now, which was found not to work.

        Raises:
            LoginError: The login was refused for good, or cannot be refreshed now.
            LeaseLostError: The lease was lost.
            VaultError: What is stored does not open with these keys any more.
        """
        used = self._lineage
        async with self._turn:
            if self._lineage != used:
                return self.login
            return await self._refresh(force=True, min_left=REFRESH_MARGIN)

    async def save(self, login: Login) -> None:
        """Save a login that codex made of this one, with or without the lease.

        Cancelling takes effect when that is done or failed.

        Raises:
            StoreError: The store did not take it now; it waits on this machine and is tried again.
            HostError: Nor did the disk; it is in memory and tried again.
            LineageError: It is of another account, or another login is stored by now.
            SeedNotFoundError: The seed is gone.
        """
        fingerprints = self._refresher.fingerprints
        if fingerprints.account(login) != self.seed.account:
            raise LineageError(
                f"That login is of another account than the seed {self.seed.name}.",
                hint="Keep it as a seed of its own with `%codex_seed capture`.",
            )
        async with self._turn:
            lineage = fingerprints.credential(login)
            if lineage == self._lineage and login.access_token == self.login.access_token:
                await self._drain()
                return
            rotation = Rotation(
                seed=self.seed.id,
                parent=self._lineage,
                version=self._version + 1,
                login=login,
                config=self._current.config,
            )
            new = replace(self._current, login=login)
            try:
                saved = await self._refresher.rotations.save(rotation)
            except (StoreError, HostError, asyncio.CancelledError):
                # It waits here, and the next one follows it.
                self._take(new, version=rotation.version)
                raise
            self._take(replace(new, seed=saved), version=saved.version)

    @property
    def _current(self) -> Stored:
        if self._stored is None:
            raise RuntimeError("enter it first")
        return self._stored

    def _take(self, stored: Stored, *, version: int) -> None:
        self._stored = stored
        self._lineage = self._refresher.fingerprints.credential(stored.login)
        self._version = version

    # The login

    async def _begin(self) -> None:
        """Have a login that can be used.

        Raises:
            LoginError: There is none.
        """
        # A dead one is not asked about again, but what waits here may be a login that follows it.
        seed = await self._store.find(self.hold.lease.seed)
        if seed.status is Status.DEAD:
            await self._refresher.rotations.drain(seed.id)
            seed = await self._store.find(seed.id)
        if seed.status is Status.DEAD:
            raise _refused(seed.name, seed.reason)
        result = await self._refresher.refresh(self.hold)
        self._judge(result)
        self._note(result)

    async def _leave(self) -> None:
        """Save what waits, then give the lease back; each within a limit."""
        try:
            async with asyncio.timeout(_CLEANUP_LIMIT):
                await self._drain()
        except (CodexNBError, TimeoutError) as exc:
            logger.warning("spool: %s", exc, extra={"codex_seed": self.seed.id})
        finally:
            await self._tenure.release()

    async def _drain(self) -> None:
        """Try again what could not be stored; StoreError if it still cannot."""
        for drained in await self._refresher.rotations.drain(self.seed.id):
            if drained.result is Drain.WAITING:
                raise StoreError(drained.reason, hint="It is tried again.")

    async def _refresh(self, *, force: bool, min_left: float) -> Login:
        if self.lost.is_set():
            return self._good_enough(LeaseLostError(self.why, hint=_LATER), force=force)
        try:
            result = await self._refresher.refresh(
                self.hold, force=force, used=self.login if force else None, min_left=min_left
            )
        except LeaseLostError as exc:
            self._tenure.lose(exc.message)
            return self._good_enough(exc, force=force)
        except StoreError as exc:
            return self._good_enough(exc, force=force)
        if result.state is not RefreshState.UNCLEAR:
            self._judge(result)
            self._note(result)
        elif force or not self._is_good(self.login):
            raise _not_now(self.seed.name, result.reason)
        return self.login

    def _note(self, result: RefreshResult) -> None:
        is_ahead = result.state is RefreshState.SPOOLED
        self._take(result.stored, version=result.stored.seed.version + is_ahead)

    def _judge(self, result: RefreshResult) -> None:
        """Raise LoginError unless there is a login to go on with."""
        name = result.stored.seed.name
        if result.state is RefreshState.DEAD:
            raise _refused(name, result.reason)
        if result.state is RefreshState.UNCLEAR and not self._is_good(result.stored.login):
            raise _not_now(name, result.reason)

    def _good_enough(self, error: CodexNBError, *, force: bool) -> Login:
        if force or not self._is_good(self.login):
            raise error
        return self.login

    def _is_good(self, login: Login) -> bool:
        return login.expires_at is None or login.expires_at > self.hold.now


def _refused(name: str, reason: str) -> LoginError:
    return LoginError(f"The login of seed {name} is over: {reason}", hint=_LOG_IN)


def _not_now(name: str, reason: str) -> LoginError:
    return LoginError(f"The login of seed {name} cannot be refreshed now: {reason}", hint=_LATER)


__all__ = ["LEASE_TTL", "MIN_LEFT", "HeldSeed", "Waiting"]
