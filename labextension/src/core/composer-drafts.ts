/**
 * What was typed and not sent, per session, for as long as the page lives.
 *
 * An output is drawn anew whenever the kernel updates it, and a widget's module may be loaded more than once; so the drafts
 * hang on the page and not on a view or a module.
 */

import type { Attached } from "./composer-files";

export interface Draft {
  text: string;
  files: readonly Attached[];
  /** Where the caret stood when a view with the focus went, and when that was; null otherwise. */
  caret: { start: number; end: number; at: number } | null;
}

const KEY = Symbol.for("codex-nb.drafts");

function drafts(): Map<string, Draft> {
  const found: unknown = Reflect.get(globalThis, KEY);
  if (found instanceof Map) return found;
  const made = new Map<string, Draft>();
  Reflect.set(globalThis, KEY, made);
  return made;
}

export function draftOf(session: string): Draft {
  return drafts().get(session) ?? { text: "", files: [], caret: null };
}

export function keepDraft(session: string, draft: Draft): void {
  if (session === "") return;
  const isEmpty = draft.text === "" && draft.files.length === 0 && draft.caret === null;
  if (isEmpty) drafts().delete(session);
  else drafts().set(session, draft);
}
