// The text of the page: one that can be typed in, over the same text in colors.

/** Characters of a part that is drawn at once, at most; line ends end it, too. */
const PART = 200;

class Editor {
  /**
   * @param {HTMLElement} back where the colored text stands
   * @param {HTMLTextAreaElement} field lies over it, its own text invisible
   * @param {Vocabulary} vocabulary
   */
  constructor(back, field, vocabulary) {
    this.back = back;
    this.field = field;
    this.vocabulary = vocabulary;
    /** @type {string[]} */
    this.chars = [];
    /** @type {number[]} the first id of each character, and the number of all ids */
    this.firsts = [0];
    /** @type {number[]} */
    this.ids = [];
    /** @type {(n: number) => string} names the classes of a character */
    this.styleOf = () => "";
    this.late = ""; // what was written, and is not in the field yet
    /** @type {HTMLElement[]} */
    this.parts = [];
    /** @type {number[]} the first character of each part */
    this.starts = [];
    /** @type {Set<number>} parts that are to be drawn anew */
    this.stale = new Set();
    this.drawing = false;
  }

  /**
   * Read what stands in the field.
   * @returns {number} how many characters stay as they were
   */
  parse() {
    const chars = Array.from(this.field.value);
    let same = 0;
    while (same < chars.length && chars[same] === this.chars[same]) same += 1;
    this.late = "";
    this.dropParts(same ? this.partOf(same - 1) + 1 : 0);
    this.chars.length = same;
    this.firsts.length = same + 1;
    this.ids.length = this.firsts[same];
    for (const char of chars.slice(same)) this.push(char, this.vocabulary.encode(char));
    this.redraw(Math.max(0, same - 1));
    return same;
  }

  /**
   * Put a character behind the text.
   * @param {string} char
   * @param {number[]} ids
   */
  push(char, ids) {
    const n = this.chars.length, last = this.starts.length - 1;
    const begins = n === 0 || this.chars[n - 1] === "\n";
    if (begins || n - this.starts[last] >= PART) this.addPart(begins);
    this.chars.push(char);
    for (const id of ids) this.ids.push(id);
    this.firsts.push(this.ids.length);
  }

  /**
   * Add an empty part. Every line of the text is a block of its own, so that a
   * browser arranges the others no more when one grows.
   * @param {boolean} begins whether a line begins
   */
  addPart(begins) {
    const part = make("span", "");
    if (begins) this.back.append(make("div", "line"));
    this.back.lastElementChild?.append(part);
    this.parts.push(part);
    this.starts.push(this.chars.length);
  }

  /** @param {number} kept parts that stay */
  dropParts(kept) {
    this.starts.length = Math.min(kept, this.starts.length);
    for (const part of this.parts.splice(kept)) {
      const line = part.parentElement;
      part.remove();
      if (!line?.firstChild) line?.remove();
    }
  }

  /**
   * Find the part in which a character stands.
   * @param {number} n
   */
  partOf(n) {
    let low = 0, high = this.starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.starts[middle] <= n) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /**
   * Put what was written behind the text. The field gets it in `settle`: it arranges
   * all of its text whenever that changes.
   * @param {Array<[string, number[]]>} written characters, and the ids of each
   */
  append(written) {
    const same = this.chars.length;
    for (const [char, ids] of written) this.push(char, ids);
    this.late += written.map(([char]) => char).join("");
    this.redraw(same);
  }

  /** Put what was written into the field, too. */
  settle() {
    const text = this.late, end = this.field.value.length;
    if (!text) return;
    this.late = "";
    this.field.setRangeText(text, end, end, "preserve");
    if (this.field.selectionStart === end) this.field.setSelectionRange(end + text.length, end + text.length);
  }

  /** Tell which characters are unknown to the model. */
  get unknown() {
    return this.chars.filter((_, n) => this.firsts[n] === this.firsts[n + 1]);
  }

  /**
   * Find the character that an id belongs to.
   * @param {number} id its place
   */
  charOf(id) {
    let low = 0, high = this.chars.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.firsts[middle + 1] <= id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Tell how many characters stand before the caret. */
  get caret() {
    return Array.from(this.field.value.slice(0, this.field.selectionEnd)).length;
  }

  /** @param {number} n characters that are to stand before the caret */
  set caret(n) {
    const place = this.chars.slice(0, n).join("").length;
    this.field.setSelectionRange(place, place);
  }

  /**
   * Find the character at a place of the window; -1 if there is none.
   * @param {number} x
   * @param {number} y
   */
  at(x, y) {
    this.field.style.pointerEvents = "none";
    const hit = document.elementFromPoint(x, y);
    const range = document.caretRangeFromPoint?.(x, y) ?? null;
    const found = range ? { node: range.startContainer, offset: range.startOffset } : null;
    const place = document.caretPositionFromPoint?.(x, y);
    this.field.style.pointerEvents = "";
    const { node, offset } = found ?? { node: place?.offsetNode, offset: place?.offset ?? 0 };
    const run = node?.parentElement;
    if (!run?.dataset.first || !hit || !this.back.contains(hit)) return -1;
    const text = node?.textContent ?? "", before = text.slice(0, offset);
    let n = Number(run.dataset.first) + Array.from(before).length;
    // The gap that is nearest may be the one behind the character.
    const box = document.createRange();
    if (node && before) {
      box.setStart(node, offset - (Array.from(before).pop()?.length ?? 1));
      box.setEnd(node, offset);
      const { right, bottom } = box.getBoundingClientRect();
      if (x < right && y <= bottom + 12) n -= 1;
    }
    return n < this.chars.length ? n : -1;
  }

  /**
   * Draw the text anew, from a character on.
   * @param {number} first
   * @param {number} last
   */
  redraw(first = 0, last = this.chars.length) {
    const end = this.partOf(last);
    for (let k = this.partOf(Math.max(0, first)); k <= end; k += 1) this.stale.add(k);
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => this.draw());
  }

  /** Draw parts that are stale, as many as there is time for, the last ones first. */
  draw() {
    const end = performance.now() + 12, order = Array.from(this.stale).sort((a, b) => b - a);
    for (const k of order) {
      if (performance.now() > end) break;
      this.stale.delete(k);
      if (this.parts[k]) this.drawPart(k);
    }
    this.drawing = this.stale.size > 0;
    if (this.drawing) requestAnimationFrame(() => this.draw());
  }

  /** @param {number} k */
  drawPart(k) {
    const first = this.starts[k], last = this.starts[k + 1] ?? this.chars.length, runs = [];
    for (let n = first; n < last;) {
      const style = this.styleOf(n), from = n;
      let text = "";
      do {
        text += this.chars[n];
        n += 1;
      } while (n < last && this.styleOf(n) === style && this.chars[n - 1] !== "\n");
      const run = make("span", style, text);
      run.dataset.first = String(from);
      runs.push(run);
    }
    this.parts[k].replaceChildren(...runs);
  }
}
