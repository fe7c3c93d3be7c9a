/** The WebSocket of a session as a transport. */

import { isObject, textOf } from "../core/json";
import { type Json, type JsonObject, type Link, type Operation, Refusal, type Transport, Unanswered } from "../tokens";
import type { Server } from "./server";
import { LastingSocket } from "./socket";

const UNKNOWN = 4404;
const ENDED = 4410;
/** A cell is drawn before the session host that it starts is known. */
const START_MS = 15_000;
/** Until then a connection that was accepted may still be turned down. */
const SETTLED_MS = 150;

export interface TransportOptions {
  server: Server;
  session: string;
  /** The number of the last event that the page has; -1 for none. */
  since(): number;
  /** Whether our server extension is known to be missing. */
  isUnserved(): boolean;
}

interface Waiting {
  resolve(answer: JsonObject): void;
  reject(problem: Error): void;
}

export class SocketTransport implements Transport {
  readonly #socket: LastingSocket;
  readonly #listeners = new Set<(frame: unknown) => void>();
  readonly #waiting = new Map<number, Waiting>();
  #link: Link = "connecting";
  #settling: ReturnType<typeof setTimeout> | null = null;
  #last = 0;
  #startsUntil = -Infinity;

  constructor(private readonly options: TransportOptions) {
    const { server, session } = options;
    const make = (): WebSocket => {
      const since = options.since();
      return server.openEvents(session, since < 0 ? null : since);
    };
    this.#socket = new LastingSocket(make, {
      opened: () => (this.#settling = setTimeout(() => this.#setLink("live"), SETTLED_MS)),
      message: (data) => this.#receive(data),
      closed: (code) => this.#closed(code),
    });
  }

  get isGone(): boolean {
    return this.#link === "gone";
  }

  /** Has it that the session is about to start. */
  expectStart(): void {
    this.#startsUntil = performance.now() + START_MS;
  }

  /** Connects for the first time, or again to a session that was gone. */
  open(): void {
    if (this.isGone) this.#setLink("connecting");
    this.#socket.open();
  }

  request(operation: Operation): Promise<JsonObject> {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      if (this.#socket.send(JSON.stringify({ id, ...operation }))) this.#waiting.set(id, { resolve, reject });
      else reject(this.#unreachable());
    });
  }

  requestSnapshot(): void {
    this.#socket.send(JSON.stringify({ id: ++this.#last, op: "snapshot" }));
  }

  listen(onFrame: (frame: unknown) => void): () => void {
    this.#listeners.add(onFrame);
    onFrame({ frame: "link", state: this.#link });
    return () => this.#listeners.delete(onFrame);
  }

  dispose(): void {
    this.#unsettle();
    this.#socket.close();
    this.#listeners.clear();
    this.#rejectAll(new Refusal("The view was closed.", ""));
  }

  #receive(data: unknown): void {
    const message = parse(data);
    if (!isObject(message)) return;
    if ("frame" in message) {
      for (const listener of [...this.#listeners]) listener(message);
      return;
    }
    const id = typeof message.id === "number" ? message.id : 0;
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (isObject(message.error)) {
      const { error } = message;
      waiting?.reject(new Refusal(textOf(error.message) || "The session refused.", textOf(error.hint)));
    } else {
      waiting?.resolve(isObject(message.ok) ? message.ok : {});
    }
  }

  #closed(code: number): boolean {
    this.#unsettle();
    const isStarting = code === UNKNOWN && performance.now() < this.#startsUntil;
    const isFinal = (code === UNKNOWN && !isStarting) || code === ENDED || this.options.isUnserved();
    if (!isStarting) this.#setLink(isFinal ? "gone" : "lost");
    this.#rejectAll(new Unanswered("The connection broke before the session answered.", "Look whether it was done."));
    return !isFinal;
  }

  #unreachable(): Refusal {
    return this.isGone
      ? new Refusal("The session has ended.", "Start it again with %codex_run.")
      : new Unanswered("The session cannot be reached at the moment.", "Try again when the connection is back.");
  }

  #setLink(link: Link): void {
    this.#unsettle();
    if (link === this.#link) return;
    this.#link = link;
    for (const listener of [...this.#listeners]) listener({ frame: "link", state: link });
  }

  #unsettle(): void {
    if (this.#settling !== null) clearTimeout(this.#settling);
    this.#settling = null;
  }

  #rejectAll(problem: Error): void {
    for (const { reject } of this.#waiting.values()) reject(problem);
    this.#waiting.clear();
  }
}

function parse(data: unknown): Json {
  try {
    return typeof data === "string" ? (JSON.parse(data) as Json) : null;
  } catch {
    return null;
  }
}
