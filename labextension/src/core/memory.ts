/**
 * The newest transcripts that views of this page have seen.
 *
 * A notebook draws a view anew when its output is updated, and the snapshot that the model holds is as old as the model.
 * The new view starts from here instead, so that nothing flashes and the page keeps its height.
 */

import type { JsonObject } from "../tokens";
import { isObject, textOf } from "./json";
import type { Replica } from "./state";

const MOST = 8;
const newest = new Map<string, Replica>();

function sessionOf(transcript: unknown): string {
  return isObject(transcript) && isObject(transcript.session) ? textOf(transcript.session.id) : "";
}

/** Notes a replica that has changed. */
export function remember(replica: Replica): void {
  const id = sessionOf(replica.transcript);
  const known = newest.get(id);
  if (id === "" || known === replica || (known !== undefined && known.n > replica.n)) return;
  newest.delete(id);
  newest.set(id, replica);
  for (const oldest of newest.keys()) {
    if (newest.size <= MOST) break;
    newest.delete(oldest);
  }
}

/** The newer of a snapshot and what is remembered of its session. */
export function newestSnapshot(snapshot: unknown): JsonObject | null {
  if (!isObject(snapshot)) return null;
  const known = newest.get(sessionOf(snapshot.transcript));
  const { n, transcript } =
    known !== undefined && typeof snapshot.n === "number" && known.n > snapshot.n
      ? { n: known.n, transcript: structuredClone(known.transcript) }
      : snapshot;
  return { frame: "snapshot", n: n ?? null, transcript: transcript ?? null };
}
