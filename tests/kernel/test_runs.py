"""Cells in a real kernel, on the real codex."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codex_nb.sessions.roots import fallback_root
from tests.kernel.conftest import TOKEN
from tests.support.kernels import Kernel, kernel_in
from tests.support.processes import processes_below

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codex_nb.protocol.messages import JsonObject

WIDGET = "application/vnd.jupyter.widget-view+json"
SESSION = "application/vnd.codex-nb.session+json"
STATIC = {"text/html", "text/markdown", "text/plain"}


@pytest.fixture
def kernel(work: Path, env: dict[str, str]) -> Iterator[Kernel]:
    """A kernel that a person watches; the sessions of `run` and `other` end with the test."""
    with kernel_in(work, env) as kernel:
        assert kernel.run("%load_ext codex_nb\n%config CodexNB.replay = 'play.toml'").status == "ok"
        yield kernel
        kernel.run("run.close()")
        kernel.run("other.close()")


def test_a_cell_returns_at_once_and_its_run_can_be_awaited(kernel: Kernel, work: Path) -> None:
    cell = kernel.run("%codex_run -o run wait for it")
    assert cell.status == "ok"
    assert kernel.value("run.status in ('starting', 'running')") == "True"
    timed_out = kernel.run("run.wait(0.2)")
    assert timed_out.error == [
        "TurnTimeoutError: The turn was not over after 0.2 s; it goes on.",
        "Wait longer, or stop it with run.interrupt().",
    ]
    (work / "go").touch()
    assert kernel.run("same = await run").status == "ok"
    assert kernel.value("same is run, run.status, run.text") == "True completed It said gone"
    assert kernel.value("run.error == '' and run.raise_for_status() is run") == "True"


def test_the_output_is_a_widget_and_a_whole_static_transcript(kernel: Kernel) -> None:
    cell = kernel.run("%codex_run -o run hello")
    assert set(cell.bundle) == STATIC | {WIDGET}
    kernel.run("run.wait()")
    kernel.listen(cell)
    for kind in sorted(STATIC):
        assert "You said hello." in str(cell.bundle[kind]), kind
    assert set(cell.bundle) == STATIC | {WIDGET}
    kernel.run("run.close()")
    kernel.listen(cell)
    assert set(cell.bundle) == STATIC | {SESSION}
    assert "You said hello." in str(cell.bundle["text/html"])


def test_a_run_as_the_value_of_its_cell_is_shown_once_and_later_again(kernel: Kernel) -> None:
    first = kernel.run("run = %codex_run hello\nrun")
    assert len(first.outputs) == 1
    assert kernel.run("run.wait()").outputs == []
    again = kernel.run("run")
    assert set(again.bundle) == STATIC | {WIDGET}
    assert re.fullmatch(r"<codex run 'run-\w{4}': completed, 2 items>", kernel.value("repr(run)"))


def test_a_second_cell_with_the_same_name_goes_on_with_the_thread(kernel: Kernel) -> None:
    first = kernel.run("%codex_run --name tidy -o other one")
    # At once, before codex has even started.
    second = kernel.run("%codex_run --name tidy -o run two")
    assert (first.status, second.status) == ("ok", "ok"), second.error
    kernel.run("other.wait(); run.wait()")
    assert kernel.value("run.thread_id != '' and run.thread_id == other.thread_id") == "True"
    assert kernel.value("other.text, run.text") == "You said one. You said two."
    assert kernel.value("len(other.items), len(run.items)") == "2 2"
    kernel.run("other = %codex_run --name tidy three\nother.wait()")
    assert kernel.value("other.text, run.text") == "You said three. You said two."
    kernel.listen(second)
    assert "three" not in str(second.bundle["text/plain"])


def test_a_run_goes_on_with_send(kernel: Kernel) -> None:
    kernel.run("%codex_run -o run one")
    kernel.run("run.send('two').wait()")
    assert kernel.value("run.text") == "You said two."
    empty = kernel.run("run.send(' ')")
    assert empty.error == ["UsageError: The prompt is empty.", "Say what Codex is to do."]


def test_a_running_session_is_not_what_another_cell_wants(kernel: Kernel) -> None:
    kernel.run("%codex_run --name tidy --sandbox read-only -o run one")
    kernel.run("run.wait()")
    cell = kernel.run("%codex_run --name tidy --sandbox workspace-write two")
    assert cell.status == "error"
    assert cell.error == [
        "UsageError: The session 'tidy' was started with another --sandbox than this cell gives.",
        "Leave the option out, use another --name, or close the session first.",
    ]
    kept = kernel.run("%codex_run --name tidy -o run two")
    assert kept.status == "ok"
    kernel.run("run.wait()")
    assert kernel.value("run.text") == "You said two."


def test_items_and_events_become_data_frames(kernel: Kernel) -> None:
    pytest.importorskip("pandas", reason="needs pandas: pip install it")
    kernel.run("%codex_run -o run hello\nNone")
    kernel.run("run.wait()")
    assert kernel.value("repr(run.items)") == "<2 items: 1 userMessage, 1 agentMessage>"
    assert kernel.value("list(run.items.to_pandas()['text'])") == "['hello', 'You said hello.']"
    assert kernel.value("(run.events.to_pandas()['n'].diff().dropna() == 1).all()") == "True"
    assert kernel.value("run.items[-1]['text'], run.items[:1][0]['type']") == (
        "You said hello. userMessage"
    )


def test_a_question_can_be_answered_from_a_cell(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("%codex_run -o run ask first")
    kernel.wait_for("run.status == 'waiting'")
    assert kernel.value("[a['reason'] for a in run.approvals]") == "['May I?']"
    kernel.run("run.approve().wait()")
    assert kernel.value("run.text, run.approvals") == "Asked. []"
    assert (tmp_path / "outside").exists()
    cell = kernel.run("run.approve()")
    assert cell.error == ["SessionError: No approval is waiting."]


def test_a_refusal_with_a_reason_lets_the_turn_go_on(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("%codex_run -o run ask first")
    kernel.wait_for("run.status == 'waiting'")
    kernel.run("run.decline('not there').wait()")
    assert kernel.value("run.status") == "completed"
    assert not (tmp_path / "outside").exists()
    said = "[i['text'] for i in run.items if i['type'] == 'userMessage']"
    assert kernel.value(said) == "['ask first', 'I declined this: not there']"


def test_an_interrupted_turn_leaves_the_session_usable(kernel: Kernel) -> None:
    kernel.run("%codex_run -o run wait for it")
    kernel.wait_for("any(i['type'] == 'commandExecution' for i in run.items)")
    assert kernel.run("run.interrupt().wait()").status == "ok"
    assert kernel.value("run.status") == "interrupted"
    kernel.run("run.send('go on').wait()")
    assert kernel.value("run.status, run.text") == "completed You said go on."


def test_a_waiting_cell_fails_with_its_turn_in_two_lines(kernel: Kernel) -> None:
    cell = kernel.run("%codex_run --wait -o run fail please")
    assert cell.status == "error"
    assert len(cell.error) == 2, cell.error
    assert cell.error[0].startswith("SessionError: ")
    assert "Not today." in cell.error[0]
    assert "Not today." in str(cell.bundle["text/plain"])
    assert kernel.value("run.status") == "failed"


def test_a_killed_host_is_told_and_send_goes_on(kernel: Kernel, tmp_path: Path) -> None:
    kernel.run("%codex_run --name tidy -o run one")
    kernel.run("run.wait()")
    thread = kernel.value("run.thread_id")
    kernel.run("run.send('wait for it')")
    kernel.wait_for("any(i['type'] == 'commandExecution' for i in run.items)")
    (host,) = [p for p in processes_below(tmp_path) if "codex_nb.sessions.host" in p.command]
    os.kill(host.pid, signal.SIGKILL)
    kernel.run("run.wait()")
    assert kernel.value("run.status") == "failed"
    assert kernel.value("run.error") == "The session host was ended from outside."
    assert processes_below(tmp_path) == []
    assert kernel.run("run.send('three').wait()").status == "ok"
    assert kernel.value("run.status, run.text") == "completed You said three."
    assert kernel.value("run.thread_id") == thread
    cell = kernel.run("%codex_run --name tidy -o other four")
    kernel.run("other.wait()")
    assert cell.status == "ok"
    assert kernel.value("other.thread_id, other.text") == f"{thread} You said four."


def test_a_closed_session_says_so_and_its_name_is_free(kernel: Kernel) -> None:
    kernel.run("%codex_run --name tidy -o run one")
    kernel.run("run.wait().close()")
    closed = kernel.run("run.send('two')")
    assert closed.error == [
        "SessionClosedError: The session 'tidy' was closed.",
        "Start a new one with %codex_run.",
    ]
    assert kernel.run("run.interrupt()").status == "error"
    assert kernel.run("run.close()").status == "ok"
    kernel.run("other = %codex_run --name tidy two\nother.wait()")
    assert kernel.value("other.id != run.id and other.text") == "You said two."


def test_a_restarted_kernel_finds_its_session_running(kernel: Kernel, work: Path) -> None:
    kernel.run("%codex_run --name tidy --sandbox read-only -o run one")
    kernel.run("run.wait()")
    before = kernel.value("run.id, run.thread_id")
    kernel.restart()
    kernel.run("%load_ext codex_nb")
    cell = kernel.run("%codex_run --name tidy -o run two")
    assert cell.status == "ok", cell.error
    kernel.run("run.wait()")
    assert kernel.value("run.id, run.thread_id") == before
    assert kernel.value("run.text, len(run.items)") == "You said two. 2"
    assert work.is_dir()


def test_a_secret_is_in_no_output_and_in_no_file(kernel: Kernel, tmp_path: Path) -> None:
    cell = kernel.run("%codex_run --env GIVEN -o run secret")
    kernel.run("run.wait()")
    assert kernel.value("run.text") == "It said has it"
    kernel.listen(cell)
    assert TOKEN not in json.dumps(cell.outputs)
    assert all(TOKEN not in process.command for process in processes_below(tmp_path))
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_an_unattended_cell_waits_and_its_session_ends_with_the_kernel(
    work: Path, env: dict[str, str], tmp_path: Path
) -> None:
    with kernel_in(work, env, is_attended=False) as kernel:
        kernel.run("%load_ext codex_nb")
        cell = kernel.run("%codex_run --replay play.toml -o run ask me")
        assert cell.status == "ok", cell.error
        assert kernel.value("run.status, run.text") == "completed Asked."
        notes = "[(a['status'], a['note']) for a in run._follower.records('approvals')]"
        assert kernel.value(notes) == (
            "[('declined', 'Nobody could be asked, so it was declined.')]"
        )
        failed = kernel.run("%codex_run --replay play.toml fail")
        assert (failed.status, len(failed.error)) == ("error", 2)
        assert processes_below(tmp_path) != []
    assert processes_below(tmp_path) == []


def test_loading_is_silent_and_writes_nothing(
    work: Path, env: dict[str, str], tmp_path: Path
) -> None:
    with kernel_in(work, env) as kernel:
        kernel.run("import os")
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        cell = kernel.run("%load_ext codex_nb")
        after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
        assert (cell.status, cell.outputs) == ("ok", [])
        # The history is the kernel's own; so is the folder in which its journal comes and goes.
        changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
        assert {p for p in changed if "history.sqlite" not in p.name and not p.is_dir()} == set()
        heavy = "{'anywidget', 'httpx', 'asyncssh', 'pymongo', 'pandas', 'h11'} & set(sys.modules)"
        assert kernel.run("import sys").status == "ok"
        assert kernel.value(heavy) == "set()"


def test_a_missing_codex_is_told_by_the_cell(kernel: Kernel) -> None:
    kernel.run("%config CodexNB.codex = '/nowhere/codex'")
    cell = kernel.run("%codex_run hello")
    assert cell.error == [
        "CodexNotFoundError: There is no codex program at /nowhere/codex.",
        "Give the path of a codex program, or of the folder of its package.",
    ]
    assert cell.outputs == []


def test_an_idle_session_is_taken_up_again_by_send(kernel: Kernel) -> None:
    kernel.run("%config CodexNB.idle_timeout = 0.5")
    kernel.run("%codex_run -o run one")
    kernel.run("run.wait()")
    thread = kernel.value("run.thread_id")
    kernel.wait_for("run.events[-1].get('value', {}).get('ended') == 'idle'")
    # At once, while the process of the session may still be on its way out.
    assert kernel.run("run.send('two').wait()").error == []
    assert kernel.value("run.status, run.text") == "completed You said two."
    assert kernel.value("run.thread_id") == thread


def test_an_interrupted_cell_says_so_and_the_turn_goes_on(kernel: Kernel, work: Path) -> None:
    cell = kernel.run_and_interrupt(
        "%codex_run --wait -o run wait for it", when=lambda: any(processes_below(work))
    )
    assert cell.error == [
        "SessionError: The cell was interrupted while it waited; the turn goes on.",
        "Stop it with its Stop button or run.interrupt(), or wait again with run.wait().",
    ]
    (work / "go").touch()
    kernel.run("run.wait()")
    assert kernel.value("run.status, run.text") == "completed It said gone"


def test_a_person_answers_with_a_button_while_the_cell_waits(
    kernel: Kernel, tmp_path: Path
) -> None:
    cell = kernel.run("%codex_run -o run ask first")
    kernel.wait_for("run.status == 'waiting'")
    view = cell.bundle[WIDGET]
    assert isinstance(view, dict)
    question = kernel.value("run.approvals[0]['id']")
    answer: JsonObject = {"id": 1, "op": "answer", "approval": question, "decision": "accept"}
    assert kernel.click(str(view["model_id"]), answer) == {"reply": 1, "ok": {}}
    late = kernel.click(str(view["model_id"]), {**answer, "id": 2})
    assert late["reply"] == 2
    assert set(late) == {"reply", "error"}
    kernel.run("run.wait()")
    assert kernel.value("run.text") == "Asked."
    assert (tmp_path / "outside").exists()


def test_sessions_live_elsewhere_when_codex_may_write_their_folder(
    work: Path, env: dict[str, str]
) -> None:
    inside = {**env, "JUPYTER_RUNTIME_DIR": str(work / "runtime")}
    with kernel_in(work, inside, is_attended=False) as kernel:
        kernel.run("%load_ext codex_nb")
        cell = kernel.run("%codex_run --replay play.toml -o run one")
        assert cell.status == "ok", cell.error
        folder = Path(kernel.value("run._follower.events_path.parent"))
        assert folder.parent == fallback_root()
        assert not (work / "runtime/codex-nb").exists()
        kernel.run("run.close()")
    shutil.rmtree(folder)
