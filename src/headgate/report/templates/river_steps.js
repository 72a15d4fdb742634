// What is drawn, read back from the page: quantised arrays by name, in the order of the run.

const MISSING = { i2: -32768, u1: 255, i1: -128 };

function halfFloat(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

function bytesOf(base64) {
  const text = atob(base64.trim());
  return Uint8Array.from(text, letter => letter.charCodeAt(0));
}

// One array as rows of numbers; NaN where the record has nothing to say.
function decode(bytes, place) {
  const { at, code, step, shape } = place, count = shape.reduce((a, b) => a * b, 1);
  const size = code === "i1" || code === "u1" ? 1 : 2;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, count * size);
  const get = {
    i1: k => view.getInt8(k), u1: k => view.getUint8(k),
    i2: k => view.getInt16(2 * k, true), f2: k => view.getUint16(2 * k, true),
  }[code];
  const values = new Float32Array(count);
  for (let k = 0; k < count; k++) {
    const raw = get(k);
    values[k] = code === "f2" ? halfFloat(raw) : raw === MISSING[code] ? NaN : raw * step;
  }
  if (shape.length === 1) return values;
  return Array.from({ length: shape[0] }, (_, row) => values.subarray(row * shape[1], (row + 1) * shape[1]));
}

// A Record as the picture asks for it.
class Steps {
  constructor(facts, bytes) {
    this.facts = facts;
    this.T = facts.T;
    for (const [name, place] of Object.entries(facts.arrays)) this[name] = decode(bytes, place);
    this.top = facts.top_units ?? [];
    this.usual = {
      source: facts.source, gradient_norm: this.gradient_norm, total: this.gradient_norm, arrow_norm: this.arrow_norm,
      arrow_share: this.arrow_share, arrow_cosine: this.arrow_cosine, cancellation: this.cancellation, keep: this.keep,
      gate_mean: this.gate_mean, loss: this.loss, part: undefined,
    };
    this.products = facts.paths.filter(path => path !== "highway" && path !== "readout");
    // The gate that is the dam comes first, also where no way back leads through it.
    const dam = this.keep && facts.gates.includes(facts.keeps) ? [facts.keeps] : [];
    this.ports = [...dam, ...this.products.filter(path => !dam.includes(path))];
    this.tracks = this.ports.filter(path => this.products.includes(path));
    this.turnTo(null);
  }

  // Whose arrows the picture shows from now on: the median over all sequences of the last loss (null), or, by itself,
  // one sequence or an earlier loss: { kind: "row" or "earlier", k: its place among those that are there }.
  turnTo(set) {
    this.set = set;
    this.whole = set ? { ...this.usual, ...this.apart(set) } : this.usual;
    this.choose(null);
    this.reference = this.gradient_norm[this.source];
    this.losses = Array.from({ length: this.T }, (_, t) => t).filter(t => this.hasLoss(t));
  }

  // The arrows of a set; of a sequence also its gates and losses.
  apart({ kind, k }) {
    const paths = this.facts.paths.length, gates = this.facts.gates.length, part = (rows, count) => rows.slice(k * count, (k + 1) * count);
    const total = this[`${kind}_gradient`][k], beside = part(this[`${kind}_norm`], paths);
    const cancellation = total.map((_, t) => beside.reduce((sum, norm) => sum + (Number.isFinite(norm[t]) ? 10 ** norm[t] : 0), 0) || NaN);
    const arrow_norm = beside.map(norm => norm.map((log, t) => log + total[t])), arrow_share = part(this[`${kind}_share`], paths);
    const found = { source: this.facts[`${kind}_sources`][k], gradient_norm: total, total, arrow_norm, arrow_share, arrow_cosine: undefined, cancellation };
    if (kind !== "row") return found;
    const own = { keep: this.row_keep?.[k], gate_mean: this.row_gate && part(this.row_gate, gates), loss: this.row_loss?.[k] };
    return { ...found, ...Object.fromEntries(Object.entries(own).filter(([, values]) => values)) };
  }

  // Of these, what is shown: the whole memory (null), or some of the top units, by their places among them. Strengths
  // stay relative to the whole gradient at the source.
  choose(units) {
    this.units = units;
    this.ended = new Map();
    Object.assign(this, units ? this.together(units) : this.whole);
  }

  // Several units as one: squares of norms add up, and shares of the whole; shares are then taken of these units' own part.
  together(units) {
    const { T } = this, paths = this.facts.paths.length, rows = () => Array.from({ length: paths }, () => new Float32Array(T).fill(NaN));
    const total = new Float32Array(T).fill(NaN), part = new Float32Array(T).fill(NaN), cancellation = new Float32Array(T).fill(NaN);
    const arrow_norm = rows(), arrow_share = rows(), squares = logs => Math.log10(logs.reduce((sum, log) => sum + (Number.isFinite(log) ? 10 ** (2 * log) : 0), 0)) / 2;
    const base = this.gradient_norm;
    for (let t = 0; t < T; t++) {
      // Beside the whole memory's norm, so that nothing is too small to be squared.
      const own = squares(units.map(unit => this.unit_gradient[unit][t] - base[t]));
      if (!Number.isFinite(own)) continue;
      total[t] = own + base[t];
      part[t] = units.reduce((sum, unit) => sum + this.shareOfWhole(unit, t), 0);
      let lengths = 0;
      for (let p = 0; p < paths; p++) {
        const log = squares(units.map(unit => this.unit_norm[unit * paths + p][t]));
        if (!Number.isFinite(log)) continue;
        arrow_norm[p][t] = log + base[t];
        lengths += 10 ** (log - own);
        const share = units.reduce((sum, unit) => sum + (this.unit_share[unit * paths + p][t] || 0), 0);
        arrow_share[p][t] = share / part[t];
      }
      cancellation[t] = lengths;
    }
    return { total, part, arrow_norm, arrow_share, cancellation, arrow_cosine: undefined, keep: this.keptBy(units) };
  }

  // The part of the whole memory's gradient at a step that one of the top units holds.
  shareOfWhole(unit, t) {
    const paths = this.facts.paths.length;
    let sum = 0;
    for (let p = 0; p < paths; p++) sum += this.unit_share[unit * paths + p][t] || 0;
    return sum;
  }

  // The same over all steps before the source, of several units; for the list to choose from.
  meanPart(units) {
    let sum = 0, count = 0;
    for (let t = 0; t < this.source; t++) {
      if (!Number.isFinite(this.gradient_norm[t])) continue;
      for (const unit of units) sum += this.shareOfWhole(unit, t);
      count++;
    }
    return count ? sum / count : NaN;
  }

  // Their own factor, geometric mean; the whole memory's where theirs was not measured.
  keptBy(units) {
    if (!this.whole.keep || !this.unit_keep) return this.whole.keep;
    const found = new Float32Array(this.T);
    for (const unit of units) this.unit_keep[unit].forEach((log, t) => { found[t] += log / units.length; });
    return found;
  }

  // What is shown, in words: all units, one, or several.
  chosen() {
    const { units, top, facts } = this;
    if (!units) return facts.units ? `all ${facts.units} units` : "all units";
    return units.length === 1 ? `unit ${top[units[0]]}` : `units ${units.map(unit => top[unit]).join(", ")} together`;
  }

  // What is shown by itself, in a few words; empty for everything together.
  alone() {
    const { set, facts } = this;
    if (!set) return "";
    return set.kind === "row" ? `sequence ${facts.shown_rows[set.k] + 1}` : `the loss at ${this.lossAt(set.k)}`;
  }

  // Where an earlier loss is read; of sequences that end at several steps, the median.
  lossAt(k) {
    const last = this.number(this.facts.earlier_sources[k]), at = this.facts.earlier_at[k] ?? last;
    return at === last ? `step ${at}` : `about step ${at}`;
  }

  // What was read at a step, where it was kept: it is the first sequence's.
  token(t) { return this.set?.kind === "row" && this.facts.shown_rows[this.set.k] ? undefined : this.facts.text?.[t]; }

  // The step's number in the input: a reversed layer runs from the last to the first.
  number(t) { return this.facts.reverse ? this.T - 1 - t : t; }

  // log10 of the gradient at a step relative to the source's; with a path cut, as it was measured without that path.
  relative(t, cut) { return this.absolute(t, cut) - this.reference; }

  absolute(t, cut) { return cut ? this.cut_gradient[this.cutRow(cut)][t] : this.total[t]; }

  cutRow(cut) { return this.facts.cut_rows[this.facts.cuts.indexOf(cut)]; }

  arrow(path, t) {
    const row = this.facts.paths.indexOf(path);
    return {
      norm: this.arrow_norm[row][t], share: this.arrow_share[row][t],
      cosine: this.arrow_cosine ? this.arrow_cosine[row][t] : NaN,
    };
  }

  // log10 of an arrow's norm relative to the source. Cutting a path removes its arrows and takes from the others at that
  // step what the whole was measured to lose.
  arrowRelative(path, t, cut) {
    if (cut === path) return NaN;
    return this.arrow(path, t).norm - this.reference + (cut ? this.absolute(t, cut) - this.total[t] : 0);
  }

  gate(name, t) {
    // Of the gate that keeps, chosen units have their own; of the others the mean of all is known.
    if (this.units && this.unit_keep && name === this.facts.keeps) return 10 ** this.keep[t];
    const row = this.facts.gates.indexOf(name);
    return row < 0 ? NaN : this.gate_mean[row][t];
  }

  isCandidate(name) { return this.facts.candidates.includes(name); }

  // The memory's factor over steps from..to - 1.
  kept(from, to) {
    let log = 0;
    for (let t = from; t < to; t++) log += this.keep[t];
    return 10 ** log;
  }

  // Mean of an arrow's signed share over the steps at which it was measured.
  meanShare(path, from, to) {
    const row = this.arrow_share[this.facts.paths.indexOf(path)];
    let sum = 0, count = 0;
    for (let t = from; t < to; t++) if (Number.isFinite(row[t])) { sum += row[t]; count++; }
    return count ? sum / count : NaN;
  }

  meanGate(name, from, to) {
    let sum = 0;
    for (let t = from; t < to; t++) sum += this.gate(name, t);
    return sum / (to - from);
  }

  hasLoss(t) { return this.loss ? Number.isFinite(this.loss[t]) : t === this.source; }

  // The piece of time that a step lies in, [from, to]: content is known by pieces.
  piece(t) {
    const { bins } = this.facts, row = this.bin(t);
    return [bins[row], bins[row + 1] ?? this.T];
  }

  // Share of the memory's content after the piece of `at` that was written in steps from..to - 1, linear; all of the
  // last piece counts as soon as `at` does.
  written(from, to, at) {
    const { bins } = this.facts, column = this.bin(at);
    let sum = 0;
    if (to > at) to = this.piece(at)[1];
    for (let row = this.bin(from); row <= column && bins[row] < to; row++) {
      const begin = bins[row], end = bins[row + 1] ?? this.T, log = this.provenance[row][column];
      const part = (Math.min(end, to) - Math.max(begin, from)) / (end - begin);
      if (Number.isFinite(log)) sum += part * 10 ** log;
    }
    return sum;
  }

  bin(t) {
    const { bins } = this.facts;
    let low = 0, high = bins.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (bins[middle] <= t) low = middle; else high = middle;
    }
    return low;
  }

  // The last step, going back from the source, at which the gradient is not below the format's smallest number; null if
  // it never falls below.
  endsAt(format, cut) {
    const key = `${format} ${cut}`;
    if (!this.ended.has(key)) {
      let t = this.source;
      while (t >= 0 && !(this.absolute(t, cut) < format)) t--;
      this.ended.set(key, t < 0 ? null : t);
    }
    return this.ended.get(key);
  }
}
