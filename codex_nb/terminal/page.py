"""ttyd's page, with a guard of ours as its first script, kept in the cache.

The page is asked of a ttyd of this machine once, and never of one that serves a session: whoever
owns that one would write scripts for Jupyter's origin. It is kept under the hashes of the program
and of the guard, so that a new one of either makes a new page.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.errors import HostError
from codex_nb.terminal.ttyd import Ttyd

if TYPE_CHECKING:
    from codex_nb.hosts.base import Host

_GUARD = Path(__file__).with_name("guard.js")
_HEAD = re.compile(rb"<head[^>]*>", re.IGNORECASE)
_LENGTH = re.compile(rb"^content-length: *(\d+)\r?$", re.IGNORECASE | re.MULTILINE)
_REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
_LARGEST = 16 * 1024 * 1024
_LIMIT = 10.0


async def page_of(host: Host, ttyd: str, folder: str) -> str:
    """The path of ttyd's page with the guard in it; it is made when it is not there yet.

    Args:
        host: This machine.
        ttyd: The path of its ttyd.
        folder: A folder for pages, in the user's cache.

    Raises:
        HostError: ttyd did not give a page, or the page cannot be kept.
    """
    guard = _GUARD.read_bytes()
    version = f"{await host.file_digest(ttyd)}-{hashlib.sha256(guard).hexdigest()[:16]}"
    path = f"{folder}/{version}/page.html"
    if await host.exists(path):
        return path
    page = guarded(await _fetch(host, ttyd), guard)
    await host.make_folder(f"{folder}/{version}")
    await host.write_file(path, page)
    return path


def guarded(page: bytes, guard: bytes) -> bytes:
    """The page with a script before all others.

    Raises:
        HostError: It is no page.
    """
    head = _HEAD.search(page)
    if head is None or b"</script" in guard:
        raise HostError("ttyd gave something that is no page")
    return page[: head.end()] + b"<script>\n" + guard + b"</script>" + page[head.end() :]


async def _fetch(host: Host, ttyd: str) -> bytes:
    # A path that is short enough for a socket, whatever the cache is called.
    scratch = f"/tmp/codex-nb-{os.urandom(8).hex()}"  # noqa: S108 - private, and removed below
    env = {"PATH": "/usr/bin:/bin"}
    mark = f"CODEX_NB_PAGE={scratch}"
    await host.make_folder(scratch)
    try:
        server = await Ttyd.start(
            host,
            ttyd,
            socket=f"{scratch}/page.sock",
            argv=["true"],
            writable=False,
            env=env,
            mark=mark,
        )
        try:
            async with asyncio.timeout(_LIMIT):
                return await _get(host, server.socket)
        except TimeoutError:
            raise HostError(f"{ttyd} did not give its page within {_LIMIT:g} s") from None
        finally:
            await server.close()
    finally:
        await host.remove_tree(scratch)


async def _get(host: Host, socket: str) -> bytes:
    channel = await host.connect(socket)
    try:
        await channel.write(_REQUEST)
        answer = bytearray()
        start = end = -1
        while end < 0 or len(answer) < end:
            data = await channel.read()
            answer += data
            if not data or len(answer) > _LARGEST:
                raise HostError("ttyd did not answer with a page")
            if end < 0 and b"\r\n\r\n" in answer:
                head, _, _ = bytes(answer).partition(b"\r\n\r\n")
                length = _LENGTH.search(head)
                if not head.startswith(b"HTTP/1.1 200 ") or length is None:
                    raise HostError("ttyd did not answer with a page")
                start = len(head) + 4
                end = start + int(length[1])
        return bytes(answer[start:end])
    finally:
        await channel.close()
