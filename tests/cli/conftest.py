from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from codex_nb.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Json:
        """Its answer."""
        value: Json = json.loads(self.out)
        return value


class Command:
    """`codex-nb` in this process, with folders of its own."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capture = capture
        self._patch = patch

    def __call__(self, *words: str, stdin: str = "") -> Done:
        self._patch.setattr(sys, "stdin", io.StringIO(stdin))
        self._capture.readouterr()
        status = main(words)
        out, err = self._capture.readouterr()
        return Done(status=status, out=out, err=err)


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    for name in ("DATA", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    for name in ("CODEX_NB_STORE", "CODEX_NB_KEY", "CODEX_NB_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return Command(capsys, monkeypatch)
