// The picture in words, plain and expert.

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
const ROLES = {
  LSTM: { f: "forget gate", i: "input gate", g: "candidate", o: "output gate" },
  GRU: { z: "update gate", r: "reset gate", n: "candidate" },
};

const powerOfTen = exponent => (exponent === 1 ? "10" : "10" + [...String(exponent)].map(sign => RAISED[sign]).join(""));

// A number given by its log10, in two digits or as a power of ten.
function magnitude(log) {
  if (!Number.isFinite(log)) return log === -Infinity ? "0" : "–";
  if (log >= -2 && log < 3) return String(Number((10 ** log).toPrecision(2)));
  let exponent = Math.floor(log), digits = Math.round(10 ** (log - exponent) * 10) / 10;
  if (digits >= 10) { exponent += 1; digits = 1; }
  return digits === 1 ? powerOfTen(exponent) : `${digits} × ${powerOfTen(exponent)}`;
}

// As short as a label in the picture must be.
function briefly(log) {
  if (!Number.isFinite(log)) return "";
  if (log >= -2.0022 && log < -0.0022) return (10 ** log).toFixed(2).slice(1);
  if (log >= -0.0022 && log < 2) return String(Number((10 ** log).toPrecision(2)));
  if (log >= -3.02 && log < 0) return String(Number((10 ** log).toPrecision(1))).replace(/^0\./, ".");
  return powerOfTen(Math.round(log));
}

function percent(share) {
  const part = Math.abs(share), number = part < 0.0095 && part ? Number((100 * part).toPrecision(1)) : Math.round(100 * part);
  return `${share < 0 ? "−" : ""}${number} %`;
}
const signed = value => (Number.isFinite(value) ? `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}` : "–");
const decimals = value => (Number.isFinite(value) ? value.toFixed(2).replace(/^0\./, ".") : "–");

// As a part of what there was at the source.
function partOf(log) {
  if (log >= 0.02) return `${magnitude(log)} times the gradient`;
  return `${log > -3 ? percent(10 ** log) : magnitude(log)} of the gradient`;
}

function roleOf(name, steps) {
  const family = steps.facts.gates.includes("z") && steps.facts.gates.includes("n") ? "GRU" : "LSTM";
  const known = steps.facts.memory === "c" || family === "GRU" ? ROLES[family][name] : undefined;
  return known ? `${known} ${name}` : steps.facts.gates.includes(name) ? `gate ${name}` : `recurrent weights`;
}

function wayOf(path, steps) {
  if (path === "highway") return steps.facts.memory === "c" ? "the highway" : `the highway of ${steps.facts.memory}`;
  if (path === "readout") return "the loss itself";
  return `the ${roleOf(path, steps)}`;
}

// The paths of what arrives at a step, the largest share first.
function ways(t, steps) {
  return steps.facts.paths
    .map(path => ({ path, ...steps.arrow(path, t) }))
    .filter(way => Number.isFinite(way.norm) && Number.isFinite(way.share))
    .sort((a, b) => Math.abs(b.share) - Math.abs(a.share));
}

function stepInWords(t, steps, state) {
  if (state.direction === "content") return contentInWords(t, steps, state);
  return state.wording === "expert" ? expertStep(t, steps, state) : plainStep(t, steps, state);
}

function where(t, steps) {
  const back = steps.source - t, { set } = steps, one = set?.kind === "row" ? steps.alone() : "";
  const begin = [steps.time, one, `step ${steps.number(t)}`].filter(Boolean).join(", "), step = `${begin[0].toUpperCase()}${begin.slice(1)}`;
  if (back === 0) return `${step}, where the loss was read`;
  if (back < 0) return `${step}, after the loss at step ${steps.number(steps.source)}`;
  return `${step}, ${back} ${back === 1 ? "step" : "steps"} before ${set?.kind === "earlier" ? steps.alone() : "the loss"}`;
}

function alsoCame({ path, share }, steps) {
  const by = path === "highway" ? "along" : "through";
  return share < 0 ? `what came ${by} ${wayOf(path, steps)} cancels ${percent(-share)}` : `${percent(share)} ${by} ${wayOf(path, steps)}`;
}

function plainStep(t, steps, { cut, format, formatName }) {
  const relative = steps.relative(t, cut), said = [where(t, steps)];
  if (!Number.isFinite(relative)) return `${said[0]}: no gradient comes here.`;
  if (steps.units) said[0] += `: ${partOf(relative)} at the loss is left in ${steps.chosen()}, ${percent(steps.part[t])} of what there is at this step`;
  else if (t !== steps.source) said[0] += `: ${partOf(relative)} arrives`;
  if (cut) said[0] += ` with ${wayOf(cut, steps)} cut, ${partOf(steps.relative(t))} without the cut`;
  const [first, second] = ways(t, steps);
  if (first && t !== steps.source && !cut) {
    const others = second && Math.abs(second.share) >= 0.02 ? `; ${alsoCame(second, steps)}` : "";
    said.push(`${percent(first.share)} of that came ${first.path === "highway" ? "along" : "through"} ${wayOf(first.path, steps)}${others}`);
  }
  const keeps = steps.facts.keeps, open = keeps ? steps.gate(keeps, t) : NaN;
  if (Number.isFinite(open)) said.push(`${steps.units && steps.unit_keep ? (steps.units.length > 1 ? "Their own" : "Its own") : "The"} ${roleOf(keeps, steps)} is ${open > 0.995 && open < 1 ? "more than 99 %" : percent(open)} open`);
  if (steps.cancellation && steps.cancellation[t] > 2.5 && !cut)
    said.push(`Much of it cancels: the single ways add up to ${steps.cancellation[t].toFixed(1)} times what is left`);
  if (steps.absolute(t, cut) < format) said.push(`In ${formatName} this rounds to zero, so nothing arrives`);
  return said.join(". ") + ".";
}

function expertStep(t, steps, { cut, format, formatName }) {
  const { memory: m, keeps } = steps.facts, { source } = steps, relative = steps.relative(t, cut);
  const said = [`${[steps.time, steps.alone()].filter(Boolean).map(part => `${part}, `).join("")}t = ${steps.number(t)}, lag ${source - t}`];
  if (!Number.isFinite(relative)) return `${said[0]}: no gradient.`;
  said.push(`|∂ℓ/∂${m}ₜ| = ${magnitude(relative)} of the source's, ${magnitude(steps.absolute(t, cut))} in itself`);
  if (cut) said.push(`path ${cut} cut, measured; uncut ${magnitude(steps.relative(t))}`);
  else if (t !== source) said.push("shares " + ways(t, steps).filter(way => Math.abs(way.share) >= 0.005).map(way => `${way.path} ${signed(way.share)}`).join(", "));
  if (steps.cancellation && !cut) said.push(`Σ|part| / |total| = ${steps.cancellation[t].toFixed(2)}`);
  if (steps.units) said.push(`${steps.chosen()}: ${signed(steps.part[t])} of |∂ℓ/∂${m}ₜ|²`);
  if (keeps) said.push(`mean ${keeps} = ${decimals(steps.gate(keeps, t))}`);
  if (steps.keep) {
    said.push(`timescale here ${timescale(steps.keep[t])}`);
    if (t < source) said.push(`product of the factor from the source ${magnitude(Math.log10(steps.kept(t + 1, source + 1)))}`);
  }
  if (steps.absolute(t, cut) < format) said.push(`zero in ${formatName}`);
  return said.join("; ") + ".";
}

function timescale(log) {
  if (log >= 0) return "without end";
  return `${Number((-1 / (log * Math.LN10)).toPrecision(2))} steps`;
}

// What a label says of an arrow: [name, lines].
function arrowInWords(path, t, steps, { cut, wording }) {
  const { share, cosine } = steps.arrow(path, t), to = steps.number(t), plain = wording !== "expert";
  const way = wayOf(path, steps), name = way[0].toUpperCase() + way.slice(1);
  const relative = steps.arrowRelative(path, t, cut);
  const from = path === "readout" ? `into step ${to}` : `step ${steps.number(t + 1)} → ${to}`;
  const lines = [[plain ? "strength (1 at the loss)" : "norm / source", magnitude(relative)]];
  if (!plain) lines.push(["norm", magnitude(relative + steps.reference)]);
  if (cut) lines.push([`with ${cut} cut`, "narrowed as the whole was measured to shrink; shares were not"]);
  else {
    lines.push([plain ? "part of what arrives" : "signed share", plain ? percent(share) : signed(share)]);
    if (steps.arrow_cosine) lines.push([plain ? "direction" : "cosine", plain ? direction(cosine) : signed(cosine)]);
  }
  return { name, from, lines };
}

function direction(cosine) {
  if (!Number.isFinite(cosine)) return "–";
  if (cosine < -0.2) return "against the whole: it cancels";
  return cosine > 0.7 ? "with the whole" : "across the whole";
}

function bundleInWords({ from, to }, steps, { cut }) {
  const numbers = [steps.number(from), steps.number(to - 1)];
  const lines = [["gradient, right to left", `${magnitude(steps.relative(to - 1, cut))} → ${magnitude(steps.relative(from, cut))}`]];
  if (steps.keep) lines.push(["memory kept over all of them", magnitude(Math.log10(steps.kept(from, to)))]);
  for (const path of steps.facts.paths) {
    const share = steps.meanShare(path, from, to);
    if (Math.abs(share) >= 0.005 && !cut) lines.push([`mean share of ${path}`, signed(share)]);
  }
  return { name: `Steps ${numbers[0]} to ${numbers[1]}`, from: `${to - from} steps; click to go there`, lines };
}

function gateInWords(name, t, steps) {
  const value = steps.gate(name, t), role = roleOf(name, steps), own = steps.units && steps.unit_keep && name === steps.facts.keeps;
  const lines = [[own ? `geometric mean over rows, ${steps.chosen()}` : steps.set?.kind === "row" ? "mean over units" : "mean over rows and units", decimals(value)]];
  if (name === steps.facts.keeps && steps.keep) lines.push(["alone, memory would last", timescale(steps.keep[t])]);
  return { name: role[0].toUpperCase() + role.slice(1), from: `step ${steps.number(t)}`, lines };
}

// A path's label: of one arrow, or of a bundle's whole stretch.
function arrowOrBundle(path, step, element, scene) {
  const { steps, state, cols } = scene, column = cols.find(c => !isFull(c) && step >= c.from - 1 && step < c.to - 1);
  if (path === "readout" || !column || element.querySelector(".stroke")) return arrowInWords(path, step, steps, state);
  const { from, to } = column, said = bundleInWords(column, steps, state);
  const share = steps.meanShare(path, Math.max(0, from - 1), to);
  const norms = [to - 1, Math.max(0, from - 1)].map(t => magnitude(steps.arrowRelative(path, t, state.cut)));
  return { ...said, name: `${path}: ${said.name.toLowerCase()}`, lines: [["norm / source, right to left", norms.join(" → ")], ["mean share", signed(share)]] };
}

function howToRead(steps, { wording, direction, cut }) {
  const { memory, keeps, rows, units, label } = steps.facts, expert = wording === "expert";
  const one = steps.set?.kind === "row", many = rows > 1 && !one;
  const over = `${many ? `median over ${rows} sequences` : one ? `${steps.alone()} of ${rows}` : "one sequence"}, ${direction === "content" ? `all ${units} units` : steps.chosen()}`;
  if (direction === "content") {
    return expert
      ? `Forward: share of ${memory} at the cursor that was written at each step, wₛ = iₛ ∏ fₘ; ${over}.`
      : `Time runs to the right. What the memory ${memory} holds at the cursor, by when it was written: the stream swells where something was added that is still there.`;
  }
  const some = apartInWords(steps) + (steps.units ? ` Only ${steps.chosen()}: strengths are relative to the whole gradient at the loss, shares to ${steps.units.length > 1 ? "their" : "its"} own part; the ports' levels are means of all units.` : "");
  const cutting = cut ? ` ${cut} is cut: totals are measured without it; the other streams shrink with the total, since their own shares were not measured.` : "";
  if (expert) {
    const dam = steps.keep ? ` Water: geometric mean of the factor of ${memory}${keeps ? `, dams: mean ${keeps}` : ""}; bundles: its product.` : "";
    return `Arrows: the exact parts of ∂ℓ/∂${memory}ₜ by path; width 1 px a decade of |part| / |source|, colour strength √|share|, dashed: share < 0.${dam} ${over[0].toUpperCase()}${over.slice(1)}.${cutting}${some}`;
  }
  if (!steps.keep) {
    return `Time runs to the right, the gradient flows back to the left. The ${label} has no channel for its memory: the gradient has to go through the same matrix at every step, and each time it gets weaker or stronger by about the same factor.${cutting}${some}`;
  }
  const gate = keeps ? `the ${roleOf(keeps, steps)}` : `what keeps ${memory}`, open = "as far open as it was on average";
  const dam = steps.facts.dammed
    ? ` Each dam is ${gate}, ${open}: what it lets through goes straight on to the step before.`
    : " Nothing dams it: the memory is kept whole at every step.";
  return `Time runs to the right, the gradient flows back to the left. The channel at the top is the memory ${memory}.${dam} The coloured ways below go through what the other gates read. A stream is a pixel thinner for every factor of ten that is lost.${cutting}${some}`;
}

// What is shown by itself, and what could be, of so much on one page.
function apartInWords(steps) {
  const { facts, set } = steps, { shown_rows: rows } = facts, said = [];
  if (steps.other && !set && !steps.units) said.push(`The dashed line in the strip is the gradient ${steps.other.time}.`);
  if (set?.kind === "row") said.push(`Only ${steps.alone()}: its own arrows, gates and losses.`);
  if (set?.kind === "earlier") said.push(`Only ${steps.alone()} is followed back, not those of other steps.`);
  if (rows.length && rows.length < facts.rows) said.push(`Of ${facts.rows} sequences ${rows.map(row => row + 1).join(", ")} can be shown alone.`);
  const left = [
    facts.units_left_out ? "single units" : "", facts.rows_left_out ? `${rows.length ? "more" : "single"} sequences` : "",
    facts.earlier_left_out ? `${facts.earlier_sources.length ? "more" : "single"} earlier losses` : "",
  ].filter(Boolean).join(", ");
  if (left) said.push(`${left[0].toUpperCase()}${left.slice(1)} are left out of so long a page.`);
  return said.map(sentence => ` ${sentence}`).join("");
}

// What is drawn, as a table: every column, oldest first.
function tableOf({ cols, steps, cut }) {
  const { paths, gates } = steps.facts;
  const header = ["step", "gradient / source", ...(cut ? [] : paths.map(path => `share ${path}`)), ...(steps.keep ? ["kept"] : []), ...gates.map(gate => `mean ${gate}`)];
  const rows = cols.map(({ from, to }) => {
    const single = to - from === 1, last = to - 1;
    const name = single ? String(steps.number(from)) : `${steps.number(from)} to ${steps.number(last)}`;
    const norm = single ? magnitude(steps.relative(from, cut)) : `${magnitude(steps.relative(from, cut))} to ${magnitude(steps.relative(last, cut))}`;
    const shares = cut ? [] : paths.map(path => signed(steps.meanShare(path, from, to)));
    const kept = steps.keep ? [magnitude(Math.log10(steps.kept(from, to)))] : [];
    return [name, norm, ...shares, ...kept, ...gates.map(gate => decimals(steps.meanGate(gate, from, to)))];
  });
  return { header, rows };
}

// What the memory holds after a step, by when it was written; single steps only where the pieces are that small.
function contentInWords(t, steps, { wording }) {
  const { memory } = steps.facts, [from, to] = steps.piece(t), own = steps.written(from, to, t), number = steps.number(t);
  let age = to - from;
  while (age < to && steps.written(to - age, to, t) < 0.5) age += 1;
  if (wording === "expert") {
    return `t = ${number}: share of ${memory}ₜ written ${to - from > 1 ? `in steps ${from} to ${to - 1}` : "at t"} ${decimals(own)}; half written within ${age} steps.`;
  }
  const when = to - from > 1 ? `in the ${to - from} steps around it` : "at this very step", half = age > to - from ? `, half of it in the last ${age} steps` : "";
  return `Step ${number}: of what the memory ${memory} holds now, ${percent(own)} was written ${when}${half}.`;
}
