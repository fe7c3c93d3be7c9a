"""A store with what belongs to it: its keys, its fingerprints, the spool of this machine.

They are opened together and closed in the reverse order. What asks OpenAI is made when it is first
needed, because most verbs do without.
"""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Self

from codex_nb.errors import VaultError
from codex_nb.seeds.archive import pack, unpack
from codex_nb.seeds.collector import Collector
from codex_nb.seeds.keys import find_keys
from codex_nb.seeds.move import Side
from codex_nb.seeds.records import Blob
from codex_nb.seeds.settings import SeedSettings, file_of, state_folder
from codex_nb.seeds.spool import Spool
from codex_nb.seeds.vault import Binding, Fingerprints, Vault

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    import httpx

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.keys import Keys
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.refresh import Refresher
    from codex_nb.seeds.store import Store
    from codex_nb.seeds.verify import Verifier

FINGERPRINT_NOTE = "fingerprints"
"""The note of a store that keeps the sealed secret of its fingerprints."""

_KEY_LIMIT = 20.0
"""Seconds that the API has to say whether it takes a key."""


def open_store(uri: str, environment: Mapping[str, str]) -> Store:
    """The store of this name, not entered yet: entering it opens it.

    Raises:
        UsageError: It is no name of a store.
        StoreError: It cannot be one of a store of that kind.
    """
    file = file_of(uri, environment)
    if file is None:
        from codex_nb.seeds.mongo import MongoStore

        return MongoStore(uri or environment["CODEX_NB_STORE"])
    from codex_nb.seeds.sqlite import SqliteStore

    return SqliteStore(file)


class OpenedStore:
    """A store and what belongs to it. Entering it opens it; one instance belongs to one event loop.

    Args:
        settings: Which store, and how it is sealed.
        environment: Where keys, folders and redirects are looked up; this process's by default.

    Attributes:
        settings: As given.
        environment: As given.
        store: The store.
        keys: Its keys; None if logins are kept in clear.
        vault: Seals and opens its logins.
        fingerprints: Names its accounts and logins.
        spool: Keeps what did not reach it yet. There is one after entering.
    """

    def __init__(
        self, settings: SeedSettings | None = None, *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.settings = settings or SeedSettings()
        self.settings.check()
        self.environment: Mapping[str, str] = os.environ if environment is None else environment
        self.store: Store = open_store(self.settings.store, self.environment)
        self.keys: Keys | None = None
        self.vault = Vault([])
        self.fingerprints = Fingerprints(b"")
        self.spool = Spool(self.spool_folder, self.vault, "")
        self._exits = AsyncExitStack()
        self._tools: tuple[httpx.AsyncClient, Refresher] | None = None

    async def __aenter__(self) -> Self:
        """Open the store, with a key.

        Raises:
            StoreError: It cannot be reached or read.
            VaultError: There is no key, or not that of this store.
        """
        async with AsyncExitStack() as exits:
            await exits.enter_async_context(self.store)
            if self.settings.encryption != "none":
                self.keys = await asyncio.to_thread(self._find_keys)
                self.vault = Vault(self.keys.keys, lambda: self._find_keys().keys)
            self.fingerprints = Fingerprints(await self._secret())
            self.spool = Spool(self.spool_folder, self.vault, self.store.id)
            self._exits = exits.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._tools = None
        await self._exits.__aexit__(kind, error, trace)

    @property
    def warning(self) -> str:
        """What a person must know before seeds are kept here; or ""."""
        if self.settings.encryption == "none":
            return "Logins are stored in clear: whoever reads the store can use them."
        if self.keys is not None and self.keys.warning:
            return self.keys.warning
        if self.store.is_shared and self.store.uri.startswith("sqlite:"):
            return (
                "The seeds lie on a network file system: slower, and only as safe as the locks "
                "there. Name a local file with CODEX_NB_STORE, or share a MongoDB."
            )
        return ""

    @property
    def spool_folder(self) -> Path:
        """Where logins wait that did not reach the store yet."""
        return state_folder(self.environment) / "spool"

    def holder(self, purpose: str) -> str:
        """Who we are, for a lease that is taken for this purpose."""
        return f"{purpose} on {socket.gethostname()} (process {os.getpid()})"

    async def open(self, seed: Seed) -> tuple[Login, JsonObject]:
        """The login of a seed as it is now, and the settings that go with it.

        Raises:
            VaultError: It does not open with our keys.
            LoginError: What was sealed is no login.
        """
        blob = await self.store.read_blob(seed.id)
        return unpack(self.vault.open(blob.data, self._binding(seed.id, blob.version)))

    def seal(self, seed_id: str, version: int, login: Login, config: JsonObject) -> Blob:
        """The blob of a login in this version of a seed."""
        data = self.vault.seal(pack(login, config), self._binding(seed_id, version))
        return Blob(data=data, version=version)

    async def refresher(self) -> Refresher:
        """Refreshes logins of this store."""
        return (await self._ready_tools())[1]

    async def verifier(self) -> Verifier:
        """Finds out about seeds of this store."""
        from codex_nb.seeds.oauth import check_key
        from codex_nb.seeds.verify import Verifier

        client, refresher = await self._ready_tools()
        return Verifier(
            self.store,
            refresher,
            holder=self.holder("verify"),
            check_key=lambda login: check_key(client, login, timeout=_KEY_LIMIT),
        )

    def collector(self) -> Collector:
        """Removes what no seed of this store names any more."""
        return Collector(self.store, self.spool, self.spool_folder)

    def side(self) -> Side:
        """The store as one end of a move."""
        return Side(store=self.store, vault=self.vault, fingerprints=self.fingerprints)

    async def _ready_tools(self) -> tuple[httpx.AsyncClient, Refresher]:
        if self._tools is None:
            from codex_nb.seeds.oauth import new_client
            from codex_nb.seeds.recovery import recover_logins
            from codex_nb.seeds.refresh import Refresher

            client = await self._exits.enter_async_context(new_client())
            refresher = Refresher(
                self.store, self.vault, self.fingerprints, self.spool, client, self.environment
            )
            self._tools = client, refresher
            await recover_logins(self, refresher)
        return self._tools

    def _find_keys(self) -> Keys:
        file = file_of(self.settings.store, self.environment)
        shared = file.parent if file is not None and self.store.is_shared else None
        return find_keys(
            self.environment,
            key_file=self.settings.key_file,
            keyring=self.settings.keyring,
            shared_folder=shared,
        )

    async def _secret(self) -> bytes:
        binding = Binding(self.store.id, FINGERPRINT_NOTE, "note", 1)
        note = await self.store.note(FINGERPRINT_NOTE)
        if note is None:
            note = await self.store.note(FINGERPRINT_NOTE, self.vault.seal(os.urandom(32), binding))
        try:
            return self.vault.open(note or b"", binding)
        except VaultError as exc:
            where = self.keys.source if self.keys else "encryption none"
            raise VaultError(
                f"The store {self.store.uri} does not open with {where}: {exc.message}",
                hint=exc.hint,
            ) from None

    def _binding(self, seed_id: str, version: int) -> Binding:
        return Binding(self.store.id, seed_id, "login", version)


__all__ = ["FINGERPRINT_NOTE", "OpenedStore", "open_store"]
