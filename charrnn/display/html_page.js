// Texts that are walked through character by character. All that is shown comes
// from the page's own data, and only as text: nothing here makes markup of it.

/** Turn base64 into bytes with a sign. */
function bytes(text) {
  return Int8Array.from(atob(text), (c) => c.charCodeAt(0));
}

class Explorer {
  constructor(root) {
    this.root = root;
    this.data = JSON.parse(root.querySelector("script").textContent);
    this.symbols = Array.from(this.data.text);
    this.tables = new Map(); // decoded when first looked at
    this.selected = 0;
    this.find = (part) => root.querySelector(`[data-part="${part}"]`);
    this.placeSymbols();
    this.listenToText();
    this.listenToControls();
    this.recolor();
  }

  /** Put every character into an element of its own. */
  placeSymbols() {
    const text = this.find("text");
    let line = 1, column = 1;
    this.places = [];
    this.cells = this.symbols.map((symbol, n) => {
      const cell = make("span", "c", this.data.glyphs[symbol] ?? symbol);
      cell.id = `${this.root.id}-${n}`;
      cell.setAttribute("role", "option");
      cell.setAttribute("aria-selected", "false");
      this.places.push([line, column++]);
      text.append(cell);
      if (symbol === "\n") {
        text.append("\n");
        line += 1;
        column = 1;
      }
      return cell;
    });
    this.numbers = new Map(this.cells.map((cell, n) => [cell, n]));
  }

  listenToText() {
    const text = this.find("text");
    text.addEventListener("keydown", (event) => this.walk(event));
    text.addEventListener("focus", () => this.select(this.selected));
    text.addEventListener("click", (event) => {
      if (this.numbers.has(event.target)) this.select(this.numbers.get(event.target));
    });
    text.addEventListener("pointerover", (event) => {
      if (this.numbers.has(event.target)) this.tell(this.numbers.get(event.target));
    });
    text.addEventListener("pointerleave", () => this.tell(this.selected));
  }

  listenToControls() {
    for (const part of ["by", "layer", "signal"]) {
      this.find(part)?.addEventListener("change", () => this.recolor());
    }
    const slider = this.find("slider"), field = this.find("unit");
    slider?.addEventListener("input", () => {
      field.value = slider.value;
      this.showUnits();
    });
    field?.addEventListener("input", () => {
      if (!field.checkValidity() || field.value === "") return;
      slider.value = field.value;
      this.showUnits();
    });
    for (const button of this.root.querySelectorAll("[data-best]")) {
      button.addEventListener("click", () => {
        const best = this.data.best[Number(button.dataset.best)];
        this.find("layer").value = best.layer;
        this.find("signal").value = best.signal;
        slider.value = field.value = best.unit;
        this.showUnits();
      });
    }
  }

  /** Color by units from now on: somebody has chosen one. */
  showUnits() {
    this.find("by").value = "unit";
    this.recolor();
  }

  /** Give every character the color of its number. */
  recolor() {
    const by = this.find("by").value === "unit" ? this.scale() : "bits";
    const values = by === "bits" ? [] : this.unitValues();
    const most = Math.max(0, ...values.map(Math.abs)) || 1;
    this.cells.forEach((cell, n) => {
      const level = by === "bits" && this.onlyRead(n) ? "read" : this.level(by, n, values[n], most);
      cell.className = `c ${level}${this.endsInput(n) ? " ends" : ""}`;
    });
    this.showLegend(by, most);
    this.tell(this.selected);
  }

  /** Tell whether a character belongs to an input, of a model of pairs. */
  onlyRead(n) {
    return this.data.scored !== null && !this.data.scored[n];
  }

  /** Tell whether an input ends with a character: an output begins behind it. */
  endsInput(n) {
    return this.data.scored !== null && this.symbols[n] === "\t";
  }

  /** Tell on which scale a unit is shown: around zero, but for gates from 0 to 1. */
  scale() {
    return ["h", "c"].includes(this.find("signal").value) ? "unit" : "gate";
  }

  /** Name the color of a character. */
  level(by, n, value, most) {
    if (by === "bits") return `h${this.heat(n)}`;
    if (by === "gate") return `h${Math.min(LEVELS - 1, Math.floor(value * LEVELS))}`;
    const level = Math.round((value / most) * (LEVELS - 1));
    return level < 0 ? `n${-level}` : `p${level}`;
  }

  /** Explain the scale that is in use. */
  showLegend(by, most) {
    for (const name of ["bits", "unit", "gate"]) {
      this.find(`${name}-legend`)?.toggleAttribute("hidden", name !== by);
    }
    if (by !== "unit") return;
    const digits = this.table().digits;
    this.find("unit-legend").querySelectorAll(".c").forEach((sample, n) => {
      sample.textContent = (most * (n / 2 - 1)).toFixed(digits);
    });
  }

  heat(n) {
    if (!this.data.bits) return 0;
    const bits = this.data.bits[n];
    return bits === null ? LEVELS - 1 : Math.min(LEVELS - 1, Math.floor(bits));
  }

  /** List what the chosen unit did. */
  unitValues() {
    const table = this.table();
    if (!table) return [];
    const count = this.symbols.length, start = this.chosen() * count;
    return Array.from(table.values.subarray(start, start + count), (v) => v * table.scale);
  }

  chosen() {
    return Number(this.find("slider").value);
  }

  /** Find the numbers of the chosen layer and signal. */
  table() {
    if (!this.data.units.length) return null;
    const layer = Number(this.find("layer").value), signal = this.find("signal").value;
    const key = `${layer} ${signal}`;
    if (!this.tables.has(key)) {
      const units = this.data.units.find((u) => u.layer === layer && u.signal === signal);
      this.tables.set(key, {
        values: bytes(units.values),
        scale: 10 ** units.step,
        digits: Math.max(0, -units.step),
        key: `${signal} of unit`,
        layer,
      });
    }
    return this.tables.get(key);
  }

  /** Move through the text by keys. */
  walk(event) {
    if (event.altKey || event.metaKey) return;
    const last = this.cells.length - 1;
    const moves = {
      ArrowLeft: () => this.selected - 1,
      ArrowRight: () => this.selected + 1,
      ArrowUp: () => this.neighbor(-1),
      ArrowDown: () => this.neighbor(1),
      Home: () => (event.ctrlKey ? 0 : this.edge(-1)),
      End: () => (event.ctrlKey ? last : this.edge(1)),
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    this.select(Math.max(0, Math.min(last, moves[event.key]())));
  }

  /** Find the character above or below, as rows are on the screen. */
  neighbor(way) {
    const here = this.cells[this.selected];
    let row = null, best = this.selected, gap = Infinity;
    for (let n = this.selected + way; n >= 0 && n < this.cells.length; n += way) {
      const { offsetTop, offsetLeft } = this.cells[n];
      if (Math.abs(offsetTop - here.offsetTop) < 4) continue;
      row ??= offsetTop;
      if (Math.abs(offsetTop - row) >= 4) break;
      if (Math.abs(offsetLeft - here.offsetLeft) < gap) {
        gap = Math.abs(offsetLeft - here.offsetLeft);
        best = n;
      }
    }
    return best;
  }

  /** Find the end of the row on the screen. */
  edge(way) {
    let n = this.selected;
    const top = this.cells[n].offsetTop;
    while (this.cells[n + way] && Math.abs(this.cells[n + way].offsetTop - top) < 4) n += way;
    return n;
  }

  select(n) {
    this.cells[this.selected].setAttribute("aria-selected", "false");
    this.selected = n;
    this.cells[n].setAttribute("aria-selected", "true");
    this.find("text").setAttribute("aria-activedescendant", this.cells[n].id);
    this.cells[n].scrollIntoView({ block: "nearest" });
    this.tell(n);
  }

  /** Say what is known of a character. */
  tell(n) {
    const [line, column] = this.places[n], symbol = this.symbols[n];
    this.find("char").textContent = this.data.names[symbol] ?? symbol;
    this.find("place").textContent = `line ${line}, column ${column}, character ${n + 1}`;
    this.tellBits(n);
    this.tellUnit(n);
    this.tellGuesses(n);
  }

  tellBits(n) {
    const place = this.find("bits");
    if (!place) return;
    const bits = this.data.bits[n], none = this.onlyRead(n) ? "only read" : "infinite";
    place.textContent = bits === null ? none : bits.toFixed(4);
  }

  tellUnit(n) {
    const place = this.find("value"), table = this.table();
    if (!place || !table) return;
    const value = table.values[this.chosen() * this.symbols.length + n] * table.scale;
    place.textContent = value.toFixed(table.digits);
    this.find("value-name").textContent = `${table.key} ${this.chosen()}`;
  }

  tellGuesses(n) {
    const list = this.find("guesses");
    if (!list) return;
    const [rank, share, symbols, shares] = this.data.guesses[n];
    const place = rank === null ? "only read" : `${rank} (${this.percent(share)})`;
    this.find("rank").textContent = place;
    const rows = Array.from(symbols).map((symbol, k) => {
      const row = make("tr", symbol === this.symbols[n] ? "hit" : "");
      const bar = make("span", "bar");
      bar.style.width = `${shares[k]}%`;
      const room = make("td", "room");
      room.append(bar);
      row.append(
        make("td", "glyph", this.data.names[symbol] ?? symbol),
        make("td", "number", this.percent(shares[k])),
        room,
      );
      return row;
    });
    list.replaceChildren(...rows);
  }

  percent(share) {
    return share < 0.005 ? "<0.01 %" : `${share.toFixed(2)} %`;
  }
}

for (const root of document.querySelectorAll(".explorer")) new Explorer(root);
