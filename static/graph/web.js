// Ten thousand links as one picture. A canvas takes seconds for their strokes; counting how many of them lie on each
// pixel, and looking up what so many make together, takes a tenth of one.

const LEVELS = 16; // steps of the table to one line
const MOST = 256; // so many lines on a pixel are as good as more
const STEPS = 60_000; // pixels between two looks at the clock
const ROWS = 40; // and rows of the finished picture

/** A generator of pictures, each of which is drawn in small steps: `web(pen, graph, camera, ink)`; see `links`. */
export function weaver() {
  let counts = new Float32Array(0);
  let strip = null;

  /**
   * Draws all links of `graph` on the whole canvas of `pen`, as `camera` sees them. `ink` is `{dense, colour, alpha,
   * thick}`: pixels of the canvas to one of the page, a CSS colour, how much of it one line has, how thick that is.
   */
  return function* links(pen, graph, camera, { dense, colour, alpha, thick }) {
    const { width, height } = pen.canvas;
    if (counts.length === width * height) counts.fill(0);
    else counts = new Float32Array(width * height);
    yield* count(graph, { k: camera.k * dense, x: camera.x * dense, y: camera.y * dense }, width, height);
    const table = shades(colour, alpha * Math.min(1, thick * dense));
    if (strip?.width !== width) strip = new ImageData(width, ROWS);
    const pixels = new Uint32Array(strip.data.buffer);
    for (let top = 0; top < height; top += ROWS) {
      const from = top * width;
      const until = Math.min(counts.length, from + pixels.length) - from;
      for (let i = 0; i < until; i++) {
        const lines = counts[from + i];
        pixels[i] = lines && table[Math.min(table.length - 1, (lines * LEVELS) | 0)];
      }
      pen.putImageData(strip, 0, top, 0, 0, width, Math.min(ROWS, height - top));
      yield;
    }
  };

  function* count({ x, y, from, to }, { k, x: dx, y: dy }, width, height) {
    let waiting = 0;
    for (let e = 0; e < from.length; e++) {
      const ax = x[from[e]] * k + dx;
      const ay = y[from[e]] * k + dy;
      const bx = x[to[e]] * k + dx;
      const by = y[to[e]] * k + dy;
      waiting += 1 + line(ax, ay, bx - ax, by - ay, width, height);
      if (waiting < STEPS) continue;
      waiting = 0;
      yield;
    }
  }

  /** Counts a line, shared by the two pixels it passes between at each step; returns how many steps it took. */
  function line(x, y, wide, high, width, height) {
    // The part of it on the canvas, less a margin for the second pixel (Liang and Barsky's way).
    let begin = 0;
    let end = 1;
    for (const [step, room] of [[-wide, x], [wide, width - 1.01 - x], [-high, y], [high, height - 1.01 - y]]) {
      if (step === 0 && room < 0) return 0;
      if (step < 0) begin = Math.max(begin, room / step);
      else if (step > 0) end = Math.min(end, room / step);
    }
    if (begin >= end) return 0;
    const flat = Math.abs(wide) > Math.abs(high);
    const long = Math.max(Math.abs(wide), Math.abs(high));
    const steps = Math.floor(long * (end - begin));
    const share = Math.hypot(wide, high) / long; // a slanting line has as much ink for its length as a level one
    // Along it goes by whole pixels, across it by parts of one.
    const [along, across] = flat ? [1, width] : [width, 1];
    const forward = (flat ? wide : high) < 0 ? -along : along;
    const slope = (flat ? high : wide) / long;
    let at = Math.floor(flat ? x + wide * begin : y + high * begin) * along;
    let off = flat ? y + high * begin : x + wide * begin;
    for (let i = 0; i < steps; i++) {
      const whole = off | 0;
      const part = (off - whole) * share;
      const place = at + whole * across;
      counts[place] += share - part;
      counts[place + across] += part;
      at += forward;
      off += slope;
    }
    return steps;
  }
}

/** What so and so many lines over each other make, as pixels: each covers `alpha` of what is left. */
function shades(colour, alpha) {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
  return Uint32Array.from({ length: LEVELS * MOST }, (_, i) => {
    const covered = Math.round(255 * (1 - (1 - alpha) ** (i / LEVELS)));
    return ((covered << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
}
