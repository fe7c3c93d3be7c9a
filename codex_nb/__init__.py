"""Work with OpenAI Codex from a notebook.

`%load_ext codex_nb` adds the magics. Importing this package imports none of the libraries that it
uses later.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

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
