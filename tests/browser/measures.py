"""What the browser measures for a test: functions of a page, in its own language."""

from __future__ import annotations

# Contrast of every visible piece of text with what is behind it, after WCAG 2; the worst ones first.
CONTRAST = """() => {
  const context = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const paint = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const [r, g, b] = rgb.map((v) => linear(v / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility({ opacityProperty: true })) continue;
    const behind = [];
    for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
    const under = paint(behind), over = paint([...behind, getComputedStyle(element).color]);
    const [a, b] = [light(under), light(over)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    found.push([ratio, node.data.trim().slice(0, 40), element.className || element.tagName]);
  }
  return found.sort((x, y) => x[0] - y[0]);
}"""

LINE_LENGTHS = """() => [...document.querySelectorAll('.note-body > p')].flatMap((p) => {
  const range = document.createRange(), lines = new Map();
  const walker = document.createTreeWalker(p, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest('math')) continue;
    for (let i = 0; i < node.data.length; i++) {
      range.setStart(node, i); range.setEnd(node, i + 1);
      const y = Math.round(range.getBoundingClientRect().bottom / 12);
      lines.set(y, (lines.get(y) ?? 0) + 1);
    }
  }
  return [...lines.values()].slice(0, -1);
})"""
