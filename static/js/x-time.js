// <x-time><time datetime="…">…</time></x-time>: "12 minutes ago" in the page's language, kept
// up to date. The server wrote the date itself, which stays for times more than a month ago.
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];
const MONTH = 30 * 86400;

class XTime extends HTMLElement {
  connectedCallback() {
    this.time = this.querySelector("time");
    if (!this.time) return;
    this.at = Date.parse(this.time.dateTime);
    this.words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "auto" });
    this.tick();
  }

  disconnectedCallback() {
    clearTimeout(this.timer);
  }

  tick() {
    const age = Math.max(0, (Date.now() - this.at) / 1000);
    if (age >= MONTH) return;
    const [unit, length] = UNITS.find(([, seconds]) => age >= seconds) || UNITS[3];
    this.time.textContent = this.words.format(-Math.floor(age / length), unit);
    const next = unit === "second" ? 5 : unit === "minute" ? 30 : 600;
    this.timer = setTimeout(() => this.tick(), next * 1000);
  }
}

customElements.define("x-time", XTime);
