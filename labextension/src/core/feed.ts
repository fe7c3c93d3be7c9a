/**
 * What reaches a page of one session: its transport, the replica that the frames add up to, and who looks at it.
 *
 * Any number of views share one feed. A frame with a hole before it is not applied; a snapshot is asked for instead.
 */

import type { JsonObject, Link, Operation, Transport } from "../tokens";
import { isObject } from "./json";
import { Replica, type Touched, nothingTouched } from "./state";

const SNAPSHOT_PATIENCE_MS = 5000;
const LINKS: readonly Link[] = ["connecting", "live", "lost", "gone"];

/** Told after every frame what it changed. */
export type Viewer = (touched: Touched) => void;

export class Feed {
  /** Everything of the session; `n` is -1 until the first snapshot came. */
  readonly replica = new Replica();
  link: Link = "connecting";
  readonly #viewers = new Set<Viewer>();
  readonly #stopListening: () => void;
  #askedAt = -Infinity;
  /** Seconds by which the clock of the session host is ahead of ours. */
  #ahead: number | null = null;

  constructor(private readonly transport: Transport) {
    this.#stopListening = transport.listen((frame) => this.receive(frame));
  }

  /** Calls back after every frame, until the function that it returns is called. */
  attach(viewer: Viewer): () => void {
    this.#viewers.add(viewer);
    return () => this.#viewers.delete(viewer);
  }

  request(operation: Operation): Promise<JsonObject> {
    return this.transport.request(operation);
  }

  /** Unix seconds by the clock of the session host, as far as the events that came have told it. */
  now(): number {
    return Date.now() / 1000 + (this.#ahead ?? 0);
  }

  receive(frame: unknown): void {
    if (!isObject(frame)) return;
    const touched = nothingTouched();
    if (frame.frame === "link") {
      const link = LINKS.find((name) => name === frame.state);
      if (link === undefined || link === this.link) return;
      this.link = link;
      touched.rest = true;
    } else {
      this.#learnClock(frame);
      const isWhole = this.replica.applyFrame(frame, touched);
      if (frame.frame === "snapshot") this.#askedAt = -Infinity;
      if (!isWhole) this.askForSnapshot();
    }
    for (const viewer of [...this.#viewers]) viewer(touched);
  }

  /** Asks for a snapshot, unless one is on its way. */
  askForSnapshot(): void {
    if (performance.now() - this.#askedAt < SNAPSHOT_PATIENCE_MS) return;
    this.#askedAt = performance.now();
    this.transport.requestSnapshot();
  }

  dispose(): void {
    this.#stopListening();
    this.#viewers.clear();
    this.transport.dispose();
  }

  /** An event is never older than its arrival, so the largest lead that was seen is nearest to the truth. */
  #learnClock(frame: JsonObject): void {
    if (frame.frame !== "events" || !Array.isArray(frame.events)) return;
    const last = frame.events[frame.events.length - 1];
    if (!isObject(last) || typeof last.t !== "number") return;
    const lead = last.t - Date.now() / 1000;
    this.#ahead = this.#ahead === null ? lead : Math.max(this.#ahead, lead);
  }
}
