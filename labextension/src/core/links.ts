/** Where the model's links may lead: to the web and to mail, and to files that the page can open. */

import type { Services } from "../tokens";
import { reveal } from "./text";

const LONGEST = 2000;
const SCHEME = /^(?:https?:\/\/|mailto:)/i;

/** The address as a browser reads it, or null when it is not one of http, https or mailto, or hides where it leads. */
export function safeUrl(href: string): URL | null {
  if (href.length > LONGEST || !SCHEME.test(href) || /\s/.test(href) || reveal(href) !== href) return null;
  let url: URL;
  try {
    url = new URL(href);
  } catch {
    return null;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return null;
  // `https://github.com@evil.example` reads as another host than it is.
  return url.username === "" && url.password === "" ? url : null;
}

/** An address for a person to read, the host as it is on the wire. */
export function urlWords(url: URL): string {
  return reveal(url.href);
}

/** The link itself: it opens beside the page, tells it nothing, and its title is where it leads. */
export function linkTo(url: URL, ...label: (Node | string)[]): HTMLAnchorElement {
  const link = document.createElement("a");
  link.href = url.href;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  link.title = urlWords(url);
  link.append(...label);
  return link;
}

const HOST =
  /^(?:(?:https?:\/\/|www\.)((?:[\p{L}\p{N}-]+\.)+\p{L}{2,})|((?:[\p{L}\p{N}-]+\.)+(?:ai|app|com|dev|edu|gov|io|net|org)))(?:[/:?#]\S*)?$/iu;

/** Where a link's words name one host and the link leads to another: that host, to be shown beside it. */
export function otherHost(words: string, url: URL): string {
  const found = HOST.exec(words.trim());
  const named = found?.[1] ?? found?.[2];
  const plain = (host: string): string => host.toLowerCase().replace(/^www\./, "");
  return named === undefined || plain(named) === plain(url.hostname) ? "" : url.host;
}

/** The absolute path that a link of the model's to a file means; "" for anything else. */
export function pathOf(href: string, folder: string): string {
  if (href === "" || href.length > LONGEST || /^[a-z][a-z0-9+.-]*:|^\/\/|^[#?]/i.test(href)) return "";
  let path = href.replace(/(?:#L\d+(?:C\d+)?(?:-L?\d+)?|:\d+(?::\d+)?)$/, "");
  try {
    path = decodeURIComponent(path);
  } catch {
    return "";
  }
  if (reveal(path) !== path) return "";
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${folder}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return path === "" || (folder === "" && !path.startsWith("/")) ? "" : `/${parts.join("/")}`;
}

/** What opens a file in the page around the view, or null where nothing can. */
export function openerOf(path: string, services: Services): (() => void) | null {
  const { canOpen, openFile } = services;
  if (path === "" || openFile === undefined || canOpen?.(path) !== true) return null;
  return () => openFile(path);
}
