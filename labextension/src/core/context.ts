/** What the parts of a view share. */

import type { Item, JsonObject, Operation, Services, Session } from "../tokens";

export interface Context {
  session: Session;
  readonly services: Services;
  /** Sends an operation; rejects with a `Refusal`. */
  request(operation: Operation): Promise<JsonObject>;
  /** Unix seconds by the clock of the session host, as far as the events that came have told it. */
  now(): number;
}

/** The drawing of one entry. It is made once and then kept in step with its value. */
export interface Drawing<T> {
  readonly element: HTMLElement;
  update(value: T): void;
  /** Called once a second while the session works. */
  tick?(): void;
}

export type ItemDrawing = Drawing<Item>;
