"""Small programs that stand in for codex where the real one cannot be made to misbehave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codex_nb.codex.binary import CodexProgram

if TYPE_CHECKING:
    from pathlib import Path


def write_program(path: Path, script: str) -> Path:
    """Write an executable shell script, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def program_at(path: Path, *, version: str = "0.163.0") -> CodexProgram:
    """The description of a program that nobody asked for its version."""
    return CodexProgram(
        path=str(path), version=version, path_dirs=(), source="setting", complete=True
    )
