// What the preview adds to a page: it is loaded again when the site has changed. Published sites have none of this.
let shown = null;

new EventSource("/_garden/events").addEventListener("message", ({ data }) => {
  const { session, build } = JSON.parse(data);
  const told = `${session} ${build}`;
  if (shown !== null && told !== shown) location.reload();
  shown = told;
});
