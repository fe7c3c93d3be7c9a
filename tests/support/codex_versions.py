"""The codex programs that tests run with.

The wheel openai-codex-cli-bin, and those of CODEX_NB_TEST_CODEX: paths with ":" between them.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from codex_nb.codex.binary import CodexProgram, find_codex


def codex_programs() -> list[CodexProgram]:
    """Each program once, the pinned one first; empty when there is none."""
    paths = os.environ.get("CODEX_NB_TEST_CODEX", "").split(":")
    try:
        from codex_cli_bin import bundled_codex_path

        paths.insert(0, str(bundled_codex_path()))
    except ImportError:
        pass
    unique = dict.fromkeys(str(Path(path).resolve()) for path in paths if path)
    with tempfile.TemporaryDirectory() as cache, pytest.MonkeyPatch.context() as patch:
        # Collecting tests leaves nothing in the user's cache.
        patch.setenv("XDG_CACHE_HOME", cache)
        return [find_codex(path) for path in unique]


_MISSING = pytest.param(
    None, id="none", marks=pytest.mark.skip(reason="needs openai-codex-cli-bin: pip install it")
)

EVERY_CODEX = [
    pytest.param(program, id=program.version, marks=pytest.mark.integration)
    for program in codex_programs()
] or [_MISSING]
"""Parameters for a test or a fixture that runs with each of them."""

ONE_CODEX = EVERY_CODEX[:1]
"""The pinned one, for what does not depend on the version."""
