"""What codex itself makes of a seed: a refresh of its own, or one real turn.

Codex gets the login in a home of its own while we hold the lease, and what it makes of it is saved
by its lineage. Its word alone makes nothing dead: it does not tell why it gave a login up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from codex_nb.codex.account import check_with_codex, probe_turn
from codex_nb.codex.scratch import PLAIN
from codex_nb.errors import CodexNBError
from codex_nb.seeds.auth import Login
from codex_nb.seeds.records import Status
from codex_nb.seeds.recovery import errand_label
from codex_nb.seeds.verify import Verdict

if TYPE_CHECKING:
    from codex_nb.codex.binary import CodexProgram
    from codex_nb.codex.scratch import Surroundings
    from codex_nb.hosts.base import Host
    from codex_nb.seeds.lease import HeldSeed
    from codex_nb.seeds.records import Seed
    from codex_nb.seeds.seeds import Seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """Codex as a judge of logins.

    Attributes:
        host: Where it runs.
        program: The codex program there.
        surroundings: What else it is given.
    """

    host: Host
    program: CodexProgram
    surroundings: Surroundings = PLAIN

    async def verify(self, seeds: Seeds, seed: Seed, *, with_turn: bool) -> Verdict:
        """The verdict on one seed. Nobody else has it meanwhile.

        Args:
            seeds: The open store.
            seed: The one in question.
            with_turn: Run one real turn, which is billed; else codex refreshes the login.
        """
        try:
            async with await seeds.borrow(seed.id, holder=seeds.holder("check by codex")) as held:
                _, config = await seeds.open(held.seed)
                given = replace(self.surroundings, config={**config, **self.surroundings.config})
                run = self._turn if with_turn else self._refresh
                reason = await run(held, given, errand_label(seeds, seed.id, held.login))
                if reason:
                    return _verdict(seed, "inconclusive", reason)
                is_stored = await seeds.store.mark(
                    seed.id,
                    Status.ALIVE,
                    fingerprint=seeds.fingerprints.credential(held.login),
                    fence=held.hold.lease.fence,
                    verified=True,
                )
                if not is_stored:
                    return _verdict(seed, "inconclusive", "It changed while it was looked at.")
                return _verdict(seed, "alive", "Codex could use it.")
        except CodexNBError as exc:
            return _verdict(seed, "inconclusive", exc.message)

    async def _refresh(self, held: HeldSeed, given: Surroundings, label: str) -> str:
        """Why codex could not use the login; "" if it could."""
        if held.login.kind == "apikey":
            return "Codex asks nobody about an API key; `--models` or `--probe` does."
        before = held.login.to_bytes()
        done = await check_with_codex(
            self.host,
            self.program,
            before,
            keep=lambda data: held.save(Login.parse(data)),
            label=label,
            surroundings=given,
        )
        if done.error:
            return f"Codex could not tell: {done.error}"
        if done.account is None:
            return "Codex gave the login up; `refresh` finds out why."
        if done.auth == before:
            return "Codex could not refresh it now, and did not give it up."
        return ""

    async def _turn(self, held: HeldSeed, given: Surroundings, label: str) -> str:
        done = await probe_turn(
            self.host,
            self.program,
            held.login.to_bytes(),
            keep=lambda data: held.save(Login.parse(data)),
            label=label,
            surroundings=given,
        )
        if done.error:
            return f"The turn failed: {done.error}"
        return "" if done.answer else "The turn ended without an answer."


def _verdict(seed: Seed, kind: str, reason: str) -> Verdict:
    return Verdict(
        kind="alive" if kind == "alive" else "inconclusive",
        seed=seed.id,
        name=seed.name,
        reason=reason,
    )


__all__ = ["Judge"]
