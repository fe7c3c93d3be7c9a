/** Calls of tools, of MCP servers and of the client: one line, its detail folded, its pictures in sight. */

import type { Item, Json, JsonObject } from "../../tokens";
import type { Context, ItemDrawing } from "../context";
import { element, setText, spoken } from "../dom";
import { isObject, listOf, objectOf, prettyJson, textOf } from "../json";
import { reveal } from "../text";
import { Fold, code, dataImage, muted, stateIcon, textPart, timeOf } from "./parts";

const MOST_PREVIEW = 80;
const MOST_PICTURES = 12;

function brief(text: string): string {
  return text.length > MOST_PREVIEW ? `${text.slice(0, MOST_PREVIEW - 1)}…` : text;
}

/** Arguments on one line, as a call would show them. */
function preview(value: Json | undefined): string {
  if (value === undefined || value === null) return "";
  const words = isObject(value)
    ? Object.entries(value).map(([key, inner]) => `${key}=${JSON.stringify(inner)}`)
    : [JSON.stringify(value)];
  return brief(words.join(", "));
}

function firstLine(text: string): string {
  return reveal(brief(text.trim().split("\n", 1)[0] ?? ""));
}

/** What a call came to, by its kind. */
interface Outcome {
  name: string;
  content: JsonObject[];
  /** What the tool gave back for programs, shown when there is nothing for people. */
  structured: Json;
  problem: string;
}

function pictureOf(content: JsonObject): HTMLElement | null {
  const url = textOf(content.imageUrl) || `data:${textOf(content.mimeType)};base64,${textOf(content.data)}`;
  return dataImage(url, "Picture from the tool");
}

/** What the line unfolds to, as labels with what makes their text. */
function parts(item: Item, outcome: Outcome): [label: string, text: () => string][] {
  const { content, structured, problem } = outcome;
  const given = item.body.arguments ?? null;
  const isBare = given === null || (isObject(given) && Object.keys(given).length === 0);
  const texts = content.filter((it) => pictureOf(it) === null);
  return [
    ...(isBare ? [] : [["Arguments", () => prettyJson(given)] as const]),
    ...(item.output === "" ? [] : [["Progress", () => item.output] as const]),
    ...texts.map((it) => ["Result", () => textOf(it.text) || prettyJson(it)] as const),
    ...(content.length > 0 || structured === null ? [] : [["Result", () => prettyJson(structured)] as const]),
    ...(problem === "" ? [] : [["Error", () => problem] as const]),
  ].map(([label, text]) => [label, text]);
}

function drawCall(context: Context, read: (body: JsonObject) => Outcome): ItemDrawing {
  const fold = new Fold("tool");
  const pictures = element("div", "cnb-pictures");
  const time = element("span", "cnb-time");
  let drawn: Item | null = null;
  return {
    element: element("div", "cnb-call", fold.element, pictures),
    update(item) {
      drawn = item;
      const outcome = read(item.body);
      const call = code(`${reveal(brief(outcome.name))}(${reveal(preview(item.body.arguments))})`);
      const status = outcome.problem === "" ? item.status : "failed";
      const last = item.output.trimEnd().split("\n").pop() ?? "";
      const said = outcome.problem !== "" ? firstLine(outcome.problem) : status === "in_progress" ? firstLine(last) : "";
      setText(time, timeWords(item, context));
      const found = parts(item, outcome);
      fold.show(
        [...(status === "completed" ? [] : [stateIcon(status)]), call, ...(said === "" ? [] : [muted(` · ${said}`)]), time],
        found.length === 0 ? null : () => found.map(([label, text]) => textPart(label, text())),
      );
      const shown = outcome.content.map(pictureOf).filter((it) => it !== null);
      pictures.replaceChildren(...shown.slice(0, MOST_PICTURES));
    },
    tick() {
      if (drawn?.status === "in_progress") setText(time, timeWords(drawn, context));
    },
  };
}

function timeWords(item: Item, context: Context): string {
  const time = timeOf(item, context);
  return time === "" ? "" : ` · ${time}`;
}

function joined(...names: (Json | undefined)[]): string {
  return names.map(textOf).filter(Boolean).join(".");
}

export function drawMcpCall(context: Context): ItemDrawing {
  return drawCall(context, (body) => {
    const result = objectOf(body.result);
    return {
      name: joined(body.server, body.tool),
      content: listOf(result.content).filter(isObject),
      structured: result.structuredContent ?? null,
      problem: textOf(objectOf(body.error).message),
    };
  });
}

export function drawDynamicCall(context: Context): ItemDrawing {
  return drawCall(context, (body) => {
    const content = listOf(body.contentItems).filter(isObject);
    const isRefused = body.success === false;
    const said = content.map((it) => textOf(it.text)).join("\n");
    return {
      name: joined(body.namespace, body.tool),
      content: isRefused ? [] : content,
      structured: null,
      problem: isRefused ? said || "The tool reported a failure." : "",
    };
  });
}

/** What a program put into the conversation as the output of a tool. */
export function drawFunctionOutput(): ItemDrawing {
  const fold = new Fold("tool");
  return {
    element: fold.element,
    update({ body, output, text }) {
      const whole = textOf(body.output) || text || output || (body.output == null ? "" : prettyJson(body.output));
      const name = code(reveal(brief(joined(body.namespace, body.name))));
      const words = [spoken("output of "), name, muted(` · ${firstLine(whole)}`)];
      fold.show(words, whole === "" ? null : () => [textPart("Output", whole)]);
    },
  };
}
