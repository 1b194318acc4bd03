// Airflow's own light/dark switch wins over the system's: the page lies in a frame of the same origin.
(() => {
  const root = document.documentElement;
  const host = (() => {
    try { return window.parent === window ? null : window.parent.document.documentElement; } catch { return null; }
  })();
  if (!host) return;
  const follow = () => {
    const words = `${host.className} ${host.dataset.theme ?? ""} ${host.style.colorScheme}`;
    if (/\bdark\b/.test(words)) root.dataset.theme = "dark";
    else if (/\blight\b/.test(words)) root.dataset.theme = "light";
    else delete root.dataset.theme;
  };
  follow();
  new MutationObserver(() => { follow(); window.dispatchEvent(new Event("themechange")); })
    .observe(host, { attributes: true, attributeFilter: ["class", "data-theme", "style"] });
})();
