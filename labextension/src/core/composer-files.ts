/** The files that go with the next message: taken from a paste, a drop or a dialog, shown as chips, kept within limits. */

import type { Attachment } from "../tokens";
import { element, focusOn, icon, iconButton } from "./dom";
import { bytes, reveal } from "./text";

/** What a session takes with one message; sizes in bytes. */
const MOST_FILES = 8;
const LARGEST = 6_000_000;
const LARGEST_SUM = 12_000_000;

const PICTURES = ["image/png", "image/jpeg", "image/gif", "image/webp"];

export interface Attached extends Attachment {
  /** Bytes of the file. */
  size: number;
}

export interface Files {
  readonly element: HTMLElement;
  /** The button that opens the dialog of the browser. */
  readonly attach: HTMLElement;
  all(): readonly Attached[];
  set(files: readonly Attached[]): void;
  /** Takes what the limits allow, and says in one sentence what was left out. */
  add(found: Iterable<File>): Promise<void>;
}

export function drawFiles({ onChange, say }: { onChange(): void; say(problem: string): void }): Files {
  const list = element("ul", "cnb-uploads");
  const dialog = element("input");
  const attach = iconButton("clip", "Attach files", "", () => dialog.click());
  let files: readonly Attached[] = [];
  /** Bytes of the files that are being read, which count before they are there. */
  const coming: number[] = [];

  list.setAttribute("aria-label", "Attached files");
  dialog.type = "file";
  dialog.multiple = dialog.hidden = true;
  dialog.addEventListener("change", () => {
    void add([...(dialog.files ?? [])]);
    dialog.value = "";
  });

  const add = async (found: Iterable<File>): Promise<void> => {
    const refused: string[] = [];
    const taken: File[] = [];
    for (const file of found) {
      const problem = refusalOf(file, [...files.map(({ size }) => size), ...coming]);
      if (problem !== "") {
        refused.push(problem);
        continue;
      }
      taken.push(file);
      coming.push(file.size);
    }
    const read = await Promise.all(
      taken.map((file) =>
        readFile(file)
          // A folder looks like a file until it is read.
          .catch(() => void refused.push(`${nameOf(file)} could not be read`))
          .finally(() => coming.splice(coming.indexOf(file.size), 1)),
      ),
    );
    set([...files, ...read.filter((it) => it !== undefined)]);
    onChange();
    say(refused.length === 0 ? "" : `Not attached: ${refused.join("; ")}.`);
  };
  const remove = (file: Attached): void => {
    const place = files.indexOf(file);
    set(files.filter((it) => it !== file));
    const buttons = list.querySelectorAll("button");
    focusOn(buttons[place] ?? buttons[place - 1] ?? attach);
    onChange();
  };
  const set = (news: readonly Attached[]): void => {
    files = news;
    list.hidden = files.length === 0;
    list.replaceChildren(
      ...files.map((file) => {
        const name = reveal(file.name);
        const shown = element("span", "cnb-filename", name);
        shown.title = name;
        const size = element("span", "cnb-muted", bytes(file.size));
        const end = iconButton("cross", `Remove ${name}`, "", () => remove(file));
        return element("li", "cnb-upload", picture(file), shown, size, end);
      }),
    );
  };
  set([]);
  return { element: list, attach: element("span", "", attach, dialog), all: () => files, set, add };
}

/** Why a file cannot go with those of the given sizes; "" when it can. */
function refusalOf(file: File, sizes: number[]): string {
  const name = nameOf(file);
  if (file.size > LARGEST) return `${name} is larger than ${bytes(LARGEST)}`;
  if (sizes.length >= MOST_FILES) return `${name}, because ${MOST_FILES} files are the most`;
  const sum = sizes.reduce((all, size) => all + size, file.size);
  return sum > LARGEST_SUM ? `${name}, because all together would be more than ${bytes(LARGEST_SUM)}` : "";
}

function picture({ type, data }: Attached): Element {
  if (!PICTURES.includes(type)) return icon("file");
  const image = element("img", "cnb-thumbnail");
  image.alt = "";
  image.src = `data:${type};base64,${data}`;
  return image;
}

function nameOf({ name }: File): string {
  return name === "" ? "a file without a name" : name;
}

function readFile(file: File): Promise<Attached> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onerror = () => reject(reader.error ?? new Error("unreadable"));
    reader.onload = () => {
      const url = String(reader.result);
      const data = url.slice(url.indexOf(",") + 1);
      const type = file.type || "application/octet-stream";
      resolve({ name: file.name || "file", type, size: file.size, data: file.size === 0 ? "" : data });
    };
    reader.readAsDataURL(file);
  });
}
