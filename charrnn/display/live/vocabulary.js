// Between texts and ids. A text is cut into characters as people see them (code
// points); one is read as one id, as none if it is not known, or of a model of bytes
// as up to four.

class Vocabulary {
  /**
   * @param {string} symbols in the order of their ids
   * @param {string} unit "char" or "byte"
   */
  constructor(symbols, unit) {
    this.symbols = Array.from(symbols);
    this.bytes = unit === "byte";
    this.ids = new Map(this.symbols.map((symbol, id) => [symbol, id]));
    // Who knows one line end reads the other one as it.
    const feed = this.ids.has("\n"), back = this.ids.has("\r");
    this.lineEnd = this.bytes || feed === back ? "\n" : feed ? "\n" : "\r";
  }

  /**
   * Turn one character into its ids.
   * @param {string} char
   * @returns {number[]} empty if it is not known
   */
  encode(char) {
    if (char === "\n") char = this.lineEnd;
    if (!this.bytes) {
      const id = this.ids.get(char);
      return id === undefined ? [] : [id];
    }
    const found = Array.from(new TextEncoder().encode(char), (byte) =>
      this.ids.get(String.fromCharCode(byte)),
    );
    return found.includes(undefined) ? [] : /** @type {number[]} */ (found);
  }

  /**
   * Show the symbol of an id as a character of a text.
   * @param {number} id
   */
  decode(id) {
    const symbol = this.symbols[id];
    return symbol === "\r" && this.lineEnd === "\r" ? "\n" : symbol;
  }
}

/** Turns ids that come one by one into characters, of bytes as soon as they are whole. */
class Decoder {
  /** @param {Vocabulary} vocabulary */
  constructor(vocabulary) {
    this.vocabulary = vocabulary;
    /** @type {number[]} */
    this.pending = [];
  }

  /**
   * Take an id; list the characters that are whole now, with how many ids each took.
   * @param {number} id
   * @returns {Array<[string, number]>}
   */
  take(id) {
    if (!this.vocabulary.bytes) return [[this.vocabulary.decode(id), 1]];
    this.pending.push(this.vocabulary.symbols[id].charCodeAt(0));
    /** @type {Array<[string, number]>} */
    const found = [];
    while (this.pending.length) {
      const length = utf8Length(this.pending[0]);
      const broken = this.pending.findIndex((byte, n) => n > 0 && n < length && byte >> 6 !== 2);
      if (length === 0 || broken > 0) {
        const count = Math.max(1, broken);
        this.pending.splice(0, count);
        found.push(["\ufffd", count]);
      } else if (this.pending.length < length) {
        break;
      } else {
        const bytes = Uint8Array.from(this.pending.splice(0, length));
        const text = new TextDecoder().decode(bytes);
        found.push([Array.from(text).length === 1 ? text : "\ufffd", length]);
      }
    }
    return found;
  }
}

/**
 * Tell how many bytes a character of UTF-8 has, by its first; 0 if none begins so.
 * @param {number} byte
 */
function utf8Length(byte) {
  if (byte < 0x80) return 1;
  if (byte < 0xc2 || byte > 0xf4) return 0;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}
