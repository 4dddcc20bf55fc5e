// <x-palette><form>…<input role="combobox"><div id="mo-found" role="listbox">…</div></form></x-palette>
// What the server finds while one types (htmx fills the list) is chosen with the arrow keys.
// Ctrl or Cmd with K comes here from anywhere. Without script the form opens the search page.
class XPalette extends HTMLElement {
  connectedCallback() {
    this.field = this.querySelector("input");
    this.addEventListener("keydown", this);
    this.addEventListener("focusout", this);
    this.addEventListener("htmx:afterSettle", () => this.show(this.field.value.trim() !== ""));
    this.onKey = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        this.field.focus();
        this.field.select();
      }
    };
    document.addEventListener("keydown", this.onKey);
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.onKey);
  }

  get options() {
    return [...this.querySelectorAll("[role=option]")];
  }

  show(isOpen) {
    this.classList.toggle("is-open", isOpen);
    this.field.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) this.choose(null);
  }

  choose(option) {
    this.options.forEach((one) => one.setAttribute("aria-selected", String(one === option)));
    if (option) {
      this.field.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    } else {
      this.field.removeAttribute("aria-activedescendant");
    }
  }

  handleEvent(event) {
    if (event.type === "focusout") {
      if (!this.contains(event.relatedTarget)) this.show(false);
      return;
    }
    if (event.isComposing || event.target !== this.field) return; // Chinese input in progress
    const { options } = this;
    const at = options.findIndex((one) => one.getAttribute("aria-selected") === "true");
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!options.length) return;
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.choose(options[(Math.max(at, step < 0 ? 0 : -1) + step + options.length) % options.length]);
    } else if (event.key === "Enter" && at >= 0) {
      event.preventDefault();
      options[at].click();
    } else if (event.key === "Escape") {
      this.show(false);
    }
  }
}

customElements.define("x-palette", XPalette);
