/** The lines of a table as GFM writes it. */

import type { Align } from "./lex-tokens";

/** The cells of a row, without the bars at both ends; a bar after a backslash belongs to its cell. */
export function cellsOf(row: string): string[] {
  const cells: string[] = [];
  let cell = "";
  for (const part of row.trim().match(/\\[^]?|[^\\|]+|\|/g) ?? []) {
    if (part === "|") {
      cells.push(cell.trim());
      cell = "";
    } else cell += part === "\\|" ? "|" : part;
  }
  // After the last bar begins no cell, and none ends with the first.
  if (cell.trim() !== "" || cells.length === 0) cells.push(cell.trim());
  if (row.trimStart().startsWith("|")) cells.shift();
  return cells;
}

/** How the columns are aligned under a line of `:-`, `-:` and `:-:`; null when it is no such line. */
export function alignsOf(row: string): Align[] | null {
  if (!/^[|:\- \t]+$/.test(row) || !/[|:]/.test(row)) return null;
  const cells = cellsOf(row);
  if (cells.length === 0 || !cells.every((cell) => /^:?-+:?$/.test(cell))) return null;
  return cells.map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : cell.startsWith(":") ? "left" : null));
}
