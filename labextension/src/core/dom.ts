/** The few ways in which this view makes elements. Text enters by textContent only. */

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  check: "M3.2 8.6 6.4 11.8 12.8 4.8",
  cross: "M4 4 12 12M12 4 4 12",
  dash: "M3.5 8h9",
  stop: "M4.5 4.5h7v7h-7z",
  file: "M4 1.8h5l3 3v9.4H4zM9 1.8v3h3",
  tool: "M2.5 13.5 8 8M9.5 2.3a3.6 3.6 0 1 0 4.2 4.2L11.5 8 8 4.5z",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3 13.8 13.8",
  image: "M2 3h12v10H2zM2 11l3.5-3.5 3 3L11 8l3 3M10.5 5.7h.1",
  people: "M6 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.8 13.5c0-2.4 1.9-3.8 4.2-3.8s4.2 1.4 4.2 3.8M11 3.2a2.3 2.3 0 0 1 0 4.6M12 9.9c1.5.5 2.4 1.7 2.4 3.6",
  compact: "M8 1.8v4M5.8 4 8 6.2 10.2 4M8 14.2v-4M5.8 12 8 9.8 10.2 12M2.5 8h11",
  eye: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6z",
  thought: "M8 2.2a4.3 4.3 0 0 0-2.3 7.9v1.7h4.6v-1.7A4.3 4.3 0 0 0 8 2.2zM6.3 13.8h3.4",
  alert: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  clock: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 4.8V8l2.2 1.6",
  dot: "M8 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5z",
} as const;
export type IconName = keyof typeof ICONS;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className !== "") made.className = className;
  made.append(...children);
  return made;
}

/** A decorative picture, hidden from assistive technology: the words beside it say the same. */
export function icon(name: IconName, className = ""): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("width", "14");
  svg.setAttribute("height", "14");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", `cnb-icon ${className}`.trim());
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function button(label: string, className: string, onClick: () => void): HTMLButtonElement {
  const made = element("button", `cnb-button ${className}`.trim(), label);
  made.type = "button";
  made.addEventListener("click", onClick);
  return made;
}

/** Sets text only when it differs, so that selections and live regions stay undisturbed. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Words for assistive technology only. */
export function spoken(text: string): HTMLElement {
  return element("span", "cnb-spoken", text);
}

/** A button that copies text, and says so for two seconds. */
export function copyButton(text: () => string): HTMLButtonElement {
  const made = button("Copy", "cnb-copy", () => {
    navigator.clipboard.writeText(text()).then(
      () => say("Copied"),
      () => say("Not allowed"),
    );
  });
  const say = (word: string): void => {
    made.textContent = word;
    setTimeout(() => (made.textContent = "Copy"), 2000);
  };
  return made;
}

/** Lets the keyboard reach a box and scroll it. */
export function makeScrollable(box: HTMLElement): void {
  box.tabIndex = 0;
  // Without it the arrows would move JupyterLab's cell selection away from the box.
  box.dataset.lmSuppressShortcuts = "true";
}

/** A scrollable box that the keyboard can reach. */
export function scrollBox(tag: "div" | "pre", className: string, label: string): HTMLElement {
  const made = element(tag, className);
  makeScrollable(made);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", label);
  return made;
}
