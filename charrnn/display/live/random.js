// Uniform random numbers as charrnn.sampling takes them: the upper 53 bits of Philox
// 4x64 with 10 rounds (Salmon et al. 2011), seeded by a child of NumPy's SeedSequence.

/**
 * Multiply two natural numbers below 2^32 and keep the low 32 bits.
 * @param {number} a
 * @param {number} b
 */
function low32(a, b) {
  return Math.imul(a, b) >>> 0;
}

/**
 * Make the key of a stream: what SeedSequence(seed, spawn_key=(child,)) generates.
 * @param {number} seed 0 or more, a safe integer
 * @param {number} child
 * @returns {[bigint, bigint]}
 */
function keyOf(seed, child) {
  const words = [seed % 2 ** 32, Math.floor(seed / 2 ** 32), 0, 0, child];
  let constant = 0x43b0d7e5;
  const hash = (/** @type {number} */ value) => {
    value = (value ^ constant) >>> 0;
    constant = low32(constant, 0x931e8875);
    value = low32(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (/** @type {number} */ x, /** @type {number} */ y) => {
    const found = (low32(0xca01f9dd, x) - low32(0x4973f715, y)) >>> 0;
    return (found ^ (found >>> 16)) >>> 0;
  };
  const pool = words.slice(0, 4).map(hash);
  for (let from = 0; from < 4; from += 1) {
    for (let to = 0; to < 4; to += 1) {
      if (from !== to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }
  for (let to = 0; to < 4; to += 1) pool[to] = mix(pool[to], hash(words[4]));
  constant = 0x8b51f9dd;
  const state = pool.map((value) => {
    value = (value ^ constant) >>> 0;
    constant = low32(constant, 0x58f38ded);
    value = low32(value, constant);
    return BigInt((value ^ (value >>> 16)) >>> 0);
  });
  return [state[0] | (state[1] << 32n), state[2] | (state[3] << 32n)];
}

/** The random numbers of one sample. */
class Randomness {
  /**
   * @param {number} seed
   * @param {number} sample which one, from 0
   */
  constructor(seed, sample = 0) {
    this.key = keyOf(seed, sample);
    this.counter = 0n;
    /** @type {bigint[]} */
    this.left = [];
  }

  /** Take the next number, in [0, 1). */
  take() {
    if (!this.left.length) this.left = this.block();
    return Number(/** @type {bigint} */ (this.left.shift()) >> 11n) * 2 ** -53;
  }

  /** Make the next four 64-bit numbers. */
  block() {
    const mask = (1n << 64n) - 1n;
    this.counter += 1n;
    let [a, b, c, d] = [this.counter, 0n, 0n, 0n], [k, l] = this.key;
    for (let round = 0; round < 10; round += 1) {
      const first = 0xd2e7470ee14c6c93n * a, second = 0xca5a826395121157n * c;
      [a, b, c, d] = [(second >> 64n) ^ b ^ k, second & mask, (first >> 64n) ^ d ^ l, first & mask];
      k = (k + 0x9e3779b97f4a7c15n) & mask;
      l = (l + 0xbb67ae8584caa73bn) & mask;
    }
    return [a, b, c, d];
  }
}
