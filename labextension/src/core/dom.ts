/** The few ways in which this view makes elements. Text enters by textContent only. */

const SVG = "http://www.w3.org/2000/svg";

const ICONS = {
  check: "M3.2 8.6 6.4 11.8 12.8 4.8",
  cross: "M4 4 12 12M12 4 4 12",
  dash: "M3.5 8h9",
  stop: "M4.5 4.5h7v7h-7z",
  file: "M4 1.8h5l3 3v9.4H4zM9 1.8v3h3",
  tool: "M2.5 13.5 8 8M9.5 2.3a3.6 3.6 0 1 0 4.2 4.2L11.5 8 8 4.5z",
  image: "M2 3h12v10H2zM2 11l3.5-3.5 3 3L11 8l3 3M10.5 5.7h.1",
  people: "M6 8a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.8 13.5c0-2.4 1.9-3.8 4.2-3.8s4.2 1.4 4.2 3.8M11 3.2a2.3 2.3 0 0 1 0 4.6M12 9.9c1.5.5 2.4 1.7 2.4 3.6",
  compact: "M8 1.8v4M5.8 4 8 6.2 10.2 4M8 14.2v-4M5.8 12 8 9.8 10.2 12M2.5 8h11",
  eye: "M1.5 8S4 3.8 8 3.8 14.5 8 14.5 8 12 12.2 8 12.2 1.5 8 1.5 8zM8 6.2a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6z",
  thought: "M8 2.2a4.3 4.3 0 0 0-2.3 7.9v1.7h4.6v-1.7A4.3 4.3 0 0 0 8 2.2zM6.3 13.8h3.4",
  alert: "M8 2 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.1",
  clock: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM8 4.8V8l2.2 1.6",
  copy: "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3",
  open: "M9 2.5h4.5V7M13.5 2.5 7.5 8.5M11.5 9.5v4h-9v-9h4",
  globe: "M8 2a6 6 0 1 1 0 12A6 6 0 0 1 8 2zM2 8h12M8 2c2 1.8 2.6 3.8 2.6 6S10 12.2 8 14M8 2C6 3.8 5.4 5.8 5.4 8S6 12.2 8 14",
  gear: "M8 5.6a2.4 2.4 0 1 1 0 4.8 2.4 2.4 0 0 1 0-4.8zM8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6 5 5M11 11l1.4 1.4M12.4 3.6 11 5M5 11l-1.4 1.4",
  terminal: "M2 3h12v10H2zM4.5 6 6.5 8 4.5 10M8.5 10h3",
  list: "M6 4h7.5M6 8h7.5M6 12h7.5M2.5 4h.1M2.5 8h.1M2.5 12h.1",
  clip: "M11.6 5.2 6.3 10.5a1.3 1.3 0 0 0 1.9 1.9l5.1-5.1a2.7 2.7 0 0 0-3.8-3.8L4 9a4 4 0 0 0 5.7 5.7l4-4",
  down: "M4.5 6.5 8 10l3.5-3.5",
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
  const size = { viewBox: "0 0 16 16", width: "14", height: "14" };
  setAttributes(svg, { ...size, "aria-hidden": "true", class: `cnb-icon ${className}`.trim() });
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

export function setAttributes(target: Element, values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) target.setAttribute(name, value);
}

/** Switches a button off for a while. `disabled` would take the focus of whoever pressed it. */
export function setOff(target: HTMLButtonElement, isOff: boolean): void {
  target.setAttribute("aria-disabled", String(isOff));
}

export function isOff(target: HTMLButtonElement): boolean {
  return target.getAttribute("aria-disabled") === "true";
}

/** Sets text only when it differs, so that selections and live regions stay undisturbed. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Gives an element the focus; the page stays where it is scrolled to. */
export function focusOn(target: HTMLElement | null | undefined): void {
  target?.focus({ preventScroll: true });
}

/** Words for assistive technology only. */
export function spoken(text: string): HTMLElement {
  return element("span", "cnb-spoken", text);
}

/** A small button with a picture; its label is spoken, and shown by the pointer that rests on it. */
export function iconButton(name: IconName, label: string, className: string, onClick: () => void): HTMLButtonElement {
  const made = button("", `cnb-iconbutton ${className}`.trim(), onClick);
  made.append(icon(name));
  made.ariaLabel = label;
  made.title = label;
  return made;
}

const SAID_MS = 2000;

/** A button that copies text, and says so for two seconds. */
export function copyButton(text: () => string, label = "Copy"): HTMLButtonElement {
  const made = iconButton("copy", label, "cnb-copy", () => {
    // Absent where the page did not come by https or from this machine.
    const written = navigator.clipboard?.writeText(text()) ?? Promise.reject(new Error("no clipboard"));
    written.then(
      () => say("check", "Copied"),
      () => say("cross", "The browser does not allow it"),
    );
  });
  const say = (name: IconName, word: string): void => {
    show(name, word);
    setTimeout(() => show("copy", label), SAID_MS);
  };
  const show = (name: IconName, word: string): void => {
    made.replaceChildren(icon(name));
    made.ariaLabel = word;
    made.title = word;
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
  setAttributes(made, { role: "group", "aria-label": label });
  return made;
}
