"""The machine that this code runs on, as a host.

File operations are done on the spot: they take microseconds, and a thread would cost a long-lived
process more memory than they cost time. Only trees, whose size is unknown, are removed in a thread.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from typing import TYPE_CHECKING

from codex_nb.hosts import files, marks
from codex_nb.hosts.base import Platform
from codex_nb.hosts.local_channel import LocalChannel
from codex_nb.hosts.local_process import LocalProcess
from codex_nb.hosts.running import run_to_end

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from codex_nb.hosts.base import Completed


class LocalHost:
    """A `Host` for this machine and this user."""

    @property
    def name(self) -> str:
        """See `Host.name`."""
        return "local"

    @property
    def endures(self) -> bool:
        """See `Host.endures`."""
        return False

    def patience(self, seconds: float) -> asyncio.Timeout:
        """See `Host.patience`."""
        return asyncio.timeout(seconds)

    async def start(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> LocalProcess:
        """See `Host.start`."""
        return await LocalProcess.start(argv, cwd=cwd, env=env, host=self.name)

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        timeout: float,
        stdin: bytes = b"",
    ) -> Completed:
        """See `Host.run`."""
        process = await self.start(argv, cwd=cwd, env=env)
        what = f"{argv[0]} on {self.name}"
        return await run_to_end(process, what=what, timeout=timeout, stdin=stdin)

    async def connect(self, path: str) -> LocalChannel:
        """See `Host.connect`."""
        return await LocalChannel.open(path, host=self.name)

    async def make_folder(self, path: str, *, mode: int = 0o700) -> None:
        """See `Host.make_folder`."""
        files.make_folder(path, mode=mode)

    async def write_file(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        """See `Host.write_file`."""
        files.write_file(path, data, mode=mode)

    async def read_file(self, path: str, *, limit: int) -> bytes:
        """See `Host.read_file`."""
        return files.read_file(path, limit=limit)

    async def exists(self, path: str) -> bool:
        """See `Host.exists`."""
        return files.exists(path)

    async def is_folder(self, path: str) -> bool:
        """See `Host.is_folder`."""
        return files.is_folder(path)

    async def is_writable(self, path: str) -> bool:
        """See `Host.is_writable`."""
        return os.access(path, os.W_OK)

    async def real_path(self, path: str) -> str:
        """See `Host.real_path`."""
        return files.real_path(path)

    async def remove_tree(self, path: str) -> None:
        """See `Host.remove_tree`."""
        await asyncio.to_thread(files.remove_tree, path)

    async def remove_folder_if_empty(self, path: str) -> bool:
        """See `Host.remove_folder_if_empty`."""
        return files.remove_folder_if_empty(path)

    async def list_folder(self, path: str) -> list[str]:
        """See `Host.list_folder`."""
        return files.list_folder(path)

    async def environment(self) -> dict[str, str]:
        """See `Host.environment`."""
        return dict(os.environ)

    async def file_digest(self, path: str) -> str:
        """See `Host`."""
        return await asyncio.to_thread(files.file_digest, path)

    async def file_stamp(self, path: str) -> str:
        """See `Host.file_stamp`."""
        return files.file_stamp(path)

    async def identity(self) -> str:
        """See `Host.identity`."""
        boot = files.linux_boot()
        if not boot:
            sysctl = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            done = await self.run(sysctl, cwd="/", env={}, timeout=10)
            boot = done.stdout.decode(errors="replace").strip()
        return f"{os.uname().nodename}:{boot}:{os.getuid()}"

    async def moment(self) -> float:
        """See `Host.moment`."""
        return marks.uptime()

    async def end_marked(self, mark: str, *, since: float = 0) -> int:
        """See `Host.end_marked`."""
        if since:
            return await asyncio.to_thread(marks.end_marked_since, mark, since)
        return await asyncio.to_thread(marks.end_marked, mark)

    async def platform(self) -> Platform:
        """See `Host.platform`."""
        facts = os.uname()
        return Platform(system=facts.sysname, machine=facts.machine)

    async def free_bytes(self, path: str) -> int:
        """See `Host.free_bytes`."""
        with files.translated("look at", path):
            return shutil.disk_usage(path).free

    async def clock(self) -> float:
        """See `Host.clock`."""
        return time.time()
