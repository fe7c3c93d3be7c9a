"""The committed build of the front end is the one that its sources make."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "labextension"
BUILT = ROOT / "codex_nb" / "labextension"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_stamp_names_these_sources_and_these_files() -> None:
    singles = [f"{name}.json" for name in ("package", "package-lock", "tsconfig")]
    singles += ["build.mjs", "rspack.config.cjs"]
    folders = ("src", "schema", "build")
    found = [path for name in folders for path in (SOURCES / name).rglob("*") if path.is_file()]
    paths = sorted([path.relative_to(SOURCES).as_posix() for path in found] + singles)
    lines = "".join(f"{path} {sha256(SOURCES / path)}\n" for path in paths)

    stamp = json.loads((BUILT / "stamp.json").read_text())

    assert stamp == {
        "sources": hashlib.sha256(lines.encode()).hexdigest(),
        "files": {
            path.relative_to(BUILT).as_posix(): sha256(path)
            for path in BUILT.rglob("*")
            if path.is_file() and path.name != "stamp.json"
        },
    }


def test_the_build_names_no_folder_of_the_machine_that_made_it() -> None:
    home = str(ROOT.resolve()).encode()

    named = [path for path in BUILT.rglob("*") if path.is_file() and home in path.read_bytes()]

    assert named == []


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((SOURCES / "package-lock.json").read_text())

    named = [name for name, package in lock["packages"].items() if "resolved" in package]

    assert named == []
