// Mistakes of the catalogue: what each would have computed, cell by cell, and why it is wrong.
//
// A mistake says which array it spoils (`array`), the terms that a cell then has (`terms`, of a
// problem and an index), what their sum is multiplied or divided by (`factor`, `divisor`), the shape
// of the spoilt array if it is another (`shape`), how far its cells lie from the right ones they
// stand for (`shift`), where it is possible at all (`applies`), and what it `needs` to show.

// dx with another rule for the weight, or for which output meets which tap.
function spoiltInputGradient(problem, [p, q, c], { output = outputAt, weight } = {}) {
  const { geometry, arrays } = problem;
  const [v, h] = geometry.axes;
  const channel = c % geometry.perGroup.channels;
  const terms = [];
  for (const k of filtersOfChannel(geometry, c)) {
    for (const r of range(0, v.kernel)) {
      for (const s of range(0, h.kernel)) {
        const [i, j] = [output(v, p, r), output(h, q, s)];
        if (i === null || j === null) continue;
        const at = weight ? weight(r, s, channel, k) : [r, s, channel, k];
        terms.push(term(arrays, tapNumber(geometry, at[0], at[1]), ["dy", i, j, k], ["w", ...at]));
      }
    }
  }
  return terms;
}

// dw with another rule for the input that meets the output i under tap r.
function spoiltWeightGradient(problem, [r, s, c, k], { input = inputAt, output = (i) => i } = {}) {
  const { geometry, arrays } = problem;
  const [v, h] = geometry.axes;
  const channel = firstChannelOfFilter(geometry, k) + c;
  const terms = [];
  for (const i of range(0, v.out)) {
    for (const j of range(0, h.out)) {
      const [p, q] = [input(v, i, r), input(h, j, s)];
      const [row, column] = [output(i, r, v), output(j, s, h)];
      if ([p, q, row, column].includes(null)) continue;
      const number = row * h.out + column + 1;
      terms.push(term(arrays, number, ["x", p, q, channel], ["dy", row, column, k]));
    }
  }
  return terms;
}

function within(i, size) {
  return Number.isInteger(i) && i >= 0 && i < size ? i : null;
}

const MISTAKES = [
  {
    id: "M1",
    title: "kernel not turned",
    array: "dx",
    terms: (problem, index) =>
      spoiltInputGradient(problem, index, {
        weight: (r, s, c, k) => {
          const [v, h] = problem.geometry.axes;
          return [v.kernel - 1 - r, h.kernel - 1 - s, c, k];
        },
      }),
    why: "The pixel that tap r read for window i gives its share back through the same tap: as i grows r must fall.",
    needs: "a kernel larger than 1×1",
  },
  {
    id: "M2",
    title: "turned in the channel and filter axes instead of height and width",
    array: "dx",
    terms: (problem, index) =>
      spoiltInputGradient(problem, index, {
        weight: (r, s, c, k) => {
          const { axes, perGroup, filters } = problem.geometry;
          const [v, h] = axes;
          return [v.kernel - 1 - r, h.kernel - 1 - s, perGroup.channels - 1 - c, filters - 1 - k];
        },
      }),
    why: "np.rot90(np.rot90(w)) turns the first two axes, which in OIHW are filters and channels: weights then meet the wrong channels.",
    needs: "a kernel larger than 1×1, or more channels",
  },
  {
    id: "M3",
    title: "dx with the kernel's shape",
    array: "dx",
    shape: ({ axes, channels }) => [axes[0].kernel, axes[1].kernel, channels],
    terms: ({ geometry, arrays }, [r, s, c]) =>
      filtersOfChannel(geometry, c).flatMap((k) =>
        indicesOf(geometry.axes.map(({ out }) => out)).map(([i, j]) =>
          term(
            arrays,
            tapNumber(geometry, r, s),
            ["dy", i, j, k],
            ["w", r, s, c % geometry.perGroup.channels, k],
          ),
        ),
      ),
    why: "There is a derivative for every input pixel, so dx has the shape of x; adding all of dy up first forgets where each error was.",
  },
  {
    id: "M4",
    title: "no sum over filters: the last one overwrites the others",
    array: "dx",
    terms: (problem, index) => {
      const last = filtersOfChannel(problem.geometry, index[2]).at(-1);
      return TERMS.dx(problem, index).filter(({ factors }) => factors[0].index[2] === last);
    },
    why: "Every filter read the pixel, so every filter's error comes back to it: the contributions add up.",
    needs: "more than one filter in a group",
  },
  {
    id: "M5",
    title: "dy indexed like the input",
    array: "dw",
    terms: (problem, index) =>
      spoiltWeightGradient(problem, index, { output: (i, r, { out }) => within(i + r, out) }),
    why: "The weight's tap moves the place in x alone: window (i, j) has one error, dy[i,j], whichever tap is asked about.",
    needs: "a kernel larger than 1×1",
  },
  {
    id: "M6",
    title: "indices clamped at the border",
    array: "dx",
    terms: (problem, index) =>
      spoiltInputGradient(problem, index, {
        output: (axis, p, r) => {
          const i = (p + axis.before - r * axis.dilation) / axis.stride;
          return Number.isInteger(i) ? Math.min(Math.max(i, 0), axis.out - 1) : null;
        },
      }),
    why: "Where there is no window there is no term: clamping the index takes the error of the window at the edge a second time.",
    needs: "a kernel larger than 1×1",
  },
  {
    id: "M7",
    title: "mean over the positions instead of the sum",
    array: "dw",
    terms: TERMS.dw,
    divisor: ({ axes }) => axes[0].out * axes[1].out,
    why: "The same weight acts at every position and changes the loss through each: derivatives add, nothing divides by OH·OW.",
    needs: "more than one window",
  },
  {
    id: "M9",
    title: "counted once for each weight of the kernel",
    array: "db",
    terms: TERMS.db,
    factor: ({ axes }) => axes[0].kernel * axes[1].kernel,
    why: "The bias is added once to each output, not once for each tap: db is the plain sum of dy.",
    needs: "a kernel larger than 1×1",
  },
  {
    id: "M9 scalar",
    title: "one number for all filters",
    array: "db",
    terms: (problem) => range(0, problem.geometry.filters).flatMap((k) => TERMS.db(problem, [k])),
    why: "Each filter has a bias of its own, which only its own outputs see: sum over positions, not over filters.",
    needs: "more than one filter",
  },
  {
    id: "M11",
    title: "filter k reads channel k mod C alone",
    array: "y",
    terms: (problem, index) =>
      TERMS.y(problem, index).filter(
        ({ factors }) =>
          factors[0].array === "b" ||
          factors[1].index[2] === index[2] % problem.geometry.perGroup.channels,
      ),
    why: "A filter has a slice for every input channel of its group, and y is the sum over all of them.",
    needs: "more than one channel in a group",
  },
  {
    id: "M12",
    title: "stride forgotten",
    array: "dx",
    terms: (problem, index) =>
      spoiltInputGradient(problem, index, {
        output: (axis, p, r) => within(p + axis.before - r * axis.dilation, axis.out),
      }),
    why: "Windows that are s pixels apart send their errors s pixels apart: s − 1 zeros belong between the entries of dy.",
    needs: "a stride larger than 1",
  },
  {
    id: "M12 zeros",
    title: "s zeros between the entries of dy instead of s − 1",
    array: "dx",
    terms: (problem, index) =>
      spoiltInputGradient(problem, index, {
        output: (axis, p, r) =>
          within((p + axis.before - r * axis.dilation) / (axis.stride + 1), axis.out),
      }),
    why: "Entries s apart have s − 1 places between them; one zero more and every later error lands too far away.",
    needs: "more than one window",
  },
  {
    id: "M12 dw",
    title: "stride forgotten",
    array: "dw",
    terms: (problem, index) =>
      spoiltWeightGradient(problem, index, {
        input: (axis, i, r) => within(i + r * axis.dilation - axis.before, axis.size),
      }),
    why: "Window i began at pixel i·s, so dy[i] meets x[i·s + r], not x[i + r].",
    needs: "a stride larger than 1",
  },
  {
    id: "M13",
    title: "remainder rows and columns dropped",
    array: "dx",
    shape: ({ axes, channels }) => [
      ...axes.map((a) => Math.max(a.size - a.remainder, 1)),
      channels,
    ],
    terms: TERMS.dx,
    why: "Pixels that no window read have the derivative 0, but they have one: dx has exactly the shape of x.",
    needs: "a stride that does not fit the input evenly",
  },
  {
    id: "M14",
    title: "padding not cropped",
    array: "dx",
    shape: ({ axes, channels }) => [...axes.map(({ padded }) => padded), channels],
    shift: ({ axes }) => axes.map(({ before }) => -before),
    why: "The gradient of the padded input has a border that belongs to no pixel: cut top, bottom, left and right off.",
    terms: TERMS.dx,
    needs: "some padding",
  },
  {
    id: "M14 dw",
    title: "x not padded",
    array: "dw",
    terms: (problem, index) =>
      spoiltWeightGradient(problem, index, {
        input: (axis, i, r) => within(i * axis.stride + r * axis.dilation, axis.size),
      }),
    why: "The forward pass saw the image shifted by the padding: its weight gradient must look at the same places.",
    needs: "padding at the top or the left",
  },
  {
    id: "M15",
    title: "dilation forgotten",
    array: "dx",
    terms: (problem, index) =>
      spoiltInputGradient(problem, index, {
        output: (axis, p, r) => within((p + axis.before - r) / axis.stride, axis.out),
      }),
    why: "The forward taps were d pixels apart, so the turned kernel is spread out by the same d.",
    needs: "a dilation larger than 1",
  },
  {
    id: "M16",
    title: "height and width exchanged",
    array: "dx",
    terms: (problem, [p, q, c]) => {
      const [v, h] = problem.geometry.axes;
      const place = q * v.size + p;
      return TERMS.dx(problem, [Math.floor(place / h.size), place % h.size, c]);
    },
    why: "The buffer was filled as W × H and read as H × W: every number is right and stands in the wrong place.",
    needs: "more than one row and column",
  },
  {
    id: "M17",
    title: "in and out channels exchanged",
    array: "dx",
    applies: ({ channels, filters, groups }) => channels === filters && groups === 1,
    terms: (problem, index) =>
      spoiltInputGradient(problem, index, { weight: (r, s, c, k) => [r, s, k, c] }),
    why: "dy[..,k] comes back through w[..,c,k]; w[..,k,c] belongs to another input and another filter.",
    needs: "as many filters as channels, at least two, in one group",
  },
  {
    id: "M18",
    title: "channels of the wrong group",
    array: "dx",
    terms: (problem, [p, q, c]) => {
      const { geometry, arrays } = problem;
      const { channels, perGroup } = geometry;
      const neighbour = (c + perGroup.channels) % channels;
      const shifted = filtersOfChannel(geometry, neighbour);
      return TERMS.dx(problem, [p, q, c]).map(({ number, factors }) => {
        const [{ index: error }, { index: weight }] = factors;
        const k = shifted[weight[3] % perGroup.filters];
        return term(arrays, number, ["dy", error[0], error[1], k], ["w", ...weight.slice(0, 3), k]);
      });
    },
    why: "A channel is read by the filters of its own group alone, so no other group's errors come back to it.",
    needs: "more than one group",
  },
  {
    id: "M20",
    title: "turned by 180 degrees",
    array: "dw",
    terms: (problem, [r, s, c, k]) => {
      const [v, h] = problem.geometry.axes;
      return TERMS.dw(problem, [v.kernel - 1 - r, h.kernel - 1 - s, c, k]);
    },
    why: "Only dx needs the turn: the forward pass is a correlation, and tap (r, s) has its derivative at (r, s).",
    needs: "a kernel larger than 1×1",
  },
  {
    id: "M21",
    title: "overwritten where it should accumulate",
    array: "dx",
    terms: (problem, index) => {
      const terms = TERMS.dx(problem, index);
      const order = ({ factors: [{ index: at }] }) => at[0] * 1e6 + at[1];
      const last = Math.max(...terms.map(order));
      return terms.filter((one) => order(one) === last);
    },
    why: "Windows overlap: a pixel was read by several, and = instead of += keeps the last one's share alone.",
    needs: "windows that overlap",
  },
];

// The array that the mistake makes, and for each of its cells whether it is right.
function spoiltArray(problem, mistake, dtype) {
  const { geometry, arrays } = problem;
  const right = arrays[mistake.array];
  const shape = mistake.shape ? mistake.shape(geometry) : right.shape;
  const values = indicesOf(shape).map((index) => sumOfSpoilt(problem, mistake, index, dtype));
  const wrong = indicesOf(shape).map((index, flat) => {
    const place = rightPlace(geometry, mistake, index);
    const there = place.every((i, axis) => i >= 0 && i < right.shape[axis]);
    return !there || !Object.is(values[flat] + 0, valueAt(right, place) + 0);
  });
  const sameShape = shape.every((size, axis) => size === right.shape[axis]);
  return { shape, values, wrong, shows: !sameShape || wrong.includes(true) };
}

// The cell of the right array that a cell of the spoilt one stands for.
function rightPlace(geometry, mistake, index) {
  const shift = mistake.shift?.(geometry) ?? [];
  return index.map((i, axis) => i + (shift[axis] ?? 0));
}

function spoiltTerms(problem, mistake, index) {
  return mistake.terms(problem, rightPlace(problem.geometry, mistake, index));
}

function sumOfSpoilt(problem, mistake, index, dtype) {
  return rounded(scaledSum(problem, mistake, spoiltTerms(problem, mistake, index)), dtype);
}

function scaledSum({ geometry }, mistake, terms) {
  return (sumOf(terms) * (mistake.factor?.(geometry) ?? 1)) / (mistake.divisor?.(geometry) ?? 1);
}

function applies(mistake, geometry) {
  return mistake.applies?.(geometry) ?? true;
}
