"""Build the wheel, look into it, install it into an environment of its own and run a turn there.

The environment sees neither the checkout nor node. To save minutes, the libraries that the wheel
requires come from the environment that runs this script; that they are the right ones is checked
against the metadata of the wheel.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "codex_nb"
NOTEBOOK = ROOT / "notebooks" / "01_first_session.ipynb"
SAID = "Busiest: **Harbour**"
NO_SEEDS = "There are no seeds"
LIMIT = 300.0
MAX_SIZE = 1_000_000

LABEXTENSIONS = ("jupyterlab.labextensions", r"codex-nb v[\d.]+ enabled +OK")
SERVER_EXTENSIONS = (
    "jupyter_server.extension.serverextension",
    r"codex_nb enabled",
    r"codex_nb .*OK",
)

CHECK_REQUIREMENTS = """
from importlib.metadata import distribution, version
from packaging.requirements import Requirement
import codex_nb
for text in distribution("codex-nb").requires:
    needed = Requirement(text)
    if needed.marker is None or needed.marker.evaluate({"extra": "codex"}):
        assert needed.specifier.contains(version(needed.name)), f"{text}: {version(needed.name)}"
print(codex_nb.__file__)
"""


def main() -> None:
    """Build, look, install, try."""
    with tempfile.TemporaryDirectory(prefix="codex-nb-wheel-") as scratch:
        folder = Path(scratch).resolve()
        wheel = build(folder / "dist")
        look_into(wheel)
        python = install(wheel, folder / "env")
        try_out(python, folder)
    print(f"{wheel.name}: complete, and a turn ran with it")


def build(folder: Path) -> Path:
    """Build the wheel as an installer would."""
    run([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT])
    [wheel] = folder.glob("*.whl")
    return wheel


def look_into(wheel: Path) -> None:
    """Make sure that it holds the package, whole, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    name = "-".join(wheel.name.split("-")[:2])
    front = "codex_nb/labextension"
    licences = ("LICENSE", f"{front}/LICENSES.txt", f"{front}/lab/static/third-party-licenses.json")
    about = {f"{name}.dist-info/{it}" for it in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    about |= {f"{name}.dist-info/licenses/{it}" for it in licences}
    lab = {it.removeprefix(f"{front}/lab/") for it in package if it.startswith(f"{front}/lab/")}
    data = {f"share/jupyter/labextensions/codex-nb/{it}" for it in (*lab, "install.json")}
    data.add("etc/jupyter/jupyter_server_config.d/codex_nb.json")
    whole = package | about | {f"{name}.data/data/{it}" for it in data}
    if names != whole:
        sys.exit(
            f"{wheel.name} lacks {sorted(whole - names)} and has {sorted(names - whole)} on top."
        )
    needed = {"py.typed", "labextension/widget.js", "labextension/widget.css"}
    needed |= {"labextension/lab/package.json"}
    needed |= {"replay/scenarios/first-session.toml", "labextension/LICENSES.txt"}
    missing = sorted(name for name in needed if f"codex_nb/{name}" not in names)
    strange = sorted(name for name in package if not name.endswith((".py", *_DATA)))
    if missing or strange or wheel.stat().st_size > MAX_SIZE:
        size = wheel.stat().st_size
        sys.exit(f"{wheel.name}: missing {missing}, strange {strange}, {size:,} bytes.")


_DATA = ("py.typed", ".js", ".css", ".json", ".orig", ".toml", ".yaml", "LICENSES.txt")


def install(wheel: Path, folder: Path) -> Path:
    """Install it, with the libraries of this environment behind it; return the Python there."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install"]
    run([*pip, "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel])
    site = next(folder.glob("lib/python*/site-packages"))
    # What .pth files over there add, such as this checkout, is not added by this line.
    site.joinpath("zz-libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def try_out(python: Path, folder: Path) -> None:
    """Run the first notebook there, in an empty home and without node."""
    trap = folder / "bin"
    trap.mkdir()
    called = folder / "node-was-called"
    for name in ("node", "npm", "npx"):
        trap.joinpath(name).write_text(f"#!/bin/sh\ntouch '{called}'\nexit 127\n")
        trap.joinpath(name).chmod(0o755)
    env = {
        "HOME": str(folder / "home"),
        "PATH": os.pathsep.join([str(trap), str(python.parent), os.environ["PATH"]]),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "CODEX_NB_REPLAY_SPEED": "0",
    }
    where = run([python, "-P", "-c", CHECK_REQUIREMENTS], cwd=folder, env=env).strip()
    if not Path(where).is_relative_to(python.parent.parent):
        sys.exit(f"codex_nb was imported from {where}, not from the wheel.")
    said = run([python.with_name("codex-nb"), "seed", "list"], cwd=folder, env=env)
    if NO_SEEDS not in said:
        sys.exit(f"`codex-nb seed list` did not say {NO_SEEDS!r}:\n{said}")
    # JupyterLab asks node for its version before it lists anything.
    look_for_extensions(python, folder, {**env, "PATH": os.environ["PATH"]})
    demo = folder / "demo.py"
    demo.write_bytes(ROOT.joinpath("scripts", "demo.py").read_bytes())
    work = ["--headless", "--work", folder / "work", NOTEBOOK]
    printed = run([python, demo, *work], cwd=folder, env=env)
    if SAID not in printed:
        sys.exit(f"The notebook did not say {SAID!r}:\n{printed}")
    if called.exists():
        sys.exit("Something called node.")


def look_for_extensions(python: Path, folder: Path, env: dict[str, str]) -> None:
    """Make sure that JupyterLab and the Jupyter server find and accept what was installed."""
    # Both write their tables to stderr.
    for module, *words in (LABEXTENSIONS, SERVER_EXTENSIONS):
        found = run([python, "-P", "-m", module, "list"], cwd=folder, env=env, errors=True)
        plain = re.sub(r"\x1b\[\d+m", "", found)
        if not all(re.search(word, plain) for word in words):
            sys.exit(f"{module} does not list the extension as enabled and valid:\n{plain}")


def run(
    argv: list[str | Path],
    *,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    errors: bool = False,
) -> str:
    """Run a program to its end and return what it printed; any failure ends this script.

    Args:
        argv: The program and its arguments.
        cwd: Where it runs.
        env: All of its environment.
        errors: Return what it printed as errors, too.
    """
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode != 0:
        words = " ".join(map(str, argv))
        sys.exit(f"{words}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr * errors


if __name__ == "__main__":
    main()
