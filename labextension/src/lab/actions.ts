/** What a person can do with a session from outside of its view. */

import type { JupyterFrontEnd } from "@jupyterlab/application";
import { Dialog, Notification, showDialog } from "@jupyterlab/apputils";
import type { Widget } from "@lumino/widgets";
import { reveal } from "../core/reveal";
import { Refusal } from "../tokens";
import type { Codex } from "./codex";
import type { Entry } from "./server";
import { contentsPath } from "./services";

/** So long may a notebook take until it shows its outputs. */
const NOTEBOOK_PATIENCE_MS = 15_000;
const PROBLEM_MS = 10_000;
const WINDOW = "popup,width=900,height=600";

const FIRST_CELLS = [
  "%load_ext codex_nb",
  "%%codex_run\nLook at the files in this folder and tell me in three sentences what they are about.",
];

export class Actions {
  #lastWaiting = "";

  constructor(
    private readonly app: JupyterFrontEnd,
    private readonly codex: Codex,
    private readonly openTab: (session: string) => Promise<void>,
  ) {}

  /** Brings a session before the person: where it is shown already, or in its notebook, or else in a tab. */
  async open(entry: Entry): Promise<void> {
    const { showing } = this.codex;
    const shown = showing.find(entry.id);
    if (shown !== null) return this.#reveal(shown);
    const path = contentsPath(entry.notebook);
    if (path === null || !(await this.#isThere(path))) return this.openTab(entry.id);
    const widget = this.#appearance(entry.id);
    await this.app.commands.execute("docmanager:open", { path });
    const found = await widget;
    if (found !== null) this.#reveal(found);
  }

  /** Brings the next session that waits for the person; each call goes one further. */
  async openNextWaiting(): Promise<void> {
    const waiting = this.codex.watch.entries.filter((entry) => isWaiting(entry));
    const place = waiting.findIndex(({ id }) => id === this.#lastWaiting);
    const next = waiting[(place + 1) % waiting.length];
    if (next === undefined) return void Notification.info("Nothing waits for you.", { autoClose: 3000 });
    this.#lastWaiting = next.id;
    await this.open(next);
  }

  /** Shows the terminal in a window of the browser, for another screen. */
  async openWindow({ id }: Entry): Promise<void> {
    const { server } = this.codex;
    // At once, as long as the browser knows that the person asked for it.
    const made = open("", `codex-nb-${id}`, WINDOW);
    const work = server.openTerminal(id).then(() => made?.location.replace(server.terminalUrl(id)));
    work.catch(() => made?.close());
    await told(work);
  }

  /** The same to look at only, for who shall not type or may not; it opens no terminal. */
  watchInWindow({ id }: Entry): void {
    open(`${this.codex.server.terminalUrl(id)}view/`, `codex-nb-view-${id}`, WINDOW);
  }

  async stop(entry: Entry): Promise<void> {
    await told(this.codex.server.interrupt(entry.id));
  }

  /** Closes a session after the person confirmed it. */
  async close(entry: Entry): Promise<void> {
    const name = reveal(entry.name) || entry.id;
    const { button } = await showDialog({
      title: `Close the session “${name}”?`,
      body: `Codex ends${isBusy(entry) ? ", and with it the turn that is running" : ""}. What it said stays in the notebook.`,
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: "Close session" })],
      defaultButton: 0,
    });
    if (button.accept) await told(this.codex.server.close(entry.id));
  }

  /** Opens a new notebook that says how to begin. */
  async newNotebook(folder: string): Promise<void> {
    const { contents, kernelspecs } = this.app.serviceManager;
    const specs = kernelspecs.specs;
    const all = Object.values(specs?.kernelspecs ?? {});
    const chosen = specs?.kernelspecs[specs.default];
    const kernel = chosen?.language === "python" ? chosen : all.find((spec) => spec?.language === "python");
    const kernelspec = kernel && { name: kernel.name, display_name: kernel.display_name, language: kernel.language };
    const { path } = await contents.newUntitled({ path: folder, type: "notebook" });
    const cells = FIRST_CELLS.map((source, i) => ({
      id: `codex-${i + 1}`,
      cell_type: "code",
      source,
      metadata: {},
      outputs: [],
      execution_count: null,
    }));
    const metadata = kernelspec ? { kernelspec } : {};
    await contents.save(path, {
      type: "notebook",
      format: "json",
      content: { cells, metadata, nbformat: 4, nbformat_minor: 5 },
    });
    await this.app.commands.execute("docmanager:open", { path });
  }

  #reveal(widget: Widget): void {
    const { shell } = this.app;
    for (let it: Widget | null = widget; it !== null; it = it.parent) if (it.id !== "") shell.activateById(it.id);
    const question = widget.node.querySelector("[data-cnb-face=conversation] .cnb-approval");
    (question ?? widget.node).scrollIntoView({ block: "nearest" });
  }

  async #isThere(path: string): Promise<boolean> {
    try {
      await this.app.serviceManager.contents.get(path, { content: false });
      return true;
    } catch {
      // Whatever the reason, the tab shows the session all the same.
      return false;
    }
  }

  /** The widget that comes to show a session; null when none does for a while. */
  #appearance(session: string): Promise<Widget | null> {
    const { showing } = this.codex;
    return new Promise((resolve) => {
      const done = (): void => {
        showing.added.disconnect(look);
        clearTimeout(timer);
        resolve(showing.find(session));
      };
      const look = (_: unknown, added: string): void => {
        // It is noted before it has its place in the page.
        if (added === session) requestAnimationFrame(done);
      };
      const timer = setTimeout(done, NOTEBOOK_PATIENCE_MS);
      showing.added.connect(look);
    });
  }
}

export function isWaiting({ ended, waiting, status }: Entry): boolean {
  return ended === "" && (waiting > 0 || status === "waiting");
}

/** Whether a turn runs. */
export function isBusy({ ended, status, turnStartedAt }: Entry): boolean {
  return ended === "" && (turnStartedAt !== null || status === "running" || status === "waiting");
}

/** Waits for an operation, and tells the person when it fails. */
async function told(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (problem) {
    const words = problem instanceof Refusal ? `${problem.message} ${problem.hint}` : String(problem);
    Notification.error(words.trim(), { autoClose: PROBLEM_MS });
  }
}
