// The JupyterLab extension, by the builder of Jupyter. package.json says what it is made of and where it goes.
//
// `jupyter-builder build labextension` runs the same program; without it, a build needs no Python.

import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { weigh } from "./sizes.mjs";
import { filesBelow } from "./stamp.mjs";

const LIMIT = 150;
const ENTRY_LIMIT = 20;

/** Builds into the folder that package.json names, and returns the names of the files in it. */
export async function buildLab(here, target) {
  const modules = join(here, "node_modules");
  const builder = join(modules, "@jupyter", "builder", "lib", "build-labextension.js");
  const core = join(modules, "@jupyterlab", "core-meta", "core.package.json");
  const { status, stdout, stderr } = spawnSync(process.execPath, [builder, "--core-package-file", core, here], {
    cwd: here,
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`the builder of Jupyter failed with node ${process.version}:\n${stdout}${stderr}`);
  const names = await filesBelow(target, ".");
  const scripts = await Promise.all(
    names.filter((name) => name.endsWith(".js")).map(async (name) => [name, await readFile(join(target, name))]),
  );
  const [entry] = scripts.filter(([name]) => name.includes("remoteEntry"));
  weigh("lab: entry", entry[1].length, ENTRY_LIMIT);
  weigh("lab: all scripts", scripts.reduce((sum, [, contents]) => sum + contents.length, 0), LIMIT);
  for (const [name, contents] of scripts) {
    if (contents.includes(here.slice(0, -1))) throw new Error(`${name} names the folder that it was built in`);
  }
  return names;
}
