"""One process to its end, on any host: input in, output out, and nothing of it stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from codex_nb.errors import HostError, first_error
from codex_nb.hosts.base import OUTPUT_LIMIT, Completed, Process

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Killable(Process, Protocol):
    """A process that can be ended so that nothing of it is left."""

    async def kill(self) -> None:
        """End the group at once, throw unread output away, and return when nothing is left."""


async def run_to_end(process: Killable, *, what: str, timeout: float, stdin: bytes) -> Completed:
    """See `Host.run`; `what` names program and host in messages."""
    try:
        async with asyncio.timeout(timeout), asyncio.TaskGroup() as tasks:
            stdout = tasks.create_task(_read_all(process.read_stdout, what))
            stderr = tasks.create_task(_read_all(process.read_stderr, what))
            await _feed(process, stdin)
            status = await process.wait()
    except* TimeoutError:
        raise HostError(f"{what} did not end within {timeout:g} s and was killed") from None
    except* HostError as group:
        raise first_error(group) from None
    finally:
        await process.kill()
    return Completed(exit_status=status, stdout=stdout.result(), stderr=stderr.result())


async def _read_all(read: Callable[[], Awaitable[bytes]], what: str) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while data := await read():
        chunks.append(data)
        size += len(data)
        if size > OUTPUT_LIMIT:
            raise HostError(f"{what} wrote more than {OUTPUT_LIMIT:,} bytes and was killed")
    return b"".join(chunks)


async def _feed(process: Process, stdin: bytes) -> None:
    try:
        if stdin:
            await process.write_stdin(stdin)
    except HostError:
        return  # a program that does not read its input to the end is no failure
    finally:
        await process.close_stdin()
