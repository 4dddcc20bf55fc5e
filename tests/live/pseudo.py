"""A language that nobody speaks: every text longer and accented, to see whether pages have room.

Made in the page itself from what it shows in English; nothing of it is shipped. What programs
read, such as commands, digests and times, stays as it is.
"""

# Four tenths longer than English, as German is; short words grow more. No text may end outside
# its button, and nothing that one presses outside the page, unless one can scroll there.
LENGTHEN = """
() => {
  const accents = {a: "å", c: "ç", e: "é", i: "î", n: "ñ", o: "ö", s: "š", u: "ü", y: "ý", z: "ž"};
  const left = "code, pre, kbd, script, style, svg, time, textarea, "
    + ".mo-mono, .mo-digest, .mo-num, .mo-av, .visually-hidden";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  for (const node of nodes) {
    const text = node.textContent.trim();
    if (!/[A-Za-z]{2}/.test(text) || node.parentElement.closest(left)) continue;
    const longer = text.replace(/[acEeinosuyz]/g, (one) => accents[one] || one);
    const more = "~".repeat(Math.max(2, Math.ceil(text.length * 0.4)));
    // In pieces, as words are: a line may end between them.
    const words = more.replace(/.{8}/g, "$& ").trim();
    node.textContent = node.textContent.replace(text, () => `${longer} ${words}`);
  }
}
"""
CLIPPED = """
() => {
  const found = [];
  const scrolls = (one) => {
    for (let up = one.parentElement; up && up !== document.body; up = up.parentElement) {
      if (/auto|scroll/.test(getComputedStyle(up).overflowX)) return true;
    }
    return false;
  };
  for (const one of document.querySelectorAll("a.btn, button, summary, .mo-tabs a, .mo-badge")) {
    const box = one.getBoundingClientRect();
    if (!box.width || !one.checkVisibility({visibilityProperty: true})) continue;
    const isOutside = box.right > innerWidth + 1 || box.left < -1;
    // What only screen readers read stands outside the box.
    const hides = one.querySelector(".visually-hidden");
    const isCut = !hides && one.scrollWidth > one.clientWidth + 2 && one.clientWidth > 0;
    if ((isOutside && !scrolls(one)) || (isCut && !/inline$/.test(getComputedStyle(one).display))) {
      found.push(one.outerHTML.slice(0, 120));
    }
  }
  return found;
}
"""
