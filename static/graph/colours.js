// What colours say, and which they are. Every colour is one of the theme's own, so it follows light and dark.
const TAG_INKS = ["--code-name", "--callout-amber", "--callout-violet", "--callout-green", "--code-keyword", "--code-builtin", "--callout-red", "--code-number"];
const OTHER = "color-mix(in oklab, var(--ink-faint) 70%, var(--paper))";

const VERIFIED = [
  { label: "verified", ink: "var(--good)", grades: ["checked", "stable", "matches"] },
  { label: "ran or recorded", ink: "var(--callout-blue)", grades: ["ran", "recorded"] },
  { label: "stale", ink: "var(--warn)", grades: ["stale"] },
  { label: "failed", ink: "var(--bad)", grades: ["failed"] },
  { label: "not run", ink: "var(--ink-soft)", grades: ["not-run"], hollow: true },
  { label: "no cells", ink: OTHER, grades: [""] },
];

const AGES = [
  { label: "latest month", days: 31, share: 100 },
  { label: "latest quarter", days: 92, share: 72 },
  { label: "latest year", days: 366, share: 48 },
  { label: "older", days: Infinity, share: 26 },
];

/**
 * Classes of notes by what `by` names ("tag", "grade" or "age"): `kinds` are `{label, ink, hollow?}`, and
 * `of[i]` is the kind of note `i`. `all` is the whole garden, so that a part of it has the same colours.
 */
export function classes(by, part, all) {
  const made = { tag: byTag, grade: byGrade, age: byAge }[by](part, all);
  made.counts = made.kinds.map(() => 0);
  for (const kind of made.of) made.counts[kind]++;
  return made;
}

/** The part of a tag that says the most: what stands before its first slash. */
const above = (tag) => tag.split("/")[0];

function byTag(part, all) {
  const counts = new Map();
  for (const tags of all.tags) for (const tag of new Set(tags.map(above))) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const names = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, TAG_INKS.length).map(([name]) => name);
  const kinds = [...names.map((name, i) => ({ label: `#${name}`, ink: `var(${TAG_INKS[i]})`, tag: name })), { label: "other", ink: OTHER }];
  // The rarest of a note's tags tells it from the others best.
  const of = part.tags.map((tags) => {
    const found = tags.map((tag) => names.indexOf(above(tag))).filter((i) => i >= 0);
    return found.length ? Math.max(...found) : names.length;
  });
  return { kinds, of };
}

function byGrade(part) {
  return { kinds: VERIFIED, of: part.grades.map((grade) => VERIFIED.findIndex((kind) => kind.grades.includes(grade))) };
}

/** Counted back from the latest change in the garden, not from today: a garden at rest keeps its colours. */
function byAge(part, all) {
  const latest = Date.parse(all.dates.reduce((a, b) => (a > b ? a : b), ""));
  const kinds = [
    ...AGES.map(({ label, share }) => ({ label, ink: `color-mix(in oklab, var(--link) ${share}%, var(--paper))` })),
    { label: "undated", ink: OTHER, hollow: true },
  ];
  const of = part.dates.map((date) => {
    const days = (latest - Date.parse(date)) / 864e5;
    return Number.isNaN(days) ? AGES.length : AGES.findIndex((age) => days <= age.days);
  });
  return { kinds, of };
}

/** What CSS colours are where `element` stands, as a canvas understands them. */
export function resolve(element, inks) {
  const probe = document.createElement("span");
  element.append(probe);
  const found = inks.map((ink) => {
    probe.style.color = ink;
    return getComputedStyle(probe).color;
  });
  probe.remove();
  return found;
}
