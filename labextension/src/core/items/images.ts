/** Pictures: those that the model looked at, and those that it made. */

import type { Context, ItemDrawing } from "../context";
import { element } from "../dom";
import { numberOf, objectOf, textOf } from "../json";
import { relativePath, reveal } from "../text";
import { Fold, code, dataImage, fileName, line, muted, openButton, stateIcon, textPart } from "./parts";

export function drawImageView(context: Context): ItemDrawing {
  const holder = element("div");
  return {
    element: holder,
    update({ body }) {
      const path = textOf(body.path);
      holder.replaceChildren(line("image", "Looked at ", ...(path === "" ? ["a picture"] : fileName(path, context))));
    },
  };
}

const TYPES: [start: string, type: string][] = [
  ["/9j/", "jpeg"],
  ["UklGR", "webp"],
  ["R0lG", "gif"],
];

/** The picture, which codex gives as base64 of one of the formats of the web. */
function pictureOf(result: string): HTMLElement | null {
  const [, type] = TYPES.find(([start]) => result.startsWith(start)) ?? ["", "png"];
  const url = result.startsWith("data:") ? result : `data:image/${type};base64,${result}`;
  return dataImage(url, "Picture that Codex made");
}

export function drawImageGeneration(context: Context): ItemDrawing {
  const fold = new Fold("image");
  const picture = element("div", "cnb-pictures");
  let drawn = "";
  return {
    element: element("div", "cnb-call", fold.element, picture),
    update({ body, status }) {
      const path = textOf(body.savedPath);
      const prompt = textOf(body.revisedPrompt);
      const name = code(reveal(relativePath(path, context.session.cwd)));
      const resets = numberOf(objectOf(body.failure).resetsAt);
      const limit = resets === null ? "" : `, which resets at ${new Date(resets * 1000).toLocaleString()}`;
      const isRefused = textOf(objectOf(body.failure).type) !== "";
      const hasFailed = isRefused || status === "failed";
      const head = (): (Node | string)[] => {
        if (status === "in_progress") return [stateIcon(status), "Making a picture…"];
        if (!hasFailed) return ["Made a picture", ...(path === "" ? [] : [" in ", name])];
        const why = isRefused ? `: the usage limit is reached${reveal(limit)}` : "";
        return [stateIcon("failed"), "Could not make a picture", muted(why)];
      };
      fold.show(head(), prompt === "" ? null : () => [textPart("Prompt", prompt)]);
      const result = textOf(body.result);
      if (result === drawn) return;
      drawn = result;
      const made = pictureOf(result);
      // Beside the line and not in it: what unfolds by a click holds no button.
      const parts = [made, made === null || path === "" ? null : openButton(path, context)];
      picture.replaceChildren(...parts.filter((part) => part !== null));
    },
  };
}
