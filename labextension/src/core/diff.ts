/** Changes of files, line by line: what went and what came, to the eye and to the ear. */

import type { FileChange } from "../tokens";
import { button, element, focusOn, scrollBox, spoken } from "./dom";
import { plural, relativePath, reveal } from "./text";

interface Row {
  kind: "added" | "removed" | "same" | "gap" | "note";
  number: number | null;
  text: string;
}

export interface ChangeOptions {
  /** All lines are shown, as where a person decides about them. */
  isWhole: boolean;
  /** The lines are in sight from the start; else the head unfolds them. */
  isOpen?: boolean;
  /** A button that stands in the head. */
  open?: HTMLElement | null;
}

const FOLDED = 16;
const WORTH_FOLDING = 4;
const LONGEST_LINE = 2000;
/** So many lines come at once. */
const STEP = 4000;
const HUNK = /^@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@/;

function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines[lines.length - 1] === "") lines.pop();
  return lines;
}

/** The rows of a change. Only an update carries a diff; what is added or deleted comes as its content. */
export function rowsOf(change: FileChange): Row[] {
  if (change.kind !== "update") {
    const kind = change.kind === "add" ? "added" : "removed";
    return linesOf(change.diff).map((text, i) => ({ kind, number: i + 1, text }));
  }
  const rows: Row[] = [];
  let [before, after] = [1, 1];
  for (const line of linesOf(change.diff)) {
    const hunk = HUNK.exec(line);
    if (hunk !== null) {
      [before, after] = [Number(hunk[1]), Number(hunk[2])];
      if (rows.length > 0) rows.push({ kind: "gap", number: null, text: "" });
      continue;
    }
    const text = line.slice(1);
    if (line.startsWith("+")) rows.push({ kind: "added", number: after++, text });
    else if (line.startsWith("-")) rows.push({ kind: "removed", number: before++, text });
    else if (line.startsWith("\\")) rows.push({ kind: "note", number: null, text: text.trim() });
    else {
      rows.push({ kind: "same", number: after++, text });
      before += 1;
    }
  }
  return rows;
}

function drawRow(row: Row): HTMLElement {
  if (row.kind === "gap") return element("div", "cnb-row cnb-gap", "⋯");
  const isLong = row.text.length > LONGEST_LINE;
  const shown = reveal(isLong ? row.text.slice(0, LONGEST_LINE) : row.text);
  const rest = isLong ? ` … ${plural(row.text.length - LONGEST_LINE, "more character")}` : "";
  const number = element("span", "cnb-number", row.number === null ? "" : String(row.number));
  const text = element("span", "cnb-text", shown + rest);
  if (row.kind === "added") {
    return element("ins", "cnb-row cnb-added", spoken("added: "), number, sign("+"), text);
  }
  if (row.kind === "removed") {
    return element("del", "cnb-row cnb-removed", spoken("removed: "), number, sign("−"), text);
  }
  return element("div", `cnb-row cnb-${row.kind}`, number, sign(" "), text);
}

function sign(character: string): HTMLElement {
  return element("span", "cnb-sign", character);
}

const KINDS = { add: "added", delete: "deleted", update: "changed" } as const;

/** One file: its head with the counts, and its lines, which the head folds. */
export function drawChange(change: FileChange, cwd: string, options: ChangeOptions): HTMLElement {
  const { isWhole, isOpen = true, open = null } = options;
  const rows = rowsOf(change);
  const path = reveal(relativePath(change.path, cwd));
  const head = element("div", "cnb-filehead", drawFold(change, rows, path, cwd));
  if (open !== null) head.append(open);
  const file = element("div", "cnb-file", head);
  const fold = head.querySelector("button");
  if (fold === null || rows.length === 0) return file;
  let lines: HTMLElement | null = null;
  const show = (isShown: boolean): void => {
    fold.setAttribute("aria-expanded", String(isShown));
    if (isShown && lines === null) file.append((lines = drawRows(rows, path, isWhole)));
    if (lines !== null) lines.hidden = !isShown;
  };
  fold.addEventListener("click", () => show(fold.getAttribute("aria-expanded") !== "true"));
  show(isOpen);
  return file;
}

function drawFold(change: FileChange, rows: Row[], path: string, cwd: string): HTMLElement {
  const added = rows.filter((row) => row.kind === "added").length;
  const removed = rows.filter((row) => row.kind === "removed").length;
  const isMoved = change.movedTo !== "";
  const fold = element(rows.length > 0 ? "button" : "div", "cnb-filefold", element("span", "cnb-path", path));
  if (fold instanceof HTMLButtonElement) fold.type = "button";
  if (isMoved) fold.append(" → ", element("span", "cnb-path", reveal(relativePath(change.movedTo, cwd))));
  fold.title = reveal(change.path);
  fold.append(element("span", "cnb-kind", isMoved ? "moved" : KINDS[change.kind]));
  if (added > 0) fold.append(element("span", "cnb-plus", spoken("lines added: "), `+${added}`));
  if (removed > 0) fold.append(element("span", "cnb-minus", spoken("removed: "), `−${removed}`));
  return fold;
}

function drawRows(rows: Row[], path: string, isWhole: boolean): HTMLElement {
  const box = scrollBox("div", "cnb-diff", `Changes of ${path}`);
  const inner = element("div", "cnb-rows");
  const digits = Math.max(2, String(rows.reduce((most, row) => Math.max(most, row.number ?? 0), 0)).length);
  box.style.setProperty("--cnb-digits", String(digits));
  box.append(inner);
  let shown = 0;
  const show = (until: number): void => {
    inner.append(...rows.slice(shown, until).map(drawRow));
    shown = Math.min(rows.length, until);
    const left = rows.length - shown;
    more.hidden = left === 0;
    const all = plural(rows.length, "line");
    more.textContent = left <= STEP ? `Show all ${all}` : `Show ${STEP.toLocaleString("en")} more of ${all}`;
  };
  const more = button("", "cnb-more", () => {
    show(shown + STEP);
    focusOn(box);
  });
  show(isWhole || rows.length < FOLDED + WORTH_FOLDING ? STEP : FOLDED);
  return element("div", "", box, more);
}
