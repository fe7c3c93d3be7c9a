"""All seeds of one store taken to another, so that no login is ever usable in both.

Each seed is retired in its old store before it appears in the new one, and removed from the old one
only after all were read back and opened in the new one. A move that ended early is finished by
asking for it again: a seed says of itself where it is being moved to, and keeps its id. A lease
whose id follows from seed and target keeps everyone else away until the seed is retired.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from codex_nb.errors import SeedBusyError, SeedNotFoundError, SeedTakenError
from codex_nb.protocol.values import obj
from codex_nb.seeds.archive import unpack
from codex_nb.seeds.records import Blob, Status
from codex_nb.seeds.vault import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.store import Store
    from codex_nb.seeds.vault import Fingerprints, Vault

MOVING = "moving_to"
"""In the details of a seed that is being moved: to which store, and what it was before."""

FORMER = "retired_from"
"""In the details of a retired seed: its status and reason before, to take it back into use."""

DATES = "before_move"
"""In the details of a seed that was moved: its times in the store that it came from."""

_LEASE = timedelta(minutes=1)
_USABLE = (Status.ALIVE, Status.SUSPECT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An open store, with what opens its logins and names them."""

    store: Store
    vault: Vault
    fingerprints: Fingerprints

    async def payload(self, seed: Seed) -> bytes:
        """What was sealed of a seed.

        Raises:
            VaultError: It does not open.
        """
        blob = await self.store.read_blob(seed.id)
        return self.vault.open(blob.data, Binding(self.store.id, seed.id, "login", blob.version))

    def adopted(self, seed: Seed, payload: bytes) -> Seed:
        """The seed under the names that this store has for its account and its login.

        Raises:
            LoginError: The payload holds no login.
        """
        login, _ = unpack(payload)
        return replace(
            seed,
            account=self.fingerprints.account(login),
            fingerprint=self.fingerprints.credential(login),
        )

    def sealed(self, seed: Seed, payload: bytes) -> Blob:
        """The payload for this store, in the version of the seed."""
        binding = Binding(self.store.id, seed.id, "login", seed.version)
        return Blob(data=self.vault.seal(payload, binding), version=seed.version)


async def move(
    source: Side, target: Side, *, at: Callable[[str], None] = lambda _: None
) -> Sequence[Seed]:
    """Take all seeds of a store to another one; how they are there.

    Ids, names, pools, versions, status with its reason, and details stay as they are. The target
    stamps its own times; those of the source are in the details. The login before the last one
    stays behind. What waits in a spool for the source has to be stored before.

    Args:
        source: Where they are.
        target: Where they shall be.
        at: Is told the name of each point that a move may end at.

    Raises:
        SeedBusyError: Some are in use or are being refreshed. Nothing was moved.
        SeedTakenError: The target has other seeds of the same name or account.
        VaultError: A login does not open. Nothing was moved.
        StoreError: A store failed; ask again to finish the move.
    """
    seeds = await source.store.list()
    await _check(source, target, seeds)
    moved = []
    for seed in seeds:
        await _put_across(source, target, seed.id, at)
        moved.append(await target.store.find(seed.id))
        await target.payload(moved[-1])  # it opens where it is now
        at("stored")
    for seed in seeds:
        await source.store.delete(seed.id)
        at("deleted")
    return moved


async def _check(source: Side, target: Side, seeds: Sequence[Seed]) -> None:
    _refuse_busy(target, seeds)
    there = await target.store.list()
    names = {seed.name: seed.id for seed in there}
    accounts = {(seed.pool, seed.account): seed.id for seed in there if seed.status in _USABLE}
    for seed in seeds:
        adopted = target.adopted(seed, await source.payload(seed))
        if names.get(seed.name, seed.id) != seed.id:
            raise SeedTakenError(
                f"The target has another seed {seed.name}.", hint="Rename one of the two first."
            )
        holder = accounts.get((seed.pool, adopted.account), seed.id)
        if _former(seed)[0] in _USABLE and holder != seed.id:
            raise SeedTakenError(
                f"The target has the account of the seed {seed.name} in its pool already.",
                hint="Retire one of the two first.",
            )


def _refuse_busy(target: Side, seeds: Sequence[Seed]) -> None:
    busy = [
        seed.name
        for seed in seeds
        if seed.intent or (seed.lease and seed.lease.id != _lease_id(target, seed.id))
    ]
    if busy:
        raise SeedBusyError(
            f"These seeds are in use or are being refreshed: {', '.join(busy)}.",
            hint="Move the store when they were released, and verify those that do not end.",
        )
    elsewhere = [seed.name for seed in seeds if _destination(seed) not in ("", target.store.id)]
    if elsewhere:
        raise SeedBusyError(
            f"These seeds are on their way to another store: {', '.join(elsewhere)}.",
            hint="Finish that move first.",
        )


async def _put_across(source: Side, target: Side, seed_id: str, at: Callable[[str], None]) -> None:
    seed = await _retire(source, target, seed_id, at)
    payload = await source.payload(seed)
    new = target.adopted(_as_before(seed), payload)
    there = await _found(target.store, seed_id)
    if there is not None and _destination(there) == source.store.id:
        # A move the other way was not finished, and what it left here may be out of date.
        await target.store.delete(seed_id)
        at("cleared")
        there = None
    if there is None:
        await _create(source, target, seed, new, payload)
        at("created")
    elif there.account != new.account:
        raise SeedTakenError(f"The target has another seed with the id {seed_id}.")
    elif there.version < new.version:
        # Its old holder saved a rotation after the copy was made.
        new = replace(new, version=there.version + 1)
        await target.store.save(
            seed_id,
            parent=there.fingerprint,
            blob=target.sealed(new, payload),
            fingerprint=new.fingerprint,
            details=new.details,
        )
        at("saved")


async def _create(source: Side, target: Side, seed: Seed, new: Seed, payload: bytes) -> None:
    try:
        await target.store.create(new, target.sealed(new, payload))
    except SeedTakenError:
        # Somebody else may have finished this move; else the seed must not stay out of use.
        if await _found(target.store, seed.id) is None:
            await _take_back(source, seed)
            raise


async def _found(store: Store, seed_id: str) -> Seed | None:
    try:
        return await store.find(seed_id)
    except SeedNotFoundError:
        return None


async def _retire(source: Side, target: Side, seed_id: str, at: Callable[[str], None]) -> Seed:
    """See to it that nobody can use the seed in its old store any more; how it is there then."""
    seed = await source.store.find(seed_id)
    if _destination(seed) != target.store.id:
        if seed.status is Status.RETIRED:
            await _announce(source, target, seed)
        else:
            await _take(source, target, seed, at)
        seed = await source.store.find(seed_id)
    if seed.lease is not None:
        await source.store.release(seed.lease)
        at("released")
    return seed


async def _take(source: Side, target: Side, seed: Seed, at: Callable[[str], None]) -> None:
    granted = await source.store.acquire(
        holder=f"a move to {target.store.uri}",
        ttl=_LEASE,
        seed_id=seed.id,
        lease_id=_lease_id(target, seed.id),
    )
    at("leased")
    if granted is None:
        raise SeedBusyError(
            f"The seed {seed.name} is in use.", hint="Repeat the move when it was released."
        )
    seed, lease = granted
    try:
        _refuse_busy(target, [seed])
    except SeedBusyError:
        await source.store.release(lease)
        raise
    await _announce(source, target, seed)
    at("announced")
    reason = f"it is being moved to {target.store.uri}; repeat the move to finish it"
    fence = lease.fence
    if not await source.store.mark(seed.id, Status.RETIRED, reason, fence=fence):
        raise SeedBusyError(
            f"The seed {seed.name} was given to another meanwhile.", hint="Repeat the move."
        )
    at("retired")


async def _announce(source: Side, target: Side, seed: Seed) -> None:
    former: JsonObject = {"status": seed.status.value, "reason": seed.reason}
    marks: JsonObject = {MOVING: former | {"store": target.store.id}}
    if seed.status is not Status.RETIRED:
        marks[FORMER] = former
    await source.store.change(seed.id, details=marks)


async def _take_back(source: Side, seed: Seed) -> None:
    status, reason = _former(seed)
    await source.store.mark(seed.id, status, reason, was=Status.RETIRED)
    before = _as_before(seed).details
    await source.store.change(seed.id, details={MOVING: None, FORMER: before.get(FORMER)})


def _lease_id(target: Side, seed_id: str) -> str:
    return str(uuid.uuid5(uuid.UUID(target.store.id), seed_id))


def _destination(seed: Seed) -> str:
    """Id of the store that a seed is on its way to; "" if it is on none."""
    if seed.status is not Status.RETIRED:  # it was announced and not begun, or it was taken back
        return ""
    return str(obj(seed.details.get(MOVING)).get("store", ""))


def _former(seed: Seed) -> tuple[Status, str]:
    """What a seed is, or was before it was retired to be moved."""
    if not _destination(seed):
        return seed.status, seed.reason
    before = obj(seed.details[MOVING])
    return Status(str(before["status"])), str(before["reason"])


def _as_before(seed: Seed) -> Seed:
    """A seed as it was before its move, with the times that the new store cannot take over."""
    status, reason = _former(seed)
    left_out = (MOVING,) if status is Status.RETIRED else (MOVING, FORMER)
    details = {name: value for name, value in seed.details.items() if name not in left_out}
    dates: JsonObject = {
        "created_at": seed.created_at,
        "updated_at": seed.updated_at,
        "verified_at": seed.verified_at,
        "leased_at": seed.leased_at,
    }
    dates |= {"created_at": first} if (first := obj(details.get(DATES)).get("created_at")) else {}
    return replace(seed, status=status, reason=reason, details=details | {DATES: dates})


__all__ = ["DATES", "FORMER", "MOVING", "Side", "move"]
