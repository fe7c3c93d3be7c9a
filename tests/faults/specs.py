"""What a round is, and what it may come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.openai_fake import (
    BROKEN_AFTER,
    EMPTY_SUCCESS,
    GARBLED,
    HANG_AFTER,
    HANG_BEFORE,
    HTML_403,
    LOST_AFTER,
    LOST_BEFORE,
    Fault,
    refusal,
)

if TYPE_CHECKING:
    from tests.faults.child import Verb
    from tests.faults.places import StoreKind

SILENT = ("silent before", "silent after")
REFUSED_LATE = "401 late"
"""A refusal that arrives when another holder has the lease by now."""

NETWORK: dict[str, Fault] = {
    "lost before": LOST_BEFORE,
    "429": refusal(429, "slow_down", retry_after="1"),
    "403": HTML_403,
    "400 other": refusal(400, "invalid_client"),
    "503": Fault(status=503),
    "lost after": LOST_AFTER,
    "500 after": BROKEN_AFTER,
    "garbled after": GARBLED,
    "empty after": EMPTY_SUCCESS,
    SILENT[0]: HANG_BEFORE,
    SILENT[1]: HANG_AFTER,
    REFUSED_LATE: refusal(401, "refresh_token_expired"),
}
"""What may happen to the request, and to the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What happens, where, and who comes after it.

    Attributes:
        verb: What the first process does.
        point: Where the fault happens to it; "" for most faults of the network.
        fault: What happens; one of the child's, or a name of NETWORK.
        store: Kind of the store.
        is_strict: Whether the endpoint revokes a login whose spent token comes again.
        elsewhere: Whether another machine acts before the first one comes back.
    """

    verb: Verb
    point: str
    fault: str
    store: StoreKind
    is_strict: bool
    elsewhere: bool

    @property
    def window(self) -> str:
        """Which unavoidable window the fault hits; "" for none."""
        if self.fault == "kill" and self.point == "after_response":
            return "W1"
        if self.fault in NETWORK and NETWORK[self.fault].commit:
            return "W2"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a round came to.

    Attributes:
        label: "ok", "lost in W1" or "lost in W2"; anything else is a failure.
        text: What is known of it.
    """

    label: str
    text: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing happened that must not."""
        return self.label in ("ok", "lost in W1", "lost in W2")


__all__ = ["NETWORK", "REFUSED_LATE", "SILENT", "Outcome", "Round"]
