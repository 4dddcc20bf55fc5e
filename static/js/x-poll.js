// <x-poll hx-get="…" hx-trigger="poll" …>: asks again and again, more slowly as time passes, not
// at all while the tab is hidden, and at once when it is shown again. It ends with its element:
// the answer that no longer has it is the last one. data-first and data-slowest: milliseconds, where
// there is less to wait for.
const FIRST = 1500;
const SLOWEST = 10000;
const SLOWER = 1.25;

class XPoll extends HTMLElement {
  connectedCallback() {
    this.first = Number(this.dataset.first) || FIRST;
    this.slowest = Number(this.dataset.slowest) || SLOWEST;
    this.wait = this.first;
    this.onVisible = () => { if (!document.hidden) { this.wait = this.first; this.ask(); } };
    document.addEventListener("visibilitychange", this.onVisible);
    this.plan();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
    document.removeEventListener("visibilitychange", this.onVisible);
  }

  plan() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), this.wait);
    this.wait = Math.min(this.slowest, this.wait * SLOWER);
  }

  ask() {
    if (!document.hidden) this.dispatchEvent(new CustomEvent("poll"));
    this.plan();
  }
}

customElements.define("x-poll", XPoll);
