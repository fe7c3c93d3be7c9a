"""JupyterLab on the first notebook, or that notebook as text.

    python scripts/demo.py [--headless] [--work FOLDER] [NOTEBOOK]

It works on a copy of the notebook's folder, so that neither the notebook nor its data change.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
START_LIMIT = 60.0
"""Seconds that JupyterLab may take until it listens."""

CELL_LIMIT = 600
"""Seconds that one cell may take."""


def main() -> int:
    """Run the demo and return its exit status."""
    parser = argparse.ArgumentParser(description="The first notebook, with a replayed model.")
    parser.add_argument("--headless", action="store_true", help="execute the notebook as text")
    parser.add_argument("--work", type=Path, default=ROOT / ".demo", help="where the copy goes")
    parser.add_argument(
        "notebook", type=Path, nargs="?", default=ROOT / "notebooks/01_first_session.ipynb"
    )
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    folder = arguments.notebook.parent
    copy = arguments.work / folder.name / arguments.notebook.name
    shutil.copytree(folder, copy.parent, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    return execute(copy) if arguments.headless else open_lab(arguments.work, copy)


def execute(path: Path) -> int:
    """Execute a notebook without a browser and print it as text, cell by cell."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_LIMIT,
        resources={"metadata": {"path": path.parent}},
        # A kernel warns of its unencrypted ports, which are on the loopback address.
        extra_arguments=["--log-level=ERROR"],
    )
    failed = True
    # What failed stands in the notebook, which is printed all the same.
    with suppress(CellExecutionError):
        client.execute()
        failed = False
    for cell in notebook.cells:
        print(f"\n{cell.source}\n" if cell.cell_type == "markdown" else _indented(cell.source))
        for output in cell.get("outputs", []):
            print("\n" + _text_of(output).rstrip())
    print()
    return 1 if failed else 0


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.splitlines())


def _text_of(output: dict[str, object]) -> str:
    match output["output_type"]:
        case "stream":
            return str(output["text"])
        case "error":
            return "\n".join(map(str, output["traceback"]))  # type: ignore[call-overload]
        case _:
            data = output["data"]
            return str(data.get("text/plain", "")) if isinstance(data, dict) else ""


def open_lab(root: Path, notebook: Path) -> int:
    """Start JupyterLab, print its address, and stay until it ends."""
    token = secrets.token_hex(16)
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser"),
            *("--ServerApp.root_dir", str(root), "--Application.log_level=ERROR"),
            *("--allow-root",) * (os.geteuid() == 0),
        ],
        # Not in argv, where every user of this machine could read it.
        env={**os.environ, "JUPYTER_TOKEN": token},
    )
    try:
        address = _address(server)
        tree = notebook.relative_to(root).as_posix()
        print(f"\nThe notebook is at\n\n    {address}lab/tree/{tree}?token={token}\n")
        print("Run its cells with Shift+Enter. Ctrl+C here ends JupyterLab.", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        server.terminate()
        server.wait()
        return 0


def _address(server: subprocess.Popen[bytes]) -> str:
    """Where the server listens, from the file that it writes when it does."""
    from jupyter_core.paths import jupyter_runtime_dir

    info = Path(jupyter_runtime_dir(), f"jpserver-{server.pid}.json")
    end = time.monotonic() + START_LIMIT
    while time.monotonic() < end and server.poll() is None:
        try:
            return str(json.loads(info.read_text())["url"])
        except (OSError, ValueError):
            time.sleep(0.1)
    server.terminate()
    sys.exit("JupyterLab did not start; its own words are above. Try again, or: jupyter lab")


sys.exit(main())
