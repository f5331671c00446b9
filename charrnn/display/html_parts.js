"use strict";
// What the programs of all pages have in common.

/** Levels of the scales by which characters are colored. */
const LEVELS = 8;

/**
 * Make an element with a class and a text.
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {string} [style]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Name]}
 */
function make(name, style, text) {
  const element = document.createElement(name);
  if (style) element.className = style;
  if (text !== undefined) element.textContent = text;
  return element;
}
