// The arithmetic of the page: sizes, and for each cell of a result the terms that it is the sum of.
//
// An array is {shape, values}. A problem is {settings, geometry, arrays}; settings are what the
// controls show, geometry has an entry for each axis, vertical and horizontal.

const RESULTS = ["y", "dx", "dw", "db"];

function flatIndex(shape, index) {
  return index.reduce((flat, i, axis) => flat * shape[axis] + i, 0);
}

function valueAt(array, index) {
  return array.values[flatIndex(array.shape, index)];
}

function sizeOf(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

// Every index of a shape, the last axis fastest.
function indicesOf(shape) {
  return Array.from({ length: sizeOf(shape) }, (_, flat) => {
    const index = [];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = flat % shape[axis];
      flat = Math.floor(flat / shape[axis]);
    }
    return index;
  });
}

function range(from, to) {
  return Array.from({ length: Math.max(to - from, 0) }, (_, i) => from + i);
}

// Sizes of a convolution, or an Error that says which setting does not fit.
function geometryOf(settings, limits) {
  const { channels, filters, groups } = settings;
  if (channels % groups || filters % groups) {
    throw new Error(`${groups} groups must divide ${channels} channels and ${filters} filters`);
  }
  const axes = [0, 1].map((axis) => {
    const size = settings.size[axis];
    const kernel = settings.kernel[axis];
    const stride = settings.stride[axis];
    const dilation = settings.dilation[axis];
    const [before, after] = settings.padding[axis];
    const window = dilation * (kernel - 1) + 1;
    const padded = size + before + after;
    if (window > padded) {
      throw new Error(
        `the kernel covers ${window} ${axis ? "columns" : "rows"}, ` +
          `more than the padded input's ${padded}: use a smaller kernel or dilation, or more padding`,
      );
    }
    const out = Math.floor((padded - window) / stride) + 1;
    const remainder = padded - window - (out - 1) * stride;
    return { size, kernel, stride, dilation, before, after, window, padded, out, remainder };
  });
  const [v, h] = axes;
  const perGroup = { channels: channels / groups, filters: filters / groups };
  const shapes = {
    x: [v.size, h.size, channels],
    w: [v.kernel, h.kernel, perGroup.channels, filters],
    b: [filters],
    y: [v.out, h.out, filters],
  };
  Object.assign(shapes, { dx: shapes.x, dw: shapes.w, db: shapes.b, dy: shapes.y });
  const products = sizeOf(shapes.y) * v.kernel * h.kernel * perGroup.channels;
  const cells = Math.max(v.padded * h.padded * channels, sizeOf(shapes.w), sizeOf(shapes.y));
  if (cells > limits.cells) throw new Error(`${cells} cells in an array, at most ${limits.cells}`);
  if (products > limits.products) {
    throw new Error(`${products} products in a pass, at most ${limits.products}`);
  }
  return { axes, channels, filters, groups, perGroup, shapes };
}

// The output i whose window's tap r lies on p, or null: p = i * stride + r * dilation - before.
function outputAt(axis, p, r) {
  const i = (p + axis.before - r * axis.dilation) / axis.stride;
  return Number.isInteger(i) && i >= 0 && i < axis.out ? i : null;
}

// The input under tap r of window i, or null in the padding.
function inputAt(axis, i, r) {
  const p = i * axis.stride + r * axis.dilation - axis.before;
  return p >= 0 && p < axis.size ? p : null;
}

function filtersOfChannel(geometry, c) {
  const first = Math.floor(c / geometry.perGroup.channels) * geometry.perGroup.filters;
  return range(first, first + geometry.perGroup.filters);
}

function firstChannelOfFilter(geometry, k) {
  return Math.floor(k / geometry.perGroup.filters) * geometry.perGroup.channels;
}

// A term: the cells that are multiplied, its value, and a number that both cells are marked with:
// the tap of the kernel, or the window, counted from 1 in reading order.
function term(arrays, number, ...cells) {
  const factors = cells.map(([array, ...index]) => ({
    array,
    index,
    value: valueAt(arrays[array], index),
  }));
  const value = factors.reduce((product, factor) => product * factor.value, 1);
  return { number, factors, value };
}

function tapNumber(geometry, r, s) {
  return r * geometry.axes[1].kernel + s + 1;
}

const TERMS = {
  y({ geometry, arrays }, [i, j, k]) {
    const [v, h] = geometry.axes;
    const first = firstChannelOfFilter(geometry, k);
    const terms = [term(arrays, null, ["b", k])];
    for (const c of range(0, geometry.perGroup.channels)) {
      for (const r of range(0, v.kernel)) {
        for (const s of range(0, h.kernel)) {
          const [p, q] = [inputAt(v, i, r), inputAt(h, j, s)];
          if (p === null || q === null) continue;
          const number = tapNumber(geometry, r, s);
          terms.push(term(arrays, number, ["x", p, q, first + c], ["w", r, s, c, k]));
        }
      }
    }
    return terms;
  },

  dx({ geometry, arrays }, [p, q, c]) {
    const [v, h] = geometry.axes;
    const terms = [];
    for (const k of filtersOfChannel(geometry, c)) {
      for (const r of range(0, v.kernel)) {
        for (const s of range(0, h.kernel)) {
          const [i, j] = [outputAt(v, p, r), outputAt(h, q, s)];
          if (i === null || j === null) continue;
          const weight = ["w", r, s, c % geometry.perGroup.channels, k];
          terms.push(term(arrays, tapNumber(geometry, r, s), ["dy", i, j, k], weight));
        }
      }
    }
    return terms;
  },

  dw({ geometry, arrays }, [r, s, c, k]) {
    const [v, h] = geometry.axes;
    const channel = firstChannelOfFilter(geometry, k) + c;
    const terms = [];
    for (const i of range(0, v.out)) {
      for (const j of range(0, h.out)) {
        const [p, q] = [inputAt(v, i, r), inputAt(h, j, s)];
        if (p === null || q === null) continue;
        terms.push(term(arrays, i * h.out + j + 1, ["x", p, q, channel], ["dy", i, j, k]));
      }
    }
    return terms;
  },

  db({ geometry, arrays }, [k]) {
    const [v, h] = geometry.axes;
    return indicesOf([v.out, h.out]).map(([i, j]) =>
      term(arrays, i * h.out + j + 1, ["dy", i, j, k]),
    );
  },
};

const FORMULAS = {
  y: "y[i,j,k] = b[k] + Σ x[i·sh + r·dh − top, j·sw + s·dw − left, c] · w[r,s,c,k]",
  dx: "dx[p,q,c] = Σ dy[i,j,k] · w[r,s,c,k], where p = i·sh + r·dh − top and q = j·sw + s·dw − left",
  dw: "dw[r,s,c,k] = Σ x[i·sh + r·dh − top, j·sw + s·dw − left, c] · dy[i,j,k]",
  db: "db[k] = Σ dy[i,j,k]",
};

// How many numbers there are for marks: taps for y and dx, windows for dw and db.
function highestNumber(geometry, name) {
  const [v, h] = geometry.axes;
  return name === "y" || name === "dx" ? v.kernel * h.kernel : v.out * h.out;
}

function sumOf(terms) {
  return terms.reduce((sum, { value }) => sum + value, 0);
}

function rounded(value, dtype) {
  return dtype === "float32" ? Math.fround(value) : value;
}

function computeResult(problem, name, dtype) {
  const shape = problem.geometry.shapes[name];
  const values = indicesOf(shape).map((index) =>
    rounded(sumOf(TERMS[name](problem, index)), dtype),
  );
  return { shape, values };
}

// An array of another shape: the old numbers where there are any, small whole ones elsewhere.
function reshaped(array, shape) {
  const values = indicesOf(shape).map((index, flat) =>
    index.every((i, axis) => i < array.shape[axis])
      ? valueAt(array, index)
      : [2, -1, 3, 1, -2, 1, -3][(flat * 5 + index[0]) % 7],
  );
  return { shape, values };
}
