// One step of the network with its numbers, under the names of the equations.

/**
 * One line of a lesson.
 * @typedef {object} Line
 * @property {string} equation
 * @property {ArrayLike<number>} values of all units
 * @property {string} numbers what it comes to for one unit
 * @property {number} [groups]
 */

/** @param {number} value */
function short(value) {
  return (Math.abs(value) >= 1000 ? value.toExponential(2) : value.toFixed(3)).replace("-", "\u2212");
}

/**
 * Write the lines of a step of one layer.
 * @param {Facts} facts
 * @param {number} layer
 * @param {any} step the fields of a `Step`
 * @param {number} u which unit
 * @returns {Line[]}
 */
function lessonLines(facts, layer, step, u) {
  const H = facts.hidden, gates = facts.gates, seen = facts.lags.length > 1 ? "seen" : "h\u2032";
  const part = (/** @type {ArrayLike<number>} */ values, /** @type {number} */ k) =>
    Array.prototype.slice.call(values, k * H, (k + 1) * H);
  const at = (/** @type {ArrayLike<number>} */ values, /** @type {number} */ k) => short(values[k * H + u]);
  const each = (/** @type {ArrayLike<number>} */ values) =>
    gates.map((gate, k) => (gates.length > 1 ? `${gate} ${at(values, k)}` : at(values, k))).join("   ");
  const input = layer ? `y of layer ${layer - 1}` : "x";
  /** @type {Line[]} */
  const lines = [
    { equation: `zx = ${input} Wx + b`, values: step.x, numbers: each(step.x), groups: gates.length },
    {
      equation: `zh = ${seen} Wh${facts.cell === "gru" ? " (n: + bhn)" : ""}`,
      values: step.zh,
      numbers: each(step.zh),
      groups: gates.length,
    },
  ];
  const gate = (/** @type {string} */ name, /** @type {string} */ f, /** @type {number} */ k) => ({
    equation: `${name} = ${f}(zx + zh)`,
    values: part(step.z, k),
    numbers: `${f}(${at(step.x, k)} + ${at(step.zh, k)}) = ${at(step.z, k)}`,
  });
  const h = at(step.h, 0);
  if (facts.cell === "rnn") {
    lines.push({ ...gate("h", facts.activation, 0), values: step.h });
  } else if (facts.cell === "gru") {
    lines.push(gate("r", "\u03c3", 0), gate("u", "\u03c3", 1), {
      equation: "n = tanh(zx + r zh)",
      values: part(step.z, 2),
      numbers: `tanh(${at(step.x, 2)} + ${at(step.z, 0)} \u00b7 ${at(step.zh, 2)}) = ${at(step.z, 2)}`,
    });
    lines.push({
      equation: "h = (1 \u2212 u) n + u h\u2032",
      values: step.h,
      numbers: `(1 \u2212 ${at(step.z, 1)}) \u00b7 ${at(step.z, 2)} + ${at(step.z, 1)} \u00b7 ${at(step.seen, 0)} = ${h}`,
    });
  } else {
    lines.push(gate("i", "\u03c3", 0), gate("f", "\u03c3", 1), gate("o", "\u03c3", 2), gate("g", "tanh", 3));
    lines.push({
      equation: "c = f c\u2032 + i g",
      values: step.c,
      numbers: `${at(step.z, 1)} \u00b7 ${at(step.cBefore, 0)} + ${at(step.z, 0)} \u00b7 ${at(step.z, 3)} = ${at(step.c, 0)}`,
    });
    lines.push({
      equation: "h = o tanh(c)",
      values: step.h,
      numbers: `${at(step.z, 2)} \u00b7 ${at(step.tanhC, 0)} = ${h}`,
    });
  }
  if (facts.norm === "layer") {
    lines.push({
      equation: "y = (h \u2212 mean) / \u221a(var + \u03b5) \u00b7 gain + shift",
      values: step.y,
      numbers: `(${h} \u2212 ${short(step.mean)}) \u00b7 ${short(step.inverse)} \u00b7 gain + shift = ${at(step.y, 0)}`,
    });
  } else if (facts.norm === "affine") {
    lines.push({
      equation: "y = h \u00b7 gain + shift (batch averages)",
      values: step.y,
      numbers: `${h} \u00b7 gain + shift = ${at(step.y, 0)}`,
    });
  }
  return lines;
}
