"""Work with OpenAI Codex from a notebook.

`%load_ext codex_nb` adds the magics. Importing this package imports none of the libraries that it
uses later.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from codex_nb.server.app import CodexNBServer

__version__ = "0.1.0"

logging.getLogger(__name__).addHandler(logging.NullHandler())


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics with a running IPython; prints and writes nothing."""
    from codex_nb.kernel.magics import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take the magics away again. Running sessions go on."""
    from codex_nb.kernel.magics import unregister

    unregister(shell)


def _jupyter_server_extension_points() -> list[dict[str, str | type[CodexNBServer]]]:
    """Where jupyter_server finds the extension that carries sessions to browsers."""
    from codex_nb.server.app import CodexNBServer

    return [{"module": "codex_nb.server.app", "app": CodexNBServer}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    """Where `jupyter-builder develop` finds the built JupyterLab extension."""
    return [{"src": "labextension/lab", "dest": "codex-nb"}]
