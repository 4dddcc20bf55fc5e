// <x-select><form>… [data-bar] with [data-count], [data-all] and checkboxes named "name" …</form>
// </x-select>: the bar shows itself once something is ticked and says how many are; shift-click
// ticks a range. Without a script the bar is always there.
class XSelect extends HTMLElement {
  connectedCallback() {
    this.last = null;
    this.addEventListener("click", this);
    this.addEventListener("change", this);
    this.show();
  }

  get boxes() {
    return [...this.querySelectorAll('input[name="name"]:not(:disabled)')];
  }

  handleEvent(event) {
    const { target } = event;
    if (event.type === "click" && target.name === "name") {
      if (event.shiftKey && this.last) this.range(this.last, target);
      this.last = target;
    }
    if (event.type === "change" && "all" in target.dataset) {
      for (const box of this.boxes) box.checked = target.checked;
    }
    if (event.type === "change") this.show();
  }

  range(from, to) {
    const { boxes } = this;
    const [first, last] = [boxes.indexOf(from), boxes.indexOf(to)].sort((a, b) => a - b);
    for (const box of boxes.slice(first, last + 1)) box.checked = to.checked;
  }

  show() {
    const bar = this.querySelector("[data-bar]");
    if (!bar) return;
    const ticked = this.boxes.filter((box) => box.checked).length;
    bar.hidden = ticked === 0;
    bar.querySelector("[data-count]").textContent = String(ticked);
    const all = this.querySelector("[data-all]");
    all.checked = ticked > 0 && ticked === this.boxes.length;
    all.indeterminate = ticked > 0 && !all.checked;
  }
}

customElements.define("x-select", XSelect);
