"""What one process of a round does: a cycle with a seed, and one fault at one named point of it.

It uses the real store, the real vault and the real spool; only the endpoint is a fake, in another
process. Processes are forked from a server that has imported this file.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import ssl
import time
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx

from codex_nb.errors import CodexNBError
from codex_nb.seeds.archive import pack, unpack
from codex_nb.seeds.auth import Login
from codex_nb.seeds.hold import borrowed
from codex_nb.seeds.lease import HeldSeed
from codex_nb.seeds.mongo import MongoStore
from codex_nb.seeds.records import Blob, Seed
from codex_nb.seeds.refresh import Refresher
from codex_nb.seeds.spool import Spool
from codex_nb.seeds.sqlite import SqliteStore
from codex_nb.seeds.vault import Binding, Fingerprints, Key, Vault
from tests.faults import session
from tests.faults.halfway import stop_halfway
from tests.seeds.stores import NETWORK

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from codex_nb.seeds.store import Store

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The fake speaks plain HTTP, and the certificates of the world take a while to load."""
KEY = Key.of(bytes(range(32)))
FINGERPRINTS = Fingerprints(b"f" * 32)

Verb = Literal["capture", "refresh", "save", "session"]
FaultName = Literal[
    "none",
    "kill",
    "freeze",
    "store down",
    "server killed",
    "step-down",
    "disk full",
    "clock +1 h",
    "clock -1 h",
]

_LONG, _SHORT = timedelta(seconds=60), timedelta(seconds=4)
_LIMIT, _SOON = timedelta(seconds=20), timedelta(seconds=1)
_PATIENCE = timedelta(seconds=10)
_FULL = 6_000
# The limit that stands for a full disk also hits what is written over reserved room, as a full disk
# does not. A login that could not be spooled for that reason alone finds room in the store.
_SPOOLED = "spool_written"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a process is to do.

    Attributes:
        store: Path or URI of the store.
        folder: Of the spools.
        machine: Its name; each has a spool of its own.
        verb: The cycle: keep a new login, refresh one, save one that codex refreshed, or have one
            in a file of codex.
        seed: Id of the seed.
        auth: An auth.json, to be kept.
        environment: In which a redirect is looked up.
        point: Where the fault happens.
        fault: What happens.
        is_short: Whether the lease is a short one, to be outlived.
        wait: Seconds to wait for a seed that another has.
        patience: Seconds to wait for the endpoint; None is as long as usual.
        is_hasty: Whether to give up soon on a store that is away or locked.
    """

    store: str
    folder: str
    machine: str
    verb: Verb
    seed: str
    auth: bytes = field(default=b"", repr=False)
    environment: dict[str, str] = field(default_factory=dict)
    point: str = ""
    fault: FaultName = "none"
    is_short: bool = False
    wait: float = 0.0
    patience: float | None = None
    is_hasty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How it went.

    Attributes:
        state: Of the refresh; "" if there was none.
        reason: Why, or what was raised.
        fence: Of its lease; 0 without one.
        passed: The points that were passed.
    """

    state: str = ""
    reason: str = ""
    fence: int = 0
    passed: tuple[str, ...] = ()


def obey(orders: Orders, parent: Connection) -> None:
    """Do it and report; the body of the process."""
    parent.send(asyncio.run(_Child(orders, parent).run()))


def carry_out(orders: Orders) -> Report:
    """Do what has no fault in it, in this process and thread."""
    return asyncio.run(_Child(orders, None).run())


def open_store(name: str, *, is_hasty: bool = False) -> Store:
    """The store of this path or URI."""
    if name.startswith("mongodb:"):
        return MongoStore(name, timeout=_SOON if is_hasty else _LIMIT)
    file_system = "nfs4" if name.startswith(NETWORK) else None
    path = Path(name.removeprefix(NETWORK))
    return SqliteStore(path, file_system=file_system, patience=_SOON if is_hasty else _PATIENCE)


class _Child:
    def __init__(self, orders: Orders, parent: Connection | None) -> None:
        self._orders = orders
        self._parent = parent
        self._passed: list[str] = []
        self._fence = 0

    async def run(self) -> Report:
        state = reason = ""
        try:
            async with AsyncExitStack() as exits:
                store = await exits.enter_async_context(
                    open_store(self._orders.store, is_hasty=self._orders.is_hasty)
                )
                client = await exits.enter_async_context(
                    httpx.AsyncClient(trust_env=False, verify=NO_TLS)
                )
                state, reason = await self._act(store, client)
        except CodexNBError as exc:
            reason = f"{type(exc).__name__}: {exc.message}"
        passed = tuple(self._passed)
        return Report(state=state, reason=reason, fence=self._fence, passed=passed)

    async def _act(self, store: Store, client: httpx.AsyncClient) -> tuple[str, str]:
        orders = self._orders
        vault = Vault([KEY])
        spool = Spool(Path(orders.folder) / orders.machine, vault, store.id, at=self._at)
        margin = 2.0 if orders.is_short else 30.0
        refresher = Refresher(
            store,
            vault,
            FINGERPRINTS,
            spool,
            client,
            orders.environment,
            self._at,
            ask_timeout=timedelta(seconds=orders.patience or margin - 0.1),
            lease_margin=timedelta(seconds=margin),
        )
        if orders.verb == "refresh":
            await session.recover_left(refresher, self._session_folder)
        match orders.verb:
            case "capture":
                return await self._capture(store, vault)
            case "refresh":
                return await self._refresh(store, refresher)
            case "save":
                return await self._save(store, refresher, client)
            case "session":
                return await self._session(store, refresher, client)

    @property
    def _session_folder(self) -> Path:
        return Path(self._orders.folder) / f"session {self._orders.machine}"

    async def _capture(self, store: Store, vault: Vault) -> tuple[str, str]:
        self._at("before_create")
        if self._orders.point == "blob_written":
            stop_halfway(self._at)
        await keep(store, vault, self._orders.seed, self._orders.auth)
        self._at("after_create")
        return "captured", ""

    async def _refresh(self, store: Store, refresher: Refresher) -> tuple[str, str]:
        orders = self._orders
        self._at("before_lease")
        end = time.monotonic() + orders.wait
        while True:
            async with borrowed(store, orders.seed, holder=orders.machine, ttl=self._ttl) as found:
                if found is not None:
                    hold = found[1]
                    self._fence = hold.lease.fence
                    self._at("after_lease")
                    result = await refresher.refresh(hold)
                    self._at("before_release")
                    break
            if time.monotonic() > end:
                return "", "busy"
            await asyncio.sleep(0.05)
        self._at("after_release")
        return result.state.value, result.reason

    async def _save(
        self, store: Store, refresher: Refresher, client: httpx.AsyncClient
    ) -> tuple[str, str]:
        """Let codex refresh the login that it has in its auth.json, and save what it wrote."""
        orders = self._orders
        async with self._held(store, refresher) as held:
            self._fence = held.hold.lease.fence
            await held.save(await session.rotated(held.login, client, orders.environment))
        return "saved", ""

    async def _session(
        self, store: Store, refresher: Refresher, client: httpx.AsyncClient
    ) -> tuple[str, str]:
        orders = self._orders
        folder = self._session_folder
        folder.mkdir(exist_ok=True)
        async with self._held(store, refresher) as held:
            self._fence = held.hold.lease.fence
            await session.play(held, refresher, client, orders.environment, folder, self._at)
        return "ended", ""

    @property
    def _ttl(self) -> timedelta:
        return _SHORT if self._orders.is_short else _LONG

    def _held(self, store: Store, refresher: Refresher) -> HeldSeed:
        orders = self._orders
        return HeldSeed(store, refresher, holder=orders.machine, seed=orders.seed, ttl=self._ttl)

    def _at(self, point: str) -> None:
        """Pass a point; the fault happens at the first time."""
        orders = self._orders
        is_first = point not in self._passed
        self._passed.append(point)
        if orders.fault == "disk full" and point == "after_spool" and orders.point != _SPOOLED:
            _limit_files(resource.RLIM_INFINITY)
        if not is_first or point != orders.point or self._parent is None:
            return
        match orders.fault:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "freeze":
                self._parent.send("frozen")
                os.kill(os.getpid(), signal.SIGSTOP)
            case "store down" | "server killed" | "step-down":
                self._parent.send("cut it")
                self._parent.recv()
            case "disk full":
                _limit_files(_FULL)
            case "clock +1 h":
                _turn_clock(3600)
            case "clock -1 h":
                _turn_clock(-3600)
            case "none":
                pass


async def keep(store: Store, vault: Vault, seed_id: str, auth: bytes) -> Seed:
    """A new seed with this auth.json."""
    login = Login.parse(auth)
    seed = Seed(
        id=seed_id,
        name=seed_id[:12],
        kind=login.kind,
        account=FINGERPRINTS.account(login),
        fingerprint=FINGERPRINTS.credential(login),
        details=login.details(),
    )
    data = vault.seal(pack(login, {}), Binding(store.id, seed_id, "login", 1))
    return await store.create(seed, Blob(data=data, version=1))


async def read(store: Store, seed_id: str) -> tuple[Seed, Login]:
    """A seed and its login, as they are stored."""
    seed = await store.find(seed_id)
    blob = await store.read_blob(seed_id)
    binding = Binding(store.id, seed_id, "login", blob.version)
    return seed, unpack(Vault([KEY]).open(blob.data, binding))[0]


def new_id() -> str:
    """Id of a seed."""
    return uuid.uuid4().hex


def _limit_files(size: int) -> None:
    # Stands for a full disk; root or not, any file that would grow beyond it cannot be written.
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


def _turn_clock(seconds: float) -> None:
    # The clock of the machine belongs to others as well.
    real = time.time
    time.time = lambda: real() + seconds
