// Numbers of all units as bars on one line: above it what is positive, below it what
// is negative, so that colors are not needed to read them.

/**
 * Draw bars.
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values
 * @param {number} marked the unit that is looked at; -1 for none
 * @param {number} groups how many blocks of units stand side by side
 */
function drawStrip(canvas, values, marked, groups = 1) {
  const { width, height } = canvas.getBoundingClientRect(), density = devicePixelRatio || 1;
  const context = canvas.getContext("2d");
  if (!context || !width) return;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const colors = getComputedStyle(canvas), step = canvas.width / values.length;
  const color = (/** @type {string} */ name) => colors.getPropertyValue(name);
  let most = 1e-9;
  for (let n = 0; n < values.length; n += 1) most = Math.max(most, Math.abs(values[n]));
  if (most > 0.5 && most < 1) most = 1;
  const middle = canvas.height / 2;
  for (let n = 0; n < values.length; n += 1) {
    const size = (values[n] / most) * (middle - 1), chosen = n % (values.length / groups) === marked;
    if (chosen) {
      context.fillStyle = color("--rule");
      context.fillRect(n * step - density, 0, Math.max(step, 1) + 2 * density, canvas.height);
    }
    context.fillStyle = color(chosen ? "--ink" : values[n] < 0 ? "--negative" : "--accent");
    const thick = Math.max(step - (step > 3 ? 1 : 0), 0.5);
    context.fillRect(n * step, size > 0 ? middle - size : middle, thick, Math.max(1, Math.abs(size)));
  }
  context.fillStyle = color("--faint");
  context.fillRect(0, middle, canvas.width, 1);
  for (let k = 1; k < groups; k += 1) context.fillRect((canvas.width * k) / groups, 0, 1, canvas.height);
}
