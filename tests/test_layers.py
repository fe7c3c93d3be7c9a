"""Who may import whom, as far as import-linter cannot say it (`make layers` says the rest)."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "codex_nb"

SMALL = [
    f"codex_nb.sessions.{name}" for name in ("channel", "client", "processes", "registry", "spec")
]
"""What a kernel and a server import to talk to a session."""

DISTRIBUTIONS = {
    "IPython": "ipython",
    "bson": "pymongo",
    "codex_cli_bin": "openai-codex-cli-bin",
    "gridfs": "pymongo",
}
"""Names of libraries whose distribution is called otherwise."""

NOT_REQUIRED = {"pandas"}  # to_pandas() is for those who have it

SITE_LOOKUP = """
import json, sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
for name in sys.argv[2:]:
    __import__(name)
top = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps(sorted(top - sys.stdlib_module_names - {"codex_nb"})))
"""


def imports_of(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, wherever in it, types included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found.add(str(node.module).partition(".")[0])
    return found


def foreign_modules() -> set[str]:
    """Every library that codex_nb imports somewhere."""
    names = set().union(*map(imports_of, PACKAGE.rglob("*.py")))
    return names - sys.stdlib_module_names - {"codex_nb"}


def project() -> dict[str, dict[str, object]]:
    """The table `project` of pyproject.toml, and import-linter's as `borders`."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = data["tool"]["importlinter"]["contracts"]
    borders = next(contract for contract in contracts if contract["id"] == "borders")
    return {"project": data["project"], "borders": borders}


def distributions(requirements: object) -> set[str]:
    assert isinstance(requirements, list)
    return {re.split(r"[<>=!\[; ]", text)[0].lower() for text in requirements}


@pytest.mark.parametrize("module", [*SMALL, "codex_nb", "codex_nb.sessions.host"])
def test_a_fresh_python_imports_it_with_the_standard_library_alone(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", SITE_LOOKUP, str(ROOT), module],
        capture_output=True,
        check=True,
    )

    assert json.loads(done.stdout) == []


def test_the_package_itself_imports_nothing_but_logging_of_its_own_accord() -> None:
    code = "import sys, codex_nb; print(*sorted(n for n in sys.modules if 'codex_nb' in n))"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["codex_nb"]


def test_every_foreign_library_has_a_border_and_no_border_is_of_none() -> None:
    borders = project()["borders"]
    forbidden = set(map(str, borders["forbidden_modules"]))  # type: ignore[call-overload]

    # ipykernel and ipywidgets are required, because the magics need them there, and never imported.
    beside = {"ipykernel", "ipywidgets", "sqlite3", "tomllib"}
    assert foreign_modules() | beside == forbidden


def test_every_library_that_is_imported_is_required_and_the_other_way_round() -> None:
    metadata = project()["project"]
    extras = metadata["optional-dependencies"]
    assert isinstance(extras, dict)
    required = distributions(metadata["dependencies"]).union(
        *(distributions(extras[extra]) for extra in ("codex", "keyring", "share"))
    )

    imported = {
        DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in foreign_modules() - NOT_REQUIRED
    }

    assert imported | {"ipykernel", "ipywidgets"} == required
