// How numbers are written: few digits in a cell, all of them where one is looked at closely.

const MINUS = "\u2212";

function withSign(text) {
  return text.replace(/-/g, MINUS);
}

// At most five characters or so: 12, −3.25, 1.2e6.
function shortNumber(value) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : `${MINUS}∞`;
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e5 || size < 1e-3)) {
    return withSign(value.toExponential(1).replace("e+", "e").replace(".0e", "e"));
  }
  if (Number.isInteger(value)) return withSign(String(Object.is(value, -0) ? 0 : value));
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : 2;
  const rounded = Number(value.toFixed(digits));
  return withSign(String(rounded === 0 ? Number(value.toPrecision(1)) : rounded));
}

// The fewest digits that tell the number from every other one of its type.
function fullNumber(value, dtype) {
  if (!Number.isFinite(value)) return shortNumber(value);
  if (dtype === "float32" && Math.fround(value) === value) {
    for (let digits = 1; digits <= 9; digits++) {
      const text = String(Number(value.toPrecision(digits)));
      if (Math.fround(Number(text)) === value) return withSign(text);
    }
  }
  return withSign(String(value));
}

const EPSILON = { float32: 2 ** -23, float64: 2 ** -52 };
const SMALLEST = { float32: 2 ** -126, float64: 2 ** -1022 }; // what the kernels do not flush to 0
const LARGEST = { float32: 2 ** 128, float64: Number.MAX_VALUE };

// Whether a kernel's sum is that of the terms, but for the rounding of as many additions.
function agrees(sum, kernels, terms, dtype) {
  const computed = dtype === "float32" ? Math.fround(sum) : sum;
  if (Object.is(computed, kernels) || computed === kernels) return true;
  const size = terms.reduce((total, term) => total + Math.abs(term.value), 0);
  // A sum that leaves the range on its way depends on the order of its terms.
  if (!Number.isFinite(kernels)) return size >= LARGEST[dtype];
  const rounding = EPSILON[dtype] * size + SMALLEST[dtype];
  return Math.abs(sum - kernels) <= (terms.length + 1) * rounding;
}
