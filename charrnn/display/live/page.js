// The page: what people do, asked of the engine; what it tells, shown. All texts stay
// texts: nothing here makes markup of them.

/** Milliseconds before a step is drawn that may be passed by. */
const PAUSE = 80;

/** Characters at which writing ends: the page is not made for more. */
const LONGEST = 50000;

class LivePage {
  /** @param {string} program this script, for the worker */
  constructor(program) {
    /** @type {(part: string) => any} */
    this.find = (part) => document.querySelector(`[data-part="${part}"]`);
    this.data = JSON.parse(this.find("data").textContent);
    this.facts = this.data.facts;
    this.vocabulary = new Vocabulary(this.facts.symbols, this.facts.unit);
    this.editor = new Editor(this.find("back"), this.find("field"), this.vocabulary);
    this.editor.styleOf = (n) => this.styleOf(n);
    this.decoder = new Decoder(this.vocabulary);
    /** @type {number[]} nats of each id that was read */
    this.nats = [];
    this.version = 0;
    this.looked = -1; // the character that is looked at
    this.writing = false;
    this.following = false; // whether the end is to be seen once more after writing
    this.written = ""; // the seed and the text that writing stopped at
    this.writtenVersion = 0; // of the text that it began with
    this.began = this.count = 0; // when writing began, and what was written since
    this.timer = 0;
    /** @type {number[]} ids that were written and are no whole character yet */
    this.pendingIds = [];
    /** @type {{first: number, levels: number[]}|null} what the looked at character hung on */
    this.hung = null;
    /** @type {Float32Array|null} */
    this.path = null;
    this.most = 1; // of the path
    /** @type {any} the newest step that was told */
    this.step = null;
    this.steering = new Steering(this);
    const weights = this.find("weights").textContent;
    this.send = startEngine(program, { kind: "model", facts: this.facts, weights }, (m) => this.hear(m));
    this.listen();
    this.editor.field.value = this.data.text;
    this.edited();
    this.editor.caret = this.editor.chars.length;
    this.look(this.editor.chars.length - 1);
  }

  listen() {
    const { field } = this.editor;
    field.addEventListener("beforeinput", () => this.editor.settle());
    field.addEventListener("input", () => this.edited());
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Enter" && event.ctrlKey) this.toggle();
      if (event.key === "Escape") this.halt();
    });
    document.addEventListener("selectionchange", () => {
      if (document.activeElement === field) this.look(this.editor.caret - 1);
    });
    field.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
      const n = this.writing || event.buttons ? -1 : this.editor.at(event.clientX, event.clientY);
      if (n >= 0) this.look(n);
    });
    field.addEventListener("pointerleave", () => this.look(this.editor.caret - 1));
    this.find("write").addEventListener("click", () => this.toggle());
    this.find("clear").addEventListener("click", () => {
      this.halt();
      field.value = "";
      this.edited();
      field.focus();
    });
    for (const name of ["temperature", "top-p"]) this.couple(`${name}-slide`, name);
    for (const part of ["by", "layer", "unit"]) {
      this.find(part).addEventListener("input", () => this.recolor());
    }
    this.find("lesson").addEventListener("toggle", () => this.askStep());
    this.find("table").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const way = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
      if (way) {
        event.preventDefault();
        this.walk(way);
      }
    });
    this.find("before").addEventListener("click", () => this.walk(-1));
    this.find("after").addEventListener("click", () => this.walk(1));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.showStep());
    addEventListener("resize", () => this.showStep());
  }

  /**
   * Let a slider and a number follow one another.
   * @param {string} slider
   * @param {string} field
   */
  couple(slider, field) {
    const one = this.find(slider), other = this.find(field);
    one.addEventListener("input", () => (other.value = one.value));
    other.addEventListener("input", () => (one.value = other.value));
  }

  /** Take over what was typed. */
  edited() {
    if (this.writing) this.halt();
    const same = this.editor.parse(), first = this.editor.firsts[same];
    this.nats = this.nats.slice(0, first);
    this.steering.changed(first);
    if (!this.editor.ids.length) this.say("");
    this.decoder.pending = [];
    this.pendingIds = [];
    this.hung = null;
    this.version += 1;
    this.sendText(this.editor.ids);
    const unknown = Array.from(new Set(this.editor.unknown), (char) => this.name(char));
    this.find("unknown").textContent = unknown.length
      ? `Not known to the model, and left out: ${unknown.slice(0, 12).join(" ")}`
      : "";
    this.look(this.editor.caret - 1);
    this.askNext();
  }

  /**
   * Give the engine another text. What it tells of the one before is not listened to any
   * more, so it learns how much of the beginning has arrived.
   * @param {number[]} ids
   */
  sendText(ids) {
    this.send({ kind: "text", version: this.version, ids: Int32Array.from(ids), known: this.nats.length });
  }

  toggle() {
    if (this.writing) this.halt();
    else this.write();
  }

  /** Let the model write on. */
  write() {
    this.editor.settle();
    const { separator, start } = this.facts, number = (/** @type {string} */ part) => Number(this.find(part).value);
    if (separator !== null) {
      const last = this.editor.ids.slice(this.editor.ids.lastIndexOf(start) + 1);
      if (!last.includes(separator)) {
        this.editor.append([["\t", [separator]]]);
        this.editor.settle();
        this.edited();
      }
    }
    const now = this.find("seed").value + "\n" + this.editor.field.value;
    const left = LONGEST - this.editor.ids.length;
    if (left <= 0) {
      this.say(`The page has no room for more than ${LONGEST.toLocaleString("en")} characters.`);
      return;
    }
    this.editor.caret = this.editor.chars.length;
    this.send({
      kind: "write",
      seed: Math.max(0, Math.floor(number("seed"))),
      goOn: now === this.written,
      left,
      held: this.steering.held(),
      filters: {
        temperature: number("temperature"),
        topP: number("top-p"),
        topK: number("top-k"),
        typical: number("typical"),
        minP: number("min-p"),
        banned: separator === null ? [] : [separator],
      },
    });
    this.began = performance.now();
    this.count = 0;
    this.writtenVersion = this.version;
  }

  halt() {
    this.send({ kind: "stop" });
  }

  /** @param {any} message */
  hear(message) {
    const { kind } = message;
    if (kind === "read") requestAnimationFrame(() => this.send({ kind: "heard" }));
    if (kind === "ready") document.body.dataset.ready = "yes";
    else if (kind === "writing") this.showWriting(message.on);
    else if (kind === "trouble") this.say("The model's numbers are too large to choose from.");
    else if (message.version !== this.version) return;
    else if (kind === "read") this.showRead(message);
    else if (kind === "look") this.showLook(message);
    else if (kind === "next") this.showNext(message);
    else if (kind === "hung") this.showHung(message);
    else if (kind === "path") this.showPath(message);
    else if (kind === "step") this.showStep(message);
    else this.steering.hear(message);
  }

  /** @param {boolean} on */
  showWriting(on) {
    this.writing = on;
    this.find("write").textContent = on ? "Stop" : "Write";
    this.find("next").hidden = on;
    if (on) return;
    this.editor.settle();
    const now = this.find("seed").value + "\n" + this.editor.field.value;
    this.written = this.writtenVersion === this.version ? now : "";
    this.following = true;
    this.look(this.editor.chars.length - 1);
    this.askNext();
  }

  /** @param {{first: number, nats: Float32Array, ids: number[]|null, from: number, done: number, total: number}} news */
  showRead({ first, nats, ids, from, done, total }) {
    if (ids) this.append(ids.slice(this.editor.ids.length + this.decoder.pending.length - from));
    for (let n = 0; n < nats.length; n += 1) this.nats[first + n] = nats[n];
    this.editor.redraw(this.editor.charOf(first), this.editor.charOf(done));
    if (this.writing && ids) {
      this.count += ids.length;
      const speed = (1000 * this.count) / (performance.now() - this.began);
      if (this.count > 20) this.say(`${Math.round(speed).toLocaleString("en")} characters a second`);
      this.follow();
    } else {
      const far = done < total ? `Read ${done.toLocaleString("en")} of ${total.toLocaleString("en")}; ` : "";
      this.say(`${far}${this.summary()}`);
    }
    if (this.find("by").value === "unit" && done === total) this.askPath();
    if (this.looked >= 0 && !this.writing) this.showPlace();
  }

  /** Show the end of the text, where something was added. */
  follow() {
    const frame = this.find("frame");
    frame.scrollTop = frame.scrollHeight;
  }

  /** @param {number[]} ids that were written */
  append(ids) {
    /** @type {Array<[string, number[]]>} */
    const written = [];
    const pending = [...this.pendingIds];
    for (const id of ids) {
      pending.push(id);
      for (const [char, count] of this.decoder.take(id)) written.push([char, pending.splice(0, count)]);
    }
    this.pendingIds = pending;
    this.editor.append(written);
  }

  /** Say what the text costs. */
  summary() {
    const scored = this.nats.filter((_, n) => this.scored(n));
    if (!scored.length) return "";
    const bits = scored.reduce((a, b) => a + b, 0) / scored.length / Math.LN2;
    const unit = this.facts.unit === "byte" ? "byte" : "character";
    return `${bits.toFixed(3)} bits per ${unit} of ${scored.length.toLocaleString("en")}`;
  }

  /**
   * Tell whether the model scores an id: of pairs, those of outputs.
   * @param {number} n
   */
  scored(n) {
    const { separator, start } = this.facts;
    if (separator === null) return true;
    for (let k = n - 1; k >= 0; k -= 1) {
      if (this.editor.ids[k] === separator) return true;
      if (this.editor.ids[k] === start) return false;
    }
    return false;
  }

  /** @param {string} text */
  say(text) {
    this.find("status").textContent = text;
  }

  /**
   * Name the classes of a character.
   * @param {number} n
   */
  styleOf(n) {
    return `c ${this.level(n)}${n === this.looked ? " looked" : ""}`;
  }

  /** @param {number} n */
  level(n) {
    const { firsts } = this.editor, by = this.find("by").value;
    if (firsts[n] === firsts[n + 1]) return "unknown";
    if (by === "hung") {
      const level = this.hung?.levels[n];
      return level === undefined ? "read" : `h${level}`;
    }
    if (by === "unit") {
      const value = this.path?.[firsts[n + 1] - 1];
      if (value === undefined) return "read";
      const level = Math.round((value / this.most) * (LEVELS - 1));
      return level < 0 ? `n${-level}` : `p${level}`;
    }
    const bits = this.bits(n);
    if (bits === null || by === "nothing" || !this.scored(firsts[n])) return "read";
    return `h${Math.min(LEVELS - 1, Math.floor(bits))}`;
  }

  /**
   * Tell what a character cost, in bits; null if it was not read yet.
   * @param {number} n
   */
  bits(n) {
    let total = 0;
    for (let k = this.editor.firsts[n]; k < this.editor.firsts[n + 1]; k += 1) {
      if (!(k in this.nats)) return null;
      total += this.nats[k];
    }
    return total / Math.LN2;
  }

  /** Color everything anew. */
  recolor() {
    const by = this.find("by").value;
    for (const name of ["bits", "hung", "unit"]) this.find(`${name}-legend`).hidden = name !== by;
    if (by === "unit") this.askPath();
    if (by === "hung") this.ask();
    this.editor.redraw();
    this.showStep();
  }

  /**
   * Look at a character.
   * @param {number} n -1 for what stands before the text
   */
  look(n) {
    const old = this.looked;
    this.looked = Math.min(n, this.editor.chars.length - 1);
    if (old !== this.looked) {
      if (old >= 0) this.editor.redraw(old, old);
      if (this.looked >= 0) this.editor.redraw(this.looked, this.looked);
    }
    if (this.writing) return;
    this.showPlace();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), old === this.looked ? 0 : PAUSE);
  }

  /** @param {number} way */
  walk(way) {
    const n = Math.max(0, Math.min(this.editor.chars.length - 1, this.looked + way));
    this.editor.caret = n + 1;
    this.look(n);
  }

  /** Ask about the character that is looked at. */
  ask() {
    const place = this.looked < 0 ? 0 : this.editor.firsts[this.looked];
    if (this.looked >= 0) this.send({ kind: "look", place });
    if (this.looked >= 0 && this.find("by").value === "hung") this.send({ kind: "hung", place });
    if (this.editor.caret >= this.editor.chars.length) this.askNext();
    this.askStep();
  }

  askNext() {
    this.send({ kind: "next", place: this.editor.ids.length });
  }

  askPath() {
    const [layer, unit] = this.chosen();
    this.send({ kind: "path", layer, unit });
  }

  askStep() {
    if (!this.find("lesson").open || this.writing) return;
    this.send({ kind: "step", place: this.looked < 0 ? 0 : this.editor.firsts[this.looked + 1] });
  }

  /** Tell which layer and unit are chosen. */
  chosen() {
    const field = this.find("unit");
    const unit = Math.max(0, Math.min(this.facts.hidden - 1, Math.floor(Number(field.value) || 0)));
    return [Number(this.find("layer").value), unit];
  }

  /**
   * Choose a unit.
   * @param {number} layer
   * @param {number} unit
   * @param {boolean} color whether the text is colored by it
   */
  choose(layer, unit, color) {
    this.find("layer").value = String(layer);
    this.find("unit").value = String(unit);
    if (color) this.find("by").value = "unit";
    this.recolor();
  }

  /** @param {string} char */
  name(char) {
    return this.data.names[char] ?? (char === "\n" ? "\u21b5" : char === " " ? "\u2423" : char);
  }

  /** Show where the looked at character stands, and what it cost. */
  showPlace() {
    const n = this.looked, { chars } = this.editor;
    this.find("char").textContent = n < 0 ? "\u00a0" : this.name(chars[n]);
    if (n < 0) {
      this.find("place").textContent = "the beginning of the text";
      this.find("bits").textContent = this.find("rank").textContent = "";
      this.find("guesses").replaceChildren();
      return;
    }
    const before = chars.slice(0, n), line = before.filter((char) => char === "\n").length;
    const column = n - (before.lastIndexOf("\n") + 1);
    this.find("place").textContent = `line ${line + 1}, column ${column + 1}, character ${n + 1}`;
    const bits = this.bits(n), known = this.editor.firsts[n] < this.editor.firsts[n + 1];
    const cost = bits === null ? "\u2026" : bits.toFixed(3);
    this.find("bits").textContent = known ? (this.scored(this.editor.firsts[n]) ? cost : "only read") : "not known";
  }

  /** @param {{place: number, ids: number[], shares: number[], rank: number, share: number}} found */
  showLook({ place, ids, shares, rank, share }) {
    if (this.looked < 0 || place !== this.editor.firsts[this.looked]) return;
    this.find("rank").textContent = rank ? `${rank} (${this.percent(share)})` : "";
    const own = this.editor.ids[place];
    this.find("guesses").replaceChildren(...ids.map((id, k) => this.guess(id, shares[k], id === own)));
  }

  /**
   * Make a row of what was expected.
   * @param {number} id
   * @param {number} share
   * @param {boolean} hit
   */
  guess(id, share, hit) {
    const row = make("tr", hit ? "hit" : ""), room = make("td", "room"), bar = make("span", "bar");
    bar.style.width = `${100 * share}%`;
    room.append(bar);
    row.append(make("td", "glyph", this.symbol(id)), make("td", "number", this.percent(share)), room);
    return row;
  }

  /** @param {number} id */
  symbol(id) {
    return this.name(this.vocabulary.symbols[id]);
  }

  /** @param {number} share */
  percent(share) {
    return share < 0.00005 ? "<0.01 %" : `${(100 * share).toFixed(2)} %`;
  }

  /** @param {{place: number, ids: number[], shares: number[]}} found */
  showNext({ place, ids, shares }) {
    if (place !== this.editor.ids.length) return;
    const likely = ids.slice(0, 6).filter((_, k) => k === 0 || shares[k] >= 0.005);
    const buttons = likely.map((id, k) => {
      const button = make("button", "", this.symbol(id));
      button.type = "button";
      button.append(make("small", "", ` ${Math.round(100 * shares[k])}%`));
      button.addEventListener("click", () => this.takeNext(id));
      return button;
    });
    this.find("next").replaceChildren(...buttons);
    if (this.following) this.follow();
    this.following = false;
  }

  /** @param {number} id */
  takeNext(id) {
    this.append([id]);
    this.editor.settle();
    this.version += 1;
    this.sendText([...this.editor.ids, ...this.pendingIds]);
    this.editor.caret = this.editor.chars.length;
    this.editor.field.focus();
    this.look(this.editor.chars.length - 1);
  }

  /** @param {{place: number, first: number, lengths: Float64Array}} found */
  showHung({ place, first, lengths }) {
    if (this.looked < 0 || place !== this.editor.firsts[this.looked]) return;
    const most = lengths.reduce((a, b) => Math.max(a, b), 0) || 1;
    /** @type {number[]} */
    const levels = [];
    lengths.forEach((length, k) => {
      if (first + k < 0) return;
      const n = this.editor.charOf(first + k);
      levels[n] = Math.max(levels[n] ?? 0, Math.min(LEVELS - 1, Math.floor((length / most) * LEVELS)));
    });
    this.hung = { first, levels };
    this.editor.redraw();
  }

  /** @param {{layer: number, unit: number, values: Float32Array}} found */
  showPath({ layer, unit, values }) {
    const [k, u] = this.chosen();
    if (k !== layer || u !== unit) return;
    this.path = values;
    this.most = values.reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    this.find("unit-legend").querySelectorAll(".c").forEach((/** @type {Element} */ sample, /** @type {number} */ n) => {
      sample.textContent = (this.most * (n / 2 - 1)).toFixed(2);
    });
    this.editor.redraw();
  }

  /**
   * Draw a step.
   * @param {any} message the step, or nothing for the one that was told last
   */
  showStep(message = this.step) {
    this.step = message;
    if (!message || !this.find("lesson").open) return;
    const [layer, unit] = this.chosen(), { layers, logits, shares, place } = message;
    const read = place ? this.symbol(this.editor.ids[place - 1] ?? 0) : "what stands before the text";
    this.find("reads").textContent = `Layer ${layer}, unit ${unit}, as it reads ${read}`;
    const lines = lessonLines(this.facts, layer, layers[layer], unit);
    const body = this.find("lines");
    body.replaceChildren(
      ...lines.map(({ equation, numbers, values, groups = 1 }) => {
        const row = make("tr", ""), room = make("td", "strip"), canvas = make("canvas", "");
        canvas.setAttribute("role", "img");
        canvas.setAttribute("aria-label", `${equation}, all units as bars`);
        canvas.addEventListener("click", (/** @type {MouseEvent} */ event) => {
          const share = event.offsetX / canvas.clientWidth, count = values.length;
          this.choose(layer, Math.floor(share * count) % this.facts.hidden, false);
        });
        room.append(canvas);
        row.append(make("th", "", equation), room, make("td", "number", numbers));
        requestAnimationFrame(() => drawStrip(canvas, values, unit, groups));
        return row;
      }),
    );
    const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a] || a - b).slice(0, TOP);
    this.find("softmax").replaceChildren(
      ...order.map((id) => {
        const row = this.guess(id, shares[id], false);
        row.children[0].after(make("td", "number", short(logits[id])));
        return row;
      }),
    );
  }
}
