// Sections come rendered from the server; what differs is changed in place, so that nothing jumps.
const link = document.getElementById("link");

function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) { from.replaceWith(to); return; }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  for (const {name} of [...from.attributes]) if (!to.hasAttribute(name)) from.removeAttribute(name);
  for (const {name, value} of [...to.attributes]) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  if (from.hasAttribute("data-ms")) return;
  const old = [...from.childNodes], fresh = [...to.childNodes];
  fresh.forEach((node, i) => i < old.length ? morph(old[i], node) : from.append(node));
  old.slice(fresh.length).forEach(node => node.remove());
}

function ago(ms) {
  const s = Math.max(0, Math.round((Date.now() - ms) / 1000));
  if (s < 90) return `${s} s ago`;
  if (s < 5400) return `${Math.round(s / 60)} min ago`;
  if (s < 129600) return `${Math.round(s / 3600)} h ago`;
  return `${Math.round(s / 86400)} d ago`;
}
function tick() {
  for (const time of document.querySelectorAll("time[data-ms]")) {
    const text = ago(Number(time.dataset.ms));
    if (time.textContent !== text) time.textContent = text;
  }
}
setInterval(tick, 1000);
tick();

const events = new EventSource("events");
events.addEventListener("sections", event => {
  for (const [id, html] of Object.entries(JSON.parse(event.data))) {
    const fresh = document.createElement("section");
    fresh.id = id;
    fresh.innerHTML = html;
    morph(document.getElementById(id), fresh);
  }
  tick();
  link.className = "";
  link.textContent = "live";
});
events.addEventListener("open", () => { link.className = ""; link.textContent = "live"; });
events.addEventListener("error", () => {
  link.className = "bad";
  link.textContent = "The fleet does not answer; trying again…";
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
});
