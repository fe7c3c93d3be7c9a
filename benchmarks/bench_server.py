"""What the two extensions add to a Jupyter server: to its start, and to what a page has to load.

A start is from the process to the first answer of /api/status, with our server extension and
without, in turns, so that the load of the machine falls on both; it is told in seconds and in
processor time, which others disturb less. Aims: no start that is measurably slower; all JavaScript
of the lab extension under 150 KB, its entry under 20 KB, the widget under 130 KB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from statistics import median, quantiles

import psutil
from rig import LIMIT, ROOT, show

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 12
IMPORTS = 10
BUILT = ROOT / "codex_nb" / "labextension"
LIMITS = {"lab, all JavaScript": 150, "lab, entry": 20, "widget.js": 130}
TIMED = """
import sys, time
import jupyter_server.serverapp
before = len(sys.modules)
start = time.perf_counter()
import codex_nb
codex_nb._jupyter_server_extension_points()
print((time.perf_counter() - start) * 1000, len(sys.modules) - before)
"""


def start_server(folder: Path, *, has_extension: bool) -> tuple[float, float]:
    """Seconds until a new server answers, and the processor time that it needed for that."""
    config = folder / ("with" if has_extension else "without")
    enabling = config / "jupyter_server_config.d"
    if not enabling.exists():
        enabling.mkdir(parents=True)
        (enabling / "codex_nb.json").write_text(
            json.dumps({"ServerApp": {"jpserver_extensions": {"codex_nb": has_extension}}})
        )
    runtime = Path(tempfile.mkdtemp(dir=folder))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    env = {
        **kept,
        "PYTHONPATH": path,
        "HOME": str(folder),
        "JUPYTER_CONFIG_PATH": str(config),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_TOKEN": "bench",
    }
    argv = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        *(f"--ServerApp.root_dir={folder}", "--ServerApp.port=0"),
    ]
    start = time.perf_counter()
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(argv, env=env, stdout=log, stderr=log)
    try:
        url = _wait_url(runtime / f"jpserver-{server.pid}.json", start)
        while not _answers(f"{url}api/status"):
            _pause(start)
        seconds = time.perf_counter() - start
        needed = psutil.Process(server.pid).cpu_times()
        if _answers(f"{url}codex-nb/sessions") != has_extension:
            sys.exit(f"The extension is not as it should be: {folder / 'server.log'}")
        return seconds, needed.user + needed.system
    finally:
        server.terminate()
        server.wait(LIMIT)


def _wait_url(info: Path, start: float) -> str:
    while True:
        with suppress(OSError, ValueError):  # not there yet, or half of it
            return str(json.loads(info.read_text())["url"])
        _pause(start)


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, headers={"Authorization": "token bench"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _pause(start: float) -> None:
    if time.perf_counter() - start > LIMIT:
        sys.exit(f"The server did not start in {LIMIT:.0f} s.")
    time.sleep(0.005)


def compare(title: str, bare: list[float], ours: list[float]) -> None:
    """Print two columns of starts, and the difference of the pairs."""
    rows: list[tuple[str, ...]] = [("", "median s", "min s", "max s", "ratio of medians")]
    for name, values in (("without", bare), ("with codex_nb", ours)):
        numbers = (median(values), min(values), max(values), median(values) / median(bare))
        rows.append((name, *(f"{number:.3f}" for number in numbers)))
    show(title, rows)
    low, middle, high = quantiles(
        [(it - other) * 1000 for it, other in zip(ours, bare, strict=True)], n=4
    )
    slower = sum(it > other for it, other in zip(ours, bare, strict=True))
    print(
        f"\npair by pair: {middle:+.0f} ms, half of them between {low:+.0f} and {high:+.0f}; "
        f"slower in {slower} of {len(ours)}"
    )


def imports() -> tuple[list[float], int]:
    """Milliseconds to load the extension beside jupyter_server, and the modules it adds."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path}
    times, modules = [], 0
    for _ in range(IMPORTS):
        done = subprocess.run(
            [sys.executable, "-c", TIMED], env=env, capture_output=True, text=True, check=True
        )
        ms, count = done.stdout.split()
        times.append(float(ms))
        modules = int(count)
    return times, modules


def sizes() -> dict[str, float]:
    """KB (1,000 bytes) of what a page loads."""
    scripts = list((BUILT / "lab" / "static").glob("*.js"))
    found = {
        "lab, all JavaScript": scripts,
        "lab, entry": [it for it in scripts if it.name.startswith("remoteEntry.")],
        "lab, style sheets": list((BUILT / "lab" / "static").glob("*.css")),
        "widget.js": [BUILT / "widget.js"],
        "widget.css": [BUILT / "widget.css"],
    }
    return {name: sum(it.stat().st_size for it in files) / 1000 for name, files in found.items()}


def main() -> None:
    """Measure and print."""
    bare: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        start_server(folder, has_extension=True)  # fills the caches of the disk
        for number in range(PAIRS):
            order = (True, False) if number % 2 else (False, True)
            for has_extension in order:
                found = start_server(folder, has_extension=has_extension)
                (ours if has_extension else bare).append(found)
    print(f"load average {os.getloadavg()[0]:.1f}, on {os.cpu_count()} processors")
    for place, name in enumerate(("Start of a Jupyter server", "Processor time of the same")):
        title = f"{name}, {PAIRS} pairs"
        compare(title, [it[place] for it in bare], [it[place] for it in ours])
    times, modules = imports()
    print(
        f"\nloading the extension beside jupyter_server: {median(times):.1f} ms "
        f"({min(times):.1f} to {max(times):.1f}), {modules} modules"
    )
    show(
        "What a page loads",
        [
            ("", "KB", "aim", ""),
            *(
                (
                    name,
                    f"{size:.1f}",
                    f"< {LIMITS[name]}" if name in LIMITS else "",
                    "MISSED" if size >= LIMITS.get(name, float("inf")) else "",
                )
                for name, size in sizes().items()
            ),
        ],
    )


main()
