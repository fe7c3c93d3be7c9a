/** The one live region of a view: it says that something waits for approval and how a turn ended, and nothing else. */

import type { Approval } from "../tokens";
import { element, setText } from "./dom";
import type { Standing } from "./standing";
import { reveal } from "./text";

const ENDS: Partial<Record<Standing["name"], string>> = {
  done: "Codex finished",
  failed: "Codex failed",
  interrupted: "Codex was interrupted",
};

export class Speaker {
  readonly element = element("div", "cnb-spoken");
  /** What was true at the last update; null before the first, of which nothing is news. */
  #before: { name: Standing["name"]; asked: string[] } | null = null;

  constructor() {
    this.element.setAttribute("role", "status");
  }

  update({ name }: Standing, pending: Approval[]): void {
    // A connection that comes back brings what ended meanwhile, and is no news itself.
    if (name === "lost") return;
    const before = this.#before;
    this.#before = { name, asked: pending.map(({ id }) => id) };
    if (before === null) return;
    const asked = pending.find(({ id }) => !before.asked.includes(id));
    if (asked !== undefined) setText(this.element, `Waiting for approval: ${reveal(asked.title)}`);
    else if (name !== before.name) setText(this.element, ENDS[name] ?? "");
  }
}
