"""The part of the app-server protocol that codex_nb cannot do without.

Compared with the schema that a codex program writes about itself, so that a version that renamed
something is refused by name and not by a session that hangs. Optional methods are not listed.
"""

from __future__ import annotations

import zlib
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "ClientRequest": frozenset(
            {
                "config/read",
                "initialize",
                "thread/backgroundTerminals/clean",
                "thread/resume",
                "thread/start",
                "turn/interrupt",
                "turn/start",
                "turn/steer",
            }
        ),
        "ServerRequest": frozenset(
            {
                "item/commandExecution/requestApproval",
                "item/fileChange/requestApproval",
                "item/permissions/requestApproval",
                "mcpServer/elicitation/request",
            }
        ),
        "ServerNotification": frozenset(
            {
                "error",
                "item/agentMessage/delta",
                "item/commandExecution/outputDelta",
                "item/completed",
                "item/reasoning/summaryTextDelta",
                "item/started",
                "serverRequest/resolved",
                "thread/tokenUsage/updated",
                "turn/completed",
                "turn/diff/updated",
                "turn/plan/updated",
                "turn/started",
            }
        ),
    }
)
"""Methods by the schema file that lists them."""

FINGERPRINT = f"{zlib.crc32(repr([sorted(each) for each in REQUIRED.values()]).encode()):08x}"
"""A text that changes with the table, for remembering what a program was checked against."""
