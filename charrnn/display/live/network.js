// The way forward: one character through all layers. The equations are those of
// charrnn/kernels (rnn, gru, lstm, normalization, lagged, head), by the same names.

/**
 * Units of each layer that are kept at a value: [unit, value] pairs.
 * @typedef {Array<Array<[number, number]>>} Held
 */

/**
 * Multiply a matrix, stored row by row, with a vector: out = W x.
 * @param {Float32Array} W
 * @param {Float32Array} x
 * @param {Float32Array} out
 */
function multiply(W, x, out) {
  const rows = out.length, columns = x.length;
  let row = 0, at = 0;
  // Four rows at a time share each number of x, and four sums do not wait for one another.
  for (; row + 3 < rows; row += 4) {
    let a = 0, b = 0, c = 0, d = 0;
    let q = at + columns, r = q + columns, s = r + columns;
    for (let j = 0; j < columns; j += 1) {
      const v = x[j];
      a += W[at] * v;
      b += W[q] * v;
      c += W[r] * v;
      d += W[s] * v;
      at += 1;
      q += 1;
      r += 1;
      s += 1;
    }
    out[row] = a;
    out[row + 1] = b;
    out[row + 2] = c;
    out[row + 3] = d;
    at += 3 * columns;
  }
  for (; row < rows; row += 1) {
    let a = 0;
    for (let j = 0; j < columns; j += 1) a += W[at + j] * x[j];
    out[row] = a;
    at += columns;
  }
}

/**
 * Multiply the transposed matrix with a vector and add it: out += W^T x.
 * @param {Float32Array} W
 * @param {Float32Array} x
 * @param {Float32Array|Float64Array} out
 */
function addTransposed(W, x, out) {
  const columns = out.length;
  for (let row = 0, at = 0; row < x.length; row += 1, at += columns) {
    const v = x[row];
    if (v !== 0) for (let j = 0; j < columns; j += 1) out[j] += v * W[at + j];
  }
}

/** @param {number} x */
function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}

/**
 * Activations of the vanilla cell, and their slopes where their value is y.
 * @type {Object<string, {of: (x: number) => number, slope: (y: number) => number}>}
 */
const ACTIVATIONS = {
  tanh: { of: Math.tanh, slope: (y) => 1 - y * y },
  sigmoid: { of: sigmoid, slope: (y) => y * (1 - y) },
  relu: {
    of: (x) => Math.max(0, x),
    slope: (y) => (y <= 0 ? 0 : 1),
  },
  "leaky-relu": {
    of: (x) => (x < 0 ? 0.01 * x : x),
    slope: (y) => (y < 0 ? 0.01 : 1),
  },
};

/** What one step of one layer leaves behind: for showing it, and for the way back. */
class Step {
  /** @param {Network} network */
  constructor(network) {
    const { H, GH, K } = network;
    this.x = new Float32Array(GH); // input projection x Wx^T + b
    this.seen = new Float32Array(K * H); // the states that the step sees
    this.zh = new Float32Array(GH); // recurrent product; of a gru with bhn
    this.z = new Float32Array(GH); // the gates
    this.cBefore = new Float32Array(network.cell === "lstm" ? H : 0);
    this.tanhC = new Float32Array(network.cell === "lstm" ? H : 0);
    this.c = new Float32Array(network.cell === "lstm" ? H : 0);
    this.h = new Float32Array(H);
    this.y = new Float32Array(H); // h, normalized
    this.inverse = 0; // 1 / sqrt(var + eps), of layer normalization
    this.mean = 0;
  }
}

class Network {
  /**
   * @param {Facts} facts
   * @param {Uint8Array} bytes
   */
  constructor(facts, bytes) {
    this.facts = facts;
    this.cell = facts.cell;
    this.symbols = Array.from(facts.symbols);
    this.H = facts.hidden;
    this.L = facts.layers;
    this.V = facts.vocab;
    this.GH = facts.gates.length * facts.hidden;
    this.lags = facts.lags;
    this.K = facts.lags.length;
    this.kinds = facts.states.length;
    this.arrays = this.kinds + facts.lags[this.K - 1] - 1; // of a state, (H,) each
    /** @type {Object<string, Float32Array>} */
    const named = {};
    for (const place of facts.tensors) named[place.name] = readTensor(bytes, place);
    const none = new Float32Array(0);
    this.layers = Array.from({ length: this.L }, (_, k) => ({
      Wx: named[`layer${k}.Wx`],
      Wh: named[`layer${k}.Wh`],
      b: named[`layer${k}.b`],
      bhn: named[`layer${k}.bhn`] ?? none,
      gain: named[`layer${k}.gain`] ?? none,
      shift: named[`layer${k}.shift`] ?? none,
    }));
    this.Wy = named["head.Wy"];
    this.by = named["head.by"];
    this.activation = ACTIVATIONS[facts.activation];
    this.scratch = this.newSteps();
  }

  /** Make room for what one step leaves behind, layer by layer. */
  newSteps() {
    return Array.from({ length: this.L }, () => new Step(this));
  }

  /** Make the state in which documents begin: of each layer its arrays one after another. */
  newState() {
    return Array.from({ length: this.L }, () => new Float32Array(this.arrays * this.H));
  }

  /**
   * Read one character.
   * @param {Float32Array[]} state moved on
   * @param {number} id
   * @param {Step[]} steps written
   * @param {Held|null} held
   */
  read(state, id, steps = this.scratch, held = null) {
    if (id === this.facts.start) for (const part of state) part.fill(0);
    for (let k = 0; k < this.L; k += 1) {
      const step = steps[k], layer = this.layers[k], x = step.x, b = layer.b;
      if (k === 0) {
        const first = id * this.GH;
        for (let j = 0; j < x.length; j += 1) x[j] = layer.Wx[first + j] + b[j];
      } else {
        multiply(layer.Wx, steps[k - 1].y, x);
        for (let j = 0; j < x.length; j += 1) x[j] += b[j];
      }
      this.lookBack(state[k], step.seen);
      multiply(layer.Wh, step.seen, step.zh);
      this.advance(k, state[k], step);
      if (held) for (const [unit, value] of held[k]) step.h[unit] = value;
      state[k].set(step.h, 0);
      this.normalize(k, step.h, step.y, step);
    }
  }

  /**
   * Put the states that a step sees side by side, and move the past on by a step.
   * @param {Float32Array} state of one layer
   * @param {Float32Array} seen written
   */
  lookBack(state, seen) {
    const { H, kinds } = this;
    this.lags.forEach((lag, k) => {
      const from = k === 0 ? 0 : (kinds + lag - 2) * H;
      for (let j = 0; j < H; j += 1) seen[k * H + j] = state[from + j];
    });
    for (let age = this.arrays - 1; age >= kinds; age -= 1) {
      const younger = age > kinds ? (age - 1) * H : 0;
      state.copyWithin(age * H, younger, younger + H);
    }
  }

  /**
   * Take a step of the cell.
   * @param {number} k which layer
   * @param {Float32Array} state of this layer; c is moved on
   * @param {Step} step with x, seen and zh
   */
  advance(k, state, step) {
    const { H } = this, { x, zh, z, h, seen } = step;
    if (this.cell === "rnn") {
      for (let j = 0; j < H; j += 1) z[j] = h[j] = this.activation.of(x[j] + zh[j]);
    } else if (this.cell === "gru") {
      const { bhn } = this.layers[k];
      for (let j = 0; j < H; j += 1) {
        const u = H + j, n = 2 * H + j;
        z[j] = sigmoid(x[j] + zh[j]);
        z[u] = sigmoid(x[u] + zh[u]);
        zh[n] += bhn[j];
        z[n] = Math.tanh(x[n] + z[j] * zh[n]);
        h[j] = z[n] + z[u] * (seen[j] - z[n]);
      }
    } else {
      for (let j = 0; j < H; j += 1) {
        const f = H + j, o = 2 * H + j, g = 3 * H + j;
        z[j] = sigmoid(x[j] + zh[j]);
        z[f] = sigmoid(x[f] + zh[f]);
        z[o] = sigmoid(x[o] + zh[o]);
        z[g] = Math.tanh(x[g] + zh[g]);
        step.cBefore[j] = state[f];
        step.c[j] = state[f] = z[f] * state[f] + z[j] * z[g];
        step.tanhC[j] = Math.tanh(step.c[j]);
        h[j] = z[o] * step.tanhC[j];
      }
    }
  }

  /**
   * Normalize the outputs of a layer.
   * @param {number} k
   * @param {Float32Array} h
   * @param {Float32Array} y written
   * @param {{inverse: number, mean: number}} step written
   */
  normalize(k, h, y, step) {
    const { H } = this, { gain, shift } = this.layers[k], kind = this.facts.norm;
    if (kind === "none") {
      y.set(h);
      return;
    }
    let mean = 0, inverse = 1;
    if (kind === "layer") {
      let squares = 0;
      for (let j = 0; j < H; j += 1) mean += h[j];
      mean /= H;
      for (let j = 0; j < H; j += 1) squares += (h[j] - mean) ** 2;
      inverse = 1 / Math.sqrt(squares / H + this.facts.eps);
    }
    for (let j = 0; j < H; j += 1) y[j] = (h[j] - mean) * inverse * gain[j] + shift[j];
    step.inverse = inverse;
    step.mean = mean;
  }

  /**
   * Compute the logits of what comes next, from the state after the last character.
   * @param {Float32Array[]} state
   * @param {Float32Array} out (V,) written
   */
  predict(state, out) {
    const k = this.L - 1, { y } = this.scratch[k];
    this.normalize(k, state[k].subarray(0, this.H), y, this.scratch[k]);
    multiply(this.Wy, y, out);
    for (let v = 0; v < out.length; v += 1) out[v] += this.by[v];
  }
}

/**
 * Turn logits into probabilities; return the logarithm of their sum.
 * @param {Float32Array} logits
 * @param {Float64Array} out (V,) written
 */
function softmax(logits, out) {
  let largest = -Infinity, total = 0;
  for (let v = 0; v < logits.length; v += 1) largest = Math.max(largest, logits[v]);
  for (let v = 0; v < logits.length; v += 1) total += out[v] = Math.exp(logits[v] - largest);
  for (let v = 0; v < logits.length; v += 1) out[v] /= total;
  return largest + Math.log(total);
}
