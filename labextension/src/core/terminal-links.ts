/** What codex in the terminal asks to open in a browser: a line for each link, which a person may follow or dismiss. */

import { copyButton, element, iconButton, setAttributes } from "./dom";
import { linkTo, safeUrl } from "./links";
import { reveal } from "./text";

export interface TerminalLinks {
  readonly element: HTMLElement;
  update(links: string[]): void;
}

export function drawTerminalLinks(dismiss: (link: string) => void): TerminalLinks {
  const list = element("div", "cnb-links");
  const lines = new Map<string, HTMLElement>();
  // A new line is announced.
  setAttributes(list, { role: "log", "aria-label": "Links that Codex asks to open" });

  const draw = (link: string, url: URL): HTMLElement => {
    const scheme = url.protocol === "https:" ? "" : `${url.protocol}//`;
    const path = reveal(url.href.slice(url.origin.length));
    const made = linkTo(url, element("b", "", scheme + url.host), element("span", "", path));
    const copy = copyButton(() => url.href, "Copy the link");
    const closer = iconButton("cross", "Dismiss the link", "", () => dismiss(link));
    return element("div", "cnb-ask", element("span", "", "Codex asks to open"), made, copy, closer);
  };

  return {
    element: list,
    update(links) {
      for (const [link, line] of lines) {
        if (links.includes(link)) continue;
        line.remove();
        lines.delete(link);
      }
      for (const link of links) {
        const url = safeUrl(link);
        if (url === null || lines.has(link)) continue;
        const line = draw(link, url);
        lines.set(link, line);
        list.append(line);
      }
    },
  };
}
