"""What is asked of the other machine in a POSIX shell, because SFTP has no word for it.

Each is a script for `sh -c`, with the path as $1. Tools differ: GNU's, BSD's and busybox's are
tried one after the other.
"""

from __future__ import annotations

from codex_nb.hosts.ssh.launcher import TOOLS

ENVIRONMENT = {"PATH": TOOLS, "LC_ALL": "C", "TZ": "UTC0"}
"""The variables in which scripts run, so that tools answer in the same words everywhere."""

IS_WRITABLE = 'test -w "$1"'

REMOVE = r"""
[ -e "$1" ] || [ -h "$1" ] || exit 0
rm -rf -- "$1" 2>/dev/null && exit 0
# Caches of build tools hold folders that their owner may not write to.
[ -h "$1" ] || find "$1" -type d -exec chmod u+rwx {} \; 2>/dev/null
rm -rf -- "$1"
"""

DIGEST = r"""
exec <"$1" || exit
has() { command -v "$1" >/dev/null; }
if has sha256sum; then sha256sum
elif has shasum; then shasum -a 256
elif has openssl; then openssl dgst -sha256 -r
else python3 -c 'import hashlib, sys
print(hashlib.file_digest(sys.stdin.buffer, "sha256").hexdigest())'
fi
"""

# The change time cannot be set back by whoever rewrites a file in place.
STAMP = """
stat -L -c '%i:%s:%y:%z' -- "$1" 2>/dev/null || stat -L -f '%i:%z:%Fm:%Fc' -- "$1"
"""

IDENTITY = """
uname -n
{
    # Containers share the boot of their machine; each has a mount namespace of its own.
    cat /proc/sys/kernel/random/boot_id && readlink /proc/self/ns/mnt
} 2>/dev/null || { sysctl -n kern.bootsessionuuid; echo; }
id -u
"""

PLATFORM = "uname -s; uname -m"

FREE = 'df -P -k -- "$1"'

CLOCK = "date +%s"

UPTIME = 'read -r up rest </proc/uptime && echo "$up"; true'

END_MARKED = r"""
mark=$1 since=$2 ended=0
ticks=$(getconf CLK_TCK 2>/dev/null) || ticks=100
unset IFS
for round in 1 2 3 4 5; do
    found=
    for file in $(printf '%s\n' /proc/[0-9]*/environ | xargs grep -lsF -e "$mark"); do
        pid=${file#/proc/} pid=${pid%/environ}
        [ "$pid" != "$$" ] || continue
        tr '\n\000' '\001\n' <"$file" | grep -qxF -e "$mark" || continue
        if [ "$since" -gt 0 ]; then
            read -r stat <"/proc/$pid/stat" || continue
            # The name, which may hold anything, ends with the last parenthesis; then comes field 3.
            set -- ${stat##*) }
            shift 19
            [ $(($1 * 1000 / ticks)) -gt "$since" ] || continue
        fi
        kill -KILL "$pid" && found=yes ended=$((ended + 1))
    done
    [ -n "$found" ] && [ "$since" -eq 0 ] || break
done 2>/dev/null
echo "$ended"
"""
"""MARK SINCE: kills processes with a variable in their environment; born after SINCE, in ms of the
uptime, unless that is 0. How many there were is printed."""
