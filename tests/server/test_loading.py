"""What an installation enables, and what it costs the start of a server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil

import codex_nb
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from tests.server.serving import Server

COST = """
import json, sys, time
import jupyter_server.serverapp
before = set(sys.modules)
began = time.process_time()
import codex_nb
codex_nb._jupyter_server_extension_points()
seconds = time.process_time() - began
print(json.dumps([sorted(set(sys.modules) - before), seconds]))
"""
HEAVY = {
    *("IPython", "anywidget", "asyncssh", "codex_cli_bin", "h11", "httpx", "ipykernel"),
    *("ipywidgets", "jsonschema_specifications", "mistune", "pandas", "pymongo", "yaml"),
}


def test_loading_imports_nothing_that_a_server_has_not_but_a_handful_of_modules_of_ours() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COST], capture_output=True, text=True, check=True, timeout=scaled(60)
    )
    modules, seconds = json.loads(done.stdout)

    foreign = {name.partition(".")[0] for name in modules} - {"codex_nb", "jupyter_server"}
    assert foreign & HEAVY == set()
    assert foreign <= sys.stdlib_module_names
    ours = [name for name in modules if name.startswith("codex_nb")]
    # The channel and what it speaks; not the registry, the reducer or a renderer.
    assert len(ours) < 25
    assert not any(
        name.startswith(("codex_nb.kernel", "codex_nb.static", "codex_nb.codex")) for name in ours
    )
    assert "codex_nb.sessions.registry" not in ours
    assert seconds < scaled(0.25)  # of the processor, however busy the machine is


def test_jupyter_server_lists_it_as_enabled_and_valid(server: Server) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "extension", "list"],
        env=server.environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=scaled(60),
    )

    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    lines = [line.split() for line in plain.splitlines()]
    assert ["codex_nb", "enabled"] in lines
    assert ["codex_nb", codex_nb.__version__, "OK"] in lines


def test_a_labextension_has_a_place_in_the_package() -> None:
    assert codex_nb._jupyter_labextension_paths() == [
        {"src": "labextension/lab", "dest": "codex-nb"}
    ]


def test_a_kernel_of_the_server_is_told_that_it_is_there(server: Server) -> None:
    process = psutil.Process(server.process.pid)
    with server.http() as client:
        kernel = client.post(f"{server.url}api/kernels", json={"name": "python3"}).json()["id"]
        try:
            found = [child.environ().get("CODEX_NB_SERVER") for child in process.children()]
        finally:
            client.delete(f"{server.url}api/kernels/{kernel}")

    assert found == ["1"]
