// Where things stand: every step around the cursor in full, the others in bundles that double with the distance.

// Columns in the order of time, {from, to}: `full` single steps around the focus, then 2, 4, 8, ... a bundle; the last
// one takes what is left, and no step is left alone at an end.
function columns(T, focus, full, growth = 2) {
  const count = Math.min(full, T);
  const first = Math.max(0, Math.min(T - count, focus - Math.floor(count / 2)));
  const found = Array.from({ length: count }, (_, k) => ({ from: first + k, to: first + k + 1 }));
  for (let end = first, size = 2; end > 0; size *= growth) {
    const from = end - size <= 1 ? 0 : end - size;
    found.unshift({ from, to: end });
    end = from;
  }
  for (let from = first + count, size = 2; from < T; size *= growth) {
    const to = T - from - size <= 1 ? T : from + size;
    found.push({ from, to });
    from = to;
  }
  return found;
}

const isFull = column => column.to - column.from === 1;

// Columns with their places in a picture of this width: x0, x1; what does not fit makes for fewer full cells, then for
// bundles that grow by four.
function placed(T, focus, width, G) {
  const room = width - gutter(width, G) - G.margin;
  const choices = [[9, 2], [7, 2], [5, 2], [5, 4], [3, 4], [3, 8], [1, 16]];
  let found;
  for (const [full, growth] of choices) {
    found = columns(T, focus, full, growth);
    const cells = found.filter(isFull).length;
    if (cells * G.cell_min + (found.length - cells) * G.bundle_min <= room) break;
  }
  const cells = found.filter(isFull).length, bundles = found.length - cells;
  const bundle = bundles ? Math.max(4, Math.min(G.bundle, (room - cells * G.cell_min) / bundles)) : 0;
  const cell = Math.min(G.cell_max, (room - bundles * bundle) / cells);
  // What the widest cells leave goes to the bundles, up to as wide as a cell.
  const wider = bundles ? Math.min(G.cell_min, (room - cells * cell) / bundles) : 0;
  const used = cells * cell + bundles * wider;
  let x = gutter(width, G) + Math.max(0, (room - used) / 2);
  for (const column of found) {
    column.x0 = x;
    column.x1 = x += isFull(column) ? cell : wider;
  }
  return found;
}

const gutter = (width, G) => (width < G.narrow ? G.margin : G.gutter);

// Heights of the lanes: the lane of the matrix paths grows with their number.
function lanes(tracks, G) {
  const height = Math.max(G.lane_min, tracks * G.track);
  const lane = { top: G.lane_top, bottom: G.lane_top + height };
  return { ...lane, track: height / Math.max(1, tracks), step: lane.bottom + G.step_gap, height: lane.bottom + G.below };
}

// An arrow's width: one pixel a decade below the source's norm, never less than a hair.
function strokeWidth(relative, G) {
  return Math.max(G.hair, Math.min(G.cap, G.full + G.per_decade * relative));
}

// How strong its colour is: by the part of what arrives that came this way.
function strength(share) {
  return Number.isFinite(share) ? 0.22 + 0.78 * Math.sqrt(Math.min(1, Math.abs(share))) : 0.5;
}

// Where a step stands: the middle of its column, or its part of a bundle.
function placeOf(t, cols) {
  const column = cols.find(c => t >= c.from && t < c.to);
  if (!column) return null;
  return column.x0 + (column.x1 - column.x0) * ((t + 0.5 - column.from) / (column.to - column.from));
}

// Lowest and highest value in each of `count` pieces of equal length; NaN where a piece holds no number.
function pyramid(values, count) {
  const low = new Float32Array(count).fill(NaN), high = new Float32Array(count).fill(NaN);
  for (let t = 0; t < values.length; t++) {
    const piece = Math.floor((t * count) / values.length), value = values[t];
    if (!Number.isFinite(value)) continue;
    if (!(low[piece] <= value)) low[piece] = value;
    if (!(high[piece] >= value)) high[piece] = value;
  }
  return { low, high };
}
