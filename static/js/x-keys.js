// <x-keys><dialog>…<a data-go="h" href="…">…</dialog></x-keys>: the keyboard's shortcuts, and the
// dialog that lists them. It is only on pages of people who have not switched them off. Single
// keys do nothing where one types, nor while Chinese input is being composed.
const TYPING = "input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]";

class XKeys extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    document.addEventListener("keydown", this);
    document.addEventListener("click", this);
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this);
    document.removeEventListener("click", this);
  }

  handleEvent(event) {
    if (event.type === "click") {
      if (event.target.closest("[data-keys]")) {
        event.preventDefault();
        this.dialog.showModal();
      }
      return;
    }
    const isTyped = event.isComposing || event.ctrlKey || event.metaKey || event.altKey;
    if (isTyped || this.dialog.open || event.target.closest?.(TYPING)) return;
    const key = event.key.toLowerCase();
    if (this.press(key)) event.preventDefault();
    this.isGoing = key === "g" && !this.isGoing;
  }

  // Returns whether the key meant something.
  press(key) {
    if (this.isGoing) {
      const link = this.querySelector(`[data-go="${CSS.escape(key)}"]`);
      if (link) link.click();
      return Boolean(link);
    }
    if (key === "?") this.dialog.showModal();
    else if (key === "/") return this.focusOn(document.querySelector("main input[type=search]"));
    else if (key === "j" || key === "k") return this.step(key === "j" ? 1 : -1);
    else if (key === "x") return this.click(this.row?.querySelector('input[name="name"]'));
    else if (key === "c") {
      return this.click((this.row ?? document).querySelector("x-copy .mo-copy"));
    } else return false;
    return true;
  }

  get row() {
    return document.activeElement.closest("main tbody tr");
  }

  step(by) {
    const rows = [...document.querySelectorAll("main tbody tr")].filter((row) => row.querySelector("a"));
    const at = rows.indexOf(this.row);
    const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by];
    return this.focusOn(next?.querySelector("a"));
  }

  focusOn(target) {
    target?.focus();
    return Boolean(target);
  }

  click(target) {
    target?.click();
    return Boolean(target);
  }
}

customElements.define("x-keys", XKeys);
