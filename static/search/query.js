// Answers a query from the few files of the index that it needs: see `generator/search/`.
import { nearest, slips } from "./near.js";
import { wanted } from "./words.js";

const HOME = new URL("../../search/", import.meta.url);
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const VALUE = Object.fromEntries([...DIGITS].map((digit, i) => [digit, i]));

// How much a word counts for, by where it stands; the bits are those of `generator/search/entry.py`.
const NAMES = [[1, 10], [2, 8], [4, 5], [8, 4]];
const TEXT = 4;
const OUTPUT = 8;

const SHORT = 3; // letters before the texts, and not only the names, are searched for what begins with them
const STRETCHES = 6; // files read for all words that begin alike: the rest waits for another letter
const GUESSES = 5;

const files = new Map();

document.addEventListener("site-changed", () => files.clear());

/** The JSON of a file of the index, fetched once; `missing` where there is no such file. */
function read(path, missing) {
  if (!files.has(path)) {
    const answer = fetch(new URL(path, HOME), { cache: "no-cache" }).then((response) => {
      if (response.ok) return response.json();
      if (response.status === 404 && missing !== undefined) return missing;
      throw new Error(`${path}: ${response.status}`);
    });
    answer.catch(() => files.delete(path)); // offline now, perhaps not later
    files.set(path, answer);
  }
  return files.get(path);
}

const directory = () => read("index.json");

const plain = (c) => (c > "\x7f" ? `-${c.codePointAt(0).toString(16)}-` : c);

const fileName = (word) => [...word].map(plain).join("") || "-";

const stretch = (family, start, missing) => read(`${family}/${encodeURIComponent(fileName(start))}.json`, missing);

/** The beginnings of the stretches in which words from `first` to `last` stand. */
function between(starts, first, last) {
  return starts.filter((start, i) => start <= last && (i + 1 === starts.length || starts[i + 1] > first));
}

/** The words of a family that are `text`, or with `prefix` begin with it, and their postings. */
async function lookUp(family, text, prefix, most = Infinity) {
  const starts = (await directory())[family];
  const places = between(starts, text, prefix ? `${text}\uffff` : text).slice(0, most);
  const found = await Promise.all(places.map((start) => stretch(family, start, {})));
  const words = [];
  for (const part of found) {
    if (!prefix) {
      if (Object.hasOwn(part, text)) words.push([text, part[text]]);
      continue;
    }
    for (const word of Object.keys(part)) if (word.startsWith(text)) words.push([word, part[word]]);
  }
  return words;
}

/** Calls `each(number, flag)` for every note of a posting. */
function decode(posting, each) {
  const comma = posting.indexOf(",");
  let at = comma + 1;
  let number = 0;
  for (let i = 0; i < comma; i += 1) {
    let step = 0;
    let shift = 0;
    let digit;
    do {
      digit = VALUE[posting[at]];
      at += 1;
      step += (digit & 31) << shift;
      shift += 5;
    } while (digit & 32);
    number += step;
    each(number, VALUE[posting[i]]);
  }
}

function worth(family, flag) {
  if (family === "words") return flag & TEXT ? 1 + 0.25 * (flag & 3) : flag & OUTPUT ? 0.8 : 0;
  const field = NAMES.find(([bit]) => flag & bit);
  return field[1] + (flag & 1 ? flag >> 4 : 0);
}

/** Scores of the notes that have a word: a map from their numbers. `share` says how well the word fits. */
async function scores(text, prefix, share) {
  const deep = prefix && text.length >= SHORT;
  const [names, words] = await Promise.all([
    lookUp("names", text, prefix),
    lookUp("words", text, deep, STRETCHES),
  ]);
  const found = new Map();
  for (const [family, some] of [["names", names], ["words", words]]) {
    for (const [word, posting] of some) {
      const fit = share * (word === text ? 1 : 0.6 + (0.3 * text.length) / word.length);
      decode(posting, (number, flag) => {
        const score = worth(family, flag) * fit;
        if (score > (found.get(number) ?? 0)) found.set(number, score);
      });
    }
  }
  return found;
}

/** The notes that have what `part` asks for, or else what it may have been meant to be. */
async function matches(part, prefix, one) {
  const exact = await scores(part, prefix, 1);
  if (exact.size || one.inside || !slips(part.length)) return exact;
  const guesses = await guess(part, prefix);
  one.guesses = guesses;
  const found = new Map();
  for (const some of await Promise.all(guesses.map((word) => scores(word, false, 0.5)))) {
    for (const [number, score] of some) found.set(number, Math.max(score, found.get(number) ?? 0));
  }
  return found;
}

/** Known words near to `word`: first among those with its first letter, which few get wrong. */
async function guess(word, prefix) {
  const starts = (await directory()).vocabulary;
  for (const places of [between(starts, word[0], `${word[0]}\uffff`), starts]) {
    const lists = await Promise.all(places.map((start) => stretch("vocabulary", start, [])));
    const found = nearest(word, lists.flat(), prefix, GUESSES);
    if (found.length) return found.map((near) => near.word);
  }
  return [];
}

/**
 * The numbers of the notes that fit `query` best, the best first, and what to mark in them: notes that have every
 * word, or where none has, those that have the most.
 */
export async function search(query) {
  const units = wanted(query);
  const { notes } = await directory();
  const asked = units.flatMap((one) => one.parts.map((part) => ({ part, one })));
  const found = await Promise.all(asked.map(({ part, one }) => matches(part, one.prefix, one)));
  const totals = new Map();
  for (const some of found) {
    const rare = 1 + Math.log((1 + notes) / (1 + some.size)) / Math.log(2 + notes);
    for (const [number, score] of some) {
      const total = totals.get(number) ?? { count: 0, score: 0 };
      total.count += 1;
      total.score += score * rare;
      totals.set(number, total);
    }
  }
  const most = Math.max(0, ...[...totals.values()].map(({ count }) => count));
  const best = [...totals].filter(([, { count }]) => count === most);
  best.sort(([a, one], [b, other]) => other.score - one.score || a - b);
  return { numbers: best.map(([number]) => number), marks: units.flatMap(marksOf) };
}

function marksOf({ text, prefix, inside, guesses }) {
  if (guesses) return guesses.map((word) => ({ text: word, prefix: false, inside: false }));
  return [{ text, prefix, inside: Boolean(inside) }];
}

/** What to show of a note: address, title, grade, aliases, tags, headings and summary; null where it is gone. */
export async function row(number) {
  const rows = await read(`notes/${number >> (await directory()).rows}.json`, {});
  if (!Object.hasOwn(rows, number)) return null;
  const [href, title, grade, aliases, tags, headings, summary] = rows[number];
  return { href, title, grade, aliases, tags, headings, summary };
}
