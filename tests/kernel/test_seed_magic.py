"""`%codex_seed`: from the words in a cell to a table below it, and nothing secret anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import codex_nb
from codex_nb.errors import CodexNBError, SeedNotFoundError, UsageError
from codex_nb.seeds.table import Table
from tests.support.openai_fake import MARKER, FakeOpenAI

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.shells import Shell

ROOT = Path(__file__).parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"
LIMIT = 60.0


@pytest.fixture(autouse=True)
def _own_seeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    for name in ("CODEX_NB_STORE", "CODEX_NB_KEY", "CODEX_NB_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI(strict=True) as fake:
        yield fake


@pytest.fixture
def seeded(shell: Shell, folder: Path, fake: FakeOpenAI) -> Shell:
    """A shell with the seed `work`, of the pool `team`."""
    (folder / "auth.json").write_bytes(fake.new_login())
    shell.run("%codex_seed import auth.json --name work --pool team")
    return shell


def names(shell: Shell) -> list[str]:
    table = shell.run("%codex_seed list")
    assert isinstance(table, Table)
    return [row[0] for row in table.rows]


def test_the_value_of_a_verb_is_a_table(seeded: Shell) -> None:
    table = seeded.run("%codex_seed list")

    assert isinstance(table, Table)
    assert [row[:3] for row in table.rows] == [("work", "team", "ChatGPT")]
    assert set(table._repr_mimebundle_()) == {"text/plain", "text/markdown", "text/html"}


def test_an_empty_list_names_the_line_that_fills_it(shell: Shell) -> None:
    table = shell.run("%codex_seed list")

    assert isinstance(table, Table)
    assert str(table) == "There are no seeds; `%codex_seed login NAME` makes one."
    assert "<code>%codex_seed login NAME</code>" in table.to_html()


def test_verdicts_are_counted_and_a_column_without_any_is_left_out(seeded: Shell) -> None:
    table = seeded.run("%codex_seed verify --all")

    assert isinstance(table, Table)
    assert (table.caption, table.columns) == ("Verdicts: 1 alive", ("name", "verdict"))


def test_the_verbs_of_the_command_line_are_those_of_the_cell(seeded: Shell) -> None:
    for line in (
        "rename work w-1",
        "pool w-1",
        "release w-1",
        "retire w-1",
        "retire w-1 --undo",
        "show w-1",
        "doctor",
        "rekey",
        "verify --all",
    ):
        seeded.run(f"%codex_seed {line}")

    assert names(seeded) == ["w-1"]
    seeded.run("%codex_seed delete w-1 --yes")
    assert names(seeded) == []


def test_the_defaults_name_another_store(shell: Shell, folder: Path, fake: FakeOpenAI) -> None:
    (folder / "auth.json").write_bytes(fake.new_login())
    shell.run(f"%config CodexNB.store = {str(folder / 'other.db')!r}")
    shell.run("%codex_seed import auth.json --name there")
    assert names(shell) == ["there"]

    shell.run("%config CodexNB.store = ''")
    assert names(shell) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "required: VERB"),
        ("lsit", "There is no verb lsit"),
        ("show", "required: NAME"),
        ("show 'x", "A quote is not closed"),
        ("list --colour", "--colour"),
        ("verify", "not clear which seeds"),
        ("verify --all --codex --probe", "contradict"),
    ],
)
def test_what_cannot_be_meant_is_told_in_two_sentences(shell: Shell, line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        shell.run(f"%codex_seed {line}")

    assert said in caught.value.message
    assert len(caught.value._render_traceback_()) == 2


def test_a_seed_that_is_not_there_is_told_without_a_traceback(seeded: Shell) -> None:
    with pytest.raises(SeedNotFoundError) as caught:
        seeded.run("%codex_seed show wrok")

    assert len(caught.value._render_traceback_()) <= 2


def test_a_key_in_the_line_is_refused_before_anything_starts(
    shell: Shell, fake: FakeOpenAI, tmp_path: Path
) -> None:
    key = fake.new_api_key()

    with pytest.raises(UsageError, match="kept in a history now") as caught:
        shell.run(f"%codex_seed login work --api-key {key}")

    assert key not in caught.value.message + caught.value.hint
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(("answer", "left"), [("y", []), ("", ["work"]), ("no", ["work"])])
def test_removing_asks_in_the_cell(
    seeded: Shell, monkeypatch: pytest.MonkeyPatch, answer: str, left: list[str]
) -> None:
    # Nobody can type here; in a kernel it is the kernel's own function, see below.
    monkeypatch.setattr("builtins.input", lambda _question: answer)

    seeded.run("%codex_seed delete work")

    assert names(seeded) == left


def test_tab_completes_verbs_options_seeds_and_pools(seeded: Shell) -> None:
    assert seeded.complete("%codex_seed l") == ["list", "login"]
    assert seeded.complete("%codex_seed ren") == ["rename"]
    assert seeded.complete("%codex_seed show w") == ["work"]
    assert "work" not in seeded.complete("%codex_seed verify work w")
    assert seeded.complete("%codex_seed login x --po") == ["--pool"]
    assert seeded.complete("%codex_seed list --pool t") == ["team"]
    assert seeded.complete("x = %codex_seed pool work t") == ["team"]
    assert "work" not in seeded.complete("%codex_seed nothing w")


def test_tab_makes_no_store(shell: Shell, tmp_path: Path) -> None:
    shell.complete("%codex_seed show w")

    assert not (tmp_path / "data").exists()


def test_help_is_printed(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run("%codex_seed -h") is None
    assert "VERB" in capsys.readouterr().out
    shell.run("%codex_seed verify -h")
    assert "--probe" in capsys.readouterr().out


def test_loading_the_magics_loads_nothing_of_seeds() -> None:
    code = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "import codex_nb\n"
        "codex_nb.load_ipython_extension(InteractiveShell())\n"
        "heavy = {'cryptography', 'httpx', 'pymongo', 'keyring', 'pyrage'} & set(sys.modules)\n"
        "print(heavy, [name for name in sys.modules if name.startswith('codex_nb.seeds')])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout == "set() []\n"


def test_without_the_magics_there_is_no_codex_seed(shell: Shell) -> None:
    codex_nb.unload_ipython_extension(shell.ip)

    assert "codex_seed" not in shell.ip.magics_manager.magics["line"]


def test_an_error_of_ours_carries_no_secret(seeded: Shell, fake: FakeOpenAI) -> None:
    said = []
    for line in ("import nothing.json", "import .", "show x", "export work --to nobody"):
        with pytest.raises(CodexNBError) as caught:
            seeded.run(f"%codex_seed {line}")
        said.append(f"{caught.value!r} {caught.value.message} {caught.value.hint}")

    assert not any(MARKER in text for text in said)
