// Looks at a page in a frame in which scripts can't run, and writes what it finds as JSON into this document.
function parse(colour) {
  const srgb = colour.match(/^color\(srgb ([\d.]+) ([\d.]+) ([\d.]+)(?: \/ ([\d.]+))?\)/);
  if (srgb) return [255 * srgb[1], 255 * srgb[2], 255 * srgb[3], srgb[4] === undefined ? 1 : +srgb[4]];
  const parts = colour.match(/[\d.]+/g).map(Number);
  return [parts[0], parts[1], parts[2], parts[3] === undefined ? 1 : parts[3]];
}
function over(top, below) {
  return [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
}
function ground(element, view) {
  const layers = [];
  for (let each = element; each; each = each.parentElement) layers.push(parse(view.getComputedStyle(each).backgroundColor));
  return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
}
function brightness(colour) {
  const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(one, other) {
  const [low, high] = [brightness(one), brightness(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}
function measure(frame) {
  const page = frame.contentDocument, view = frame.contentWindow, faint = [], wide = [];
  const width = page.documentElement.clientWidth;
  for (const element of page.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!box.width || element.tagName === "title") continue;
    if (box.right > width + 1 && !element.closest(".scroll")) wide.push(element.tagName + " " + element.textContent.slice(0, 30));
    if (!own) continue;
    const style = view.getComputedStyle(element), back = ground(element, view);
    const ink = over(parse(element.closest("svg") ? style.fill : style.color), back), found = contrast(ink, back);
    if (found < 4.5) faint.push(found.toFixed(2) + " " + element.textContent.trim().slice(0, 30));
  }
  return {
    fit: [...page.querySelectorAll(".scroll:has(.stack)")].filter((e) => e.scrollWidth <= e.clientWidth).length,
    words: page.querySelectorAll("pre .word").length,
    broken: [...page.querySelectorAll("pre .word")].filter((e) => e.getBoundingClientRect().height > 25 && e.textContent.length < 30).length,
    width, scroll: page.documentElement.scrollWidth, wide, faint,
    nameless: [...page.querySelectorAll("img:not([alt]), svg[role=img]:not([aria-label])")].length,
    ground: ground(page.body, view), smallest: Math.min(...[...page.querySelectorAll("p, td, th, li, pre")].map((e) => parseFloat(view.getComputedStyle(e).fontSize))),
    narrow: [...page.querySelectorAll(".narrow")].some((e) => e.getBoundingClientRect().width > 0), height: page.documentElement.scrollHeight,
  };
}
window.addEventListener("load", () => {
  document.body.dataset.found = JSON.stringify(measure(document.querySelector("iframe")));
});
