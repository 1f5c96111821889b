// A graph on a canvas: panned, zoomed, dragged, hovered.
//
// What takes long to draw (ten thousand notes with their links) is drawn in slices into a canvas that is not seen, and
// while the reader moves, the latest finished picture moves with the pointer: every frame is cheap, and a
// sharp picture follows as soon as one is ready. On a dense screen all of this is done with a quarter of the pixels
// until the view has come to rest. A small graph is finished within its first slice, so it is always sharp.
// What lights up under the pointer lies on a canvas of its own above it: nothing else is drawn for it.

import { weaver } from "./web.js";

const SLICE = 8; // milliseconds of a frame that drawing may take
const SLIVER = 3; // and while the reader does something
const CHUNK = 60; // links in one stroke: long paths take more than their share
const DABS = 200; // notes between two looks at the clock
const REST = 120; // milliseconds after which nothing moves any more
const LIT = 400; // neighbours that light up; a hub has thousands
const LABELS = 70;
const HALO = 3; // pixels around a name
const AROUND = Array.from({ length: 8 }, (_, i) => [1.5 * Math.cos(i * Math.PI / 4), 1.5 * Math.sin(i * Math.PI / 4)]);
const TRIES = 700; // labels considered in a frame
const NEAR = 8; // pixels around a note that belong to it
const MOVED = 4; // pixels that make a drag of a click

/**
 * Shows `graph` on `canvas` and returns `{fit, zoom, paint, set, select, stop}`. `style()` gives
 * `{inks, of, hollow, ink, soft, paper, link, font, shown}` when asked (colours by kind, the kind of each note,
 * which notes the filters leave); `open(i, event)` is called for a click, `hover(i)` when the pointer is on
 * another note (-1: none). `wheel(event)` says whether the wheel zooms.
 */
export function view(canvas, graph, { style, open, hover, wheel, calm, centre = -1 }) {
  const ground = canvas.getContext("2d");
  const top = document.createElement("canvas");
  top.className = "graph-top";
  top.setAttribute("aria-hidden", "true");
  canvas.after(top);
  const front = top.getContext("2d");
  const byDegree = [...graph.near.keys()].sort((a, b) => graph.degree[b] - graph.degree[a] || a - b);
  if (centre >= 0) byDegree.sort((a, b) => (b === centre) - (a === centre));
  const large = graph.count + graph.from.length > 3000;
  const web = weaver();
  let width = 0;
  let height = 0;
  let dpr = 1; // pixels of the screen to one of the page
  let dense = 1; // and of the canvas, just now
  let above = 1; // and of the one above it
  let camera = { k: 1, x: 0, y: 0 }; // screen = world · k + (x, y)
  let fitted = 1; // the k at which everything is seen
  let styled = style();
  let picture = null; // the latest finished one: { canvas, camera, version }
  let overview = null; // the latest that shows everything
  let work = null; // the one that is being drawn
  let finished = 0; // how many have been drawn
  let drawn = ""; // what the canvas shows
  let written = ""; // and the one above it
  let version = 0;
  let over = -1;
  let asked = 0;
  let last = 0; // when the view moved
  let touched = 0; // when it, or what is lit, changed
  let stopped = false;

  // -------------------------------------------------------------- measures

  const grown = () => Math.min(2.4, Math.max(0.5, Math.sqrt(camera.k / fitted))) * crowding();
  /** Many notes in little room are small ones. */
  const crowding = () => Math.min(1, Math.sqrt((width * height) / (graph.count * 900)));
  const radius = (i) => Math.min(11, 2.6 + 0.95 * Math.sqrt(graph.degree[i])) * (i === centre ? 1.25 : 1);
  const size = (i) => radius(i) * grown();
  const sx = (i, at = camera) => graph.x[i] * at.k + at.x;
  const sy = (i, at = camera) => graph.y[i] * at.k + at.y;
  const shown = (i) => !styled.shown || styled.shown[i];

  function bounds() {
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (let i = 0; i < graph.count; i++) {
      left = Math.min(left, graph.x[i]);
      right = Math.max(right, graph.x[i]);
      top = Math.min(top, graph.y[i]);
      bottom = Math.max(bottom, graph.y[i]);
    }
    return { left, top, right, bottom };
  }

  function whole() {
    const { left, top, right, bottom } = bounds();
    const margin = Math.min(56, width / 9);
    const k = Math.min((width - 2 * margin) / Math.max(1e-6, right - left), (height - 1.4 * margin) / Math.max(1e-6, bottom - top));
    const kept = Number.isFinite(k) && k > 0 && graph.count > 1 ? Math.min(k, largest()) : 1;
    return { k: kept, x: width / 2 - ((left + right) / 2) * kept, y: height / 2 - ((top + bottom) / 2) * kept };
  }

  /** A map may be somewhat wider than it was drawn, to fill a wide canvas; where it lies stays the same. */
  function stretch() {
    const { left, top, right, bottom } = bounds();
    const factor = (canvas.clientWidth / Math.max(1, canvas.clientHeight)) * ((bottom - top) / Math.max(1e-6, right - left));
    if (!(factor > 1)) return;
    for (let i = 0; i < graph.count; i++) graph.x[i] *= Math.min(1.8, factor);
  }

  // Three notes need not fill a screen.
  function largest() {
    const { left, right, top, bottom } = bounds();
    return (190 * Math.sqrt(graph.count)) / Math.max(1e-6, right - left, bottom - top);
  }

  // -------------------------------------------------------------- drawing

  function* scene(pen, at, grains) {
    const faint = styled.shown ? 0.25 : 1;
    const many = graph.from.length;
    if (large) {
      const alpha = Math.max(0.05, Math.min(0.4, 22 / Math.sqrt(many)) * Math.min(1.6, at.k / fitted) ** 0.5) * faint;
      yield* web(pen, graph, at, { dense: grains, colour: styled.soft, alpha, thick: 0.6 });
    } else {
      pen.lineWidth = 0.9;
      pen.strokeStyle = styled.soft;
      pen.globalAlpha = 0.42 * faint;
      pen.beginPath();
      for (let e = 0; e < many; e++) line(pen, graph.from[e], graph.to[e], at);
      pen.stroke();
    }
    yield* dots(pen, at);
  }

  function line(pen, a, b, at) {
    const [ax, ay, bx, by] = [sx(a, at), sy(a, at), sx(b, at), sy(b, at)];
    if ((ax < 0 && bx < 0) || (ay < 0 && by < 0) || (ax > width && bx > width) || (ay > height && by > height)) return;
    pen.moveTo(ax, ay);
    pen.lineTo(bx, by);
  }

  function* dots(pen, at) {
    for (let pass = styled.shown ? 0 : 1; pass < 2; pass++) {
      pen.globalAlpha = pass ? 1 : 0.16;
      // The last kind is that of all others: the rest is drawn above it.
      for (let kind = styled.inks.length - 1; kind >= 0; kind--) {
        let waiting = 0;
        pen.beginPath();
        for (let i = 0; i < graph.count; i++) {
          if (styled.of[i] !== kind || shown(i) !== Boolean(pass)) continue;
          const [x, y, r] = [sx(i, at), sy(i, at), size(i)];
          if (x < -r || y < -r || x > width + r || y > height + r) continue;
          pen.moveTo(x + r, y);
          pen.arc(x, y, r, 0, 2 * Math.PI);
          if (++waiting < DABS) continue;
          dab(pen, kind);
          waiting = 0;
          pen.beginPath();
          yield;
        }
        dab(pen, kind);
      }
    }
  }

  function dab(pen, kind) {
    pen.fillStyle = styled.hollow[kind] ? styled.paper : styled.inks[kind];
    pen.fill();
    pen.lineWidth = styled.hollow[kind] ? 1.5 : 1;
    pen.strokeStyle = styled.hollow[kind] ? styled.inks[kind] : styled.paper;
    if (!large || styled.hollow[kind]) pen.stroke();
  }

  function sheet() {
    const made = document.createElement("canvas");
    made.width = canvas.width;
    made.height = canvas.height;
    const pen = made.getContext("2d", { willReadFrequently: large });
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    return { canvas: made, pen, dense, coarse: null };
  }

  /** Coarse while something moves, then fine. */
  function grain() {
    const coarse = Math.min(1, dpr);
    dense = moving() ? coarse : dpr;
    if (sized(canvas, dense)) drawn = "";
    above = busy() ? coarse : dpr;
    if (sized(top, above)) written = "";
  }

  /** Gives a canvas so many pixels to one of the page, which wipes it; true if it had others. */
  function sized(one, grains) {
    const [w, h] = [Math.round(width * grains), Math.round(height * grains)];
    if (one.width === w && one.height === h) return false;
    Object.assign(one, { width: w, height: h });
    return true;
  }

  const alike = (a, b) => a && a.version === version && a.camera.k === b.k && a.camera.x === b.x && a.camera.y === b.y;
  const same = (a, b) => alike(a, b) && a.dense >= dense;

  /** Draws on with the picture of the present view, for a slice; true if there is nothing left to draw. */
  function advance(from) {
    if (same(picture, camera)) return true;
    if (!work || work.version !== version || (!same(work, camera) && !moving())) {
      const made = work?.canvas.width === canvas.width && work.canvas.height === canvas.height ? clean(work) : sheet();
      work = { ...made, camera, version, steps: scene(made.pen, camera, made.dense) };
    }
    do {
      if (work.steps.next().done) {
        const spare = picture === overview ? null : picture;
        picture = work;
        finished += 1;
        work = spare && spare.canvas.width === canvas.width ? { ...spare, version: -1 } : null;
        if (picture.camera.k <= fitted * 1.001 && (!overview || overview.version !== version)) overview = picture;
        return same(picture, camera);
      }
      // A canvas puts drawing off until it is looked at; without a look the clock would tell nothing.
      if (large) work.pen.getImageData(0, 0, 1, 1);
    } while (performance.now() - from < (busy() ? SLIVER : SLICE));
    return false;
  }

  // While the view moves, a picture begun is finished: it will be off by a little, which moving hides.
  const moving = () => large && performance.now() - last < REST;
  const busy = () => large && performance.now() - touched < REST;

  function clean(old) {
    old.pen.clearRect(0, 0, width, height);
    old.coarse = null;
    return old;
  }

  function shrunk(from) {
    const made = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
    made.getContext("2d").drawImage(from, 0, 0, made.width, made.height);
    return made;
  }

  function put(from) {
    const scale = camera.k / from.camera.k;
    if (from.dense > dense) from.coarse ??= shrunk(from.canvas);
    ground.drawImage(from.dense > dense ? from.coarse : from.canvas, camera.x - from.camera.x * scale, camera.y - from.camera.y * scale, width * scale, height * scale);
  }

  function frame() {
    asked = 0;
    if (stopped || !width) return;
    grain();
    if (!advance(performance.now())) paint();
    // Where only the next picture is being drawn, there is nothing new to be seen.
    const seen = [camera.k, camera.x, camera.y, version].join();
    if (drawn !== (drawn = `${seen} ${finished}`)) backdrop();
    if (written !== (written = `${seen} ${over}`)) foreground();
  }

  function backdrop() {
    ground.setTransform(dense, 0, 0, dense, 0, 0);
    ground.clearRect(0, 0, width, height);
    // Beyond the edges of the latest picture the overview shows, blurred, rather than nothing.
    if (picture && overview && overview !== picture && !same(picture, camera) && overview.version === version) {
      const scale = camera.k / picture.camera.k;
      const [x, y] = [camera.x - picture.camera.x * scale, camera.y - picture.camera.y * scale];
      ground.save();
      ground.beginPath();
      ground.rect(0, 0, width, height);
      ground.rect(x, y, width * scale, height * scale);
      ground.clip("evenodd");
      put(overview);
      ground.restore();
    }
    if (picture) put(picture);
    if (centre >= 0) ring(ground, centre);
    labels(ground, byDegree);
  }

  function foreground() {
    top.hidden = over < 0;
    canvas.classList.toggle("dimmed", over >= 0);
    if (over < 0) return;
    front.setTransform(above, 0, 0, above, 0, 0);
    front.clearRect(0, 0, width, height);
    lit(over);
    labels(front, [over, ...neighbours(over)], true);
  }

  /** A note, its links and its neighbours, above the others. */
  function lit(i) {
    front.strokeStyle = styled.link;
    front.lineWidth = 1.1;
    front.globalAlpha = graph.degree[i] > 150 ? 0.35 : 0.75;
    const near = neighbours(i);
    for (let start = 0; start < near.length; start += CHUNK) {
      front.beginPath();
      for (const j of near.slice(start, start + CHUNK)) line(front, i, j, camera);
      front.stroke();
    }
    front.globalAlpha = 1;
    for (const j of [...near, i]) {
      const [x, y] = [sx(j), sy(j)];
      if (x < -20 || y < -20 || x > width + 20 || y > height + 20) continue;
      front.beginPath();
      front.arc(x, y, size(j) + (j === i ? 1 : 0), 0, 2 * Math.PI);
      dab(front, styled.of[j]);
    }
    ring(front, i);
  }

  let sorted = { of: -1, near: [] };
  function neighbours(i) {
    if (sorted.of !== i) sorted = { of: i, near: [...graph.near[i]].sort((a, b) => graph.degree[b] - graph.degree[a]).slice(0, LIT) };
    return sorted.near;
  }

  function ring(pen, i) {
    pen.strokeStyle = styled.link;
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.arc(sx(i), sy(i), size(i) + 3.5, 0, 2 * Math.PI);
    pen.stroke();
  }

  // -------------------------------------------------------------- labels

  /** Names in this order, each where no other is in its way; more of them the closer one looks. */
  function labels(pen, notes, all = false) {
    const taken = large ? [] : [...graph.near.keys()].map(spot);
    let placed = 0;
    let tried = 0;
    pen.textBaseline = "middle";
    const most = large ? Math.min(LABELS, 14 + 10 * (camera.k / fitted)) : LABELS;
    for (const i of notes) {
      if (placed >= most || tried > TRIES) break;
      if (!all && !shown(i)) continue;
      const [x, y] = [sx(i), sy(i)];
      if (x < 0 || y < 0 || x > width || y > height) continue;
      tried += 1;
      if (name(pen, i, x, y, taken, i === centre || (pen === front && i === over))) placed += 1;
    }
  }

  const spot = (i) => {
    const [x, y, r] = [sx(i), sy(i), size(i)];
    return Object.assign([x - r, y - r, x + r, y + r], { note: i });
  };

  /** A name, and a halo around it: itself in the colour of the paper, all around, since a stroke takes ten times as long. */
  function write(pen, title, left, middle, strong) {
    pen.fillStyle = styled.paper;
    for (const [x, y] of AROUND) pen.fillText(title, left + x, middle + y);
    pen.fillStyle = strong ? styled.strong : styled.ink;
    pen.fillText(title, left, middle);
  }

  const pictures = new Map(); // names that stay while the map moves are written once

  function pictured(title, font, w, px) {
    const known = `${dense} ${title} ${font}`;
    if (!pictures.has(known)) {
      if (pictures.size >= 4 * LABELS) pictures.clear();
      const made = document.createElement("canvas");
      made.width = Math.ceil((w + 2 * HALO) * dense);
      made.height = Math.ceil(2 * px * dense);
      const pen = made.getContext("2d");
      pen.setTransform(made.width / (w + 2 * HALO), 0, 0, made.height / (2 * px), 0, 0);
      pen.font = font;
      pen.textBaseline = "middle";
      write(pen, title, HALO, px, false);
      pictures.set(known, made);
    }
    return pictures.get(known);
  }

  const widths = new Map();

  function name(pen, i, x, y, taken, strong) {
    const title = graph.titles[i].length > 42 ? `${graph.titles[i].slice(0, 40).trimEnd()}…` : graph.titles[i];
    const px = strong ? 15 : Math.min(14, 11.5 + 0.16 * Math.sqrt(graph.degree[i]) * 2);
    const font = `${strong ? "italic " : ""}${px.toFixed(1)}px ${styled.font}`;
    const known = `${title} ${font}`;
    pen.font = font;
    if (!widths.has(known)) widths.set(known, pen.measureText(title).width);
    const w = widths.get(known);
    const gap = size(i) + 5;
    const places = [[x + gap, y], [x - gap - w, y], [x - w / 2, y + gap + px * 0.5], [x - w / 2, y - gap - px * 0.5]];
    for (const [left, middle] of places) {
      const box = [left - 3, middle - px * 0.6, left + w + 3, middle + px * 0.6];
      if (!strong && (box[0] < 2 || box[2] > width - 2 || box[1] < 2 || box[3] > height - 2)) continue;
      if (taken.some((other) => other.note !== i && box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) continue;
      taken.push(box);
      if (large) taken.push(spot(i));
      if (large && pen === ground) pen.drawImage(pictured(title, font, w, px), left - HALO, middle - px, w + 2 * HALO, 2 * px);
      else write(pen, title, left, middle, strong);
      return true;
    }
    return false;
  }

  // -------------------------------------------------------------- moving the view

  function paint() {
    if (!asked && !stopped) asked = requestAnimationFrame(frame);
  }

  function look(next) {
    const k = Math.min(Math.max(next.k, fitted * 0.5), fitted * (large ? 60 : 12));
    camera = { ...next, k };
    stir();
  }

  function stir() {
    last = performance.now();
    touch();
  }

  function touch() {
    touched = performance.now();
    paint();
    if (large) setTimeout(paint, REST + 20); // the last picture of a movement is drawn when it has ended
  }

  function about(x, y, factor) {
    const k = Math.min(Math.max(camera.k * factor, fitted * 0.5), fitted * (large ? 60 : 12));
    const scale = k / camera.k;
    look({ k, x: x - (x - camera.x) * scale, y: y - (y - camera.y) * scale });
  }

  let gliding = 0;
  function glide(to) {
    cancelAnimationFrame(gliding);
    if (calm()) return look(to);
    const start = { ...camera };
    const begun = performance.now();
    const step = (now) => {
      const t = Math.min(1, Math.max(0, (now - begun) / 260));
      const eased = 1 - (1 - t) ** 3;
      const k = start.k * (to.k / start.k) ** eased;
      const share = to.k === start.k ? eased : (k - start.k) / (to.k - start.k);
      look({ k, x: start.x + (to.x - start.x) * share, y: start.y + (to.y - start.y) * share });
      if (t < 1 && !stopped) gliding = requestAnimationFrame(step);
    };
    gliding = requestAnimationFrame(step);
  }

  function zoom(factor) {
    const k = Math.min(Math.max(camera.k * factor, fitted * 0.5), fitted * (large ? 60 : 12));
    const scale = k / camera.k;
    glide({ k, x: width / 2 - (width / 2 - camera.x) * scale, y: height / 2 - (height / 2 - camera.y) * scale });
  }

  function resize() {
    const box = canvas.getBoundingClientRect();
    if (!box.width || (box.width === width && box.height === height && devicePixelRatio === dpr)) return;
    const centred = width ? { x: (width / 2 - camera.x) / camera.k, y: (height / 2 - camera.y) / camera.k, zoom: camera.k / fitted } : null;
    [width, height, dpr] = [box.width, box.height, devicePixelRatio];
    grain();
    const all = whole();
    fitted = all.k;
    camera = all;
    if (centred && Math.abs(centred.zoom - 1) > 0.01) {
      const k = fitted * centred.zoom;
      camera = { k, x: width / 2 - centred.x * k, y: height / 2 - centred.y * k };
    }
    version += 1;
    picture = overview = work = null;
    if (asked) cancelAnimationFrame(asked);
    frame();
  }

  // -------------------------------------------------------------- pointers and keys

  const pointers = new Map();
  let drag = null; // { x, y, note, moved, camera, pinch }

  const whereOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  function hit({ x, y }, slack = NEAR) {
    let best = -1;
    let nearest = Infinity;
    for (let i = 0; i < graph.count; i++) {
      if (!shown(i)) continue;
      const away = Math.hypot(sx(i) - x, sy(i) - y) - size(i);
      if (away < nearest) [best, nearest] = [i, away];
    }
    return nearest <= slack ? best : -1;
  }

  function point(i) {
    if (i === over) return;
    over = i;
    canvas.classList.toggle("pointing", i >= 0);
    hover(i);
    touch();
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const place = whereOf(event);
    pointers.set(event.pointerId, place);
    canvas.setPointerCapture(event.pointerId);
    cancelAnimationFrame(gliding);
    if (pointers.size === 2) drag = { pinch: spread(), moved: true, note: -1 };
    else drag = { ...place, note: hit(place, event.pointerType === "touch" ? 16 : NEAR), moved: false };
  });

  const spread = () => {
    const [a, b] = [...pointers.values()];
    return { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, far: Math.hypot(a.x - b.x, a.y - b.y) || 1 };
  };

  canvas.addEventListener("pointermove", (event) => {
    const place = whereOf(event);
    if (!pointers.has(event.pointerId)) return event.pointerType === "touch" ? undefined : point(hit(place));
    const before = pointers.get(event.pointerId);
    pointers.set(event.pointerId, place);
    if (!drag) return undefined;
    if (drag.pinch) {
      const now = spread();
      about(now.x, now.y, now.far / drag.pinch.far);
      look({ ...camera, x: camera.x + now.x - drag.pinch.x, y: camera.y + now.y - drag.pinch.y });
      drag.pinch = now;
    } else if (drag.moved || Math.hypot(place.x - drag.x, place.y - drag.y) > MOVED) {
      drag.moved = true;
      if (drag.note >= 0) move(drag.note, place);
      else look({ ...camera, x: camera.x + place.x - before.x, y: camera.y + place.y - before.y });
    }
    return undefined;
  });

  function move(i, place) {
    graph.x[i] = (place.x - camera.x) / camera.k;
    graph.y[i] = (place.y - camera.y) / camera.k;
    point(i);
    written = ""; // its links follow at once; a large map is drawn anew when the note is let go
    if (!large) version += 1;
    paint();
  }

  function release(event) {
    if (!pointers.delete(event.pointerId) || !drag) return;
    const { note, moved } = drag;
    if (pointers.size) {
      drag = { ...[...pointers.values()][0], note: -1, moved: true };
      return;
    }
    drag = null;
    if (moved && note >= 0) {
      version += 1;
      paint();
    }
    if (!moved && event.type === "pointerup" && note >= 0) open(note, event);
  }
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => { if (!drag) point(-1); });

  canvas.addEventListener("wheel", (event) => {
    if (!wheel(event)) return;
    event.preventDefault();
    cancelAnimationFrame(gliding);
    const { x, y } = whereOf(event);
    const lines = event.deltaMode === 1 ? 16 : 1;
    about(x, y, Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0022)));
  }, { passive: false });

  const STEPS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) look({ ...camera, x: camera.x + step[0], y: camera.y + step[1] });
    else if (event.key === "+" || event.key === "=") zoom(1.4);
    else if (event.key === "-") zoom(1 / 1.4);
    else if (event.key === "0") glide(whole());
    else return;
    event.preventDefault();
    event.stopPropagation(); // arrows and letters mean other things outside the map
  });

  stretch();
  const sizes = new ResizeObserver(resize);
  sizes.observe(canvas);
  resize();

  return {
    fit: () => glide(whole()),
    zoom,
    paint,
    /** Colours, kinds or filters have changed. */
    restyle() {
      styled = style();
      pictures.clear();
      version += 1;
      paint();
    },
    /** Brings a note into the middle, lit. */
    select(i) {
      const k = Math.max(camera.k, fitted * (large ? 6 : 1.5));
      glide({ k, x: width / 2 - graph.x[i] * k, y: height / 2 - graph.y[i] * k });
      point(i);
    },
    placeOf: (i) => ({ x: sx(i), y: sy(i), size: size(i) }),
    stop() {
      stopped = true;
      sizes.disconnect();
      top.remove();
    },
  };
}
