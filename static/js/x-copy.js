// <x-copy data-text="…"><button class="mo-copy">…</button></x-copy>, or data-from="id" to copy
// the text of that element. Works on plain http too: the Clipboard API needs a secure context,
// so there is execCommand to fall back on.
class XCopy extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", this);
  }

  get text() {
    const source = this.dataset.from && document.getElementById(this.dataset.from);
    return source ? source.textContent : this.dataset.text;
  }

  async handleEvent() {
    try {
      await navigator.clipboard.writeText(this.text);
    } catch {
      this.copyTheOldWay(this.text);
    }
    this.classList.add("is-copied");
    const live = document.getElementById("mo-live");
    if (live) live.textContent = this.dataset.done;
    setTimeout(() => this.classList.remove("is-copied"), 1600);
  }

  copyTheOldWay(text) {
    const area = Object.assign(document.createElement("textarea"), { value: text });
    area.className = "visually-hidden";
    this.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    this.querySelector("button")?.focus();
  }
}

customElements.define("x-copy", XCopy);
