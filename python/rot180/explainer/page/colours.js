// Colours: one for each tap or window, from dark to light in reading order, so that an order that
// is reversed can be seen; and a tint for each value, blue below zero and orange above.

// Evenly lit steps that eyes with any colour vision tell apart (after viridis).
const STEPS = [
  [72, 36, 117],
  [65, 68, 135],
  [53, 95, 141],
  [42, 120, 142],
  [33, 145, 140],
  [34, 168, 132],
  [68, 191, 112],
  [122, 209, 81],
  [189, 223, 38],
  [253, 231, 37],
];

function markColour(number, count) {
  const at = count > 1 ? ((number - 1) / (count - 1)) * (STEPS.length - 1) : 4;
  const step = Math.min(Math.floor(at), STEPS.length - 2);
  const colour = STEPS[step].map((low, i) =>
    Math.round(low + (STEPS[step + 1][i] - low) * (at - step)),
  );
  const dark = contrast(colour, [17, 17, 17]) > contrast(colour, [255, 255, 255]);
  return { background: `rgb(${colour.join(" ")})`, text: dark ? "#111" : "#fff" };
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

function luminance(colour) {
  const [r, g, b] = colour
    .map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

// From -1 to 1; 1 stands for the largest finite value of the array.
function tintOf(value, largest) {
  if (Number.isNaN(value)) return 0;
  if (!Number.isFinite(value)) return Math.sign(value);
  return largest ? value / largest : 0;
}

function largestOf(values) {
  return values.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);
}
