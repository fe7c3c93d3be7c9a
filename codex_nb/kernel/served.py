"""Whether the Jupyter server that started this kernel carries our extension.

Then the browser follows a session through the server, and nothing of it needs to go through the
kernel. The extension says so by an environment variable that kernels inherit.
"""

from __future__ import annotations

import os

VARIABLE = "CODEX_NB_SERVER"


def is_served() -> bool:
    """Whether a browser can follow sessions through the server."""
    return bool(os.environ.get(VARIABLE))
