// The ways back, and what the memory holds: what flows through the picture.

function waysBack(scene) {
  const drawn = [];
  scene.cols.forEach((column, k) => {
    const left = scene.cols[k - 1];
    for (const path of [...scene.steps.products, ...(scene.steps.keep ? ["highway"] : [])]) {
      if (scene.cut === path || !scene.steps.facts.paths.includes(path)) continue;
      const ends = scene.ends(path, column);
      if (!ends || (isFull(column) && !left)) continue;
      drawn.push(isFull(column) ? stream(scene, path, column, left, ends.right) : taper(scene, path, column, left, ends));
    }
  });
  return drawn.join("") + readout(scene);
}

// One path between two neighbouring cells: out of its port (or along the channel) into the state to the left.
function stream(scene, path, column, left, t) {
  const { steps, G, middle } = scene, width = strokeWidth(steps.arrowRelative(path, t, scene.cut), G);
  const head = Math.max(4.5, width * 0.5 + 3), end = scene.node(left) + (path === "highway" ? 4 : 3);
  const tip = isFull(left) ? end : left.x1, from = scene.node(column), stop = isFull(left) ? tip + head * 0.9 : tip;
  const { share } = steps.arrow(path, t);
  let d, y = middle;
  if (path === "highway") d = `M${round(from)} ${round(y)}H${round(stop)}`;
  else {
    const x = scene.port(column, steps.ports.indexOf(path)), bend = 9;
    y = scene.track(path);
    d = `M${round(x)} ${round(G.port + scene.radius(column))}V${round(y - bend)}Q${round(x)} ${round(y)} ${round(x - bend)} ${round(y)}H${round(Math.min(stop, x - bend))}`;
  }
  const point = isFull(left) ? arrowHead(tip, y, head, "left") : "";
  return way(scene, path, t, share, strokes(d, width, share < 0) + point, d);
}

// A bundle's part of a path: as wide at its two ends as the arrows there.
function taper(scene, path, column, left, ends) {
  const { steps, G, cut } = scene, y = path === "highway" ? scene.middle : scene.track(path);
  const [right, far] = [ends.right, ends.left].map(t => strokeWidth(steps.arrowRelative(path, t, cut), G) / 2);
  const begin = ends.right === column.to - 1 ? column.x1 : column.x0 + ((ends.right + 1 - column.from) / (column.to - column.from)) * (column.x1 - column.x0);
  const full = left && isFull(left), tip = full ? scene.node(left) + (path === "highway" ? 4 : 3) : column.x0;
  const head = Math.max(4.5, far + 3), stop = full ? tip + head * 0.9 : tip, route = `M${round(begin)} ${round(y)}H${round(stop)}`;
  const d = `M${round(begin)} ${round(y - right)}L${round(stop)} ${round(y - far)}V${round(y + far)}L${round(begin)} ${round(y + right)}Z`;
  const share = steps.meanShare(path, Math.max(0, column.from - 1), column.to);
  const banks = `M${round(begin)} ${round(y - right)}L${round(stop)} ${round(y - far)}M${round(begin)} ${round(y + right)}L${round(stop)} ${round(y + far)}`;
  const shape = tag("path", { d: share < 0 ? banks : d, class: "body" }) + (full ? arrowHead(tip, y, head, "left") : "");
  if (scene.ghost(ends.right) || !scene.ghost(ends.left)) return way(scene, path, ends.left, share, shape, route);
  // The format's end lies in this bundle: what is left of it is a ghost.
  const end = scene.endPlace(), between = far + ((right - far) * (end - stop)) / (begin - stop);
  const solid = `M${round(begin)} ${round(y - right)}L${round(end)} ${round(y - between)}V${round(y + between)}L${round(begin)} ${round(y + right)}Z`;
  const rest = tag("path", { d: `M${round(end)} ${round(y)}H${round(stop)}`, class: "trickle" });
  return way(scene, path, ends.left, share, tag("path", { d: solid, class: "body" }) + rest, route, false);
}

function readout(scene) {
  const { steps, G, middle, lane, cols } = scene, source = steps.source, x = sourcePlace(scene);
  if (x === null || !steps.facts.paths.includes("readout") || scene.cut === "readout") return "";
  const width = strokeWidth(steps.arrowRelative("readout", source, scene.cut), G), tip = steps.keep ? middle - 6 : lane.top - 3;
  if (!cols.length || !Number.isFinite(width)) return "";
  const d = `M${round(x)} ${G.loss + 2}V${round(tip - 6)}`;
  return way(scene, "readout", source, steps.arrow("readout", source).share, strokes(d, width) + arrowHead(x, tip, width * 0.5 + 3, "down"), d);
}

function sourcePlace(scene) {
  const { cols, steps } = scene, source = steps.source;
  const column = cols.find(c => source >= c.from && source < c.to);
  return column ? (isFull(column) ? scene.node(column) : placeOf(source, cols)) : null;
}

// A stroke with its texture along the middle, in the ground's colour, so that paths differ without their hues.
function strokes(d, width, against = false) {
  const body = tag("path", { d, class: "stroke", "stroke-width": width });
  // What cancels is hollow: its dashed banks stay, and the ground shows between.
  if (against) return width < 4 ? body : body + tag("path", { d, class: "hollow", "stroke-width": width - 2.6 });
  return width >= 4 ? body + tag("path", { d, class: "texture", "stroke-width": Math.max(1, width * 0.2) }) : body;
}

function arrowHead(x, y, size, to) {
  const half = round(size * 0.85), long = round(size);
  const across = round(2 * size * 0.85), shape = {
    left: `l${long} -${half}v${across}Z`, down: `l-${half} -${long}h${across}Z`, up: `l-${half} ${long}h${across}Z`,
  };
  const d = `M${round(x)} ${round(y)}${shape[to]}`;
  return tag("path", { d, class: "head" });
}

function way(scene, path, t, share, inside, route, ghost = scene.ghost(t)) {
  const { steps, state } = scene, hue = steps.facts.hues[path];
  const kinds = ["way", `s${hue}`, share < 0 ? "against" : "", ghost ? "ghost" : "", state.path === path && t === state.focus ? "chosen" : ""];
  const reach = tag("path", { d: route, class: "reach" });
  return tag("g", { class: kinds.filter(Boolean).join(" "), "data-path": path, "data-step": String(t), opacity: strength(share) }, inside + reach);
}

// Loss ticks over the steps with a loss of their own; the one that is followed is filled.
function lossMarks(scene) {
  const { cols, steps, G } = scene, marks = [];
  for (const column of cols) {
    const lossy = steps.losses.filter(t => t >= column.from && t < column.to);
    if (isFull(column)) { if (lossy.length) marks.push([scene.node(column), column.from]); continue; }
    const room = Math.max(1, Math.floor((column.x1 - column.x0) / 5)), seen = new Set();
    for (const t of lossy) {
      const place = Math.floor(((t - column.from) / (column.to - column.from)) * room);
      if (!seen.has(place)) { seen.add(place); marks.push([column.x0 + ((place + 0.5) / room) * (column.x1 - column.x0), t]); }
    }
  }
  const source = sourcePlace(scene);
  const plain = marks.filter(([, t]) => t !== steps.source).map(([x]) => `M${round(x - 3.5)} ${G.loss - 4}h7l-3.5 6Z`).join("");
  const chosen = source === null ? "" : tag("path", { d: `M${round(source - 6)} ${G.loss - 7}h12l-6 10Z`, class: "source" });
  const side = source !== null && source > cols[cols.length - 1].x1 - 60 ? { x: -10, anchor: "end" } : { x: 10, anchor: "start" };
  const name = source === null ? "" : words(source + side.x, G.loss + 1, "loss", "source-name", { "text-anchor": side.anchor });
  return (plain ? tag("path", { d: plain, class: "losses" }) : "") + chosen + name;
}

// Where the gradient falls below the smallest number of the chosen format.
function endMark(scene) {
  const { end, cols, lane, G, state } = scene;
  if (end === null) return "";
  const x = scene.endPlace();
  let d = `M${round(x)} ${G.loss + 12}`;
  for (let y = G.loss + 12, k = 0; y < lane.bottom + 4; y += 6, k++) d += `l${k % 2 ? -4 : 4} 6`;
  const left = x - cols[0].x0 > 150, shift = left ? -8 : 12, anchor = left ? "end" : "start";
  return tag("path", { d, class: "end" }) +
    words(x + shift, G.pipe_bottom + 13, `the gradient ends here in ${state.formatName}`, "end-name", { "text-anchor": anchor });
}

// What the memory at the cursor is made of, by when it was written: a stream that swells towards the cursor.
function contentRiver(scene) {
  const { cols, steps, state, G, middle, pipe } = scene, focus = state.focus, points = [], inflows = [];
  let sum = 0;
  for (const column of cols) {
    if (column.from > focus) break;
    const part = steps.written(column.from, Math.min(column.to, focus + 1), focus), x = (column.x0 + column.x1) / 2;
    if (!points.length) points.push([column.x0, 0]);
    sum += part;
    points.push([isFull(column) ? scene.node(column) : x, Math.min(1, sum) * pipe * 0.92]);
    const width = strokeWidth(Math.log10(part), G), d = `M${round(x)} ${round(G.cell_top)}V${round(middle + 6)}`;
    if (part > 0) inflows.push(tag("g", { class: "inflow s1", opacity: strength(part), "data-written": String(column.from), "data-to": String(column.to) }, strokes(d, width) + arrowHead(x, middle, width * 0.5 + 3, "up")));
  }
  return tag("path", { d: band(points, middle), class: "content" }) + inflows.join("");
}
