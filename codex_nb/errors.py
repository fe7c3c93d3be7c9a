"""The errors that codex_nb raises on purpose, in one family.

    CodexNBError
    ├── UsageError              an option or value that cannot be meant
    ├── ProtocolError           a peer broke the rules of the app-server protocol
    ├── RemoteError             codex answered a request with an error
    ├── CodexNotFoundError      no usable codex program
    ├── CodexTooOldError        a codex program that lacks what we need
    ├── SandboxUnavailableError codex cannot confine commands here
    ├── AppServerError          codex app-server did not start, or ended too early
    ├── HostError               a file or process operation on a host failed
    ├── ReplayError             a scenario that cannot be read or does not fit
    ├── StoreError              a store of seeds that cannot be reached, read or written
    ├── VaultError              a sealed login that this key does not open, or no key
    ├── SeedError               a login that cannot be used
    │   ├── SeedNotFoundError   no seed of that name
    │   ├── SeedTakenError      the name or the account is there already
    │   ├── SeedBusyError       somebody else uses it now
    │   ├── LeaseLostError      a lease that is not held any more
    │   ├── LineageError        a token that does not follow the stored one
    │   └── LoginError          a login that failed, or was refused for good
    │       └── NoLoginError    there is none at all
    └── SessionError            a session that is gone, busy or cannot be reached
        ├── SessionClosedError
        └── TurnTimeoutError    a wait for a turn ran out; the turn goes on

An error says what failed, with which value, in one sentence; its hint says what to do, in another.
Magics print the two without a traceback. Any other exception is a bug and keeps its traceback.
Secrets never appear in a message.
"""

from __future__ import annotations


class CodexNBError(Exception):
    """Base of every error that codex_nb raises on purpose.

    Args:
        message: What failed, as one sentence.
        hint: What to do about it, as one sentence; empty when there is nothing to do.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for this and shows it instead of a traceback.
        return [line for line in (f"{type(self).__name__}: {self.message}", self.hint) if line]


class UsageError(CodexNBError):
    """An option or a value cannot be meant. Nothing was started."""


class ProtocolError(CodexNBError):
    """A peer broke the rules of the app-server protocol."""


class RemoteError(CodexNBError):
    """Codex answered a request with an error.

    Args:
        message: What failed, as one sentence.
        code: The JSON-RPC error code.
        hint: What to do about it.
    """

    def __init__(self, message: str, *, code: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code


class CodexNotFoundError(CodexNBError):
    """There is no codex program where we looked."""


class CodexTooOldError(CodexNBError):
    """The codex program lacks something that we need."""


class SandboxUnavailableError(CodexNBError):
    """Codex cannot confine commands on this machine."""


class AppServerError(CodexNBError):
    """The codex app-server did not start, or ended too early."""


class HostError(CodexNBError):
    """A file or process operation on a host failed."""


class ReplayError(CodexNBError):
    """A scenario cannot be read, or does not fit what codex asks."""


class StoreError(CodexNBError):
    """A store of seeds cannot be reached, read or written."""


class VaultError(CodexNBError):
    """A sealed login does not open with this key, was tampered with, or there is no key."""


class SeedError(CodexNBError):
    """A login cannot be used."""


class SeedNotFoundError(SeedError):
    """There is no seed of that name."""


class SeedTakenError(SeedError):
    """The name or the account is in the store already."""


class SeedBusyError(SeedError):
    """Somebody else uses the seed now."""


class LeaseLostError(SeedError):
    """A lease expired, or was given to another."""


class LineageError(SeedError):
    """A token does not follow the one that is stored."""


class LoginError(SeedError):
    """A login failed, or was refused for good."""


class NoLoginError(LoginError):
    """There is no login that could be used."""


class SessionError(CodexNBError):
    """A session is gone, busy or cannot be reached."""


class SessionClosedError(SessionError):
    """The session ended; it takes no more input."""


class TurnTimeoutError(SessionError):
    """A wait for a turn ran out."""


def first_error(group: BaseExceptionGroup[CodexNBError]) -> CodexNBError:
    """The first of the errors of ours in a group, however deep it lies."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, CodexNBError):
        raise error
    return error
