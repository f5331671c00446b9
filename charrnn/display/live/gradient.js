// The way back: what a prediction hung on, by backpropagation through the steps that
// were taken. The equations are those of step_backward in charrnn/kernels.

/**
 * Measure how a prediction hung on every input: the length of the gradient of its
 * log-probability with respect to each one-hot input.
 * @param {Network} network
 * @param {Step[][]} steps by time, then by layer; the last one made the prediction
 * @param {number} target the character that is predicted
 * @returns {Float64Array} (T,)
 */
function inputGradients(network, steps, target) {
  const { H, L, V, GH } = network, T = steps.length, top = steps[T - 1][L - 1];
  const logits = new Float32Array(V), p = new Float64Array(V);
  multiply(network.Wy, top.y, logits);
  for (let v = 0; v < V; v += 1) logits[v] += network.by[v];
  softmax(logits, p);
  const error = Float32Array.from(p, (share, v) => (v === target ? share - 1 : share));
  /** @type {Float32Array[]} */
  let dy = Array.from({ length: T }, () => /** @type {Float32Array} */ (new Float32Array(H)));
  addTransposed(network.Wy, error, dy[T - 1]);
  /** @type {Float32Array[]} */
  let dz = [];
  for (let k = L - 1; k >= 0; k -= 1) {
    dz = layerGradients(network, k, steps.map((step) => step[k]), dy);
    if (k > 0) {
      dy = dz.map((d) => {
        const below = new Float32Array(H);
        addTransposed(network.layers[k].Wx, d, below);
        return below;
      });
    }
  }
  const byInput = new Float32Array(V), Wx = network.layers[0].Wx;
  return Float64Array.from(dz, (d) => {
    let squares = 0;
    if (d.length === GH) multiply(Wx, d, byInput);
    for (let v = 0; v < V; v += 1) squares += byInput[v] ** 2;
    return Math.sqrt(squares);
  });
}

/**
 * Carry the gradient of a layer's outputs back through all its steps.
 * @param {Network} network
 * @param {number} k
 * @param {Step[]} steps
 * @param {Float32Array[]} dy by time; changed
 * @returns {Float32Array[]} the gradient of its input projections, by time
 */
function layerGradients(network, k, steps, dy) {
  const { H, GH, lags } = network, T = steps.length, { Wh } = network.layers[k];
  // The gradients of h before each step, and after the last one.
  const dh = Array.from({ length: T + 1 }, () => new Float32Array(H));
  const dc = new Float32Array(H), dz = new Array(T), seen = new Float32Array(lags.length * H);
  for (let t = T - 1; t >= 0; t -= 1) {
    const step = steps[t], own = dh[t + 1], d = new Float32Array(GH);
    normBackward(network, k, step, dy[t]);
    for (let j = 0; j < H; j += 1) own[j] += dy[t][j];
    seen.fill(0);
    // What the recurrent product gets; a gru's differs from z's in n.
    /** @type {Float32Array} */
    let recurrent = d;
    if (network.cell === "rnn") {
      for (let j = 0; j < H; j += 1) d[j] = own[j] * network.activation.slope(step.z[j]);
    } else if (network.cell === "gru") {
      recurrent = gruBackward(step, own, d, seen);
    } else {
      lstmBackward(step, own, dc, d);
    }
    addTransposed(Wh, recurrent, seen);
    dz[t] = d;
    lags.forEach((lag, n) => {
      const before = dh[t + 1 - lag];
      if (before) for (let j = 0; j < H; j += 1) before[j] += seen[n * H + j];
    });
  }
  return dz;
}

/**
 * Turn the gradient of a step's y into that of its h, in place.
 * @param {Network} network
 * @param {number} k
 * @param {Step} step
 * @param {Float32Array} dy
 */
function normBackward(network, k, step, dy) {
  const { H } = network, { gain } = network.layers[k], kind = network.facts.norm;
  if (kind === "none") return;
  for (let j = 0; j < H; j += 1) dy[j] *= gain[j];
  if (kind !== "layer") return;
  let mean = 0, along = 0;
  const xhat = Float64Array.from(step.h, (h) => (h - step.mean) * step.inverse);
  for (let j = 0; j < H; j += 1) {
    mean += dy[j];
    along += dy[j] * xhat[j];
  }
  mean /= H;
  along /= H;
  for (let j = 0; j < H; j += 1) dy[j] = (dy[j] - mean - xhat[j] * along) * step.inverse;
}

/**
 * Go back through one step of a gru.
 * @param {Step} step
 * @param {Float32Array} dh of h after the step
 * @param {Float32Array} dz written
 * @param {Float32Array} seen the gradient along the direct path is added
 * @returns {Float32Array} the gradient of the recurrent product
 */
function gruBackward(step, dh, dz, seen) {
  const H = dh.length, recurrent = new Float32Array(3 * H);
  for (let j = 0; j < H; j += 1) {
    const r = step.z[j], u = step.z[H + j], n = step.z[2 * H + j];
    const du = dh[j] * (step.seen[j] - n), dn = dh[j] * (1 - u) * (1 - n * n);
    seen[j] += dh[j] * u;
    recurrent[j] = dz[j] = dn * step.zh[2 * H + j] * r * (1 - r);
    recurrent[H + j] = dz[H + j] = du * u * (1 - u);
    dz[2 * H + j] = dn;
    recurrent[2 * H + j] = dn * r;
  }
  return recurrent;
}

/**
 * Go back through one step of an lstm.
 * @param {Step} step
 * @param {Float32Array} dh of h after the step
 * @param {Float32Array} dc of c after the step; on exit before it
 * @param {Float32Array} dz written
 */
function lstmBackward(step, dh, dc, dz) {
  const H = dh.length;
  for (let j = 0; j < H; j += 1) {
    const i = step.z[j], f = step.z[H + j], o = step.z[2 * H + j], g = step.z[3 * H + j];
    const squashed = step.tanhC[j];
    const dcj = dc[j] + dh[j] * o * (1 - squashed * squashed);
    dz[j] = dcj * g * i * (1 - i);
    dz[H + j] = dcj * step.cBefore[j] * f * (1 - f);
    dz[2 * H + j] = dh[j] * squashed * o * (1 - o);
    dz[3 * H + j] = dcj * i * (1 - g * g);
    dc[j] = dcj * f;
  }
}
