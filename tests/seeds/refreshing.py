"""Machines that refresh logins of one store against a fake endpoint: what the tests here share."""

from __future__ import annotations

import asyncio
import json
import ssl
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx

from codex_nb.errors import StoreError
from codex_nb.seeds.archive import pack
from codex_nb.seeds.auth import Login
from codex_nb.seeds.hold import Hold, borrowed
from codex_nb.seeds.records import Blob, Seed
from codex_nb.seeds.refresh import Refresher
from codex_nb.seeds.spool import Spool
from codex_nb.seeds.sqlite import SqliteStore
from codex_nb.seeds.vault import Binding, Fingerprints, Key, Vault
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
    from pathlib import Path

    from codex_nb.seeds.store import Store

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""The fake speaks plain HTTP, and the certificates of the world take a while to load."""
KEY = Key.of(bytes(range(32)))
FINGERPRINTS = Fingerprints(b"f" * 32)
TTL = timedelta(seconds=60)
EXPIRED, FRESH = -60.0, 3600.0
"""Seconds that an access token is good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One machine: its own connection to the store, its own spool."""

    store: Store
    vault: Vault
    spool: Spool
    refresher: Refresher

    @asynccontextmanager
    async def holding(self, seed: Seed, *, ttl: timedelta = TTL) -> AsyncIterator[Hold]:
        async with borrowed(self.store, seed.id, holder="a test", ttl=ttl) as found:
            assert found is not None, "somebody else has the lease"
            yield found[1]

    async def login(self, seed: Seed) -> Login:
        """The login that is stored now."""
        return (await self.refresher.read(seed.id)).login


@asynccontextmanager
async def machine(
    folder: Path,
    environment: Mapping[str, str],
    *,
    name: str = "here",
    key: Key = KEY,
    at: Callable[[str], None] = lambda _point: None,
    wrap: Callable[[Store], Store] = lambda store: store,
    quarantine: timedelta = timedelta(minutes=10),
    ask_timeout: timedelta = timedelta(seconds=20),
) -> AsyncIterator[Machine]:
    """A machine of this name; the store is shared by all in the folder.

    Args:
        folder: Of the store and of the spools.
        environment: Which redirects refreshes to the fake.
        name: Machines of another name have another spool.
        key: Of its vault.
        at: Told the points that it passes.
        wrap: Puts something between it and the store.
        quarantine: As for a Refresher.
        ask_timeout: As for a Refresher.
    """
    async with AsyncExitStack() as exits:
        file = SqliteStore(folder / "store" / "seeds.db")
        store = wrap(await exits.enter_async_context(file))
        client = await exits.enter_async_context(httpx.AsyncClient(trust_env=False, verify=NO_TLS))
        vault = Vault([key])
        spool = Spool(folder / name, vault, store.id, at=at)
        refresher = Refresher(
            store,
            vault,
            FINGERPRINTS,
            spool,
            client,
            environment,
            at,
            quarantine=quarantine,
            ask_timeout=ask_timeout,
        )
        yield Machine(store=store, vault=vault, spool=spool, refresher=refresher)


async def add(
    machine: Machine, auth: bytes, *, name: str = "one", pool: str = "", payload: bytes = b""
) -> Seed:
    """A new seed with this auth.json; `payload` is what is sealed instead."""
    login = Login.parse(auth)
    seed = Seed(
        id=uuid.uuid4().hex,
        name=name,
        pool=pool,
        kind=login.kind,
        account=FINGERPRINTS.account(login),
        fingerprint=FINGERPRINTS.credential(login),
        details=login.details(),
    )
    binding = Binding(machine.store.id, seed.id, "login", 1)
    data = machine.vault.seal(payload or pack(login, {"model": "gpt"}), binding)
    return await machine.store.create(seed, Blob(data=data, version=1))


def api_key(text: str = "sk-test-1") -> bytes:
    return json.dumps({"auth_mode": "apikey", "OPENAI_API_KEY": text}).encode()


def unreachable(store: Store, *methods: str) -> tuple[Store, set[str]]:
    """A store some of whose methods fail; a real one cannot be cut off between two calls.

    Returns:
        The store, and the names of the methods that fail, which can be changed.
    """
    down = set(methods)

    class Unreachable:
        def __getattr__(self, name: str) -> object:
            return refuse if name in down else getattr(store, name)

    async def refuse(*_args: object, **_options: object) -> None:
        await asyncio.sleep(0)
        raise StoreError("The store does not answer.", hint="Wait.")

    return Unreachable(), down  # type: ignore[return-value]  # what it passes on is a store


class CrashError(BaseException):
    """Ends a refresh where a killed process would: nothing that follows is done."""


def crash() -> None:
    """An action for a point."""
    raise CrashError


def meanwhile(work: Callable[[], Coroutine[object, object, object]]) -> Callable[[], None]:
    """An action for a point: something that another process does just then, to its end."""

    def act() -> None:
        run(work())

    return act


class Points:
    """Notes the points that are passed, and does something at some of them."""

    def __init__(self, **actions: Callable[[], None]) -> None:
        self.passed: list[str] = []
        self.actions = actions

    def __call__(self, point: str) -> None:
        self.passed.append(point)
        if point in self.actions:
            self.actions[point]()
