"""Whether a login is good: three verdicts, and what each of them takes.

Alive is a login that is stored and good; after a refresh only when the new one is stored. Dead
takes proof: the endpoint refused it, or what was sealed is no login. All else is inconclusive,
changes nothing, and does not count as verified. So an outage kills nothing, and what is dead does
not come back to life because nobody asked.
"""

from __future__ import annotations

import asyncio
from asyncio import FIRST_COMPLETED
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, assert_never

from codex_nb.errors import CodexNBError
from codex_nb.seeds.auth import REFRESH_MARGIN, Login, UnusableLoginError
from codex_nb.seeds.finishing import finished
from codex_nb.seeds.hold import boot_clock, borrowed
from codex_nb.seeds.lease import LEASE_TTL, MIN_LEFT
from codex_nb.seeds.oauth import Accepted, NoAnswer, NotSent, Refused, Unclear
from codex_nb.seeds.records import Status
from codex_nb.seeds.results import RefreshState
from codex_nb.seeds.rotations import Drain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from datetime import timedelta

    from codex_nb.seeds.hold import Hold
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.refresh import Refresher
    from codex_nb.seeds.results import RefreshResult
    from codex_nb.seeds.store import Store


VerdictKind = Literal["alive", "dead", "inconclusive"]
KeyAnswer: TypeAlias = Accepted | Refused | Unclear | NotSent | NoAnswer
KeyCheck: TypeAlias = "Callable[[Login], Awaitable[KeyAnswer]]"

PARALLEL = 16


class Decision(StrEnum):
    """What finding out about a login takes.

    KEY: an API key is good by being there, unless the API is asked.
    CURRENT: the access token is good for a while, so there is nothing to do.
    REFRESH: only a refresh tells.
    MALFORMED: it is none, and never becomes one.
    """

    KEY = "key"
    CURRENT = "current"
    REFRESH = "refresh"
    MALFORMED = "malformed"


def decide(found: Login | UnusableLoginError, now: float, *, force: bool = False) -> Decision:
    """What finding out about a login takes.

    Args:
        found: The login, or why what was correctly decrypted is none.
        now: In Unix seconds.
        force: Whether an access token that says it is good is not believed.
    """
    if isinstance(found, UnusableLoginError):
        return Decision.MALFORMED
    if found.kind == "apikey":
        return Decision.KEY
    if force or found.needs_refresh(now):
        return Decision.REFRESH
    return Decision.CURRENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found out about one seed.

    Attributes:
        kind: The verdict.
        seed: Id of the seed.
        name: Its name.
        reason: Why, as one sentence; "" for an alive one of which there is nothing to tell.
        retry_after: Seconds after which it is worth another try; None if nobody said so.
        is_refreshed: Whether it got new tokens.
    """

    kind: VerdictKind
    seed: str
    name: str
    reason: str = ""
    retry_after: float | None = None
    is_refreshed: bool = False


class _Ask(NamedTuple):
    force: bool
    check_models: bool
    min_left: float


class Verifier:
    """Finds out about seeds, many at once.

    Args:
        store: An open store.
        refresher: Of that store.
        holder: Who we are, for the leases: "verify on <host>".
        check_key: Asks the API about a key; needed for `check_models` only.
        parallel: How many seeds at once.
        ttl: Of the leases.
        clock: Counts seconds, those of a suspend included.
    """

    def __init__(
        self,
        store: Store,
        refresher: Refresher,
        *,
        holder: str,
        check_key: KeyCheck | None = None,
        parallel: int = PARALLEL,
        ttl: timedelta = LEASE_TTL,
        clock: Callable[[], float] = boot_clock,
    ) -> None:
        self._store = store
        self._refresher = refresher
        self._holder = holder
        self._check_key = check_key
        self._parallel = parallel
        self._ttl = ttl
        self._clock = clock

    async def verify(
        self, seeds: Iterable[Seed], *, force: bool = False, check_models: bool = False
    ) -> AsyncGenerator[Verdict, None]:
        """The verdict on each of the seeds, as they come.

        Use `contextlib.aclosing` to leave early. A seed that was asked about is then finished.

        Args:
            seeds: Those in question, from `Store.list` or `find`.
            force: Refresh each ChatGPT login, whatever its access token says.
            check_models: Ask the API about API keys; costs nothing.
        """
        ask = _Ask(force, check_models, MIN_LEFT.total_seconds())
        waiting = iter(list(seeds))
        running: set[asyncio.Task[Verdict]] = set()
        try:
            while True:
                for seed in islice(waiting, self._parallel - len(running)):
                    running.add(asyncio.create_task(self._verify(seed, ask), name="verify"))
                if not running:
                    return
                done, running = await asyncio.wait(running, return_when=FIRST_COMPLETED)
                for task in done:
                    yield task.result()
        finally:
            # A refresh that has begun must not be left halfway.
            if running:
                await finished(asyncio.wait(running))

    async def verify_one(
        self,
        seed: Seed,
        *,
        force: bool = False,
        check_models: bool = False,
        min_left: timedelta = MIN_LEFT,
    ) -> Verdict:
        """The verdict on one seed.

        Args:
            seed: The seed.
            force: As for `verify`.
            check_models: As for `verify`.
            min_left: How long an access token must be good.
        """
        ask = _Ask(force, check_models, min_left.total_seconds())
        return await finished(self._verify(seed, ask))

    async def _verify(self, seed: Seed, ask: _Ask) -> Verdict:
        try:
            async with borrowed(
                self._store, seed.id, holder=self._holder, ttl=self._ttl, clock=self._clock
            ) as found:
                if found is None:
                    return await self._not_leased(seed)
                return await self._judge(*found, ask)
        except CodexNBError as exc:
            return _inconclusive(seed, exc.message)

    async def _not_leased(self, seed: Seed) -> Verdict:
        now = await self._store.find(seed.id)
        if now.status is Status.RETIRED:
            return _inconclusive(now, "It is retired; nobody uses it.")
        holder = now.lease.holder if now.lease else "another holder"
        left = now.lease.left if now.lease else None
        return _inconclusive(now, f"It is in use by {holder}.", retry_after=left)

    async def _judge(self, seed: Seed, hold: Hold, ask: _Ask) -> Verdict:
        if seed.status is Status.DEAD and not (ask.force or ask.check_models):
            # Only a refresh could prove anything else, and nobody asked for one.
            return Verdict(kind="dead", seed=seed.id, name=seed.name, reason=seed.reason)
        waiting = await self._refresher.rotations.drain(seed.id)
        for drained in waiting:
            if drained.result in (Drain.WAITING, Drain.BUSY):
                return _inconclusive(seed, f"Not all of it is stored: {drained.reason}")
        try:
            stored = await self._refresher.read(seed.id, known=None if waiting else seed)
        except UnusableLoginError as exc:
            return await self._bury(seed, hold, exc.message)
        seed, login = stored.seed, stored.login
        # A refresh that was not told how it ended is to be cleared up, whatever the token says.
        is_open = seed.status is Status.SUSPECT or seed.intent is not None
        now = hold.now + ask.min_left - REFRESH_MARGIN
        match decide(login, now, force=ask.force or is_open):
            case Decision.CURRENT if seed.status is Status.ALIVE:
                return await self._praise(seed, hold)
            case Decision.CURRENT:
                return Verdict(kind="dead", seed=seed.id, name=seed.name, reason=seed.reason)
            case Decision.REFRESH:
                # A login that somebody else stored meanwhile is as good as one of our own.
                result = await self._refresher.refresh(
                    hold,
                    force=ask.force or is_open,
                    used=None if ask.force else login,
                    min_left=ask.min_left,
                    stored=stored,
                )
                return await self._judged(result, hold)
            case Decision.KEY if ask.check_models and self._check_key is not None:
                return await self._judge_key(seed, hold, await self._check_key(login))
            case Decision.KEY if seed.status is Status.DEAD:
                return Verdict(kind="dead", seed=seed.id, name=seed.name, reason=seed.reason)
            case Decision.KEY:
                return await self._praise(seed, hold, "It is there; the API was not asked.")
            case Decision.MALFORMED:
                raise AssertionError("what was read is a login")

    async def _judged(self, result: RefreshResult, hold: Hold) -> Verdict:
        seed = result.stored.seed
        match result.state:
            case RefreshState.REFRESHED:
                return Verdict(kind="alive", seed=seed.id, name=seed.name, is_refreshed=True)
            case RefreshState.CURRENT:
                return await self._praise(seed, hold)
            case RefreshState.DEAD:
                return Verdict(kind="dead", seed=seed.id, name=seed.name, reason=result.reason)
            case RefreshState.SPOOLED | RefreshState.UNCLEAR:
                return _inconclusive(seed, result.reason, retry_after=result.retry_after)
            case _:
                assert_never(result.state)

    async def _judge_key(self, seed: Seed, hold: Hold, answer: KeyAnswer) -> Verdict:
        match answer:
            case Accepted():
                return await self._praise(seed, hold, "The API took the key.")
            case Refused():
                return await self._bury(seed, hold, answer.text)
            case Unclear():
                return _inconclusive(seed, answer.reason, retry_after=answer.retry_after)
            case NotSent() | NoAnswer():
                return _inconclusive(seed, answer.reason)
            case _:
                assert_never(answer)

    async def _praise(self, seed: Seed, hold: Hold, reason: str = "") -> Verdict:
        return await self._settle(seed, hold, Status.ALIVE, reason)

    async def _bury(self, seed: Seed, hold: Hold, reason: str) -> Verdict:
        return await self._settle(seed, hold, Status.DEAD, reason)

    async def _settle(self, seed: Seed, hold: Hold, status: Status, reason: str) -> Verdict:
        """Store a verdict, if it still is about the login that is stored."""
        is_stored = await self._store.mark(
            seed.id,
            status,
            reason if status is Status.DEAD else "",
            fingerprint=seed.fingerprint,
            fence=hold.lease.fence,
            verified=True,
        )
        if not is_stored:
            return _inconclusive(seed, "It changed while it was looked at.")
        kind: VerdictKind = "alive" if status is Status.ALIVE else "dead"
        return Verdict(kind=kind, seed=seed.id, name=seed.name, reason=reason)


def _inconclusive(seed: Seed, reason: str, *, retry_after: float | None = None) -> Verdict:
    return Verdict(
        kind="inconclusive",
        seed=seed.id,
        name=seed.name,
        reason=reason,
        retry_after=retry_after,
    )


__all__ = [
    "PARALLEL",
    "Decision",
    "KeyAnswer",
    "KeyCheck",
    "Verdict",
    "VerdictKind",
    "Verifier",
    "decide",
]
