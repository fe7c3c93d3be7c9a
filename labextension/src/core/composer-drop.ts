/**
 * What is dragged over the input: files from the desktop, and paths from JupyterLab's file browser.
 *
 * JupyterLab drags with events of its own, `lm-*`, whose data are no DataTransfer. Checked against JupyterLab 4.6.6.
 */

import { labConfig } from "./lab-config";

/** Paths of the file browser, as the server's contents API names them. */
const PATHS = "application/x-jupyter-icontents";

interface LabDrag extends Event {
  mimeData: { hasData(type: string): boolean; getData(type: string): unknown };
  proposedAction: string;
  dropAction: string;
}

export interface Receiver {
  takeFiles(files: File[]): void;
  takeText(text: string): void;
}

/** Lets an element take drops; the class `cnb-drop` says that it would take this one. */
export function acceptDrops(target: HTMLElement, receiver: Receiver): void {
  const mark = (isOver: boolean): void => void target.classList.toggle("cnb-drop", isOver);
  const claim = (event: Event): void => {
    event.preventDefault();
    event.stopPropagation();
  };
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  for (const name of ["dragenter", "dragover"] as const) {
    target.addEventListener(name, (event) => {
      event.stopPropagation();
      if (!hasFiles(event)) return;
      event.preventDefault();
      mark(true);
    });
  }
  target.addEventListener("dragleave", (event) => {
    if (!(event.relatedTarget instanceof Node) || !target.contains(event.relatedTarget)) mark(false);
  });
  target.addEventListener("drop", (event) => {
    mark(false);
    event.stopPropagation();
    if (!hasFiles(event)) return;
    event.preventDefault();
    receiver.takeFiles([...(event.dataTransfer?.files ?? [])]);
  });

  for (const name of ["lm-dragenter", "lm-dragover", "lm-drop", "lm-dragleave"]) {
    target.addEventListener(name, (event) => {
      if (!isLabDrag(event)) return;
      const text = textOfDrag(event);
      if (text === "") return;
      claim(event);
      mark(name === "lm-dragenter" || name === "lm-dragover");
      event.dropAction = event.proposedAction;
      if (name === "lm-drop") receiver.takeText(text);
    });
  }
}

function isLabDrag(event: Event): event is LabDrag {
  return "mimeData" in event && typeof event.mimeData === "object" && event.mimeData !== null;
}

function textOfDrag({ mimeData }: LabDrag): string {
  if (mimeData.hasData(PATHS)) {
    const paths = mimeData.getData(PATHS);
    if (Array.isArray(paths)) return paths.filter((it) => typeof it === "string").map(wholePath).join(" ");
  }
  const text = mimeData.hasData("text/plain") ? mimeData.getData("text/plain") : "";
  return typeof text === "string" ? text : "";
}

/** The path on the disk, where the page says at which folder its server stands; in quotes when it holds a space. */
function wholePath(path: string): string {
  const root = labConfig("serverRoot").replace(/\/$/, "");
  const whole = root === "" || path.startsWith("/") ? path : `${root}/${path}`;
  return /\s/.test(whole) ? `"${whole}"` : whole;
}
