"""From the start of a cell to the end of its turn, against bare `codex exec` on the same turn.

Both use the same program, the same settings and the same replayed model, and take turns, so that
the load of the machine falls on both. `codex exec` is measured from its start to the line that says
that its turn is over; the cell from its execute request to the reply, in a kernel where one run has
happened. Aim: at most 1.25 times, by the medians of 20.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rig import ROOT, kernel, served_model, show

from codex_nb.codex.binary import CodexProgram, find_codex
from codex_nb.codex.home import SessionHome
from codex_nb.codex.posture import Posture
from codex_nb.codex.settings import merged
from codex_nb.hosts.local import LocalHost

if TYPE_CHECKING:
    from codex_nb.protocol.messages import JsonObject

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20
AIM = 1.25
WRITTEN = "compare_cafes.py"
"""The file that the turn adds, in the working folder."""

PROMPT = "Which café is the busiest, and does rain matter? The numbers are in data/cafes.csv."


class Bare:
    """`codex exec` with the settings that a session of codex_nb gets.

    Args:
        program: The codex program.
        settings: What leads to the model.
        folder: Where its homes are laid out.
        cwd: The folder that it works in.
    """

    def __init__(
        self, program: CodexProgram, settings: JsonObject, folder: Path, cwd: Path
    ) -> None:
        home = SessionHome(str(folder))
        config = merged(Posture(ask="never").config(), settings)
        asyncio.run(home.lay_out(LocalHost(), config=config, cwd=str(cwd)))
        self._env = home.environment(os.environ, {}, program, session="bench", offline=True)
        self._argv = [program.path, "exec", "--json", "--skip-git-repo-check", PROMPT]
        self._cwd = cwd

    def run(self) -> float:
        """Run the turn; return the seconds until it was over."""
        self._cwd.joinpath(WRITTEN).unlink(missing_ok=True)
        start = time.perf_counter()
        with subprocess.Popen(
            self._argv,
            cwd=self._cwd,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            if process.stdout is None:
                raise RuntimeError("the pipe that was asked for is missing")
            for line in process.stdout:
                if json.loads(line)["type"] == "turn.completed":
                    return time.perf_counter() - start
        sys.exit("codex exec ended without a turn")


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, served_model() as model:
        folder = Path(scratch)
        cwd = folder / "work"
        shutil.copytree(ROOT / "notebooks" / "data", cwd / "data")
        catalog = folder / "models.json"
        catalog.write_text(json.dumps(model.catalog()))
        settings = model.codex_config(str(catalog))
        bare = Bare(find_codex(), settings, folder / "bare", cwd)
        # codex refuses to work from below its own temporary folder; TMPDIR is the kernel's alone.
        env = {
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
        load = f"%load_ext codex_nb\n%config CodexNB.settings = {settings!r}"
        cell = f"%codex_run --wait -o run {PROMPT}"
        first, new_kernel, cells, bares = [], [], [], []
        with kernel(cwd, env) as fresh:
            fresh.run(load)
            first.append(fresh.run(cell)[0])
            fresh.run("run.close()")
        with kernel(cwd, env) as warm:
            warm.run(load)
            cwd.joinpath(WRITTEN).unlink()
            new_kernel.append(warm.run(cell)[0])
            warm.run("run.close()")
            bare.run()
            for _ in range(ROUNDS):
                bares.append(bare.run())
                cwd.joinpath(WRITTEN).unlink()
                cells.append(warm.run(cell)[0])
                warm.run("run.close()")
    base = median(bares)
    rows = [("", "median s", "min s", "max s", "ratio")]
    for name, values in (
        ("codex exec", bares),
        ("cell, warm kernel", cells),
        ("cell, first of a kernel", new_kernel),
        ("cell, first on a machine", first),
    ):
        numbers = (median(values), min(values), max(values), median(values) / base)
        rows.append((name, *(f"{number:.3f}" for number in numbers)))
    show(f"From the start to the end of one turn; {ROUNDS} rounds, alternating", rows)
    ratio = median(cells) / base
    print(f"\ncell / codex exec: {ratio:.2f} (aim: at most {AIM})")


main()
