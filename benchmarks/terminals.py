"""Terminals to measure: the same programs behind four ways to a browser, and a client for all.

The client is that of `websockets`, the same for all ways. It offers to compress, as every browser
does, but to ttyd itself. A program says each mark three times in a row: a frame may begin in one.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import secrets
import select
import shlex
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from rig import LIMIT, ROOT
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

sys.path.insert(0, str(ROOT))

from tests.server.serving import TOKEN, Server
from tests.server.speaker import Speaker
from tests.server.tty import HELLO, find_ttyd, give_terminal, ttyd

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LONGEST_MARK = 64
_SILENCE = 20.0
"""Seconds without a mark after which a terminal counts as lost."""

TMUX_CONFIG = """
set -g status off
set -g escape-time 0
set -g default-terminal tmux-256color
set -g destroy-unattached on
"""
PROGRAM = r"""
import base64, os, select, sys, termios, tty
kind, amount = sys.argv[1], int(sys.argv[2])
# Longer than what deflate looks back at, so that it finds nothing twice.
block = b"".join(base64.b64encode(os.urandom(57)) + b"\r\n" for _ in range(840))
def write(data):
    while data:
        data = data[os.write(1, data):]
def say(text):
    write(text.encode() * 3 + b"\r\n")
tty.setraw(0)
say("<ready>")
if kind == "flood":
    os.read(0, 1)
    for _ in range(amount // len(block)):
        write(block)
    termios.tcdrain(1)
    say("<end>")
    os.read(0, 1)
count = 0
while kind != "flood":
    is_asked = True
    if kind == "both":
        write(block[:3900])
        is_asked = bool(select.select([0], [], [], 0)[0])
    if is_asked:
        if not os.read(0, 1):
            break
        count += 1
        say(f"<key {count}>")
"""
"""What runs in the terminals. `flood`: after a key, so many bytes. `echo`: answers keys. `both`:
answers keys and never stops writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to a terminal.

    Attributes:
        name: What it is called.
        address: Path of a unix socket, or host and port.
        path: Of the WebSocket, or of JupyterLab's terminals.
        pid: The process whose memory and processor time count, 0 for none.
        program: Path of the program for the terminals.
        tmux: Argv of a tmux server for this way.
        is_lab: Whether it speaks as JupyterLab's terminals do.
    """

    name: str
    address: str
    path: str
    pid: int
    program: str
    tmux: str
    is_lab: bool = False

    def connect(self, path: str) -> ClientConnection:
        """A WebSocket to it."""
        host, _, port = self.address.partition(":")
        if port:
            found = socket.create_connection((host, int(port)))
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            found = socket.socket(socket.AF_UNIX)
            found.connect(self.address)
        return connect(
            f"ws://localhost{path}?token={TOKEN}",
            sock=found,
            subprotocols=None if self.is_lab else [Subprotocol("tty")],
            compression="deflate" if port else None,
            ping_interval=None,
            proxy=None,
            legacy=True,
        )

    def ask(self, method: str, path: str) -> bytes:
        """The answer to a request of its server.

        Raises:
            OSError: It is refused.
        """
        client = http.client.HTTPConnection(self.address, timeout=LIMIT)
        client.request(method, path, headers={"Authorization": f"token {TOKEN}"})
        answer = client.getresponse()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status}")
        return answer.read()


class Line:
    """An open terminal.

    Args:
        way: How to get to it.
        kind: What runs in it, as `PROGRAM` tells.
        amount: For `flood`, how many bytes.
        in_tmux: Whether it runs in tmux.
    """

    def __init__(self, way: Way, kind: str, *, amount: int = 0, in_tmux: bool = False) -> None:
        self._way = way
        self._tail = b""
        self._name = ""
        path = way.path
        if way.is_lab:
            base = way.path.removesuffix("terminals/websocket/")
            self._made = f"{base}api/terminals"
            self._name = json.loads(way.ask("POST", self._made))["name"]
            path += self._name
        self._socket = way.connect(path)
        if way.is_lab:
            self._socket.send(json.dumps(["set_size", 24, 80, 0, 0]))
        else:
            self._socket.send(HELLO)
        # ttyd and JupyterLab start a shell, and that becomes the program.
        command = shlex.join([sys.executable, "-u", way.program, kind, str(amount)])
        if in_tmux:
            command = f"{way.tmux} new-session -s {secrets.token_hex(4)} {shlex.quote(command)}"
        self.type(f"exec {command}\r")
        self.wait(b"<ready>")

    def type(self, text: str) -> None:
        """Type into it."""
        if self._way.is_lab:
            self._socket.send(json.dumps(["stdin", text]))
        else:
            self._socket.send(b"0" + text.encode())

    def wait(self, mark: bytes) -> None:
        """Read until a mark has come.

        Raises:
            OSError: The terminal is lost.
        """
        end = time.monotonic() + _SILENCE
        while not self._read(mark, _SILENCE):
            if time.monotonic() > end:
                raise TimeoutError

    def read_for(self, seconds: float) -> None:
        """Read what comes in this time."""
        end = time.monotonic() + seconds
        with suppress(TimeoutError):
            while (left := end - time.monotonic()) > 0:
                self._read(b"<>", left)

    def close(self) -> None:
        """Hang up, and end what runs."""
        self._socket.close()
        if self._name:
            with suppress(OSError):
                self._way.ask("DELETE", f"{self._made}/{self._name}")

    def _read(self, mark: bytes, limit: float) -> bool:
        try:
            data = self._socket.recv(limit, decode=False)
        except ConnectionClosed as exc:
            raise ConnectionResetError from exc
        start = self._tail + data[:_LONGEST_MARK]
        self._tail = data[-_LONGEST_MARK:]
        return mark in start or mark in data


@contextmanager
def opened(way: Way, kind: str, *, amount: int = 0, in_tmux: bool = False) -> Iterator[Line]:
    """A terminal that is closed with the block."""
    line = Line(way, kind, amount=amount, in_tmux=in_tmux)
    try:
        yield line
    finally:
        line.close()


@contextmanager
def flooded(way: Way) -> Iterator[None]:
    """Another process looks at a flood while the block runs."""
    values = {name: getattr(way, name) for name in Way.__slots__}
    argv = [sys.executable, __file__, json.dumps(values)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if process.stdout is None or process.stdout.readline() != b"flooding\n":
            raise ConnectionResetError
        yield
    finally:
        process.communicate()


def look_at_flood(way: Way) -> None:
    """Read a flood until stdin ends."""
    with opened(way, "both") as line:
        print("flooding", flush=True)
        while not select.select([sys.stdin], [], [], 0)[0]:
            line.read_for(0.05)


@contextmanager
def hosted(speaker: Speaker) -> Iterator[None]:
    """Have the host of a session answer, in a thread, while the block runs."""
    loop = asyncio.new_event_loop()
    over, is_ready = asyncio.Event(), threading.Event()

    async def answer() -> None:
        async with speaker.listening():
            is_ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(answer(),))
    thread.start()
    is_ready.wait(LIMIT)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


@contextmanager
def ways(folder: Path) -> Iterator[list[Way]]:
    """The four ways, each with a server of its own: straight, ours, and the two that are there."""
    upstream = folder / "ttyd.sock"
    program = folder / "program.py"
    program.write_text(PROGRAM)
    (folder / "tmux.conf").write_text(TMUX_CONFIG)
    proxied = f"c.ServerProxy.servers = {{'tty': {{'unix_socket': {str(upstream)!r}}}}}\n"
    lab = "c.ServerApp.terminado_settings = {'shell_command': ['sh']}\n"
    servers = [
        Server(folder / name, config=config)
        for name, config in (("ours", ""), ("proxy", proxied), ("lab", lab))
    ]
    speaker = Speaker(servers[0].sessions)
    give_terminal(speaker, socket=upstream)
    # A client that does not read is not to be cut off while it is looked at.
    options = ("-W", "-P", "120")
    tmuxes = {name: f"tmux -S {folder}/{name}.tmux -f {folder}/tmux.conf" for name in "abcd"}
    try:
        with ttyd(find_ttyd(folder), upstream, "sh", options=options) as process, hosted(speaker):
            at = [server.url.split("/")[2] for server in servers]
            paths = [f"/codex-nb/terminal/{speaker.entry.id}/ws", "/tty/ws"]
            pids = [server.process.pid for server in servers]
            found = [
                *(("straight to ttyd", str(upstream), "/ws", process.pid, False),),
                *(("codex-nb", at[0], paths[0], pids[0], False),),
                *(("jupyter-server-proxy", at[1], paths[1], pids[1], False),),
                *(("JupyterLab's terminal", at[2], "/terminals/websocket/", pids[2], True),),
            ]
            kept = [it for it in found if it[0] != "jupyter-server-proxy" or has_proxy()]
            yield [
                Way(
                    name=name,
                    address=address,
                    path=path,
                    pid=pid,
                    program=str(program),
                    tmux=tmux,
                    is_lab=is_lab,
                )
                for (name, address, path, pid, is_lab), tmux in zip(
                    kept, tmuxes.values(), strict=False
                )
            ]
    finally:
        for tmux in tmuxes.values():
            subprocess.run([*tmux.split(), "kill-server"], check=False, stderr=subprocess.DEVNULL)
        for server in servers:
            server.close()


def has_proxy() -> bool:
    """Whether jupyter-server-proxy is installed."""
    return find_spec("jupyter_server_proxy") is not None


def has_tmux() -> bool:
    """Whether tmux is."""
    return shutil.which("tmux") is not None


def load_average() -> float:
    """How busy the machine is."""
    return os.getloadavg()[0]


if __name__ == "__main__":
    look_at_flood(Way(**json.loads(sys.argv[1])))
