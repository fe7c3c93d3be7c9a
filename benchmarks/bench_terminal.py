"""The terminal in the browser, as ratios to a WebSocket straight to ttyd's unix socket.

Beside it, in the same run and in turns: jupyter-server-proxy on the same ttyd, and JupyterLab's own
terminal. A flood is so many MB through a raw pty; the echo of a key is measured while nothing else
happens, while another terminal of the same server floods, while its own does, and through tmux.
Every number is the median of the rounds. The client is that of terminals.py, in this process; the
other flood, and the questions to the REST part, are asked from processes of their own.

Arguments: MB of a flood (40), rounds (3), keys of an echo (300).

Aims: at least 0.95 of the throughput and 4 times that of jupyter-server-proxy; the echo of a key in
1.8 times the time (p50), and 1.5 times under its own flood (p99); memory that stays where it is
while a browser does not read; REST under 50 ms (p99) while a terminal floods.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from statistics import median

import psutil
from rig import LIMIT, show
from terminals import Way, flooded, has_proxy, has_tmux, load_average, opened, ways

MEGABYTES = int(sys.argv[1]) if len(sys.argv) > 1 else 40
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
KEYS = int(sys.argv[3]) if len(sys.argv) > 3 else 300
BETWEEN = 0.004
"""Seconds between two keys, in which the client reads on."""
UNREAD = 4.0
"""Seconds of a flood that nobody reads."""
REQUESTS = 300
LOST = math.inf

SPEED, CPU, MEMORY, REST = "MB/s", "CPU s/100 MB", "MB unread", "REST p99"
ECHOES = {"idle": "echo", "other floods": "echo", "own flood": "both", "tmux": "echo"}
COLUMNS = [
    *(SPEED, CPU),
    *(f"{name} {p}" for name in ECHOES for p in ("p50", "p99")),
    *(MEMORY, REST),
]
PROBE = """
import http.client, sys, time
client = http.client.HTTPConnection(sys.argv[1], timeout=60)
for _ in range(int(sys.argv[2])):
    start = time.perf_counter()
    client.request("GET", "/api")
    client.getresponse().read()
    print((time.perf_counter() - start) * 1000)
"""

Found = dict[str, float]


def p(values: list[float], part: float) -> float:
    """The value that this part of all values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def flood(way: Way) -> Found:
    """How fast a flood goes through, and what of it the server needs."""
    server = psutil.Process(way.pid)
    with opened(way, "flood", amount=MEGABYTES * 1_000_000) as line:
        before, start = server.cpu_times(), time.perf_counter()
        line.type("x")
        line.wait(b"<end>")
        seconds, after = time.perf_counter() - start, server.cpu_times()
    needed = after.user + after.system - before.user - before.system
    return {SPEED: MEGABYTES / seconds, CPU: needed / MEGABYTES * 100}


def echo(way: Way, name: str) -> Found:
    """How long the echo of a key takes, in ms."""
    times: list[float] = []
    with opened(way, ECHOES[name], in_tmux=name == "tmux") as line:
        for number in range(1, KEYS + 1):
            line.read_for(BETWEEN)
            start = time.perf_counter()
            line.type("k")
            line.wait(f"<key {number}>".encode())
            times.append((time.perf_counter() - start) * 1000)
    return {f"{name} p50": p(times, 0.5), f"{name} p99": p(times, 0.99)}


def echo_beside_flood(way: Way) -> Found:
    """The same, while another terminal floods."""
    with flooded(way):
        return echo(way, "other floods")


def unread(way: Way) -> Found:
    """How much larger the server is after a flood that nobody read, at most."""
    server = psutil.Process(way.pid)
    with opened(way, "both"):
        before = server.memory_info().rss
        largest, end = before, time.monotonic() + UNREAD
        while time.monotonic() < end:
            time.sleep(0.05)
            largest = max(largest, server.memory_info().rss)
    return {MEMORY: (largest - before) / 1e6}


def rest(way: Way) -> Found:
    """How long the REST part takes to answer while a terminal floods."""
    if not way.address.partition(":")[2]:
        return {}  # no server
    with flooded(way):
        done = subprocess.run(
            [sys.executable, "-c", PROBE, way.address, str(REQUESTS)],
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT,
        )
    return {REST: p([float(line) for line in done.stdout.split()], 0.99)}


def measure(found: list[Way]) -> dict[str, Found]:
    """The medians of all rounds, by way and column."""
    measured: dict[str, dict[str, list[float]]] = {way.name: defaultdict(list) for way in found}
    steps = {
        (SPEED, CPU): flood,
        ("idle p50", "idle p99"): lambda way: echo(way, "idle"),
        ("other floods p50", "other floods p99"): echo_beside_flood,
        ("own flood p50", "own flood p99"): lambda way: echo(way, "own flood"),
        (MEMORY,): unread,
        (REST,): rest,
    }
    if has_tmux():
        steps["tmux p50", "tmux p99"] = lambda way: echo(way, "tmux")
    for number in range(ROUNDS):
        for columns, step in steps.items():
            # In turns, and each time another one first.
            for way in found[number % len(found) :] + found[: number % len(found)]:
                values = dict.fromkeys(columns, LOST)
                with suppress(OSError):  # the terminal was cut off, or is silent
                    values = step(way)
                for column, value in values.items():
                    measured[way.name][column].append(value)
    return {
        name: {column: median(values) for column, values in columns.items()}
        for name, columns in measured.items()
    }


def row(name: str, found: Found, *, digits: int = 2) -> tuple[str, ...]:
    """A line of a table."""
    cells = (found.get(column, math.nan) for column in COLUMNS)
    return name, *(
        "-" if math.isnan(it) else "lost" if math.isinf(it) else f"{it:.{digits}f}" for it in cells
    )


def ratios(found: Found, straight: Found) -> Found:
    """The same as parts of what a WebSocket straight to ttyd has."""
    return {
        column: found[column] / straight[column]
        for column in COLUMNS
        if column not in (CPU, MEMORY, REST) and column in found and straight[column] < LOST
    }


def judge(ours: Found, ratio: Found, proxy: Found | None) -> list[tuple[str, ...]]:
    """The aims, and what became of them."""
    speed = ours[SPEED] / proxy[SPEED] if proxy is not None else math.nan
    aims = [
        ("throughput, of a straight one", ratio[SPEED], ">=", 0.95),
        ("throughput, of jupyter-server-proxy's", speed, ">=", 4.0),
        ("echo p50, idle, of a straight one", ratio["idle p50"], "<=", 1.8),
        ("echo p50, through tmux, of a straight one", ratio.get("tmux p50", math.nan), "<=", 1.8),
        ("echo p99, own flood, of a straight one", ratio["own flood p99"], "<=", 1.5),
        ("MB that a flood adds which nobody reads", ours[MEMORY], "<=", 5.0),
        ("REST p99 while a terminal floods, ms", ours[REST], "<=", 50.0),
    ]
    rows: list[tuple[str, ...]] = [("", "", "aim", "")]
    for name, value, sign, aim in aims:
        is_met = value >= aim if sign == ">=" else value <= aim
        told = "not measured" if math.isnan(value) else "" if is_met else "MISSED"
        rows.append((name, f"{value:.2f}", f"{sign} {aim:g}", told))
    return rows


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ways(Path(scratch)) as found:
        before = load_average()
        medians = measure(found)
        print(f"load average {before:.1f} before and {load_average():.1f} after")
    if not has_proxy():
        print("jupyter-server-proxy is not installed, so its line is missing")
    if not has_tmux():
        print("tmux is not installed, so its columns are empty")
    head = ("", *COLUMNS)
    title = f"{MEGABYTES} MB, {KEYS} keys, {ROUNDS} rounds; echo and REST in ms"
    show(title, [head, *(row(name, values) for name, values in medians.items())])
    straight = medians["straight to ttyd"]
    relative = {name: ratios(values, straight) for name, values in medians.items()}
    rows = [row(name, values) for name, values in relative.items()]
    show("As ratios to a WebSocket straight to ttyd", [head, *rows])
    ours = medians["codex-nb"]
    show("Aims", judge(ours, relative["codex-nb"], medians.get("jupyter-server-proxy")))


main()
