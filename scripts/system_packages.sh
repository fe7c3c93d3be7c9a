#!/usr/bin/env bash
# Chromium for the browser tests, npm for the front end and for the codex versions that PyPI lacks.
set -eu
missing=()
command -v npm >/dev/null || missing+=(npm)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=(chromium)
[ ${#missing[@]} -eq 0 ] && exit 0
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
