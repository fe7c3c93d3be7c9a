"""Where the sockets of a session are: in its folder, or below a short path when that is too long.

Codex, tmux and ttyd have no way around the length of a socket address.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from codex_nb.hosts.unix_path import MAX_PATH
from codex_nb.sessions.roots import fallback_root, make_private

CODEX_SOCKET = "codex.sock"
"""Where the app-server of a session listens."""

LONGEST = "terminal/write.sock"
"""The longest name of a socket in the folder."""


def socket_folder(folder: str) -> Path:
    """The folder for the sockets of a session, made if need be.

    Raises:
        SessionError: The short one cannot be made, or belongs to somebody else.
    """
    if len(os.fsencode(f"{folder}/{LONGEST}")) <= MAX_PATH:
        return Path(folder)
    short = _short(folder)
    make_private(short.parent)
    make_private(short)
    return short


def remove_sockets(folder: str) -> None:
    """Remove what a crash may have left of the sockets of a session. Doing it again is fine."""
    for place in (Path(folder), _short(folder)):
        socket = place / CODEX_SOCKET
        with suppress(OSError):
            # Codex 0.163 and later listens in a folder of its own, and links to there.
            target = socket.readlink()
            if target.parent.name == f"codex-daemon-{os.getuid()}":
                target.unlink()
        socket.unlink(missing_ok=True)
    short = _short(folder)
    if short != Path(folder):
        shutil.rmtree(short, ignore_errors=True)


def _short(folder: str) -> Path:
    return fallback_root() / Path(folder).name
