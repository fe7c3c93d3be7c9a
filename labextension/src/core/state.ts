/**
 * A replica of a session's transcript: applies changes and numbered frames.
 *
 * The twin of codex_nb/protocol/changes.py; both pass tests/data/changes.json. The rules:
 * a change to an unknown id or key is ignored, an unknown op as well; what cannot be read is ignored, never thrown;
 * an event that was seen is skipped; a hole in the numbers means that a snapshot is needed.
 */

import type { Json, JsonObject } from "../tokens";
import { isObject, listOf, textOf } from "./json";

export const COLLECTIONS = ["items", "turns", "approvals", "notices"] as const;
export type Collection = (typeof COLLECTIONS)[number];

export type Transcript = JsonObject & Record<Collection, Json[]>;

/** What frames changed since the last drawing. */
export interface Touched {
  /** Something was put or replaced: what is shown, and in which order, may differ. */
  structure: boolean;
  /** The items with another value, be it only more text. */
  items: Set<string>;
  /** Anything else has another value. */
  rest: boolean;
}

export function emptyTranscript(): Transcript {
  return {
    session: {},
    turns: [],
    items: [],
    approvals: [],
    plan: null,
    diff: "",
    usage: null,
    rate_limits: null,
    notices: [],
    queue: [],
  };
}

export function nothingTouched(): Touched {
  return { structure: false, items: new Set(), rest: false };
}

function isCollection(value: Json | undefined): value is Collection {
  return COLLECTIONS.some((name) => name === value);
}

export class Replica {
  /** The number of the last event that is part of the transcript; -1 before the first snapshot. */
  n = -1;
  transcript = emptyTranscript();
  #places = indexOf(this.transcript);

  /** Takes a transcript as it was after event `n`; the caller gives it away. */
  load(n: number, transcript: JsonObject): void {
    this.n = n;
    const lists = COLLECTIONS.map((name) => [name, listOf(transcript[name])] as const);
    // A transcript of an older version lacks keys that events set.
    const whole = { ...emptyTranscript(), ...transcript, ...Object.fromEntries(lists) } as Transcript;
    this.transcript = whole;
    this.#places = indexOf(whole);
  }

  find(name: Collection, id: string): JsonObject | null {
    const place = this.#places[name].get(id);
    const value = place === undefined ? null : this.transcript[name][place];
    return isObject(value) ? value : null;
  }

  /** Applies one change, and notes what it touched. */
  apply(change: JsonObject, touched: Touched = nothingTouched()): void {
    switch (change.op) {
      case "put":
        return this.#put(change.in, change.value, touched);
      case "append":
        return this.#append(change, touched);
      case "set":
        return this.#set(change.key, change.value, touched);
      case "merge": {
        const before = this.#valueOf(change.key);
        if (!isObject(before) || !isObject(change.value)) return;
        return this.#set(change.key, { ...before, ...change.value }, touched);
      }
    }
  }

  /** The top-level value of a known key that is no list. */
  #valueOf(key: Json | undefined): Json | undefined {
    if (typeof key !== "string" || isCollection(key)) return undefined;
    return Object.hasOwn(this.transcript, key) ? this.transcript[key] : undefined;
  }

  #set(key: Json | undefined, value: Json | undefined, touched: Touched): void {
    if (typeof key !== "string" || value === undefined || this.#valueOf(key) === undefined) return;
    this.transcript[key] = value;
    touched.rest = true;
  }

  #put(name: Json | undefined, value: Json | undefined, touched: Touched): void {
    if (!isCollection(name) || !isObject(value) || typeof value.id !== "string") return;
    const place = this.#places[name].get(value.id);
    if (place === undefined) {
      this.#places[name].set(value.id, this.transcript[name].push({ ...value }) - 1);
    } else {
      this.transcript[name][place] = { ...value };
    }
    if (name === "items") touched.items.add(value.id);
    else touched.rest = true;
    touched.structure = true;
  }

  #append(change: JsonObject, touched: Touched): void {
    const { id, field, text } = change;
    if (!isCollection(change.in) || typeof id !== "string" || typeof text !== "string") return;
    if (field !== "text" && field !== "output") return;
    const record = this.find(change.in, id);
    if (record === null) return;
    record[field] = textOf(record[field]) + text;
    if (change.in === "items") touched.items.add(id);
    else touched.rest = true;
  }

  /**
   * Applies a frame, and notes what it touched.
   *
   * Returns false when events are missing: the replica is as it was before the hole, and needs a snapshot.
   */
  applyFrame(frame: unknown, touched: Touched = nothingTouched()): boolean {
    if (!isObject(frame)) return true;
    if (frame.frame === "snapshot") this.#takeSnapshot(frame, touched);
    if (frame.frame !== "events" || !Array.isArray(frame.events)) return true;
    let previous = typeof frame.since === "number" ? frame.since : this.n;
    if (previous > this.n) return false;
    for (const event of frame.events) {
      if (!isObject(event) || typeof event.n !== "number") continue;
      if (event.n > this.n) {
        // A merged append carries the last number of its run; a part of the run may have come with a snapshot.
        if (this.n > previous && event.op === "append") return false;
        this.apply(event, touched);
        this.n = event.n;
      }
      previous = event.n;
    }
    return true;
  }

  /** Takes `{n, transcript}` of a notebook file, and answers what that touched. */
  takeSaved(saved: JsonObject): Touched {
    const touched = nothingTouched();
    this.#takeSnapshot(saved, touched);
    return touched;
  }

  #takeSnapshot(frame: JsonObject, touched: Touched): void {
    const { n, transcript } = frame;
    if (typeof n !== "number" || !isObject(transcript)) return;
    const isSameSession = sessionId(transcript) === sessionId(this.transcript);
    if (isSameSession && n <= this.n) return;
    this.load(n, transcript);
    touched.structure = true;
    touched.rest = true;
    for (const id of this.#places.items.keys()) touched.items.add(id);
  }
}

function sessionId(transcript: JsonObject): Json | undefined {
  return isObject(transcript.session) ? transcript.session.id : undefined;
}

function indexOf(transcript: Transcript): Record<Collection, Map<string, number>> {
  const places = { items: new Map(), turns: new Map(), approvals: new Map(), notices: new Map() };
  for (const name of COLLECTIONS) {
    transcript[name].forEach((value, place) => {
      if (isObject(value) && typeof value.id === "string") places[name].set(value.id, place);
    });
  }
  return places;
}
