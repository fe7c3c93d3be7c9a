"""A notebook with a conversation of 1,000 items is opened: until when is all of it on the page?

The items are those of the samples in tests/data/views, of all kinds, again and again; every tenth
command gets an output of 200 lines. Beside the notebook with our data, the same one with nothing
but the HTML of the same conversation, which any JupyterLab shows. Both are opened in turns in one
page of a real JupyterLab. Aim: 1 s from the first entry to the last.
"""

from __future__ import annotations

import json
import os
import sys
from itertools import cycle, islice
from statistics import median
from typing import TYPE_CHECKING, cast

import nbformat
from rig import ROOT, show
from watching import browsing, serving, watched, working

from codex_nb.static.saved import SESSION, bundle_of

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from codex_nb.protocol.messages import Json, JsonObject

ITEMS = 1_000
PER_TURN = 20
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 6
AIM = 1_000
SETTLED_MS = 2_500
OURS = "data of the session"
PLAIN = "text/html"
SELECTORS = {OURS: ".cnb-entry", PLAIN: ".jp-RenderedHTML *"}


def transcript() -> JsonObject:
    """A finished conversation of 1,000 items."""
    items: list[Json] = []
    turns: list[Json] = []
    commands = 0
    for number, sample in enumerate(islice(cycle(samples()), ITEMS)):
        place, first = divmod(number, PER_TURN)
        turn, at = f"turn-{place}", 1_000.0 + number
        if not first:
            times = {"started_at": at, "completed_at": at + PER_TURN}
            turns.append({"id": turn, "status": "completed", "error": None, **times})
        item = {**sample, "id": f"item-{number}", "turn": turn, "thread": "thread"}
        if item["type"] == "commandExecution":
            commands += 1
            if commands % 10 == 0:
                lines = (f"{line:4}  loss 0.{line * 7919 % 100000:05d}\n" for line in range(200))
                item["output"] = "".join(lines)
        items.append({**item, "started_at": at, "completed_at": at + 1})
    session: JsonObject = {
        "id": "bench", "name": "bench", "host": "local", "cwd": "/work", "thread_id": "thread",
        "status": "closed", "ended": "closed", "created_at": 1_000.0,
    }  # fmt: skip
    return {"session": session, "turns": turns, "items": items, "approvals": [], "notices": []}


def samples() -> list[JsonObject]:
    """The items of the samples that are over, in the order of their files."""
    found = []
    for path in sorted((ROOT / "tests" / "data" / "views").glob("*.json")):
        shown = json.loads(path.read_text(encoding="utf-8"))["snapshot"]["transcript"]
        found += [it for it in shown["items"] if it["status"] != "in_progress"]
    return cast("list[JsonObject]", found)


def write_notebook(path: Path, data: dict[str, object]) -> None:
    """A notebook of one cell with one output."""
    output = nbformat.v4.new_output("display_data", data=data)
    cell = nbformat.v4.new_code_cell("%codex_run Go on.", outputs=[output], execution_count=1)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), path)


def open_once(page: Page, path: str, kind: str) -> dict[str, float]:
    """What opening it took, by what is told of it."""
    with working(page) as work:
        what = [path, SELECTORS[kind], SETTLED_MS]
        found = page.evaluate("(what) => openAndCount(...what)", what)
    if not found["grown"]:
        sys.exit(f"{path} shows no {SELECTORS[kind]}")
    first, last = found["grown"][0][1], found["grown"][-1][1]
    return {
        "first entry to last, ms": last - first,
        "opened to last, ms": last - found["start"],
        "longest browser task, ms": max(found["tasks"], default=0.0),
        "the same, its processor time": max(work, default=0.0),
        "all tasks, processor time, ms": sum(work),
        "entries": found["grown"][-1][0] if kind == OURS else 0,
        "elements": found["elements"],
    }


def main() -> None:
    """Measure and print."""
    data = bundle_of(transcript(), session="bench", n=5_000)
    forms = {OURS: data, PLAIN: {key: data[key] for key in (PLAIN, "text/plain")}}
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in forms}
    with serving() as lab, browsing() as browser, watched(lab, browser, "first", "1") as notebook:
        for number in range(ROUNDS + 1):
            for kind, form in forms.items():
                path = f"{number}-{'ours' if kind == OURS else 'plain'}.ipynb"
                write_notebook(lab.root / path, form)
                found[kind].append(open_once(notebook.notebook.page, path, kind))
    print(f"load average {os.getloadavg()[0]:.1f}, on {os.cpu_count()} processors")
    size = len(json.dumps(data[SESSION])) / 1000
    rows: list[tuple[str, ...]] = [
        ("", "ours, median", "min", "max", "first of the page", "HTML, median", "ours / HTML")
    ]
    for name in found[OURS][0]:
        cold, *ours = (it[name] for it in found[OURS])
        plain = median(it[name] for it in found[PLAIN][1:])
        numbers = (median(ours), min(ours), max(ours), cold, plain)
        ratio = f"{median(ours) / plain:.2f}" if plain else ""
        rows.append((name, *(f"{number:,.0f}" for number in numbers), ratio))
    show(f"A notebook with {ITEMS:,} items ({size:,.0f} KB), opened {ROUNDS} times", rows)
    reached = median(it["first entry to last, ms"] for it in found[OURS][1:])
    print(f"\nfirst entry to last: {reached:,.0f} ms (aim: at most {AIM:,})")


main()
