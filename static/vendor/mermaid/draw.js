// Shows diagrams in place of their sources, each when it comes near the window: one hidden frame draws them all
// (engine.js), and a frame in each figure shows its drawing (frame.js). The page only carries messages.
const at = (name) => new URL(name, import.meta.url).href;
const NEAR = "800px 0px";
const HIGHEST = 20_000; // pixels; a frame may ask for no more

const shown = new Map(); // figure → { frame, id }: its frame, and which answer of the engine it waits for
let engine = null;
let face = null; // a frame without an origin may not load the text face itself
let diagrams = 0;
let questions = 0;

const observer = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    observer.unobserve(target);
    begin(target);
  }
}, { rootMargin: NEAR, scrollMargin: NEAR });

/** Has a figure drawn as soon as it is nearly seen. */
export function draw(figure) {
  observer.observe(figure);
}

function begin(figure) {
  const frame = framed("frame.html", `Diagram ${++diagrams}`);
  shown.set(figure, { frame, id: 0 });
  frame.addEventListener("load", () => ask(figure)); // and again if its pane is moved
  figure.append(frame);
}

function framed(name, title) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = title;
  frame.src = at(name);
  return frame;
}

async function ask(figure) {
  engine ??= started();
  face ??= fetch(at("../../fonts/garden-text-regular.woff2")).then((it) => (it.ok ? it.arrayBuffer() : null)).catch(() => null);
  const id = ++questions;
  shown.get(figure).id = id;
  const source = figure.querySelector("code").textContent;
  tell(await engine, { id, source, ...look(figure), face: await face });
}

function started() {
  const frame = framed("engine.html", "Where diagrams are drawn");
  frame.className = "mermaid-engine";
  frame.tabIndex = -1;
  const ready = new Promise((resolve) => { frame.addEventListener("load", () => resolve(frame), { once: true }); });
  document.body.append(frame);
  return ready;
}

// The origin of a sandboxed frame is opaque, so it cannot be named.
function tell(frame, message) {
  frame.contentWindow?.postMessage(message, "*");
}

// ---------------------------------------------------------------- what comes back

addEventListener("message", async ({ source, data }) => {
  if (source === null || typeof data !== "object" || data === null) return;
  const drawing = source === (await engine)?.contentWindow;
  for (const [figure, { frame, id }] of shown) {
    if (drawing && data.id === id) await drawn(figure, frame, data);
    else if (source === frame.contentWindow) fit(figure, frame, data);
  }
});

async function drawn(figure, frame, { svg, error }) {
  if (typeof svg === "string") tell(frame, { svg, name: frame.title, dark: isDark(), face: await face });
  else fail(figure, frame, String(error));
}

function fit(figure, frame, { height, title }) {
  if (!(height > 0)) return;
  if (typeof title === "string" && title) frame.title = title;
  frame.style.height = `${Math.min(Math.ceil(height), HIGHEST)}px`;
  figure.dataset.drawn = "";
}

function fail(figure, frame, error) {
  shown.delete(figure);
  frame.remove();
  delete figure.dataset.drawn;
  const sentence = document.createElement("figcaption");
  sentence.textContent = `This is no diagram that can be drawn, so its source is shown. ${error}`;
  figure.append(sentence);
}

// ---------------------------------------------------------------- light and dark

const ACCENTS = ["blue", "green", "amber", "violet", "red", "grey"].map((name) => `--callout-${name}`);

/** The garden's colours as Mermaid names them. */
function look(figure) {
  const probe = document.createElement("span");
  figure.append(probe);
  const colour = (token) => {
    probe.style.color = `var(${token})`;
    return getComputedStyle(probe).color;
  };
  const dark = isDark();
  const [ink, soft, paper, sunk, raised, line, tint, mark, markInk] = [
    "--ink", "--ink-soft", "--paper", "--paper-sunk", "--paper-raised", "--rule-strong", "--link-hover", "--mark", "--mark-ink",
  ].map(colour);
  const accents = ACCENTS.map(colour);
  probe.remove();
  const colours = {
    background: paper, textColor: ink, titleColor: ink, lineColor: soft, edgeLabelBackground: paper,
    primaryColor: sunk, primaryTextColor: ink, primaryBorderColor: soft,
    secondaryColor: tint, secondaryTextColor: ink, secondaryBorderColor: soft,
    tertiaryColor: raised, tertiaryTextColor: ink, tertiaryBorderColor: line,
    clusterBkg: raised, clusterBorder: line, noteBkgColor: mark, noteTextColor: markInk, noteBorderColor: line,
    pieSectionTextColor: paper, pieStrokeColor: paper, pieOuterStrokeColor: line, pieOpacity: "1",
  };
  for (let i = 0; i < 12; i++) {
    const accent = accents[i % accents.length];
    Object.assign(colours, { [`pie${i + 1}`]: accent, [`cScale${i}`]: accent, [`cScaleLabel${i}`]: paper });
    if (i < 8) Object.assign(colours, { [`git${i}`]: accent, [`gitBranchLabel${i}`]: paper });
  }
  return { dark, colours };
}

const system = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (system.matches ? "dark" : "light")) === "dark";

function again() {
  for (const figure of shown.keys()) {
    if (figure.isConnected) ask(figure);
    else shown.delete(figure); // its pane was closed
  }
}

system.addEventListener("change", again);
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
