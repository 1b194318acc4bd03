// Draws every figure of the page in the colours of its theme; a click on a point follows its `customdata`.
(() => {
  const base = document.body.dataset.base;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const themed = (value) => {
    if (typeof value === "string") return value.startsWith("var:") ? colour(value.slice(4)) : value;
    if (Array.isArray(value)) return value.map(themed);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner)]));
    }
    return value;
  };
  const axis = (own = {}) => ({
    gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line"), automargin: true,
    fixedrange: true, ...own,
  });
  const layoutOf = (layout) => {
    const own = themed(layout);
    for (const name of ["xaxis", "yaxis", "yaxis2"]) if (own[name] || name !== "yaxis2") own[name] = axis(own[name]);
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("soft"), size: 12 },
      margin: { l: 48, r: 16, t: 26, b: 36 }, hoverlabel: { bgcolor: colour("card"), font: { color: colour("text") } },
      legend: { traceorder: "normal", orientation: "h", y: 1.02, yanchor: "bottom", x: 0 }, bargap: 0.25, ...own,
    };
  };
  const follow = (event) => {
    const path = event.points[0]?.customdata;
    if (typeof path === "string" && path.startsWith("/")) window.location.assign(base + path);
  };
  const draw = (element) => {
    const figure = JSON.parse(element.querySelector("script").textContent);
    const canvas = element.querySelector(".canvas") ?? element.appendChild(document.createElement("div"));
    canvas.className = "canvas";
    canvas.style.height = "100%";
    const ready = Plotly.react(canvas, themed(figure.data), layoutOf(figure.layout), { displayModeBar: false, responsive: true });
    ready.then(() => {
      element.querySelector(".loading")?.remove();
      if (!element.dataset.drawn) canvas.on("plotly_click", follow);
      element.dataset.drawn = "1";
    });
  };
  const all = () => document.querySelectorAll("[data-figure]").forEach(draw);
  if (typeof Plotly === "undefined") {
    document.querySelectorAll("[data-figure] .loading").forEach((one) => { one.textContent = "the chart library could not be loaded"; });
    return;
  }
  all();
  window.addEventListener("themechange", all);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
})();
