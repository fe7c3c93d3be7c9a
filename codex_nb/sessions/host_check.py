"""Whether a session could run on an SSH host: findings, each with what mends it."""

from __future__ import annotations

import os
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from codex_nb.codex.binary import OLDEST
from codex_nb.codex.package import check_platform
from codex_nb.codex.provision import (
    cache_of,
    find_there,
    package_for,
    parts_of,
    provide_codex,
    send_package,
)
from codex_nb.codex.sandbox import probe_sandbox
from codex_nb.errors import CodexNBError, HostError
from codex_nb.hosts.local import LocalHost
from codex_nb.terminal.tmux_program import check_tmux
from codex_nb.terminal.ttyd import check_ttyd, find_ttyd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from codex_nb.codex.binary import CodexProgram
    from codex_nb.hosts.base import Platform
    from codex_nb.hosts.ssh.host import SshHost

State = Literal["ok", "warn", "fail"]

_ROUNDS = 5
_SKEW = 60.0
"""Seconds by which clocks may differ; logins and certificates live for hours."""

_ROOM = 1_000_000_000
"""Bytes on the disk there with which a session is at ease."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFinding:
    """One thing that was tried.

    Attributes:
        name: What.
        state: "ok", "warn" where a part of a session would not work, "fail" where none would.
        text: What was found, and what to do about it.
    """

    name: str
    state: State
    text: str


async def check_host(
    host: SshHost,
    *,
    codex: str = "",
    tmux: str = "",
    ttyd: str = "",
    send: bool = False,
    progress: Callable[[str], None],
) -> AsyncIterator[HostFinding]:
    """Try everything that a session needs. The last finding is the one that ends it, if one does.

    Args:
        host: The host; it is left connected.
        codex: Path of codex there, or "".
        tmux: Path of tmux there, or "".
        ttyd: Path of ttyd here, or "".
        send: Whether codex is sent when it is missing.
        progress: Takes what happens now, in a few words.
    """
    began = time.monotonic()
    try:
        await host.connected()
    except HostError as exc:
        yield _bad("connection", "fail", exc)
        return
    yield _good("connection", f"made in {time.monotonic() - began:.2g} s; the key is known")
    try:
        async for finding in _look_around(host):
            yield finding
        platform = await host.platform()
        yield await _tmux(host, tmux)
        yield await _ttyd(ttyd)
        try:
            check_platform(platform, host.name)
        except HostError as exc:
            yield _bad("codex", "fail", exc)
            return
        async for finding in _codex(host, platform, codex, send=send, progress=progress):
            yield finding
    except HostError as exc:
        yield _bad("connection", "fail", exc)


async def _look_around(host: SshHost) -> AsyncIterator[HostFinding]:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        await host.exists("/")
        times.append(time.perf_counter() - began)
    yield _good("latency", f"{statistics.median(times) * 1000:.3g} ms for a round trip")
    platform = await host.platform()
    yield _good("platform", f"{platform.system} on {platform.machine}")
    skew = await host.clock() - time.time()
    if abs(skew) > _SKEW:
        yield HostFinding(
            name="clock",
            state="warn",
            text=f"{abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}: set it there, for "
            "example with `sudo timedatectl set-ntp true`",
        )
    else:
        yield _good("clock", "right to the minute")
    for name, path in (("session folder", "/var/tmp"), ("cache", await cache_of(host))):  # noqa: S108
        yield await _disk(host, name, path)


async def _disk(host: SshHost, name: str, path: str) -> HostFinding:
    place = path
    while place != "/" and not await host.exists(place):
        place = os.path.dirname(place)  # noqa: PTH120 - a path of the host
    if not await host.is_writable(place):
        mend = "Make it writable there." if name == "cache" else "The home is used instead."
        state: State = "fail" if name == "cache" else "warn"
        return HostFinding(name=name, state=state, text=f"{place} cannot be written. {mend}")
    free = await host.free_bytes(place)
    text = f"{path}, {free / 1e9:.3g} GB free"
    if free < _ROOM:
        return HostFinding(name=name, state="warn", text=f"{text}: make room there")
    return _good(name, text)


async def _tmux(host: SshHost, tmux: str) -> HostFinding:
    env = await host.environment()
    try:
        major, minor = await check_tmux(host, tmux or "tmux", env={"PATH": env.get("PATH", "")})
    except HostError as exc:
        return _bad("tmux", "warn", exc)
    return _good("tmux", f"{major}.{minor}, for the terminal")


async def _ttyd(ttyd: str) -> HostFinding:
    try:
        program = find_ttyd(ttyd)
        await check_ttyd(LocalHost(), program, env={"PATH": os.defpath})
    except HostError as exc:
        return _bad("ttyd here", "warn", exc)
    return _good("ttyd here", f"{program}; none is needed there")


async def _codex(
    host: SshHost,
    platform: Platform,
    codex: str,
    *,
    send: bool,
    progress: Callable[[str], None],
) -> AsyncIterator[HostFinding]:
    try:
        program: CodexProgram | None
        if codex:
            program = await provide_codex(host, configured=codex, progress=progress)
        else:
            program = await find_there(host, platform)
        if program is None:
            package = await package_for(host, platform)
            if not send:
                yield _good(
                    "codex",
                    f"none there; {package.version} ({package.size / 1e6:.0f} MB) is sent with the "
                    f"first session, or now with `%codex_hosts check {host.name} --send`"
                    f"{await _begun(host)}",
                )
                yield HostFinding(
                    name="sandbox", state="warn", text="not tried, because there is no codex yet"
                )
                return
            path = await send_package(host, package, platform, progress=progress)
            program = await provide_codex(host, configured=path, progress=progress)
    except CodexNBError as exc:
        yield _bad("codex", "fail", exc)
        return
    if program.release < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        yield HostFinding(
            name="codex",
            state="fail",
            text=f"{program.version} at {program.path} is older than {oldest}: update it there",
        )
        return
    yield _good("codex", f"{program.version} at {program.path}")
    yield await _sandbox(host, program)


async def _begun(host: SshHost) -> str:
    size = await parts_of(host)
    return f"; {size / 1e6:.0f} MB of an upload that was cut are there" if size else ""


async def _sandbox(host: SshHost, program: CodexProgram) -> HostFinding:
    folder = f"{await cache_of(host)}/check-{os.urandom(6).hex()}"
    env = await host.environment()
    path = ":".join((*program.path_dirs, env.get("PATH", "/usr/bin:/bin")))
    try:
        await host.make_folder(folder)
        await probe_sandbox(program, host, folder=folder, env={"PATH": path, "HOME": folder})
    except CodexNBError as exc:
        return _bad("sandbox", "fail", exc)
    finally:
        await host.remove_tree(folder)
    return _good("sandbox", "confines commands")


def _good(name: str, text: str) -> HostFinding:
    return HostFinding(name=name, state="ok", text=text)


def _bad(name: str, state: State, error: CodexNBError) -> HostFinding:
    return HostFinding(
        name=name, state=state, text=f"{error.message.rstrip('.')}. {error.hint}".strip()
    )


__all__ = ["HostFinding", "check_host"]
