// A cell of the ablation matrix, chosen: what it did to each sequence, as sorted dots.
unpacked.then(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const WIDTH = 1060, HEIGHT = 190, LEFT = 62, RIGHT = 90, TOP = 12, BOTTOM = 40;
  const make = (name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const short = (value) => String(+value.toPrecision(3)).replace("-", "\u2212");
  // About five round ticks between two values.
  const ticks = (low, high) => {
    const rough = (high - low) / 5, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((part) => part * power >= rough * 0.999);
    const found = [];
    for (let k = Math.ceil(low / step); k * step <= high + 1e-12; k += 1) found.push(+(k * step).toPrecision(6));
    return found;
  };
  const sentence = (cell, unit) => {
    const of = `${cell.lose} of ${cell.tried} sequences lose by it`;
    const mean = `the mean is ${short(cell.mean)}${unit === "loss" ? " in loss" : ""}`;
    if (cell.worst === null) return `${of}; ${mean}.`;
    const tenth = cell.tenth === 1 ? "the one that loses most makes" : `the ${cell.tenth} that lose most make`;
    if (cell.worst > 1) return `${of}; ${mean}: what ${tenth.replace(/ makes?$/, "")} is more than all together, since others gain.`;
    return `${of}; ${mean}, of which ${tenth} up ${Math.round(100 * cell.worst)} % (${Math.round(100 * cell.tenth / cell.tried)} % if all lost alike).`;
  };
  const picture = (cell, unit) => {
    const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img" });
    const values = cell.effects, count = values.length;
    // As bad as chance is on the axis where anything comes near to it.
    const ends = [0, cell.mean, values[0], values[count - 1], ...(unit === "share" && values[count - 1] > 0.3 ? [1] : [])];
    let [low, high] = [Math.min(...ends), Math.max(...ends)];
    const pad = 0.05 * (high - low) || 0.5;
    [low, high] = [low - pad, high + pad];
    const x = (rank) => LEFT + ((rank + 0.5) / count) * (WIDTH - LEFT - RIGHT);
    const y = (value) => HEIGHT - BOTTOM - ((value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    for (const value of ticks(low, high)) {
      svg.append(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid" }));
      svg.append(make("text", { x: LEFT - 6, y: y(value) + 3.5, class: "tick", "text-anchor": "end" }, short(value)));
    }
    svg.append(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(0), y2: y(0), class: "zero" }));
    svg.append(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(cell.mean), y2: y(cell.mean), class: "level" }));
    svg.append(make("text", { x: WIDTH - RIGHT + 6, y: y(cell.mean) + 4, class: "note" }, "mean"));
    values.forEach((value, rank) => {
      const dot = make("circle", { cx: x(rank).toFixed(2), cy: y(value).toFixed(2), r: count > 120 ? 2.2 : 3.6, class: `dot ${cell.hue}` });
      dot.append(make("title", {}, `sequence ${cell.sequences[rank]}: ${short(value)}`));
      svg.append(dot);
    });
    const thinned = count < cell.tried ? `; ${count} of ${cell.tried} shown` : "";
    svg.append(make("text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 8, class: "title", "text-anchor": "middle" }, `sequences, by what each loses${thinned}`));
    const title = unit === "share" ? "of the way to chance" : "loss added";
    svg.append(make("text", { x: 14, y: (TOP + HEIGHT - BOTTOM) / 2, class: "title", "text-anchor": "middle", transform: `rotate(-90 14 ${(TOP + HEIGHT - BOTTOM) / 2})` }, title));
    svg.setAttribute("aria-label", sentence(cell, unit));
    return svg;
  };
  const table = (cell) => {
    const details = document.createElement("details"), body = document.createElement("table");
    details.append(Object.assign(document.createElement("summary"), { textContent: "These sequences as numbers" }));
    body.className = "numbers";
    const line = (kind, ...words) => {
      const row = document.createElement("tr");
      for (const word of words) row.append(Object.assign(document.createElement(kind), { textContent: word }));
      return row;
    };
    body.append(line("th", "sequence", "change"));
    cell.sequences.forEach((number, rank) => body.append(line("td", number, short(cell.effects[rank]))));
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Sequences as numbers");
    scroll.append(body);
    details.append(scroll);
    return details;
  };
  for (const data of document.querySelectorAll(".sequences-data")) {
    const figure = data.closest("figure"), place = figure.querySelector(".sequences");
    const { unit, cells } = JSON.parse(data.textContent);
    const hits = [...figure.querySelectorAll(".hit")].filter((hit) => cells[hit.dataset.cell]);
    // The rows and columns of cells are gone through by arrow keys; one of them is reached by Tab.
    const at = (row, column) => hits.find((hit) => hit.dataset.cell === `${row}-${column}`);
    const close = () => {
      place.hidden = true;
      place.replaceChildren();
      for (const hit of hits) hit.setAttribute("aria-pressed", "false");
    };
    const choose = (hit) => {
      const again = hit.getAttribute("aria-pressed") === "true", cell = cells[hit.dataset.cell];
      close();
      if (again) return;
      hit.setAttribute("aria-pressed", "true");
      const heading = Object.assign(document.createElement("h5"), { textContent: `${cell.gate}, ${cell.kind}: sequence by sequence` });
      const words = Object.assign(document.createElement("p"), { textContent: sentence(cell, unit) });
      const scroll = document.createElement("div");
      scroll.className = "scroll";
      scroll.append(picture(cell, unit));
      place.append(heading, words, scroll, table(cell));
      place.hidden = false;
    };
    const stand = (hit, focus) => {
      for (const other of hits) other.setAttribute("tabindex", other === hit ? "0" : "-1");
      if (focus) hit.focus();
    };
    for (const hit of hits) {
      const cell = cells[hit.dataset.cell];
      hit.setAttribute("role", "button");
      hit.setAttribute("aria-pressed", "false");
      hit.setAttribute("aria-label", `${cell.gate}, ${cell.kind}: show each sequence`);
      hit.classList.add("live");
      hit.addEventListener("click", () => { stand(hit, false); choose(hit); });
      hit.addEventListener("keydown", (event) => {
        const [row, column] = hit.dataset.cell.split("-").map(Number);
        const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (event.key === "Enter" || event.key === " ") choose(hit);
        else if (event.key === "Escape") close();
        else if (move) { const next = at(row + move[0], column + move[1]); if (next) stand(next, true); }
        else return;
        event.preventDefault();
        event.stopPropagation();
      });
    }
    if (hits.length) {
      stand(hits[0], false);
      // A picture that holds buttons is not one image to those who hear it.
      figure.querySelector("svg.chart").setAttribute("role", "group");
      figure.querySelector(".choose-cell").hidden = false;
    }
  }
});
