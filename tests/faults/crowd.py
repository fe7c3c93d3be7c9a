"""Two holders and a keeper on one SQLite file, which are killed at any moment (row C17).

What must hold: no fence is given twice; whatever a process was told to be stored stays so, or is
followed; and the stored login is the one that the endpoint would take. A login may be lost only if
a process was killed between the endpoint's answer and its write to the disk (W1).
"""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
import threading
import time
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from unittest.mock import patch

import httpx

from codex_nb.errors import CodexNBError, LoginError
from codex_nb.seeds.keeper import Keeper
from codex_nb.seeds.lease import HeldSeed
from codex_nb.seeds.records import Status
from codex_nb.seeds.refresh import Refresher
from codex_nb.seeds.spool import Spool
from codex_nb.seeds.sqlite import SqliteStore
from codex_nb.seeds.vault import Vault
from codex_nb.seeds.verify import Verifier
from tests.faults.child import FINGERPRINTS, KEY, NO_TLS, keep, new_id, read
from tests.faults.processes import PROCESSES
from tests.support import openai_state
from tests.support.openai_fake import FakeOpenAI
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess
    from typing import Any

    from codex_nb.seeds.records import Lease, Seed

Role = Literal["holder 1", "holder 2", "keeper"]
ROLES: tuple[Role, ...] = ("holder 1", "holder 2", "keeper")

_TTL = timedelta(seconds=30)
_LIFE = 1.0
_LONGEST = 2.0
_POINTS = (
    *("after_reserve", "after_intent", "spool_written", "after_spool"),
    *("before_save", "after_save", "after_clear"),
)
# At the last point before, the only copy may be in the memory of the process.
_UNSAFE = ("before_post", "after_response")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a crowd came to.

    Attributes:
        faults: What must not happen and did; empty is good.
        kills: How many processes were killed.
        fences: How many leases each role had.
        saved: How many new logins were stored.
        is_lost: Whether the login was lost, in W1.
    """

    faults: tuple[str, ...]
    kills: int
    fences: dict[Role, int]
    saved: int
    is_lost: bool


def play(seed: int, *, kills: int) -> Ended:
    """One crowd, until so many of it were killed or its login is lost.

    Args:
        seed: Of the random moments.
        kills: How many processes are killed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="codex-nb-crowd-") as folder,
        FakeOpenAI() as fake,
        # With tokens of an hour, the keeper would have nothing to do.
        patch.object(openai_state, "RENEWED_FOR", _LIFE),
    ):
        return _Crowd(Path(folder), fake, random.Random(seed)).play(kills)  # noqa: S311 - a test


def told(played: Sequence[Ended]) -> str:
    """What several crowds came to, for a reader."""
    kills, saved = sum(each.kills for each in played), sum(each.saved for each in played)
    lost = sum(each.is_lost for each in played)
    return (
        f"Besides, two sessions and a keeper used one login on one SQLite file, {len(played)} "
        f"times, while {kills} of these processes were killed at any moment: {saved:,} new "
        f"logins were stored, no fence was given twice, and {lost or 'none'} of the {len(played)} "
        "ended in W1."
    )


@dataclass
class _Member:
    process: ForkServerProcess
    pipe: Connection
    point: str = ""


@dataclass
class _Crowd:
    folder: Path
    fake: FakeOpenAI
    chance: random.Random
    seed: str = field(default_factory=new_id)
    fences: list[tuple[int, Role]] = field(default_factory=list)
    stored: dict[int, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    killed: list[tuple[int, int, bool, bool]] = field(default_factory=list)
    is_over: bool = False

    def play(self, kills: int) -> Ended:
        asyncio.run(self._make())
        done = 0
        with ExitStack() as exits:
            members = {role: self._start(role, exits) for role in ROLES}
            while done < kills and not self.is_over:
                role = self.chance.choice(ROLES + ROLES[:2])
                if done % 2:
                    self._listen(members, self.chance.uniform(0.05, 0.6))
                else:
                    self._listen(members, _LONGEST, (role, self.chance.choice(_POINTS)))
                self._kill(role, members[role])
                done += 1
                members[role] = self._start(role, exits)
            for role, member in members.items():
                self._kill(role, member)
        return asyncio.run(self._judge(done))

    def _start(self, role: Role, exits: ExitStack) -> _Member:
        ours, theirs = PROCESSES.Pipe()
        environment = self.fake.environment()
        process = PROCESSES.Process(
            target=live, args=(role, str(self.folder), self.seed, environment, theirs)
        )
        process.start()
        theirs.close()
        exits.callback(ours.close)
        exits.callback(process.kill)
        return _Member(process, ours)

    def _listen(
        self, members: dict[Role, _Member], seconds: float, until: tuple[Role, str] | None = None
    ) -> None:
        """Listen for so long, or until one of them passes a point."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready = wait([each.pipe for each in members.values()], left)
            for role, member in members.items():
                if member.pipe in ready and not self._hear(role, member):
                    raise AssertionError(f"{role} ended by itself")
                if member.pipe in ready and (role, member.point) == until:
                    return

    def _hear(self, role: Role, member: _Member) -> bool:
        try:
            kind, *words = member.pipe.recv()
        except (EOFError, ConnectionResetError):
            return False
        if kind == "fence":
            self.fences.append((words[0], role))
        elif kind == "point":
            member.point = words[0]
        elif kind == "stored":
            version, fingerprint = words
            if self.stored.setdefault(version, fingerprint) != fingerprint:
                self.faults.append(f"two logins were stored as version {version}")
        elif kind == "over":
            self.is_over = True
        return True

    def _kill(self, role: Role, member: _Member) -> None:
        member.process.kill()
        member.process.join(scaled(10))
        if member.process.exitcode != -signal.SIGKILL:
            self.faults.append(f"{role} ended by itself: {member.process.exitcode}")
        while self._hear(role, member):
            pass
        asyncio.run(self._free(role, is_unsafe=member.point in _UNSAFE))

    async def _make(self) -> None:
        auth = self.fake.new_login(expires_in=-60)
        async with self._store() as store:
            await keep(store, Vault([KEY]), self.seed, auth)

    async def _free(self, role: Role, *, is_unsafe: bool) -> None:
        """Let the lease of a dead process be over; waiting for that takes half a minute."""
        async with self._store() as store:
            seed = await store.find(self.seed)
            login = (await read(store, self.seed))[1]
            rotations = self.fake.state.rotations(login.refresh_token)
            is_maker = seed.lease is not None and seed.lease.holder == role
            self.killed.append((seed.version, rotations, is_unsafe, is_maker))
            if is_maker:
                await store.break_lease(self.seed)

    async def _judge(self, kills: int) -> Ended:
        async with AsyncExitStack() as exits:
            store = await exits.enter_async_context(self._store())
            refresher = await _refresher(
                store, self.folder, self.fake.environment(), exits, lambda _point: None
            )
            last = Verifier(store, refresher, holder="the last")
            await last.verify_one(await store.find(self.seed), force=True)
            found = await refresher.read(self.seed)
        numbers = [number for number, _ in self.fences]
        if len(numbers) != len(set(numbers)):
            self.faults.append("a fence was given twice")
        if max(self.stored, default=0) > found.seed.version:
            self.faults.append("a login that was stored is not there any more")
        is_live = self.fake.is_live(found.login.refresh_token)
        if is_live and found.seed.status is not Status.ALIVE:
            self.faults.append(f"a good login is {found.seed.status.value}")
        # The first version is no rotation. In W1 exactly one more took place than was stored.
        lost = self.fake.state.rotations(found.login.refresh_token) - (found.seed.version - 1)
        if lost != (0 if is_live else 1):
            self.faults.append(f"{lost} new logins were not stored")
        if not is_live and not self._was_in_window(found.seed.version):
            self.faults.append("the login was lost, and nobody was killed where that may be")
        return Ended(
            faults=tuple(self.faults),
            kills=kills,
            fences={role: sum(each == role for _, each in self.fences) for role in ROLES},
            saved=found.seed.version - 1,
            is_lost=not is_live,
        )

    def _was_in_window(self, version: int) -> bool:
        """Whether a process was killed in W1 before the login that follows a version was made."""
        for stored, rotations, is_unsafe, is_maker in self.killed:
            if stored == version and is_unsafe:
                return True
            # Another one may be killed while the maker still waits for the answer.
            if stored == version and rotations >= version and is_maker:
                return False  # it was killed later, when it should have been on the disk
        return False

    def _store(self) -> SqliteStore:
        return SqliteStore(self.folder / "store" / "seeds.db")


# In the processes


def live(
    role: Role, folder: str, seed: str, environment: dict[str, str], parent: Connection
) -> None:
    """What one of the crowd does until it is killed."""
    asyncio.run(_live(role, Path(folder), seed, environment, parent))


async def _live(
    role: Role, folder: Path, seed: str, environment: dict[str, str], parent: Connection
) -> None:
    lock = threading.Lock()

    def tell(*words: object) -> None:
        with lock:  # the spool works in threads of its own
            parent.send(words)

    async with AsyncExitStack() as exits:
        store = _TellingStore(folder / "store" / "seeds.db", tell)
        await exits.enter_async_context(store)
        refresher = await _refresher(
            store, folder, environment, exits, lambda point: tell("point", point)
        )
        if role == "keeper":
            verifier = Verifier(store, refresher, holder=role, ttl=_TTL)
            keeper = Keeper(store, verifier, refresher.rotations)
            while True:  # as `run` does, with shorter pauses
                with suppress(CodexNBError):
                    await keeper.keep()
                await asyncio.sleep(0.05)
        while True:
            try:
                held = HeldSeed(
                    store, refresher, holder=role, seed=seed, ttl=_TTL, wait=timedelta(seconds=1)
                )
                async with held:
                    tell("point", "held")
                    await asyncio.sleep(random.uniform(0, 0.1))  # noqa: S311 - any moment
            except LoginError:
                if (await store.find(seed)).status is Status.DEAD:
                    tell("over")
            except CodexNBError as exc:
                tell("point", exc.message)  # another has it
            await asyncio.sleep(random.uniform(0.1, 1.5))  # noqa: S311


class _TellingStore(SqliteStore):
    """A store that tells what it promised."""

    def __init__(self, path: Path, tell: Callable[..., None]) -> None:
        super().__init__(path)
        self._say = tell

    async def acquire(self, **options: Any) -> tuple[Seed, Lease] | None:
        found = await super().acquire(**options)
        if found is not None:
            self._say("fence", found[1].fence)
        return found

    async def save(self, seed_id: str, **options: Any) -> Seed:
        seed = await super().save(seed_id, **options)
        self._say("stored", seed.version, seed.fingerprint)
        return seed


async def _refresher(
    store: SqliteStore,
    folder: Path,
    environment: dict[str, str],
    exits: AsyncExitStack,
    at: Callable[[str], None],
) -> Refresher:
    client = await exits.enter_async_context(httpx.AsyncClient(trust_env=False, verify=NO_TLS))
    vault = Vault([KEY])
    spool = Spool(folder / "spool", vault, store.id, at=at)
    return Refresher(
        store,
        vault,
        FINGERPRINTS,
        spool,
        client,
        environment,
        at,
        ask_timeout=timedelta(seconds=10),
        lease_margin=timedelta(seconds=15),
    )


__all__ = ["Ended", "play", "told"]
