// Builds the front end into codex_nb/labextension, and stamps it with the hash of its sources.
//
//     node build.mjs                the widget and the JupyterLab extension
//     node build.mjs --out FOLDER   the widget alone, into another folder, to look at it
//
// The build is committed, so that an install needs no node; tests/test_stamp.py computes the same hash again and fails
// when the sources moved on without a build. It is the same build in every folder.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildLab } from "./build/lab.mjs";
import { stampOf } from "./build/stamp.mjs";
import { buildWidget } from "./build/widget.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const [option, folder] = process.argv.slice(2);
if (option !== undefined && (option !== "--out" || folder === undefined)) {
  throw new Error("usage: node build.mjs [--out FOLDER]");
}
const target = folder ?? join(here, "..", "codex_nb", "labextension");

await mkdir(target, { recursive: true });
const files = await buildWidget(here, target);
if (folder === undefined) {
  files.push(...(await buildLab(here, join(target, "lab"))).map((name) => `lab/${name}`));
  await writeFile(join(target, "stamp.json"), JSON.stringify(await stampOf(here, target, files), null, 2) + "\n");
}
