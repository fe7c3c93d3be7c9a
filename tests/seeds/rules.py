"""The rules of a store of seeds in memory, to compare a store with."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from codex_nb.errors import (
    LeaseLostError,
    LineageError,
    SeedBusyError,
    SeedNotFoundError,
    SeedTakenError,
)
from codex_nb.seeds.records import Blob, Intent, Lease, Seed, Status

if TYPE_CHECKING:
    from tests.seeds.stores import Clock

CLAIMING = (Status.ALIVE, Status.SUSPECT)


@dataclass
class Known:
    """What the rules know of one seed."""

    seed: Seed
    blob: Blob
    previous: Blob | None = None
    fence: int = 0


@dataclass
class Rules:
    """The rules of `Store`, for one client and a clock that never goes back."""

    clock: Clock
    seeds: dict[str, Known] = field(default_factory=dict)

    def seen(self, seed: Seed) -> Seed:
        """As a store shows it now."""
        lease = seed.lease
        if lease is None or lease.expires_at <= self.clock.at:
            return replace(seed, lease=None)
        return replace(seed, lease=replace(lease, left=lease.expires_at - self.clock.at))

    def all(self) -> list[Seed]:
        return sorted(
            (self.seen(known.seed) for known in self.seeds.values()), key=lambda seed: seed.name
        )

    def known(self, seed_id: str) -> Known:
        if seed_id not in self.seeds:
            raise SeedNotFoundError("")
        return self.seeds[seed_id]

    def update(self, seed_id: str, **fields: object) -> Seed:
        """Change a seed, unless the name or the account is taken then."""
        new = replace(self.seeds[seed_id].seed, **fields)  # type: ignore[arg-type]  # its own names
        self.check_free(new)
        self.seeds[seed_id].seed = new
        return self.seen(new)

    def check_free(self, new: Seed) -> None:
        for other in (known.seed for known in self.seeds.values() if known.seed.id != new.id):
            is_claimed = new.status in CLAIMING and other.status in CLAIMING
            same = (new.pool, new.account) == (other.pool, other.account)
            if other.name == new.name or (is_claimed and same):
                raise SeedTakenError("")

    def create(self, seed: Seed, blob: Blob) -> Seed:
        new = replace(seed, created_at=self.clock.at, updated_at=self.clock.at)
        self.check_free(new)
        self.seeds[seed.id] = Known(new, blob)
        return new

    def delete(self, seed_id: str) -> None:
        seed = self.seen(self.known(seed_id).seed)
        if seed.lease or seed.intent:
            raise SeedBusyError("")
        del self.seeds[seed_id]

    def acquire(
        self, ttl: float, seed_id: str, pool: str, lease_id: str
    ) -> tuple[Seed, Lease] | None:
        for seed in self.all():
            if seed.lease is not None and seed.lease.id == lease_id:
                return seed, seed.lease
        if seed_id:
            self.known(seed_id)
        elif not any(seed.pool == pool for seed in self.all()):
            raise SeedNotFoundError("")
        free = [
            seed
            for seed in self.all()
            if seed.lease is None
            and (
                seed.id == seed_id and seed.status is not Status.RETIRED
                if seed_id
                else seed.pool == pool and seed.status in CLAIMING and self.is_usable(seed)
            )
        ]
        if not free:
            return None
        chosen = min(free, key=lambda seed: (seed.leased_at or 0.0, seed.name))
        known = self.seeds[chosen.id]
        known.fence += 1
        ends = self.clock.at + ttl
        lease = Lease(
            seed=chosen.id,
            id=lease_id,
            holder="a test",
            fence=known.fence,
            expires_at=ends,
            left=ends - self.clock.at,
        )
        return self.update(chosen.id, lease=lease, leased_at=self.clock.at), lease

    def is_usable(self, seed: Seed) -> bool:
        end = seed.details["expires_at"]
        assert isinstance(end, float)
        return seed.intent is None or end > self.clock.at + 300

    def held(self, lease: Lease) -> Seed:
        """The seed of a lease that still holds."""
        seed = self.seen(self.seeds[lease.seed].seed) if lease.seed in self.seeds else None
        if seed is None or seed.lease is None or seed.lease.id != lease.id:
            raise LeaseLostError("")
        if seed.lease.fence != lease.fence:
            raise LeaseLostError("")
        return seed

    def renew(self, lease: Lease, ttl: float) -> Lease:
        self.held(lease)
        renewed = replace(lease, expires_at=self.clock.at + ttl)
        found = self.update(lease.seed, lease=renewed).lease
        assert found is not None
        return found

    def release(self, lease: Lease) -> bool:
        try:
            self.held(lease)
        except LeaseLostError:
            return False
        self.update(lease.seed, lease=None)
        return True

    def break_lease(self, seed_id: str) -> bool:
        if self.seen(self.known(seed_id).seed).lease is None:
            return False
        self.seeds[seed_id].fence += 1
        self.update(seed_id, lease=None)
        return True

    def begin_refresh(self, lease: Lease, intent: Intent) -> None:
        seed = self.held(lease)
        if seed.fingerprint != intent.parent:
            raise LineageError("")
        if seed.intent is not None and seed.intent.host != intent.host:
            raise SeedBusyError("")
        self.update(lease.seed, intent=intent)

    def end_refresh(self, seed_id: str, attempt: str) -> bool:
        known = self.seeds.get(seed_id)
        if known is None or known.seed.intent is None or known.seed.intent.attempt != attempt:
            return False
        self.update(seed_id, intent=None)
        return True

    def save(self, seed_id: str, parent: str, blob: Blob, fingerprint: str, doubt: str) -> Seed:
        known = self.known(seed_id)
        seed = known.seed
        if seed.fingerprint == parent and seed.version + 1 == blob.version:
            known.blob, known.previous = blob, known.blob
            self.update(
                seed_id,
                fingerprint=fingerprint,
                version=blob.version,
                updated_at=self.clock.at,
                verified_at=seed.verified_at if doubt else self.clock.at,
                intent=None,
            )
            # What a person took out of use stays so; and a login is kept in any case.
            with suppress(SeedTakenError):
                if doubt and seed.status in (Status.DEAD, Status.SUSPECT):
                    self.update(seed_id, status=Status.SUSPECT, reason=doubt)
                elif seed.status is not Status.RETIRED:
                    self.update(seed_id, status=Status.ALIVE, reason="")
        elif seed.fingerprint != fingerprint:
            raise LineageError("")
        return self.seen(known.seed)

    def mark(
        self,
        seed_id: str,
        status: Status,
        fingerprint: str | None,
        fence: int | None,
        was: Status | None,
    ) -> bool:
        known = self.seeds.get(seed_id)
        if known is None or fingerprint not in (None, known.seed.fingerprint):
            return False
        if fence not in (None, known.fence):
            return False
        if known.seed.status not in (status, *([was] if was else set(Status) - {Status.RETIRED})):
            return False
        self.update(seed_id, status=status, reason="because", verified_at=self.clock.at)
        return True
