/** Calls of tools: of MCP servers, of the client, of sub-agents. One line each, with its detail folded. */

import type { Item, Json, JsonObject } from "../../tokens";
import type { ItemDrawing } from "../context";
import { type IconName, element, scrollBox } from "../dom";
import { isObject, listOf, objectOf, prettyJson, textOf } from "../json";
import { reveal } from "../text";
import { Fold, code, dataImage, muted, stateIcon } from "./parts";

const MOST_PREVIEW = 80;
const MOST_TEXT = 50_000;

/** Arguments on one line, as a call would show them. */
function preview(value: Json | undefined): string {
  const text = isObject(value)
    ? Object.entries(value)
        .map(([key, inner]) => `${key}=${JSON.stringify(inner)}`)
        .join(", ")
    : JSON.stringify(value ?? null);
  const shown = text === "null" ? "" : text;
  return shown.length > MOST_PREVIEW ? `${shown.slice(0, MOST_PREVIEW - 1)}…` : shown;
}

function block(label: string, text: string): HTMLElement {
  const shown = text.length > MOST_TEXT ? `${text.slice(0, MOST_TEXT)}\n… cut` : text;
  const box = scrollBox("pre", "cnb-terminal", label);
  box.textContent = shown;
  return element("div", "cnb-part", element("div", "cnb-parthead", label), box);
}

/** One piece of what a tool gave back: text, a picture, or JSON. */
function drawContent(content: JsonObject): HTMLElement {
  const url = textOf(content.imageUrl) || `data:${textOf(content.mimeType)};base64,${textOf(content.data)}`;
  const image = dataImage(url, "Image from the tool");
  if (image !== null) return image;
  const text = textOf(content.text);
  return block("Result", text === "" ? prettyJson(content) : text);
}

function drawCall(
  picture: IconName,
  name: (body: JsonObject) => string,
  parts: (item: Item) => HTMLElement[],
): ItemDrawing {
  const fold = new Fold(picture);
  return {
    element: fold.element,
    update(item) {
      const { body } = item;
      const call = code(`${reveal(name(body))}(${reveal(preview(body.arguments))})`);
      const isPlain = body.arguments === null || Object.keys(objectOf(body.arguments)).length === 0;
      const content = parts(item);
      if (!isPlain) content.unshift(block("Arguments", prettyJson(body.arguments)));
      if (item.output !== "") content.push(block("Progress", item.output));
      const last = item.status === "completed" ? [] : [" ", stateIcon(item.status)];
      fold.show([call, ...last], content);
    },
  };
}

export function drawMcpCall(): ItemDrawing {
  return drawCall(
    "tool",
    (body) => [textOf(body.server), textOf(body.tool)].filter(Boolean).join("."),
    ({ body }) => {
      const parts = listOf(objectOf(body.result).content).filter(isObject).map(drawContent);
      const problem = textOf(objectOf(body.error).message);
      return problem === "" ? parts : [...parts, block("Error", problem)];
    },
  );
}

export function drawDynamicCall(): ItemDrawing {
  return drawCall(
    "tool",
    (body) => [textOf(body.namespace), textOf(body.tool)].filter(Boolean).join("."),
    ({ body }) => listOf(body.contentItems).filter(isObject).map(drawContent),
  );
}

const AGENT_WORDS: Record<string, string> = {
  spawnAgent: "Started a sub-agent",
  sendInput: "Wrote to a sub-agent",
  sendMessage: "Wrote to a sub-agent",
  followupTask: "Gave a sub-agent a task",
  resumeAgent: "Resumed a sub-agent",
  wait: "Waited for sub-agents",
  closeAgent: "Closed a sub-agent",
  interruptAgent: "Interrupted a sub-agent",
  listAgents: "Listed sub-agents",
};

export function drawAgentCall(): ItemDrawing {
  const fold = new Fold("people");
  return {
    element: fold.element,
    update({ body, status }) {
      const tool = textOf(body.tool);
      const prompt = textOf(body.prompt);
      const states = Object.values(objectOf(body.agentsStates)).filter(isObject);
      const content: HTMLElement[] = [];
      if (prompt !== "") content.push(block("Prompt", prompt));
      for (const state of states) {
        const text = [textOf(state.status), textOf(state.message)].filter(Boolean).join(": ");
        content.push(block("Sub-agent", text));
      }
      const last = status === "completed" ? [] : [" ", stateIcon(status)];
      const [firstLine = ""] = prompt.split("\n");
      const words = firstLine === "" ? [] : [muted(` · ${reveal(firstLine.slice(0, MOST_PREVIEW))}`)];
      fold.show([AGENT_WORDS[tool] ?? `Sub-agent: ${reveal(tool)}`, ...words, ...last], content);
    },
  };
}

const SEARCH_WORDS: Record<string, string> = {
  openPage: "Opened",
  findInPage: "Searched a page for",
};

export function drawWebSearch(): ItemDrawing {
  const fold = new Fold("search");
  return {
    element: fold.element,
    update({ body, status }) {
      const action = objectOf(body.action);
      const type = textOf(action.type);
      const what = textOf(action.pattern) || textOf(action.query) || textOf(action.url) || textOf(body.query);
      const queries = listOf(action.queries).map(textOf).filter((query) => query !== "");
      const results = listOf(body.results);
      const content = [];
      if (queries.length > 1) content.push(block("Queries", queries.join("\n")));
      if (results.length > 0) content.push(block("Results", prettyJson(results)));
      const isLive = status === "in_progress";
      const word = SEARCH_WORDS[type] ?? (isLive ? "Searching the web for" : "Searched the web for");
      fold.show([`${word} `, muted(reveal(what || (queries[0] ?? "")))], content);
    },
  };
}
