/** What a notebook file holds of a session: `application/vnd.codex-nb.session+json`. */

import { isObject, numberOf, textOf } from "../core/json";
import { readFace, readWindow } from "../core/shown";
import type { Face, JsonObject, Window } from "../tokens";

export const SESSION_TYPE = "application/vnd.codex-nb.session+json";
const VERSION = 1;

export interface Saved {
  session: string;
  n: number;
  window: Window;
  /** What the output shows at first. */
  face: Face;
  transcript: JsonObject;
}

/** Null when it is not what this version writes. */
export function readSaved(value: unknown): Saved | null {
  if (!isObject(value) || value.version !== VERSION || !isObject(value.transcript)) return null;
  const session = textOf(value.session);
  if (session === "") return null;
  return {
    session,
    n: numberOf(value.n) ?? -1,
    window: readWindow(value.window),
    face: readFace(value.face),
    transcript: value.transcript,
  };
}
