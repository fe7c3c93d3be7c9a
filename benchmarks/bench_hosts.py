"""A session on an SSH host against one on this machine, on a real sshd on loopback.

Each also through a relay that adds 40 ms to every round trip. The model is the same and answers at
once, the ways take turns. An upload is that of codex itself, against scp and rsync (where it is
installed) of the same file. At last the connection is cut for 30 s in the middle of a turn.

Aims: an upload at 0.9 of the faster of scp and rsync; 0 events lost by the cut; an echo at most
0.5 ms later than here.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from rig import ROOT
from websockets.asyncio.client import unix_connect

sys.path.insert(0, str(ROOT))

from codex_nb.codex.binary import find_codex
from codex_nb.codex.package import package_of
from codex_nb.hosts.local import LocalHost
from codex_nb.hosts.ssh.enduring_host import EnduringHost
from codex_nb.hosts.ssh.host import SshHost
from codex_nb.terminal.pty_server import PtyServer
from codex_nb.terminal.ttyd import Ttyd, find_ttyd
from tests.support.sessions import Rig, command, say
from tests.support.sshd import running_sshd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from codex_nb.replay.scenario import Step
    from tests.support.sessions import Viewer
    from tests.support.sshd import Sshd

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10
CUT = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
DELAY = 0.040
KEYS = 200
WORDS = 4000
TERM = {"PATH": "/usr/bin:/bin", "TERM": "xterm-256color"}


@asynccontextmanager
async def delayed(port: int, delay: float) -> AsyncIterator[int]:
    """A port that leads to another one, and makes a round trip longer."""
    loop = asyncio.get_running_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                at, data = await late.get()
                await asyncio.sleep(max(0, at - loop.time()))
                if not data:
                    writer.close()
                    return
                writer.write(data)
                await writer.drain()

        delivering = asyncio.create_task(deliver())
        try:
            while data := await reader.read(1 << 18):
                late.put_nowait((loop.time() + delay / 2, data))
            late.put_nowait((loop.time() + delay / 2, b""))
            await delivering
        except OSError:
            delivering.cancel()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def config_for(sshd: Sshd, folder: Path, port: int) -> str:
    """The configuration of the server, by another way to it."""
    path = folder / f"config-{port}"
    text = sshd.config.read_text().replace(f"Port {sshd.port}", f"Port {port}")
    known = folder / f"known-{port}"
    known.write_text(sshd.known_hosts.read_text().replace(f":{sshd.port} ", f":{port} "))
    path.write_text(text.replace(str(sshd.known_hosts), str(known)))
    return str(path)


async def turn(viewer: Viewer) -> tuple[float, float]:
    """Seconds to the first words of an answer, and thousand words a second from there on."""
    began = time.perf_counter()
    place = (await viewer.client.request("send", text="go"))["index"]
    known = len(viewer.items("agentMessage"))
    await viewer.until(lambda _: any(it["text"] for it in viewer.items("agentMessage")[known:]))
    first = time.perf_counter()
    await viewer.until_turn(place)
    return first - began, WORDS / 1000 / (time.perf_counter() - first)


async def conversations(ways: dict[str, dict[str, object]], rig: Rig) -> dict[str, list[float]]:
    """Starts, first words and speeds of each way, taking turns."""
    found: dict[str, list[float]] = {}
    for name, values in ways.items():
        turns: list[list[Step]] = [[say(" ".join(map(str, range(WORDS))))]] * (ROUNDS + 1)
        began = time.perf_counter()
        async with rig.model(*turns) as model, rig.session(model, **values) as viewer:
            await viewer.until_status("idle")
            start = time.perf_counter() - began
            await turn(viewer)
            measured = [await turn(viewer) for _ in range(ROUNDS)]
        found[name] = [
            start,
            1000 * median(it[0] for it in measured),
            median(it[1] for it in measured),
        ]
    return found


async def echo(socket: str) -> tuple[float, float]:
    """Milliseconds from a key to its echo: the median, and what one in a hundred exceeds."""
    times = []
    async with unix_connect(
        socket, "ws://localhost/ws", subprotocols=["tty"], max_size=None, compression=None
    ) as viewer:
        await viewer.send(json.dumps({"columns": 100, "rows": 30, "AuthToken": ""}).encode())
        await asyncio.sleep(1)
        for number in range(KEYS):
            key = b"abcdefghijklmnopqrstuvwxyz"[number % 26 :][:1]
            began = time.perf_counter()
            await viewer.send(b"0" + key)
            while True:
                message = await viewer.recv()
                if isinstance(message, bytes) and message[:1] == b"0" and key in message[1:]:
                    break
            times.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.005)
    return median(times), quantiles(times, n=100)[98]


async def echoes(configs: dict[str, str], folder: Path) -> dict[str, list[float]]:
    """The echo here and there, of a raw pty."""
    argv = ["/bin/sh", "-c", "stty -icanon -echo; exec cat"]
    folder.mkdir(mode=0o700)
    found = {}
    here = await Ttyd.start(
        LocalHost(), find_ttyd(), socket=f"{folder}/here.sock", argv=argv, writable=True,
        env=TERM, mark="CODEX_NB_BENCH=1",
    )  # fmt: skip
    try:
        found["here"] = list(await echo(here.socket))
    finally:
        await here.close()
    for name, config in configs.items():
        host = EnduringHost(
            "box", session=f"bench-{os.getpid()}", mark=f"CODEX_NB_BENCH={os.getpid()}",
            patience=600, config=[config],
        )  # fmt: skip
        await host.open()
        server = await PtyServer.start(
            host, socket=f"{folder}/there.sock", argv=argv, writable=True, env=TERM
        )
        try:
            found[name] = list(await echo(server.socket))
        finally:
            await server.close()
            await host.close()
    return found


async def uploads(configs: dict[str, str], file: Path, target: Path) -> dict[str, dict[str, float]]:
    """MB/s of a file, by us and by others."""
    size = file.stat().st_size / 1e6

    async def ours(config: str) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            with file.open("rb") as stream:
                while piece := stream.read(1 << 20):
                    yield piece

        async with SshHost("box", config=[config]) as host:
            await host.pour(["/bin/sh", "-c", f'cat >"{target}"'], pieces(), env=TERM)

    async def run(*argv: str) -> None:
        process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.DEVNULL)
        if await process.wait() != 0:
            sys.exit(f"{argv[0]} failed")

    found: dict[str, dict[str, float]] = {}
    for name, config in configs.items():
        ways = {
            "codex-nb": lambda config=config: ours(config),
            "scp": lambda config=config: run("scp", "-q", "-F", config, str(file), f"box:{target}"),
        }
        if shutil.which("rsync"):
            ssh = f"ssh -F {shlex.quote(config)}"
            ways["rsync"] = lambda ssh=ssh: run(
                "rsync", "-W", "--inplace", "-e", ssh, str(file), f"box:{target}"
            )
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(3):
            for way, work in ways.items():
                target.unlink(missing_ok=True)
                began = time.perf_counter()
                await work()
                times[way].append(time.perf_counter() - began)
                if target.stat().st_size != file.stat().st_size:
                    sys.exit(f"{way} did not copy the file")
        found[name] = {way: size / median(seconds) for way, seconds in times.items()}
    return found


async def cut(rig: Rig) -> tuple[int, int]:
    """Events and items that a cut in the middle of a turn loses."""
    script = "for i in $(seq 400); do echo line $i; sleep 0.1; done"
    steps = [command(script, timeout=120), say("over")]

    async def play(*, is_cut: bool) -> tuple[int, list[tuple[object, object]]]:
        async with rig.model(steps) as model, rig.session(model, host="box") as viewer:
            await viewer.until_status("idle")
            place = (await viewer.client.request("send", text="go"))["index"]
            await viewer.until(lambda _: viewer.items("commandExecution") != [])
            if is_cut and rig.sshd is not None:
                rig.sshd.is_down = True
                rig.sshd.cut()
                await asyncio.sleep(CUT)
                rig.sshd.is_down = False
            await viewer.until_turn(place, seconds=300)
            numbers = [event["n"] for event in rig.events(viewer)]
            told = [(it["text"], it.get("output")) for it in viewer.records("items")]
        return numbers[-1] - len(numbers), told  # type: ignore[operator]

    lost, with_cut = await play(is_cut=True)
    _, without = await play(is_cut=False)
    return lost, sum(a != b for a, b in zip(with_cut, without, strict=True))


async def measure(folder: Path, sshd: Sshd) -> None:
    """Measure all of it, and show it."""
    os.environ["CODEX_NB_REPLAY_SPEED"] = "0"
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    (folder / "work").mkdir()
    (folder / "sessions").mkdir()
    program = find_codex()
    rig = Rig(root=folder / "sessions", cwd=folder / "work", program=program, sshd=sshd)
    async with delayed(sshd.port, DELAY) as port:
        near, far = str(sshd.config), config_for(sshd, folder, port)
        configs = {"SSH": near, "SSH + 40 ms": far}
        ways: dict[str, dict[str, object]] = {
            "here": {"host": "", "ssh_config": ()},
            **{name: {"ssh_config": (config,)} for name, config in configs.items()},
        }
        talks = await conversations(ways, rig)
        keys = await echoes(configs, folder / "t")
        package = package_of(program.path, program.version)
        if package is None:
            sys.exit("the codex of this machine is no whole package")
        largest = max(package.files, key=lambda file: file.size)
        sent = await uploads(configs, Path(package.folder, largest.name), folder / "copy")
    print(f"{os.cpu_count()} cores, {ROUNDS} turns, {KEYS} keys, {largest.size / 1e6:.0f} MB\n")
    print(f"{'':<14}{'start s':>9}{'first words ms':>16}{'k words/s':>11}{'echo p50 ms':>13}"
          f"{'p99 ms':>8}")  # fmt: skip
    for name, (start, first, speed) in talks.items():
        p50, p99 = keys[name]
        print(f"{name:<14}{start:>9.2f}{first:>16.1f}{speed:>11.1f}{p50:>13.2f}{p99:>8.2f}")
    print("\nUpload, MB/s")
    for name, by in sent.items():
        words = "  ".join(f"{way} {speed:.0f}" for way, speed in by.items())
        best = max(speed for way, speed in by.items() if way != "codex-nb")
        print(f"{name:<14}{words}  ratio to the best of the others {by['codex-nb'] / best:.2f}")
    lost, differing = await cut(rig)
    print(f"\nA cut of {CUT:g} s: {lost} events lost, {differing} items that differ")
    ssh, here = keys["SSH"], keys["here"]
    show_aims(
        ("echo p50 over SSH, more than here, ms", ssh[0] - here[0], 0.5),
        ("upload, best of the others / codex-nb", 1 / ratio(sent["SSH"]), 1 / 0.9),
        ("upload + 40 ms, best of the others / codex-nb", 1 / ratio(sent["SSH + 40 ms"]), 1 / 0.9),
        ("events lost by the cut", lost, 0),
    )


def ratio(by: dict[str, float]) -> float:
    """Our speed, of the fastest of the others."""
    return by["codex-nb"] / max(speed for way, speed in by.items() if way != "codex-nb")


def show_aims(*aims: tuple[str, float, float]) -> None:
    """Say which aims are met."""
    print()
    for name, value, aim in aims:
        print(f"{name:<48}{value:>8.2f}  <= {aim:<6.3g}{'' if value <= aim else 'MISSED'}")


def main() -> None:
    """Measure with a server of our own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        with running_sshd(folder / "server") as sshd:
            asyncio.run(measure(folder, sshd))


if __name__ == "__main__":
    main()
