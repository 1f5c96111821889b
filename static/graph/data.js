// The garden as its map file has it, unfolded into what drawing needs.
const FILE = new URL("../../graph/map.json", import.meta.url);
const ROOT = new URL("../../", import.meta.url);

let garden = null; // promise of the whole graph: fetched once a page

document.addEventListener("site-changed", () => { garden = null; });

/** The whole garden; rejects where it cannot be had. */
export function load() {
  garden ??= fetch(FILE).then(async (answer) => {
    if (!answer.ok) throw new Error(`no map: ${answer.status}`);
    return whole(await answer.json());
  });
  return garden;
}

export const hrefOf = (slug) => new URL(`${slug.split("/").map(encodeURIComponent).join("/")}.html`, ROOT).href;
export const previewOf = (slug) => new URL(`previews/${slug.split("/").map(encodeURIComponent).join("/")}.html`, ROOT).href;

function whole(file) {
  const from = [];
  const to = [];
  file.links.forEach((steps, here) => {
    let there = here;
    for (const step of steps) {
      there += step;
      from.push(here);
      to.push(there);
    }
  });
  return graph({
    slugs: file.slugs,
    titles: file.titles,
    dates: file.dates,
    grades: file.grade.map((i) => file.grades[i]),
    tags: file.tagged.map((of) => of.map((i) => file.tags[i])),
    x: Float32Array.from(file.x),
    y: Float32Array.from(file.y, (y) => -y),
  }, from, to);
}

/** A graph: the notes' own lists, the links as two parallel lists, and who is linked with whom. */
export function graph(notes, from, to) {
  const count = notes.slugs.length;
  const near = Array.from({ length: count }, () => []);
  from.forEach((a, i) => {
    near[a].push(to[i]);
    near[to[i]].push(a);
  });
  return { ...notes, count, from: Uint32Array.from(from), to: Uint32Array.from(to), near, degree: near.map((of) => of.length) };
}

/** What lies within `depth` links of the note `slug`: the nearest and most linked first, `most` at most. */
export function around(all, slug, depth, most) {
  const centre = all.slugs.indexOf(slug);
  if (centre < 0) return null;
  const distance = new Map([[centre, 0]]);
  let ring = [centre];
  for (let d = 1; d <= depth; d++) {
    const next = new Set(ring.flatMap((i) => all.near[i]).filter((i) => !distance.has(i)));
    ring = [...next].sort((a, b) => all.degree[b] - all.degree[a] || a - b);
    for (const i of ring) distance.set(i, d);
  }
  const kept = [...distance.keys()].slice(0, most);
  const number = new Map(kept.map((i, n) => [i, n]));
  const from = [];
  const to = [];
  for (const i of kept) {
    for (const j of all.near[i]) {
      if (j > i && number.has(j)) {
        from.push(number.get(i));
        to.push(number.get(j));
      }
    }
  }
  const pick = (list) => kept.map((i) => list[i]);
  const part = graph({
    slugs: pick(all.slugs), titles: pick(all.titles), dates: pick(all.dates), grades: pick(all.grades), tags: pick(all.tags),
    x: Float32Array.from(pick(all.x)), y: Float32Array.from(pick(all.y)),
  }, from, to);
  part.rings = kept.map((i) => distance.get(i));
  part.total = distance.size;
  part.all = kept;
  arrange(part);
  return part;
}

/**
 * Places a small graph around its first note. It starts from a fan in the direction where each note lies on
 * the map of the garden, so the two maps look alike, and ends after a fixed number of steps.
 */
function arrange(part) {
  const { x, y, count, from, to, rings } = part;
  const [cx, cy] = [x[0], y[0]];
  for (let i = 1; i < count; i++) {
    const far = Math.hypot(x[i] - cx, y[i] - cy) || 1;
    const turn = i * 0.02; // two notes in one place on the map must not stay there
    x[i] = ((x[i] - cx) / far + Math.sin(i) * turn * 0.1) * rings[i] * 2;
    y[i] = ((y[i] - cy) / far + Math.cos(i) * turn * 0.1) * rings[i] * 2;
  }
  x[0] = y[0] = 0;
  const fx = new Float32Array(count);
  const fy = new Float32Array(count);
  const steps = 220;
  for (let step = 0; step < steps; step++) {
    fx.fill(0);
    fy.fill(0);
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < i; j++) {
        const dx = x[i] - x[j];
        const dy = y[i] - y[j];
        const push = 1.6 / (dx * dx + dy * dy + 0.05);
        fx[i] += dx * push;
        fy[i] += dy * push;
        fx[j] -= dx * push;
        fy[j] -= dy * push;
      }
    }
    for (let e = 0; e < from.length; e++) {
      const a = from[e];
      const b = to[e];
      // A link from the middle pulls as in a star; links among the others only say who sits beside whom.
      const pull = a === 0 || b === 0 ? 0.35 : 0.9 / Math.sqrt(Math.max(1, Math.min(part.degree[a], part.degree[b])));
      const dx = (x[b] - x[a]) * pull;
      const dy = (y[b] - y[a]) * pull;
      fx[a] += dx;
      fy[a] += dy;
      fx[b] -= dx;
      fy[b] -= dy;
    }
    const most = 0.6 * (1 - step / steps) + 0.01;
    for (let i = 1; i < count; i++) {
      const gx = (fx[i] - 0.06 * x[i]) * 0.25;
      const gy = (fy[i] - 0.1 * y[i]) * 0.25; // the picture is wider than high
      const far = Math.hypot(gx, gy) || 1;
      const scale = Math.min(1, most / far);
      x[i] += gx * scale;
      y[i] += gy * scale;
    }
  }
}
