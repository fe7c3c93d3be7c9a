/** One session in the side panel. */

import { element, icon, setText } from "../core/dom";
import { clock, relativePath, reveal } from "../core/text";
import { isBusy, isWaiting } from "./actions";
import type { Entry } from "./server";

export interface RowActions {
  open(entry: Entry): void;
  openTerminal(entry: Entry): void;
  stop(entry: Entry): void;
  close(entry: Entry): void;
}

type Look = "waiting" | "running" | "idle" | "failed" | "ended";

const ENDED: Record<string, string> = { closed: "Closed", idle: "Closed when idle", failed: "Failed" };

export class PanelRow {
  readonly element = element("li", "codex-row");
  readonly #dot = element("span", "codex-dot");
  readonly #name = element("span", "codex-name");
  readonly #word = element("span", "codex-word");
  readonly #elapsed = element("span", "codex-elapsed");
  readonly #place = element("span", "codex-place");
  readonly #opener = element("button", "codex-open");
  readonly #terminal: HTMLButtonElement;
  readonly #stopper: HTMLButtonElement;
  readonly #closer: HTMLButtonElement;
  #entry: Entry | null = null;

  constructor(actions: RowActions) {
    const call = (action: (entry: Entry) => void) => (): void => {
      if (this.#entry !== null) action(this.#entry);
    };
    this.#opener.type = "button";
    this.#opener.addEventListener("click", call((it) => actions.open(it)));
    const state = element("span", "codex-state", this.#word, this.#elapsed);
    this.#opener.append(element("span", "codex-line", this.#dot, this.#name), state, this.#place);
    this.#terminal = iconButton("terminal", call((it) => actions.openTerminal(it)));
    this.#stopper = iconButton("stop", call((it) => actions.stop(it)));
    this.#closer = iconButton("cross", call((it) => actions.close(it)));
    this.element.append(this.#opener, element("div", "codex-actions", this.#stopper, this.#closer, this.#terminal));
  }

  update(entry: Entry): void {
    this.#entry = entry;
    const name = reveal(entry.name) || entry.id;
    this.#dot.className = `codex-dot codex-dot-${lookOf(entry)}`;
    setText(this.#name, name);
    setText(this.#word, wordOf(entry));
    setText(this.#place, placeOf(entry));
    const where = [entry.notebook && `Notebook ${entry.notebook}`, `Folder ${entry.cwd}`, `Host ${entry.host}`];
    this.#opener.title = reveal(where.filter(Boolean).join("\n"));
    relabel(this.#terminal, `Open the terminal of ${name}`);
    relabel(this.#stopper, `Stop the turn of ${name}`);
    relabel(this.#closer, `Close ${name}`);
    this.#hide(this.#terminal, entry.ended !== "");
    this.#hide(this.#stopper, !isBusy(entry));
    this.#hide(this.#closer, entry.ended !== "");
    this.tick();
  }

  /** Hides a button, or shows it; the focus stays in the row. */
  #hide(button: HTMLButtonElement, isHidden: boolean): void {
    const wasFocused = document.activeElement === button;
    button.hidden = isHidden;
    if (isHidden && wasFocused) this.#opener.focus();
  }

  tick(): void {
    const since = this.#entry?.turnStartedAt ?? null;
    setText(this.#elapsed, since === null || this.#entry?.ended !== "" ? "" : clock(Date.now() / 1000 - since));
  }
}

function lookOf(entry: Entry): Look {
  if (entry.ended === "failed" || entry.status === "failed") return "failed";
  if (entry.ended !== "") return "ended";
  if (isWaiting(entry)) return "waiting";
  return isBusy(entry) || entry.status === "starting" ? "running" : "idle";
}

function wordOf(entry: Entry): string {
  if (entry.ended !== "") return ENDED[entry.ended] ?? "Ended";
  if (isWaiting(entry)) return entry.waiting > 1 ? `${entry.waiting} questions wait` : "Waiting for you";
  if (isBusy(entry)) return "Working";
  return entry.status === "starting" ? "Starting" : "Ready";
}

/** Notebook, host and folder in one line; what goes without saying is left out. */
function placeOf({ notebook, cwd, host }: Entry): string {
  const folder = notebook.slice(0, notebook.lastIndexOf("/"));
  const parts = [
    notebook.slice(folder.length + 1),
    host === "local" ? "" : host,
    notebook !== "" && cwd === folder ? "" : shortFolder(cwd),
  ];
  return reveal(parts.filter(Boolean).join(" · "));
}

/** The last two folders of a path. */
function shortFolder(path: string): string {
  const cut = path.split("/").slice(0, -2).join("/");
  return cut === "" ? path : `…/${relativePath(path, cut)}`;
}

function iconButton(name: "terminal" | "stop" | "cross", onClick: () => void): HTMLButtonElement {
  const made = element("button", `codex-act codex-${name}`);
  made.type = "button";
  made.append(icon(name));
  made.addEventListener("click", onClick);
  return made;
}

function relabel(button: HTMLButtonElement, label: string): void {
  button.title = label;
  button.setAttribute("aria-label", label);
}
