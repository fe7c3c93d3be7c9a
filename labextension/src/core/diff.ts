/** Changes of files, line by line: what went and what came, to the eye and to the ear. */

import type { FileChange } from "../tokens";
import { button, element, scrollBox, spoken } from "./dom";
import { plural, relativePath, reveal } from "./text";

interface Row {
  kind: "added" | "removed" | "same" | "gap" | "note";
  number: number | null;
  text: string;
}

const FOLDED = 16;
const WORTH_FOLDING = 4;
const LONGEST_LINE = 2000;
const MOST_ROWS = 4000;
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
export function drawChange(change: FileChange, cwd: string, options: { isWhole: boolean }): HTMLElement {
  const rows = rowsOf(change);
  const added = rows.filter((row) => row.kind === "added").length;
  const removed = rows.filter((row) => row.kind === "removed").length;
  const path = reveal(relativePath(change.path, cwd));
  const head = element("summary", "cnb-filehead", element("span", "cnb-path", path));
  if (change.movedTo !== "") {
    head.append(" → ", element("span", "cnb-path", reveal(relativePath(change.movedTo, cwd))));
  }
  head.title = reveal(change.path);
  const kind = change.movedTo === "" ? KINDS[change.kind] : "moved";
  head.append(element("span", "cnb-kind", kind));
  if (added > 0) head.append(element("span", "cnb-plus", spoken("lines added: "), `+${added}`));
  if (removed > 0) head.append(element("span", "cnb-minus", spoken("removed: "), `−${removed}`));
  const file = element("details", "cnb-file", head);
  file.open = true;
  if (rows.length > 0) file.append(drawRows(rows, path, options.isWhole));
  return file;
}

function drawRows(rows: Row[], path: string, isWhole: boolean): HTMLElement {
  const box = scrollBox("div", "cnb-diff", `Changes of ${path}`);
  const limit = isWhole || rows.length < FOLDED + WORTH_FOLDING ? MOST_ROWS : FOLDED;
  const inner = element("div", "cnb-rows", ...rows.slice(0, limit).map(drawRow));
  const digits = Math.max(2, String(rows.reduce((most, row) => Math.max(most, row.number ?? 0), 0)).length);
  box.style.setProperty("--cnb-digits", String(digits));
  box.append(inner);
  if (rows.length <= limit) return box;
  const more = button(`Show all ${plural(rows.length, "line")}`, "cnb-more", () => {
    inner.append(...rows.slice(limit).map(drawRow));
    more.remove();
    box.focus({ preventScroll: true });
  });
  return element("div", "", box, more);
}
