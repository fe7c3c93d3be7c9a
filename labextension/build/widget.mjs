// The anywidget: one module and one style sheet, with the licences of what they contain.

import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";
import { weigh } from "./sizes.mjs";

const LIMIT = 130;

/** Builds into a folder, and returns the names of the files. */
export async function buildWidget(here, target) {
  const { outputFiles, metafile } = await build({
    absWorkingDir: here,
    entryPoints: { widget: "src/widget.ts", "widget-style": "src/style.css" },
    outdir: target,
    entryNames: "[name]",
    bundle: true,
    format: "esm",
    charset: "utf8",
    target: ["es2022", "chrome111", "firefox115", "safari16.4"],
    minify: true,
    legalComments: "eof",
    metafile: true,
    write: false,
  });
  const made = new Map(outputFiles.map(({ path, contents }) => [`widget${path.endsWith(".css") ? ".css" : ".js"}`, contents]));
  weigh("widget.js", made.get("widget.js").length, LIMIT);
  made.set("LICENSES.txt", await licences(here, Object.keys(metafile.inputs)));
  for (const [name, contents] of made) await writeFile(join(target, name), contents);
  return [...made.keys()];
}

/** The licences of the packages that are in the bundle, whole, as they ask for. */
async function licences(here, inputs) {
  const found = inputs.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const texts = [...new Set(found)].filter(Boolean).sort().map(async (name) => {
    const home = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(home, "package.json"), "utf8"));
    const file = (await readdir(home)).find((entry) => /^licen[cs]e(\.\w+)?$/i.test(entry));
    if (file === undefined) throw new Error(`${name} ships no licence`);
    const text = await readFile(join(home, file), "utf8");
    return `widget.js contains ${name} ${version}, licence ${license}:\n\n${text.trim()}\n`;
  });
  if (texts.length === 0) return "widget.js contains nothing of others.\n";
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}
