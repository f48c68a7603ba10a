// Light, dark, or as the system has it. Loaded before the page is painted, so that it does not flash.
{
  const root = document.documentElement;
  const KEY = "faces-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try { return localStorage.getItem(KEY); } catch { return null; }
  };
  const current = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const remember = (theme) => {
    try { localStorage.setItem(KEY, theme); } catch { /* for this page only, then */ }
  };

  if (["light", "dark"].includes(chosen())) root.dataset.theme = chosen();

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-theme-toggle]");
    if (!button) return;
    const tell = () => button.setAttribute("aria-pressed", String(current() === "dark"));
    button.addEventListener("click", () => {
      root.dataset.theme = current() === "dark" ? "light" : "dark";
      remember(root.dataset.theme);
      tell();
    });
    system.addEventListener("change", tell);
    button.hidden = false;
    tell();
  });
}
