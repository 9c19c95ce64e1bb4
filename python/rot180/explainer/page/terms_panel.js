// What a cell is made of, in words and numbers.

const LONGEST_SPOKEN = 12;

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
      scale: mistake.scale?.(geometry) ?? 1,
      value: valueAt(app.spoilt, index),
      spoilt: true,
    };
  }
  return {
    name: cellName(array, index),
    kind: array,
    terms: TERMS[array](app.problem, index),
    scale: 1,
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
  const sum = sumOf(terms);
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
  const scaled = scale === 1 ? "" : ` × ${fullNumber(scale, "float64")}`;
  return [
    element(
      "h2",
      { id: "cell-name", class: cell.spoilt ? "spoilt" : "" },
      cell.spoilt ? `${name}, mistaken` : name,
      element("span", { class: "equals" }, ` = ${full}`),
    ),
    element("p", { class: "formula" }, FORMULAS[cell.kind]),
    terms.length
      ? element("ol", { class: "terms", tabindex: 0, "aria-label": `Terms of ${name}` }, rows)
      : element("p", { class: "none" }, "No window reads this pixel: the sum has no term, it is 0."),
    element(
      "p",
      { class: "sum", "data-sum": String(scale * sum), "data-terms": terms.length },
      element("span", {}, `sum of ${terms.length} ${terms.length === 1 ? "term" : "terms"}${scaled}`),
      element("strong", {}, full),
    ),
    element("p", { class: "check" }, checkText(app, cell, sum)),
  ];
}

function checkText(app, { spoilt, terms, value, name, kind }, sum) {
  if (spoilt) {
    const { index } = app.selection;
    const place = rightPlace(app.problem.geometry, app.mistake, index);
    const right = app.problem.arrays[kind];
    if (!place.every((i, axis) => i >= 0 && i < right.shape[axis])) {
      return `✗ There is no ${cellName(kind, place)}.`;
    }
    const wanted = valueAt(right, place);
    return Object.is(value + 0, wanted + 0)
      ? "The right value, by luck."
      : `✗ ${cellName(kind, place)} is ${fullNumber(wanted, app.dtype)}.`;
  }
  if (!app.fromKernels) return "Computed by this page, since you changed the geometry.";
  return agrees(sum, value, terms, app.dtype)
    ? "✓ The kernel of rot180 computed the same."
    : `✗ ${name} was computed as ${fullNumber(value, app.dtype)}, the terms sum to ${sum}.`;
}

// For those who hear the page.
function spokenTerms(app) {
  const { name, terms, value, spoilt } = explained(app);
  const spoken = terms
    .slice(0, LONGEST_SPOKEN)
    .map((term) =>
      term.factors.length > 1
        ? `${productText(term).replace("·", " times ")}, ${numbersText(term).replace("×", "times")}`
        : `${productText(term)}, ${shortNumber(term.value)}`,
    );
  const more = terms.length - spoken.length;
  return (
    `${name}${spoilt ? " with the mistake" : ""} is ${fullNumber(value, app.dtype)}, ` +
    `the sum of ${terms.length} terms: ${spoken.join("; ")}${more > 0 ? `; and ${more} more` : ""}.`
  );
}
