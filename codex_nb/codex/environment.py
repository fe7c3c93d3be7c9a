"""The environment that codex and its commands get.

Nothing of the user's environment passes unless it is listed here: a notebook server's environment
is full of tokens, and codex hands its own on to every command that a model thinks of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_ALLOWED = frozenset(
    {
        # Who and where: shells and tools behave oddly without them.
        *("LANG", "LANGUAGE", "TZ", "TERM", "COLORTERM", "USER", "LOGNAME", "SHELL"),
        # How to reach the model from behind a company's proxy or certificate authority.
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
        *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
        *("NODE_EXTRA_CA_CERTS", "CODEX_CA_CERTIFICATE"),
        # Where a login is refreshed and revoked, which we and codex must agree on.
        *("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "CODEX_REVOKE_TOKEN_URL_OVERRIDE"),
        # The notebook's Python environment, so that `python` means the same for codex.
        *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONNOUSERSITE", "PYTHONUTF8", "PYENV_VERSION"),
        *("PYENV_ROOT", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "CONDA_EXE", "CONDA_PYTHON_EXE"),
        *("CONDA_SHLVL", "CONDA_ROOT", "MAMBA_ROOT_PREFIX", "MAMBA_EXE", "UV_PYTHON"),
        # Where a compiler or a loader finds libraries that the environment's programs need.
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_HOME", "CUDA_VISIBLE_DEVICES"),
        *(
            "JAVA_HOME",
            "R_HOME",
            "JULIA_PROJECT",
            "NIX_PATH",
            "NIX_SSL_CERT_FILE",
            "LOCALE_ARCHIVE",
        ),
        # How many cores the administrator granted.
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    }
)
_ALLOWED_PATTERN = re.compile(r"LC_[A-Z]+|CONDA_PREFIX_[0-9]+")

_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

_NOWHERE = "http://127.0.0.1:9"
"""A proxy that refuses every connection: nothing is looked up, not even a name."""

OFFLINE = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE),
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _NOWHERE),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1"),
}
"""Variables that keep codex and well-behaved commands on this machine."""


def allowed(user_env: Mapping[str, str]) -> dict[str, str]:
    """The part of the user's environment that passes, PATH always among it."""
    passed = {
        name: value
        for name, value in user_env.items()
        if name in _ALLOWED or _ALLOWED_PATTERN.fullmatch(name)
    }
    return {"PATH": user_env.get("PATH") or _DEFAULT_PATH, **passed}
