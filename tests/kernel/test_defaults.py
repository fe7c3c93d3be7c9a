"""Defaults, completion, help and the way in and out: what surrounds the options of a cell."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import codex_nb
from codex_nb.seeds.settings import SeedSettings
from tests.support.shells import Shell


def test_settings_are_defaults_and_options_win(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIVEN", "1")
    shell = Shell(
        monkeypatch,
        model="from config",
        effort="low",
        ask="never",
        wait=True,
        timeout=9.0,
        cwd=str(tmp_path),
        env=["GIVEN"],
        allow=[str(folder)],
        settings={"a": {"b": 1, "c": 2}},
        idle_timeout=5.0,
        approval_timeout=6.0,
        reconnect_timeout=7.0,
        start_timeout=8.0,
        codex="/a/codex",
        store="sqlite:/a/store",
        encryption="none",
        key_file="/a/key",
        seed="work",
        seed_wait=10.0,
        login_file=True,
    )
    request = shell.request("%codex_run --model mine --env OTHER=2 -c a.b=3 hi")
    spec = request.spec
    expected = type(spec)(
        id=spec.id,
        name=spec.name,
        cwd=str(tmp_path),
        model="mine",
        effort="low",
        ask="never",
        allow=(str(folder),),
        env={"GIVEN": "1", "OTHER": "2"},
        settings={"a": {"b": 3, "c": 2}},
        codex="/a/codex",
        turn_timeout=timedelta(seconds=9),
        idle_timeout=timedelta(seconds=5),
        approval_timeout=timedelta(seconds=6),
        reconnect_timeout=timedelta(seconds=7),
        start_timeout=timedelta(seconds=8),
        seed="work",
        seeds=SeedSettings(store="sqlite:/a/store", encryption="none", key_file="/a/key"),
        seed_wait=timedelta(seconds=10),
        login_file=True,
    )
    assert spec.to_json() == expected.to_json()
    assert request.wait
    assert not shell.request("%codex_run --no-wait hi").wait


def test_config_changes_a_default_and_refuses_what_is_none(
    shell: Shell, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    shell.run("%config CodexNB.effort = 'high'")
    assert shell.request("%codex_run hi").spec.effort == "high"
    shell.ip.run_cell("%config CodexNB.sandbox = 'none'")
    assert "'read-only', 'workspace-write', 'danger-full-access'" in caplog.text
    assert shell.request("%codex_run hi").spec.sandbox == "workspace-write"
    shell.run("%config CodexNB")
    shown = capsys.readouterr().out
    assert "CodexNB.idle_timeout=<Float>" in shown
    assert "0 means never" in " ".join(shown.split())


def test_every_default_tells_its_meaning_and_its_value() -> None:
    from codex_nb.kernel.config import CodexNB

    traits = CodexNB.class_own_traits(config=True)
    assert len(traits) >= 18
    for name, trait in traits.items():
        assert "Default: " in trait.help, name


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("%codex_run --sand", ["--sandbox"]),
        ("%%codex_run --no", ["--no-wait"]),
        ("x = %codex_run --ne", ["--network"]),
        ("%codex_run --sandbox ", ["danger-full-access", "read-only", "workspace-write"]),
        ("%codex_run --sandbox=r", ["read-only"]),
        ("%codex_run --wait --ask n", ["never"]),
        ("%codex_run --effort m", ["medium", "minimal"]),
        ("%codex_run --replay ", ["approval", "first-session", "mine.toml"]),
        ("%codex_run --cwd s", ["sub/"]),
        ("%codex_run --allow s", ["sub/"]),
    ],
)
def test_tab_completes_options_and_values(
    shell: Shell, folder: Path, line: str, offered: list[str]
) -> None:
    (folder / "mine.toml").touch()
    (folder / "sub").mkdir()
    assert shell.complete(line) == offered


@pytest.mark.parametrize(
    "ask", ["%codex_run?", "?%codex_run", "%codex_run -h", "%codex_run --help"]
)
def test_help_is_shown_and_nothing_started(
    shell: Shell, capsys: pytest.CaptureFixture[str], ask: str
) -> None:
    assert shell.run(ask) is None
    shown = capsys.readouterr().out
    for option in ("--sandbox MODE", "--env NAME[=VALUE]", "-c KEY=VALUE", "--replay NAME"):
        assert option in shown, ask
    assert shell.requests == []


def test_the_notebook_decides_the_folder(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebooks = tmp_path / "notebooks"
    (notebooks / "sub").mkdir(parents=True)
    notebook = notebooks / "a.ipynb"
    notebook.touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    spec = shell.request("%codex_run hi").spec
    assert (spec.notebook, spec.cwd) == (str(notebook), str(notebooks))
    assert shell.request("%codex_run --cwd sub hi").spec.cwd == str(notebooks / "sub")
    monkeypatch.setenv("JPY_SESSION_NAME", "not-a-path")
    assert shell.request("%codex_run hi").spec.notebook == ""
    shell.ip.user_ns["__vsc_ipynb_file__"] = str(notebook)
    assert shell.request("%codex_run hi").spec.notebook == str(notebook)


def test_unloading_takes_everything_away(shell: Shell) -> None:
    codex_nb.load_ipython_extension(shell.ip)
    assert sum(type(each).__name__ == "CodexNB" for each in shell.ip.configurables) == 1
    codex_nb.unload_ipython_extension(shell.ip)
    codex_nb.unload_ipython_extension(shell.ip)
    for kind in ("line", "cell"):
        assert "codex_run" not in shell.ip.magics_manager.magics[kind]
    assert shell.complete("%codex_run --sand") == []
    assert all(type(each).__name__ != "CodexNB" for each in shell.ip.configurables)
    codex_nb.load_ipython_extension(shell.ip)
    assert shell.request("%codex_run again?").prompt == "again?"


def test_a_run_is_named_by_its_session_when_no_name_is_given(shell: Shell) -> None:
    request = shell.request("%codex_run hi")
    assert request.spec.name == f"run-{request.spec.id[-4:]}"
    assert Path(request.spec.cwd).is_absolute()
