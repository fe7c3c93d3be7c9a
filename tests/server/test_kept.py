"""What the log of a session tells while, and after, its host writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from codex_nb.protocol.changes import empty_transcript
from codex_nb.server.kept import bundle_of, snapshot_of
from codex_nb.sessions.channel import Decoder
from codex_nb.sessions.log import EventLog, read_transcript
from tests.server.speaker import Speaker

if TYPE_CHECKING:
    from pathlib import Path

    from codex_nb.protocol.messages import JsonObject

DIFF: JsonObject = {"op": "set", "key": "diff", "value": "one"}
MORE: JsonObject = {"op": "set", "key": "diff", "value": "two"}


def test_a_log_is_read_up_to_its_last_whole_event_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log.append([DIFF], at=1.0)
        for cut in (
            b'{"n":2,"op":"se',
            b"\xff\n",
            b'{"n":7,"op":"set","key":"diff","value":"x"}\n',
        ):
            whole = path.read_bytes()
            path.write_bytes(whole + cut)
            assert read_transcript(path) == ({**empty_transcript(), "diff": "one"}, 1)
            assert path.read_bytes() == whole + cut
            path.write_bytes(whole)
        log.append([MORE], at=2.0)
        assert read_transcript(path) == ({**empty_transcript(), "diff": "two"}, 2)
    with EventLog(path) as log:
        assert (log.restore(), log.last) == read_transcript(path)


def test_no_log_is_an_empty_transcript(tmp_path: Path) -> None:
    assert read_transcript(tmp_path / "none") == (empty_transcript(), 0)
    assert not (tmp_path / "none").exists()


def test_a_browser_that_knows_all_of_an_ended_session_is_sent_nothing(tmp_path: Path) -> None:
    speaker = Speaker(tmp_path)
    speaker.log.append([{"op": "merge", "key": "session", "value": {"ended": "closed"}}], at=2.0)
    entry = replace(speaker.entry, ended="closed")

    assert snapshot_of(entry, known=3) is None
    for known in (None, 2):
        line = snapshot_of(entry, known=known)
        assert line is not None
        (frame,) = Decoder().feed(line)
        transcript, number = read_transcript(entry.events)
        assert frame == {"frame": "snapshot", "n": number, "transcript": transcript}


def test_a_host_that_was_killed_shows_as_failed_in_a_bundle_too_and_its_log_stays(
    tmp_path: Path,
) -> None:
    speaker = Speaker(tmp_path)
    before = speaker.entry.events.read_bytes()
    running = bundle_of(speaker.entry, (0, None))
    killed = bundle_of(replace(speaker.entry, ended="failed"), (0, None))

    found = {}
    for name, bundle in (("running", running), ("killed", killed)):
        assert bundle["n"] == 2
        data = bundle["data"]
        assert isinstance(data, dict)
        transcript = data["application/vnd.codex-nb.session+json"]["transcript"]
        found[name] = (transcript["session"]["status"], transcript["turns"][0]["status"])
    assert found == {"running": ("running", "in_progress"), "killed": ("failed", "failed")}
    assert speaker.entry.events.read_bytes() == before
