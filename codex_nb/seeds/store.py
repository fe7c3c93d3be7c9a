"""The interface of a store of seeds. SQLite and MongoDB implement it and pass the same tests.

Rules that every store keeps (I1 to I9 are those of docs/seeds.md):

* What a method acknowledged survives a crash of the process and of the machine.
* Every decision is one atomic step of the store. Lease times are on the store's clock, and no
  clock of a client can make a lease longer than its `ttl`.
* A fence never goes down and is never given twice for one seed (I1).
* Fences guard the *start* of a refresh; the fingerprint of the parent guards the *save* of one
  (I4): whoever holds the token that follows the stored one may save it, lease or no lease.
* A seed with an intent of another attempt takes no second intent (I9); `begin_refresh` of the same
  host may replace its own, after its spool was drained.
* The blob before the last one is kept (I6).
* A store never sees a login in clear, unless its owner chose no encryption.
* Trouble with the store itself raises StoreError, never anything of the library beneath. When it
  is not known whether a write took place, the method reads back what is there before it raises.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from types import TracebackType

    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.records import Blob, Finding, Intent, Lease, Seed, Status


class Store(Protocol):
    """Where seeds are kept. Entering it opens it; one instance belongs to one event loop."""

    @property
    def id(self) -> str:
        """UUID of the store, made when it was made; blobs are bound to it. Known after entering."""
        ...

    @property
    def uri(self) -> str:
        """How it is named to a person; never with a password."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether others than this user of this machine can reach it."""
        ...

    async def __aenter__(self) -> Self:
        """Open the store; make it if it is not there.

        Raises:
            StoreError: It cannot be reached, is damaged, or is of a later version.
        """
        ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    async def now(self) -> float:
        """The store's clock."""
        ...

    async def note(self, name: str, first: bytes | None = None) -> bytes | None:
        """A small value of the whole store, such as its wrapped fingerprint key.

        Args:
            name: Of the value.
            first: Becomes the value when there is none yet. The first writer wins.

        Returns:
            The value that is stored now.
        """
        ...

    async def replace_note(self, name: str, old: bytes, new: bytes) -> bool:
        """Replace such a value if it is still `old`; whether it was."""
        ...

    # Seeds

    async def create(self, seed: Seed, blob: Blob) -> Seed:
        """Store a new seed with its login, both or neither.

        The store sets the times; `lease` and `intent` are ignored.

        Raises:
            SeedTakenError: The name is taken, or an alive or suspect seed of that pool has the
                account.
        """
        ...

    async def find(self, name: str) -> Seed:
        """The seed of this name or id.

        Raises:
            SeedNotFoundError: There is none; close names are in the hint.
        """
        ...

    async def list(self, pool: str | None = None) -> Sequence[Seed]:
        """All seeds by name, or those of a pool."""
        ...

    async def delete(self, seed_id: str) -> None:
        """Remove a seed and its blobs. A tombstone keeps its id from coming back through a spool.

        Raises:
            SeedNotFoundError: There is none.
            SeedBusyError: It is leased, or a refresh is under way.
        """
        ...

    async def read_blob(self, seed_id: str, *, previous: bool = False) -> Blob:
        """The sealed login, or the one before it.

        Raises:
            SeedNotFoundError: There is no such seed, or no previous blob.
        """
        ...

    async def replace_blob(self, seed_id: str, blob: Blob) -> bool:
        """Store the same login sealed anew, if the stored version still is `blob.version`.

        Neither version nor times change. The previous blob, which an old key still seals, goes.
        """
        ...

    async def change(
        self,
        seed_id: str,
        *,
        name: str | None = None,
        pool: str | None = None,
        details: JsonObject | None = None,
    ) -> Seed:
        """Rename, move to a pool, or merge into the details (a null value removes its key).

        Raises:
            SeedNotFoundError: There is none.
            SeedTakenError: The name, or the account in that pool, is taken.
        """
        ...

    async def mark(
        self,
        seed_id: str,
        status: Status,
        reason: str = "",
        *,
        fingerprint: str | None = None,
        fence: int | None = None,
        was: Status | None = None,
        verified: bool = False,
    ) -> bool:
        """Set the status; `reason` is kept with it.

        A retired seed stays retired unless `was` says so: who looked at the seed before a person
        took it out of use must not undo that.

        Args:
            seed_id: The seed.
            status: What is known now.
            reason: Why, as one sentence.
            fingerprint: Only if the stored login still is this one.
            fence: Only if no later lease was given.
            was: Only if the status is this one, or `status` already.
            verified: Whether this is a verdict, which stamps `verified_at`.

        Returns:
            Whether the conditions held and it was written.
        """
        ...

    # Leases

    async def acquire(
        self, *, holder: str, ttl: timedelta, seed_id: str = "", pool: str = "", lease_id: str = ""
    ) -> tuple[Seed, Lease] | None:
        """Lease one seed, or of a pool the one that was leased longest ago.

        Dead and retired seeds are passed over. One with an intent is given for use while its
        `details["expires_at"]` is more than five minutes away; else it is passed over in a pool.
        A named one is leased whatever its intent and its status but RETIRED, so that it can be
        mended.

        Args:
            holder: Who asks, in words for a person.
            ttl: How long, on the store's clock.
            seed_id: Which one; or
            pool: of which pool.
            lease_id: UUID of the lease, so that asking again after an unclear answer gives the
                same lease and not a second; "" makes one.

        Returns:
            None when nothing is free now.

        Raises:
            SeedNotFoundError: There is no such seed, or nothing in that pool.
        """
        ...

    async def renew(self, lease: Lease, *, ttl: timedelta) -> Lease:
        """Extend a lease that is still held.

        Raises:
            LeaseLostError: It expired, or was given to another.
        """
        ...

    async def release(self, lease: Lease) -> bool:
        """Give a lease back; whether it was still held."""
        ...

    async def break_lease(self, seed_id: str) -> bool:
        """Take a lease away from whoever holds it; the fence rises. Whether there was one."""
        ...

    # Refresh

    async def begin_refresh(self, lease: Lease, intent: Intent) -> None:
        """Write down that the token endpoint is about to be asked (I2).

        Raises:
            LeaseLostError: The lease is not held any more.
            SeedBusyError: Another host has an intent that is not known to have ended.
            LineageError: The stored login is not `intent.parent` any more.
        """
        ...

    async def save(
        self,
        seed_id: str,
        *,
        parent: str,
        blob: Blob,
        fingerprint: str,
        details: JsonObject,
        doubt: str = "",
    ) -> Seed:
        """Store the login that follows `parent`: blob, fingerprint, details and status in one step.

        The seed becomes ALIVE unless a person retired it, verified now, and has no intent any more.
        Saving the same login again succeeds.

        Args:
            seed_id: The seed.
            parent: Fingerprint of the login before.
            blob: The new one; its version is the one that `parent` had, plus one.
            fingerprint: Of the new one.
            details: Merged into those of the seed.
            doubt: Why nobody vouches for the login, as of a file that a person brought: it is no
                verdict then, and a seed that was not alive becomes SUSPECT for this reason.

        Raises:
            SeedNotFoundError: The seed was deleted.
            LineageError: The stored login is neither `parent` nor this one already.
        """
        ...

    async def end_refresh(self, seed_id: str, attempt: str) -> bool:
        """Clear an intent whose attempt is known to have changed nothing; whether it was there."""
        ...

    # Upkeep

    async def collect(self) -> int:
        """Remove blobs that no seed names and tombstones past 30 days; how many."""
        ...

    async def examine(self) -> Sequence[Finding]:
        """Try whatever the store relies on, on objects of its own that are removed again."""
        ...


__all__ = ["Store"]
