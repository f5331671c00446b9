// Reading, writing and explaining for a page, in slices: in a worker, or between a
// page's own events. Messages go in by `take`; what is found comes out by `tell`.

/** Milliseconds of a slice: nobody waits longer for an answer to begin. */
const SLICE = 12;

/** Milliseconds between two reports of what was read or written. */
const REPORT = 40;

/** Characters that an explanation goes back over, at most. */
const FURTHEST = 128;

/** The likeliest characters that are told. */
const TOP = 8;

class Engine {
  /**
   * @param {Network} network
   * @param {(message: any) => void} tell
   * @param {(work: () => void) => void} later
   */
  constructor(network, tell, later) {
    this.network = network;
    this.reader = new Reader(network);
    /** @type {Randomness|null} */
    this.random = null;
    this.tell = tell;
    this.later = later;
    this.version = 0; // of the text
    this.told = 0; // characters whose costs were told
    this.reported = 0; // when
    this.unheard = false; // whether the page has not shown yet what it was told last
    this.waiting = false;
    /** @type {any} */
    this.writing = null;
    /** @type {Generator<undefined, any>|null} an answer that is being worked out */
    this.answer = null;
    this.answering = ""; // what kind of question it is about
    /** @type {Map<string, any>} the newest question of each kind */
    this.questions = new Map();
  }

  /** @param {any} message */
  take(message) {
    const { kind } = message;
    if (kind === "text") {
      this.end();
      this.version = message.version;
      this.told = Math.min(this.told, this.reader.replace(message.ids), message.known ?? Infinity);
    } else if (kind === "write") {
      this.write(message);
    } else if (kind === "stop") {
      this.stop();
    } else if (kind === "heard") {
      this.unheard = false;
    } else {
      if (this.answering === kind) this.answer = null;
      this.questions.set(kind, message);
    }
    this.wake();
  }

  wake() {
    if (this.waiting) return;
    this.waiting = true;
    this.later(() => this.slice());
  }

  /** Work for some milliseconds: answers first, then reading, then writing. */
  slice() {
    this.waiting = false;
    const end = performance.now() + SLICE;
    let busy = true;
    while (busy && performance.now() < end) busy = this.work();
    this.report(!busy);
    if (busy) this.wake();
  }

  /** Do a little; false if there is nothing left to do. */
  work() {
    if (this.answer) {
      if (this.answer.next().done) this.answer = null;
      return true;
    }
    for (const [kind, question] of this.questions) {
      if (question.place > this.reader.done) continue; // not read so far yet
      this.questions.delete(kind);
      this.answering = kind;
      this.answer = this.answerTo(question);
      return true;
    }
    if (this.reader.done < this.reader.ids.length) {
      this.reader.step();
      return true;
    }
    return this.writing ? this.writeOne() : false;
  }

  /**
   * Begin to write at the text's end.
   * @param {{filters: Filters, seed: number, held: Held|null, goOn: boolean, left: number}} asked
   *   goOn: whether random numbers go on where writing stopped; left: how many
   *   characters are wanted, below 0 for no limit
   */
  write(asked) {
    if (!asked.goOn || !this.random) this.random = new Randomness(asked.seed);
    this.writing = { ...asked, steered: null, first: this.reader.ids.length };
    this.tell({ kind: "writing", on: true });
  }

  /** Stop writing, when all that was written has been told. */
  stop() {
    this.report(true);
    this.end();
  }

  end() {
    if (this.writing) this.tell({ kind: "writing", on: false });
    this.writing = null;
  }

  /** Choose the next character. */
  writeOne() {
    const { reader, network, writing } = this, place = reader.ids.length;
    if (writing.held && !writing.steered) {
      writing.steered = reader.state.map((part) => part.slice());
    }
    const logits = reader.expect(writing.steered ?? reader.state, place);
    const greedy = writing.filters.temperature < GREEDY_BELOW;
    const id = choose(logits, writing.filters, greedy || !this.random ? 0 : this.random.take());
    if (id < 0) {
      this.tell({ kind: "trouble" });
      this.stop();
      return true;
    }
    const { start, separator } = network.facts;
    const ended = separator !== null && id === start; // an output of pairs
    reader.ids.push(id);
    if (writing.steered) network.read(writing.steered, id, network.scratch, writing.held);
    else reader.step();
    writing.left -= 1;
    if (ended || writing.left === 0) this.stop();
    return true;
  }

  /**
   * Tell what was read or written since the last time.
   * @param {boolean} all also if that was just now
   */
  report(all) {
    const { reader } = this, now = performance.now();
    const news = this.told < reader.done || this.writing;
    if (!news || (!all && (this.unheard || now - this.reported < REPORT))) return;
    this.unheard = true;
    const first = this.told;
    this.reported = now;
    this.told = reader.done;
    this.tell({
      kind: "read",
      version: this.version,
      first,
      nats: Float32Array.from(reader.nats.slice(first)),
      ids: this.writing ? reader.ids.slice(this.writing.first) : null,
      from: this.writing ? this.writing.first : 0,
      done: reader.done,
      total: reader.ids.length,
    });
    if (this.writing) this.writing.first = reader.ids.length;
  }

  /**
   * Work out an answer.
   * @param {any} question
   * @returns {Generator<undefined, any>}
   */
  answerTo(question) {
    if (question.kind === "look" || question.kind === "next") return this.look(question);
    if (question.kind === "hung") return this.hung(question);
    if (question.kind === "path") return this.path(question);
    if (question.kind === "step") return this.step(question);
    return question.kind === "follow" ? this.follow(question) : this.prove(question);
  }

  /**
   * Tell what was expected at a place.
   * @param {{kind: string, place: number}} question
   */
  *look({ kind, place }) {
    const { reader } = this, shares = new Float64Array(this.network.V);
    if (place > reader.done) return;
    const state = place === reader.done ? reader.state : reader.stateBefore(place);
    softmax(reader.expect(state, place), shares);
    const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a] || a - b);
    const id = place < reader.ids.length ? reader.ids[place] : -1;
    this.tell({
      kind,
      version: this.version,
      place,
      ids: order.slice(0, TOP),
      shares: order.slice(0, TOP).map((v) => shares[v]),
      rank: id < 0 ? 0 : order.indexOf(id) + 1,
      share: id < 0 ? 0 : shares[id],
    });
    yield;
  }

  /**
   * Tell what the prediction of a character hung on.
   * @param {{kind: string, place: number}} question
   */
  *hung({ kind, place }) {
    const { reader } = this;
    if (place >= reader.done) return;
    const { first, steps } = yield* reader.replay(place, FURTHEST);
    const lengths = steps.length
      ? inputGradients(this.network, steps, reader.ids[place])
      : new Float64Array(0);
    this.tell({ kind, version: this.version, place, first, lengths });
  }

  /**
   * Tell what a unit did.
   * @param {{kind: string, layer: number, unit: number}} question
   */
  *path({ kind, layer, unit }) {
    const values = this.reader.path(layer, unit);
    this.tell({ kind, version: this.version, layer, unit, values });
    yield;
  }

  /**
   * Tell all numbers of the step that read a character.
   * @param {{kind: string, place: number}} question -1 for what is read before a text
   */
  *step({ kind, place }) {
    const { reader, network } = this;
    if (place > reader.done) return;
    const { steps } = yield* reader.replay(place, 1);
    if (!steps.length) return;
    const taken = steps[steps.length - 1], logits = new Float32Array(network.V);
    const shares = new Float64Array(network.V);
    multiply(network.Wy, taken[network.L - 1].y, logits);
    for (let v = 0; v < logits.length; v += 1) logits[v] += network.by[v];
    softmax(logits, shares);
    this.tell({
      kind,
      version: this.version,
      place,
      layers: taken.map((step) => ({ ...step })),
      logits,
      shares,
    });
  }

  /**
   * List the first characters of the text, one an id.
   * @param {number} count
   */
  chars(count) {
    return this.reader.ids.slice(0, count).map((id) => this.network.symbols[id]);
  }

  /**
   * Find, of every feature, the unit that follows it most closely.
   * @param {{kind: string}} question
   */
  *follow({ kind }) {
    const { reader, network } = this, { L, H } = network, count = reader.values.length;
    const features = featuresOf(this.chars(count));
    const half = Math.floor(count / 2);
    const best = FEATURES.map((feature) => ({ feature, layer: 0, unit: 0, correlation: 0 }));
    for (let at = 0; at < L * H; at += 1) {
      const unit = Float32Array.from(reader.values.slice(0, half), (values) => values[at]);
      features.forEach((values, k) => {
        const found = correlation(unit, values, half);
        if (Math.abs(found) > Math.abs(best[k].correlation)) {
          best[k] = { ...best[k], layer: Math.floor(at / H), unit: at % H, correlation: found };
        }
      });
      yield;
    }
    this.tell({ kind, version: this.version, count: half, best: best.filter((one) => one.correlation) });
  }

  /**
   * Try the unit of a feature on a half of the text that did not choose it.
   * @param {{kind: string, feature: string, layer: number, unit: number}} question
   */
  *prove({ kind, feature, layer, unit }) {
    const values = this.reader.path(layer, unit), k = FEATURES.indexOf(feature);
    const followed = featuresOf(this.chars(values.length))[k];
    const { labels, above } = yesOrNo(k, followed, Math.floor(values.length / 2));
    const found = prove(values, labels);
    this.tell({ kind, version: this.version, feature, layer, unit, parted: above, ...found });
    yield;
  }
}
