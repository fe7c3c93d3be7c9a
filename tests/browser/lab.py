"""A real JupyterLab with a home of its own, and notebooks in it as a person would use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator, Page

TOKEN = "lab-token-of-the-tests"

_SETTINGS = {
    # No question about news, which would cover the page, and no saving behind a test's back.
    "@jupyterlab/apputils-extension/notification.jupyterlab-settings": {
        "fetchNews": "false",
        "checkForUpdates": False,
    },
    "@jupyterlab/docmanager-extension/plugin.jupyterlab-settings": {"autosave": False},
}
_IS_READY = """() => {
  const widget = window.jupyterapp?.shell.currentWidget;
  return widget?.sessionContext?.session?.kernel?.status === 'idle';
}"""
_COMMAND = "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => undefined)"
_EXECUTE = """async (code) => {
  const { kernel } = window.jupyterapp.shell.currentWidget.sessionContext.session;
  const future = kernel.requestExecute({ code, store_history: false });
  let text = '';
  future.onIOPub = ({ header, content }) => {
    text += header.msg_type === 'stream' ? content.text : '';
  };
  await future.done;
  return text;
}"""
_CONTENT = "() => window.jupyterapp.shell.currentWidget.content.model.toJSON()"


class Lab:
    """A JupyterLab server on a free port of the loopback address.

    Args:
        folder: Holds its home, its settings and the notebooks.
        speed: Tokens a second of the replays.
    """

    def __init__(self, folder: Path, *, speed: float = 0) -> None:
        self.folder = folder
        self.root = folder / "root"
        home = folder / "home"
        runtime = folder / "runtime"
        for path in (self.root, home, runtime):
            path.mkdir(parents=True)
        settings = folder / "settings"
        for name, values in _SETTINGS.items():
            path = settings / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        self._log = (folder / "lab.log").open("wb")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
        self._server = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                *(f"--ServerApp.root_dir={self.root}", "--ServerApp.port=0"),
                "--LabApp.expose_app_in_browser=True",
                f"--LabApp.user_settings_dir={settings}",
            ],
            env={
                **kept,
                "HOME": str(home),
                "JUPYTER_RUNTIME_DIR": str(runtime),
                "JUPYTER_TOKEN": TOKEN,
                "CODEX_NB_REPLAY_SPEED": str(speed),
            },
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self.url = self._wait_url(runtime)

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook of code cells."""
        import nbformat

        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": kernel},
        )
        nbformat.write(notebook, self.root / name)

    def open(self, browser: Browser, name: str) -> NotebookPage:
        """Open a notebook of the root in a page of its own and wait for its kernel."""
        page = browser.new_page(viewport={"width": 1200, "height": 1400})
        return NotebookPage(page, f"{self.url}lab/tree/{name}?reset&token={TOKEN}")

    def close(self) -> None:
        """End the server and the kernels that it started."""
        os.killpg(self._server.pid, signal.SIGTERM)
        try:
            self._server.wait(scaled(20))
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()
        self._log.close()

    def _wait_url(self, runtime: Path) -> str:
        info = runtime / f"jpserver-{self._server.pid}.json"
        found: list[str] = []

        def is_written() -> bool:
            with suppress(OSError, ValueError):  # not there yet, or half of it
                found.append(str(json.loads(info.read_text())["url"]))
            return bool(found) or self._server.poll() is not None

        try:
            wait_until_now(is_written, seconds=60)
            return found[0]
        except (TimeoutError, IndexError):
            self.close()
            raise AssertionError((self.folder / "lab.log").read_text()) from None


class NotebookPage:
    """One browser page with one notebook. A script error fails the test at `close`."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.errors: list[str] = []
        page.set_default_timeout(scaled(30) * 1000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._url = url
        self.load()

    def load(self, *, keep: bool = False) -> None:
        """Load the page and wait for an idle kernel; `keep` loads it as a person would, with F5."""
        if keep:
            self.page.reload()
        else:
            self.page.goto(self._url)
        self.page.wait_for_function(_IS_READY, timeout=scaled(60) * 1000)

    def command(self, name: str, **arguments: object) -> None:
        """Execute a command of JupyterLab."""
        self.page.evaluate(_COMMAND, [name, arguments])

    def run_all(self) -> None:
        """Run all cells, one after the other, without waiting for them."""
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")

    def execute(self, code: str) -> str:
        """Execute code in the kernel of the notebook and return what it prints."""
        return str(self.page.evaluate(_EXECUTE, code))

    def view(self, number: int = 0) -> Locator:
        """The view of a run, by its place in the notebook."""
        return self.page.get_by_role("region", name="Codex session").nth(number)

    def outputs(self) -> list[list[dict[str, object]]]:
        """The outputs of all code cells as they would be saved."""
        notebook = cast("dict[str, list[dict[str, object]]]", self.page.evaluate(_CONTENT))
        return [
            cast("list[dict[str, object]]", cell["outputs"])
            for cell in notebook["cells"]
            if cell["cell_type"] == "code"
        ]

    def wait_for(self, condition: str, *arguments: object) -> None:
        """Wait until a JavaScript function of the page is true."""
        self.page.wait_for_function(condition, arg=list(arguments))

    def close(self) -> None:
        """Close the page."""
        self.page.close()
        assert self.errors == []
