"""What a person is asked while a connection is made, and how they answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class KeyAnswer(StrEnum):
    """What to do with a host key that nobody knows."""

    ACCEPT = "accept"
    """Trust it, and write it down for the next time."""

    ONCE = "accept once"
    """Trust it as long as this `SshHost` lives."""

    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownKey:
    """A host that shows a key for the first time.

    Attributes:
        host: The name under which the key is looked up and written down, "[name]:port" where the
            port is not 22.
        key_type: As OpenSSH calls it, such as "ssh-ed25519".
        fingerprint: "SHA256:" and the rest, as `ssh-keygen -l` prints it.
    """

    host: str
    key_type: str
    fingerprint: str

    @property
    def sentence(self) -> str:
        """What a person is told of it."""
        return f"{self.host} is not known yet. Its key is {self.key_type} {self.fingerprint}"


class Asker(Protocol):
    """A way to a person. No limit of time runs while they think."""

    async def secret(self, prompt: str) -> str | None:
        """What they typed, unseen; None when they gave up.

        The answer goes to the host, or opens a key, and is kept by nobody. The prompt may hold
        words of the host: text, never markup.
        """

    async def host_key(self, question: UnknownKey) -> KeyAnswer:
        """Whether this is the right host, which only a person can know."""


class Nobody:
    """An `Asker` where there is no person: it refuses."""

    async def secret(self, prompt: str) -> str | None:
        """See `Asker.secret`."""
        return None

    async def host_key(self, question: UnknownKey) -> KeyAnswer:
        """See `Asker.host_key`."""
        return KeyAnswer.REFUSE
