"""Make the virtual environment of the project: `python3 scripts/make_venv.py FOLDER`.

Runs on whatever Python there is, so that an old one is told in one sentence.
"""

import subprocess
import sys


def main():
    """Make it."""
    if sys.version_info < (3, 11):
        sys.exit(
            "This needs Python 3.11 or newer, and %s is %s.\n"
            "Install one and name it: make PYTHON=python3.12 ..."
            % (sys.executable, sys.version.split()[0])
        )
    try:
        import ensurepip  # noqa: F401 - Debian and Ubuntu ship it apart
        import venv
    except ImportError:
        sys.exit(
            "This Python cannot make virtual environments.\n"
            "As root: apt-get install python3-venv, or name another: make PYTHON=python3.12 ..."
        )
    venv.create(sys.argv[1], with_pip=True)
    python = sys.argv[1] + "/bin/python"
    subprocess.check_call([python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"])


main()
