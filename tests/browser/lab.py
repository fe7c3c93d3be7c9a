"""A real JupyterLab with a home of its own, and notebooks in it as a person would use them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tests.support.waiting import scaled, wait_until_now

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, ViewportSize

ROOT = Path(__file__).parents[2]
TOKEN = "lab-token-of-the-tests"

_APPS = {
    "lab": ("jupyterlab", "LabApp", "lab/tree"),
    "notebook": ("notebook", "JupyterNotebookApp", "notebooks"),
}
# Script errors that are not ours. Notebook 7.6 has one of its own at each start, with and without
# extensions, and another while its server is away; JupyterLab has one when a kernel ends before it
# answered the question for a subshell, which JupyterLab asks for each comm. Errors with our code on
# their stack count all the same.
_OWN_ERRORS = {
    "lab": ("Canceled future for create_subshell_request message",),
    "notebook": ("Cannot read properties of undefined (reading 'schema')", "Failed to fetch"),
}
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
_VIEWPORT: ViewportSize = {"width": 1200, "height": 1400}
_SESSION = "window.jupyterapp?.shell.currentWidget?.sessionContext"
_RUN_CELLS = """(numbers) => {
  const { commands, shell } = window.jupyterapp;
  const notebook = shell.currentWidget.content;
  notebook.deselectAll();
  notebook.activeCellIndex = numbers[0];
  for (const number of numbers) notebook.select(notebook.widgets[number]);
  commands.execute('notebook:run-cell');
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
    """A Jupyter server with JupyterLab on a free port of the loopback address.

    Args:
        folder: Holds its home, its settings and the notebooks.
        speed: Tokens a second of the replays.
        app: `lab`, or `notebook` for Notebook 7; if empty, what the environment variable
            CODEX_NB_TEST_APP says, or JupyterLab.
        is_served: Whether our server extension is enabled; without it the kernel carries sessions.

    With the environment variable CODEX_NB_TEST_JUPYTER, the path of a Python with our wheel, it is
    that Python's Jupyter and that wheel.
    """

    def __init__(
        self, folder: Path, *, speed: float = 0, app: str = "", is_served: bool = True
    ) -> None:
        app = app or os.environ.get("CODEX_NB_TEST_APP", "lab")
        python = os.environ.get("CODEX_NB_TEST_JUPYTER", "")
        self.folder = folder
        self.is_served = is_served
        self.root = folder / "root"
        self.runtime = folder / "runtime"
        home = folder / "home"
        for path in (self.root, home, self.runtime):
            path.mkdir(parents=True)
        extensions = {} if python else install_extensions(folder, is_served=is_served)
        settings = folder / "settings"
        for name, values in _SETTINGS.items():
            path = settings / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values))
        self._log = (folder / "lab.log").open("wb")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
        self._env = {
            **kept,
            **extensions,
            "HOME": str(home),
            "JUPYTER_RUNTIME_DIR": str(self.runtime),
            "JUPYTER_TOKEN": TOKEN,
            "CODEX_NB_REPLAY_SPEED": str(speed),
        }
        self._app = app
        module, trait, self._tree = _APPS[app]
        self._argv = [
            *(python or sys.executable, "-m", module, "--no-browser", "--allow-root"),
            *(f"--ServerApp.root_dir={self.root}", f"--{trait}.expose_app_in_browser=True"),
            # Every page asks for this, and a server is a second busy with the answer.
            "--ServerApp.tornado_settings={'page_config_data': {'buildCheck': False}}",
            f"--{trait}.user_settings_dir={settings}",
        ]
        self._contexts: dict[Browser, BrowserContext] = {}
        self._server = self._start(port=free_port())
        self.url = self._wait_url()

    @property
    def sessions(self) -> Path:
        """The folder of the sessions that its kernels start."""
        return self.runtime / "codex-nb"

    def stop(self) -> None:
        """End the server and its kernels; the sessions go on."""
        if self._server.poll() is not None:
            return
        os.killpg(self._server.pid, signal.SIGTERM)
        try:
            self._server.wait(scaled(20))
        except subprocess.TimeoutExpired:
            os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()

    def start(self) -> None:
        """Start a server that was stopped again, at the same address."""
        self._server = self._start(port=int(self.url.rstrip("/").rpartition(":")[2]))
        self._wait_url()

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook of code cells."""
        import nbformat

        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in cells],
            metadata={"kernelspec": kernel},
        )
        nbformat.write(notebook, self.root / name)

    def open(self, browser: Browser, name: str, *, is_elsewhere: bool = False) -> NotebookPage:
        """Open a notebook of the root in a page of its own and wait for its kernel.

        Args:
            browser: A running browser.
            name: Of the notebook.
            is_elsewhere: Whether it is as if another browser opened it. The pages of one share what
                they loaded, which makes the second one come sooner, and `close_pages` forgets the
                rest.
        """
        if is_elsewhere:
            page = browser.new_page(viewport=_VIEWPORT)
        else:
            if browser not in self._contexts:
                self._contexts[browser] = browser.new_context(viewport=_VIEWPORT)
            page = self._contexts[browser].new_page()
        url = f"{self.url}{self._tree}/{name}?reset&token={TOKEN}"
        return NotebookPage(page, url, accepts=_OWN_ERRORS.get(self._app, ()))

    def close_pages(self) -> None:
        """Close the pages that are left, and forget what they kept and were allowed."""
        for context in self._contexts.values():
            for page in context.pages:
                page.close()
            context.clear_permissions()
            context.clear_cookies()

    def close(self) -> None:
        """End the server and the kernels that it started, and close its pages."""
        for context in self._contexts.values():
            context.close()
        self.stop()
        self._log.close()

    def _start(self, *, port: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._argv, f"--ServerApp.port={port}", "--ServerApp.port_retries=0"],
            env=self._env,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def _wait_url(self) -> str:
        info = self.runtime / f"jpserver-{self._server.pid}.json"
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


def free_port() -> int:
    """A port that nobody has; jupyter_server before 2.14 does not tell which one it took for 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def install_extensions(folder: Path, *, is_served: bool = True) -> dict[str, str]:
    """Have Jupyter find both extensions of this checkout, before any that are installed."""
    data, config = folder / "data", folder / "config"
    (data / "labextensions").mkdir(parents=True)
    (data / "labextensions" / "codex-nb").symlink_to(ROOT / "codex_nb" / "labextension" / "lab")
    (config / "jupyter_server_config.d").mkdir(parents=True)
    [enabling] = (ROOT / "jupyter-config" / "server-config").glob("*.json")
    ours = config / "jupyter_server_config.d" / enabling.name
    if is_served:
        ours.symlink_to(enabling)
    else:
        ours.write_text('{"ServerApp": {"jpserver_extensions": {"codex_nb": false}}}')
    return {"JUPYTER_PATH": str(data), "JUPYTER_CONFIG_PATH": str(config)}


class NotebookPage:
    """One browser page with one notebook. A script error fails the test at `close`.

    Args:
        page: An empty page.
        url: Of the notebook.
        accepts: What the texts of script errors hold that are not ours.
    """

    def __init__(self, page: Page, url: str, *, accepts: tuple[str, ...] = ()) -> None:
        self.page = page
        self.errors: list[str] = []
        page.set_default_timeout(scaled(30) * 1000)

        def note(error: Error) -> None:
            is_ours = "codex-nb" in (error.stack or "")
            if is_ours or not any(text in str(error) for text in accepts):
                self.errors.append(str(error))

        page.on("pageerror", note)
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

    def run_cells(self, *numbers: int) -> None:
        """Run some cells, by their places from 0, without waiting for them."""
        self.page.evaluate(_RUN_CELLS, list(numbers))

    def restart_kernel(self) -> None:
        """Restart the kernel, without a question, and wait until it is there again."""
        self.page.evaluate(f"async () => {{ await {_SESSION}.session.kernel.restart(); }}")
        self.page.wait_for_function(_IS_READY)

    def interrupt_kernel(self) -> None:
        """Interrupt the kernel."""
        self.page.evaluate(f"async () => {{ await {_SESSION}.session.kernel.interrupt(); }}")

    def end_kernel(self) -> None:
        """End the kernel, if there is one."""
        self.page.evaluate(f"async () => {{ await {_SESSION}?.shutdown(); }}")

    def execute(self, code: str) -> str:
        """Execute code in the kernel of the notebook and return what it prints."""
        return str(self.page.evaluate(_EXECUTE, code))

    def view(self, number: int = 0) -> Locator:
        """The view of a run, by its place in the notebook."""
        return self.page.get_by_role("region", name="Codex session").nth(number)

    def forget(self) -> None:
        """Remove what the page stored, which the next one of the same browser would find."""
        self.page.evaluate("() => localStorage.clear()")

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
        assert self.errors == [], self.errors
