"""Paths of unix sockets that are longer than a socket address.

A unix socket path holds 107 bytes at most on Linux (103 on macOS). On Linux a longer one is reached
through a file descriptor of its folder.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_PATH = 103
"""Bytes that a path may have everywhere."""


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A spelling of `path` that fits into a socket address while the block runs.

    Raises:
        OSError: Its folder is not there.
        HostError: This system has no way to a path of that length.
    """
    if len(os.fsencode(path)) <= MAX_PATH:
        yield str(path)
        return
    if not Path("/proc/self/fd").is_dir():
        raise HostError(
            f"the path of the socket is too long for this system: {path}",
            hint="Set CodexNB.state_dir to a folder with a shorter path.",
        )
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
