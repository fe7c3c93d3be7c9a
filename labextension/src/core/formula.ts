/**
 * Formulas in the model's Markdown: where one begins and ends, and whether a page may typeset it.
 *
 * A typesetter runs what it reads: LaTeX for the web has macros that link, set ids, classes and CSS, define other macros
 * and load scripts. So a formula is typeset only when every macro in it stands on a list of those that only draw. Any
 * other formula stays as it was written. The names are those of MathJax 3 and 4.
 */

import { reveal } from "./text";

export interface Formula {
  raw: string;
  isDisplay: boolean;
}

const LONGEST = 2000;
const DEEPEST = 24;
const PAIRS = [
  { open: "$$", close: "$$", isDisplay: true },
  { open: "\\[", close: "\\]", isDisplay: true },
  { open: "\\(", close: "\\)", isDisplay: false },
] as const;

/** The formula that a text begins with. */
export function findFormula(text: string): Formula | null {
  for (const { open, close, isDisplay } of PAIRS) {
    if (!text.startsWith(open)) continue;
    const end = text.slice(0, LONGEST).indexOf(close, open.length);
    const inner = end < 0 ? "" : text.slice(open.length, end);
    if (inner.trim() === "" || /\n[ \t]*\n/.test(inner)) return null;
    return { raw: text.slice(0, end + close.length), isDisplay };
  }
  return text.startsWith("$") ? findDollars(text) : null;
}

/** `$x$`, but neither `$5 and $6` nor `$HOME/$USER`: inside, no space stands at either end; after it, no word goes on. */
function findDollars(text: string): Formula | null {
  const found = /^\$(?![\s$])((?:\\[^\n]|[^\\$`\n]){1,500})\$(?![\w$])/.exec(text);
  if (found === null || /\s$/.test(found[1] ?? "")) return null;
  return { raw: found[0], isDisplay: false };
}

const DRAWS = new RegExp(
  `^(?:${[
    // Letters.
    "(?:var)?(?:epsilon|theta|kappa|pi|rho|sigma|phi)|alpha|beta|gamma|delta|zeta|eta|iota|lambda|mu|nu|xi|tau|upsilon|chi|psi|omega",
    "Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega|aleph|beth|hbar|ell|wp|Re|Im|partial|nabla|infty|imath|jmath",
    // Logic, sums, functions.
    "forall|n?exists|emptyset|varnothing|neg|lnot|top|bot|angle|triangle|prime|because|therefore|complement",
    "sum|prod|coprod|i{1,3}nt|oint|big(?:cup|cap|sqcup|vee|wedge|oplus|otimes|odot)|argmin|argmax|operatorname",
    "arc(?:sin|cos|tan)|(?:sin|cos|tan)h?|cot|coth|csc|sec|arg|deg|det|dim|exp|gcd|hom|inf|ker|lg|lim(?:inf|sup)?|ln|log|max|min|Pr|sup",
    "[bp]?mod",
    // Operators and relations.
    "pm|mp|times|div|cdot|ast|star|circ|bullet|s?q?c[au]p|[cu]plus|cap|vee|wedge|land|lor|(?:small)?setminus|wr|diamond|d?dagger",
    "o(?:plus|minus|times|slash|dot)|[lr]times|leq?|geq?|neq?|lt|gt|ll|gg|n?leq|n?geq|(?:l|g)eqslant|lesssim|gtrsim",
    "equiv|sim|simeq|approx|approxeq|cong|propto|doteq|asymp|models|vdash|dashv|perp|n?mid|n?parallel|coloneqq|not",
    "(?:n|sq)?su[bp]set(?:n?eq)?|in|notin|ni|n?prec|n?succ|preceq|succeq",
    // Arrows.
    "(?:[Ll]ong|[Uu]p|hook|x)?(?:[Ll]eft|[Rr]ight|down|[Ll]eftright)?arrow|[Dd]ownarrow|gets|to|(?:long)?mapsto|implies|impliedby|iff",
    "rightleftharpoons|[ns][ew]arrow|leadsto",
    // What stands above, below and beside.
    "(?:wide)?(?:hat|tilde)|check|acute|grave|d{0,3}dot|breve|bar|vec|(?:over|under)(?:line|brace|set)|over(?:left|right)arrow|stackrel",
    "[dtc]?frac|sqrt|root|of|[dt]?binom|choose|over|(?:no)?limits|(?:display|text|script|scriptscript)style|substack|boxed",
    "left|right|middle|[bB]igg?[lrm]?|[lr](?:floor|ceil|angle|vert|Vert|brace|brack)|[vV]ert|backslash",
    // Letter forms, dots and spaces.
    "math(?:rm|bf|it|sf|tt|cal|scr|frak|bb|op|bin|rel|ord|open|close|punct)|boldsymbol|bf|it|rm|text(?:rm|bf|it|sf|tt)?|mbox",
    "[lcvd]?dots[cbmi]?|q?quad|colon|hline|nonumber|notag|square|Box|checkmark|flat|natural|sharp",
  ].join("|")})$`,
);
const ENVIRONMENTS = /^(?:[pbBvV]?matrix|smallmatrix|cases|array|aligned|gathered|split|(?:align|gather|equation|multline)\*?)$/;

/** A macro, with the word in braces after it. */
const MACRO = /\\([A-Za-z]+|[^]|$)(?=\s*\{([^{}]*)\}|)/g;
const SYMBOL = /^[\\,;:!> {}|%#$&_/()[\]\n]$/;
const HUGE_SPACE = /\d{3}\s*(?:em|ex|pt|px|in|cm|mm|mu|pc)/;

/** Whether a page may typeset a formula: it only draws, and it shows all that it holds. */
export function mayTypeset(source: string): boolean {
  if (source.length > LONGEST || reveal(source) !== source || depthOf(source) > DEEPEST) return false;
  if (HUGE_SPACE.test(source)) return false;
  for (const [, name = "", environment] of source.matchAll(MACRO)) {
    if (name === "begin" || name === "end") {
      if (environment === undefined || !ENVIRONMENTS.test(environment)) return false;
    } else if (/^[A-Za-z]/.test(name) ? !DRAWS.test(name) : !SYMBOL.test(name)) {
      return false;
    }
  }
  return true;
}

function depthOf(source: string): number {
  let [depth, most] = [0, 0];
  for (const character of source) {
    if (character === "{") most = Math.max(most, (depth += 1));
    else if (character === "}") depth -= 1;
  }
  return most;
}
