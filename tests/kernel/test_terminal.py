"""The terminal of a session from a cell, on the real codex and tmux."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.test_runs import SESSION, STATIC, WIDGET
from tests.support.kernels import Kernel, kernel_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

STATUS = "(run._session.get('terminal') or {}).get('status')"


@pytest.fixture
def kernel(work: Path, env: dict[str, str]) -> Iterator[Kernel]:
    with kernel_in(work, {**env, "CODEX_NB_SERVER": "1"}) as kernel:
        assert kernel.run("%load_ext codex_nb\n%config CodexNB.replay = 'play.toml'").status == "ok"
        yield kernel
        kernel.run("run.close()")


def test_a_cell_without_a_prompt_shows_the_terminal_which_can_be_typed_in(kernel: Kernel) -> None:
    cell = kernel.run("%codex_run --tui -o run")
    assert cell.error == []
    kernel.wait_for(f"{STATUS} == 'running'")
    kernel.listen(cell)
    assert set(cell.bundle) == STATIC | {WIDGET, SESSION}
    data = cell.bundle[SESSION]
    assert isinstance(data, dict)
    assert data["face"] == "terminal"
    assert kernel.value("run.status, len(run.items)") == "idle 0"
    kernel.run("run.type('hello\\nthere')")
    kernel.wait_for("run.text == 'You said hello\\nthere.'")
    kernel.run("run.send('and now').wait()")
    assert kernel.value("run.text, len(run.items)") == "You said and now. 4"
    assert kernel.run("run.key('Hyper')").error[0] == "UsageError: There is no key 'Hyper'."


def test_a_running_conversation_opens_its_terminal_below_another_cell(
    kernel: Kernel, work: Path
) -> None:
    assert kernel.run("%codex_run -o run wait for it").status == "ok"
    cell = kernel.run("run.terminal()")
    assert cell.error == []
    data = cell.bundle[SESSION]
    assert isinstance(data, dict)
    assert (data["face"], data["session"]) == ("terminal", kernel.value("run.id"))
    assert kernel.value(STATUS) == "running"
    (work / "go").touch()
    assert kernel.run("run.wait()").status == "ok"
    assert kernel.value("run.text") == "It said gone"
    assert kernel.run("run.terminal()").error == []


def test_a_prompt_and_the_terminal_are_one_thread(kernel: Kernel) -> None:
    assert kernel.run("%codex_run --tui -o run hello").error == []
    kernel.run("run.wait()")
    assert kernel.value("run.text") == "You said hello."
    kernel.wait_for(f"{STATUS} == 'running'")


def test_a_terminal_alone_is_typed_in_and_has_no_conversation(kernel: Kernel) -> None:
    assert kernel.run("%codex_run --plain -o run").error == []
    kernel.wait_for(f"{STATUS} == 'running'")
    kernel.run("run.type('hello')")
    log = "run._follower.entry.folder + '/codex/sessions'"
    kernel.wait_for(f"any(p.is_file() for p in __import__('pathlib').Path({log}).rglob('*'))")
    assert kernel.run("run.send('and now')").error == [
        "SessionError: This session is a terminal without a conversation.",
        "Type in the terminal, or with run.type().",
    ]
    assert kernel.run("%codex_run --plain hello").error == [
        "UsageError: A plain terminal takes no prompt.",
        "Leave the prompt out, and type in the terminal or with run.type().",
    ]


def test_what_cannot_be_meant_is_told(work: Path, env: dict[str, str]) -> None:
    with kernel_in(work, env, is_attended=False) as kernel:
        kernel.run("%load_ext codex_nb\n%config CodexNB.replay = 'play.toml'")
        assert kernel.run("%codex_run --tui hello").error == [
            "UsageError: --tui needs a person in a notebook.",
            "Leave it out, or open the notebook.",
        ]
