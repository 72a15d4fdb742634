// The picture as SVG text: channel, dams, cells, ways back; nothing here knows the page.

const round = value => String(Math.round(value * 100) / 100 || 0);

function tag(name, attributes, inside = "") {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === "number" ? round(value) : escaped(value)}"`);
  return inside ? `<${name}${written.join("")}>${inside}</${name}>` : `<${name}${written.join("")}/>`;
}

const escaped = text => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;").replace(/"/g, "&#34;");
const words = (x, y, text, kind, more = {}) => tag("text", { x, y, class: kind, ...more }, escaped(text));
const line = (x1, y1, x2, y2, kind) => tag("line", { x1, y1, x2, y2, class: kind });
const box = (x, y, width, height, kind, more = {}) => tag("rect", { x, y, width, height, class: kind, ...more });

// Everything that the parts below share: places, heights, and what is asked for.
class Scene {
  constructor(steps, state, width, G) {
    Object.assign(this, { steps, state, width, G, format: state.format, cut: state.cut });
    this.cols = placed(steps.T, state.focus, width, G);
    this.lane = lanes(steps.products.length, G);
    this.middle = (G.pipe_top + G.pipe_bottom) / 2;
    this.pipe = G.pipe_bottom - G.pipe_top;
    this.wide = width >= G.narrow;
    this.end = steps.endsAt(state.format, state.cut);
  }

  w(column) { return column.x1 - column.x0; }

  // Where the memory after a step stands: at the right of its cell, at the right edge of a bundle.
  node(column) { return isFull(column) ? column.x0 + this.G.node * this.w(column) : column.x1; }

  port(column, k) {
    const { port_from: from, port_to: to } = this.G, count = this.steps.ports.length;
    const part = count > 1 ? from + ((to - from) * k) / (count - 1) : this.steps.keep ? from : (from + to) / 2;
    return column.x0 + part * this.w(column);
  }

  // As large as the ports' distance allows.
  radius(column) {
    const { port_from: from, port_to: to, radius } = this.G, gaps = this.steps.ports.length - 1;
    return gaps > 0 ? Math.min(radius, ((to - from) * this.w(column)) / gaps / 2 + 1.5) : radius;
  }

  dam(column) { return isFull(column) ? column.x0 + this.G.port_from * this.w(column) : (column.x0 + column.x1) / 2; }

  track(path) { return this.lane.top + this.lane.track * (this.steps.tracks.indexOf(path) + 0.5); }

  // What the gradient does between a column and the one to its left: arrows arriving there, of one path.
  ends(path, column) {
    const { steps, cut } = this, finite = [];
    for (let t = column.to - 2; t >= column.from - 1; t--) {
      if (t >= 0 && Number.isFinite(steps.arrowRelative(path, t, cut))) finite.push(t);
    }
    if (isFull(column)) return finite.length ? { right: finite[0], left: finite[0] } : null;
    const edge = column.to - 1;
    if (Number.isFinite(steps.arrowRelative(path, edge, cut))) finite.unshift(edge);
    return finite.length ? { right: finite[0], left: finite[finite.length - 1] } : null;
  }

  // The right edge of the last step that has less than the format can hold.
  endPlace() {
    const column = this.cols.find(c => this.end >= c.from && this.end < c.to);
    return column.x0 + ((this.end + 1 - column.from) / (column.to - column.from)) * this.w(column);
  }

  ghost(t) { return this.steps.absolute(t, this.cut) < this.format; }
}

function drawRiver(scene) {
  const { state, steps } = scene, content = state.direction === "content";
  return [
    steps.keep ? channel(scene) : dryBed(scene), matrixLane(scene), here(scene),
    ...scene.cols.map((column, k) => (isFull(column) ? cellBody(scene, column, k) : bundleBody(scene, column))),
    content ? contentRiver(scene) : waysBack(scene),
    steps.facts.dammed ? scene.cols.map(column => damOf(scene, column)).join("") : "",
    ...scene.cols.filter(isFull).map(column => memoryNode(scene, column)),
    content ? "" : lossMarks(scene) + endMark(scene),
    ...scene.cols.map(column => labels(scene, column)), bundleSteps(scene), laneNames(scene),
    ...scene.cols.map(column => targets(scene, column)),
  ].join("");
}

function here({ cols, state, steps, lane, G }) {
  const column = cols.find(c => state.focus >= c.from && state.focus < c.to);
  return box(column.x0, G.loss + 10, column.x1 - column.x0, lane.step - 2 - G.loss + (steps.facts.text ? G.token : 0), "here", { rx: 6 });
}

// Two edges of a band around the middle, through [x, height], flat at each point.
function band(points, middle) {
  const edge = (side, list) => list.map(([x, height], k) => {
    const y = middle + (side * height) / 2;
    if (k === 0) return `${round(x)} ${round(y)}`;
    const [before, was] = list[k - 1], half = (before + x) / 2;
    return `C${round(half)} ${round(middle + (side * was) / 2)} ${round(half)} ${round(y)} ${round(x)} ${round(y)}`;
  }).join("");
  return `M${edge(-1, points)}L${edge(1, [...points].reverse())}Z`;
}

function channel(scene) {
  const { cols, steps, G, middle, pipe } = scene, left = cols[0].x0, right = cols[cols.length - 1].x1;
  const points = cols.map(column => [scene.dam(column), Math.min(1, steps.kept(column.from, column.to)) * pipe]);
  points.unshift([left, points[0][1]]);
  points.push([right, points[points.length - 1][1]]);
  return box(left, G.pipe_top, right - left, pipe, "bed") + tag("path", { d: band(points, middle), class: "water" }) +
    line(left, G.pipe_top, right, G.pipe_top, "wall") + line(left, G.pipe_bottom, right, G.pipe_bottom, "wall");
}

function dryBed({ cols, G, middle, pipe }) {
  const left = cols[0].x0, right = cols[cols.length - 1].x1;
  return box(left, G.pipe_top, right - left, pipe, "dry") +
    words((left + right) / 2, middle + 4, "no highway: everything goes through the matrix below", "note", { "text-anchor": "middle" });
}

function matrixLane({ cols, lane }) {
  const left = cols[0].x0, right = cols[cols.length - 1].x1;
  return box(left, lane.top, right - left, lane.bottom - lane.top, "lane", { rx: 4 });
}

function cellBody(scene, column) {
  const { G, steps, lane } = scene, w = scene.w(column), t = column.from, node = scene.node(column);
  const body = box(column.x0 + 0.07 * w, G.cell_top, 0.74 * w, G.cell_bottom - G.cell_top, "cell", { rx: 7 });
  const input = line(column.x0 + 0.46 * w, lane.step - 13, column.x0 + 0.46 * w, G.cell_bottom, "input");
  const riser = steps.keep ? line(node, G.pipe_bottom, node, lane.top, "wire") : "";
  const bar = box(node - 3, lane.top - 2, 6, lane.bottom - lane.top + 4, "state", { rx: 3 });
  const ports = steps.ports.map((name, k) => wire(scene, column, name, k) + portOf(scene, column, name, k, t));
  return input + body + riser + bar + ports.join("");
}

// From a port to where its value acts: the dam's stem, the pipe, or the output.
function wire(scene, column, name, k) {
  const { G, steps, lane } = scene, x = scene.port(column, k);
  if (!steps.keep || name === "o") {
    const node = scene.node(column), up = steps.keep ? G.port : lane.top;
    return tag("path", { d: `M${round(x)} ${round(G.port)}H${round(node)}V${round(up)}`, class: "wire" });
  }
  return line(x, G.port, x, G.pipe_bottom, name === steps.facts.keeps ? "stem" : "wire");
}

function portOf(scene, column, name, k, t) {
  const { G, steps, cut } = scene, x = scene.port(column, k), y = G.port, r = scene.radius(column), value = steps.gate(name, t);
  const hue = `s${steps.facts.hues[name]}`, candidate = steps.isCandidate(name) || !Number.isFinite(value);
  const shape = kind => candidate
    ? box(x - r + 1, y - r + 1, 2 * r - 2, 2 * r - 2, kind, { rx: 3 }) : tag("circle", { cx: x, cy: y, r, class: kind });
  let level = "";
  if (!candidate) {
    const top = y + r - 2 * r * Math.max(0, Math.min(1, value)), half = Math.sqrt(Math.max(0, r * r - (top - y) ** 2));
    const large = value > 0.5 ? 1 : 0;
    if (half > 0.05) level = tag("path", { d: `M${round(x - half)} ${round(top)}A${r} ${r} 0 ${large} 0 ${round(x + half)} ${round(top)}Z`, class: "level" });
    else if (value > 0.5) level = tag("circle", { cx: x, cy: y, r, class: "level" });
  }
  const cross = cut === name ? cutCross(x, y, r - 1) : "";
  const letter = r <= G.letter ? "" : words(x, y + 4, name.length > 2 ? name[0] : name, "letter", { "text-anchor": "middle" });
  return tag("g", { class: `port ${hue}${cut === name ? " cut" : ""}`, "data-gate": name, "data-step": String(t) }, shape("ground") + level + shape("rim") + letter + cross);
}

const cutCross = (x, y, r) => tag("path", { d: `M${round(x - r)} ${round(y - r)}l${round(2 * r)} ${round(2 * r)}m${round(-2 * r)} 0l${round(2 * r)} ${round(-2 * r)}`, class: "cross" });

function bundleBody(scene, column) {
  const { G } = scene, w = scene.w(column), count = column.to - column.from, centre = (column.x0 + column.x1) / 2;
  const side = Math.min(5, w * 0.12), wide = w - 2 * side, high = G.cell_bottom - G.cell_top;
  const cards = [2, 1, 0].map(k => box(column.x0 + side + k * 1.5, G.cell_top + 4 - 3 * k + 2, Math.max(2, wide - 3), high - 6, "card", { rx: 5 }));
  const text = `×${count}`, fits = text.length * 6.4 < wide;
  const y = (G.cell_top + G.cell_bottom) / 2 + 3, turn = fits ? {} : { transform: `rotate(-90 ${round(centre)} ${round(y)})` };
  return cards.join("") + (w > 9 ? words(centre, y + 4, text, fits ? "count" : "count turned", { "text-anchor": "middle", ...turn }) : "");
}

// Two blades that leave open what the gate lets through; a bundle's are many and leave the product of all.
function damOf(scene, column) {
  const { G, steps, pipe, state } = scene, w = scene.w(column), full = isFull(column), t = column.from;
  const name = steps.facts.keeps, gate = name ? steps.gate(name, t) : NaN;
  const factor = steps.kept(column.from, column.to), open = full && Number.isFinite(gate) ? gate : factor;
  const blade = ((1 - Math.max(0, Math.min(1, open))) * pipe) / 2, thick = full ? G.blade : Math.min(3, w / 8);
  const places = full ? [scene.dam(column)] : [0.3, 0.5, 0.7].map(p => column.x0 + p * w);
  const over = full ? G.blade_over : 0;
  const blades = places.map(x =>
    box(x - thick / 2, G.pipe_top - over, thick, blade + over, "blade", { rx: 1 }) +
    box(x - thick / 2, G.pipe_bottom - blade, thick, blade + over, "blade", { rx: 1 })).join("");
  const text = full && (scene.wide || t === state.focus) ? words(scene.dam(column), G.pipe_label, decimals(open), "aperture", { "text-anchor": "middle" }) : "";
  const cross = state.cut === "highway" && full ? cutCross(scene.dam(column) + 0.36 * w, scene.middle, 7) : "";
  return tag("g", { class: `dam ${full ? "one" : "many"}`, "data-gate": full && name ? name : undefined, "data-step": String(t) }, blades + text + cross);
}

function memoryNode(scene, column) {
  const x = scene.node(column), { steps, middle } = scene;
  return steps.keep ? tag("circle", { cx: x, cy: middle, r: column.from === scene.state.focus ? 6 : 4.5, class: "memory" }) : "";
}

// What is written at each column: steps below, what is left of the gradient above.
function labels(scene, column) {
  const { G, steps, state, lane } = scene, w = scene.w(column), full = isFull(column), t = column.from;
  if (!full) return line(column.x0, lane.bottom + 4, column.x0, lane.bottom + 9, "mark");
  const now = t === state.focus ? " now" : "";
  const centre = column.x0 + w / 2;
  const content = state.direction === "content", share = content && t <= state.focus ? steps.written(t, t + 1, state.focus) : NaN;
  const left = content ? (Number.isFinite(share) ? percent(share) : "") : briefly(steps.relative(t, scene.cut));
  const token = steps.token(t), step = words(centre, lane.step, String(steps.number(t)), `tick step${now}`, { "text-anchor": "middle" });
  const said = token ? words(centre, lane.step + G.token - 1, token.length > 12 ? `${token.slice(0, 11)}…` : token, `tick token${now}`, { "text-anchor": "middle" }) : "";
  const dead = !content && scene.ghost(t) ? " gone" : "";
  const beside = t === steps.source && !content ? 14 : 0;
  return step + said + (left ? words(column.x1 - 4 - beside, G.arrives, left, `arrives${now}${dead}`, { "text-anchor": "end" }) : "");
}

// Numbers at the left edges of bundles, as many as have room.
function bundleSteps({ cols, steps, lane }) {
  let free = -Infinity;
  return cols.map((column, k) => {
    const text = String(steps.number(column.from)), next = cols[k + 1];
    if (isFull(column)) { free = (column.x0 + column.x1) / 2 + text.length * 3.4 + 8; return ""; }
    const limit = cols.slice(k).find(isFull), end = column.x0 + text.length * 6.4;
    const room = limit && next ? (limit.x0 + limit.x1) / 2 - String(steps.number(limit.from)).length * 3.4 - 6 : Infinity;
    if (column.x0 < free || end > room) return "";
    free = end + 8;
    return words(column.x0, lane.step, text, "tick");
  }).join("");
}

function laneNames(scene) {
  const { G, steps, lane, middle, wide, state, cols } = scene, { memory, keeps } = steps.facts;
  if (!wide) return "";
  const x = Math.min(G.gutter, cols[0].x0) - 10, end = { "text-anchor": "end" };
  const content = state.direction === "content", name = (y, one, two) =>
    words(x, two ? y - 3 : y + 4, one, "lane-name", end) + (two ? words(x, y + 10, two, "lane-note", end) : "");
  return [
    name(G.arrives - 4, content ? "written here" : "gradient left", ""),
    steps.keep ? name(middle, `memory ${memory}`, steps.facts.dammed ? `dams: ${keeps ?? "its factor"}` : "no dam") : name(middle, "highway", "none"),
    name(G.port, steps.ports.length ? "cell" : "", ""),
    name((lane.top + lane.bottom) / 2, steps.keep && memory !== "h" ? "output h" : `through U`, steps.keep ? "through the gates" : "the only way"),
    name(lane.step - 4, "step t", ""),
  ].join("");
}

// What a pointer meets: a whole column.
function targets({ G, lane, steps }, column) {
  const full = isFull(column), t = column.from;
  const label = full ? `step ${steps.number(t)}` : `steps ${steps.number(t)} to ${steps.number(column.to - 1)}: go there`;
  const top = full ? lane.bottom + 6 : G.loss + 10, height = lane.step + 8 - top;
  return box(column.x0, top, column.x1 - column.x0, height, "target", { "data-from": String(column.from), "data-to": String(column.to), "aria-label": label, role: "button" });
}
