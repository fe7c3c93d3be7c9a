"""The folders in which sessions live, and which of them a session may live in."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from codex_nb.errors import SessionError, UsageError


def default_root() -> Path:
    """The folder of all sessions of this user: `<jupyter_runtime_dir>/codex-nb`."""
    from jupyter_core.paths import jupyter_runtime_dir

    return Path(jupyter_runtime_dir(), "codex-nb")


def fallback_root() -> Path:
    """The folder for sessions whose writable folders contain the default one."""
    return Path("/var/tmp", f"codex-nb-{os.getuid()}")  # noqa: S108 - created 0700, its owner is checked


def root_for(default: Path, writable: tuple[str, ...]) -> Path:
    """The folder in which a session with these writable folders may live.

    Codex's own configuration, the login and the socket must not be within reach of the commands
    that it runs.

    Raises:
        UsageError: Every candidate lies inside a writable folder.
    """
    roots = [Path(path).resolve() for path in writable]
    for candidate in (default, fallback_root()):
        if not any(candidate.resolve().is_relative_to(root) for root in roots):
            return candidate
    raise UsageError(
        f"Codex would be allowed to write everywhere below {roots[0]}, "
        "its own configuration included.",
        hint="Give a smaller folder with --cwd, or set CodexNB.state_dir to a folder "
        "outside of it.",
    )


def is_within(path: str, root: str) -> bool:
    """Whether a path is a folder or lies in it; both are absolute, and have no links."""
    return PurePosixPath(path).is_relative_to(root)


def make_private(folder: Path) -> None:
    """Make a folder that only its owner reads, or check the one that is there.

    Raises:
        SessionError: It belongs to somebody else, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise SessionError(
                f"{folder} exists and is not a folder of yours.",
                hint="Set CodexNB.state_dir to a folder of your own.",
            )
        folder.chmod(0o700)
    except OSError as exc:
        raise SessionError(
            f"The folder of the sessions cannot be made: {exc}.",
            hint="Set CodexNB.state_dir to a folder that you can write.",
        ) from exc
