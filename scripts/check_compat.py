"""Try the wheel where it will be used: on the oldest JupyterLab that it is for, and on Notebook 7.

Each has an environment of its own in .cache/compat, with the wheel and without this checkout. The
tests of what the conversation survives run against its Jupyter server.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from check_wheel import ROOT, build, run

# The oldest of each that we are for; whatever else they need is as new as they allow.
ENVIRONMENTS = {
    "lab": ["jupyterlab==4.2.0", "jupyter-server==2.13.0", "ipykernel==6.29.5"],
    "notebook": ["notebook>=7,<8"],
}
TESTS = [ROOT / "tests" / "browser" / "test_survival.py"]


def main() -> None:
    """Build the wheel and try it in each environment."""
    with tempfile.TemporaryDirectory(prefix="codex-nb-wheel-") as scratch:
        wheel = build(Path(scratch))
        pythons = {app: install(app, needs, wheel) for app, needs in ENVIRONMENTS.items()}
    for app, python in pythons.items():
        versions = run([python, "-m", "jupyter", "--version"]).splitlines()
        print(
            f"== {app}:", *(" ".join(line.split()) for line in versions if app in line), flush=True
        )
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *TESTS],
            cwd=ROOT,
            env={**os.environ, "CODEX_NB_TEST_JUPYTER": str(python), "CODEX_NB_TEST_APP": app},
            check=True,
        )


def install(app: str, needs: list[str], wheel: Path) -> Path:
    """An environment with a Jupyter application and the wheel; returns its Python."""
    wanted = hashlib.sha256("\n".join([sys.version, *needs]).encode()).hexdigest()[:12]
    folder = ROOT / ".cache" / "compat" / f"{app}-{wanted}"
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not folder.joinpath("ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=True)
        run([*pip, *needs, f"codex-nb[codex] @ {wheel.as_uri()}"])
        folder.joinpath("ready").touch()
    run([*pip, "--no-deps", "--force-reinstall", wheel])
    return python


if __name__ == "__main__":
    main()
