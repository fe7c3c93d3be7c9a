"""A real kernel, driven as a front end drives one."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty
from typing import TYPE_CHECKING

from jupyter_client.manager import KernelManager

from codex_nb.kernel.served import VARIABLE
from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from codex_nb.protocol.messages import Json, JsonObject

LIMIT = 60.0


@dataclass
class Cell:
    """What a cell came to.

    Attributes:
        status: "ok" or "error".
        seconds: How long it took.
        outputs: What is below it, as a notebook holds it; updates of displays are applied.
        error: The lines of the error; empty when there was none.
        asked: What the person was asked, and whether the answer stayed unseen.
    """

    status: str = ""
    seconds: float = 0.0
    outputs: list[JsonObject] = field(default_factory=list)
    error: list[str] = field(default_factory=list)
    asked: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What was printed and the value."""
        parts = []
        for output in self.outputs:
            data = output.get("data")
            plain = data.get("text/plain", "") if isinstance(data, dict) else output.get("text", "")
            parts.append(str(plain))
        return "".join(parts)

    @property
    def bundle(self) -> JsonObject:
        """The data of the only display."""
        (output,) = [o for o in self.outputs if o["type"] == "display_data"]
        data = output["data"]
        assert isinstance(data, dict)
        return data


class Kernel:
    """A running kernel.

    Args:
        folder: Its working folder.
        env: Variables for it beyond those of this process.
        is_attended: Whether a person could answer, which nbclient denies.

    Attributes:
        frames: The kinds of the frames that widgets sent so far.
    """

    def __init__(self, folder: Path, env: Mapping[str, str], *, is_attended: bool = True) -> None:
        self._manager = KernelManager(kernel_name="python3")  # of this Python environment
        inherited = {k: v for k, v in os.environ.items() if k != VARIABLE}
        self._manager.start_kernel(cwd=str(folder), env={**inherited, **env})
        self.frames: list[str] = []
        self._is_attended = is_attended
        self._displays: dict[str, JsonObject] = {}
        self._connect()

    def _connect(self) -> None:
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=scaled(LIMIT))

    def run(self, code: str, *, seconds: float = LIMIT, answers: Sequence[str] = ()) -> Cell:
        """Run a cell to its end; an error is no exception but the cell's.

        Args:
            code: The cell.
            seconds: The most that it may take.
            answers: What the person types when they are asked, one after the other.
        """
        asked = self._client.execute(code, allow_stdin=self._is_attended)
        return self._finish(asked, seconds, list(answers))

    def run_and_interrupt(self, code: str, *, when: Callable[[], bool]) -> Cell:
        """Run a cell, and press the kernel's Stop button when the condition holds."""
        asked = self._client.execute(code, allow_stdin=self._is_attended)
        wait_until_now(when, seconds=LIMIT)
        self._manager.interrupt_kernel()
        return self._finish(asked, LIMIT)

    def click(self, model_id: str, content: JsonObject) -> JsonObject:
        """Send what a view of a widget sends, and return the reply to it."""
        self.tell(model_id, content)
        deadline = time.monotonic() + scaled(LIMIT)
        while True:
            got = self._client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if got["msg_type"] == "comm_msg":
                said: JsonObject = got["content"]["data"].get("content") or {}
                if said.get("reply") == content["id"]:
                    return said

    def _finish(self, asked: str, seconds: float, answers: list[str] | None = None) -> Cell:
        cell, start = Cell(), time.monotonic()
        deadline = start + scaled(seconds)
        while True:
            if answers and self._client.stdin_channel.msg_ready():
                question = self._client.get_stdin_msg(timeout=1)["content"]
                cell.asked.append((question["prompt"], question["password"]))
                self._client.input(answers.pop(0))
            wait = 0.1 if answers else max(0.1, deadline - time.monotonic())
            try:
                message = self._client.get_iopub_msg(timeout=wait)
            except Empty:
                if not answers or time.monotonic() > deadline:
                    raise
                continue
            kind, content = message["msg_type"], message["content"]
            is_own = message["parent_header"].get("msg_id") == asked
            self._take(cell, kind, content)
            if is_own and kind == "status" and content["execution_state"] == "idle":
                break
        reply = self._client.get_shell_msg(timeout=scaled(LIMIT))
        while reply["parent_header"].get("msg_id") != asked:
            reply = self._client.get_shell_msg(timeout=scaled(LIMIT))
        cell.status, cell.seconds = reply["content"]["status"], time.monotonic() - start
        return cell

    def value(self, expression: str) -> str:
        """The text of an expression's value; an error fails the test."""
        cell = self.run(f"print({expression}, end='')")
        assert cell.status == "ok", cell.error
        return "".join(str(o["text"]) for o in cell.outputs if o["type"] == "stream")

    def listen(self, cell: Cell) -> None:
        """Take what came since, without waiting."""
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=0.05)
            except Empty:
                return
            self._take(cell, message["msg_type"], message["content"])

    def wait_for(self, expression: str) -> None:
        """Wait until an expression is true in the kernel."""
        wait_until_now(lambda: self.value(expression) == "True", seconds=LIMIT)

    def restart(self) -> None:
        """Restart the kernel as a person does: another process, nothing of the old one."""
        self._client.stop_channels()
        self._manager.restart_kernel(now=True)
        self._connect()

    def end(self) -> None:
        """End the kernel; kindly, so that it can say farewell."""
        self._manager.shutdown_kernel()
        self._client.stop_channels()
        self._manager.cleanup_resources()

    def tell(self, model_id: str, content: JsonObject) -> None:
        """Send what a view of a widget sends and nobody replies to."""
        data = {"method": "custom", "content": content}
        message = self._client.session.msg("comm_msg", {"comm_id": model_id, "data": data})
        self._client.shell_channel.send(message)

    def _take(self, cell: Cell, kind: str, content: dict[str, Json]) -> None:
        match kind:
            case "comm_msg":
                data = content["data"]
                said = data.get("content") if isinstance(data, dict) else None
                if isinstance(said, dict) and "frame" in said:
                    self.frames.append(str(said["frame"]))
            case "stream":
                cell.outputs.append({"type": kind, "text": content["text"]})
            case "error":
                lines = content["traceback"]
                assert isinstance(lines, list)
                cell.error = [str(line) for line in lines]
            case "execute_result" | "display_data":
                output: JsonObject = {"type": kind, "data": content["data"]}
                cell.outputs.append(output)
                self._remember(content, output)
            case "update_display_data":
                self._update(content)

    def _remember(self, content: dict[str, Json], output: JsonObject) -> None:
        transient = content.get("transient")
        key = transient.get("display_id") if isinstance(transient, dict) else None
        if isinstance(key, str):
            self._displays[key] = output

    def _update(self, content: dict[str, Json]) -> None:
        transient = content.get("transient")
        key = transient.get("display_id") if isinstance(transient, dict) else None
        if isinstance(key, str) and key in self._displays:
            self._displays[key]["data"] = content["data"]


@contextmanager
def kernel_in(
    folder: Path, env: Mapping[str, str], *, is_attended: bool = True
) -> Iterator[Kernel]:
    """A kernel that ends after the block."""
    kernel = Kernel(folder, env, is_attended=is_attended)
    try:
        yield kernel
    finally:
        kernel.end()
