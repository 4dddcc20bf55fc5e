// Menus are <details>: they open without script. This closes them on Esc or an outside click.
const openMenus = () => document.querySelectorAll("details.mo-menu[open]");

document.addEventListener("click", (event) => {
  openMenus().forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
});

document.addEventListener("keydown", (event) => {
  if (event.isComposing) return; // Chinese input in progress
  if (event.key === "Escape") {
    openMenus().forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); });
  }
});

// On a narrow screen the current tab may lie outside the strip: bring it into view.
document.querySelectorAll(".mo-tabs > [aria-current]").forEach((tab) => {
  tab.parentElement.scrollLeft = tab.offsetLeft - tab.parentElement.offsetLeft - 40;
});
