"""The login of one session: leased before codex starts, kept good while it runs, then given back.

It is handed to codex in one of two ways:

* Tokens in memory, for a ChatGPT login: codex gets an access token and asks for another one when
  that is refused. The refresh token stays here, and there is one refresher. Checked against codex
  0.142.5, 0.163.0 and 0.169.0.
* A planted auth.json, for an API key, and where codex is to hold the login itself, as it does in a
  plain terminal: a watcher saves what codex makes of it, for the last time when codex has ended.
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

from codex_nb.codex.home import AUTH_FILE
from codex_nb.errors import (
    CodexNBError,
    HostError,
    LeaseLostError,
    LoginError,
    NoLoginError,
    SeedNotFoundError,
    StoreError,
)
from codex_nb.seeds.lease import HeldSeed
from codex_nb.seeds.planted import PlantedLogin
from codex_nb.seeds.records import Status
from codex_nb.seeds.recovery import planted_records
from codex_nb.seeds.seeds import Seeds
from codex_nb.seeds.settings import file_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codex_nb.codex.app_server import AppServer
    from codex_nb.hosts.base import Host
    from codex_nb.protocol.messages import Json, JsonObject, ServerRequest
    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.lease import Waiting
    from codex_nb.seeds.records import Seed
    from codex_nb.sessions.spec import SessionSpec

logger = logging.getLogger(__name__)

POOL = "pool:"
"""Before the name of a pool, where else the name of a seed stands."""

_HAND_OVER_LIMIT = 30.0
_REFUSED = -32000
_HOW_TO = (
    "Log in with `%codex_seed login NAME`, take over the login of the codex program with "
    "`%codex_seed import ~/.codex`, or play a recorded model with --replay."
)


class SessionLogin:
    """The login that a session has leased. Made by `open`, ended by `close`.

    Args:
        spec: What the session is to be.
        host: Where codex runs.
        home: CODEX_HOME there.
        tell: Takes a level, a sentence and what to do about it, for a person.
        progress: Takes what is waited for, in a few words.
    """

    def __init__(
        self,
        spec: SessionSpec,
        host: Host,
        home: str,
        *,
        tell: Callable[[str, str, str], None],
        progress: Callable[[str], None],
    ) -> None:
        self._spec = spec
        self._host = host
        self._home = home
        self._tell = tell
        self._progress = progress
        self._held: HeldSeed | None = None
        self._planted: PlantedLogin | None = None
        self._is_left = False
        self._usage: Json = None
        self._over = asyncio.Event()
        self._ready = asyncio.get_running_loop().create_future()
        # No TaskGroup holds it: it owns the lease, and `close` awaits it.
        self._owner: asyncio.Task[None] | None = None

    def note_usage(self, rate_limits: Json) -> None:
        """Remember what codex told of the account's limits; it is kept with the seed at the end."""
        if isinstance(rate_limits, dict) and (rate_limits.get("primary") is not None):
            self._usage = rate_limits

    @property
    def name(self) -> str:
        """Name of the seed."""
        return self._seed.seed.name

    @property
    def is_left(self) -> bool:
        """Whether the file holds what could be stored nowhere, not even in the spool."""
        return self._is_left

    @property
    def config(self) -> JsonObject:
        """Settings of codex that go with the login."""
        return self._seed.config

    async def open(self) -> None:
        """Lease the seed, and plant the login where codex is to hold it.

        Raises:
            CodexNBError: There is no such login, it is in use or dead, or it cannot be read.
        """
        self._owner = asyncio.create_task(self._own(), name="login")
        try:
            await asyncio.wait({self._owner, self._ready}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.close()
            raise
        if not self._ready.done():
            await self._owner

    async def close(self) -> None:
        """Save what codex left, and give the seed back. For after the end of codex; idempotent."""
        self._over.set()
        if self._owner is None:
            return
        if not self._ready.done():
            self._owner.cancel()
        (error,) = await asyncio.gather(asyncio.shield(self._owner), return_exceptions=True)
        if isinstance(error, CodexNBError) and self._ready.done():
            logger.warning("the login could not be given back: %s", error.message)
        elif isinstance(error, Exception) and not isinstance(error, CodexNBError):
            raise error

    async def hand_over(self, server: AppServer) -> None:
        """Log codex in, unless it finds the login in its home.

        Raises:
            CodexNBError: Codex did not take it, or it cannot be refreshed.
        """
        if self._planted is None:
            params: JsonObject = {
                "type": "chatgptAuthTokens",
                **_tokens_of(await self._seed.fresh()),
            }
            await server.request("account/login/start", params, timeout=_HAND_OVER_LIMIT)

    async def answer(self, server: AppServer, request: ServerRequest) -> None:
        """Give codex another access token; it waits for that and tries its request again."""
        try:
            login = await self._seed.refreshed()
        except CodexNBError as exc:
            self._tell("error", f"The login {self.name} does not work: {exc.message}", exc.hint)
            await server.refuse(request.id, _REFUSED, exc.message)
        else:
            await server.answer(request.id, _tokens_of(login))

    async def guard(self) -> None:
        """Return never: raise when the lease is lost.

        Raises:
            LeaseLostError: Somebody else may have the seed now.
        """
        await self._seed.lost.wait()
        raise LeaseLostError(
            f"The session lost its login {self.name}: {self._seed.why}",
            hint="What Codex made of the login is saved. Start the session again to go on.",
        )

    @property
    def _seed(self) -> HeldSeed:
        if self._held is None:
            raise RuntimeError("open it first")
        return self._held

    async def _own(self) -> None:
        spec = self._spec
        async with AsyncExitStack() as stack:
            if not spec.seed and not _has_store(spec):
                raise NoLoginError("There is no login for Codex yet.", hint=_HOW_TO)
            seeds = await stack.enter_async_context(Seeds(spec.seeds))
            if seeds.warning:
                self._tell("warning", seeds.warning, "")
            refresher = await seeds.refresher()
            pool = spec.seed.removeprefix(POOL) if spec.seed.startswith(POOL) else ""
            name = "" if pool else spec.seed or only_one(await seeds.list())
            self._held = await stack.enter_async_context(
                HeldSeed(
                    seeds.store,
                    refresher,
                    holder=seeds.holder(f"session {spec.name}"),
                    seed=name,
                    pool=pool,
                    wait=spec.seed_wait,
                    on_wait=self._say_who,
                )
            )
            if spec.login_file or spec.plain or self._held.login.kind == "apikey":
                await self._plant(seeds, self._held)
            self._ready.set_result(None)
            await self._serve()
            if self._usage is not None:
                with suppress(StoreError, SeedNotFoundError):
                    await seeds.store.change(self._held.seed.id, details={"usage": self._usage})

    async def _plant(self, seeds: Seeds, held: HeldSeed) -> None:
        await self._host.make_folder(self._home)
        self._planted = PlantedLogin(
            self._host,
            f"{self._home}/{AUTH_FILE}",
            seed=held.seed.id,
            fingerprints=seeds.fingerprints,
            save=held.save,
            records=planted_records(seeds) if self._host.name == "local" else None,
            tell=lambda text: self._tell("warning", text, ""),
        )
        await self._planted.plant(await held.fresh())

    async def _serve(self) -> None:
        """Watch the file, if there is one, until codex has ended."""
        planted = self._planted
        if planted is None:
            await self._over.wait()
            return
        watching = asyncio.create_task(planted.watch(), name="watch auth.json")
        try:
            await self._over.wait()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            try:
                with suppress(StoreError):  # it waits in the spool
                    await planted.look()
                await planted.remove()
            except HostError as exc:
                # The record stays, and whoever opens the store here next saves what is left.
                self._is_left = True
                logger.warning("last look at auth.json failed: %s", exc.message)

    def _say_who(self, waiting: Waiting) -> None:
        who = f" of {waiting.holder}" if waiting.holder else ""
        before = f"; {waiting.ahead} came before" if waiting.ahead else ""
        self._progress(f"Waiting for the login {waiting.name}{who}{before}")


def only_one(seeds: Sequence[Seed]) -> str:
    """The seed that is meant when nobody says which: the one called "default", or the only one.

    Raises:
        NoLoginError: There is none.
        LoginError: There is more than one.
    """
    usable = [seed for seed in seeds if seed.status in (Status.ALIVE, Status.SUSPECT)]
    names = [seed.name for seed in usable]
    if "default" in names:
        return "default"
    if not names:
        dead = f" {seeds[0].name} is {seeds[0].status}: {seeds[0].reason}." if seeds else ""
        raise NoLoginError(f"There is no login that works.{dead}", hint=_HOW_TO)
    if len(names) > 1:
        raise LoginError(
            f"There are {len(names)} logins, and the cell does not say which.",
            hint=f"Say --seed NAME with one of {', '.join(names[:8])}, or set CodexNB.seed.",
        )
    return names[0]


def _has_store(spec: SessionSpec) -> bool:
    file = file_of(spec.seeds.store, os.environ)
    return file is None or file.exists()


def _tokens_of(login: Login) -> JsonObject:
    return {
        "accessToken": login.access_token,
        "chatgptAccountId": login.account_id,
        "chatgptPlanType": login.plan or None,
    }


__all__ = ["POOL", "SessionLogin", "only_one"]
