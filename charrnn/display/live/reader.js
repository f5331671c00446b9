// A text that a network reads and writes: what each character costs, and the states
// on the way, so that any place can be gone back to.

/** Characters between states that are kept. */
const STRIDE = 64;

/** Numbers of units that are kept, at most: 64 MB. */
const MOST_VALUES = 1 << 24;

class Reader {
  /** @param {Network} network */
  constructor(network) {
    this.network = network;
    /** @type {number[]} */
    this.ids = [];
    /** @type {number[]} nats of each character that was read */
    this.nats = [];
    this.done = 0; // characters that were read
    this.state = network.newState(); // after these
    /** @type {Float32Array[][]} states before character 0, STRIDE, ... */
    this.kept = [];
    /** @type {Float32Array[]} h of all units after each character, as far as there is room */
    this.values = [];
    this.logits = new Float32Array(network.V);
    this.shares = new Float64Array(network.V);
    this.begin(this.state);
    this.keep();
  }

  /** How many characters' units are kept. */
  get room() {
    return Math.floor(MOST_VALUES / (this.network.L * this.network.H));
  }

  /** @param {Float32Array[]} state brought to where a text begins */
  begin(state) {
    const { before } = this.network.facts;
    for (const part of state) part.fill(0);
    if (before !== null) this.network.read(state, before);
  }

  keep() {
    if (this.done % STRIDE === 0) {
      this.kept[this.done / STRIDE] = this.state.map((part) => part.slice());
    }
  }

  /**
   * Compute the logits of what stands at a place.
   * @param {Float32Array[]} state before it
   * @param {number} place
   */
  expect(state, place) {
    const { opening } = this.network.facts;
    if (place === 0 && opening !== null) this.logits.set(opening);
    else this.network.predict(state, this.logits);
    return this.logits;
  }

  /**
   * Take another text, and forget what was read of the old one from the first difference.
   * @param {ArrayLike<number>} ids
   * @returns {number} how many characters stay read
   */
  replace(ids) {
    const most = Math.min(this.done, ids.length);
    let common = 0;
    while (common < most && ids[common] === this.ids[common]) common += 1;
    this.ids = Array.from(ids);
    if (common < this.done) this.rewind(common);
    return this.done;
  }

  /** @param {number} place the last that may stay read before it */
  rewind(place) {
    const slot = Math.floor(place / STRIDE);
    this.done = slot * STRIDE;
    this.kept.length = slot + 1;
    this.values.length = Math.min(this.values.length, this.done);
    this.nats.length = this.done;
    this.kept[slot].forEach((part, k) => this.state[k].set(part));
  }

  /** Read the next character of the text, and what it costs. */
  step() {
    const { network } = this, { L, H } = network, id = this.ids[this.done];
    const total = softmax(this.expect(this.state, this.done), this.shares);
    this.nats.push(total - this.logits[id]);
    network.read(this.state, id);
    if (this.done < this.room) {
      const values = new Float32Array(L * H);
      this.state.forEach((part, k) => values.set(part.subarray(0, H), k * H));
      this.values[this.done] = values;
    }
    this.done += 1;
    this.keep();
  }

  /**
   * List what one unit did, as far as it is kept.
   * @param {number} layer
   * @param {number} unit
   */
  path(layer, unit) {
    const at = layer * this.network.H + unit;
    return Float32Array.from(this.values, (values) => values[at]);
  }

  /**
   * Go to the state before a character that was read.
   * @param {number} place
   * @returns {Float32Array[]}
   */
  stateBefore(place) {
    const slot = Math.min(this.kept.length - 1, Math.floor(place / STRIDE));
    const state = this.kept[slot].map((part) => part.slice());
    for (let n = slot * STRIDE; n < place; n += 1) this.network.read(state, this.ids[n]);
    return state;
  }

  /**
   * Go over the characters before a place again, and keep what all steps leave behind.
   * @param {number} place
   * @param {number} most how many, at most; fewer where a document begins in between
   * @returns {Generator<undefined, {first: number, steps: Step[][]}>} first: of which
   *   character the first step is; -1 for what is read before a text
   */
  *replay(place, most) {
    const { network } = this, { start, before } = network.facts;
    let first = Math.max(0, place - most);
    if (start !== null) {
      const last = this.ids.slice(first, place).lastIndexOf(start);
      if (last > 0) first += last;
    }
    /** @type {Step[][]} */
    const steps = [];
    let state = /** @type {Float32Array[]} */ (network.newState());
    const take = (/** @type {number} */ id) => {
      const step = network.newSteps();
      network.read(state, id, step);
      steps.push(step);
    };
    if (first > 0) state = this.stateBefore(first);
    else if (before !== null) take(before);
    const from = first - steps.length;
    for (let n = first; n < place; n += 1) {
      take(this.ids[n]);
      if (n % 8 === 7) yield;
    }
    return { first: from, steps };
  }
}
