"""From the text of a cell to what it asks for."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from codex_nb.errors import CodexNBError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.shells import Shell


def test_a_bare_prompt_takes_every_default(shell: Shell, folder: Path) -> None:
    request = shell.request("%codex_run What is this?")
    spec = request.spec
    assert request.prompt == "What is this?"
    # This shell has no kernel: in a terminal every cell waits.
    assert (request.is_named, request.wait, request.variable) == (False, True, "")
    assert request.given == frozenset()
    assert spec.to_json() == type(spec)(id=spec.id, name=spec.name, cwd=str(folder)).to_json()


def test_every_option_arrives(shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "sub").mkdir()
    (folder / "more").mkdir()
    monkeypatch.setenv("FROM_KERNEL", "its value")
    request = shell.request(
        "%%codex_run --cwd sub --model m-1 --effort high --sandbox workspace-write --network "
        "--allow more --allow . --ask never --env FROM_KERNEL --env A=b=c --wait --timeout 2.5 "
        "-c a.b=1 -c 'c=\"x y\"' --seed pool:team --name Tidy -o run\nSort it."
    )
    spec = request.spec
    assert (request.prompt, request.wait, request.variable) == ("Sort it.", True, "run")
    assert request.is_named
    expected = type(spec)(
        id=spec.id,
        name="Tidy",
        cwd=str(folder / "sub"),
        model="m-1",
        effort="high",
        sandbox="workspace-write",
        network=True,
        allow=(str(folder / "more"), str(folder)),
        ask="never",
        env={"FROM_KERNEL": "its value", "A": "b=c"},
        settings={"a": {"b": 1}, "c": "x y"},
        seed="pool:team",
        turn_timeout=timedelta(seconds=2.5),
    )
    assert spec.to_json() == expected.to_json()
    assert request.given >= {"sandbox", "network", "allow", "ask", "env", "settings"}


@pytest.mark.parametrize(
    ("cell", "prompt"),
    [
        ("%codex_run hi", "hi"),
        ("%codex_run --wait hi", "hi"),
        ("%codex_run  two  spaces ", "two  spaces"),
        ("%codex_run why is it slow?", "why is it slow?"),
        ("%codex_run why??", "why??"),
        ("x = %codex_run why?", "why?"),
        ("%codex_run --name a why is it slow?", "why is it slow?"),
        ("if True:\n    %codex_run why?", "why?"),
        ("%codex_run what does {x} or $x or {{y}} mean", "what does {x} or $x or {{y}} mean"),
        ("%%codex_run\nuse {x} and $x and {1+1}", "use {x} and $x and {1+1}"),
        ("%%codex_run\na\n\nb?", "a\n\nb?"),
        ("%%codex_run above\nbelow", "above\nbelow"),
        ("%%codex_run --wait above\nbelow", "above\nbelow"),
        ("%codex_run -- --wait is an option", "--wait is an option"),
        ("%codex_run --wait -- - what?", "- what?"),
        ("%codex_run don't \"quote", "don't \"quote"),
        ("%codex_run --name 'a b' it's fine", "it's fine"),
        ("%codex_run look at --model gpt", "look at --model gpt"),
        ("%codex_run - a list", "- a list"),
        ("%codex_run -1 is negative", "-1 is negative"),
        ("%%codex_run --wait\n--name is text here", "--name is text here"),
        ("%codex_run grüße 日本 \U0001f600", "grüße 日本 \U0001f600"),
    ],
)
def test_the_prompt_is_what_was_typed(shell: Shell, cell: str, prompt: str) -> None:
    shell.ip.user_ns["x"] = "EXPANDED"
    assert shell.request(cell).prompt == prompt


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("--name plain", "plain"),
        ("--name=joined", "joined"),
        ("--name 'a b'", "a b"),
        ('--name "a \\"b\\" c"', 'a "b" c'),
        ("--name a\\ b", "a b"),
        ("--name -dash", "-dash"),
        ("--name {x}", "value"),
        ("--name $x", "value"),
        ("--name '{x + \" \" + x}'", "value value"),
        ("--name pre{x}", "pre{x}"),
        ("--name {x}post", "{x}post"),
        ("--name $", "$"),
    ],
)
def test_a_value_may_be_quoted_and_is_expanded_only_as_a_whole(
    shell: Shell, text: str, name: str
) -> None:
    shell.ip.user_ns["x"] = "value"
    assert shell.request(f"%codex_run {text} hi").spec.name == name


def test_an_expression_that_fails_keeps_its_own_error(shell: Shell) -> None:
    with pytest.raises(NameError, match="nowhere"):
        shell.request("%codex_run --name {nowhere} hi")


ONE_OF_SANDBOXES = "It is one of: read-only, workspace-write, danger-full-access."


@pytest.mark.parametrize(
    ("cell", "message", "hint"),
    [
        ("%codex_run", "The prompt is empty.", "Say what Codex is to do."),
        ("%codex_run --wait", "The prompt is empty.", "Say what Codex is to do."),
        ("%%codex_run\n  \n", "The prompt is empty.", "Say what Codex is to do."),
        (
            "%codex_run --wait --no-wait hi",
            "--wait and --no-wait contradict each other.",
            "Give one of them.",
        ),
        ("%codex_run --sandbox none hi", "--sandbox cannot be 'none'.", ONE_OF_SANDBOXES),
        (
            "%codex_run --ask later hi",
            "--ask cannot be 'later'.",
            "It is one of: untrusted, on-request, never.",
        ),
        (
            "%codex_run --effort max hi",
            "--effort cannot be 'max'.",
            "It is one of: none, minimal, low, medium, high, xhigh.",
        ),
        (
            "%codex_run --timeout soon hi",
            "--timeout cannot be 'soon'.",
            "Give a number of seconds.",
        ),
        (
            "%codex_run --timeout -1 hi",
            "--timeout is -1 s, and a time cannot be negative.",
            "Give a number of seconds; 0 means no limit.",
        ),
        (
            "%codex_run --cwd nowhere hi",
            "--cwd: {folder}/nowhere is not a folder.",
            "Make it, or give another one.",
        ),
        (
            "%codex_run --allow nowhere hi",
            "--allow: {folder}/nowhere is not a folder.",
            "Make it, or give another one.",
        ),
        (
            "%codex_run --env 1=2 hi",
            "--env '1' is no name of a variable.",
            "Give NAME or NAME=VALUE.",
        ),
        (
            "%codex_run --env NOT_THERE hi",
            "--env NOT_THERE: this kernel has no such variable.",
            "Set os.environ['NOT_THERE'] first, or give NOT_THERE=VALUE.",
        ),
        ("%codex_run -o 1x hi", "-o '1x' is no name of a variable.", "Give a Python name."),
        (
            "%codex_run -c nothing hi",
            "-c 'nothing' is not a setting of codex.",
            'Write KEY=VALUE, for example -c model_reasoning_effort="high".',
        ),
        (
            "%codex_run -c sandbox_mode=x hi",
            "-c cannot change sandbox_mode, which decides what codex may do.",
            "Use --sandbox.",
        ),
        (
            "%codex_run --sandbox read-only --network hi",
            "--network and --sandbox read-only contradict each other: "
            "read-only commands write nowhere and have no network.",
            "Use --sandbox workspace-write, or leave --network out.",
        ),
        (
            "%codex_run --sandbox danger-full-access --allow . hi",
            "--allow and --sandbox danger-full-access contradict each other: "
            "without a sandbox commands may do everything already.",
            "Leave --allow out, or use --sandbox workspace-write.",
        ),
        (
            "%codex_run --replay first-session --model m hi",
            "--replay and --model contradict each other: a replay brings its own model.",
            "Leave --model out, or run without --replay.",
        ),
        (
            "%codex_run --replay first-session -c model_provider=x hi",
            "--replay and -c model_provider contradict each other: a replay is the provider.",
            "Leave one of the two out.",
        ),
        ("%codex_run --name", "--name needs a value.", "%codex_run? lists the options."),
        (
            "%codex_run --name 'open hi",
            "A quote is not closed: 'open hi",
            "Close it, or put a \\ before it.",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(
    shell: Shell, folder: Path, cell: str, message: str, hint: str
) -> None:
    with pytest.raises(CodexNBError) as caught:
        shell.run(cell)
    assert (caught.value.message, caught.value.hint) == (
        message.replace("{folder}", str(folder)),
        hint,
    )
    assert shell.requests == []


_LIST = "%codex_run? lists"


@pytest.mark.parametrize(
    ("cell", "message", "hint"),
    [
        (
            "%codex_run --colour red hi",
            "There is no option --colour.",
            f"{_LIST} them; put -- before a prompt that begins with a dash.",
        ),
        (
            "%codex_run --sandbx=read-only hi",
            "There is no option --sandbx.",
            f"Did you mean --sandbox? {_LIST} them; "
            "put -- before a prompt that begins with a dash.",
        ),
        (
            "%codex_run --wait=yes hi",
            "Argument --wait: ignored explicit argument 'yes'.",
            f"{_LIST} the options.",
        ),
    ],
)
def test_an_option_that_does_not_exist_is_refused_in_two_sentences(
    shell: Shell, capsys: pytest.CaptureFixture[str], cell: str, message: str, hint: str
) -> None:
    shell.ip.run_cell(cell)
    shown = "".join(capsys.readouterr())
    assert (message in shown, hint in shown, "Traceback" in shown) == (True, True, False)
    assert shell.requests == []


def test_the_help_names_every_option(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.ip.run_cell("%codex_run -h")
    shown = capsys.readouterr().out
    assert shown.startswith("%codex_run [-h]")
    assert "--sandbox MODE" in shown


def test_a_replay_that_does_not_exist_is_refused(shell: Shell) -> None:
    with pytest.raises(CodexNBError, match='There is no scenario "nowhere"') as caught:
        shell.run("%codex_run --replay nowhere hi")
    assert "first-session" in caught.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="needs a user whom permissions stop")
def test_a_folder_that_cannot_be_written_is_refused(shell: Shell, folder: Path) -> None:
    folder.chmod(0o500)
    with pytest.raises(UsageError, match="you may not write") as caught:
        shell.run("%codex_run hi")
    assert "--sandbox read-only" in caught.value.hint
    assert shell.request("%codex_run --sandbox read-only hi").spec.cwd == str(folder)


def test_a_refusal_is_two_lines_and_no_traceback(
    shell: Shell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.ip.run_cell("%codex_run --sandbox none hi")
    shown = "".join(capsys.readouterr()).strip().splitlines()
    assert shown == ["UsageError: --sandbox cannot be 'none'.", ONE_OF_SANDBOXES]


def test_a_bug_keeps_its_traceback(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell.ip.run_cell("%codex_run --name {1/0} hi")
    assert "Traceback (most recent call last)" in "".join(capsys.readouterr())
