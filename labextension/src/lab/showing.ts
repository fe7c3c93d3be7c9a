/** Which widgets of the page show which session. */

import { type ISignal, Signal } from "@lumino/signaling";
import type { Widget } from "@lumino/widgets";

export class Showing {
  readonly #widgets = new Map<Widget, string>();
  readonly #news = new Signal<this, string>(this);

  /** Tells the session that one more widget shows. */
  get added(): ISignal<this, string> {
    return this.#news;
  }

  /** Notes that a widget shows a session, until it is disposed. */
  add(session: string, widget: Widget): void {
    if (!this.#widgets.has(widget)) widget.disposed.connect(() => this.#widgets.delete(widget));
    this.#widgets.set(widget, session);
    this.#news.emit(session);
  }

  /** A widget that shows the session: one that a person can see, or else the last in the page. */
  find(session: string): Widget | null {
    const all = [...this.#widgets].filter(([widget, id]) => id === session && widget.isAttached).map(([widget]) => widget);
    return all.find(({ node }) => isOnScreen(node)) ?? all[all.length - 1] ?? null;
  }

  /** Whether a person who looks at the page sees the session, be it only a part. */
  isSeen(session: string): boolean {
    if (document.visibilityState !== "visible") return false;
    return [...this.#widgets].some(([widget, id]) => id === session && isOnScreen(widget.node));
  }
}

function isOnScreen(node: HTMLElement): boolean {
  const { top, bottom, width, height } = node.getBoundingClientRect();
  return width > 0 && height > 0 && bottom > 0 && top < globalThis.innerHeight;
}
