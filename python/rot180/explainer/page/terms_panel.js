// What a cell is made of, in words and numbers.

const LONGEST_SPOKEN = 12;
const MOST_SMALL_CELLS = 49;

// What the selected cell shows: its terms, their sum, and the kernel's number to compare with.
function explained(app) {
  const { array, index } = app.selection;
  const { geometry } = app.problem;
  if (array === "spoilt") {
    const { mistake } = app;
    return {
      name: cellName(mistake.array, index),
      kind: mistake.array,
      terms: spoiltTerms(app.problem, mistake, index),
      scale: mistake.factor
        ? ` × ${mistake.factor(geometry)}`
        : mistake.divisor
          ? ` ÷ ${mistake.divisor(geometry)}`
          : "",
      value: valueAt(app.spoilt, index),
      spoilt: true,
    };
  }
  return {
    name: cellName(array, index),
    kind: array,
    terms: TERMS[array](app.problem, index),
    scale: "",
    value: valueAt(app.problem.arrays[array], index),
    spoilt: false,
  };
}

function productText(term) {
  return term.factors.map(({ array, index }) => cellName(array, index)).join("·");
}

function inBrackets(text) {
  return text.startsWith(MINUS) ? `(${text})` : text;
}

function numbersText(term) {
  return term.factors.map(({ value }) => inBrackets(shortNumber(value))).join(" × ");
}

function termsPanel(app) {
  const cell = explained(app);
  const { name, terms, scale, value } = cell;
  const count = highestNumber(app.problem.geometry, cell.kind);
  const full = fullNumber(value, app.dtype);
  const sum = cell.spoilt ? scaledSum(app.problem, app.mistake, terms) : sumOf(terms);
  const rows = terms.map((term, at) => {
    const colour = term.number === null ? null : markColour(term.number, count);
    const style = colour && { "--mark": colour.background, "--mark-text": colour.text };
    return element(
      "li",
      { "data-term": at, "data-product": String(term.value) },
      element("span", { class: "badge", style: style ?? {} }, String(term.number ?? "b")),
      element("span", { class: "product" }, productText(term)),
      element("span", { class: "factors" }, term.factors.length > 1 ? numbersText(term) : ""),
      element("span", { class: "amount" }, shortNumber(term.value)),
    );
  });
  const picture = pairsPicture(app, cell, count);
  return [
    element(
      "h2",
      { id: "cell-name", class: cell.spoilt ? "spoilt" : "" },
      cell.spoilt ? `${name}, mistaken` : name,
      element("span", { class: "equals" }, ` = ${full}`),
    ),
    element("p", { class: "formula" }, FORMULAS[cell.kind]),
    picture,
    terms.length
      ? element("ol", { class: "terms", tabindex: 0, "aria-label": `Terms of ${name}` }, rows)
      : element("p", { class: "none" }, emptySum(cell)),
    element(
      "p",
      { class: "sum", "data-sum": String(sum), "data-terms": terms.length },
      element("span", {}, `sum of ${countOf(terms)}${scale}`),
      element("strong", {}, full),
    ),
    element("p", { class: "check" }, checkText(app, cell, sum)),
  ];
}

function countOf({ length }) {
  return `${length} ${length === 1 ? "term" : "terms"}`;
}

function emptySum({ kind, spoilt }) {
  return kind === "dx" && !spoilt
    ? "No window reads this pixel: the sum has no term, it is 0."
    : "The sum has no term: it is 0.";
}

// The two arrays that the terms multiply, cut to the cells that take part: the order of the numbers
// is the same in both, or turned round. For dx the turned kernel stands beside them.
function pairsPicture(app, { terms, kind, spoilt }, count) {
  const products = terms.filter(({ factors }) => factors.length === 2);
  if (!products.length) return null;
  const [first] = products;
  const slice = products.filter(({ factors }) =>
    factors.every(
      ({ index }, at) => index.slice(2).join() === first.factors[at].index.slice(2).join(),
    ),
  );
  const spans = first.factors.map((_, at) => smallSpans(app, slice, at));
  const isSmall = (pair) => sizeOf(pair.map(({ length }) => length)) <= MOST_SMALL_CELLS;
  if (!spans.every(isSmall)) return null;
  const grids = first.factors.map(({ array, index }, at) =>
    smallGrid(`${array}[:,:,${index.slice(2).join(",")}]`, slice, at, count, spans[at]),
  );
  if (kind === "dx" && !spoilt) {
    const turned = spans[1].map((span) => span.toReversed());
    grids.push(
      element("span", { class: "turn-sign" }, "↻"),
      smallGrid("turned", slice, 1, count, turned),
    );
  }
  const columns = Math.max(...spans.map(([, across]) => across.length));
  const size = Math.min(Math.max(Math.floor(76 / columns) - 2, 12), 22); // three fit side by side
  return element(
    "div",
    {
      class: "pairs",
      "aria-hidden": "true",
      style: { "--small": `${size}px`, "--font": `${Math.max(size / 2, 8)}px` },
    },
    grids,
  );
}

// Rows and columns of one of the two: all of a kernel, those of an image where the terms lie.
function smallSpans(app, terms, at) {
  const { array } = terms[0].factors[at];
  return [0, 1].map((axis) => {
    if (array === "w") return range(0, app.problem.geometry.axes[axis].kernel);
    const places = terms.map(({ factors }) => factors[at].index[axis]);
    return range(Math.min(...places), Math.max(...places) + 1);
  });
}

function smallGrid(caption, terms, at, count, [rows, columns]) {
  const numbers = new Map(
    terms.map(({ number, factors }) => [factors[at].index.slice(0, 2).join(), number]),
  );
  const cells = rows.flatMap((row) =>
    columns.map((column) => {
      const number = numbers.get(`${row},${column}`);
      if (number === undefined) return element("i");
      const { background, text } = markColour(number, count);
      return element("i", { style: { background, color: text } }, String(number));
    }),
  );
  return element(
    "div",
    {},
    element("div", { class: "small-caption" }, caption),
    element("div", { class: "small-grid", style: { "--columns": columns.length } }, cells),
  );
}

function checkText(app, { spoilt, terms, value, name, kind }, sum) {
  if (spoilt) {
    const { index } = app.selection;
    const place = rightPlace(app.problem.geometry, app.mistake, index);
    const right = app.problem.arrays[kind];
    if (!place.every((i, axis) => i >= 0 && i < right.shape[axis])) {
      return `✗ ${kind} has no such cell.`;
    }
    const wanted = valueAt(right, place);
    return Object.is(value + 0, wanted + 0)
      ? `The same as the right ${cellName(kind, place)}.`
      : `✗ ${cellName(kind, place)} is ${fullNumber(wanted, app.dtype)}.`;
  }
  if (!app.fromKernels) return "Computed by this page, since you changed the geometry.";
  return agrees(sum, value, terms, app.dtype)
    ? "✓ rot180 computed the same."
    : `✗ rot180 computed ${fullNumber(value, app.dtype)}, the terms of ${name} sum to ${sum}.`;
}

// For those who hear the page.
function spokenTerms(app) {
  const { name, terms, value, spoilt } = explained(app);
  const spoken = terms.slice(0, LONGEST_SPOKEN).map(spokenTerm);
  const more = terms.length - spoken.length;
  return (
    `${name}${spoilt ? " with the mistake" : ""} is ${fullNumber(value, app.dtype)}, ` +
    `the sum of ${countOf(terms)}: ${spoken.join("; ")}${more > 0 ? `; and ${more} more` : ""}.`
  );
}

function spokenTerm(term) {
  return term.factors.length > 1
    ? `${productText(term).replace("·", " times ")}, ${numbersText(term).replace("×", "times")}`
    : `${productText(term)}, ${shortNumber(term.value)}`;
}
