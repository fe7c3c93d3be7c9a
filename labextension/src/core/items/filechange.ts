/** Changes of files: one card, one section per file. */

import type { ItemDrawing, Context } from "../context";
import { drawChange } from "../diff";
import { element, setText } from "../dom";
import { readChanges } from "../read";
import { plural } from "../text";
import { openButton, stateIcon } from "./parts";

const WORDS: Record<string, string> = {
  in_progress: "Changing",
  completed: "Changed",
  failed: "Could not change",
  declined: "Did not change",
  interrupted: "Stopped changing",
};
/** Of more files than this, the lines of each are shown on demand. */
const MOST_OPEN = 4;

export function drawFileChange(context: Context): ItemDrawing {
  const state = element("span");
  const label = element("span", "cnb-label");
  const files = element("div", "cnb-files");
  const problem = element("pre", "cnb-plain cnb-cardbody");
  const card = element("div", "cnb-card", element("div", "cnb-cardhead", state, label), files, problem);
  let drawn = "";
  return {
    element: card,
    update(item) {
      const changes = readChanges(item.body.changes);
      state.replaceChildren(stateIcon(item.status));
      const what = changes.length === 0 ? "files" : plural(changes.length, "file");
      setText(label, `${WORDS[item.status] ?? "Changed"} ${what}`);
      problem.hidden = item.output === "" || item.status === "completed";
      setText(problem, item.output);
      const key = JSON.stringify([item.status, item.body.changes ?? null]);
      if (key === drawn) return;
      drawn = key;
      const isThere = item.status === "completed";
      files.replaceChildren(
        ...changes.map((change) => {
          const path = change.movedTo || change.path;
          const open = isThere && change.kind !== "delete" ? openButton(path, context) : null;
          return drawChange(change, context.session.cwd, { isWhole: false, isOpen: changes.length <= MOST_OPEN, open });
        }),
      );
    },
  };
}
