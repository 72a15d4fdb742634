// The picture on the page: its controls, its keys, and what is told to who cannot see it.

class River {
  constructor(root) {
    this.root = root;
    this.find = selector => root.querySelector(selector);
    const payload = JSON.parse(this.find(".river-facts").textContent);
    this.G = payload.geometry;
    this.formats = payload.formats;
    this.facts = payload.records;
    this.before = payload.before;
    this.time = "after";
    this.blocks = [...root.querySelectorAll(".river-bytes")].map(block => block.textContent);
    this.opened = [];
    this.svg = this.find(".river-picture svg");
    this.mapSvg = this.find(".river-map svg");
    this.picture = this.find(".river-picture");
    this.map = this.find(".river-map");
    this.label = this.find(".river-label");
    this.state = { focus: 0, path: null, cut: null, direction: "gradient", wording: "plain" };
    this.pulse = new Pulse(this);
    this.choices = new Choices(this);
    this.open(0);
    this.controls();
    this.pointers();
    this.keys();
    this.wording();
    root.classList.add("live");
    this.resize();
    new ResizeObserver(() => this.resize()).observe(this.picture);
  }

  open(index) {
    this.pair = this.opened[index] ??= this.both(index);
    this.steps = this.pair[this.time];
    const { facts } = this.steps;
    this.state.cut = null;
    this.state.path = null;
    this.state.direction = "gradient";
    this.state.focus = Math.max(0, facts.source - 4);
    this.setFormat(this.formats[facts.dtype] ? facts.dtype : "float32");
    this.find(".river-direction").hidden = !this.steps.provenance;
    this.choices.fill();
    this.pathButtons();
    this.pulse.at = undefined;
  }

  // A layer after training, and before where that was given: each knows the other, to be drawn beside it.
  both(index) {
    const pair = { after: new Steps(this.facts[index], bytesOf(this.blocks[index])) }, was = this.before[index];
    if (was) {
      pair.before = new Steps(was, bytesOf(this.blocks[this.facts.length + index]));
      for (const [time, other] of [["before", "after"], ["after", "before"]]) Object.assign(pair[time], { time: `${time} training`, other: pair[other] });
    }
    return pair;
  }

  // The same step of the same layer, before or after training; what is shown by itself stays if it is there as well.
  turn(time) {
    const { state, choices } = this, chosen = choices.chosen(), { cut } = state;
    this.time = time;
    this.steps = this.pair[time];
    this.find(".river-time").setAttribute("aria-valuetext", this.steps.time);
    choices.fill();
    choices.again(chosen);
    const { facts } = this.steps;
    if (!chosen && facts.cuts.includes(cut)) state.cut = cut;
    if (!this.steps.provenance) state.direction = "gradient";
    this.find(".river-direction").hidden = !this.steps.provenance;
  }

  setFormat(name) {
    this.state.formatName = name;
    this.state.format = this.formats[name];
    this.find(".river-format").value = name;
  }

  // The width is asked for only when it may have changed: asking makes the browser lay out the page.
  resize() {
    const width = Math.max(260, Math.floor(this.picture.clientWidth));
    if (width === this.width) return;
    this.width = width;
    this.redraw();
  }

  redraw() {
    const { width } = this;
    this.scene = new Scene(this.steps, this.state, width, this.G);
    const { height } = this.scene.lane, extra = this.steps.facts.text ? this.G.token : 0;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height + extra}`);
    this.svg.setAttribute("height", height + extra);
    this.root.classList.toggle("content", this.state.direction === "content");
    this.svg.innerHTML = `${drawRiver(this.scene)}<g class="overlay"></g>`;
    this.overlay = this.svg.lastElementChild;
    this.redrawMap(width);
    this.say();
    this.pulse.draw();
  }

  redrawMap(width) {
    const { steps, state, mapSvg, G } = this, key = [steps.facts.name, width, state.cut, state.formatName, state.direction, steps.units, steps.alone(), steps.time].join();
    if (key !== this.mapKey) {
      this.mapKey = key;
      this.scale = new MapScale(steps, state, width, G);
      mapSvg.setAttribute("viewBox", `0 0 ${width} ${G.map_height}`);
      mapSvg.setAttribute("height", G.map_height);
      mapSvg.innerHTML = `<g></g>${mapGround(steps, state, this.scale)}<g class="overlay"></g>`;
      this.mapOverlay = mapSvg.lastElementChild;
    }
    mapSvg.firstElementChild.innerHTML = mapCursor(steps, state, this.scale, this.scene.cols);
  }

  say() {
    const text = stepInWords(this.state.focus, this.steps, this.state), { map, state, steps } = this;
    this.find(".river-words").textContent = text;
    map.setAttribute("aria-valuemin", 0);
    map.setAttribute("aria-valuemax", steps.T - 1);
    map.setAttribute("aria-valuenow", state.focus);
    map.setAttribute("aria-valuetext", `step ${steps.number(state.focus)}`);
    clearTimeout(this.speaking);
    this.speaking = setTimeout(() => { this.find(".river-spoken").textContent = text; }, 350);
    this.find(".river-how").textContent = howToRead(steps, state);
    const table = this.find(".river-table");
    if (table.open) this.fillTable();
    for (const button of this.root.querySelectorAll("[data-cut]")) {
      button.setAttribute("aria-pressed", String(button.dataset.cut === state.cut));
    }
    for (const button of this.root.querySelectorAll("[data-direction]")) {
      button.setAttribute("aria-pressed", String(button.dataset.direction === state.direction));
    }
  }

  fillTable() {
    const { header, rows } = tableOf(this.scene);
    const cells = (list, kind) => list.map(text => tag(kind, {}, escaped(text))).join("");
    this.find(".river-table table").innerHTML =
      `<thead><tr>${cells(header, "th")}</tr></thead><tbody>${rows.map(row => `<tr>${cells(row, "td")}</tr>`).join("")}</tbody>`;
  }

  moveTo(step) {
    const focus = Math.max(0, Math.min(this.steps.T - 1, step));
    if (focus === this.state.focus) return;
    this.state.focus = focus;
    this.state.path = null;
    this.hideLabel();
    this.redraw();
  }

  // A chip for each path: its hue and texture, its name, and, where a cut was measured, a button that makes it.
  pathButtons() {
    const { facts } = this.steps;
    this.find(".river-paths").innerHTML = facts.paths.map(path => {
      const swatch = `<svg class="swatch s${facts.hues[path]}" width="34" height="12" aria-hidden="true">${strokes("M1 6H33", 8)}</svg>`;
      const name = `${swatch}<span>${escaped(path)}</span>`;
      if (!facts.cuts.includes(path)) return `<span class="chip">${name}</span>`;
      if (this.steps.units || this.steps.set) return `<span class="chip" title="Cuts were measured of all units and sequences together, and of the last loss">${name}</span>`;
      return `<button type="button" class="chip" data-cut="${escaped(path)}" aria-pressed="false" title="Cut this path: the gradient as it was measured without it">${name}<b aria-hidden="true">✂</b><span class="unseen">: cut this path</span></button>`;
    }).join("");
  }

  controls() {
    const { state } = this, on = (selector, event, act) => this.find(selector)?.addEventListener(event, act);
    on(".river-layer", "change", event => { this.open(Number(event.target.value)); this.redraw(); });
    on(".river-format", "change", event => { this.setFormat(event.target.value); this.redraw(); });
    on(".river-time", "input", event => { this.turn(event.target.value === "0" ? "before" : "after"); this.redraw(); });
    on(".river-speed", "change", event => { this.pulse.speed = Number(event.target.value); });
    on(".river-play", "click", () => this.play());
    on(".river-table", "toggle", () => this.fillTable());
    this.root.addEventListener("click", event => {
      const cut = event.target.closest("[data-cut]"), direction = event.target.closest("[data-direction]");
      if (cut) state.cut = state.cut === cut.dataset.cut ? null : cut.dataset.cut;
      else if (direction) {
        state.direction = direction.dataset.direction;
        if (state.direction === "content") this.choices.choose("units", "");
        this.stop();
      }
      else return;
      this.redraw();
    });
  }

  play() {
    if (this.state.direction === "content") return;
    if (this.pulse.running) this.pulse.pause(); else this.pulse.start();
    this.played();
  }

  stop() { this.pulse.reset(); this.played(); }

  played() {
    const button = this.find(".river-play"), { running } = this.pulse;
    button.textContent = running ? "❚❚ Pause" : "▶ Play";
    button.setAttribute("aria-pressed", String(running));
    button.disabled = this.state.direction === "content";
  }

  pointers() {
    const { svg, mapSvg, map } = this;
    svg.addEventListener("click", event => {
      const target = event.target.closest("[data-from]");
      if (target) this.moveTo(Math.floor((Number(target.dataset.from) + Number(target.dataset.to) - 1) / 2));
    });
    svg.addEventListener("pointermove", event => this.point(event));
    this.picture.addEventListener("pointerleave", () => this.hideLabel());
    const scrub = event => this.moveTo(this.scale.step(event.clientX - mapSvg.getBoundingClientRect().left));
    map.addEventListener("pointerdown", event => { map.setPointerCapture(event.pointerId); scrub(event); });
    map.addEventListener("pointermove", event => { if (event.buttons) scrub(event); });
  }

  // The label of what lies under the pointer: a path, a gate, or a bundle.
  point(event) {
    const near = event.target.closest("[data-path], [data-gate], .target");
    if (!near) { this.hideLabel(); return; }
    const { path, gate, step, from, to } = near.dataset, { steps, state } = this;
    let said = null;
    if (path) said = arrowOrBundle(path, Number(step), near, this.scene);
    else if (gate) said = gateInWords(gate, Number(step), steps);
    else if (Number(to) - Number(from) > 1 && state.direction === "gradient") said = bundleInWords({ from: Number(from), to: Number(to) }, steps, state);
    if (said) this.showLabel(said, event.clientX, event.clientY); else this.hideLabel();
  }

  // Above a pointer, or with its upper edge at `below`.
  showLabel({ name, from, lines }, x, y, below) {
    const rows = lines.map(([what, value]) => `<dt>${escaped(what)}</dt><dd>${escaped(value)}</dd>`).join("");
    this.label.innerHTML = `<b>${escaped(name)}</b><span>${escaped(from)}</span><dl>${rows}</dl>`;
    this.label.hidden = false;
    const frame = this.picture.getBoundingClientRect(), { offsetWidth: w, offsetHeight: h } = this.label;
    this.label.style.left = `${Math.max(0, Math.min(frame.width - w, x - frame.left - w / 2))}px`;
    const above = y - frame.top - h - 16;
    this.label.style.top = `${below ? below - frame.top : above > -40 ? above : y - frame.top + 20}px`;
  }

  hideLabel() { this.label.hidden = true; }

  // Up and down go through the paths that arrive at the focused step.
  choose(by) {
    const { state, steps } = this, order = ["highway", ...steps.tracks, "readout"].filter(path => Number.isFinite(steps.arrow(path, state.focus)?.norm));
    const drawn = order.filter(path => steps.facts.paths.includes(path) && path !== state.cut);
    if (!drawn.length) return;
    const at = drawn.indexOf(state.path);
    state.path = drawn[at < 0 ? (by > 0 ? 0 : drawn.length - 1) : (at + by + drawn.length) % drawn.length];
    this.redraw();
    const chosen = this.svg.querySelector(".way.chosen"), said = arrowInWords(state.path, state.focus, steps, state);
    const place = (chosen ?? this.svg).getBoundingClientRect(), frame = this.picture.getBoundingClientRect();
    this.showLabel(said, place.left + place.width / 2, place.bottom, frame.bottom - 4);
    clearTimeout(this.speaking);
    this.find(".river-spoken").textContent = `${said.name}, ${said.from}. ${said.lines.map(pair => pair.join(": ")).join(". ")}.`;
  }

  keys() {
    const jump = () => Math.max(10, Math.round(this.steps.T / 20));
    const actions = {
      ArrowLeft: () => this.moveTo(this.state.focus - 1), ArrowRight: () => this.moveTo(this.state.focus + 1),
      PageUp: () => this.moveTo(this.state.focus - jump()), PageDown: () => this.moveTo(this.state.focus + jump()),
      Home: () => this.moveTo(0), End: () => this.moveTo(this.steps.T - 1),
      ArrowUp: () => this.choose(-1), ArrowDown: () => this.choose(1),
      Escape: () => { this.state.path = null; this.hideLabel(); this.redraw(); }, " ": () => this.play(),
    };
    for (const place of [this.picture, this.map]) {
      place.addEventListener("keydown", event => {
        const act = actions[event.key];
        if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        act();
      });
    }
  }

  // Plain or expert words: the page's choice where it makes one, else our own button's.
  wording() {
    const page = document.documentElement, own = this.find(".river-wording");
    const follow = wording => {
      if (wording !== "plain" && wording !== "expert") return;
      this.state.wording = wording;
      own.setAttribute("aria-pressed", String(wording === "expert"));
      if (this.scene) this.say();
    };
    own.hidden = "wording" in page.dataset;
    follow(page.dataset.wording);
    own.addEventListener("click", () => follow(this.state.wording === "plain" ? "expert" : "plain"));
    document.addEventListener("headgate:wording", event => { own.hidden = true; follow(event.detail?.wording ?? event.detail); });
    new MutationObserver(() => { own.hidden = "wording" in page.dataset; follow(page.dataset.wording); }).observe(page, { attributeFilter: ["data-wording"] });
  }
}

for (const root of document.querySelectorAll(".river:not(.live)")) root.river = new River(root);
