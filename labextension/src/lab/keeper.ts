/**
 * Keeps the output of a notebook up to date when no kernel does.
 *
 * A kernel brings its outputs up to date itself when a turn is over. One that was restarted or ended does not: some time
 * after the end of a turn, the page asks the server for what the notebook should hold, and puts it there.
 */

import type { PartialJSONObject } from "@lumino/coreutils";
import type { Feed } from "../core/feed";
import { isObject, listOf, objectOf, textOf } from "../core/json";
import type { JsonObject, Window } from "../tokens";
import { type Saved, SESSION_TYPE, readSaved } from "./saved";
import type { Server } from "./server";

/** A kernel needs some ms. */
const PATIENCE_MS = 1500;

export interface Kept {
  /** What the notebook holds now. */
  saved(): Saved | null;
  replace(data: PartialJSONObject): void;
}

export class Keeper {
  #timer: ReturnType<typeof setTimeout> | null = null;
  readonly #detach: () => void;

  constructor(
    private readonly feed: Feed,
    private readonly server: Server,
    private readonly kept: Kept,
  ) {
    this.#detach = feed.attach(({ structure }) => structure && this.look());
    this.look();
  }

  /** Looks whether the notebook is behind, and if so, brings it up to date unless a kernel is quicker. */
  look(): void {
    if (this.#timer !== null || !this.#isBehind()) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#isBehind()) this.#bring().catch((problem: unknown) => console.warn("codex-nb: not kept:", problem));
    }, PATIENCE_MS);
  }

  dispose(): void {
    this.#detach();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #isBehind(): boolean {
    const saved = this.kept.saved();
    return saved !== null && lacksAnEnd(saved, this.feed.replica.transcript);
  }

  async #bring(): Promise<void> {
    const before = this.kept.saved();
    if (before === null) return;
    const bundle = await this.server.bundle(before.session, before.window);
    const fresh = readSaved(bundle?.data[SESSION_TYPE]);
    if (bundle === null || fresh === null || !this.#isBehind()) return;
    const now = this.kept.saved();
    if (now?.session !== before.session || !isSame(now.window, before.window) || fresh.n <= now.n) return;
    this.kept.replace(bundle.data);
  }
}

/** Whether a turn of the window is over in the transcript and not in what is saved. */
function lacksAnEnd({ window, transcript: saved }: Saved, transcript: JsonObject): boolean {
  const known = new Map(endsOf(saved));
  const ends = endsOf(transcript).slice(window.from, window.to ?? undefined);
  return ends.some(([id, status]) => status !== "in_progress" && known.get(id) !== status);
}

function endsOf(transcript: JsonObject): [string, string][] {
  return listOf(transcript.turns).map((turn) => {
    const { id, status } = isObject(turn) ? turn : objectOf(undefined);
    return [textOf(id), textOf(status)];
  });
}

function isSame(a: Window, b: Window): boolean {
  return a.from === b.from && a.to === b.to;
}
