"""Which tmux runs here, and how it is set up.

Checked against tmux 3.3a. Older than 3.2 it cannot stay in the foreground (-D), nor take a viewer
that only looks (attach-session -f).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codex_nb.errors import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codex_nb.hosts.base import Host

OLDEST = (3, 2)
"""The oldest version of tmux that has what we need."""

INSTALL = (
    "Install tmux 3.2 or newer: apt install tmux, dnf install tmux, brew install tmux, or "
    "conda install -c conda-forge tmux."
)

# Nothing here comes from outside. Unknown options of other versions are passed over by -q.
CONFIG = r"""
# The server lives as long as we want, and takes nothing over from whoever attaches.
set -sq exit-empty off
set -sq exit-unattached off
set -gq destroy-unattached off
set -gq update-environment ""
set -gq lock-after-time 0
set -gq remain-on-exit on
set -gq remain-on-exit-format ""

# Escape arrives at once; programs see when the person looks elsewhere.
set -sq escape-time 0
set -sq focus-events on
set -sq default-terminal screen-256color
set -asq terminal-features ",xterm*:RGB"
set -gq history-limit 5000

# A program shall not write to the clipboard of whoever looks on (OSC 52), name windows, or talk to
# the terminal outside past tmux.
set -sq set-clipboard off
set -gwq allow-passthrough off
set -gwq allow-rename off
set -gwq automatic-rename off
set -gq set-titles off

# The size is that of whoever typed last. "manual" ends tmux 3.3a at the next new session.
set -gq window-size latest
set -gwq aggressive-resize off
set -gq status off
set -gq bell-action none
set -gwq monitor-bell off
set -gwq monitor-activity off

# No key of tmux gets between the person and the program.
set -gq prefix None
set -gq prefix2 None
set -gwq mode-keys emacs
unbind -aq -T prefix
unbind -aq -T root
unbind -aq -T copy-mode
unbind -aq -T copy-mode-vi

# The wheel scrolls. Codex 0.163 and later take the mouse and scroll their transcript, if the mouse
# is on here, for which they ask tmux; were it off, the wheel would come as Up and Down, which
# change the message in the editor. Codex 0.142 writes a plain screen: there tmux scrolls, and any
# other key leads back. Others on the second screen get arrow keys, as from other terminals.
set -gq mouse on
bind -T root WheelUpPane if -F "#{||:#{pane_in_mode},#{mouse_any_flag}}" {
    send -M
} {
    if -F "#{alternate_on}" { send -N 3 Up } { copy-mode -e ; send -X -N 3 scroll-up }
}
bind -T root WheelDownPane if -F "#{||:#{pane_in_mode},#{mouse_any_flag}}" {
    send -M
} {
    if -F "#{alternate_on}" { send -N 3 Down }
}
bind -T root PPage if -F "#{alternate_on}" { send PPage } { copy-mode -eu }
bind -T copy-mode WheelUpPane send -X -N 3 scroll-up
bind -T copy-mode WheelDownPane send -X -N 3 scroll-down
bind -T copy-mode PPage send -X page-up
bind -T copy-mode NPage send -X page-down
bind -T copy-mode Up send -X scroll-up
bind -T copy-mode Down send -X scroll-down
bind -T copy-mode Home send -X history-top
bind -T copy-mode Any send -X cancel
"""

_VERSION = re.compile(r"tmux (?:next-)?(\d+)\.(\d+)")
_LIMIT = 10.0


async def check_tmux(host: Host, program: str, *, env: Mapping[str, str]) -> tuple[int, int]:
    """Make sure that there is a tmux that we can use, and tell its version.

    A version without numbers, such as "master", counts as new.

    Args:
        host: Where it is to run.
        program: Its path, or a name on the PATH of `env`.
        env: Its environment.

    Raises:
        HostError: There is no tmux, or it is too old.
    """
    try:
        done = await host.run([program, "-V"], cwd="/", env=env, timeout=_LIMIT)
    except HostError as exc:
        raise HostError(f"There is no tmux on {host.name}: {exc.message}.", hint=INSTALL) from exc
    text = done.stdout.decode(errors="replace").strip()
    if done.exit_status != 0 or not text.startswith("tmux "):
        raise HostError(
            f"{program} on {host.name} is not tmux: it exited with {done.exit_status} and told no "
            "version.",
            hint=INSTALL,
        )
    found = _VERSION.match(text)
    version = (int(found[1]), int(found[2])) if found else (99, 0)
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise HostError(f"{text} on {host.name} is older than {oldest}.", hint=INSTALL)
    return version
