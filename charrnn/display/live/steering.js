// Units that follow something in the text, and units that are held at a value.

class Steering {
  /** @param {LivePage} page */
  constructor(page) {
    this.page = page;
    /** @type {Array<{layer: number, unit: number, slider: HTMLInputElement}>} */
    this.kept = [];
    this.needed = 0; // ids of the text that chose units, whose halves a proof relies on
    // The question waits until all of the text is read: half of it is to choose.
    page.find("follow").addEventListener("click", () => page.send({ kind: "follow", place: page.editor.ids.length }));
    page.find("hold").addEventListener("click", () => {
      const [layer, unit] = page.chosen();
      this.hold(layer, unit);
    });
  }

  /** List what is held, layer by layer; null for nothing. */
  held() {
    if (!this.kept.length) return null;
    return Array.from({ length: this.page.facts.layers }, (_, k) =>
      this.kept.filter(({ layer }) => layer === k).map(({ unit, slider }) => [unit, Number(slider.value)]),
    );
  }

  /**
   * Hold a unit from now on.
   * @param {number} layer
   * @param {number} unit
   */
  hold(layer, unit) {
    if (this.kept.some((one) => one.layer === layer && one.unit === unit)) return;
    const row = make("label", "slide"), slider = make("input", ""), shown = make("output", "number", "1.00");
    Object.assign(slider, { type: "range", min: "-1", max: "1", step: "0.05", value: "1" });
    const button = make("button", "", "Let go");
    button.type = "button";
    const one = { layer, unit, slider };
    slider.addEventListener("input", () => (shown.textContent = Number(slider.value).toFixed(2)));
    slider.addEventListener("change", () => this.again());
    button.addEventListener("click", () => {
      this.kept = this.kept.filter((other) => other !== one);
      row.remove();
      this.again();
    });
    this.kept.push(one);
    row.append(`Layer ${layer}, unit ${unit}`, slider, shown, button);
    this.page.find("held").append(row);
    slider.focus();
    this.again();
  }

  /** Let what is held take effect on what is being written. */
  again() {
    if (!this.page.writing) return;
    this.page.halt();
    setTimeout(() => this.page.write(), 50);
  }

  /** @param {any} message */
  hear(message) {
    if (message.kind === "follow") this.list(message);
    else if (message.kind === "prove") this.proved(message);
  }

  /**
   * List the units that follow something.
   * @param {{best: Array<{feature: string, layer: number, unit: number, correlation: number}>, count: number}} found
   */
  list({ best, count }) {
    this.needed = 2 * count;
    const note = best.length
      ? `Chosen by correlation over the first ${count.toLocaleString("en")} characters, half of the text.`
      : "No unit follows any of these here: a longer text with quotes, brackets or lines would show more.";
    this.page.find("followed").textContent = note;
    const rows = best.map(({ feature, layer, unit, correlation: r }) => {
      const row = make("tr", ""), acts = make("td", "acts"), result = make("td", "result");
      const act = (/** @type {string} */ name, /** @type {() => void} */ todo) => {
        const button = make("button", "", name);
        button.type = "button";
        button.setAttribute("aria-label", `${name}: ${feature}`);
        button.addEventListener("click", todo);
        acts.append(button);
      };
      act("show", () => this.page.choose(layer, unit, true));
      act("hold", () => this.hold(layer, unit));
      act("prove it", () => this.page.send({ kind: "prove", feature, layer, unit }));
      result.dataset.proof = feature;
      const shown = r.toFixed(2).replace("-", "\u2212");
      row.append(make("td", "", feature), make("td", "", `layer ${layer}, unit ${unit}`), make("td", "number", shown), acts, result);
      return row;
    });
    this.page.find("followers").replaceChildren(...rows);
    this.page.find("followers-table").hidden = !rows.length;
  }

  /**
   * Drop the list of units where the text that chose them has changed: a proof could
   * be made on what chose them.
   * @param {number} same ids that are as they were
   */
  changed(same) {
    if (same >= this.needed) return;
    this.needed = 0;
    this.page.find("followed").textContent = "The text has changed: find units anew.";
    this.page.find("followers").replaceChildren();
    this.page.find("followers-table").hidden = true;
  }

  /** @param {any} found */
  proved({ feature, right, chance, threshold, above, parted, tested }) {
    const what = parted === null ? feature : `${feature} above ${parted}`;
    const way = above ? "above" : "below";
    const text = `${what}: right for ${(100 * right).toFixed(1)} % of the other ${tested.toLocaleString("en")} characters ` +
      `(unit ${way} ${threshold.toFixed(2)}); always the commoner answer: ${(100 * chance).toFixed(1)} %`;
    const place = document.querySelector(`[data-proof="${CSS.escape(feature)}"]`);
    if (place) place.textContent = text;
  }
}
