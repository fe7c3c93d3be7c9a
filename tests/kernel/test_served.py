"""A kernel whose Jupyter server carries our extension, and what other clients do to its session."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from codex_nb.kernel.served import VARIABLE
from codex_nb.sessions.client import SessionClient
from codex_nb.sessions.registry import SessionEntry, read_entry
from tests.support.kernels import Kernel, kernel_in
from tests.support.waiting import wait_until_now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject

WIDGET = "application/vnd.jupyter.widget-view+json"
SESSION = "application/vnd.codex-nb.session+json"
STATIC = {"text/html", "text/markdown", "text/plain"}


@pytest.fixture
def kernel(work: Path, env: dict[str, str]) -> Iterator[Kernel]:
    with kernel_in(work, {**env, VARIABLE: "1"}) as kernel:
        assert kernel.run("%load_ext codex_nb\n%config CodexNB.replay = 'play.toml'").status == "ok"
        yield kernel
        kernel.run("run.close()")


def entry_of(kernel: Kernel) -> SessionEntry:
    from pathlib import Path

    entry = read_entry(Path(kernel.value("run._follower.events_path.parent")))
    assert entry is not None
    return entry


def send_from_elsewhere(entry: SessionEntry, text: str) -> None:
    """Send a message as a browser does, through the session host."""

    async def send() -> None:
        client = await SessionClient.connect(entry, lambda _frame: None)
        following = asyncio.create_task(client.follow())
        await client.request("send", text=text)
        following.cancel()
        await asyncio.wait({following})

    asyncio.run(send())


def saved(bundle: JsonObject) -> JsonObject:
    data = bundle[SESSION]
    assert isinstance(data, dict)
    return data


def test_the_live_output_holds_the_session_and_no_frame_goes_through_the_kernel(
    kernel: Kernel,
) -> None:
    cell = kernel.run("%codex_run -o run hello")
    assert set(cell.bundle) == STATIC | {WIDGET, SESSION}
    before = saved(cell.bundle)
    assert before["session"] == kernel.value("run.id")
    kernel.run("run.wait()")
    kernel.listen(cell)
    now = saved(cell.bundle)
    assert now["window"] == {"from": 0, "to": None}
    transcript = now["transcript"]
    assert isinstance(transcript, dict)
    assert transcript["items"] == kernel_items(kernel)
    assert kernel.frames == []


def kernel_items(kernel: Kernel) -> object:
    import json

    return json.loads(kernel.value("__import__('json').dumps(list(run.items))"))


def test_a_view_that_says_hello_on_the_comm_gets_frames_until_it_says_bye(kernel: Kernel) -> None:
    cell = kernel.run("%codex_run -o run hello")
    view = cell.bundle[WIDGET]
    assert isinstance(view, dict)
    model = str(view["model_id"])
    kernel.run("run.wait()")
    kernel.tell(model, {"op": "hello", "viewer": "v"})
    kernel.tell(model, {"op": "snapshot"})

    def has(kind: str) -> bool:
        kernel.listen(cell)
        return kind in kernel.frames

    wait_until_now(lambda: has("snapshot"), seconds=30)
    kernel.run("run.send('more').wait()")
    wait_until_now(lambda: has("events"), seconds=30)
    kernel.tell(model, {"op": "bye", "viewer": "v"})
    kernel.run("run.interrupt()")
    kernel.listen(cell)
    kernel.frames.clear()
    kernel.run("run.send('silent').wait()")
    kernel.listen(cell)
    assert kernel.frames == []


def test_a_turn_that_a_browser_sent_is_saved_with_the_output(kernel: Kernel) -> None:
    cell = kernel.run("%codex_run -o run hello")
    kernel.run("run.wait()")
    send_from_elsewhere(entry_of(kernel), "from the browser")

    def is_saved() -> bool:
        kernel.listen(cell)
        return "You said from the browser." in str(cell.bundle["text/plain"])

    wait_until_now(is_saved, seconds=30)
    assert kernel.value("run.status, run.text") == "completed You said from the browser."
