unpacked.then(() => {
  const root = document.documentElement;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // --- choices: wording, colours, layer ---
  for (const input of all("input[name=wording]")) {
    input.addEventListener("change", () => { root.dataset.wording = input.value; });
  }
  for (const input of all("input[name=theme]")) {
    input.addEventListener("change", () => {
      if (input.value === "auto") delete root.dataset.theme; else root.dataset.theme = input.value;
    });
  }
  const tabs = all("[role=tab]");
  const panels = tabs.map((tab) => document.getElementById(tab.getAttribute("aria-controls")));
  // The picture of the network shows the same layer, where it has it.
  const follow = (name) => {
    const select = one(".river-layer");
    const option = select && [...select.options].find((choice) => choice.textContent.startsWith(`${name} (`));
    if (!option || option.selected) return;
    option.selected = true;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const choose = (number, focus) => {
    tabs.forEach((tab, k) => {
      tab.setAttribute("aria-selected", String(k === number));
      tab.tabIndex = k === number ? 0 : -1;
      panels[k].hidden = k !== number;
    });
    if (focus) tabs[number].focus();
    follow(tabs[number].dataset.name);
  };
  const reveal = (id) => {
    const target = id && document.getElementById(id);
    const panel = target && target.closest("[role=tabpanel]");
    if (!panel) return;
    choose(panels.indexOf(panel), false);
    target.scrollIntoView();
  };
  if (tabs.length) {
    one("[role=tablist]").hidden = false;
    tabs.forEach((tab, k) => {
      tab.addEventListener("click", () => choose(k, false));
      tab.addEventListener("keydown", (event) => {
        const last = tabs.length - 1;
        const to = { ArrowRight: k === last ? 0 : k + 1, ArrowLeft: k === 0 ? last : k - 1, Home: 0, End: last }[event.key];
        if (to === undefined) return;
        event.preventDefault();
        choose(to, true);
      });
    });
    choose(0, false);
    addEventListener("hashchange", () => reveal(decodeURIComponent(location.hash.slice(1))));
    for (const link of all("[data-layer]")) link.addEventListener("click", () => reveal(link.dataset.layer));
    reveal(decodeURIComponent(location.hash.slice(1)));
  }

  // --- tables to the clipboard ---
  for (const button of all("button.copy")) {
    button.addEventListener("click", async () => {
      const table = one("table", button.closest("details"));
      const text = [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent).join("\t")).join("\n");
      const usual = button.textContent;
      let done = false;
      try { await navigator.clipboard.writeText(text); done = true; } catch {
        getSelection().selectAllChildren(table);
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Marked: press Ctrl+C";
      setTimeout(() => { button.textContent = usual; }, 1600);
    });
  }

  // --- reading values off a chart: the axes tell how a place becomes a number ---
  const data = JSON.parse(one("#watch-data").textContent);
  const steps = new Map();
  const colours = atob(data.palette);
  for (let k = 0; k * 3 < colours.length; k += 1) {
    steps.set((colours.charCodeAt(3 * k) << 16) | (colours.charCodeAt(3 * k + 1) << 8) | colours.charCodeAt(3 * k + 2), k);
  }
  const even = { lag: Math.log1p, log: Math.log10, power: (v) => v, linear: (v) => v, logit: (v) => Math.log(v / (1 - v)) };
  const back = { lag: Math.expm1, log: (v) => 10 ** v, power: (v) => v, linear: (v) => v, logit: (v) => 1 / (1 + Math.exp(-v)) };
  const axis = (told) => {
    const [kind, low, high, start, end, ...words] = told.split(" ");
    const [a, b] = [even[kind](+low), even[kind](+high)];
    const value = (at) => back[kind](a + ((at - start) / (end - start)) * (b - a));
    const place = (v) => +start + ((even[kind](v) - a) / (b - a)) * (end - start);
    return { kind, words: words.join(" "), value, place };
  };
  const short = (value) => {
    if (!Number.isFinite(value)) return "none";
    if (value === 0) return "0";
    const size = Math.abs(value);
    return size >= 1e5 || size < 1e-3 ? value.toExponential(1) : String(+value.toPrecision(3));
  };
  const told = (kind, value) => {
    if (kind === "lag") return String(Math.round(value));
    if (kind !== "power") return short(value);
    if (value > -3 && value < 5) return short(10 ** value);
    const whole = Math.floor(value);
    return `${(10 ** (value - whole)).toFixed(1)}e${whole}`;
  };
  const linePoints = new WeakMap();
  const pointsOf = (path) => {
    if (!linePoints.has(path)) {
      linePoints.set(path, path.getAttribute("d").slice(1).split("L").map((pair) => pair.split(" ").map(Number)));
    }
    return linePoints.get(path);
  };
  // A line's height at a place, straight between its points; nothing beyond its ends.
  const along = (points, x) => {
    const next = points.findIndex(([at]) => at >= x - 0.02);
    if (next < 0 || (next === 0 && points[0][0] > x + 2)) return null;
    if (next === 0) return points[0][1];
    const [[x0, y0], [x1, y1]] = [points[next - 1], points[next]];
    return x1 === x0 ? y1 : y0 + ((Math.min(x, x1) - x0) / (x1 - x0)) * (y1 - y0);
  };
  const pixels = new WeakMap();
  const pixelsOf = (image) => {
    if (!pixels.has(image)) {
      pixels.set(image, null);
      const picture = new Image();
      picture.onload = () => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
        const context = canvas.getContext("2d");
        context.drawImage(picture, 0, 0);
        pixels.set(image, context.getImageData(0, 0, canvas.width, canvas.height));
      };
      picture.src = image.getAttribute("href");
    }
    return pixels.get(image);
  };
  const cell = (image, part, down) => {
    const found = pixelsOf(image);
    if (!found) return null;
    const column = Math.min(found.width - 1, Math.floor(part * found.width));
    const row = Math.min(found.height - 1, Math.floor(down * found.height));
    const at = 4 * (row * found.width + column);
    if (found.data[at + 3] === 0) return NaN;
    const step = steps.get((found.data[at] << 16) | (found.data[at + 1] << 8) | found.data[at + 2]);
    const { low, high } = image.dataset;
    return step === undefined ? NaN : +low + (step / 254) * (high - low);
  };
  const read = (panel, x, y) => {
    const [left, top, right, bottom] = panel.dataset.box.split(" ").map(Number);
    if (x < left || x > right || y < top || y > bottom) return null;
    const [across, up] = [axis(panel.dataset.x), axis(panel.dataset.y)];
    // Lags and steps are whole numbers: what is read stands at the nearest one.
    if (across.kind === "lag" || /step$/.test(across.words)) x = across.place(Math.round(across.value(x)));
    const words = [`${across.words || "x"}: ${told(across.kind, across.value(x))}`];
    const image = one("image.heat", panel);
    if (image) {
      const value = cell(image, (x - left) / (right - left), (y - top) / (bottom - top));
      if (up.words) words.push(`${up.words}: ${told(up.kind === "linear" ? "lag" : up.kind, up.value(y))}`);
      if (value !== null) words.push(`${image.dataset.name}: ${short(value)}`);
    }
    for (const path of all("path.line[data-name]", panel)) {
      const height = along(pointsOf(path), x);
      if (height !== null) words.push(`${path.dataset.name}: ${told(up.kind, up.value(height))}`);
    }
    // How strong a row of the picture is along its length, from 0 to 1: text beneath it is shaded so.
    const row = image && /loss/.test(up.words) ? (part) => {
      const value = cell(image, part, (y - top) / (bottom - top));
      return value === null ? NaN : (value - image.dataset.low) / (image.dataset.high - image.dataset.low);
    } : null;
    return { words, x, top, bottom, row, step: across.value(x), kind: across.words };
  };
  const readout = one("#readout");
  let cursor = null;
  const hide = () => {
    readout.hidden = true;
    if (cursor) cursor.remove();
    cursor = null;
    for (const token of all(".tokens .on")) token.classList.remove("on");
    for (const token of all(".tokens span[style]")) token.removeAttribute("style");
  };
  const show = (chart, x, y) => {
    const found = all(".panel[data-box]", chart).map((panel) => read(panel, x, y)).find(Boolean);
    if (!found) { hide(); return; }
    if (!cursor || cursor.ownerSVGElement !== chart) {
      if (cursor) cursor.remove();
      cursor = chart.appendChild(document.createElementNS("http://www.w3.org/2000/svg", "line"));
      cursor.setAttribute("class", "cursor");
    }
    for (const [name, value] of [["x1", found.x], ["x2", found.x], ["y1", found.top], ["y2", found.bottom]]) cursor.setAttribute(name, value);
    readout.textContent = found.words.join("\n");
    readout.hidden = false;
    const place = new DOMPoint(x, y).matrixTransform(chart.getScreenCTM());
    const { width, height } = readout.getBoundingClientRect();
    readout.style.left = `${Math.max(4, place.x + 16 + width > innerWidth ? place.x - width - 16 : place.x + 16)}px`;
    readout.style.top = `${Math.max(4, Math.min(innerHeight - height - 4, place.y + 12))}px`;
    light(chart, found);
  };
  const light = (chart, found) => {
    const tokens = one(".tokens", chart.closest("figure"));
    if (!tokens || !/step/.test(found.kind)) return;
    for (const token of all(".on", tokens)) token.classList.remove("on");
    const token = tokens.children[Math.round(found.step)];
    if (token) token.classList.add("on");
    if (!found.row) return;
    [...tokens.children].forEach((mark, step) => {
      const part = found.row(step / Math.max(tokens.children.length, 1));
      mark.style.background = Number.isFinite(part) ? `color-mix(in srgb, var(--c0) ${Math.round(70 * part)}%, transparent)` : "";
    });
  };
  // As far as a key moves the cursor: some pixels, but at least to the next whole lag or step.
  const further = (panel, x, direction, size) => {
    const across = axis(panel.dataset.x);
    const [here, there] = [across.value(x), across.value(x + direction * size)].map(Math.round);
    const whole = across.kind === "lag" || /step$/.test(across.words);
    return whole && direction && here === there ? across.place(here + direction) : x + direction * size;
  };
  for (const chart of all("figure svg.chart")) {
    for (const image of all("image.heat", chart)) chart.addEventListener("pointerenter", () => pixelsOf(image));
    chart.addEventListener("pointermove", (event) => {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
      show(chart, place.x, place.y);
    });
    chart.addEventListener("pointerleave", hide);
    const holder = chart.closest(".scroll");
    const first = one(".panel[data-box]", chart);
    if (!first) { holder.removeAttribute("tabindex"); continue; }
    const [left, top, right, bottom] = first.dataset.box.split(" ").map(Number);
    let [x, y] = [left, (top + bottom) / 2];
    holder.addEventListener("focus", () => all("image.heat", chart).forEach(pixelsOf));
    holder.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (event.key === "Escape") { hide(); return; }
      if (!move || event.target !== holder) return;
      event.preventDefault();
      const size = event.shiftKey ? 20 : 4;
      x = Math.min(right, Math.max(left, further(first, x, move[0], size)));
      y = Math.min(bottom, Math.max(top, y + move[1] * size));
      show(chart, x, y);
    });
    holder.addEventListener("blur", hide);
  }
  document.body.dataset.ready = "yes";
});
