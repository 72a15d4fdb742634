// What may be shown by itself: some units, one sequence, an earlier loss; one of these at a time, since each was
// measured with the others left together.

const APART = ["units", "row", "earlier"];

class Choices {
  constructor(view) {
    this.view = view;
    this.selects = Object.fromEntries(APART.map(kind => [kind, view.find(`.river-${kind}`)]));
    for (const kind of APART) this.selects[kind].addEventListener("change", event => { this.choose(kind, event.target.value); view.redraw(); });
  }

  // What there is to choose of these steps; a list of one thing is not shown.
  fill() {
    const { steps } = this.view, { top, facts } = steps;
    const several = [2, 4, 8].filter(count => count <= top.length).map(count => [...Array(count).keys()]);
    steps.turnTo(null);
    this.put("units", `all ${facts.units}`, [...several, ...top.map((_, k) => [k])].map(units => {
      const name = units.length > 1 ? `strongest ${units.length}` : `unit ${top[units[0]]}`;
      return [units.join(), `${name} (${percent(steps.meanPart(units))})`];
    }));
    this.put("row", `all ${facts.rows} (median)`, facts.shown_rows.map((row, k) => [k, String(row + 1)]));
    this.put("earlier", facts.ends_differ ? "the last step of each" : `step ${steps.number(facts.source)} (the last)`, facts.earlier_sources.map((_, k) => [k, steps.lossAt(k)]));
  }

  put(kind, usual, options) {
    const select = this.selects[kind];
    select.closest("label").hidden = !options.length;
    select.innerHTML = [["", usual], ...options].map(([value, text]) => `<option value="${value}">${escaped(text)}</option>`).join("");
    select.value = "";
  }

  // The kind that is shown by itself and what its list calls it; null for everything together.
  chosen() {
    const kind = APART.find(one => this.selects[one].value !== "");
    return kind ? { kind, text: this.selects[kind].selectedOptions[0].textContent } : null;
  }

  // The same once more of other steps, or everything together where these have no such one.
  again(chosen) {
    const option = chosen && [...this.selects[chosen.kind].options].find(one => one.textContent === chosen.text);
    this.choose(chosen ? chosen.kind : "units", option ? option.value : "");
  }

  // One of a kind, or with "" everything together; the other kinds go back to all. Cuts were measured of everything
  // together, so there is none of what is shown by itself.
  choose(kind, value) {
    const { view } = this, { steps, state } = view;
    for (const [other, select] of Object.entries(this.selects)) select.value = other === kind ? value : "";
    steps.turnTo(kind === "units" || value === "" ? null : { kind, k: Number(value) });
    if (kind === "units" && value !== "") steps.choose(value.split(",").map(Number));
    state.cut = null;
    state.path = null;
    if (state.focus > steps.source) state.focus = Math.max(0, steps.source - 4);
    view.pathButtons();
    view.stop();
  }
}
