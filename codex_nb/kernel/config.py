"""The settings of codex_nb inside a kernel: defaults of every option of the magics.

`%config CodexNB` lists them; a profile's config file and the command line set them as
`CodexNB.<name>`.
"""

from __future__ import annotations

from traitlets import Bool, CaselessStrEnum, Dict, Float, List, TraitError, Unicode, validate
from traitlets.config import Configurable

SANDBOXES = ("read-only", "workspace-write", "danger-full-access")
ASKS = ("untrusted", "on-request", "never")
HOST_KEYS = ("address", "cwd", "codex", "tmux")
ENCRYPTIONS = ("", "none")


class CodexNB(Configurable):
    """Defaults of `%codex_run` and of `%codex_seed`."""

    codex = Unicode(
        "",
        help="Path of the codex program, or of its package folder. Default: empty, which looks "
        "for the PyPI wheel, then on PATH, then in the cache of codex_nb.",
    ).tag(config=True)
    tmux = Unicode("", help="Path of tmux. Default: empty, which means the one on PATH.").tag(
        config=True
    )
    ttyd = Unicode(
        "",
        help="Path of ttyd, 1.7.4 or newer. Default: empty, which looks on PATH, then for the "
        "one of the extra `terminal`.",
    ).tag(config=True)
    cwd = Unicode(
        "", help="Folder that Codex works in. Default: empty, which means the notebook's folder."
    ).tag(config=True)
    host = Unicode(
        "",
        help="SSH host that Codex runs on, as `--host` takes it. Default: empty, which means this "
        "machine.",
    ).tag(config=True)
    hosts = Dict(
        help="SSH hosts by names of yours: {name: {address, cwd, codex, tmux}}, each of which can "
        "be left out. Default: empty."
    ).tag(config=True)
    host_timeout = Float(
        1800.0,
        min=5,
        help="Seconds that an SSH host may be out of reach before its sessions are ended, there "
        "and here. Default: 1800.",
    ).tag(config=True)
    model = Unicode("", help="Model. Default: empty, which means Codex's own default.").tag(
        config=True
    )
    effort = Unicode(
        "",
        help="Reasoning effort, such as low, medium or high. Default: empty, which means the "
        "model's default.",
    ).tag(config=True)
    sandbox = CaselessStrEnum(
        SANDBOXES,
        "workspace-write",
        help="What commands may write: nothing (read-only), the working folder and the folders "
        "of `allow` (workspace-write), or everything (danger-full-access). Default: "
        "workspace-write.",
    ).tag(config=True)
    network = Bool(
        default_value=False,
        help="Whether sandboxed commands may use the network. Default: False.",
    ).tag(config=True)
    allow = List(
        Unicode(), help="Further folders that commands may write. Default: empty, which means none."
    ).tag(config=True)
    ask = CaselessStrEnum(
        ASKS,
        "on-request",
        help="When Codex asks before it acts: for everything that is not known to be safe "
        "(untrusted), when it wants to leave the sandbox (on-request), or never. Default: "
        "on-request.",
    ).tag(config=True)
    env = List(
        Unicode(),
        help="Environment variables for Codex, as NAME (this kernel's value) or NAME=VALUE. "
        "Default: empty, which means only the harmless ones of the allow-list.",
    ).tag(config=True)
    settings = Dict(
        help="Codex settings for every session, nested as in Codex's config.toml. Default: empty."
    ).tag(config=True)
    replay = Unicode(
        "",
        help="Name or path of a replay that stands in for the model. Default: empty, which "
        "means a real model.",
    ).tag(config=True)
    wait = Bool(
        default_value=False,
        help="Whether a cell waits until the turn is over. Default: False. A notebook that is "
        "executed without a person (jupyter execute, nbconvert, papermill) always waits.",
    ).tag(config=True)
    timeout = Float(
        0.0,
        min=0,
        help="Seconds after which a turn is interrupted. Default: 0, which means no limit.",
    ).tag(config=True)
    idle_timeout = Float(
        3600.0,
        min=0,
        help="Seconds without a turn after which a session ends; its thread can be taken up "
        "again. Default: 3600. 0 means never.",
    ).tag(config=True)
    approval_timeout = Float(
        1800.0,
        min=1,
        help="Seconds after which a question that nobody answered is declined. Default: 1800.",
    ).tag(config=True)
    reconnect_timeout = Float(
        120.0,
        min=0,
        help="Seconds that Codex may try to reach its model before the turn fails. Default: "
        "120. 0 means for ever.",
    ).tag(config=True)
    start_timeout = Float(
        30.0, min=1, help="Seconds that Codex has to start and to answer. Default: 30."
    ).tag(config=True)
    keep_days = Float(
        30.0,
        min=0,
        help="Days that the log and the thread of an ended session are kept. Default: 30. 0 "
        "means for ever.",
    ).tag(config=True)
    store = Unicode(
        "",
        help="Where seeds are kept: a path, sqlite:PATH or mongodb://…. Default: empty, which "
        "means $CODEX_NB_STORE, or else a file in the user's data folder.",
    ).tag(config=True)
    encryption = CaselessStrEnum(
        ENCRYPTIONS,
        "",
        help="Whether seeds are sealed; `none` keeps logins in clear. Default: empty, which "
        "seals them.",
    ).tag(config=True)
    key_file = Unicode(
        "",
        help="File with the key of the seeds. Default: empty, which means $CODEX_NB_KEY, "
        "$CODEX_NB_KEY_FILE, or else a file in the user's state folder.",
    ).tag(config=True)
    keyring = Bool(
        default_value=False,
        help="Whether the key of the seeds is kept in the system's keyring. Default: False.",
    ).tag(config=True)
    seed = Unicode(
        "",
        help="Name of the seed with which sessions log in, or pool:NAME. Default: empty, which "
        "means the only one that there is.",
    ).tag(config=True)
    seed_wait = Float(
        60.0,
        min=0,
        help="Seconds that a session waits for a seed that is in use. Default: 60. 0 means not "
        "at all.",
    ).tag(config=True)
    login_file = Bool(
        default_value=False,
        help="Whether Codex holds a ChatGPT login itself, in an auth.json of its session, instead "
        "of asking for access tokens. Default: False, which keeps the refresh token from it.",
    ).tag(config=True)
    state_dir = Unicode(
        "",
        help="Folder for the sessions of this user. Default: empty, which means `codex-nb` in "
        "Jupyter's runtime folder.",
    ).tag(config=True)

    @validate("hosts")
    def _check_hosts(self, proposal: dict[str, dict[str, object]]) -> dict[str, object]:
        for name, entry in proposal["value"].items():
            if not isinstance(entry, dict):
                raise TraitError(f"The host {name!r} must be a dictionary, such as {{'cwd': '~'}}.")
            for key, value in entry.items():
                if key not in HOST_KEYS:
                    known = ", ".join(HOST_KEYS)
                    raise TraitError(f"The host {name!r} has {key!r}, which is none of {known}.")
                if not isinstance(value, str):
                    raise TraitError(f"{key!r} of the host {name!r} must be a text.")
        return proposal["value"]

    @validate("env")
    def _check_env(self, proposal: dict[str, list[str]]) -> list[str]:
        for entry in proposal["value"]:
            if not entry.partition("=")[0].isidentifier():
                raise TraitError(f"{entry!r} is neither NAME nor NAME=VALUE.")
        return proposal["value"]
