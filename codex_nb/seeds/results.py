"""What a refresh came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject
    from codex_nb.seeds.auth import Login
    from codex_nb.seeds.records import Seed


class RefreshState(StrEnum):
    """How a refresh ended.

    CURRENT: there was nothing to do; the login is good, or somebody else refreshed it.
    REFRESHED: there are new tokens, and they are stored.
    SPOOLED: there are new tokens, and they wait on this machine for the store.
    DEAD: the login was refused for good, and the seed says so.
    UNCLEAR: nothing was learnt; the reason says why.
    """

    CURRENT = "current"
    REFRESHED = "refreshed"
    SPOOLED = "spooled"
    DEAD = "dead"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A seed and what it holds.

    Attributes:
        seed: As the store has it.
        login: Opened.
        config: Settings of codex that go with it.
    """

    seed: Seed
    login: Login
    config: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshResult:
    """How a refresh ended, and the login to go on with.

    Attributes:
        state: How it ended.
        stored: The newest login that is known here, and its seed; of an UNCLEAR or DEAD one, the
            login from before, whose access token may be good for a while.
        reason: Why it is not CURRENT or REFRESHED, as one sentence; else "".
        retry_after: Seconds that the endpoint wants to be left alone; None if it did not say.
    """

    state: RefreshState
    stored: Stored
    reason: str = ""
    retry_after: float | None = None


def unclear(stored: Stored, reason: str, retry_after: float | None = None) -> RefreshResult:
    """Nothing was learnt, and why."""
    return RefreshResult(
        state=RefreshState.UNCLEAR, stored=stored, reason=reason, retry_after=retry_after
    )


__all__ = ["RefreshResult", "RefreshState", "Stored", "unclear"]
