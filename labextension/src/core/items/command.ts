/** One command: what ran, where, what it printed, how it ended. */

import type { Item } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { copyButton, element, setText } from "../dom";
import { numberOf, textOf } from "../json";
import { OutputBox } from "../output";
import { cut, relativePath, reveal, unwrapShell } from "../text";
import { FoldedText, stateIcon, timeOf } from "./parts";

const WORDS: Record<string, string> = { declined: "declined", interrupted: "stopped" };
const MOST_LINES = 8;
const MOST_TITLE = 2000;

export function drawCommand(context: Context): ItemDrawing {
  const state = element("span");
  const command = new FoldedText(MOST_LINES, "code");
  const folder = element("span", "cnb-chip");
  const exit = element("span", "cnb-exit");
  const time = element("span", "cnb-time");
  let script = "";
  const facts = element("span", "cnb-facts-of", folder, exit, time, copyButton(() => script, "Copy the command"));
  command.element.classList.add("cnb-command");
  const card = element("div", "cnb-card cnb-commandcard", element("div", "cnb-cardhead", state, command.element, facts));
  const output = new OutputBox();
  let drawn: Item | null = null;
  let shownState = "";

  return {
    element: card,
    update(item) {
      drawn = item;
      const line = textOf(item.body.command);
      script = unwrapShell(line).script;
      command.update(script);
      command.element.title = script === line ? "" : reveal(cut(line, MOST_TITLE));
      const cwd = textOf(item.body.cwd);
      folder.hidden = cwd === "" || cwd === context.session.cwd;
      setText(folder, `in ${reveal(relativePath(cwd, context.session.cwd))}`);
      folder.title = reveal(cwd);
      const code = numberOf(item.body.exitCode);
      const isStopped = item.status === "declined" || item.status === "interrupted";
      const hasFailed = !isStopped && (item.status === "failed" || (code !== null && code !== 0));
      const status = hasFailed ? "failed" : item.status;
      if (status !== shownState) state.replaceChildren(stateIcon(status));
      shownState = status;
      card.classList.toggle("cnb-failed", hasFailed);
      setText(exit, WORDS[item.status] ?? (code === null ? (hasFailed ? "failed" : "") : `exit ${code}`));
      exit.hidden = code === 0 || exit.textContent === "";
      exit.classList.toggle("cnb-bad", hasFailed);
      setText(time, timeOf(item, context));
      // An empty box would draw a border; a box outside of the document could not follow its end.
      if (item.output === "") output.element.remove();
      else if (output.element.parentElement === null) card.append(output.element);
      output.update(item.output, { isLive: item.status === "in_progress", hasFailed });
    },
    tick() {
      if (drawn?.status === "in_progress") setText(time, timeOf(drawn, context));
    },
  };
}
