"""A terminal for tests, and people who look on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from codex_nb.hosts.local import LocalHost
from codex_nb.terminal.tmux import Tmux
from tests.terminal.conftest import marked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from codex_nb.terminal.screen import Screen

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux: apt install tmux")

ENV = {"PATH": os.environ["PATH"], "SECRET": "visible to nobody"}
READY = "echo ready; "
# Writes down every byte that it is given, brackets of a paste included.
RECORD = "printf '\\033[?2004h'; stty raw -echo; echo ready; cat > typed"


@asynccontextmanager
async def terminal(
    folder: str,
    mark: str,
    *argv: str,
    size: tuple[int, int] = (120, 32),
    refusal: Callable[[Screen], str] | None = None,
) -> AsyncIterator[Tmux]:
    """A terminal that is ended after the block."""
    tmux = await Tmux.start(
        LocalHost(),
        program="tmux",
        folder=folder,
        argv=argv,
        cwd=folder,
        env=ENV,
        mark=mark,
        size=size,
        refusal=refusal,
    )
    try:
        yield tmux
    finally:
        await tmux.end(keys=(), grace=0)


async def wait_shown(tmux: Tmux, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in await tmux.screen():  # noqa: ASYNC110 - another program tells nobody
            await asyncio.sleep(0.02)


def typed(folder: str) -> bytes:
    path = Path(folder, "typed")
    return path.read_bytes() if path.exists() else b""


def viewer(argv: Sequence[str], *, columns: int = 100, rows: int = 40) -> subprocess.Popen[bytes]:
    """Someone who looks on, in a terminal of this size."""
    script = "import os, pty, sys, struct, fcntl, termios\n" + (
        "pid, fd = pty.fork()\n"
        "rows, columns = map(int, sys.argv[1:3])\n"
        "if not pid:\n"
        "    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('4H', rows, columns, 0, 0))\n"
        "    os.execvp(sys.argv[3], sys.argv[3:])\n"
        "os.set_blocking(0, False)\n"
        "import select\n"
        "while True:\n"
        "    ready, _, _ = select.select([0, fd], [], [])\n"
        "    try: data = os.read(fd, 65536) if fd in ready else b''\n"
        "    except OSError: break\n"
        "    sys.stdout.buffer.write(data); sys.stdout.buffer.flush()\n"
        "    if 0 in ready:\n"
        "        keys = os.read(0, 4096)\n"
        "        if not keys: break\n"
        "        os.write(fd, keys)\n"
    )
    env = {**ENV, "TERM": "xterm-256color"}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script, str(rows), str(columns), *argv]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env)


def press(process: subprocess.Popen[bytes], keys: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(keys)
    process.stdin.flush()


def leave(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


def commands(mark: str) -> list[list[str]]:
    """The command lines of the processes that carry a mark."""
    found = []
    for pid in marked(mark):
        with suppress(psutil.Error):
            found.append(psutil.Process(pid).cmdline())
    return found
