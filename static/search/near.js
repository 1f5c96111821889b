// Words that a misspelt one may have been meant to be.

/** How many slips are forgiven in a word of this length. */
export const slips = (length) => (length >= 8 ? 2 : length >= 4 ? 1 : 0);

/**
 * Insertions, deletions, replacements and exchanges of neighbours that lead from `a` to `b`, or with `prefix` to
 * some beginning of `b`; `most + 1` where there are more than `most`.
 */
export function distance(a, b, most, prefix) {
  if (a.length - b.length > most || (!prefix && b.length - a.length > most)) return most + 1;
  const width = Math.min(b.length, a.length + most);
  let before = [];
  let above = Array.from({ length: width + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= width; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      row[j] = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + same);
      const exchanged = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (exchanged) row[j] = Math.min(row[j], before[j - 2] + 1);
    }
    if (Math.min(...row) > most) return most + 1;
    before = above;
    above = row;
  }
  return Math.min(prefix ? Math.min(...above) : above[b.length] ?? most + 1, most + 1);
}

/** The words of `vocabulary` nearest to `word`, at most `count`. */
export function nearest(word, vocabulary, prefix, count) {
  const most = slips(word.length);
  const found = [];
  for (const other of vocabulary) {
    const far = distance(word, other, most, prefix);
    if (far <= most) found.push({ word: other, far, longer: Math.abs(other.length - word.length) });
  }
  found.sort((a, b) => a.far - b.far || a.longer - b.longer || (a.word < b.word ? -1 : 1));
  return found.filter(({ far }) => far === found[0].far).slice(0, count);
}
