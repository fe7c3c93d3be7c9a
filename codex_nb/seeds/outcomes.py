"""What an answer of the token endpoint changes, in the spool and in the store.

* New tokens are on the disk before anything else happens (I3), then in the store, by their lineage.
* A refusal makes a login dead only if the store agrees that nothing newer is there, and nothing
  newer waits on this machine (I5).
* After an answer that leaves the token in doubt, the intent stays. After one that proves that
  nothing happened, it goes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, assert_never

from codex_nb.errors import HostError, LineageError, StoreError
from codex_nb.seeds.archive import pack
from codex_nb.seeds.oauth import NoAnswer, NotSent, Refused, Rotated, Unclear
from codex_nb.seeds.records import Status
from codex_nb.seeds.results import RefreshResult, RefreshState, Stored, unclear
from codex_nb.seeds.rotations import Rotation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codex_nb.seeds.hold import Hold
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.rotations import Rotations
    from codex_nb.seeds.spool import Spooled
    from codex_nb.seeds.spooling import Spooling
    from codex_nb.seeds.store import Store

logger = logging.getLogger(__name__)


class Outcomes:
    """Carries out what follows from an answer. Belongs to the event loop of the store.

    Args:
        store: An open store.
        spool: Of the store on this machine.
        rotations: Bring new logins from there into the store.
        read: Reads a stored login by the id of its seed.
        at: Told each point that a fault may hit.
    """

    def __init__(
        self,
        store: Store,
        spool: Spooling,
        rotations: Rotations,
        *,
        read: Callable[[str], Awaitable[Stored]],
        at: Callable[[str], None],
    ) -> None:
        self._store = store
        self._spool = spool
        self._rotations = rotations
        self._read = read
        self._at = at

    async def of(
        self,
        answer: Rotated | Refused | Unclear | NotSent | NoAnswer,
        hold: Hold,
        stored: Stored,
        attempt: str,
        spooled: Spooled,
    ) -> RefreshResult:
        """What a refresh came to by this answer; all that follows from it is done.

        Args:
            answer: Of the endpoint.
            hold: The lease under which it was asked.
            stored: The login that was to be refreshed.
            attempt: Id of the intent.
            spooled: The room that was reserved; it is filled or cleared.

        Raises:
            CodexNBError: The login that is stored by now cannot be read.
        """
        match answer:
            case Rotated():
                return await self._keep(hold, stored, answer, spooled)
            case Refused():
                return await self._bury(hold, stored, attempt, answer, spooled)
            case NoAnswer() | Unclear(may_have_rotated=True):
                return await self._suspect(stored, answer, spooled)
            case Unclear() | NotSent():
                await self.nothing_happened(stored.seed, attempt, spooled)
                return unclear(stored, answer.reason, _retry_after(answer))
            case _:
                assert_never(answer)

    async def nothing_happened(self, seed: Seed, attempt: str, spooled: Spooled) -> None:
        """The token is as good as before, as far as this attempt goes."""
        if seed.intent is None:
            await self._end(seed, attempt, spooled)
        else:
            # How the attempt before it ended is as unknown as it was.
            await self.clear(spooled)

    async def clear(self, spooled: Spooled) -> None:
        """Give the reserved room back."""
        try:
            await self._spool.do(spooled.clear)
        except HostError as exc:
            # Only reserved: whoever drains the spool removes it.
            logger.warning("spool: %s", exc.message)

    async def _keep(
        self, hold: Hold, stored: Stored, answer: Rotated, reserved: Spooled
    ) -> RefreshResult:
        seed = stored.seed
        login = stored.login.rotated(answer.tokens, hold.now)
        payload = pack(login, stored.config)
        rotation = Rotation(
            seed=seed.id,
            parent=seed.fingerprint,
            version=seed.version + 1,
            login=login,
            config=stored.config,
            payload=payload,
        )
        spooled: Spooled | None = reserved
        where = "waits on this machine"
        try:
            await self._spool.keep(reserved, payload)
        except HostError as exc:
            logger.warning("spool: %s", exc.message, extra={"codex_seed": seed.id})
            await self.clear(reserved)
            spooled, where = None, "is in the memory of this process only"
        self._at("after_spool")
        try:
            saved = await self._rotations.store_spooled(rotation, spooled)
        except StoreError as exc:
            reason = f"the new login {where}: {exc.message}"
            new = Stored(seed=seed, login=login, config=stored.config)
            return RefreshResult(state=RefreshState.SPOOLED, stored=new, reason=reason)
        except LineageError:
            # Somebody logged in anew meanwhile, which counts more.
            return RefreshResult(state=RefreshState.CURRENT, stored=await self._read(seed.id))
        logger.info("login was refreshed", extra={"codex_seed": seed.id})
        new = Stored(seed=saved, login=login, config=stored.config)
        return RefreshResult(state=RefreshState.REFRESHED, stored=new)

    async def _bury(
        self, hold: Hold, stored: Stored, attempt: str, answer: Refused, spooled: Spooled
    ) -> RefreshResult:
        seed = stored.seed
        names = await self._spool.names(seed.id)
        if any(not name.endswith(attempt) for name in names):
            await self._end(seed, attempt, spooled)
            return unclear(stored, f"{answer.text} But a newer login waits on this machine.")
        try:
            is_dead = await self._store.mark(
                seed.id,
                Status.DEAD,
                answer.text,
                fingerprint=seed.fingerprint,
                fence=hold.lease.fence,
                verified=True,
            )
        except StoreError as exc:
            # The intent stays, so that this machine asks again and finds the same.
            await self.clear(spooled)
            return unclear(stored, f"{answer.text} This could not be stored: {exc.message}")
        await self._end(seed, attempt, spooled)
        if is_dead:
            logger.warning("login was refused: %s", answer.code, extra={"codex_seed": seed.id})
            return RefreshResult(state=RefreshState.DEAD, stored=stored, reason=answer.text)
        now = await self._read(seed.id)
        if now.seed.fingerprint != seed.fingerprint:
            return RefreshResult(state=RefreshState.CURRENT, stored=now)
        text = f"{answer.text} But another holder has the seed by now, or a person retired it."
        return unclear(now, text)

    async def _suspect(
        self, stored: Stored, answer: NoAnswer | Unclear, spooled: Spooled
    ) -> RefreshResult:
        """The token may be spent: the intent stays, and keeps other machines from asking."""
        seed = stored.seed
        reason = f"the token may be spent: {answer.reason}"
        if seed.status is Status.ALIVE:
            try:
                await self._store.mark(
                    seed.id, Status.SUSPECT, reason, fingerprint=seed.fingerprint
                )
            except StoreError as exc:
                logger.warning("store: %s", exc.message, extra={"codex_seed": seed.id})
        await self.clear(spooled)
        return unclear(stored, reason, _retry_after(answer))

    async def _end(self, seed: Seed, attempt: str, spooled: Spooled) -> None:
        try:
            await self._store.end_refresh(seed.id, attempt)
        except StoreError as exc:
            # The intent stays, and this machine asks once more.
            logger.warning("store: %s", exc.message, extra={"codex_seed": seed.id})
        await self.clear(spooled)


def _retry_after(answer: NoAnswer | NotSent | Unclear) -> float | None:
    return answer.retry_after if isinstance(answer, Unclear) else None


__all__ = ["Outcomes"]
