"""Build the front end in another folder: what is committed is what the sources say, anywhere."""

from __future__ import annotations

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = "labextension"
BUILT = "codex_nb/labextension"


def main() -> None:
    """Build and compare."""
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    # Below the checkout, so that the packages of npm need not be copied: a link to each file does.
    with tempfile.TemporaryDirectory(dir=cache, prefix="frontend-") as folder:
        copy = pathlib.Path(folder)
        shutil.copytree(ROOT / SOURCES, copy / SOURCES, copy_function=os.link, symlinks=True)
        subprocess.run(["node", "build.mjs"], cwd=copy / SOURCES, check=True)
        built, committed = _digests(copy / BUILT), _digests(ROOT / BUILT)
    stale = sorted({name for name, _ in built.items() ^ committed.items()})
    if stale:
        sys.exit(
            f"Not the build of the sources: {', '.join(stale)}.\n"
            "Run: cd labextension && npm run build"
        )


def _digests(folder: pathlib.Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


main()
