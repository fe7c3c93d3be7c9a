/** The list of this user's sessions, kept current by one WebSocket for the whole page. */

import { type ISignal, Signal } from "@lumino/signaling";
import { isObject, listOf } from "../core/json";
import type { Json } from "../tokens";
import { type Entry, type Server, readEntry } from "./server";
import { LastingSocket } from "./socket";

/** `absent`: the server lacks our extension. */
export type WatchState = "connecting" | "live" | "lost" | "absent";

export class Watch {
  /** The oldest first. */
  entries: readonly Entry[] = [];
  state: WatchState = "connecting";
  readonly #socket: LastingSocket;
  readonly #news = new Signal<this, void>(this);
  #wasOpen = false;

  constructor(private readonly server: Server) {
    this.#socket = new LastingSocket(() => server.openWatch(), {
      opened: () => (this.#wasOpen = true),
      message: (data) => this.#receive(data),
      closed: () => this.#closed(),
    });
    this.#socket.open();
  }

  /** The list or the state is another one. */
  get changed(): ISignal<this, void> {
    return this.#news;
  }

  find(session: string): Entry | null {
    return this.entries.find(({ id }) => id === session) ?? null;
  }

  /** Whether a session host is known to serve the session. */
  isRunning(session: string): boolean {
    return this.state === "live" && this.find(session)?.ended === "";
  }

  #receive(data: unknown): void {
    const frame: Json = typeof data === "string" ? (JSON.parse(data) as Json) : null;
    if (!isObject(frame) || frame.frame !== "sessions") return;
    this.entries = listOf(frame.sessions).filter(isObject).map(readEntry);
    this.#set("live");
  }

  #closed(): boolean {
    // A browser does not tell a page why a WebSocket did not open.
    if (!this.#wasOpen) void this.#askWhy();
    if (this.state !== "absent") this.#set("lost");
    return this.state !== "absent";
  }

  async #askWhy(): Promise<void> {
    if ((await this.server.hasExtension()) !== false) return;
    this.#socket.close();
    this.#set("absent");
  }

  #set(state: WatchState): void {
    this.state = state;
    this.#news.emit();
  }
}
