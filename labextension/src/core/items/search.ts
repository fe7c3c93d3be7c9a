/** Searches of the web: what was asked for, which pages were opened, what was found. */

import type { Json, JsonObject } from "../../tokens";
import type { ItemDrawing } from "../context";
import { element } from "../dom";
import { isObject, listOf, objectOf, prettyJson, textOf } from "../json";
import { linkTo, safeUrl } from "../links";
import { reveal } from "../text";
import { Fold, muted, stateIcon, textPart } from "./parts";

const MOST_RESULTS = 40;

/** An address that may be followed, as a link; any other as text. */
function address(href: string): HTMLElement {
  const url = safeUrl(href);
  return url === null ? muted(reveal(href)) : linkTo(url, reveal(href));
}

function drawResult(result: JsonObject): HTMLElement {
  const href = textOf(result.url) || textOf(result.link);
  const title = textOf(result.title);
  const url = safeUrl(href);
  const about = textOf(result.snippet) || textOf(result.text) || textOf(result.description);
  const head = url === null ? reveal(title || href) : linkTo(url, reveal(title || href));
  const item = element("li", "", head);
  if (url !== null && title !== "") item.append(muted(` ${url.host}`));
  if (about !== "") item.append(element("div", "cnb-muted", reveal(about.slice(0, 300))));
  return item;
}

function drawResults(results: Json[]): HTMLElement {
  const known = results.filter(isObject).filter((it) => textOf(it.title) || textOf(it.url) || textOf(it.link));
  if (known.length < results.length) return textPart("Results", prettyJson(results));
  return element("ul", "cnb-results", ...known.slice(0, MOST_RESULTS).map(drawResult));
}

/** The line: what is done, and with what. A line that unfolds holds no link, for a click on it unfolds. */
function words(body: JsonObject, isLive: boolean, unfolds: boolean): (Node | string)[] {
  const action = objectOf(body.action);
  const url = textOf(action.url);
  const page = url === "" ? "a page" : unfolds ? reveal(url) : address(url);
  switch (textOf(action.type)) {
    case "openPage":
      return [isLive ? "Opening " : "Opened ", page];
    case "findInPage":
      return [isLive ? "Looking for " : "Looked for ", quoted(textOf(action.pattern)), " in ", page];
    default: {
      const queries = listOf(action.queries).map(textOf);
      const query = textOf(action.query) || textOf(body.query) || queries.find((it) => it !== "") || "";
      const verb = isLive ? "Searching the web" : "Searched the web";
      return query === "" ? [verb] : [`${verb} for `, quoted(query)];
    }
  }
}

function quoted(text: string): HTMLElement {
  return element("span", "cnb-quoted", `“${reveal(text)}”`);
}

export function drawWebSearch(): ItemDrawing {
  const fold = new Fold("globe");
  return {
    element: fold.element,
    update({ body, status }) {
      const queries = listOf(objectOf(body.action).queries).map(textOf).filter(Boolean);
      const results = listOf(body.results);
      const { url } = objectOf(body.action);
      const make = (): Node[] => [
        ...(textOf(url) === "" ? [] : [element("p", "", address(textOf(url)))]),
        ...(queries.length > 1 ? [textPart("Queries", queries.join("\n"))] : []),
        ...(results.length > 0 ? [drawResults(results)] : []),
      ];
      const last = status === "completed" ? [] : [stateIcon(status)];
      const unfolds = queries.length > 1 || results.length > 0;
      fold.show([...last, ...words(body, status === "in_progress", unfolds)], unfolds ? make : null);
    },
  };
}
