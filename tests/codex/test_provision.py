"""Codex that is found on another machine, or sent there: whole, once, and as it was."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.codex import package as packages
from codex_nb.codex import provision
from codex_nb.codex.package import Package, check_platform, fetch_package, package_of
from codex_nb.codex.provision import find_there, provide_codex, send_package
from codex_nb.errors import CodexNotFoundError, HostError
from codex_nb.hosts.base import Platform
from codex_nb.hosts.ssh.host import SshHost
from tests.support.sshd import needs_sshd, running_sshd
from tests.support.waiting import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sshd import Sshd

pytestmark = [pytest.mark.integration, needs_sshd]

LINUX = Platform(system="Linux", machine="x86_64")


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    with running_sshd(tmp_path / "server") as sshd:
        yield sshd


def program(path: Path, version: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho codex-cli {version}\n")
    path.chmod(0o755)
    return path


def make_package(folder: Path, version: str = "0.163.0", *, whole: bool = True) -> Path:
    """A small package in the layout of the real one; its program."""
    made = program(folder / "bin/codex", version)
    # A script would be a launcher; a shell runs it all the same without its first line.
    made.write_text(made.read_text().removeprefix("#!/bin/sh\n"))
    if whole:
        program(folder / "codex-resources/bwrap", "none")
        program(folder / "codex-path/rg", "none")
        (folder / "codex-package.json").write_text("{}")
        (folder / "codex-resources/large").write_bytes(bytes(range(256)) * 20_000)
    return made


@pytest.fixture
def here(tmp_path: Path) -> Package:
    found = package_of(str(make_package(tmp_path / "package")), "0.163.0")
    assert found is not None
    return found


def host(sshd: Sshd) -> SshHost:
    return SshHost("box", config=[str(sshd.config)])


def cache(sshd: Sshd) -> Path:
    return sshd.folder / "home/.cache/codex-nb/codex"


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mode & 0o777)
        for path in folder.rglob("*")
        if path.is_file()
    }


async def sent(sshd: Sshd, package: Package, words: list[str]) -> Path:
    async with host(sshd) as there:
        return Path(await send_package(there, package, LINUX, progress=words.append))


def test_a_package_arrives_whole_and_is_sent_once(
    sshd: Sshd, here: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def the_package(*_: object) -> Package:
        return here

    async def check() -> None:
        monkeypatch.setattr(provision, "package_for", the_package)
        words: list[str] = []
        async with host(sshd) as there:
            first = await provide_codex(there, progress=words.append)
            assert (first.version, first.source, first.complete) == ("0.163.0", "cache", True)
            assert first.path_dirs == (str(Path(first.path).parent.parent / "codex-path"),)
            assert words[0] == "Preparing codex for box"
            assert words[1].startswith("Sending codex 0.163.0 to box: 0 of 5 MB")
            words.clear()
            again = await provide_codex(there, progress=words.append)
            assert (again.path, words) == (first.path, [])
        folder = Path(first.path).parent.parent
        modes = {name: mode for name, (_, mode) in content(folder).items()}
        assert modes == {
            "bin/codex": 0o700,
            "codex-package.json": 0o600,
            "codex-path/rg": 0o700,
            "codex-resources/bwrap": 0o700,
            "codex-resources/large": 0o600,
        }
        original = content(Path(here.folder))
        assert {n: d for n, (d, _) in content(folder).items()} == {
            n: d for n, (d, _) in original.items()
        }
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
        assert folder.stat().st_mode & 0o777 == 0o700

    run(check())


def test_an_upload_that_was_cut_goes_on_and_a_damaged_one_is_sent_anew(
    sshd: Sshd, here: Package
) -> None:
    large = Path(here.folder, "codex-resources/large").read_bytes()

    async def cut_one(start: bytes) -> tuple[Path, list[str]]:
        whole = await sent(sshd, here, [])
        folder = whole.parent.parent
        part = folder.with_name(f"{folder.name}.part")
        folder.rename(part)
        (part / "codex-resources/large").write_bytes(start)
        words: list[str] = []
        assert await sent(sshd, here, words) == whole
        assert (folder / "codex-resources/large").read_bytes() == large
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
        return folder, words

    async def check() -> None:
        folder, words = await cut_one(large[:4_000_000])
        assert "4 of 5 MB" in words[0]
        assert folder.exists()
        await cut_one(b"x" * 4_000_000)
        await cut_one(large + b"more")

    run(check())


def test_many_first_starts_at_once_end_with_one_package(sshd: Sshd, here: Package) -> None:
    async def check() -> None:
        words: list[list[str]] = [[] for _ in range(5)]
        paths = await asyncio.gather(*(sent(sshd, here, each) for each in words))
        assert len(set(paths)) == 1
        assert [path.name for path in cache(sshd).iterdir()] == [paths[0].parent.parent.name]
        assert sum(any("Sending" in word for word in each) for each in words) == 1

    run(check())


def test_who_stopped_sending_is_relieved(
    sshd: Sshd, here: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provision, "_STALLED", 0.3)

    async def check() -> None:
        folder = (await sent(sshd, here, [])).parent.parent
        part = folder.with_name(f"{folder.name}.part")
        folder.rename(part)
        folder.with_name(f"{part.name}.sender").mkdir()
        words: list[str] = []
        await sent(sshd, here, words)
        assert "which another session sends" in words[0]
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]

    run(check())


def test_a_full_disk_is_told_before_anything_is_sent(
    sshd: Sshd, here: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def little(*_: object) -> int:
        return 1_000_000

    monkeypatch.setattr(SshHost, "free_bytes", little)

    async def check() -> None:
        with pytest.raises(HostError, match=r"box has 1 MB free at .*, and codex needs 5") as told:
            await sent(sshd, here, [])
        assert "XDG_CACHE_HOME" in told.value.hint

    run(check())
    assert list(cache(sshd).iterdir()) == []


def test_a_whole_package_of_the_host_is_used_and_half_ones_are_not(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "path"
    npm = tmp_path / "npm/node_modules/@openai"
    vendor = npm / "codex-linux-x64/vendor/x86_64-unknown-linux-musl"

    async def environment(_: SshHost) -> dict[str, str]:
        return {"PATH": f"{path}:/usr/bin:/bin", "HOME": str(tmp_path)}

    monkeypatch.setattr(SshHost, "environment", environment)

    async def found() -> str | None:
        async with host(sshd) as there:
            it = await find_there(there, LINUX)
            return None if it is None else it.path

    async def check() -> None:
        path.mkdir()
        assert await found() is None
        # A program alone, as a package manager may install it.
        native = make_package(tmp_path / "bare", whole=False)
        (path / "codex").symlink_to(native)
        assert await found() is None
        # A launcher of npm, which leads to a whole package.
        (path / "codex").unlink()
        launcher = npm / "codex/bin/codex.js"
        launcher.parent.mkdir(parents=True)
        launcher.write_text("#!/usr/bin/env node\n")
        launcher.chmod(0o755)
        (path / "codex").symlink_to(launcher)
        assert await found() is None
        make_package(vendor)
        assert await found() == str(vendor / "bin/codex")
        # A newer one in our cache goes first; one that is too old, or half sent, does not count.
        caches = tmp_path / ".cache/codex-nb/codex"
        for name, version in (("old", "0.99.0"), ("half.part", "9.0.0"), ("new", "0.170.0")):
            make_package(caches / name, version)
        assert await found() == str(caches / "new/bin/codex")

    run(check())


@pytest.mark.parametrize(
    ("system", "machine"), [("Linux", "riscv64"), ("FreeBSD", "amd64"), ("Darwin", "ppc")]
)
def test_a_platform_without_codex_is_refused_in_one_sentence(system: str, machine: str) -> None:
    with pytest.raises(HostError) as told:
        check_platform(Platform(system=system, machine=machine), "box")
    assert told.value.message == f"there is no codex for {system} on {machine}, which box is"


def test_a_package_of_another_platform_is_unpacked_from_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = []

    async def download(tag: str, version: str, scratch: Path) -> Path:
        asked.append((tag, version))
        wheel = scratch / "it.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("codex_cli_bin/bin/codex", "program")
            archive.writestr("codex_cli_bin/codex-resources/bwrap", "sandbox")
            archive.writestr("codex_cli_bin/__init__.py", "no part of it")
            archive.writestr("it.dist-info/RECORD", "no part of it")
        return wheel

    async def hostile(_tag: str, _version: str, scratch: Path) -> Path:
        wheel = scratch / "it.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("codex_cli_bin/bin/../../../outside", "no")
        return wheel

    async def check() -> None:
        monkeypatch.setattr(packages, "_download", download)
        arm = Platform(system="Linux", machine="aarch64")
        for _ in range(2):
            package = await fetch_package(arm, "0.163.0")
        assert [(file.name, file.executable) for file in package.files] == [
            ("bin/codex", True),
            ("codex-resources/bwrap", True),
        ]
        assert asked == [("manylinux_2_17_aarch64", "0.163.0")]
        monkeypatch.setattr(packages, "_download", hostile)
        with pytest.raises(CodexNotFoundError, match="outside of its folder"):
            await fetch_package(arm, "0.1.0")

    run(check())
    assert not any("outside" in path.name for path in tmp_path.rglob("*"))
    assert [it.name for it in (tmp_path / "cache/codex-nb/packages").iterdir()] == [
        "0.163.0-manylinux_2_17_aarch64"
    ]
