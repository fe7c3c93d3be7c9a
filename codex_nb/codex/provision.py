"""Codex on another machine: found there, or a whole package sent to a cache of ours there.

The cache is $XDG_CACHE_HOME/codex-nb/codex on the host. A package in it is named by version,
platform and content. What is being sent lies in a folder that ends in ".part": who finds one whose
upload was cut goes on with it; who finds one that grows waits. It is renamed once the SHA-256 of
every file, computed on the host, is right.
"""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from codex_nb.codex.binary import OLDEST, VERSION, CodexProgram, find_codex
from codex_nb.codex.package import check_platform, fetch_package, package_of
from codex_nb.errors import CodexNotFoundError, HostError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from codex_nb.codex.package import Package
    from codex_nb.hosts.base import Platform
    from codex_nb.hosts.ssh.host import SshHost

_LIMIT = 60.0
_ATTEMPTS = 3
_PIECE = 1024 * 1024
_ROOM = 64 * 1024 * 1024
"""Bytes that stay free on the disk of the host."""

_STALLED = 20.0
"""Seconds without growth after which an upload of somebody else counts as given up."""

_LOOK = 0.5
_PACE = 0.2
"""Seconds between two words about progress."""

# A launcher of npm is a script; the program is in the package of its platform, beside or below it.
_FIND = r"""
target=$1 platform=$2 cache=$3
native() {
    file=$(readlink -f -- "$1" 2>/dev/null || realpath -- "$1" 2>/dev/null || echo "$1")
    first=$(head -c 2 -- "$file" 2>/dev/null)
    if [ "$first" != "#!" ]; then echo "$file"; return; fi
    package=${file%/*/*}
    for folder in "$package/node_modules/@openai/codex-$platform" \
        "${package%/*}/codex-$platform" "$package"; do
        [ -f "$folder/vendor/$target/bin/codex" ] || continue
        echo "$folder/vendor/$target/bin/codex"
        return
    done
}
{
    command -v codex
    ls -d "$cache"/*/bin/codex 2>/dev/null | grep -v "[.]part/bin/codex$"
} | while IFS= read -r path; do
    case $path in /*) ;; *) continue ;; esac
    file=$(native "$path")
    [ -n "$file" ] && [ -x "$file" ] || continue
    package=${file%/bin/codex}
    [ "$package" != "$file" ] || continue
    [ "$(uname -s)" = Darwin ] || [ -x "$package/codex-resources/bwrap" ] || continue
    printf '%s\n' "$file"
done
"""


async def provide_codex(
    host: SshHost, *, configured: str = "", progress: Callable[[str], None]
) -> CodexProgram:
    """The codex to use on a host; one is sent there when it has none.

    Args:
        host: The host.
        configured: Path of the program, or of the folder of its package, there; "" to look for it.
        progress: Takes what happens now, in a few words.

    Raises:
        CodexNotFoundError: There is none there, and none to send.
        HostError: The host has another platform than codex is made for, or no room for it, or
            cannot be reached.
    """
    platform = await host.platform()
    check_platform(platform, host.name)
    if configured:
        return await _configured(host, configured)
    if (found := await find_there(host, platform)) is not None:
        return found
    progress(f"Preparing codex for {host.name}")
    package = await package_for(host, platform)
    path = await send_package(host, package, platform, progress=progress)
    return await _described(host, path, "cache")


async def find_there(host: SshHost, platform: Platform) -> CodexProgram | None:
    """The newest whole codex on a host that is new enough: on PATH, or in our cache there.

    Raises:
        HostError: The host could not be asked.
    """
    env = await host.environment()
    argv = ["/bin/sh", "-c", _FIND, "sh", *_names(platform), await cache_of(host)]
    asked = {name: value for name, value in env.items() if name in ("PATH", "HOME")}
    done = await host.run(argv, cwd="/", env=asked, timeout=_LIMIT)
    best: CodexProgram | None = None
    for path in dict.fromkeys(done.stdout.decode(errors="surrogateescape").splitlines()):
        with suppress(CodexNotFoundError):
            program = await _described(host, path, "path")
            if program.release >= OLDEST and (best is None or program.release > best.release):
                best = program
    return best


async def package_for(host: SshHost, platform: Platform) -> Package:
    """The package that a host needs: the local one where the platforms match, else a fetched one.

    Raises:
        CodexNotFoundError: There is none here, and none could be fetched.
    """
    from codex_nb.hosts.local import LocalHost

    local = find_codex()
    if await LocalHost().platform() == platform:
        package = package_of(local.path, local.version)
        if package is not None:
            return package
    return await fetch_package(platform, local.version)


async def send_package(
    host: SshHost, package: Package, platform: Platform, *, progress: Callable[[str], None]
) -> str:
    """Send a package to the cache of a host unless it is there, and return the program's path.

    Raises:
        HostError: There is no room, or the host cannot be reached or written.
    """
    digests = await asyncio.to_thread(package.digests)
    listing = "".join(f"{digests[name]} {name}\n" for name in sorted(digests))
    digest = hashlib.sha256(listing.encode()).hexdigest()[:12]
    cache = await cache_of(host)
    whole = f"{cache}/{package.version}-{_names(platform)[0]}-{digest}"
    part = f"{whole}.part"
    await host.make_folder(cache)
    damaged = 0
    while not await host.exists(f"{whole}/bin/codex"):
        if damaged == _ATTEMPTS:
            raise HostError(
                f"codex could not be sent to {host.name}: what arrived was damaged each time",
                hint="Check the disk of the host, or install codex there.",
            )
        if not await _claim(host, part):
            await _watch(host, package, whole, part, progress)
            continue
        try:
            await _send(host, package, part, progress)
            if await _is_right(host, part, digests):
                await host.run(["mv", part, whole], cwd="/", env=_ENV, timeout=_LIMIT)
            else:
                damaged += 1
                await host.remove_tree(part)
        finally:
            with suppress(HostError):
                await host.remove_tree(f"{part}.sender")
    return f"{whole}/bin/codex"


_ENV = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin:/run/current-system/sw/bin", "LC_ALL": "C"}


async def _claim(host: SshHost, part: str) -> bool:
    """Whether we are the ones to send; of many at once, exactly one is."""
    done = await host.run(["mkdir", f"{part}.sender"], cwd="/", env=_ENV, timeout=_LIMIT)
    return done.exit_status == 0


async def _watch(
    host: SshHost, package: Package, whole: str, part: str, progress: Callable[[str], None]
) -> None:
    """Wait until somebody else has sent it, or has given up."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < _STALLED:
        if await host.exists(f"{whole}/bin/codex") or not await host.exists(f"{part}.sender"):
            return
        size = sum(await asyncio.gather(*(_size(host, f"{part}/{f.name}") for f in package.files)))
        if size != seen:
            seen, since = size, time.monotonic()
            told = f"{_mega(size)} of {_mega(package.size)} MB"
            progress(f"Waiting for codex on {host.name}, which another session sends: {told}")
        await asyncio.sleep(_LOOK)
    await host.remove_tree(f"{part}.sender")


async def _send(
    host: SshHost, package: Package, part: str, progress: Callable[[str], None]
) -> None:
    sizes = await asyncio.gather(*(_size(host, f"{part}/{file.name}") for file in package.files))
    there = dict(zip((file.name for file in package.files), sizes, strict=True))
    missing = package.size - sum(there.values())
    free = await host.free_bytes(posixpath.dirname(part))
    if free < missing + _ROOM:
        raise HostError(
            f"{host.name} has {_mega(free)} MB free at {posixpath.dirname(part)}, and codex needs "
            f"{_mega(missing)}",
            hint="Make room there, or set XDG_CACHE_HOME there to a folder on a larger disk.",
        )
    teller = _Teller(f"Sending codex {package.version} to {host.name}", package.size, progress)
    teller.add(sum(there.values()), counts=False)
    for file in package.files:
        target, start = f"{part}/{file.name}", there[file.name]
        await host.make_folder(posixpath.dirname(target))
        if start > file.size:
            await host.remove_tree(target)
            start = 0
        if start < file.size or file.size == 0:
            pieces = _pieces(f"{package.folder}/{file.name}", start, teller)
            script = 'umask 077; cat >>"$1" && chmod "$2" "$1"'
            mode = "700" if file.executable else "600"
            await host.pour(["/bin/sh", "-c", script, "sh", target, mode], pieces, env=_ENV)


async def _pieces(path: str, start: int, teller: _Teller) -> AsyncIterator[bytes]:
    with open(path, "rb") as file:  # noqa: ASYNC230, PTH123 - a piece is read in a millisecond
        file.seek(start)
        while piece := file.read(_PIECE):
            yield piece
            teller.add(len(piece))


class _Teller:
    """Says how far an upload is, how fast, and how long it will take."""

    def __init__(self, what: str, total: int, progress: Callable[[str], None]) -> None:
        self._what = what
        self._total = total
        self._progress = progress
        self._done = self._sent = 0
        self._began = time.monotonic()
        self._told = 0.0

    def add(self, size: int, *, counts: bool = True) -> None:
        self._done += size
        self._sent += size if counts else 0
        now = time.monotonic()
        if now - self._told < _PACE:
            return
        self._told = now
        told = f"{self._what}: {_mega(self._done)} of {_mega(self._total)} MB"
        if self._sent:
            speed = self._sent / max(now - self._began, 0.001)
            left = (self._total - self._done) / speed
            told += f", {_mega(round(speed))} MB/s, {left:.0f} s left"
        self._progress(told)


async def _is_right(host: SshHost, part: str, digests: dict[str, str]) -> bool:
    there = await asyncio.gather(*(host.file_digest(f"{part}/{name}") for name in digests))
    return there == list(digests.values())


async def _size(host: SshHost, path: str) -> int:
    return await host.file_size(path) if await host.exists(path) else 0


async def cache_of(host: SshHost) -> str:
    """The folder on a host for the codex that we send."""
    env = await host.environment()
    base = env.get("XDG_CACHE_HOME", "")
    root = base if base.startswith("/") else await host.real_path("~/.cache")
    return f"{root}/codex-nb/codex"


async def parts_of(host: SshHost) -> int:
    """Bytes on a host of uploads that were cut."""
    folder = await cache_of(host)
    script = 'du -sk "$1"/*.part 2>/dev/null | while read -r size rest; do echo "$size"; done'
    argv = ["/bin/sh", "-c", script, "sh", folder]
    done = await host.run(argv, cwd="/", env=_ENV, timeout=_LIMIT)
    return sum(int(word) for word in done.stdout.split() if word.isdigit()) * 1024


async def _configured(host: SshHost, configured: str) -> CodexProgram:
    path = await host.real_path(configured)
    if await host.is_folder(path):
        path = f"{path}/bin/codex"
    return await _described(host, path, "setting")


async def _described(host: SshHost, path: str, source: str) -> CodexProgram:
    # A home that cannot exist keeps codex from writing into the user's.
    env = {**_ENV, "CODEX_HOME": "/dev/null/none"}
    try:
        done = await host.run([path, "--version"], cwd="/", env=env, timeout=_LIMIT)
    except HostError as exc:
        raise CodexNotFoundError(
            f"There is no codex at {path} on {host.name}: {exc.message}",
            hint="Correct CodexNB.hosts, or leave its codex out, and one is sent.",
        ) from exc
    found = VERSION.search(done.stdout.decode(errors="replace"))
    if found is None:
        raise CodexNotFoundError(
            f"{path} on {host.name} is not codex: `--version` exited with {done.exit_status}.",
            hint="Correct CodexNB.hosts, or leave its codex out, and one is sent.",
        )
    package = posixpath.dirname(posixpath.dirname(path))
    tools = f"{package}/codex-path"
    has_tools, has_sandbox = await asyncio.gather(
        host.is_folder(tools), host.exists(f"{package}/codex-resources/bwrap")
    )
    return CodexProgram(
        path=path,
        version=found[1],
        path_dirs=(tools,) if has_tools else (),
        source=source,
        complete=has_sandbox,
    )


def _names(platform: Platform) -> tuple[str, str]:
    """A platform as the vendor folders and the packages of npm call it."""
    is_mac = platform.system == "Darwin"
    is_arm = platform.machine in ("aarch64", "arm64")
    target = f"{'aarch64' if is_arm else 'x86_64'}-"
    target += "apple-darwin" if is_mac else "unknown-linux-musl"
    return target, f"{'darwin' if is_mac else 'linux'}-{'arm64' if is_arm else 'x64'}"


def _mega(size: int) -> int:
    return round(size / 1_000_000)


__all__ = [
    "cache_of",
    "find_there",
    "package_for",
    "parts_of",
    "provide_codex",
    "send_package",
]
