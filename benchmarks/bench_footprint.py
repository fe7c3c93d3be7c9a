"""What codex_nb costs beside JupyterLab and the Codex program: time to load, packages, memory.

`%load_ext` is timed inside a fresh kernel, ten of them. Packages are counted from the metadata of
what is installed: those that codex-nb requires, and that neither JupyterLab nor the wheel of codex
would have brought. Memory is that of a session host after a turn, as the Linux kernel counts it:
PSS shares what several processes map, USS is what its end would give back. Aims: 50 ms, 6 packages,
6 MB on disk, 30 MB of memory.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from statistics import median

from packaging.requirements import Requirement
from rig import ROOT, kernel, served_model, show

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10
TIMED = """
import time
start = time.perf_counter()
get_ipython().run_line_magic("load_ext", "codex_nb")
print((time.perf_counter() - start) * 1000)
"""
ALONE = ("jupyterlab", "openai-codex-cli-bin")
MB = 1_000_000


def load_times(folder: Path) -> list[float]:
    """Milliseconds of `%load_ext` in fresh kernels."""
    times = []
    for _ in range(ROUNDS):
        with kernel(folder, {}) as fresh:
            times.append(float(fresh.run(TIMED)[1]))
    return times


def closure(names: set[str]) -> set[str]:
    """These distributions and everything that they require here, without extras."""
    found: set[str] = set()
    waiting = [Requirement(name) for name in names]
    while waiting:
        needed = waiting.pop()
        name = re.sub(r"[-_.]+", "-", needed.name).lower()
        if name in found or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        try:
            requires = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        found.add(name)
        waiting += map(Requirement, requires)
    return found


def size_of(name: str) -> int:
    """Bytes of the files that a distribution installed."""
    files = [Path(str(file.locate())) for file in distribution(name).files or []]
    return sum(file.stat().st_size for file in files if file.is_file())


def own_size() -> int:
    """Bytes of codex_nb itself, however it is installed."""
    files = (ROOT / "codex_nb").rglob("*")
    return sum(f.stat().st_size for f in files if f.is_file() and "__pycache__" not in f.parts)


def memory(folder: Path, *, replay: bool) -> dict[str, float]:
    """Megabytes of a session host after the turn of the first notebook."""
    cwd = folder / ("replay" if replay else "provider")
    shutil.copytree(ROOT / "notebooks" / "data", cwd / "data")
    env = {"JUPYTER_RUNTIME_DIR": str(folder / "runtime"), "CODEX_NB_REPLAY_SPEED": "0"}
    with served_model() as model, kernel(cwd, env) as warm:
        catalog = folder / "models.json"
        catalog.write_text(json.dumps(model.catalog()))
        warm.run("%load_ext codex_nb")
        if replay:
            warm.run('%config CodexNB.replay = "first-session"')
        else:
            warm.run(f"%config CodexNB.settings = {model.codex_config(str(catalog))!r}")
        warm.run("%codex_run --wait -o run Which café is the busiest?")
        _, pid = warm.run("print(run.events[0]['value']['pid'])")
        text = Path(f"/proc/{int(pid)}/smaps_rollup").read_text(encoding="ascii")
        warm.run("run.close()")
    kb = {key: int(value) for key, value in re.findall(r"^(\w+): +(\d+) kB", text, re.MULTILINE)}
    own = kb["Private_Clean"] + kb["Private_Dirty"]
    return {"PSS": kb["Pss"] / 1000, "RSS": kb["Rss"] / 1000, "USS": own / 1000}


def main() -> None:
    """Measure and print."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        times = load_times(folder)
        measured = {
            "session host": memory(folder, replay=False),
            "session host with a replay": memory(folder, replay=True),
        }
    present = closure(set(ALONE))
    added = sorted(closure(set(project["dependencies"])) - present)
    chosen = {Requirement(text).name for text in project["dependencies"]} & set(added)
    sizes = {name: size_of(name) / MB for name in added} | {"codex-nb": own_size() / MB}
    ours = [sizes[name] for name in (*chosen, "codex-nb")]

    show(
        f"%load_ext in a fresh kernel, {ROUNDS} kernels (aim: at most 50 ms)",
        [
            ("", "median ms", "min ms", "max ms"),
            ("%load_ext", *(f"{value:.1f}" for value in (median(times), min(times), max(times)))),
        ],
    )
    show(
        "Packages beside JupyterLab and Codex (aim: at most 6 of our choosing, under 6 MB)",
        [
            ("", "MB", "required by"),
            *((name, f"{sizes[name]:.2f}", "us" if name in chosen else "these") for name in added),
            ("codex-nb", f"{sizes['codex-nb']:.2f}", ""),
            (f"{len(chosen)} chosen by us, with codex-nb", f"{sum(ours):.2f}", ""),
            (f"{len(added)} in all, with codex-nb", f"{sum(sizes.values()):.2f}", ""),
        ],
    )
    show(
        "Memory of a session host after a turn (aim: at most 30 MB)",
        [
            ("", "PSS MB", "RSS MB", "USS MB"),
            *((name, *(f"{mb:.1f}" for mb in found.values())) for name, found in measured.items()),
        ],
    )


main()
