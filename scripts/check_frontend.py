"""Build the front end beside the committed one: what is committed is what the sources say."""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
COMMITTED = ROOT / "codex_nb" / "labextension"


def main() -> None:
    """Build and compare."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["node", "build.mjs", "--out", folder], cwd=ROOT / "labextension", check=True
        )
        stale = [
            built.name
            for built in sorted(pathlib.Path(folder).iterdir())
            if _digest(built) != _digest(COMMITTED / built.name)
        ]
    if stale:
        sys.exit(
            f"Not the build of the sources: {', '.join(stale)}.\n"
            "Run: cd labextension && npm run build"
        )


def _digest(path: pathlib.Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


main()
