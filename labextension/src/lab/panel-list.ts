/** What stands in the side panel: this user's sessions in groups, or how to begin. */

import { element, setText } from "../core/dom";
import { PanelRow, type RowActions } from "./row";
import type { Entry } from "./server";
import type { Watch } from "./watch";
import { isBusy, isWaiting } from "./actions";

const ENDED_SHOWN = 5;

const GROUPS = ["Waiting for you", "Running", "Idle", "Ended"] as const;
type Group = (typeof GROUPS)[number];

export interface PanelActions extends RowActions {
  newNotebook(): void;
}

interface Section {
  element: HTMLElement;
  count: HTMLElement;
  list: HTMLElement;
}

export class SessionsList {
  readonly #sections = new Map<Group, Section>();
  readonly #rows = new Map<string, PanelRow>();
  readonly #note = element("p", "codex-note");
  readonly #empty = element("div", "codex-empty");
  #timer: ReturnType<typeof setInterval> | null = null;
  #isVisible = false;

  constructor(
    private readonly root: HTMLElement,
    private readonly watch: Watch,
    private readonly actions: PanelActions,
  ) {
    this.#note.setAttribute("role", "status");
    this.#fillEmpty();
    root.append(this.#note, this.#empty);
    for (const group of GROUPS) this.#addSection(group);
    watch.changed.connect(this.#draw, this);
    this.#draw();
  }

  dispose(): void {
    this.watch.changed.disconnect(this.#draw, this);
    this.#setTicking(false);
  }

  /** Lets the clocks tick while a person can see them. */
  setVisible(isVisible: boolean): void {
    this.#isVisible = isVisible;
    this.#draw();
  }

  #fillEmpty(): void {
    const start = element("button", "codex-start jp-mod-styled", "Open a notebook with these lines");
    start.type = "button";
    start.addEventListener("click", () => this.actions.newNotebook());
    const lines = element("pre", "codex-lines", "%load_ext codex_nb\n\n%%codex_run\nSay what you want done.");
    this.#empty.append(element("p", "", "No sessions yet. A session starts in a notebook:"), lines, start);
  }

  #addSection(group: Group): void {
    const count = element("span", "codex-count");
    const list = element("ul", "codex-list");
    const heading = element("h3", "codex-group", group, " ", count);
    heading.id = `codex-group-${GROUPS.indexOf(group)}`;
    list.setAttribute("aria-labelledby", heading.id);
    const section = element("section", "", heading, list);
    this.#sections.set(group, { element: section, count, list });
    this.root.append(section);
  }

  #draw(): void {
    const { watch } = this;
    const groups = grouped(watch.entries);
    const shown = new Set<string>();
    for (const [group, section] of this.#sections) {
      const entries = groups.get(group) ?? [];
      if (entries.length > 0) section.element.hidden = false;
      setText(section.count, String(entries.length));
      this.#drawRows(section.list, group === "Ended" ? entries.slice(0, ENDED_SHOWN) : entries, shown);
    }
    // Only now: a row that moved on to another group was here, perhaps with the focus in it.
    for (const [group, section] of this.#sections) section.element.hidden = !groups.has(group);
    for (const [id, row] of this.#rows) {
      if (shown.has(id)) continue;
      row.element.remove();
      this.#rows.delete(id);
    }
    this.#empty.hidden = watch.state !== "live" || watch.entries.length > 0;
    this.#note.hidden = watch.state === "live";
    setText(this.#note, NOTES[watch.state]);
    this.#setTicking(this.#isVisible && watch.entries.some(isBusy));
  }

  #drawRows(list: HTMLElement, entries: readonly Entry[], shown: Set<string>): void {
    let place = list.firstElementChild;
    for (const entry of entries) {
      shown.add(entry.id);
      let row = this.#rows.get(entry.id);
      if (row === undefined) {
        row = new PanelRow(this.actions);
        this.#rows.set(entry.id, row);
      }
      row.update(entry);
      if (row.element === place) place = place.nextElementSibling;
      else keepFocus(row.element, (it) => list.insertBefore(it, place));
    }
  }

  #setTicking(isTicking: boolean): void {
    if (isTicking === (this.#timer !== null)) return;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = isTicking ? setInterval(() => this.#tick(), 1000) : null;
  }

  #tick(): void {
    for (const row of this.#rows.values()) row.tick();
  }
}

const NOTES = {
  connecting: "Looking for sessions…",
  live: "",
  lost: "The Jupyter server does not answer. What stands here may be old.",
  absent: "The Jupyter server runs without the codex_nb extension. Install codex-nb where the server runs, and restart it.",
};

/** What needs the person first; within a group the newest first. */
function grouped(entries: readonly Entry[]): Map<Group, Entry[]> {
  const groups = new Map<Group, Entry[]>();
  for (const entry of [...entries].sort((a, b) => b.createdAt - a.createdAt)) {
    const group = groupOf(entry);
    groups.set(group, [...(groups.get(group) ?? []), entry]);
  }
  return groups;
}

function groupOf(entry: Entry): Group {
  if (entry.ended !== "") return "Ended";
  if (isWaiting(entry)) return "Waiting for you";
  return isBusy(entry) || entry.status === "starting" ? "Running" : "Idle";
}

/** Moves an element without losing the focus that is inside of it. */
function keepFocus(moved: HTMLElement, move: (moved: HTMLElement) => void): void {
  const focused = moved.contains(document.activeElement) ? document.activeElement : null;
  move(moved);
  if (focused instanceof HTMLElement) focused.focus();
}
