"""One refresh of a stored login, such that no step at which it may be cut off loses the login.

A refresh token is good once, and only the endpoint knows the next one. So, in this order (I1 to I9
are those of docs/seeds.md):

1. What waits in the spool of this machine goes into the store first; then the login is read.
2. Room is reserved in the spool, and the intent is stored (I2); only then the endpoint is asked.
3. What it gives is on the disk before anything else happens (I3), then in the store, by its
   lineage (I4); then the spool is cleared.

An intent that is found tells that somebody was between 2 and 3. Of this machine, whose spool holds
nothing: the answer never came, or is lost for good, so asking again with the old token decides it
and does no harm. Of another machine, whose disk may hold the answer: nobody asks for a while (I9).
A login is dead only when the endpoint refused it, and nothing newer can be anywhere here (I5).
"""

from __future__ import annotations

import logging
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

from codex_nb.errors import HostError, LineageError, LoginError, SeedBusyError, StoreError
from codex_nb.seeds import oauth
from codex_nb.seeds.archive import unpack
from codex_nb.seeds.auth import REFRESH_MARGIN
from codex_nb.seeds.finishing import finished
from codex_nb.seeds.outcomes import Outcomes
from codex_nb.seeds.records import Intent
from codex_nb.seeds.results import RefreshResult, RefreshState, Stored, unclear
from codex_nb.seeds.rotations import Drain, Rotations
from codex_nb.seeds.spool import Entry, host_name
from codex_nb.seeds.spooling import Spooling
from codex_nb.seeds.vault import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.hold import Hold
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.spool import Spool
    from codex_nb.seeds.store import Store
    from codex_nb.seeds.vault import Fingerprints, Vault

logger = logging.getLogger(__name__)

ASK_TIMEOUT = timedelta(seconds=20)
LEASE_MARGIN = timedelta(seconds=30)
"""Of a lease this must be left when the endpoint is asked."""
QUARANTINE = timedelta(minutes=10)
"""How long another machine may take to tell how its refresh ended."""

_SLACK = 5.0
_TRIES = 3


class Refresher:
    """Refreshes the logins of a store. Belongs to the event loop of the store.

    Args:
        store: An open store.
        vault: Opens and seals its logins.
        fingerprints: Those of the store.
        spool: Of the store on this machine.
        client: Asks the token endpoint.
        environment: In which a redirect is looked up each time.
        at: Told each point that a fault may hit.
        ask_timeout: Limit for an answer of the endpoint.
        lease_margin: What must be left of a lease when it is asked; longer than `ask_timeout`.
        quarantine: How long the intent of another machine is respected, or twice its lease.
    """

    def __init__(
        self,
        store: Store,
        vault: Vault,
        fingerprints: Fingerprints,
        spool: Spool,
        client: httpx.AsyncClient,
        environment: Mapping[str, str],
        at: Callable[[str], None] = lambda _point: None,
        *,
        ask_timeout: timedelta = ASK_TIMEOUT,
        lease_margin: timedelta = LEASE_MARGIN,
        quarantine: timedelta = QUARANTINE,
    ) -> None:
        if ask_timeout >= lease_margin:
            raise ValueError("a lease must last longer than a question")
        self._spool = Spooling(spool)
        self.rotations = Rotations(store, vault, fingerprints, self._spool, at=at)
        self._outcomes = Outcomes(store, self._spool, self.rotations, read=self.read, at=at)
        self._store = store
        self._vault = vault
        self.fingerprints = fingerprints
        self._client = client
        self._environment = environment
        self._at = at
        self._ask_timeout = ask_timeout.total_seconds()
        self._lease_margin = lease_margin.total_seconds()
        self._quarantine = quarantine.total_seconds()

    async def read(self, seed_id: str, *, known: Seed | None = None) -> Stored:
        """The login of a seed as it is stored now.

        Args:
            seed_id: Id of the seed.
            known: The seed as the store gave it with the lease under which this is called. It is
                read anew if its login was saved since then.

        Raises:
            SeedNotFoundError: There is no such seed.
            StoreError: It cannot be read now.
            VaultError: It does not open with these keys.
            UnusableLoginError: What was sealed is no login.
            LoginError: A later version packed it.
        """
        for _ in range(_TRIES):
            seed = await self._store.find(seed_id) if known is None else known
            blob = await self._store.read_blob(seed.id)
            known = None
            if blob.version == seed.version:  # else it was saved in between
                binding = Binding(self._store.id, seed.id, "login", blob.version)
                login, config = unpack(self._vault.open(blob.data, binding))
                return Stored(seed=seed, login=login, config=config)
        raise StoreError(
            f"The login of seed {seed_id} and its row do not belong together.",
            hint="Look at the store with `codex-nb store doctor`.",
        )

    async def refresh(
        self,
        hold: Hold,
        *,
        force: bool = False,
        used: Login | None = None,
        min_left: float = REFRESH_MARGIN,
        stored: Stored | None = None,
    ) -> RefreshResult:
        """Make sure that a leased seed has tokens that are good for a while.

        Cancelling takes effect at once before the endpoint is asked; after that, when its answer
        is safe.

        Args:
            hold: The lease; it is renewed when too little of it is left.
            force: Refresh although the access token says that it is good.
            used: With `force`, the login that was found not to work: another one that is stored by
                now is taken instead.
            min_left: Seconds for which the access token must be good.
            stored: The login, if it was read under this lease, with nothing waiting for it in the
                spool of this machine; else None.

        Raises:
            LeaseLostError: The lease is not held any more; nothing was asked.
            CodexNBError: The login could not be read; see `read`.
        """
        for _ in range(_TRIES):
            waiting = ""
            if stored is None:
                waiting = await self._waiting(hold.lease.seed)
                stored = await self.read(hold.lease.seed)
            # What waits here follows the stored one, so that is none to go back to.
            if not (force and waiting) and not self._is_due(
                stored, hold.now, force, used, min_left
            ):
                return RefreshResult(state=RefreshState.CURRENT, stored=stored)
            if reason := waiting or await self._quarantined(stored, hold):
                return unclear(stored, reason)
            try:
                return await finished(self._exchange(hold, stored))
            except SeedBusyError as exc:
                return unclear(stored, exc.message)
            except LineageError:
                name, stored = stored.seed.name, None  # saved by its lineage since it was read
        raise StoreError(
            f"The login of seed {name} changes faster than it can be refreshed.",
            hint="Look for a second copy of this login that is in use.",
        )

    def _is_due(
        self, stored: Stored, now: float, force: bool, used: Login | None, min_left: float
    ) -> bool:
        login = stored.login
        if login.kind == "apikey":
            return False
        if login.needs_refresh(now + min_left - REFRESH_MARGIN):
            return True
        return force and (
            used is None or self.fingerprints.credential(used) == stored.seed.fingerprint
        )

    async def _waiting(self, seed_id: str) -> str:
        """Why a login of this seed is still on this machine only; "" when there is none."""
        try:
            drained = await self.rotations.drain(seed_id)
        except HostError as exc:
            return f"the spool of this machine cannot be read: {exc.message}"
        for each in drained:
            if each.result is Drain.BUSY:
                return each.reason
            if each.result is Drain.WAITING:
                return f"a newer login waits in the spool of this machine: {each.reason}"
        return ""

    async def _quarantined(self, stored: Stored, hold: Hold) -> str:
        """Why nobody but another machine may refresh the login now; "" when we may."""
        intent = stored.seed.intent
        try:
            here = await self._spool.host()
        except HostError as exc:
            return f"the spool of this machine cannot be read: {exc.message}"
        if intent is None or intent.host == here:
            return ""
        least = 2 * hold.ttl.total_seconds()
        until = intent.at + max(least, self._quarantine)
        if stored.login.expires_at is not None:
            # Nobody can use it from then on. The other machine still gets a chance to come back.
            until = max(intent.at + least, min(until, stored.login.expires_at))
        if hold.now >= until:
            return ""
        return (
            f"{host_name(intent.host)} began to refresh it and has not told how it ended; it is "
            f"asked again in {until - hold.now:.0f} s"
        )

    async def _exchange(self, hold: Hold, stored: Stored) -> RefreshResult:
        seed, login = stored.seed, stored.login
        try:
            request = oauth.refresh_request(login, self._environment)
        except LoginError as exc:
            return unclear(stored, exc.message)
        attempt = uuid.uuid4().hex
        entry = Entry(
            seed=seed.id,
            attempt=attempt,
            parent=seed.fingerprint,
            version=seed.version + 1,
            at=hold.now,
        )
        self._at("before_reserve")
        try:
            spooled = await self._spool.reserve(entry, room=len(login.to_bytes()))
        except HostError as exc:
            return unclear(stored, f"the endpoint was not asked, as the spool {exc.message}")
        with spooled:
            self._at("after_reserve")
            try:
                await self._begin(hold, seed, attempt)
            except BaseException:
                await self._outcomes.clear(spooled)
                raise
            self._at("before_post")
            if hold.left < self._lease_margin:
                await self._outcomes.nothing_happened(seed, attempt, spooled)
                return unclear(stored, "the lease was nearly over before the endpoint was asked")
            answer = await oauth.ask(self._client, request, timeout=self._ask_timeout)
            self._at("after_response")
            return await self._outcomes.of(answer, hold, stored, attempt, spooled)

    async def _begin(self, hold: Hold, seed: Seed, attempt: str) -> None:
        if hold.left < self._lease_margin + _SLACK:
            await hold.renew()
        here = await self._spool.host()
        if seed.intent is not None and seed.intent.host != here:
            await self._store.end_refresh(seed.id, seed.intent.attempt)
        intent = Intent(
            attempt=attempt,
            fence=hold.lease.fence,
            parent=seed.fingerprint,
            host=here,
            at=hold.now,
        )
        await self._store.begin_refresh(hold.lease, intent)
        self._at("after_intent")


__all__ = [
    "ASK_TIMEOUT",
    "LEASE_MARGIN",
    "QUARANTINE",
    "RefreshResult",
    "RefreshState",
    "Refresher",
    "Stored",
]
