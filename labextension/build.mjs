// Bundles the view into codex_nb/labextension, with the licences of what it contains, and stamps it with the hash of its
// sources. `--out FOLDER` builds into another folder, to compare.
//
// The bundle is committed, so that an install needs no node; tests/test_stamp.py computes the same hash again and fails
// when the sources moved on without a build.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const [option, folder] = process.argv.slice(2);
if (option !== undefined && (option !== "--out" || folder === undefined)) {
  throw new Error("usage: node build.mjs [--out FOLDER]");
}
const target = folder ?? join(here, "..", "codex_nb", "labextension");
const LIMIT = 120 * 1024;

const sha256 = (data) => createHash("sha256").update(data).digest("hex");

async function hashSources() {
  const found = await readdir(join(here, "src"), { recursive: true, withFileTypes: true });
  const paths = found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(here.length).replaceAll("\\", "/"))
    .concat("package.json", "package-lock.json", "tsconfig.json", "build.mjs")
    .sort();
  const lines = await Promise.all(
    paths.map(async (path) => `${path} ${sha256(await readFile(join(here, path)))}\n`),
  );
  return sha256(lines.join(""));
}

/** The licences of the packages that are in the bundle, whole, as they ask for. */
async function licences(inputs) {
  const found = inputs.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]);
  const texts = [...new Set(found)].filter(Boolean).sort().map(async (name) => {
    const home = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(home, "package.json"), "utf8"));
    const file = (await readdir(home)).find((entry) => /^licen[cs]e(\.\w+)?$/i.test(entry));
    if (file === undefined) throw new Error(`${name} ships no licence`);
    const text = await readFile(join(home, file), "utf8");
    return `widget.js contains ${name} ${version}, licence ${license}:\n\n${text.trim()}\n`;
  });
  return (await Promise.all(texts)).join(`\n${"-".repeat(80)}\n\n`);
}

await mkdir(target, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: { widget: "src/widget.ts", "widget-style": "src/style.css" },
  outdir: target,
  entryNames: "[name]",
  bundle: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  minify: true,
  legalComments: "eof",
  // Marked states its terms in a file of its own only.
  banner: {
    js: "/*! Contains marked | (c) 2018+ MarkedJS, (c) 2011-2018 Christopher Jeffrey | MIT license | github.com/markedjs/marked */",
  },
  metafile: true,
  write: false,
}).then(async ({ outputFiles, metafile }) => {
  const stamp = { sources: await hashSources(), files: {} };
  for (const { path, contents } of outputFiles) {
    const name = path.endsWith(".css") ? "widget.css" : "widget.js";
    if (name === "widget.js" && contents.length > LIMIT) {
      throw new Error(`widget.js has ${contents.length} bytes; the limit is ${LIMIT}`);
    }
    await writeFile(join(target, name), contents);
    stamp.files[name] = sha256(contents);
    console.log(`${name} ${(contents.length / 1024).toFixed(1)} KiB`);
  }
  await writeFile(join(target, "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));
  await writeFile(join(target, "stamp.json"), JSON.stringify(stamp, null, 2) + "\n");
});
