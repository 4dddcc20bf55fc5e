// Loaded in <head> without defer, so that a page never flashes. The server writes
// <html data-theme> from the cookie; this resolves "system", which CSS alone cannot.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = (theme) => {
    root.dataset.theme = theme;
    root.dataset.bsTheme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
  };
  apply(root.dataset.theme || "system");
  dark.addEventListener("change", () => apply(root.dataset.theme));
  // The switch is a form that works without script; with it, the page need not load again.
  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || button.name !== "theme") return;
    event.preventDefault();
    document.cookie = `theme=${button.value}; path=/; max-age=31536000; samesite=lax`;
    apply(button.value);
    document.querySelectorAll("button[name=theme]").forEach((other) => {
      if (other === button) other.setAttribute("aria-current", "true");
      else other.removeAttribute("aria-current");
    });
    button.closest("details")?.removeAttribute("open");
  });
})();
