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
  Window,
} from "../tokens";
import { isObject, listOf, numberOf, objectOf, textOf } from "./json";

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

export function readApproval(it: JsonObject): Approval {
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

export function readUsage(value: Json | undefined): Usage | null {
  if (!isObject(value)) return null;
  const total = numberOf(objectOf(value.total).total);
  if (total === null) return null;
  return {
    total,
    last: numberOf(objectOf(value.last).total) ?? 0,
    contextWindow: numberOf(value.context_window),
  };
}

export function readWindow(value: unknown): Window {
  if (!isObject(value)) return { from: 0, to: null };
  return { from: numberOf(value.from) ?? 0, to: numberOf(value.to) };
}
