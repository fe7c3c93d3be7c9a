"""Which codex program runs, and whether it is one that we can use.

Looked for in this order: the configured path, the wheel openai-codex-cli-bin, PATH, and programs
that lie in our cache. A configured path that does not lead to a program is an error; nothing else
takes its place. Facts checked against the packages of codex 0.142.5, 0.163.0 and 0.169.0:

    <package>/bin/codex                 the program, some 300 MB
    <package>/codex-path/               tools to put on PATH
    <package>/codex-resources/bwrap     found relative to the program; without it and without one
                                        on PATH, every command fails on Linux
    npm: @openai/codex/bin/codex.js     starts vendor/<target>/bin/codex of codex-<platform>
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codex_nb.codex import cache
from codex_nb.codex.required import FINGERPRINT, REQUIRED
from codex_nb.errors import CodexNotFoundError, CodexTooOldError, HostError
from codex_nb.hosts import files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.hosts.base import Host

OLDEST = (0, 142, 0)
"""The oldest version that has what we need."""

_INSTALL = 'Install one with: pip install "codex-nb[codex]"'
_UPDATE = 'Update it, for example with: pip install -U "codex-nb[codex]"'
VERSION = re.compile(r"\bcodex(?:-cli)? (\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.-]+)?)")
"""What codex says when it is asked for its version."""

_VERSION_LIMIT = 10.0
_SCHEMA_LIMIT = 60.0
_SCHEMA_SIZE = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CodexProgram:
    """A codex program that answered.

    Attributes:
        path: The native program, absolute.
        version: As it says itself, for example "0.163.0".
        path_dirs: Folders of its own tools, to be put before the user's PATH.
        source: Where it was found: "setting", "wheel", "path" or "cache".
        complete: Whether its sandbox program lies beside it. Without that the sandbox works only
            where bubblewrap is installed; the probe decides.
    """

    path: str
    version: str
    path_dirs: tuple[str, ...]
    source: str
    complete: bool

    @property
    def release(self) -> tuple[int, ...]:
        """The numbers of the version, to be compared; () when it has none."""
        numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", self.version)
        return () if numbers is None else tuple(map(int, numbers.groups()))


def find_codex(configured: str = "") -> CodexProgram:
    """The codex program to use on this machine.

    It is started once to ask for its version; that is remembered until its file changes.

    Args:
        configured: The path of a program, or of the folder of a package; empty to look for one.

    Raises:
        CodexNotFoundError: There is none, or the one that was found cannot run here.
    """
    if configured:
        path = Path(os.path.abspath(Path(configured).expanduser()))  # noqa: PTH100 - links stay
        native = _native_program(path)
        if native is None:
            raise CodexNotFoundError(
                f"There is no codex program at {path}.",
                hint="Give the path of a codex program, or of the folder of its package.",
            )
        return _described(native, "setting")
    for path, source in _candidates():
        native = _native_program(path)
        if native is not None:
            return _described(native, source)
    raise CodexNotFoundError(
        "There is no codex program: none in this Python environment and none on PATH.",
        hint=_INSTALL,
    )


async def check_program(program: CodexProgram, host: Host) -> None:
    """Make sure that a program speaks the protocol as we need it.

    The program describes its protocol itself, which takes a moment; that it did is remembered for
    the hash of its file, wherever that lies.

    Raises:
        CodexTooOldError: It is older than OLDEST, or lacks a method that we need.
        HostError: It could not describe its protocol.
    """
    if program.release < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise CodexTooOldError(
            f"codex {program.version} at {program.path} is older than {oldest}.", hint=_UPDATE
        )
    stamp = await host.file_stamp(program.path)
    key = cache.program_key(host.name, program.path, stamp)
    if cache.find(key).protocol == FINGERPRINT:
        return
    # Hashing takes a second: only a file that looks new is hashed, such as a reinstalled one.
    content = f"sha256:{await host.file_digest(program.path)}"
    if cache.find(content).protocol == FINGERPRINT:
        cache.note(key, protocol=FINGERPRINT)
        return
    missing = await _missing_methods(program, host)
    if missing:
        raise CodexTooOldError(
            f"codex {program.version} at {program.path} lacks {', '.join(missing)}.",
            hint="Use another version of codex, or a newer codex-nb.",
        )
    cache.note(content, protocol=FINGERPRINT)
    cache.note(key, protocol=FINGERPRINT)


def _candidates() -> Iterator[tuple[Path, str]]:
    try:
        from codex_cli_bin import bundled_codex_path

        yield bundled_codex_path(), "wheel"
    except (ImportError, FileNotFoundError):  # not installed, or not for this platform
        pass
    on_path = shutil.which("codex")
    if on_path is not None:
        yield Path(on_path), "path"
    downloads = cache.cache_folder() / "codex"
    for path in sorted(downloads.glob("*/bin/codex"), key=_folder_version, reverse=True):
        yield path, "cache"


def _folder_version(path: Path) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", path.parent.parent.name))


def _native_program(path: Path) -> Path | None:
    """The program itself, when `path` is one, a launcher of one, or the folder of its package."""
    if path.is_dir():
        options = [path / "bin/codex", path / "codex", *_vendored(path), path / "bin/codex.js"]
        found = next((each for each in options if each.is_file()), None)
        return None if found is None else _native_program(found)
    if not path.is_file():
        return None
    real = path.resolve()
    try:
        with real.open("rb") as file:
            first_line = file.readline(200) if file.read(2) == b"#!" else b""
    except OSError as exc:
        raise CodexNotFoundError(f"{path} cannot be read: {exc.strerror}.") from exc
    if b"node" not in first_line and b"bun" not in first_line:
        return real
    package = real.parent.parent
    platform_package = f"codex-{_node_platform()}"
    for folder in (
        package / "node_modules/@openai" / platform_package,
        package.parent / platform_package,
        package,
    ):
        native = next(_vendored(folder), None)
        if native is not None:
            return native.resolve()
    return None


def _vendored(package: Path) -> Iterator[Path]:
    path = package / "vendor" / _target() / "bin/codex"
    if path.is_file():
        yield path


def _machine() -> tuple[str, str]:
    """System and architecture, as npm names them."""
    machine = os.uname().machine.lower()
    architecture = "arm64" if machine in ("aarch64", "arm64") else "x64"
    return ("darwin" if sys.platform == "darwin" else "linux"), architecture


def _node_platform() -> str:
    return "-".join(_machine())


def _target() -> str:
    system, architecture = _machine()
    processor = {"arm64": "aarch64", "x64": "x86_64"}[architecture]
    return f"{processor}-{'apple-darwin' if system == 'darwin' else 'unknown-linux-musl'}"


def _described(path: Path, source: str) -> CodexProgram:
    package = path.parent.parent
    tools = package / "codex-path"
    return CodexProgram(
        path=str(path),
        version=_version(path),
        path_dirs=(str(tools),) if tools.is_dir() else (),
        source=source,
        complete=sys.platform == "darwin" or (package / "codex-resources/bwrap").is_file(),
    )


def _version(path: Path) -> str:
    try:
        key = cache.program_key("local", str(path), files.file_stamp(str(path)))
    except HostError as exc:
        raise CodexNotFoundError(f"The codex program is gone: {exc.message}.") from exc
    version = cache.find(key).version
    if not version:
        version = _ask_version(path)
        cache.note(key, version=version)
    return version


def _ask_version(path: Path) -> str:
    # A home that cannot exist keeps codex from writing into the user's.
    env = {**os.environ, "CODEX_HOME": f"{os.devnull}/none"}
    try:
        done = subprocess.run(
            [path, "--version"],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_VERSION_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CodexNotFoundError(
            f"{path} did not tell its version within {_VERSION_LIMIT:g} s.", hint=_INSTALL
        ) from None
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise CodexNotFoundError(f"{path} cannot run here: {why}.", hint=_INSTALL) from exc
    found = VERSION.search(done.stdout.decode(errors="replace"))
    if found is None:
        raise CodexNotFoundError(
            f"{path} is not codex: `--version` exited with {done.returncode} and told no version.",
            hint=_INSTALL,
        )
    return found[1]


async def _missing_methods(program: CodexProgram, host: Host) -> list[str]:
    env = await host.environment()
    scratch = f"{env.get('TMPDIR') or '/tmp'}/codex-nb-schema-{os.urandom(8).hex()}"  # noqa: S108
    await host.make_folder(f"{scratch}/home")
    try:
        done = await host.run(
            [program.path, "app-server", "generate-json-schema", "--experimental", "--out", "."],
            cwd=scratch,
            env={"PATH": env.get("PATH", ""), "HOME": scratch, "CODEX_HOME": f"{scratch}/home"},
            timeout=_SCHEMA_LIMIT,
        )
        if done.exit_status != 0:
            last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise CodexTooOldError(
                f"codex {program.version} at {program.path} cannot describe its protocol: {last}",
                hint=_UPDATE,
            )
        missing: list[str] = []
        for name, required in REQUIRED.items():
            text = await host.read_file(f"{scratch}/{name}.json", limit=_SCHEMA_SIZE)
            missing += sorted(required - _methods(json.loads(text)))
        return missing
    finally:
        await host.remove_tree(scratch)


def _methods(schema: dict[str, list[dict[str, dict[str, dict[str, list[str]]]]]]) -> set[str]:
    """The methods in a schema of messages: one alternative each, with one method."""
    return {
        method
        for alternative in schema.get("oneOf", [])
        for method in alternative.get("properties", {}).get("method", {}).get("enum", [])
    }
