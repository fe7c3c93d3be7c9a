"""A notebook in a real JupyterLab that is watched while something streams into it.

Latency is from the time of an event, as the session host or the kernel wrote it down, to the first
painted frame that shows it; both are the wall clock of this machine. Processor time and memory are
those that the Linux kernel counts for each process.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from bisect import bisect_left
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from playwright.sync_api import TimeoutError as TookTooLong
from playwright.sync_api import sync_playwright
from rig import ROOT

from codex_nb.sessions.log import read_events
from tests.browser.conftest import ARGUMENTS
from tests.browser.lab import TOKEN, Lab, NotebookPage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from codex_nb.protocol.messages import JsonObject

PROBE = Path(__file__).with_name("probe.js")
LIMIT = 90.0
"""Seconds that one stream may take."""

_SETTLED_MS = 1500
"""What comes after the last number, such as a message that is drawn as final, counts too."""

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What happened in a page while it was watched; times are Unix seconds.

    Attributes:
        frames: When frames were painted.
        numbers: The highest number on the page, whenever it rose, and when.
        tasks: The browser's tasks of 50 ms and more: when they began, and their milliseconds.
        work: Processor time of each task of the page's main thread, in milliseconds.
        messages: The iopub messages: when they came, and their types.
        received: Bytes of all messages from the kernel and from the session.
        shown: Every number on the page at the end, in the order of the document.
        nodes: The most elements that the notebook had.
        heap: MB of the JavaScript heap before and after, without garbage.
        cpu: Seconds of processor time by process.
        peak: MB of memory by process, the most that it had.
        others: Processors that others of this machine kept busy meanwhile, on average.
    """

    frames: list[float]
    numbers: list[tuple[int, float]]
    tasks: list[tuple[float, float]]
    work: list[float]
    messages: list[tuple[float, str]]
    received: int
    shown: list[int]
    nodes: int
    heap: tuple[float, float]
    cpu: dict[str, float]
    peak: dict[str, float]
    others: float

    def shown_at(self, number: int) -> float | None:
        """When this number or a higher one was first on the page; None when none was."""
        place = bisect_left([each for each, _ in self.numbers], number)
        return self.numbers[place][1] if place < len(self.numbers) else None

    def latencies(self, events: dict[int, float]) -> list[float]:
        """Milliseconds from event to page, sorted, given when the event of each number came."""
        shown = {number: self.shown_at(number) for number in events}
        return sorted((at - events[number]) * 1000 for number, at in shown.items() if at)

    @property
    def longest_task(self) -> float:
        """Milliseconds; 0 when no task took 50."""
        return max((length for _, length in self.tasks), default=0.0)

    def frame_rates(self, first: float, last: float) -> tuple[float, float]:
        """Frames per second between two times: of all of it, and of its slowest second."""
        frames = [at for at in self.frames if first <= at <= last]
        ends = [at + 1 for at in (first, *frames) if at + 1 <= last]
        rates = [bisect_left(frames, end) - bisect_left(frames, end - 1) for end in ends]
        return len(frames) / (last - first), min(rates, default=0)

    def messages_between(self, first: float, last: float) -> int:
        """How many iopub messages came."""
        return sum(first <= at <= last for at, _ in self.messages)


class Watched:
    """A notebook in a page of its own, with an idle kernel.

    Args:
        lab: The JupyterLab server.
        notebook: The notebook.
    """

    def __init__(self, lab: Lab, notebook: NotebookPage) -> None:
        self._lab = lab
        self.notebook = notebook
        self._devtools = notebook.page.context.new_cdp_session(notebook.page)

    def watch(self, selector: str, pattern: str, *, last: int, done: str = "") -> Seen:
        """Run all cells and watch until it is over, for a limited time.

        Args:
            selector: Where numbers are looked for; the last element counts.
            pattern: A regular expression of JavaScript, whose group is the number.
            last: The last number.
            done: Selects what is there when it is over; without it that is the last number.
        """
        page = self.notebook.page
        heap = self._heap()
        before = self._processor_times()
        start = time.monotonic()
        page.evaluate("(what) => watch(...what)", [selector, pattern])
        with working(page) as work:
            self.notebook.run_all()
            with suppress(TookTooLong):  # then something is missing, which is told
                page.wait_for_function(
                    "([last, done]) => done ? document.querySelector(done) : watched.last >= last",
                    arg=[last, done],
                    timeout=LIMIT * 1000,
                    polling=250,
                )
            page.wait_for_timeout(_SETTLED_MS)
            after = self._processor_times()
            seconds = time.monotonic() - start
        found = page.evaluate("() => watched.stop()")
        peak = {name: _peak(processes) for name, processes in self._processes().items()}
        cpu = {name: after[name] - before.get(name, 0.0) for name in after}
        all_cpu = cpu.pop("all")
        return Seen(
            frames=[at / 1000 for at in found["frames"]],
            numbers=[(number, at / 1000) for number, at in found["seen"]],
            tasks=[(at / 1000, length) for at, length in found["tasks"]],
            work=work,
            messages=[(at / 1000, kind) for at, kind in found["messages"]],
            received=found["received"],
            shown=found["shown"],
            nodes=found["nodes"],
            heap=(heap, self._heap()),
            cpu=cpu,
            peak=peak,
            others=max(0.0, all_cpu - sum(cpu.values())) / seconds,
        )

    def events(self) -> list[JsonObject]:
        """The log of the session that this notebook started."""
        try:
            folder = self._folder()
        except ValueError:
            sys.exit(f"No session was started: {self.notebook.outputs()}")
        return read_events(folder / "events.jsonl")

    def _folder(self) -> Path:
        """The folder of the newest session; all that came before have ended."""
        found = self._lab.folder.glob("runtime/codex-nb/*/events.jsonl")
        return max(found, key=lambda path: path.stat().st_ctime).parent

    def _processes(self) -> dict[str, list[psutil.Process]]:
        """Those that take part, by what they are."""
        (info,) = self._lab.folder.glob("runtime/jpserver-*.json")
        server = psutil.Process(int(json.loads(info.read_text())["pid"]))
        browser = psutil.Process().children(recursive=True)
        found = {
            "server": [server],
            "kernel": [it for it in server.children() if "ipykernel_launcher" in it.cmdline()],
            "browser": [it for it in browser if it.name().startswith("chrom")],
        }
        with suppress(ValueError, psutil.NoSuchProcess):  # no session yet, or one that ended
            host = psutil.Process(
                int(json.loads((self._folder() / "host.json").read_text())["pid"])
            )
            found["session host"] = [host]
            found["codex"] = host.children(recursive=True)
        return found

    def _processor_times(self) -> dict[str, float]:
        """Seconds by process, and of all that this machine runs."""
        whole = psutil.cpu_times()
        return {
            "all": sum(whole[:3]),
            **{
                name: sum(sum(it.cpu_times()[:2]) for it in processes)
                for name, processes in self._processes().items()
            },
        }

    def _heap(self) -> float:
        """MB of the JavaScript heap without garbage."""
        self._devtools.send("HeapProfiler.collectGarbage")
        return float(self._devtools.send("Runtime.getHeapUsage")["usedSize"]) / MB


@contextmanager
def working(page: Page) -> Iterator[list[float]]:
    """Milliseconds of processor time of each task of a page's main thread, filled in at the end.

    On a machine that is busy with other things a task takes longer than what it does.
    """
    browser = page.context.browser
    if browser is None:
        raise RuntimeError("a page without a browser")
    browser.start_tracing(page=page, categories=["toplevel"])
    times: list[float] = []
    try:
        yield times
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
        mains = {
            (it["pid"], it["tid"])
            for it in events
            if it.get("name") == "thread_name" and it["args"]["name"] == "CrRendererMain"
        }
        tasks: dict[tuple[int, int], list[float]] = {thread: [] for thread in mains}
        for it in events:
            if it.get("name") == "ThreadControllerImpl::RunTask" and "tdur" in it:
                tasks.get((it["pid"], it["tid"]), []).append(it["tdur"] / 1000)
        # Other renderers are of pages that do nothing.
        times += max(tasks.values(), key=sum, default=[])


@contextmanager
def serving() -> Iterator[Lab]:
    """A JupyterLab with both extensions of this checkout, whose kernels find its codex_nb."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    os.environ["PYTHONPATH"] = path
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        lab = Lab(Path(folder) / "lab")
        try:
            yield lab
        finally:
            lab.close()


@contextmanager
def browsing() -> Iterator[Browser]:
    """Chromium without a window."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        sys.exit("This benchmark needs chromium on PATH.")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield running
        running.close()


@contextmanager
def watched(lab: Lab, browser: Browser, name: str, *cells: str) -> Iterator[Watched]:
    """A notebook of these cells; its page, its kernel and its session end with the block."""
    lab.write(f"{name}.ipynb", *cells)
    page = browser.new_page(viewport={"width": 1200, "height": 1000})
    page.add_init_script(path=PROBE)
    notebook = NotebookPage(page, f"{lab.url}lab/tree/{name}.ipynb?reset&token={TOKEN}")
    try:
        yield Watched(lab, notebook)
    finally:
        page.close()
        for session in _ask(lab, "GET", "codex-nb/sessions")["sessions"]:
            if not session["ended"]:
                _ask(lab, "DELETE", f"codex-nb/sessions/{session['id']}")
        for kernel in _ask(lab, "GET", "api/kernels"):
            _ask(lab, "DELETE", f"api/kernels/{kernel['id']}")


def _ask(lab: Lab, method: str, path: str) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{lab.url}{path}", method=method, headers={"Authorization": f"token {TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:  # noqa: S310
        return json.loads(answer.read() or "null")


def _peak(processes: list[psutil.Process]) -> float:
    """MB: the most that each process ever had in memory, added up."""
    texts = [Path(f"/proc/{it.pid}/status").read_text() for it in processes if it.is_running()]
    found = [re.search(r"^VmHWM:\s+(\d+) kB", text, re.MULTILINE) for text in texts]
    return sum(int(it[1]) for it in found if it) / 1000
