from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from codex_nb.codex.binary import CodexProgram, check_program, find_codex
from codex_nb.codex.required import REQUIRED
from codex_nb.errors import CodexNotFoundError, CodexTooOldError
from codex_nb.hosts.local import LocalHost
from tests.support.codex_versions import EVERY_CODEX, ONE_CODEX
from tests.support.programs import program_at, write_program
from tests.support.waiting import run

ANSWER = "echo codex-cli 9.8.7"
MACHINE = os.uname().machine
SYSTEM = "darwin" if sys.platform == "darwin" else "linux"
TARGET = {
    ("linux", "x86_64"): "x86_64-unknown-linux-musl",
    ("linux", "aarch64"): "aarch64-unknown-linux-musl",
    ("darwin", "x86_64"): "x86_64-apple-darwin",
    ("darwin", "arm64"): "aarch64-apple-darwin",
}[SYSTEM, MACHINE]
PLATFORM = f"codex-{SYSTEM}-{'x64' if MACHINE == 'x86_64' else 'arm64'}"


@pytest.fixture
def no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    # Faked, because a test cannot uninstall a package from under the others.
    monkeypatch.setitem(sys.modules, "codex_cli_bin", None)


def found(path: Path, *, source: str = "setting", tools: str = "") -> CodexProgram:
    return CodexProgram(
        path=str(path),
        version="9.8.7",
        path_dirs=(tools,) if tools else (),
        source=source,
        complete=sys.platform == "darwin",
    )


def test_a_configured_program_is_used(tmp_path: Path) -> None:
    path = write_program(tmp_path / "codex", ANSWER)
    assert find_codex(str(path)) == found(path)


def test_a_configured_path_may_be_relative_or_start_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_program(tmp_path / "codex", ANSWER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_codex("codex") == find_codex("~/codex") == found(path)


@pytest.mark.parametrize("configured", ["", "bin/codex", "link"])
def test_a_package_brings_tools_and_a_sandbox(tmp_path: Path, configured: str) -> None:
    package = tmp_path / "package"
    path = write_program(package / "bin/codex", ANSWER)
    write_program(package / "codex-resources/bwrap", "")
    (package / "codex-path").mkdir()
    (package / "link").symlink_to("bin/codex")
    assert find_codex(str(package / configured)) == CodexProgram(
        path=str(path),
        version="9.8.7",
        path_dirs=(str(package / "codex-path"),),
        source="setting",
        complete=True,
    )


@pytest.mark.parametrize(
    "place",
    [
        f"codex/vendor/{TARGET}",
        f"{PLATFORM}/vendor/{TARGET}",
        f"codex/node_modules/@openai/{PLATFORM}/vendor/{TARGET}",
    ],
)
@pytest.mark.parametrize("configured", ["bin/codex", "lib/@openai/codex"])
def test_a_launcher_of_npm_leads_to_the_native_program(
    tmp_path: Path, place: str, configured: str
) -> None:
    scope = tmp_path / "lib/@openai"
    launcher = scope / "codex/bin/codex.js"
    launcher.parent.mkdir(parents=True)
    launcher.write_text("#!/usr/bin/env node\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/codex").symlink_to(launcher)
    path = write_program(scope / place / "bin/codex", ANSWER)
    assert find_codex(str(tmp_path / configured)) == found(path)


@pytest.mark.parametrize("name", ["missing", "folder", "launcher"])
def test_nothing_takes_the_place_of_a_configured_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_program(tmp_path / "bin/codex", ANSWER)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "folder").mkdir()
    (tmp_path / "launcher").write_text("#!/usr/bin/env node\n")
    with pytest.raises(CodexNotFoundError) as caught:
        find_codex(str(tmp_path / name))
    assert caught.value.message == f"There is no codex program at {tmp_path / name}."


@pytest.mark.usefixtures("no_wheel")
def test_path_comes_before_the_newest_in_our_cache(
    tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = cache_home / "codex-nb/codex"
    write_program(downloads / "0.9.0/bin/codex", ANSWER)
    newest = write_program(downloads / "0.10.0/bin/codex", ANSWER)
    on_path = write_program(tmp_path / "bin/codex", ANSWER)
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_codex() == found(on_path, source="path")
    on_path.unlink()
    assert find_codex() == found(newest, source="cache")


@pytest.mark.usefixtures("no_wheel")
def test_no_program_at_all_is_an_error_that_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CodexNotFoundError, match="There is no codex program") as caught:
        find_codex()
    assert 'pip install "codex-nb[codex]"' in caught.value.hint


@pytest.mark.parametrize("program", ONE_CODEX)
def test_the_wheel_comes_before_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: CodexProgram
) -> None:
    write_program(tmp_path / "bin/codex", ANSWER)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    wheel = find_codex()
    package = Path(program.path).parent.parent
    assert wheel == CodexProgram(
        path=program.path,
        version=program.version,
        path_dirs=(str(package / "codex-path"),),
        source="wheel",
        complete=True,
    )


def test_a_program_is_asked_once_until_its_file_changes(tmp_path: Path) -> None:
    script = f"echo started >> {tmp_path}/starts; echo codex-cli"
    path = write_program(tmp_path / "codex", f"{script} 1.0.0")
    assert [find_codex(str(path)).version for _ in range(3)] == ["1.0.0"] * 3
    write_program(path, f"{script} 2.0.0")
    assert [find_codex(str(path)).version for _ in range(3)] == ["2.0.0"] * 3
    assert (tmp_path / "starts").read_text() == "started\n" * 2


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        ("#!/bin/sh\necho codex-cli 1.0.0", 0o644, "cannot run here: Permission denied."),
        ("\x7fELF of another machine", 0o755, "cannot run here: Exec format error."),
        ("#!/bin/sh\necho hello; exit 3", 0o755, "exited with 3 and told no version."),
        ("#!/no/such/shell\n", 0o755, "cannot run here: No such file or directory."),
    ],
)
def test_a_program_that_cannot_be_used_says_why(
    tmp_path: Path, content: str, mode: int, message: str
) -> None:
    path = tmp_path / "codex"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(CodexNotFoundError) as caught:
        find_codex(str(path))
    assert caught.value.message.endswith(message)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("program", EVERY_CODEX)
def test_every_supported_version_has_what_we_need(
    program: CodexProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    run(check_program(program, LocalHost()))
    assert [*(tmp_path / "home").iterdir(), *(tmp_path / "tmp").iterdir()] == []


@pytest.mark.parametrize("version", ["0.141.9", "0.9.0", "unknown"])
def test_an_old_version_is_refused(tmp_path: Path, version: str) -> None:
    path = write_program(tmp_path / "codex", ANSWER)
    with pytest.raises(CodexTooOldError) as caught:
        run(check_program(program_at(path, version=version), LocalHost()))
    assert caught.value.message == f"codex {version} at {path} is older than 0.142.0."


def schema_writer(path: Path, *, without: set[str]) -> CodexProgram:
    """A program that describes the protocol without some methods, and counts its starts."""
    lines = [f"echo started >> {path}.starts"]
    for name, methods in REQUIRED.items():
        alternatives = [
            {"properties": {"method": {"enum": [method]}}} for method in sorted(methods - without)
        ]
        lines.append(f"echo '{json.dumps({'oneOf': alternatives})}' > {name}.json")
    return program_at(write_program(path, "\n".join(lines)))


def test_missing_methods_are_named_and_never_remembered(tmp_path: Path) -> None:
    program = schema_writer(tmp_path / "codex", without={"turn/steer", "error"})
    for _ in range(2):
        with pytest.raises(CodexTooOldError) as caught:
            run(check_program(program, LocalHost()))
        assert caught.value.message.endswith("lacks turn/steer, error.")
    assert (tmp_path / "codex.starts").read_text() == "started\n" * 2


def test_a_complete_program_is_checked_once(tmp_path: Path) -> None:
    program = schema_writer(tmp_path / "codex", without=set())
    for _ in range(2):
        run(check_program(program, LocalHost()))
    assert (tmp_path / "codex.starts").read_text() == "started\n"


def test_a_program_with_the_same_content_elsewhere_is_not_checked_again(tmp_path: Path) -> None:
    program = schema_writer(tmp_path / "codex", without=set())
    run(check_program(program, LocalHost()))
    copy = Path(shutil.copy2(program.path, tmp_path / "reinstalled"))
    run(check_program(program_at(copy), LocalHost()))
    assert (tmp_path / "codex.starts").read_text() == "started\n"
    copy.write_text(f"{copy.read_text()}# other\n")
    run(check_program(program_at(copy), LocalHost()))
    starts = "".join(path.read_text() for path in tmp_path.glob("*.starts"))
    assert starts == "started\n" * 2


def test_a_program_that_cannot_describe_its_protocol_is_refused(tmp_path: Path) -> None:
    path = write_program(tmp_path / "codex", "echo first >&2; echo no such command >&2; exit 2")
    with pytest.raises(CodexTooOldError, match=r"cannot describe its protocol: no such command$"):
        run(check_program(program_at(path), LocalHost()))
