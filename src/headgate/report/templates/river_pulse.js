// A pulse that travels back from the loss and fades by the decades that were measured.

const PACE = 420; // ms a column at speed 1

class Pulse {
  constructor(view) {
    this.view = view;
    this.speed = 1;
    this.running = false;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
  }

  // Where it is: columns walked from the source's, a fraction between two.
  start() {
    if (this.at === undefined || this.done) { this.at = 0; this.done = false; }
    this.running = true;
    this.last = undefined;
    requestAnimationFrame(now => this.frame(now));
  }

  pause() { this.running = false; }

  reset() { this.running = false; this.at = undefined; this.view.overlay.innerHTML = ""; this.view.mapOverlay.innerHTML = ""; }

  frame(now) {
    if (!this.running) return;
    if (this.last !== undefined) this.at += ((now - this.last) * this.speed) / PACE;
    this.last = now;
    this.draw();
    if (this.done) { this.running = false; this.view.played(); return; }
    requestAnimationFrame(later => this.frame(later));
  }

  draw() {
    const { scene } = this.view, { steps, cols } = scene;
    if (this.at === undefined) return;
    const begin = cols.findIndex(c => steps.source >= c.from && steps.source < c.to);
    const whole = Math.floor(this.at), k = begin - whole, part = this.still.matches ? 0 : this.at - whole;
    if (k <= 0) { this.done = true; this.show(cols[0], 0, cols[0].from, begin - 1); return; }
    const column = cols[k], t = part < 0.5 ? column.from : Math.max(0, column.from - 1);
    this.show(column, part, isFull(column) ? t : Math.round(column.to - 1 - part * (column.to - column.from)), begin - k);
  }

  show(column, part, t, walked) {
    const { scene, overlay, mapOverlay, scale } = this.view, { steps, format } = scene, step = Math.min(t, steps.source);
    const relative = steps.relative(step, scene.cut), dead = steps.absolute(step, scene.cut) < format;
    const fade = dead ? 0 : Math.max(0.12, Math.min(1, 1 + relative / 12));
    const dots = this.dots(column, part, fade, dead);
    const x = dots.x, text = dead ? `0 in ${scene.state.formatName}` : magnitude(relative);
    overlay.innerHTML = dots.markup + words(x, scene.G.pipe_bottom + 13, text, `left${dead ? " gone" : ""}`, { "text-anchor": "middle" });
    mapOverlay.innerHTML = tag("circle", { cx: scale.x(step), cy: scale.y(relative), r: 5, class: "pulse" });
    if (dead) this.done = true;
    this.walked = walked;
  }

  // One dot on every way out of a cell, as strong as its share; one in the channel of a bundle.
  dots(column, part, fade, dead) {
    const { scene, svg } = this.view, { steps, G } = scene, k = scene.cols.indexOf(column), left = scene.cols[k - 1];
    const from = scene.node(column), to = left ? scene.node(left) : column.x0, x = from + (to - from) * part, found = [];
    const inside = Number.isFinite(part) && part > 0 && left;
    for (const path of inside ? steps.facts.paths : []) {
      if (path === "readout" || path === scene.cut) continue;
      const t = isFull(column) ? column.from - 1 : column.from, share = isFull(column) ? steps.arrow(path, t).share : steps.meanShare(path, column.from, column.to);
      const route = svg.querySelector(`.way[data-path="${CSS.escape(path)}"][data-step="${isFull(column) ? t : scene.ends(path, column)?.left}"] .reach`);
      if (!route || !(Math.abs(share) > 0.005)) continue;
      const point = route.getPointAtLength(part * route.getTotalLength());
      found.push(this.dot(point.x, point.y, fade * strength(share), `s${steps.facts.hues[path]}`, dead));
    }
    if (!inside) found.push(this.dot(x, steps.keep ? scene.middle : (scene.lane.top + scene.lane.bottom) / 2, fade, "", dead));
    return { x, markup: found.join("") };
  }

  dot(x, y, fade, hue, dead) {
    const ring = tag("circle", { cx: x, cy: y, r: 5 + 7 * fade, class: `glow ${hue}`, opacity: 0.35 * fade });
    return ring + tag("circle", { cx: x, cy: y, r: 2.5 + 3.5 * fade, class: `pulse ${hue}${dead ? " gone" : ""}`, opacity: Math.max(0.3, fade) });
  }
}
