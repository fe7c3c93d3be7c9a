/** What a person asked: the text, and what was sent along with it. */

import type { Item, JsonObject } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { element, icon, spoken } from "../dom";
import { isObject, listOf, textOf } from "../json";
import { reveal } from "../text";
import { FoldedText, dataImage, openButton } from "./parts";

const MOST_LINES = 8;

function promptText(item: Item): string {
  if (item.text !== "") return item.text;
  const texts = listOf(item.body.content)
    .filter(isObject)
    .map((part) => textOf(part.text));
  return texts.filter((text) => text !== "").join("\n");
}

/** A picture as itself where the message holds it, anything else by its name. */
function drawAttachment(part: JsonObject, context: Context): HTMLElement {
  const type = textOf(part.type);
  const path = textOf(part.path);
  const isPicture = /image/i.test(type);
  const picture = dataImage(textOf(part.url), "Attached picture");
  if (picture !== null) return picture;
  const name = textOf(part.name) || path.slice(path.lastIndexOf("/") + 1) || type || "attachment";
  const chip = element("span", "cnb-attachment", icon(isPicture ? "image" : "file"), element("span", "", reveal(name)));
  chip.title = reveal(path || type);
  const open = openButton(path, context);
  if (open !== null) chip.append(open);
  return chip;
}

export function drawPrompt(context: Context): ItemDrawing {
  const text = new FoldedText(MOST_LINES);
  const attachments = element("div", "cnb-attachments");
  let drawn = "";
  return {
    element: element("div", "cnb-prompt", spoken("Prompt: "), text.element, attachments),
    update(item) {
      const words = promptText(item);
      text.update(words);
      text.element.hidden = words === "";
      const parts = listOf(item.body.content).filter(isObject).filter((part) => textOf(part.type) !== "text");
      const key = JSON.stringify(parts);
      if (key === drawn) return;
      drawn = key;
      attachments.replaceChildren(...parts.map((part) => drawAttachment(part, context)));
    },
  };
}
