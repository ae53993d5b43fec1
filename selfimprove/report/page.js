// Search in the flips. The page is whole without it: the field appears only where this runs.
(() => {
  const field = document.getElementById("needle");
  if (!field) return;
  const told = document.getElementById("found");
  const flips = [...document.querySelectorAll(".flip")].map((node) => [node, node.textContent.toLowerCase()]);
  const rounds = [...document.querySelectorAll("#flips details")].map((node) => [node, node.open]);
  field.closest(".search").hidden = false;
  const search = () => {
    const needles = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const [node, text] of flips) {
      const hit = needles.every((needle) => text.includes(needle));
      node.hidden = !hit;
      found += hit;
    }
    for (const [node, open] of rounds) node.open = needles.length ? !!node.querySelector(".flip:not([hidden])") : open;
    told.textContent = needles.length ? `${found} of ${flips.length} shown flips hold all these words.` : "";
  };
  let waiting = 0;
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, 120);
  });
})();
