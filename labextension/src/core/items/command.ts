/** One command: what ran, what it printed, how it ended. */

import type { Item } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { element, setText } from "../dom";
import { numberOf, textOf } from "../json";
import { OutputBox } from "../output";
import { relativePath, reveal, unwrapShell } from "../text";
import { stateIcon, timeOf } from "./parts";

const WORDS: Record<string, string> = { declined: "declined", interrupted: "stopped" };

export function drawCommand(context: Context): ItemDrawing {
  const state = element("span");
  const command = element("code", "cnb-command");
  const folder = element("span", "cnb-chip");
  const exit = element("span", "cnb-exit");
  const time = element("span", "cnb-time");
  const head = element("div", "cnb-cardhead", state, command, folder, exit, time);
  const card = element("div", "cnb-card cnb-commandcard", head);
  const output = new OutputBox();
  let drawn: Item | null = null;
  let shownState = "";

  return {
    element: card,
    update(item) {
      drawn = item;
      const line = textOf(item.body.command);
      setText(command, reveal(unwrapShell(line).script));
      command.title = reveal(line);
      const cwd = textOf(item.body.cwd);
      folder.hidden = cwd === "" || cwd === context.session.cwd;
      setText(folder, `in ${reveal(relativePath(cwd, context.session.cwd))}`);
      const code = numberOf(item.body.exitCode);
      const hasFailed = item.status === "failed" || (code !== null && code !== 0);
      const status = hasFailed && item.status === "completed" ? "failed" : item.status;
      if (status !== shownState) state.replaceChildren(stateIcon(status));
      shownState = status;
      card.classList.toggle("cnb-failed", hasFailed);
      setText(exit, WORDS[item.status] ?? (code === null ? "" : `exit ${code}`));
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
