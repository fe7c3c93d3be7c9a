from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from codex_nb.codex.binary import CodexProgram
from codex_nb.codex.home import SessionHome
from codex_nb.hosts.local import LocalHost
from tests.support.waiting import run

PROGRAM = CodexProgram(
    path="/pkg/bin/codex",
    version="0.163.0",
    path_dirs=("/pkg/codex-path",),
    source="setting",
    complete=True,
)
HOST = LocalHost()


@pytest.fixture
def home(tmp_path: Path) -> SessionHome:
    return SessionHome(str(tmp_path / "session"))


def tree(folder: str) -> dict[str, str]:
    """What is in a folder: the mode of each path."""
    paths = sorted(Path(folder).rglob("*"))
    return {str(path.relative_to(folder)): f"{path.stat().st_mode & 0o777:o}" for path in paths}


def test_the_folders_are_laid_out_in_private(home: SessionHome) -> None:
    run(home.lay_out(HOST, config={}, files={"auth.json": b"{}", "skills/a/SKILL.md": b"x"}))
    assert tree(home.folder) == {
        "codex": "700",
        "codex/auth.json": "600",
        "codex/config.toml": "600",
        "codex/skills": "700",
        "codex/skills/a": "700",
        "codex/skills/a/SKILL.md": "600",
        "home": "700",
        "tmp": "700",
        "tmp/cache": "700",
    }
    assert Path(home.codex, "auth.json").read_bytes() == b"{}"


def test_settings_of_the_session_win_over_ours(home: SessionHome) -> None:
    run(
        home.lay_out(
            HOST, config={"model": "m", "features": {"plugins": True}}, cwd='/home/me/a "b"'
        )
    )
    assert tomllib.loads(Path(home.codex, "config.toml").read_text()) == {
        "check_for_update_on_startup": False,
        "analytics": {"enabled": False},
        "features": {"plugins": True, "daemon_auto_start": False, "shell_snapshot": False},
        "tools": {"update_plan": {"enabled": True}},
        "cli_auth_credentials_store": "file",
        "projects": {'/home/me/a "b"': {"trust_level": "trusted"}},
        "model": "m",
    }


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x"])
def test_no_file_leaves_the_home(home: SessionHome, name: str) -> None:
    with pytest.raises(ValueError, match="is no name inside CODEX_HOME"):
        run(home.lay_out(HOST, config={}, files={name: b""}))
    assert not Path(home.folder).exists()


def test_only_listed_variables_of_the_user_pass(home: SessionHome) -> None:
    user_env = {
        "PATH": "/usr/bin",
        "LANG": "C.UTF-8",
        "LC_TIME": "de",
        "CONDA_PREFIX_2": "/c",
        "http_proxy": "http://proxy",
        "HOME": "/home/me",
        "TMPDIR": "/scratch",
        "CODEX_HOME": "/home/me/.codex",
        "XDG_RUNTIME_DIR": "/run/user/1",
        "OPENAI_API_KEY": "k",
        "JUPYTER_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "a",
        "SSH_AUTH_SOCK": "s",
        "LC_X=Y": "odd",
    }
    assert home.environment(user_env, {"MINE": "1"}, PROGRAM, session="id") == {
        "PATH": "/pkg/codex-path:/usr/bin",
        "LANG": "C.UTF-8",
        "LC_TIME": "de",
        "CONDA_PREFIX_2": "/c",
        "http_proxy": "http://proxy",
        "MINE": "1",
        "HOME": home.home,
        "CODEX_HOME": home.codex,
        "TMPDIR": home.tmp,
        "XDG_CONFIG_HOME": f"{home.home}/.config",
        "XDG_DATA_HOME": f"{home.home}/.local/share",
        "XDG_STATE_HOME": f"{home.home}/.local/state",
        "XDG_CACHE_HOME": f"{home.tmp}/cache",
        "CODEX_NB_SESSION": "id",
    }


def test_what_the_user_passes_wins_except_over_the_session(home: SessionHome) -> None:
    extra = {"PATH": "/mine", "OPENAI_API_KEY": "k", "HOME": "/x", "CODEX_NB_SESSION": "other"}
    env = home.environment({"PATH": "/usr/bin"}, extra, PROGRAM, session="id")
    assert {key: env[key] for key in extra} == {
        "PATH": "/pkg/codex-path:/mine",
        "OPENAI_API_KEY": "k",
        "HOME": home.home,
        "CODEX_NB_SESSION": "id",
    }


def test_offline_reaches_this_machine_only(home: SessionHome) -> None:
    user_env = {"HTTPS_PROXY": "http://proxy", "no_proxy": "example.org"}
    env = home.environment(user_env, {}, PROGRAM, session="id", offline=True)
    assert {key.lower(): value for key, value in env.items() if "proxy" in key.lower()} == {
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        "all_proxy": "http://127.0.0.1:9",
        "no_proxy": "127.0.0.1,localhost,::1",
    }


def test_the_temporary_folder_is_not_above_codex_home(home: SessionHome) -> None:
    assert not Path(home.codex).is_relative_to(home.tmp)


ROLLOUTS = ["codex/sessions", "codex/sessions/2026", "codex/sessions/2026/r.jsonl"]


def fill(home: SessionHome) -> None:
    run(home.lay_out(HOST, config={}, files={"sessions/2026/r.jsonl": b"{}", "auth.json": b"{}"}))
    Path(home.folder, "events.jsonl").touch()
    Path(home.home, "link").symlink_to("/")


def test_only_rollouts_stay_after_the_end(home: SessionHome) -> None:
    run(home.prune(HOST))
    fill(home)
    run(home.prune(HOST))
    run(home.prune(HOST))

    assert list(tree(home.folder)) == ["codex", *ROLLOUTS, "events.jsonl"]


def test_a_login_that_is_stored_nowhere_else_stays_as_well(home: SessionHome) -> None:
    fill(home)
    run(home.prune(HOST, keep_login=True))

    assert list(tree(home.folder)) == ["codex", "codex/auth.json", *ROLLOUTS, "events.jsonl"]


def test_after_a_crash_the_login_stays_for_who_can_save_it(home: SessionHome) -> None:
    home.prune_now()
    fill(home)
    home.prune_now()
    home.prune_now()

    assert list(tree(home.folder)) == ["codex", "codex/auth.json", *ROLLOUTS, "events.jsonl"]
