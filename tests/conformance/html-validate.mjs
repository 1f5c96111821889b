// The rules of html-validate that are about conformance and accessibility. Each rule that is switched off, or asked
// for less than it asks by itself, has its reason.
export default {
  root: true,
  extends: [
    "html-validate:recommended",
    "html-validate:standard",
    "html-validate:a11y",
    "html-validate:document",
  ],
  rules: {
    // HTML lets an id hold anything but white space. Ours begin with a caret where they name a block, which a link
    // in a note writes as `#^name`, and with a digit where a heading does.
    "valid-id": ["error", { relaxed: true }],
    // Integrity guards against other hosts. All that a page loads comes from its own, and its policy allows no other;
    // the page for what is not there, which is shown at any address, has the whole address of its own host.
    "require-sri": "off",
    // The first heading of a preview is what the note has there, and how a note's headings follow each other is its
    // author's. axe-core and the Nu checker look at the pages of both gardens for this.
    "heading-level": "off",
    // The tables that programs print, such as pandas does, say no scope for their headings.
    "wcag/h63": "off",
    // A title is the note's and the garden's; how many letters a search engine shows is not for HTML to say.
    "long-title": "off",
    // Taste: HTML allows both spellings.
    "doctype-style": "off",
  },
};
