// Shows diagrams in place of their sources. Each is drawn by a frame (frame.js) when it comes near the window.
const FRAME = new URL("frame.html", import.meta.url).href;
const FACE = new URL("../../fonts/garden-text-regular.woff2", import.meta.url).href;
const NEAR = "800px 0px";
const HIGHEST = 20_000; // pixels; a frame may ask for no more

const figures = new Map(); // the frame of each figure that has one
let count = 0;
let face = null; // a frame without an origin may not load the text face itself

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
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = `Diagram ${++count}`;
  frame.addEventListener("load", () => send(figure, frame)); // and again if its pane is moved
  frame.src = FRAME;
  figures.set(figure, frame);
  figure.append(frame);
}

async function send(figure, frame) {
  face ??= fetch(FACE).then((answer) => (answer.ok ? answer.arrayBuffer() : null)).catch(() => null);
  const source = figure.querySelector("code").textContent;
  const message = { source, name: frame.title, ...look(figure), face: await face };
  frame.contentWindow?.postMessage(message, "*"); // its origin is opaque, so it cannot be named
}

// ---------------------------------------------------------------- what comes back

addEventListener("message", (event) => {
  for (const [figure, frame] of figures) {
    if (event.source !== null && event.source === frame.contentWindow) return answered(figure, frame, event.data);
  }
});

function answered(figure, frame, { height, title, error }) {
  if (typeof error === "string") return fail(figure, frame, error);
  if (!(height > 0)) return;
  if (typeof title === "string" && title) frame.title = title;
  frame.style.height = `${Math.min(Math.ceil(height), HIGHEST)}px`;
  figure.dataset.drawn = "";
}

function fail(figure, frame, error) {
  figures.delete(figure);
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
  for (const [figure, frame] of figures) {
    if (figure.isConnected) send(figure, frame);
    else figures.delete(figure); // its pane was closed
  }
}

system.addEventListener("change", again);
new MutationObserver(again).observe(document.documentElement, { attributeFilter: ["data-theme"] });
