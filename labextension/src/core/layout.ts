/**
 * What a view shows, in order: a pure function of transcript and window.
 *
 * Items stand in the order of the transcript, each turn is followed by how it ended, a request for approval stands before
 * its item and hides it until it is settled, and a notice stands where its time puts it. An item of a turn that is not
 * listed (a sub-agent's) belongs to the turn that was running.
 */

import type { Approval, Item, Notice, Turn, Window } from "../tokens";
import { isObject, textOf } from "./json";
import { readApproval, readItem, readNotice, readTurn } from "./read";
import type { Transcript } from "./state";

export type Entry =
  | { key: string; kind: "item"; id: string; type: string; isForeign: boolean }
  | { key: string; kind: "approval"; id: string }
  | { key: string; kind: "notice"; id: string }
  | { key: string; kind: "end"; id: string };

export interface Layout {
  entries: Entry[];
  /** The turns inside the window. */
  turns: Turn[];
  pending: Approval[];
  /** Something on the page shows by itself that work goes on. */
  isBusy: boolean;
}

interface Placed {
  item: Item;
  place: number;
}

/** Gives each item the index of its turn; an item of an unknown turn goes to the turn of the item before it. */
function placeItems(items: Item[], turns: Turn[]): Placed[] {
  const places = new Map(turns.map((turn, i) => [turn.id, i]));
  let current = 0;
  return items.map((item) => {
    const place = places.get(item.turn);
    current = place ?? current;
    return { item, place: current };
  });
}

const HIDDEN_NOTICES = 50;

export function layoutOf(transcript: Transcript, window: Window, threadId: string): Layout {
  const turns = transcript.turns.filter(isObject).map(readTurn);
  const isInside = (place: number): boolean =>
    place >= window.from && (window.to === null || place < window.to);
  const placed = placeItems(transcript.items.filter(isObject).map(readItem), turns).filter((it) =>
    isInside(it.place),
  );
  // A message that was taken back keeps its place for the sake of the others, and shows nothing.
  const isShown = (turn: Turn, place: number): boolean => isInside(place) && turn.error?.kind !== "withdrawn";
  const shownTurns = turns.filter(isShown);
  const shownIds = new Set(shownTurns.map((turn) => turn.id));
  const itemIds = new Set(placed.map((it) => it.item.id));
  const approvals = transcript.approvals
    .filter(isObject)
    .map(readApproval)
    .filter((it) => itemIds.has(it.item) || shownIds.has(it.turn) || (!it.turn && window.to === null));
  const waiting = new Set(approvals.filter((it) => it.status === "pending").map((it) => it.item));
  const notices = window.to === null ? transcript.notices.filter(isObject).map(readNotice) : [];

  const entries: Entry[] = [];
  const late = notices.slice(-HIDDEN_NOTICES);
  const addNotices = (until: number): void => {
    while (late[0] !== undefined && (late[0].at ?? 0) <= until) addNotice(late.shift(), entries);
  };
  const addApprovals = (isHere: (approval: Approval) => boolean): void => {
    for (const it of approvals) {
      if (isHere(it)) entries.push({ key: `approval ${it.id}`, kind: "approval", id: it.id });
    }
  };
  const itemsOf = new Map<number, Placed[]>();
  for (const it of placed) {
    const group = itemsOf.get(it.place);
    if (group === undefined) itemsOf.set(it.place, [it]);
    else group.push(it);
  }
  const asked = new Set(approvals.map((it) => it.item));
  const addTurn = (place: number, turn: Turn | undefined): void => {
    for (const { item } of itemsOf.get(place) ?? []) {
      addNotices(item.startedAt ?? 0);
      if (asked.has(item.id)) addApprovals((it) => it.item === item.id);
      if (waiting.has(item.id)) continue;
      const isForeign = item.thread !== "" && threadId !== "" && item.thread !== threadId;
      entries.push({ key: `item ${item.id} ${item.type}`, kind: "item", id: item.id, type: item.type, isForeign });
    }
    if (turn === undefined) return;
    addApprovals((it) => it.turn === turn.id && !itemIds.has(it.item));
    if (turn.status === "in_progress") return;
    addNotices(turn.completedAt ?? 0);
    entries.push({ key: `end ${turn.id}`, kind: "end", id: turn.id });
  };
  if (turns.length === 0) addTurn(0, undefined);
  turns.forEach((turn, i) => {
    if (isShown(turn, i)) addTurn(i, turn);
  });
  addApprovals((it) => !it.turn && !itemIds.has(it.item));
  addNotices(Infinity);

  const running = placed.filter((it) => it.item.status === "in_progress" && !waiting.has(it.item.id));
  return {
    entries,
    turns: shownTurns,
    pending: approvals.filter((it) => it.status === "pending"),
    isBusy: running.some((it) => it.item.type !== "userMessage"),
  };
}

function addNotice(notice: Notice | undefined, entries: Entry[]): void {
  if (notice !== undefined) entries.push({ key: `notice ${notice.id}`, kind: "notice", id: notice.id });
}

/** What the person asked in this thread, the oldest first. */
export function promptsOf({ items }: Transcript, threadId: string): string[] {
  return items
    .filter(isObject)
    .filter((it) => it.type === "userMessage" && (threadId === "" || it.thread === threadId))
    .map((it) => textOf(it.text))
    .filter((text) => text !== "");
}
