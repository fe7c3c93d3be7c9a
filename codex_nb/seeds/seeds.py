"""All seeds of one store, and what a person can do with them.

This is the way in for everything above: the magics, the command line, session hosts.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from codex_nb.errors import SeedBusyError, SeedTakenError, UsageError
from codex_nb.seeds.intake import check_follows, check_name, free_name, read_login
from codex_nb.seeds.move import FORMER, MOVING, move
from codex_nb.seeds.opened import OpenedStore
from codex_nb.seeds.records import Seed, Status
from codex_nb.seeds.share import seal_for

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.lease import HeldSeed, Waiting
    from codex_nb.seeds.verify import Verdict

POOL = "pool:"
"""How a pool is named where a seed could be."""

TWO_COPIES = (
    "The login has another copy now, and each refresh makes the other copy worthless: "
    "use only the seed from now on, and log out nowhere."
)
"""What is said wherever a copy of a rotating login is made."""

_UNTRIED = "its login was taken from a file and not verified since"


class Seeds(OpenedStore):
    """The seeds of a store. Entering it opens it; one instance belongs to one event loop."""

    # Looking

    async def list(self, pool: str | None = None) -> Sequence[Seed]:
        """All seeds by name, or those of a pool."""
        return await self.store.list(pool)

    async def find(self, name: str) -> Seed:
        """The seed of this name or id.

        Raises:
            SeedNotFoundError: There is none.
        """
        return await self.store.find(name)

    # Taking in

    async def add(
        self,
        name: str,
        login: Login,
        *,
        pool: str = "",
        config: JsonObject | None = None,
        doubt: str = "",
    ) -> Seed:
        """Keep a login under a name.

        The seed of that name takes it if it is of the same account and nobody uses it: that is how
        a person logs in anew.

        Args:
            name: What to call it; "" makes a name of the account.
            login: The login.
            pool: Of the seeds that stand in for it; "" leaves a seed of that name where it is.
            config: Settings of codex that go with it; only harmless ones are kept.
            doubt: Why it may not be good, unless codex just gave it: a dead seed is not alive by
                such a login, but suspect until it is verified.

        Raises:
            UsageError: The name or the pool cannot be one.
            SeedTakenError: The name belongs to another account, the account has another seed in
                this pool, or a seed holds this login or a later one already.
            SeedBusyError: The seed of that name is in use.
        """
        if pool:
            check_name(pool, "pool")
        named = {seed.name: seed for seed in await self.list()}
        name = name or free_name(login, named)
        check_name(name, "seed")
        if name in named:
            seed = await self._replace(named[name], login, config or {}, doubt)
            return await self._joined(seed, pool)
        fingerprint = self.fingerprints.credential(login)
        for other in named.values():
            # In whichever pool: it would be refreshed twice, which ends it.
            if other.fingerprint == fingerprint:
                raise SeedTakenError(
                    f"The seed {other.name} holds this very login.",
                    hint="Use that one, or log in anew for another.",
                )
        seed_id = uuid4().hex
        seed = Seed(
            id=seed_id,
            name=name,
            pool=pool,
            kind=login.kind,
            account=self.fingerprints.account(login),
            fingerprint=fingerprint,
            details=login.details(),
        )
        return await self.store.create(seed, self.seal(seed_id, 1, login, config or {}))

    async def add_file(
        self, path: Path, *, name: str = "", pool: str = "", identity: Path | None = None
    ) -> Seed:
        """Keep the login of an auth.json, of a CODEX_HOME, or of a file that was exported.

        Args:
            path: The file, or the folder with an auth.json.
            name: As for `add`.
            pool: As for `add`.
            identity: File with the private key for an exported file.

        Raises:
            LoginError: It cannot be read, or holds no login.
            CodexNBError: As for `add`.
        """
        login, config = await asyncio.to_thread(read_login, path, identity)
        return await self.add(name, login, pool=pool, config=config, doubt=_UNTRIED)

    # Changing

    async def rename(self, name: str, new: str) -> Seed:
        """Give a seed another name. Raises SeedTakenError when it is taken."""
        check_name(new, "seed")
        return await self.store.change((await self.find(name)).id, name=new)

    async def put_into_pool(self, name: str, pool: str) -> Seed:
        """Let a seed stand in for those of a pool; "" takes it out of its pool."""
        if pool:
            check_name(pool, "pool")
        return await self.store.change((await self.find(name)).id, pool=pool)

    async def release(self, name: str) -> bool:
        """Take the lease away from whoever holds it; whether there was one."""
        return await self.store.break_lease((await self.find(name)).id)

    async def retire(self, name: str) -> Seed:
        """Take a seed out of use: it is leased to nobody any more. Who has it now keeps it."""
        seed = await self.find(name)
        if seed.status is not Status.RETIRED:
            former: JsonObject = {"status": seed.status.value, "reason": seed.reason}
            await self.store.change(seed.id, details={FORMER: former})
            await self.store.mark(seed.id, Status.RETIRED, "a person took it out of use")
        return await self.find(seed.id)

    async def restore(self, name: str) -> Seed:
        """Undo `retire`: the seed is again what it was before.

        Raises:
            UsageError: It is not retired.
            SeedBusyError: A move of it is not finished; the other store may have it in use.
        """
        seed = await self.find(name)
        if seed.status is not Status.RETIRED:
            raise UsageError(f"The seed {seed.name} is not retired.", hint="Nothing was changed.")
        if MOVING in seed.details:
            raise SeedBusyError(
                f"The seed {seed.name} is on its way to another store.",
                hint="Repeat the move to finish it; then move back what is to stay here.",
            )
        former = seed.details.get(FORMER)
        known = former if isinstance(former, dict) else {}
        # What was not alive before does not become so by being taken back into use.
        status = Status(str(known.get("status", Status.ALIVE)))
        reason = str(known.get("reason", ""))
        await self.store.mark(seed.id, status, reason, was=Status.RETIRED)
        return await self.store.change(seed.id, details={FORMER: None})

    async def delete(self, name: str) -> Seed:
        """Remove a seed and its login for ever; what was removed.

        Raises:
            SeedBusyError: It is in use.
        """
        seed = await self.find(name)
        await self.store.delete(seed.id)
        return seed

    async def useless(self, pool: str | None = None) -> Sequence[Seed]:
        """The dead and retired seeds that nobody uses."""
        gone = (Status.DEAD, Status.RETIRED)
        return [seed for seed in await self.list(pool) if seed.status in gone and not seed.lease]

    async def export(self, name: str, recipient: str) -> bytes:
        """The auth.json of a seed as an age file, for one person.

        Raises:
            UsageError: That is no recipient.
        """
        login, _ = await self.open(await self.find(name))
        return seal_for(recipient, login.to_bytes())

    async def move_to(self, target: Seeds) -> Sequence[Seed]:
        """Take all seeds to another open store; how they are there.

        Raises:
            SeedBusyError: Some are in use, are being refreshed, or wait in the spool.
            CodexNBError: As for `move.move`.
        """
        await (await self.refresher()).rotations.drain()
        if waiting := await asyncio.to_thread(self.spool.pending):
            raise SeedBusyError(
                f"{len(waiting)} refreshed logins wait to be stored here.",
                hint="Verify the seeds first, so that none is left behind.",
            )
        return await move(self.side(), target.side())

    # Using

    async def verify(
        self, seeds: Sequence[Seed], *, force: bool = False, check_models: bool = False
    ) -> AsyncGenerator[Verdict, None]:
        """The verdict on each of these seeds, as they come; leave it by `contextlib.aclosing`.

        Args:
            seeds: Those in question.
            force: Refresh each ChatGPT login, whether it is due or not.
            check_models: Ask the API about API keys; costs nothing.
        """
        verifier = await self.verifier()
        judging = verifier.verify(seeds, force=force, check_models=check_models)
        async with aclosing(judging) as verdicts:
            async for verdict in verdicts:
                yield verdict

    async def borrow(
        self,
        choice: str,
        *,
        holder: str,
        wait: timedelta = timedelta(0),
        on_wait: Callable[[Waiting], None] = lambda _waiting: None,
    ) -> HeldSeed:
        """A seed for a session, to be entered: that waits for its lease.

        Args:
            choice: Name or id of a seed, or pool:NAME.
            holder: Who we are, in words for a person.
            wait: How long to wait for a seed that others have.
            on_wait: Told now and then who has it meanwhile.
        """
        from codex_nb.seeds.lease import HeldSeed

        is_pool = choice.startswith(POOL)
        return HeldSeed(
            self.store,
            await self.refresher(),
            holder=holder,
            seed="" if is_pool else choice,
            pool=choice.removeprefix(POOL) if is_pool else "",
            wait=wait,
            on_wait=on_wait,
        )

    async def _replace(self, seed: Seed, login: Login, config: JsonObject, doubt: str) -> Seed:
        check_follows(seed, login, self.fingerprints)
        return await self.store.save(
            seed.id,
            parent=seed.fingerprint,
            blob=self.seal(seed.id, seed.version + 1, login, config),
            fingerprint=self.fingerprints.credential(login),
            details=login.details(),
            doubt=doubt,
        )

    async def _joined(self, seed: Seed, pool: str) -> Seed:
        if pool in ("", seed.pool):
            return seed
        try:
            return await self.put_into_pool(seed.id, pool)
        except SeedTakenError as exc:
            raise SeedTakenError(
                f"The login of {seed.name} is kept, but the seed is not in the pool {pool}: "
                f"{exc.message}",
                hint=exc.hint,
            ) from exc


__all__ = ["POOL", "TWO_COPIES", "Seeds"]
