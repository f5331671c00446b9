// What a page holds of a network, as arrays of numbers again.

/**
 * What the page was told of its model; charrnn.inspection.living says it in Python.
 * @typedef {object} Facts
 * @property {string} cell
 * @property {string} symbols in the order of their ids
 * @property {string} unit "char" or "byte"
 * @property {string[]} gates in the order of storage
 * @property {string[]} states h first
 * @property {number} hidden
 * @property {number} layers
 * @property {number} vocab
 * @property {string} norm "none", "layer" or "affine"
 * @property {string} activation of a vanilla cell
 * @property {number[]} lags
 * @property {number} eps added to variances
 * @property {number|null} before the id that is read before a text
 * @property {number|null} start the id before which the state is cleared
 * @property {number|null} separator the id behind which a line is scored, of pairs
 * @property {number[]|null} opening logits of a first character that counts choose
 * @property {Place[]} tensors
 */

/**
 * Where an array stands in the page's bytes.
 * @typedef {object} Place
 * @property {string} name
 * @property {number[]} shape
 * @property {string} kind "float32", "float16" or "int8"
 * @property {number} offset
 */

/**
 * Turn base64 into bytes.
 * @param {string} text
 * @returns {Uint8Array}
 */
function decodeBase64(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let n = 0; n < raw.length; n += 1) bytes[n] = raw.charCodeAt(n);
  return bytes;
}

/**
 * Turn the bits of a float16 into a number.
 * @param {number} bits
 * @returns {number}
 */
function halfToNumber(bits) {
  const sign = bits & 0x8000 ? -1 : 1, power = (bits >> 10) & 31, rest = bits & 1023;
  if (power === 0) return sign * rest * 2 ** -24;
  if (power === 31) return rest ? NaN : sign * Infinity;
  return sign * (1 + rest / 1024) * 2 ** (power - 15);
}

/** @type {Float32Array|null} the number of each float16, made when first asked for */
let everyHalf = null;

/**
 * Read one array. Those of int8 have a float32 scale a row, which stand behind them.
 * @param {Uint8Array} bytes
 * @param {Place} place
 * @returns {Float32Array}
 */
function readTensor(bytes, place) {
  const size = place.shape.reduce((a, b) => a * b, 1), start = place.offset;
  const buffer = /** @type {ArrayBuffer} */ (bytes.buffer);
  if (place.kind === "float32") return new Float32Array(buffer.slice(start, start + 4 * size));
  const found = new Float32Array(size);
  if (place.kind === "float16") {
    everyHalf ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => halfToNumber(bits));
    const halves = new Uint16Array(buffer, start, size);
    for (let n = 0; n < size; n += 1) found[n] = everyHalf[halves[n]];
    return found;
  }
  const rows = place.shape[0], columns = size / rows, whole = new Int8Array(buffer, start, size);
  const scales = new Float32Array(buffer, start + 4 * Math.ceil(size / 4), rows);
  for (let n = 0; n < size; n += 1) found[n] = whole[n] * scales[Math.floor(n / columns)];
  return found;
}
