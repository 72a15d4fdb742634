// The whole sequence in one strip: gradient by step, the cursor, the cells around it, the format's end.

class MapScale {
  constructor(steps, state, width, G) {
    this.left = gutter(width, G);
    this.right = width - G.margin;
    this.top = 12;
    this.bottom = G.map_height - 20;
    this.T = steps.T;
    const floor = state.format - steps.reference, other = steps.other?.usual;
    const curves = [steps.total, ...(steps.units ? [steps.gradient_norm] : []), ...(state.cut ? [steps.cut_gradient[steps.cutRow(state.cut)]] : [])];
    // Both times on one scale, so that nothing but the curve moves when the picture turns.
    const each = [...curves.map(curve => [curve, steps.reference]), ...(other ? [[other.total, other.total[other.source]]] : [])];
    let low = -2.5, high = 0.4;
    for (const [curve, reference] of each) for (const value of curve) {
      if (!Number.isFinite(value)) continue;
      low = Math.min(low, value - reference - 0.3);
      high = Math.max(high, value - reference + 0.3);
    }
    if (state.direction === "content") [low, high] = [-6, 0.2];
    else if (floor > low - 6 && floor < low) low = floor - 1;
    Object.assign(this, { low, high, floor });
  }

  x(t) { return this.left + ((t + 0.5) / this.T) * (this.right - this.left); }

  step(x) { return Math.max(0, Math.min(this.T - 1, Math.floor(((x - this.left) / (this.right - this.left)) * this.T))); }

  y(value) { return this.top + ((this.high - Math.max(this.low, Math.min(this.high, value))) / (this.high - this.low)) * (this.bottom - this.top); }
}

// All but the cursor: it stays as long as nothing but the focus changes.
function mapGround(steps, state, scale) {
  const content = state.direction === "content";
  if (content) return mapGrid(scale, true) + mapSteps(scale, steps);
  const cut = state.cut && steps.cut_gradient[steps.cutRow(state.cut)];
  return mapGrid(scale, false) + mapFloor(scale, state) +
    mapOther(scale, steps) + (steps.units ? mapCurve(scale, steps.gradient_norm, steps.reference, "total uncut") : "") +
    mapCurve(scale, steps.total, steps.reference, cut ? "total uncut" : "total") +
    (cut ? mapCurve(scale, cut, steps.reference, `total knocked s${steps.facts.hues[state.cut]}`) : "") +
    mapLosses(scale, steps) + mapSteps(scale, steps);
}

// The other time's gradient, beside this one's.
function mapOther(scale, steps) {
  if (!steps.other || steps.set || steps.units) return "";
  const { total, source } = steps.other.usual;
  return mapCurve(scale, total, total[source], "other");
}

// The cursor, the cells around it, and what was written for it.
function mapCursor(steps, state, scale, cols) {
  const x = scale.x(state.focus), curve = state.direction === "content"
    ? mapCurve(scale, contentCurve(steps, state.focus), 0, "content-line") : "";
  return mapWindow(scale, cols, state) + curve + line(x, scale.top - 5, x, scale.bottom, "cursor");
}

function mapGrid(scale, content) {
  const every = Math.max(1, Math.ceil((scale.high - scale.low) / 4)), parts = [];
  for (let decade = Math.ceil(scale.low / every) * every; decade <= scale.high; decade += every) {
    const y = scale.y(decade), text = decade === 0 ? "1" : powerOfTen(decade);
    parts.push(line(scale.left, y, scale.right, y, "grid"));
    if (scale.left > 40) parts.push(words(scale.left - 8, y + 4, text, "tick", { "text-anchor": "end" }));
    else parts.push(words(scale.left + 2, y - 2, text, "tick"));
  }
  if (scale.left > 60) {
    const middle = (scale.top + scale.bottom) / 2, x = 14;
    parts.push(words(x, middle, content ? "written" : "gradient", "title", { "text-anchor": "middle", transform: `rotate(-90 ${x} ${round(middle)})` }));
  }
  return parts.join("");
}

function mapFloor(scale, state) {
  if (scale.floor <= scale.low) return "";
  const y = scale.y(scale.floor), label = scale.bottom - y > 16 ? y + 12 : y - 5;
  return box(scale.left, y, scale.right - scale.left, scale.bottom - y, "below") + line(scale.left, y, scale.right, y, "end") +
    words(scale.right - 4, label, `nothing below this in ${state.formatName}`, "end-name", { "text-anchor": "end" });
}

function mapWindow(scale, cols, state) {
  const full = cols.filter(isFull), from = full[0].from, to = full[full.length - 1].to;
  const x0 = scale.x(from - 0.5), x1 = scale.x(to - 0.5), width = Math.max(2, x1 - x0);
  return box(x0, scale.top - 5, width, scale.bottom - scale.top + 5, "window", { rx: 3, "data-focus": String(state.focus) });
}

function contentCurve(steps, focus) {
  const values = new Float32Array(steps.T).fill(NaN), column = steps.bin(focus), { bins } = steps.facts;
  for (let row = 0; row <= column; row++) {
    const end = Math.min(bins[row + 1] ?? steps.T, focus + 1);
    values.fill(steps.provenance[row][column], bins[row], end);
  }
  return values;
}

// A line through all steps, or, with more steps than pixels, between the lowest and the highest of each pixel.
function mapCurve(scale, values, reference, kind) {
  const count = Math.floor(scale.right - scale.left);
  if (values.length <= count) {
    let d = "", pen = "M";
    values.forEach((value, t) => {
      if (!Number.isFinite(value)) { pen = "M"; return; }
      d += `${pen}${round(scale.x(t))} ${round(scale.y(value - reference))}`;
      pen = "L";
    });
    return tag("path", { d, class: `curve ${kind}` });
  }
  const { low, high } = pyramid(values, count);
  let d = "", was = NaN;
  for (let k = 0; k < count; k++) {
    if (!Number.isFinite(low[k])) { was = NaN; continue; }
    const x = round(scale.left + k + 0.5), from = scale.y(low[k] - reference), to = scale.y(high[k] - reference);
    d += `${Number.isFinite(was) ? "L" : "M"}${x} ${round(from)}L${x} ${round(to)}`;
    was = to;
  }
  return tag("path", { d, class: `curve ${kind}` });
}

function mapLosses(scale, steps) {
  const places = new Set();
  for (const t of steps.losses) if (t !== steps.source) places.add(Math.round(scale.x(t) * 2) / 2);
  const d = [...places].map(x => `M${round(x)} ${scale.top - 9}v4`).join(""), x = scale.x(steps.source);
  return (d ? tag("path", { d, class: "loss-ticks" }) : "") + tag("path", { d: `M${round(x - 4)} ${scale.top - 11}h8l-4 7Z`, class: "source" });
}

function mapSteps(scale, steps) {
  const rough = steps.T / Math.max(2, (scale.right - scale.left) / 110), power = 10 ** Math.floor(Math.log10(rough));
  const every = Math.max(1, [1, 2, 5, 10].map(k => k * power).find(k => k >= rough)), parts = [];
  for (let t = 0; t < steps.T; t++) {
    if (steps.number(t) % every) continue;
    const x = scale.x(t);
    parts.push(line(x, scale.bottom, x, scale.bottom + 4, "mark"), words(x, scale.bottom + 16, String(steps.number(t)), "tick", { "text-anchor": "middle" }));
  }
  return parts.join("");
}
