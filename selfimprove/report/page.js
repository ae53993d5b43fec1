// Filters and search over the flips, and keys to go through them. The page is whole without it: the fields appear only
// where this runs.
(() => {
  const field = document.getElementById("needle");
  if (!field) return;
  const filters = [...document.querySelectorAll(".filters select")];
  const kinds = [...document.querySelectorAll(".kinds input")];
  const told = document.getElementById("found");
  const flips = [...document.querySelectorAll(".flip")].map((node) => ({
    node,
    is: node.dataset.is.split(" "),
    text: node.textContent.toLowerCase(),
  }));
  const rounds = [...document.querySelectorAll(".round")].map((node) => [node, node.open]);
  document.querySelector(".filters").hidden = false;

  const visible = ({ node }) =>
    !node.hidden && !(document.getElementById(node.matches(".won") ? "only-lost" : "only-won").checked);
  const show = () => {
    const wanted = filters.map((select) => select.value).filter(Boolean);
    const needles = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { node, is, text } of flips)
      node.hidden = !(wanted.every((one) => is.includes(one)) && needles.every((needle) => text.includes(needle)));
    const chosen = wanted.length || needles.length;
    for (const [node, open] of rounds) node.open = chosen ? !!node.querySelector(".flip:not([hidden])") : open;
    const count = flips.filter(visible).length;
    told.textContent = chosen || count < flips.length ? `${count} of ${flips.length} flips on this page are shown.` : "";
  };
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 120);
  });
  for (const control of [...filters, ...kinds]) control.addEventListener("change", show);

  const open = (node) => {
    for (let inner = node; inner; inner = inner.parentElement.closest("details")) inner.open = true;
    node.querySelector("summary").focus();
    node.scrollIntoView({ block: "start" });
  };
  const linked = () => {
    const found = flips.find(({ node }) => `#${node.id}` === location.hash);
    if (found) open(found.node);
  };
  addEventListener("hashchange", linked);
  linked();
  addEventListener("keydown", (event) => {
    const step = { j: 1, k: -1 }[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
    const shown = flips.filter(visible).map(({ node }) => node);
    const here = shown.indexOf(document.activeElement.closest(".flip"));
    const next = shown[here < 0 ? (step > 0 ? 0 : shown.length - 1) : here + step];
    if (!next) return;
    if (here >= 0) shown[here].open = false;
    open(next);
  });
})();
