/**
 * Tells the person that Codex waits, once for each question, wherever they look.
 *
 * A question that the person has before their eyes is not told. What is told is taken back when the question is settled, also
 * when that happened elsewhere.
 */

import { Notification as Toast } from "@jupyterlab/apputils";
import { isObject, listOf, textOf } from "../core/json";
import { reveal } from "../core/reveal";
import { type Actions, isWaiting } from "./actions";
import type { Codex } from "./codex";
import type { Held } from "./hub";
import type { Entry } from "./server";

export interface NoticeSettings {
  /** Inside JupyterLab. */
  toast: boolean;
  /** By the browser, while the page is not visible. */
  browser: boolean;
}

const WANTS: Record<string, string> = {
  command: "run a command",
  file_change: "change files",
  permissions: "be allowed more",
  tool: "use a tool",
};

interface Told {
  session: string;
  takeBack(): void;
}

export class Notices {
  readonly #held = new Map<string, { held: Held; detach: () => void }>();
  readonly #told = new Map<string, Told>();

  constructor(
    private readonly codex: Codex,
    private readonly actions: Actions,
    private readonly settings: () => NoticeSettings,
  ) {
    codex.watch.changed.connect(this.#follow, this);
    const look = (): void => void requestAnimationFrame(() => this.#forgetSeen());
    // Whoever comes back to the page, or to the notebook, needs no telling of what it shows.
    for (const name of ["visibilitychange", "focusin"]) document.addEventListener(name, look);
    codex.showing.added.connect(look);
    this.#follow();
  }

  /** Listens to the sessions that wait, and only to them. */
  #follow(): void {
    const waiting = new Map(this.codex.watch.entries.filter(isWaiting).map((entry) => [entry.id, entry]));
    for (const [session, { held, detach }] of this.#held) {
      if (waiting.has(session)) continue;
      detach();
      held.release();
      this.#held.delete(session);
      this.#settle(session, new Set());
    }
    for (const session of waiting.keys()) {
      if (this.#held.has(session)) continue;
      const held = this.codex.hub.open(session);
      const detach = held.feed.attach(({ structure }) => structure && this.#look(session));
      this.#held.set(session, { held, detach });
      this.#look(session);
    }
  }

  #look(session: string): void {
    const transcript = this.#held.get(session)?.held.feed.replica.transcript;
    const asked = listOf(transcript?.approvals).filter(isObject);
    const pending = asked.filter((it) => it.status === "pending");
    this.#settle(session, new Set(pending.map((it) => keyOf(session, textOf(it.id)))));
    const entry = this.codex.watch.find(session);
    if (entry === null) return;
    for (const it of pending) this.#tell(keyOf(session, textOf(it.id)), textOf(it.kind), entry);
  }

  #settle(session: string, pending: Set<string>): void {
    for (const [key, told] of this.#told) {
      if (told.session !== session || pending.has(key)) continue;
      told.takeBack();
      this.#told.delete(key);
    }
  }

  #tell(key: string, kind: string, entry: Entry): void {
    if (this.#told.has(key)) return;
    const { toast, browser } = this.settings();
    const words = `Codex wants to ${WANTS[kind] ?? "go on"}: ${reveal(entry.name) || entry.id}`;
    const show = (): void => void this.actions.open(entry);
    const takers: (() => void)[] = [];
    if (toast && !this.codex.showing.isSeen(entry.id)) takers.push(showToast(words, show));
    if (browser && document.visibilityState !== "visible") takers.push(showOutside(words, key, show));
    this.#told.set(key, { session: entry.id, takeBack: () => takers.splice(0).forEach((take) => take()) });
  }

  #forgetSeen(): void {
    for (const { session, takeBack } of this.#told.values()) if (this.codex.showing.isSeen(session)) takeBack();
  }
}

function keyOf(session: string, approval: string): string {
  return `${session} ${approval}`;
}

function showToast(words: string, show: () => void): () => void {
  const id = Toast.info(words, { autoClose: false, actions: [{ label: "Show", callback: show, displayType: "accent" }] });
  return () => Toast.dismiss(id);
}

/** Needs the permission that the person gave by our command; without it, nothing is shown and nobody is asked. */
function showOutside(words: string, tag: string, show: () => void): () => void {
  if (!("Notification" in globalThis) || Notification.permission !== "granted") return () => undefined;
  const shown = new Notification(words, { tag });
  shown.onclick = () => {
    globalThis.focus();
    show();
    shown.close();
  };
  return () => shown.close();
}
