"""Where a host is, as a person writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from codex_nb.errors import UsageError

_ADDRESS = re.compile(
    r"(?:(?P<user>[^\s@]+)@)?(?P<host>\[[^\s\[\]]+\]|[^\s:\[\]@]+)(?::(?P<port>\d{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """A host, and what the person said about the way there; the rest is in ~/.ssh/config."""

    host: str
    user: str | None = None
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read "name", "user@name" or "user@name:port"; an IPv6 address is put in brackets.

        Raises:
            UsageError: It cannot be meant.
        """
        found = _ADDRESS.fullmatch(text)
        port = int(found["port"]) if found is not None and found["port"] else None
        # What begins with a dash would be an option of the programs that are given it.
        if found is None or text.startswith("-") or (port is not None and not 0 < port < 65536):
            raise UsageError(
                f"{text!r} is no host", hint="Write a name from ~/.ssh/config, or user@host:port."
            )
        return cls(host=found["host"].strip("[]"), user=found["user"], port=port)
