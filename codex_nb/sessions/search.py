"""Finding a session by what a person calls it."""

from __future__ import annotations

from pathlib import Path

from codex_nb.errors import UsageError
from codex_nb.sessions.registry import list_sessions


def codex_home_of(run: str, *roots: Path) -> Path:
    """The CODEX_HOME of a session.

    Args:
        run: Its name or id; of several with the same name, the latest is meant.
        roots: Where sessions are registered.

    Raises:
        UsageError: There is no such session.
    """
    found = [entry for entry in list_sessions(*roots) if run in (entry.name, entry.id)]
    if not found:
        raise UsageError(f"There is no session {run!r}.", hint="Give the name of a session.")
    return Path(found[-1].folder) / "codex"


__all__ = ["codex_home_of"]
