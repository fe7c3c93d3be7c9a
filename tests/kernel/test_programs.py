"""Notebooks that a program executes: cells wait, nobody is asked, the file reads well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import processes_below
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = {
    "nbconvert": ("nbconvert", "--execute", "--to", "notebook", "--inplace", "a.ipynb"),
    "papermill": ("papermill", "--no-progress-bar", "a.ipynb", "a.ipynb"),
    "jupyter execute": ("jupyter", "execute", "--inplace", "a.ipynb"),
}


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook with these code cells, none of them executed."""
    written: list[dict[str, object]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(("%load_ext codex_nb", *cells))
    ]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": written,
        "metadata": {"kernelspec": spec, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(notebook))


def execute(folder: Path, env: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *argv],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=scaled(90),
        check=False,
    )


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_notebook_is_executed_to_its_end(
    work: Path, env: dict[str, str], tmp_path: Path, program: str
) -> None:
    pytest.importorskip(PROGRAMS[program][0])
    write_notebook(
        work / "a.ipynb",
        "%%codex_run --replay play.toml --name tidy -o run\nask for it",
        "%codex_run --name tidy -o run two?",
        "print(run.status, len(run.items), run.text)",
    )
    done = execute(work, env, *PROGRAMS[program])
    assert done.returncode == 0, done.stderr
    notebook = json.loads((work / "a.ipynb").read_text())
    cells = [cell for cell in notebook["cells"] if cell["outputs"]]
    first, second, last = (cell["outputs"] for cell in cells)
    for kind in ("text/html", "text/markdown", "text/plain"):
        assert "Asked." in "".join(first[0]["data"][kind])
        assert "Nobody could be asked" in "".join(first[0]["data"][kind])
        assert "You said two?." in "".join(second[0]["data"][kind])
        assert "Asked." not in "".join(second[0]["data"][kind])
    assert "".join(last[0]["text"]) == "completed 2 You said two?.\n"
    assert processes_below(tmp_path) == []


def test_a_failing_turn_fails_the_execution(
    work: Path, env: dict[str, str], tmp_path: Path
) -> None:
    write_notebook(work / "a.ipynb", "%codex_run --replay play.toml fail", "print('not reached')")
    done = execute(work, env, *PROGRAMS["jupyter execute"], "--allow-errors")
    assert done.returncode == 0, done.stderr
    cell = json.loads((work / "a.ipynb").read_text())["cells"][1]
    (error,) = [output for output in cell["outputs"] if output["output_type"] == "error"]
    assert error["ename"] == "SessionError"
    assert len(error["traceback"]) == 2
    assert "Not today." in error["evalue"]
    stopped = execute(work, env, *PROGRAMS["nbconvert"])
    assert stopped.returncode != 0
    assert "Not today." in stopped.stderr
    assert processes_below(tmp_path) == []


def test_a_turn_that_takes_too_long_fails_the_execution(
    work: Path, env: dict[str, str], tmp_path: Path
) -> None:
    write_notebook(work / "a.ipynb", "%codex_run --replay play.toml --timeout 1 wait for ever")
    done = execute(work, env, *PROGRAMS["nbconvert"])
    assert done.returncode != 0
    assert "The turn took longer than 1 s and was interrupted." in done.stderr
    assert "Give it more time with --timeout" in done.stderr
    assert processes_below(tmp_path) == []
