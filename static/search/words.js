// Text to words, exactly as `generator/search/words.py` does it: else nothing is found.
const SPECIAL = {
  ß: "ss", æ: "ae", œ: "oe", ø: "o", đ: "d", ð: "d", þ: "th", ł: "l", ı: "i", ς: "σ",
};
const LONGEST = 32;
const MANY = 12; // words of a query: a pasted page is not asked for word by word
const SPACELESS = "\\u0e00-\\u0eff\\u1000-\\u109f\\u1780-\\u17ff\\u3005-\\u3007\\u3040-\\u30ff\\u31f0-\\u31ff"
  + "\\u3400-\\u9fff\\uac00-\\ud7af\\uf900-\\ufaff\\u{20000}-\\u{3ffff}";
const RUNS = new RegExp(`[${SPACELESS}]+|[^${SPACELESS}]+`, "gu");
const SPACELESS_AT = new RegExp(`^[${SPACELESS}]`, "u");

/** A run of letters, digits and marks; global, so for `matchAll` only. */
export const WORD = /[\p{L}\p{N}\p{M}]+/gu;

/** The text in small letters, without diacritics, every character in its plainest form. */
export function fold(text) {
  return text.normalize("NFKD").toLowerCase()
    .replace(/[\u00ad\u0300-\u036f\u200b-\u200d\ufe00-\ufe0f]/g, "")
    .replace(/[ßæœøđðþłıς]/g, (letter) => SPECIAL[letter])
    .normalize("NFC");
}

/**
 * What a query asks for, in order: `{ text, prefix, parts }`. `parts` are the words of the index that a note must
 * have: of scripts without spaces, the bigrams. `prefix`: words that only begin with `text` will do, too, for
 * the last word may not be finished.
 */
export function wanted(query) {
  const found = [];
  for (const [word] of fold(query).matchAll(WORD)) {
    for (const [run] of word.matchAll(RUNS)) {
      if (SPACELESS_AT.test(run)) found.push(spaceless(run));
      else for (const piece of pieces(run)) found.push({ text: piece, prefix: false, parts: [piece] });
    }
  }
  const last = found.at(-1);
  if (last && last.parts.length === 1 && /[\p{L}\p{N}\p{M}]$/u.test(query)) last.prefix = true;
  return found.slice(0, MANY);
}

function spaceless(run) {
  const characters = [...run];
  const pairs = characters.slice(1).map((character, i) => characters[i] + character);
  return { text: run, prefix: pairs.length === 0, inside: true, parts: pairs.length ? pairs.slice(0, MANY) : [run] };
}

function pieces(run) {
  const characters = [...run];
  const found = [];
  for (let i = 0; i < characters.length; i += LONGEST) found.push(characters.slice(i, i + LONGEST).join(""));
  return found;
}
