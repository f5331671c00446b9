// What a reader keeps track of in a text, as charrnn/inspection/features.py says it,
// and which units follow it.

const FEATURES = [
  "line", "quotes", "brackets", "depth", "indentation", "digits", "capitals", "word", "output",
];

/** Those that are yes or no; the others are asked whether they are above their median. */
const YES_OR_NO = ["quotes", "brackets", "digits", "capitals", "output"];

const BLANK = /^[\s\x1c-\x1f\x85]$/u, ALNUM = /^[\p{L}\p{N}]$/u, DIGIT = /^\p{Nd}$/u, UPPER = /^\p{Lu}$/u;

/**
 * Follow a text.
 * @param {string[]} chars
 * @returns {Float64Array[]} of each of FEATURES the values (N,)
 */
function featuresOf(chars) {
  const found = FEATURES.map(() => new Float64Array(chars.length));
  let column = 0, indentation = 0, word = 0, brackets = 0, depth = 0;
  let quoted = false, escaped = false, output = false, blank = true;
  chars.forEach((char, n) => {
    if (char === "\n") {
      if (blank) {
        quoted = false;
        brackets = 0;
      }
      column = indentation = 0;
      output = false;
      blank = true;
    } else {
      column += 1;
      output ||= char === "\t";
      blank &&= BLANK.test(char);
      indentation += blank ? 1 : 0;
    }
    word = ALNUM.test(char) ? word + 1 : 0;
    if (char === '"' && !escaped) quoted = !quoted;
    else if ("“«„".includes(char)) quoted = true;
    else if ("”»".includes(char)) quoted = false;
    else if ("([".includes(char)) brackets += 1;
    else if (")]".includes(char)) brackets = Math.max(0, brackets - 1);
    else if ("{}".includes(char)) depth = Math.max(0, depth + (char === "{" ? 1 : -1));
    escaped = char === "\\" && !escaped;
    const row = [
      column, quoted, brackets > 0, depth, indentation, DIGIT.test(char), UPPER.test(char), word, output,
    ];
    row.forEach((value, k) => (found[k][n] = Number(value)));
  });
  return found;
}

/**
 * Correlate (Pearson) two series; 0 where one of them never changes.
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 * @param {number} count of numbers from the beginning
 */
function correlation(a, b, count) {
  let meanA = 0, meanB = 0, aa = 0, bb = 0, ab = 0;
  for (let n = 0; n < count; n += 1) {
    meanA += a[n] / count;
    meanB += b[n] / count;
  }
  for (let n = 0; n < count; n += 1) {
    const x = a[n] - meanA, y = b[n] - meanB;
    aa += x * x;
    bb += y * y;
    ab += x * y;
  }
  return aa > 1e-12 && bb > 1e-12 ? ab / Math.sqrt(aa * bb) : 0;
}

/**
 * Turn a feature into yes and no.
 * @param {number} feature
 * @param {Float64Array} values
 * @param {number} half how many of them may be looked at to choose where to part
 * @returns {{labels: Uint8Array, above: number|null}}
 */
function yesOrNo(feature, values, half) {
  if (YES_OR_NO.includes(FEATURES[feature])) {
    return { labels: Uint8Array.from(values, (value) => (value > 0 ? 1 : 0)), above: null };
  }
  const sorted = values.slice(0, half).sort(), above = sorted[Math.floor(half / 2)];
  return { labels: Uint8Array.from(values, (value) => (value > above ? 1 : 0)), above };
}

/**
 * Choose the threshold of a unit that is right most often on a half of the text, and
 * see how often it is right on the other.
 * @param {Float32Array} unit
 * @param {Uint8Array} labels
 * @returns {{right: number, chance: number, threshold: number, above: boolean, chosen: number,
 *   tested: number}} shares of the second half: those the threshold gets right, and those
 *   that the commoner answer there does
 */
function prove(unit, labels) {
  const half = Math.floor(labels.length / 2), order = Array.from({ length: half }, (_, n) => n);
  order.sort((a, b) => unit[a] - unit[b]);
  let yes = 0;
  for (let n = 0; n < half; n += 1) yes += labels[n];
  // Above the threshold is yes: at first everything is above.
  let right = yes, best = Math.max(yes, half - yes), above = yes >= half - yes;
  let threshold = half ? unit[order[0]] - 1 : 0;
  order.forEach((n, rank) => {
    right += labels[n] ? -1 : 1;
    const next = order[rank + 1];
    if (next !== undefined && unit[next] === unit[n]) return;
    const place = next === undefined ? unit[n] : (unit[n] + unit[next]) / 2;
    if (right > best) [best, threshold, above] = [right, place, true];
    if (half - right > best) [best, threshold, above] = [half - right, place, false];
  });
  let found = 0, follows = 0;
  const tested = labels.length - half;
  for (let n = half; n < labels.length; n += 1) {
    found += (unit[n] > threshold === above) === (labels[n] === 1) ? 1 : 0;
    follows += labels[n];
  }
  const chance = Math.max(follows, tested - follows) / tested;
  return { right: found / tested, chance, threshold, above, chosen: half, tested };
}
