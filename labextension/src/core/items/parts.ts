/** The pieces that cards and lines are made of. */

import type { Item } from "../../tokens";
import type { Context } from "../context";
import { type IconName, button, element, icon, spoken } from "../dom";
import { duration } from "../text";

/** How long an item took or has been running, or "" when that is not worth a word. */
export function timeOf(item: Item, context: Context): string {
  if (item.startedAt === null || item.status === "declined") return "";
  const seconds = (item.completedAt ?? context.now()) - item.startedAt;
  if (item.status !== "in_progress" && item.completedAt === null) return "";
  return seconds < 0.1 ? "" : duration(seconds);
}

const STATES: Record<string, { name: IconName; word: string }> = {
  completed: { name: "check", word: "completed" },
  failed: { name: "cross", word: "failed" },
  declined: { name: "dash", word: "declined" },
  interrupted: { name: "dash", word: "interrupted" },
};

/** The state of an item: an icon to the eye, a word to the ear. */
export function stateIcon(status: string): HTMLElement {
  const state = STATES[status];
  if (state === undefined) {
    return element("span", "cnb-state cnb-state-live", element("span", "cnb-spinner"), spoken("running "));
  }
  return element("span", `cnb-state cnb-state-${status}`, icon(state.name), spoken(`${state.word} `));
}

/** One line: an icon, a label, details in grey. */
export function line(name: IconName, ...parts: (Node | string)[]): HTMLElement {
  return element("div", "cnb-line", icon(name), element("span", "cnb-linetext", ...parts));
}

/** A line that unfolds. */
export class Fold {
  readonly element = element("details", "cnb-fold");
  readonly summary = element("summary", "cnb-line");
  readonly body = element("div", "cnb-foldbody");

  constructor(name: IconName) {
    this.element.append(this.summary);
    this.summary.append(icon(name));
  }

  /** Shows what the line says and what it unfolds to; a line without content does not unfold. */
  show(head: (Node | string)[], content: Node[]): void {
    const [picture] = this.summary.children;
    this.summary.replaceChildren(
      ...(picture === undefined ? [] : [picture]),
      element("span", "cnb-linetext", ...head),
    );
    this.body.replaceChildren(...content);
    const isEmpty = content.length === 0;
    this.element.classList.toggle("cnb-empty", isEmpty);
    if (isEmpty) {
      this.element.open = false;
      this.body.remove();
      this.summary.tabIndex = -1;
    } else {
      this.element.append(this.body);
      this.summary.removeAttribute("tabindex");
    }
  }
}

/** Text that shows its first lines, and the rest on demand. */
export class FoldedText {
  readonly element = element("div", "cnb-foldedtext");
  private readonly text = element("div", "cnb-pretext");
  private readonly more: HTMLButtonElement;
  private isWhole = false;

  constructor(private readonly most: number) {
    this.more = button("Show more", "cnb-more", () => {
      this.isWhole = !this.isWhole;
      this.draw();
    });
    this.text.style.setProperty("--cnb-lines", String(most));
    this.element.append(this.text, this.more);
  }

  update(text: string): void {
    if (this.text.textContent === text) return;
    this.text.textContent = text;
    // Long lines wrap, so their length counts as well as their number.
    const lines = text.split("\n").reduce((sum, part) => sum + 1 + Math.floor(part.length / 140), 0);
    this.more.hidden = lines <= this.most;
    this.draw();
  }

  private draw(): void {
    const isCut = !this.isWhole && !this.more.hidden;
    this.text.classList.toggle("cnb-clamped", isCut);
    this.more.textContent = this.isWhole ? "Show less" : "Show more";
    this.more.setAttribute("aria-expanded", String(this.isWhole));
  }
}

export function code(text: string): HTMLElement {
  return element("code", "cnb-inlinecode", text);
}

export function muted(text: string): HTMLElement {
  return element("span", "cnb-muted", text);
}

const DATA_IMAGE = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$/;
const LARGEST_IMAGE = 12_000_000;

/** A picture that came inside the message, or null: nothing is ever loaded from the network. */
export function dataImage(url: string, label: string): HTMLImageElement | null {
  if (url.length > LARGEST_IMAGE || !DATA_IMAGE.test(url)) return null;
  const image = element("img", "cnb-image");
  image.alt = label;
  image.src = url;
  return image;
}
