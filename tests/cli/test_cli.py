"""The command `codex-nb`: its words, its answers, its exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyrage
import pytest

from codex_nb.seeds.auth import Login
from codex_nb.seeds.verbs import seed_parser, verbs_of
from codex_nb.sessions.registry import SessionEntry, write_entry
from tests.support.openai_state import MARKER, OpenAIState
from tests.support.waiting import scaled

if TYPE_CHECKING:
    from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]
AUTHORITY = OpenAIState(strict=True)


@pytest.fixture
def auth(tmp_path: Path) -> str:
    """The path of an auth.json."""
    path = tmp_path / "auth.json"
    path.write_bytes(AUTHORITY.auth_json("acct-1", expires_in=3600))
    return str(path)


def test_an_auth_json_becomes_a_seed_with_a_warning(command: Command, auth: str) -> None:
    done = command("seed", "import", auth, "--name", "work", "--pool", "team")

    assert done.status == 0
    assert done.out.splitlines()[0].startswith("name  pool  kind     account")
    assert done.out.splitlines()[1].startswith("work  team  ChatGPT")
    assert "each refresh makes the other copy worthless" in done.err


def test_a_program_gets_json(command: Command, auth: str) -> None:
    command("seed", "import", auth, "--name", "work")

    listed = command("seed", "list", "--json").json
    seed = command("seed", "show", "work", "--json").json

    assert listed == [seed]
    assert isinstance(seed, dict)
    assert (seed["name"], seed["kind"], seed["status"]) == ("work", "chatgpt", "alive")


def test_the_verbs_change_what_is_listed(command: Command, auth: str) -> None:
    command("seed", "import", auth, "--name", "work")

    assert command("seed", "rename", "work", "w").status == 0
    assert command("seed", "pool", "w", "team").status == 0
    assert command("seed", "list", "--pool", "team").out.splitlines()[1].startswith("w     team")
    assert command("seed", "pool", "w").status == 0
    assert command("seed", "list", "--pool", "team").out.startswith("There are no seeds")
    assert command("seed", "release", "w").status == 0
    assert command("seed", "retire", "w").status == 0
    assert "retired" in command("seed", "show", "w").out
    assert command("seed", "retire", "w", "--undo").status == 0
    assert "alive" in command("seed", "show", "w").out


def test_removing_asks_first(command: Command, auth: str) -> None:
    command("seed", "import", auth, "--name", "work")
    command("seed", "retire", "work")

    asked = command("seed", "delete", "work")
    assert (asked.status, asked.out) == (2, "")
    assert asked.err == "There is nobody to ask here.\nSay --yes if you are sure.\n"
    assert command("seed", "purge").status == 2

    assert command("seed", "purge", "--yes").out == "Removed: work.\n"
    assert command("seed", "purge", "--yes").out == "There was nothing to remove.\n"


def test_a_login_is_sealed_for_one_person(command: Command, auth: str, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    command("seed", "import", auth, "--name", "work")

    done = command("seed", "export", "work", "--to", str(identity.to_public()))

    assert (done.status, done.out) == (0, "The login of work is in work.age.\n")
    sealed = tmp_path / "work.age"
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert pyrage.decrypt(sealed.read_bytes(), [identity]) == Path(auth).read_bytes().replace(
        b", ", b","
    ).replace(b": ", b":")


def test_a_store_is_examined_rekeyed_and_moved(command: Command, auth: str, tmp_path: Path) -> None:
    command("seed", "import", auth, "--name", "work")
    there = str(tmp_path / "there" / "seeds.db")

    assert command("store", "doctor").status == 0
    assert command("store", "rekey").out.startswith("1 logins are wrapped by the key ")
    moved = command("store", "move", "--to", there)
    assert (moved.status, moved.err) == (0, "")
    assert command("seed", "list").out.startswith("There are no seeds")
    assert "work" in command("seed", "list", "--store", there).out


def test_a_uri_with_a_password_may_come_from_a_variable(
    command: Command, auth: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("seed", "import", auth, "--name", "work")
    # Nothing listens at port 1, and the driver may not look for long.
    uri = "mongodb://ann:marked-password@127.0.0.1:1/team?serverSelectionTimeoutMS=200"

    told = command("store", "move", "--to", uri)
    monkeypatch.setenv("THERE", uri)
    named = command("store", "move", "--to", "env:THERE")
    missing = command("store", "move", "--to", "env:NOWHERE")
    monkeypatch.setenv("THERE", str(tmp_path / "there.db"))
    moved = command("store", "move", "--to", "env:THERE")

    assert [done.status for done in (told, named, missing, moved)] == [1, 1, 2, 0]
    assert told.err.startswith("The password in this line is in a history now")
    assert "give env:NAME" in told.err
    assert "password" not in named.err
    assert missing.err.startswith("There is no variable NOWHERE in the environment.\n")
    assert "marked-password" not in told.out + told.err + named.out + named.err
    assert "work" in command("seed", "list", "--store", str(tmp_path / "there.db")).out


def test_a_login_in_a_session_is_captured(command: Command, tmp_path: Path) -> None:
    for number in range(2):
        folder = tmp_path / "runtime" / "codex-nb" / f"id-{number}"
        home = folder / "codex"
        home.mkdir(parents=True)
        folder.parent.chmod(0o700)
        write_entry(
            SessionEntry(
                folder=str(folder),
                id=f"id-{number}",
                name="same",
                cwd="/",
                created_at=float(number),
                ended="closed",
            )
        )
        (home / "auth.json").write_bytes(AUTHORITY.auth_json(f"acct-{number}", expires_in=60))

    by_id = command("seed", "capture", "id-0", "--name", "first", "--json")
    by_name = command("seed", "capture", "same", "--pool", "team", "--json")
    again = command("seed", "capture", "same")
    nobody = command("seed", "capture", "other")

    assert [done.status for done in (by_id, by_name, again, nobody)] == [0, 0, 1, 2]
    assert isinstance(by_id.json, dict)
    assert isinstance(by_name.json, dict)
    emails = [by_id.json["details"], by_name.json["details"]]
    assert [each["email"] for each in emails if isinstance(each, dict)] == [
        Login.parse(AUTHORITY.auth_json(f"acct-{number}", expires_in=60)).email
        for number in range(2)
    ]
    assert (by_id.json["name"], by_name.json["pool"]) == ("first", "team")
    assert "each refresh makes the other copy worthless" in by_id.err
    assert "holds this very login" in again.err
    assert nobody.err.startswith("There is no session 'other'.")
    assert not any(MARKER in done.out + done.err for done in (by_id, by_name, again, nobody))


def test_a_seed_that_is_not_there_fails_with_two_sentences(command: Command) -> None:
    done = command("seed", "show", "nobody")

    assert (done.status, done.out) == (1, "")
    assert len(done.err.splitlines()) in (1, 2)
    assert "nobody" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "required"),
        (("seed",), "required"),
        (("seat", "list"), "seat"),
        (("seed", "lsit"), "There is no verb lsit.\nDid you mean list?"),
        (("seed", "show"), "NAME"),
        (("seed", "list", "--colour"), "--colour"),
        (("seed", "verify"), "not clear which seeds"),
        (("seed", "verify", "a", "--all"), "not clear which seeds"),
        (("seed", "login", "-x"), "required: NAME"),
        (("store", "list"), "There is no verb list."),
        (("store", "move"), "--to"),
        (("seed", "list", "--encryption", "aes"), "aes"),
        (("seed", "list", "--store", "redis://u:geheim@h"), "called redis"),
        (("seed", "list", "--store", "redis://u:geheim@h", "extra"), "extra"),
    ],
)
def test_what_cannot_be_meant_ends_with_2(
    command: Command, words: tuple[str, ...], said: str
) -> None:
    done = command(*words)

    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert "geheim" not in done.err


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-0123456789abcdef",
        "eyJhbGciOiJSUzI1NiJ9.e30.x",
        "AGE-SECRET-KEY-1QQQ",
        "rt_0123456789abcdef0",
    ],
)
def test_a_secret_in_the_words_is_refused_and_not_repeated(command: Command, secret: str) -> None:
    done = command("seed", "login", "work", "--api-key", secret)

    assert (done.status, done.out) == (2, "")
    assert "kept in a history now" in done.err
    assert secret not in done.err


def test_a_secret_in_place_of_a_word_is_not_repeated_either(command: Command) -> None:
    done = command("sk-proj-0123456789abcdef")

    assert (done.status, done.out) == (2, "")
    assert "kept in a history now" in done.err
    assert "0123456789" not in done.err


def test_a_pool_without_seeds_is_not_found_good(command: Command) -> None:
    done = command("seed", "verify", "--pool", "tpyo")

    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines() == [
        "There are no seeds in the pool 'tpyo'.",
        "`codex-nb seed list` shows the pools.",
    ]


@pytest.mark.parametrize("verb", sorted(verbs_of(seed_parser("codex-nb seed"))))
def test_every_verb_shows_its_help(
    command: Command, capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        command("seed", verb, "-h")

    assert caught.value.code == 0
    assert f"codex-nb seed {verb}" in capsys.readouterr().out


def test_the_page_of_the_seeds_has_a_row_for_every_verb() -> None:
    page = (ROOT / "docs/seeds.md").read_text(encoding="utf-8")

    verbs = verbs_of(seed_parser("codex-nb seed"))
    rows = {line.split("`")[1].split()[0] for line in page.splitlines() if line.startswith("| `")}
    assert rows & set(verbs) == set(verbs)


def test_help_and_a_refused_line_load_none_of_the_libraries(tmp_path: Path) -> None:
    code = (
        "import sys; from codex_nb.cli import main; main(['seed', 'nothing']);"
        "print({'cryptography', 'httpx', 'pymongo', 'keyring', 'pyrage', 'sqlite3', 'IPython'}"
        " & set(sys.modules))"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "set()\n"


def test_a_reader_that_has_enough_is_no_error(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    reader, writer = os.pipe()
    os.close(reader)
    code = "import sys; from codex_nb.cli import main; sys.exit(main(['seed', 'list']))"

    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=env,
            cwd=ROOT,
            stdout=writer,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_keep_runs_until_it_is_stopped(tmp_path: Path, number: signal.Signals) -> None:
    env = {
        **os.environ,
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    # Where these tests run in the background of a shell, they inherit that Ctrl-C is ignored.
    code = (
        "import signal, sys; from codex_nb.cli import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.exit(main(['seed', 'keep']))"
    )

    with subprocess.Popen(
        [sys.executable, "-c", code], env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(number)
        said = process.communicate(timeout=scaled(20))[1]

    assert first.startswith("Idle seeds are refreshed")
    assert (process.returncode, said) == (130, "")


def test_the_marker_of_a_token_is_in_no_answer(command: Command, auth: str) -> None:
    answers = [
        command("seed", "import", auth, "--name", "work"),
        command("seed", "list", "--json"),
        command("seed", "show", "work"),
        command("store", "doctor", "--json"),
    ]

    assert not any(MARKER in done.out + done.err for done in answers)
