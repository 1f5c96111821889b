// How long ago a cell last really ran. The page itself says only when: it must not change with the clock.
import { onNotes } from "./notes.js";

const UNITS = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];

/** The age of a moment in words, as the page's language has them. */
function age(moment) {
  const seconds = (Date.now() - moment) / 1000;
  const [unit, length] = UNITS.find(([, length]) => seconds >= length) ?? ["second", 1];
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });
  return words.format(-Math.max(0, Math.floor(seconds / length)), unit);
}

onNotes((root) => {
  for (const time of root.querySelectorAll("time[data-age]:not([data-aged])")) {
    const moment = Date.parse(time.dateTime);
    if (Number.isNaN(moment)) continue;
    time.dataset.aged = "";
    const words = Object.assign(document.createElement("span"), { className: "age", textContent: age(moment) });
    time.after(" ", words);
  }
});
