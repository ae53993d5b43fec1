// A served page asks for the state of its run every two seconds, shows it, and says when there is more to read.
(() => {
  const strip = document.getElementById("live");
  const now = strip.querySelector("pre");
  const news = strip.querySelector("a");
  const ask = async () => {
    try {
      const state = await (await fetch(strip.dataset.state, { cache: "no-store" })).json();
      now.textContent = state.lines.join("\n");
      now.hidden = !state.lines.length;
      if (state.stamp !== strip.dataset.stamp && news.hidden) {
        if (strip.dataset.reload) location.reload();
        news.hidden = false;
      }
    } catch {
      now.textContent = "The server has stopped. Restart it with selfimprove report --serve.";
      now.hidden = false;
    }
  };
  setInterval(ask, 2000);
})();
