"""What keeps processes alive on the other machine while nobody is connected, as POSIX shell.

Each process has a folder of its own in the folder of its session, where only the user may look:

    start   how it becomes the program; removed as soon as it was read, because it has variables
    in      what is written to its stdin, appended by us at offsets that we know
    out err what it wrote; we read on from the byte that we have
    pids    its supervisor, its guard and the program; a guard that was killed means the end of `in`
    exit    the exit status, when it ended
    end     a line then, for those who wait

Nothing of this is a named pipe: codex's sandbox lets a command write to every pipe on the disk.
The session has a warden, which looks at the file `beat` and ends everything when nobody changed it
for too long.
"""

from __future__ import annotations

from codex_nb.hosts.ssh.launcher import TOOLS
from codex_nb.hosts.tether import SWEEP

_HEAD = (
    f"PATH={TOOLS}\n"
    + r"""
lead() {
    command -v setsid >/dev/null && exec setsid "$@"
    command -v perl >/dev/null && exec perl -e 'use POSIX; POSIX::setsid(); exec @ARGV' "$@"
    exec python3 -c 'import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])' "$@"
}

# FILE BYTE PID: what is in a file from this byte on (the first is 1), until the process has ended.
follow() {
    case $(tail --version 2>/dev/null) in
    *GNU*) exec tail -c "+$2" -s 0.1 -f --pid="$3" "$1" ;;
    esac
    command -v perl >/dev/null && exec perl -e '
        open(F, "<", $ARGV[0]) or exit 1;
        sysseek(F, $ARGV[1] - 1, 0);
        my $idle = 0;
        while (1) {
            my $last = !kill(0, $ARGV[2]);
            while (sysread(F, my $data, 65536)) {
                $idle = 0;
                while (length $data) {
                    my $n = syswrite(STDOUT, $data);
                    defined $n or exit 1;
                    substr($data, 0, $n) = "";
                }
            }
            exit 0 if $last;
            $idle += 0.002 if $idle < 0.05;
            select(undef, undef, undef, $idle);
        }' "$@"
    command -v python3 >/dev/null && exec python3 -c '
import os, sys, time
file, idle = open(sys.argv[1], "rb"), 0.0
file.seek(int(sys.argv[2]) - 1)
while True:
    try:
        os.kill(int(sys.argv[3]), 0)
        last = False
    except OSError:
        last = True
    while data := file.read(65536):
        idle = 0.0
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    if last:
        break
    idle = min(idle + 0.002, 0.05)
    time.sleep(idle)' "$@"
    tail -c "+$2" -f "$1" &
    while kill -0 "$3"; do sleep 1; done 2>/dev/null
    sleep 2
    kill "$!"
}
"""
)

SUPERVISE = (
    _HEAD
    + r"""
cd -- "$1" || exit
# Its name is gone before the program runs, and so before any command could open it.
mkfifo feed && exec 6<>feed 7<feed 8>feed 6>&- || exit
rm -f feed
(lead /bin/sh -c '. "$0/start"' "$1" <&7 >>out 2>>err 7<&- 8>&-) &
child=$!
exec 7<&- 9>&-
(exec sleep 2147483647) 8>&- &
guard=$!
(umask 077; printf '%s %s %s\n' "$$" "$guard" "$child" >pids.new) && mv pids.new pids
(follow in 1 "$guard" >&8 8>&-) &
feeder=$!
exec 8>&-
wait "$child"
status=$?
kill -KILL "-$child"
(umask 077; printf '%s\n' "$status" >exit.new) && mv exit.new exit
echo over >>end
kill "$guard" "$feeder"
"""
)
"""FOLDER: starts the program and waits for its end, in a session of its own."""

START = (
    _HEAD
    + r"""
umask=$(umask)
umask 077
mkdir -p -- "$1" && cd -- "$1" && : >in && : >out && : >err && : >end && cat >start || exit
umask "$umask"
# What is left of this group is killed when this shell ends: first the others leave it.
(lead /bin/sh -c "$2" sh "$1" 9>&1 </dev/null >/dev/null 2>&1 &) | cat
"""
)
"""FOLDER SUPERVISE, with the text for `start` on stdin; what the start says comes on stdout."""

READ = (
    _HEAD
    + r"""
cd -- "$1" && read -r super rest <pids || exit
exec 8>&2 2>/dev/null  # a shell tells of children that it killed
(follow out "$2" "$super") &
out=$!
(follow err "$3" "$super") >&8 &
err=$!
# Where nobody waits for orphans the supervisor seems to live on: its last word counts.
{
    (follow end 1 "$super") &
    echo "$!"
    wait "$!"
} | {
    read -r end && read -r status
    kill "$end" "$out" "$err"
}
"""
)
"""FOLDER BYTE BYTE: what the program writes to stdout and stderr, until it has ended.

The last of it may be missing.
"""

END_INPUT = r"""
cd -- "$1" && read -r super guard child <pids && { [ -e exit ] || kill "$guard"; }
"""
"""FOLDER: nothing more comes; the program sees the end of its stdin once it has read `in`."""

STATUS = 'cat -- "$1/exit"'
"""FOLDER: the exit status."""

_END = r"""
end_processes() {
    for pids in "$1"/p/*/pids; do
        [ -e "${pids%pids}exit" ] || { read -r super guard child <"$pids" && kill "$guard"; }
    done 2>/dev/null
    # Tethers end what they hold in peace.
    patience=40
    while [ "$patience" -gt 0 ]; do
        left=
        for pids in "$1"/p/*/pids; do
            [ ! -e "$pids" ] || [ -e "${pids%pids}exit" ] || left=yes
        done
        [ -n "$left" ] || break
        if sleep 0.1; then patience=$((patience - 1)); else sleep 1; patience=$((patience - 10)); fi
    done
    for pids in "$1"/p/*/pids; do
        [ -e "${pids%pids}exit" ] || {
            read -r super guard child <"$pids"
            kill -KILL "-$child"
            kill -KILL "$super" "$guard"
        }
    done 2>/dev/null
    sweep
    # Since 0.163 codex listens in a folder of its own, and links to there.
    target=$(readlink "$1/codex.sock") && case $target in
    */codex-daemon-*/*) rm -f -- "$target" ;;
    esac
    while read -r folder; do rmdir -- "$folder"; done <"$1/leftovers"
} 2>/dev/null

remove_place() {
    rm -rf -- "$1" 2>/dev/null && return
    find "$1" -type d -exec chmod u+rwx {} \; 2>/dev/null
    rm -rf -- "$1"
}
"""

WARDEN = (
    f"PATH={TOOLS}\n{SWEEP}{_END}"
    + r"""
place=$1 mark=$2 period=$3 limit=$4
printf '%s\n' "$$" >"$place/warden"
exec 9>&-
trap 'kill "$!"; exit' TERM
idle=0 seen=
while [ -d "$place" ]; do
    sleep "$period" &
    wait "$!"
    read -r now <"$place/beat"
    if [ "$now" != "$seen" ]; then
        seen=$now idle=0
        continue
    fi
    idle=$((idle + period))
    if [ "$idle" -ge "$limit" ]; then
        trap '' TERM
        end_processes "$place"
        remove_place "$place"
    fi
done
"""
)
"""PLACE MARK PERIOD LIMIT: ends the session when `beat` did not change for LIMIT seconds."""

_OLD_WARDEN = r"""
end_warden() {
    [ -e "$1/warden" ] && read -r warden <"$1/warden" || return 0
    # Its number may be that of another process by now.
    case $(ps -o args= -p "$warden" 2>/dev/null || ps -o args) in
    *codex-nb-warden*) kill "$warden" ;;
    esac
} 2>/dev/null
"""

PLACE = (
    _HEAD
    + SWEEP
    + _END
    + _OLD_WARDEN
    + r"""
id=$1 mark=$2 period=$3 limit=$4
umask 077
for root in "/var/tmp/codex-nb-$(id -u)" "${XDG_STATE_HOME:-$HOME/.local/state}/codex-nb"; do
    mkdir -p -- "$root" && [ -O "$root" ] && [ ! -h "$root" ] && chmod 700 "$root" &&
        mkdir -p -- "$root/$id" && break
    root=
done 2>/dev/null
[ -n "$root" ] || { echo "neither /var/tmp nor the home can be written" >&2; exit 1; }
place=$root/$id
if [ -e "$place/warden" ]; then
    end_warden "$place"
    end_processes "$place"
    rm -rf -- "$place/p"
fi
: >"$place/beat" && : >"$place/leftovers" && mkdir -p "$place/p" || exit
(lead /bin/sh -c "$5" codex-nb-warden "$place" "$mark" "$period" "$limit" \
    9>&1 </dev/null >/dev/null 2>&1 &) | cat
printf '%s\n' "$place"
"""
)
"""ID MARK PERIOD LIMIT WARDEN: makes the folder of a session, with a warden, and prints its path.

What an earlier session host of the same session left running is ended; its files stay.
"""

CLOSE = (
    f"PATH={TOOLS}\n{SWEEP}{_END}{_OLD_WARDEN}"
    + r"""
mark=$2
end_warden "$1"
end_processes "$1"
remove_place "$1"
"""
)
"""PLACE MARK: ends what runs in the folder of a session, and removes it."""
