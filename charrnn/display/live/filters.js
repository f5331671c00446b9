// Choosing the next character: the filters of charrnn/kernels/filters.py, in their
// order, and one draw. Everything is in float64, from logits less their maximum.

/**
 * Settings; each comment names the neutral one.
 * @typedef {object} Filters
 * @property {number} temperature 1; below GREEDY_BELOW the likeliest is taken
 * @property {number} topK 0
 * @property {number} typical 1
 * @property {number} topP 1
 * @property {number} minP 0
 * @property {number[]} banned ids that are never chosen
 */

const GREEDY_BELOW = 1e-4;

/**
 * Choose a character.
 * @param {Float32Array} logits
 * @param {Filters} filters
 * @param {number} u in [0, 1)
 * @returns {number} -1 if there is nothing to choose from
 */
function choose(logits, filters, u) {
  const weights = new Float64Array(logits.length);
  const best = weigh(logits, filters, weights);
  return best < 0 || filters.temperature < GREEDY_BELOW ? best : draw(weights, u);
}

/**
 * Apply all filters.
 * @param {Float32Array} logits
 * @param {Filters} filters
 * @param {Float64Array} weights written: in proportion to the probabilities
 * @returns {number} the likeliest character; -1 if there is nothing to choose from
 */
function weigh(logits, filters, weights) {
  const scores = Float64Array.from(logits);
  for (const id of filters.banned) scores[id] = -Infinity;
  let best = 0;
  for (let v = 0; v < scores.length; v += 1) {
    if (Number.isNaN(scores[v])) return -1;
    if (scores[v] > scores[best]) best = v;
  }
  if (!Number.isFinite(scores[best])) return -1;
  if (filters.temperature < GREEDY_BELOW) {
    weights.fill(0);
    weights[best] = 1;
    return best;
  }
  const peak = scores[best], slope = 1 / filters.temperature;
  for (let v = 0; v < scores.length; v += 1) {
    scores[v] = (scores[v] - peak) * slope;
    weights[v] = Math.exp(scores[v]);
  }
  if (filters.topK > 0 && filters.topK < scores.length) {
    keepCheapest(weights, scores.map((score) => -score), filters.topK, () => 1);
  }
  const byWeight = (/** @type {number} */ v) => weights[v];
  if (filters.typical < 1) {
    keepCheapest(weights, surpriseCosts(scores, weights), filters.typical * sum(weights), byWeight);
  }
  if (filters.topP < 1) {
    keepCheapest(weights, weights.map((weight) => -weight), filters.topP * sum(weights), byWeight);
  }
  if (filters.minP > 0) {
    const limit = filters.minP * weights.reduce((a, b) => Math.max(a, b), 0);
    for (let v = 0; v < weights.length; v += 1) if (weights[v] < limit) weights[v] = 0;
  }
  return best;
}

/** @param {Float64Array} weights */
function sum(weights) {
  let total = 0;
  for (let v = 0; v < weights.length; v += 1) total += weights[v];
  return total;
}

/**
 * Keep the fewest characters, lowest costs first, that make up enough. Equal costs go
 * by id, and the one that crosses the mark stays.
 * @param {Float64Array} weights those of what is left out become 0
 * @param {Float64Array} costs
 * @param {number} wanted
 * @param {(v: number) => number} size what a character counts
 */
function keepCheapest(weights, costs, wanted, size) {
  const order = [];
  for (let v = 0; v < weights.length; v += 1) if (weights[v] > 0) order.push(v);
  order.sort((a, b) => costs[a] - costs[b] || a - b);
  let have = 0;
  order.forEach((v, n) => {
    const enough = n > 0 && have >= wanted;
    have += size(v);
    if (enough) weights[v] = 0;
  });
}

/**
 * Tell how far -ln p of each character is from its mean, the entropy.
 * @param {Float64Array} scores
 * @param {Float64Array} weights
 */
function surpriseCosts(scores, weights) {
  const total = sum(weights), normal = Math.log(total);
  let mean = 0;
  for (let v = 0; v < weights.length; v += 1) {
    if (weights[v] > 0) mean += (weights[v] / total) * (normal - scores[v]);
  }
  return scores.map((score) => Math.abs(normal - score - mean));
}

/**
 * Look u up in the inverse of the distribution, in the order of the vocabulary.
 * @param {Float64Array} weights
 * @param {number} u
 */
function draw(weights, u) {
  const wanted = u * sum(weights);
  let mass = 0, last = 0;
  for (let v = 0; v < weights.length; v += 1) {
    if (weights[v] > 0) {
      mass += weights[v];
      last = v;
      if (mass > wanted) break;
    }
  }
  return last;
}
