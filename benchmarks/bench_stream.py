"""What streams into a page: from an event to the painted frame that shows it, and what that costs.

The whole chain is real: codex on a replay, session host, Jupyter server, WebSocket, JupyterLab in
Chromium. Beside it, in the same run, two widgets on the kernel's connection: an ipywidgets.HTML
that sends its whole value again with each word, and `Output.append_stdout`. Both get less to do,
because what they cost grows with the square of it.

Aims: nothing lost; p95 under 60 ms; no iopub message; no browser task over 100 ms; 55 frames a
second or more; at full speed all on the page within 1 s of the last event; with 50,000 lines of
command output a page that stays usable, and memory that is bounded.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rig import show
from streams import (
    LINE,
    WORD,
    count_appends,
    html_widget,
    message_of,
    output_widget,
    printing,
    scenario,
    times_of,
)
from watching import Seen, browsing, serving, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.lab import Lab

DELTAS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
PACE = 200.0
WORDS = DELTAS // 5
OUTPUT_LINES = 300
LINES = 5 * DELTAS
LINE_PACE = 5_000.0
MESSAGE = ".cnb-message .cnb-markdown"
COMMAND = ".cnb-terminal"
LONGEST = "longest browser task, ms"
BEHIND = "all on the page, ms after the last event"
DONE = ".cnb[data-cnb-state=done]"
RESULT = "times.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream, and what was seen of it.

    Attributes:
        name: What streamed.
        seen: In the page.
        times: When each number was given out.
        size: Deltas, words or lines.
        lost: Numbers that are not on the page at the end, or not in their places.
    """

    name: str
    seen: Seen
    times: dict[int, float]
    size: int
    lost: int

    @property
    def span(self) -> tuple[float, float]:
        """From the first event to when the last one was on the page, or the last frame."""
        end = self.seen.shown_at(max(self.times)) or self.seen.frames[-1]
        return min(self.times.values()), end


def of_session(
    lab: Lab, browser: Browser, name: str, *, speed: float, replay: str, pattern: str, last: int
) -> Stream:
    """A turn of a session in its own view.

    Args:
        lab: The server.
        browser: A running browser.
        name: Of the stream.
        speed: Tokens a second.
        replay: The text of the scenario.
        pattern: WORD for a message, LINE for the output of a command.
        last: The last number.
    """
    is_message = pattern == WORD
    (lab.root / "stream.toml").write_text(replay)
    load = f"%load_ext codex_nb\n%env CODEX_NB_REPLAY_SPEED={speed:g}"
    turn = "%codex_run --replay stream.toml -o run Go."
    with watched(lab, browser, "session", load, turn) as notebook:
        seen = notebook.watch(MESSAGE if is_message else COMMAND, pattern, last=last, done=DONE)
        events = notebook.events()
    field = "text" if is_message else "output"
    times = times_of(events, pattern, field)
    if not times:
        sys.exit(f"The session gave nothing out: {events[-5:]}")
    # Of a long output a view keeps its start and its end, and has the lines in sight only.
    lost = _lost(seen, last) if is_message else 0
    size = count_appends(events, field) if is_message else last + 1
    return Stream(name=name, seen=seen, times=times, size=size, lost=lost)


def of_cell(
    lab: Lab, browser: Browser, name: str, *, cell: str, place: str, pattern: str, last: int
) -> Stream:
    """What a cell shows by itself.

    Args:
        lab: The server.
        browser: A running browser.
        name: Of the stream.
        cell: What it executes; it writes the time of each number to RESULT.
        place: Selects where it shows them.
        pattern: WORD or LINE.
        last: The last number.
    """
    with watched(lab, browser, "cell", cell) as notebook:
        seen = notebook.watch(place, pattern, last=last)
    times = dict(enumerate(json.loads((lab.root / RESULT).read_text())))
    return Stream(name=name, seen=seen, times=times, size=last + 1, lost=_lost(seen, last))


def _lost(seen: Seen, last: int) -> int:
    if seen.shown == list(range(last + 1)):
        return 0
    return max(1, last + 1 - len(set(seen.shown)))


def rows_of(stream: Stream) -> dict[str, float]:
    """What is told of every stream, by its name."""
    seen, (first, last) = stream.seen, stream.span
    waits = seen.latencies(stream.times)
    mean, slowest = seen.frame_rates(first, last)
    thousands = stream.size / 1000
    before, after = seen.heap
    return {
        "deltas, words or lines": stream.size,
        "a second": stream.size / (max(stream.times.values()) - first),
        "lost": stream.lost,
        "event to page, p50 ms": waits[len(waits) // 2],
        "event to page, p95 ms": waits[len(waits) * 95 // 100],
        "event to page, longest ms": waits[-1],
        BEHIND: (last - max(stream.times.values())) * 1000,
        "iopub messages": seen.messages_between(first, last),
        "received, bytes each": seen.received / stream.size,
        LONGEST: seen.longest_task,
        "the same, its processor time": max(seen.work, default=0.0),
        "browser tasks over 50 ms": len(seen.tasks),
        "page's main thread, share of the time": sum(seen.work) / 1000 / (last - first),
        "frames a second": mean,
        "frames in the slowest second": slowest,
        "elements, at most": seen.nodes,
        "processors that others kept busy": seen.others,
        "heap before, MB": before,
        "heap after, MB": after,
        **{
            f"{name}, CPU s per 1,000": seconds / thousands
            for name, seconds in sorted(seen.cpu.items())
        },
        **{f"{name}, peak MB": size for name, size in sorted(seen.peak.items())},
    }


def compare(title: str, streams: list[Stream]) -> None:
    """Print what was seen of some streams, each but the first with its ratio to the first."""
    found = [rows_of(stream) for stream in streams]
    rows = [("", streams[0].name, *(it for each in streams[1:] for it in (each.name, "ratio")))]
    for name, first in found[0].items():
        cells = [_number(first)]
        for each in found[1:]:
            value = each.get(name)
            cells.append("" if value is None else _number(value))
            cells.append("" if value is None or first <= 0 else f"{value / first:.1f}")
        rows.append((name, *cells))
    show(title, rows)


def judge(calm: Stream, fast: Stream, paced: Stream, burst: Stream) -> None:
    """Print each aim beside what was reached."""
    steady, hurried, lines, flood = (rows_of(it) for it in (calm, fast, paced, burst))
    heap = max(it["heap after, MB"] - it["heap before, MB"] for it in (lines, flood))
    reached = [
        ("message: lost", steady["lost"], "==", 0),
        ("message: p95 from event to page, ms", steady["event to page, p95 ms"], "<", 60),
        ("message: iopub messages", steady["iopub messages"], "==", 0),
        ("message: longest browser task, ms", steady[LONGEST], "<=", 100),
        ("message: frames a second", steady["frames a second"], ">=", 55),
        ("at full speed: lost", hurried["lost"], "==", 0),
        ("at full speed: behind the last event, ms", hurried[BEHIND], "<=", 1000),
        ("lines: longest browser task, ms", lines[LONGEST], "<=", 100),
        ("lines: frames a second", lines["frames a second"], ">=", 55),
        ("lines at once: behind the last event, ms", flood[BEHIND], "<=", 1000),
        ("lines: what they add to the heap, MB", heap, "<=", 20),
        ("lines: session host, MB", lines["session host, peak MB"], "<=", 60),
    ]
    meets = {"==": float.__eq__, "<": float.__lt__, "<=": float.__le__, ">=": float.__ge__}
    rows: list[tuple[str, ...]] = [("", "reached", "aim", "")]
    for name, value, sign, aim in reached:
        verdict = "" if meets[sign](float(value), float(aim)) else "MISSED"
        rows.append((name, _number(value), f"{sign} {aim}", verdict))
    show("Aims", rows)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.2f}"


def main() -> None:
    """Measure and print."""
    text = message_of(DELTAS)
    last = len(re.findall(WORD, text)) - 1
    with serving() as lab, browsing() as browser:

        def session(replay: str, *, speed: float = 0) -> Stream:
            return of_session(
                lab, browser, "codex_nb", speed=speed, replay=replay, pattern=WORD, last=last
            )

        def command(name: str, *, pace: float) -> Stream:
            code = printing(LINES, pace=pace, result="/dev/null")
            (lab.root / "lines.py").write_text(code)
            replay = scenario({"run": "python3 lines.py"}, {"say": "All lines are out."})
            return of_session(
                lab, browser, name, speed=0, replay=replay, pattern=LINE, last=LINES - 1
            )

        def cell(name: str, code: str, place: str, *, pattern: str, last: int) -> Stream:
            return of_cell(lab, browser, name, cell=code, place=place, pattern=pattern, last=last)

        before = os.getloadavg()[0]
        calm = session(scenario({"say": text}), speed=PACE)
        html = cell(
            "ipywidgets.HTML",
            html_widget(WORDS, pace=PACE, result=RESULT),
            ".widget-html-content",
            pattern=WORD,
            last=WORDS - 1,
        )
        output = cell(
            "append_stdout",
            output_widget(OUTPUT_LINES, pace=PACE, result=RESULT),
            ".jp-OutputArea-output .jp-RenderedText",
            pattern=WORD,
            last=OUTPUT_LINES - 1,
        )
        fast = session(scenario({"say": text}))
        lines = [
            command("command, paced", pace=LINE_PACE),
            command("command, at once", pace=1e9),
        ]
        printed = cell(
            "print in a cell",
            printing(LINES, pace=LINE_PACE, result=RESULT),
            ".jp-RenderedText",
            pattern=LINE,
            last=LINES - 1,
        )
    print(f"load average {before:.1f} before", end=" ")
    print(f"and {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} processors")
    compare(f"A message of {DELTAS:,} deltas, {PACE:.0f} a second", [calm, html, output])
    compare(f"A message of {DELTAS:,} deltas at full speed", [fast])
    compare(f"A command that prints {LINES:,} lines", [*lines, printed])
    judge(calm, fast, *lines)


main()
