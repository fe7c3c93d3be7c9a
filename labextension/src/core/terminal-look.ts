/**
 * Font, colours and cursor of a terminal as the page around it has them.
 *
 * The style sheet says what each is; here they are read as the browser computed them, in the words of xterm.js.
 */

import { element } from "./dom";

const NAMES = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/** The options of xterm.js that give it the look of a box. */
export function lookOf(box: HTMLElement): object {
  const probe = element("span");
  box.append(probe);
  const own = getComputedStyle(box);
  const read = (className: string): string => {
    probe.className = className;
    return hexOf(getComputedStyle(probe).color);
  };
  const background = hexOf(own.backgroundColor);
  const colours = NAMES.flatMap((name, i) => [
    [name, read(`cnb-ansi-${i}`)],
    [name.replace(/^./, (first) => `bright${first.toUpperCase()}`), read(`cnb-ansi-${i + 8}`)],
  ]);
  const theme = {
    background,
    foreground: hexOf(own.color),
    cursor: read("cnb-cursor"),
    cursorAccent: background,
    selectionBackground: read("cnb-selection"),
    ...Object.fromEntries(colours),
  };
  probe.remove();
  return {
    theme,
    fontFamily: own.fontFamily,
    fontSize: Math.round(Number.parseFloat(own.fontSize)),
    minimumContrastRatio: Number(own.getPropertyValue("--cnb-contrast")),
    cursorBlink: own.getPropertyValue("--cnb-blink") === "1",
  };
}

/** `rgb(…)` and `color(srgb …)`, which is what colours compute to, as `#rrggbb`. */
function hexOf(colour: string): string {
  const scale = colour.startsWith("color") ? 255 : 1;
  const [r = 0, g = 0, b = 0] = (colour.match(/[\d.]+(?:e-\d+)?/g) ?? []).map((part) => Math.round(Number(part) * scale));
  return `#${((1 << 24) | (r << 16) | (g << 8) | b).toString(16).slice(1)}`;
}

/** Calls back when the page may have another look, until the signal says stop. */
export function watchLook(onChange: () => void, signal: AbortSignal): void {
  let frame = 0;
  const look = (): void => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(onChange);
  };
  // The colours of a theme of JupyterLab come some time after its name, in a style sheet of their own.
  const page = new MutationObserver(look);
  for (const it of [document.documentElement, document.body]) page.observe(it, { attributes: true });
  document.addEventListener("load", look, { signal, capture: true });
  signal.onabort = () => {
    cancelAnimationFrame(frame);
    page.disconnect();
  };
}
