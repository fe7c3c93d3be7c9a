/** Reads the JSON of a transcript into the types of tokens.ts; a missing or wrong value reads as empty. */

import type {
  Approval,
  Decision,
  FileChange,
  Item,
  Json,
  JsonObject,
  Notice,
  Plan,
  Session,
  Turn,
  Usage,
} from "../tokens";
import { isObject, listOf, numberOf, objectOf, textOf } from "./json";

/** An approval with what it would be allowed to do, one sentence each. */
export interface Question extends Approval {
  grants: string[];
}

/** What the session has used, in tokens; `last` is what the context holds now. */
export interface Spending extends Usage {
  input: number;
  cachedInput: number;
  output: number;
}

/** A message that waits until the turns before it are over. */
export interface Queued {
  id: string;
  text: string;
}

/** How much of one of the account's windows is used up; times in minutes and Unix seconds. */
export interface RateLimit {
  usedPercent: number;
  minutes: number | null;
  resetsAt: number | null;
}

/** The Codex terminal of a session; `thread`: it shows the thread of the conversation, `plain`: there is no conversation. */
export interface Terminal {
  status: string;
  kind: "thread" | "plain";
  exitStatus: number | null;
  detail: string;
  /** The text of its last screen, when it ended. */
  screen: string;
  /** What codex in it asks to open in a browser. */
  links: string[];
}

export interface Model {
  id: string;
  name: string;
  description: string;
  efforts: string[];
  defaultEffort: string;
  isDefault: boolean;
}

const DECISIONS: readonly Decision[] = [
  "accept",
  "accept_for_session",
  "accept_rule",
  "decline",
  "cancel",
];

export function readSession(value: Json | undefined): Session {
  const it = objectOf(value);
  return {
    id: textOf(it.id),
    name: textOf(it.name),
    host: textOf(it.host),
    cwd: textOf(it.cwd),
    status: textOf(it.status),
    detail: textOf(it.detail),
    hint: textOf(it.hint),
    threadId: textOf(it.thread_id),
    model: textOf(it.model),
    effort: textOf(it.effort),
    sandbox: textOf(it.sandbox),
    network: it.network === true,
    ask: textOf(it.ask),
    replay: it.replay === true ? "replay" : textOf(it.replay),
    codexVersion: textOf(it.codex_version),
  };
}

export function readTurn(it: JsonObject): Turn {
  return {
    id: textOf(it.id),
    status: textOf(it.status),
    startedAt: numberOf(it.started_at),
    completedAt: numberOf(it.completed_at),
    error: isObject(it.error)
      ? {
          message: textOf(it.error.message),
          kind: textOf(it.error.kind),
          detail: textOf(it.error.detail),
          hint: textOf(it.error.hint),
          statusCode: numberOf(it.error.status_code),
        }
      : null,
  };
}

export function readItem(it: JsonObject): Item {
  return {
    id: textOf(it.id),
    turn: textOf(it.turn),
    thread: textOf(it.thread),
    type: textOf(it.type),
    status: textOf(it.status),
    text: textOf(it.text),
    output: textOf(it.output),
    startedAt: numberOf(it.started_at),
    completedAt: numberOf(it.completed_at),
    body: objectOf(it.body),
  };
}

export function readChanges(value: Json | undefined): FileChange[] {
  return listOf(value)
    .filter(isObject)
    .map((it) => {
      const kind = isObject(it.kind) ? it.kind : { type: it.kind ?? null };
      const type = textOf(kind.type);
      return {
        path: textOf(it.path),
        kind: type === "add" || type === "delete" ? type : "update",
        movedTo: textOf(kind.move_path),
        diff: textOf(it.diff),
      };
    });
}

/** Why a session ended: closed, idle or failed; "" while it runs. */
export function readEnded(session: Json | undefined): string {
  return textOf(objectOf(session).ended);
}

/** Null when none was opened. */
export function readTerminal(session: Json | undefined): Terminal | null {
  const it = objectOf(session).terminal;
  if (!isObject(it)) return null;
  return {
    status: textOf(it.status),
    kind: it.kind === "plain" ? "plain" : "thread",
    exitStatus: numberOf(it.exit_status),
    detail: textOf(it.detail),
    screen: textOf(it.screen),
    links: listOf(it.links).map(textOf),
  };
}

export function readApproval(it: JsonObject): Question {
  const offered = listOf(it.decisions);
  return {
    id: textOf(it.id),
    kind: textOf(it.kind),
    item: textOf(it.item),
    turn: textOf(it.turn),
    title: textOf(it.title),
    reason: textOf(it.reason),
    command: textOf(it.command),
    cwd: textOf(it.cwd),
    host: textOf(it.host),
    changes: readChanges(it.changes),
    permissions: it.permissions ?? null,
    grants: listOf(it.grants).map(textOf).filter(Boolean),
    decisions: DECISIONS.filter((decision) => offered.includes(decision)).sort(
      (a, b) => offered.indexOf(a) - offered.indexOf(b),
    ),
    rule: textOf(it.rule),
    status: textOf(it.status),
    decision: textOf(it.decision),
    note: textOf(it.note),
    createdAt: numberOf(it.created_at),
    expiresAt: numberOf(it.expires_at),
  };
}

export function readNotice(it: JsonObject): Notice {
  return {
    id: textOf(it.id),
    level: textOf(it.level),
    text: textOf(it.text),
    hint: textOf(it.hint),
    at: numberOf(it.at),
  };
}

export function readPlan(value: Json | undefined): Plan | null {
  if (!isObject(value)) return null;
  return {
    turn: textOf(value.turn),
    explanation: textOf(value.explanation),
    steps: listOf(value.steps)
      .filter(isObject)
      .map((it) => ({ step: textOf(it.step), status: textOf(it.status) })),
  };
}

export function readUsage(value: Json | undefined): Spending | null {
  if (!isObject(value)) return null;
  const sum = objectOf(value.total);
  const total = numberOf(sum.total);
  if (total === null) return null;
  return {
    total,
    input: numberOf(sum.input) ?? 0,
    cachedInput: numberOf(sum.cached_input) ?? 0,
    output: numberOf(sum.output) ?? 0,
    last: numberOf(objectOf(value.last).total) ?? 0,
    contextWindow: numberOf(value.context_window),
  };
}

export function readQueue(value: Json | undefined): Queued[] {
  return listOf(value)
    .filter(isObject)
    .map((it) => ({ id: textOf(it.id), text: textOf(it.text) }))
    .filter(({ id }) => id !== "");
}

/** The windows that the account reports, as codex names them: the shorter first. */
export function readLimits(value: Json | undefined): RateLimit[] {
  const it = objectOf(value);
  return [it.primary, it.secondary].filter(isObject).flatMap((window) => {
    const usedPercent = numberOf(window.usedPercent);
    if (usedPercent === null) return [];
    return [{ usedPercent, minutes: numberOf(window.windowDurationMins), resetsAt: numberOf(window.resetsAt) }];
  });
}

export function readModels(value: Json | undefined): Model[] {
  return listOf(value)
    .filter(isObject)
    .map((it) => ({
      id: textOf(it.id),
      name: textOf(it.name) || textOf(it.id),
      description: textOf(it.description),
      efforts: listOf(it.efforts).map(textOf).filter(Boolean),
      defaultEffort: textOf(it.default_effort),
      isDefault: it.is_default === true,
    }))
    .filter(({ id }) => id !== "");
}
