// The sizes that no build exceeds. A page loads all of it, or a notebook file holds it.

const KB = 1000;

/** Says how large a part is, and fails when that is too much. */
export function weigh(name, bytes, limit) {
  console.log(`${name} ${(bytes / KB).toFixed(1)} KB of ${limit} KB`);
  if (bytes > limit * KB) throw new Error(`${name} has ${bytes} bytes; the limit is ${limit * KB}`);
}
