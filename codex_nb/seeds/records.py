"""What a store tells about a seed. No secret is in here: a login travels as a sealed blob only.

Times are Unix seconds on the clock of the store, which every holder of a lease shares.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

Kind = Literal["chatgpt", "apikey"]


class Status(StrEnum):
    """What is known of a login.

    ALIVE is used; SUSPECT may have been refreshed by somebody who did not tell how it ended, or
    was dead and has another login now that nobody tried; DEAD was refused for good; RETIRED was
    taken out of use by a person.
    """

    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to use a seed for a while.

    Attributes:
        seed: Id of the seed.
        id: Of this lease, a UUID of its own, so that a reply that got lost can be looked up.
        holder: Who has it, in words for a person: "session <id> on <host>".
        fence: Rises with every lease of the seed; never given twice.
        expires_at: When it ends unless it is renewed.
        left: Seconds from the answer of the store until then.
    """

    seed: str
    id: str
    holder: str
    fence: int
    expires_at: float
    left: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A refresh that was begun and has not ended: written before the token endpoint is asked.

    Attributes:
        attempt: Id of the try, which also names its file in the spool.
        fence: Of the lease under which it was begun.
        parent: Fingerprint of the login that is to be refreshed.
        host: Machine that began it, as `spool.this_host` names it.
        at: When.
    """

    attempt: str
    fence: int
    parent: str
    host: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One stored login.

    Attributes:
        id: 32 hexadecimal digits; stays the same for ever.
        name: What a person calls it; unique in its store.
        pool: Seeds of one pool stand in for each other; "" is no pool.
        kind: A ChatGPT login, whose refresh token is good once, or an API key.
        account: Keyed fingerprint of the account or the key: one alive seed of it in a pool.
        fingerprint: Keyed fingerprint of the refresh token or the key: the lineage of the login.
        version: Of the blob; rises with every save.
        status: What is known of it.
        reason: Why the status is not ALIVE, as one sentence; else "".
        details: What a person may see: email, plan, expires_at, usage, …; never a secret.
        created_at: When it came into the store.
        updated_at: When its login was last saved.
        verified_at: When a verdict was last reached; None if never. An inconclusive try is none.
        leased_at: When it was last leased; None if never.
        lease: The lease that is held now, or None.
        intent: The refresh that is not known to have ended, or None.
    """

    id: str
    name: str
    pool: str = ""
    kind: Kind
    account: str
    fingerprint: str
    version: int = 1
    status: Status = Status.ALIVE
    reason: str = ""
    details: JsonObject = field(default_factory=dict)
    created_at: float = 0.0
    updated_at: float = 0.0
    verified_at: float | None = None
    leased_at: float | None = None
    lease: Lease | None = None
    intent: Intent | None = None


def after_save(status: Status, reason: str, doubt: str = "") -> tuple[Status, str]:
    """The status and its reason once a login was saved.

    Args:
        status: Before.
        reason: Before.
        doubt: Why nobody vouches for the login; "" if codex or the token endpoint just gave it.
    """
    if status is Status.RETIRED:
        return status, reason
    if doubt and status is not Status.ALIVE:
        return Status.SUSPECT, doubt
    return Status.ALIVE, ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A sealed login, and the version that it was sealed for."""

    data: bytes = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `codex-nb store doctor`.

    Attributes:
        name: What was tried, in a few words.
        state: How it went; a store with a "fail" is not to be used.
        text: What was found, and what to do if it is not fine.
    """

    name: str
    state: Literal["ok", "warn", "fail"]
    text: str = ""


__all__ = ["Blob", "Finding", "Intent", "Kind", "Lease", "Seed", "Status", "after_save"]
