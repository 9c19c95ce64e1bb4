// dx as a full correlation: dy with zeros between and around, the kernel turned by 180 degrees.

function fullModeView(app) {
  const { geometry } = app.problem;
  const [, , c] = app.selection.index;
  const filters = filtersOfChannel(geometry, c).filter(
    (k) => app.filter === "all" || app.filter === k,
  );
  const shown = filters.length ? filters : filtersOfChannel(geometry, c);
  return [
    element(
      "div",
      { class: "full-head" },
      element(
        "button",
        { type: "button", id: "turn", "aria-pressed": String(app.turned) },
        app.turned ? "↺ Turn the kernel back" : "↻ Turn the kernel by 180°",
      ),
      fullModeLegend(geometry),
    ),
    element(
      "div",
      { class: "full" },
      element(
        "div",
        { class: "full-inputs" },
        shown.map((k) =>
          element(
            "div",
            { class: "full-row" },
            kernelFigure(app, c, k),
            sign("∗"),
            stuffedFigure(app, k),
          ),
        ),
      ),
      sign("="),
      element(
        "div",
        { class: "full-result" },
        croppedFigure(app, c),
        app.mistake?.array === "dx" && app.spoilt ? spoiltFigure(app) : null,
      ),
    ),
  ];
}

function sign(text) {
  return element("span", { class: "sign", "aria-hidden": "true" }, text);
}

function fullModeLegend(geometry) {
  const { axes } = geometry;
  const entries = [["entry", "dy"]];
  if (axes.some(({ stride, out }) => stride > 1 && out > 1))
    entries.push(["between", "zeros between: stride − 1"]);
  entries.push(["border", "border: kernel − 1"]);
  if (axes.some(({ remainder }) => remainder))
    entries.push(["remainder", "remainder: no window reached"]);
  if (axes.some(({ before, after }) => before + after))
    entries.push(["cropped", "padding, cropped"]);
  return element(
    "ul",
    { class: "legend" },
    entries.map(([kind, text]) =>
      element("li", {}, element("i", { class: `swatch ${kind}` }), text),
    ),
  );
}

// The kernel as it lies over dy: spread by the dilation, its taps numbered in reading order.
function kernelFigure(app, c, k) {
  const { geometry, arrays } = app.problem;
  const [v, h] = geometry.axes;
  const channel = c % geometry.perGroup.channels;
  const largest = largestOf(arrays.w.values);
  const rows = range(0, v.window).map((a) =>
    element(
      "tr",
      {},
      range(0, h.window).map((b) => {
        const [r, s] = [a / v.dilation, b / h.dilation];
        if (!Number.isInteger(r) || !Number.isInteger(s)) {
          return blankCell("", "gap", "no tap", "cell");
        }
        const index = [r, s, channel, k];
        return valueCell("w", index, valueAt(arrays.w, index), {
          largest,
          dtype: app.dtype,
          role: "cell",
        });
      }),
    ),
  );
  const table = element(
    "table",
    { class: "kernel", "aria-label": `w[:,:,${channel},${k}]` },
    element("tbody", {}, rows),
  );
  for (const cell of table.querySelectorAll("td")) cell.removeAttribute("tabindex");
  return element(
    "figure",
    { class: "array" },
    element("figcaption", {}, element("strong", {}, `w[:,:,${channel},${k}]`)),
    element("div", { class: `turning ${app.turned ? "turned" : ""}` }, table),
  );
}

// dy[:,:,k], its entries `stride` apart, with a border of zeros; a frame shows the window.
function stuffedFigure(app, k) {
  const { geometry, arrays } = app.problem;
  const [v, h] = geometry.axes;
  const largest = largestOf(arrays.dy.values);
  const sides = geometry.axes.map((axis) => {
    const span = (axis.out - 1) * axis.stride + 1;
    return range(0, span + 2 * (axis.window - 1) + axis.remainder).map((at) => {
      const place = at - (axis.window - 1);
      const i = place / axis.stride;
      if (at >= span + 2 * (axis.window - 1)) return { kind: "remainder", text: "" };
      if (place < 0 || place >= span) return { kind: "border", text: "" };
      return Number.isInteger(i)
        ? { kind: "entry", text: String(i), i }
        : { kind: "between", text: "" };
    });
  });
  const kinds = ["remainder", "border", "between"];
  const table = numberTable({
    label: `dy[:,:,${k}] with zeros between and around`,
    rows: sides[0].map(({ text }) => text),
    columns: sides[1].map(({ text }) => text),
    role: "table",
    cell: (row, column) => {
      const [a, b] = [sides[0][row], sides[1][column]];
      if (a.i === undefined || b.i === undefined) {
        const kind = kinds.find((one) => a.kind === one || b.kind === one);
        return blankCell("0", kind, `0, ${kind}`, "cell");
      }
      const index = [a.i, b.i, k];
      return valueCell("dy", index, valueAt(arrays.dy, index), {
        largest,
        dtype: app.dtype,
        role: "cell",
      });
    },
  });
  for (const cell of table.querySelectorAll("td")) cell.removeAttribute("tabindex");
  const frame = element("div", { class: "frame", "aria-hidden": "true" });
  return element(
    "figure",
    { class: "array" },
    element(
      "figcaption",
      {},
      element("strong", {}, `dy[:,:,${k}]`),
      element("span", {}, geometryOfZeros(v, h)),
    ),
    element("div", { class: "scroll" }, element("div", { class: "stage" }, table, frame)),
  );
}

function geometryOfZeros(v, h) {
  const between = v.stride > 1 || h.stride > 1 ? "zeros between and around" : "zeros around";
  return `${between}, stride 1`;
}

// The full result, of which dx is what the crop leaves.
function croppedFigure(app, c) {
  const { geometry, arrays } = app.problem;
  const [v, h] = geometry.axes;
  const { values, shape } = arrays.dx;
  const spread = (axis) => range(-axis.before, axis.size + axis.after);
  const unread = (axis, p) => p + axis.before >= axis.padded - axis.remainder;
  const grid = sliceGrid({
    app,
    name: "dx",
    values,
    shape,
    rows: spread(v),
    columns: spread(h),
    at: (p, q) => [p, q, c],
    label: `dx, gradient of the input, channel ${c}, within what is cropped`,
    outside: (p, q) => {
      if (p >= 0 && q >= 0 && p < v.size && q < h.size) return null;
      const value = rounded(sumOf(TERMS.dx(app.problem, [p, q, c])), app.dtype);
      const kind = unread(v, p) || unread(h, q) ? "cropped remainder" : "cropped";
      return [shortNumber(value), kind, `cropped, ${shortNumber(value)}`];
    },
    kindOf: (p, q) => (unread(v, p) || unread(h, q) ? "remainder" : ""),
  });
  return element(
    "figure",
    { class: "array" },
    element(
      "figcaption",
      {},
      element("strong", {}, `dx[:,:,${c}]`),
      element("span", {}, geometry.perGroup.filters > 1 ? "sum over filters" : ""),
    ),
    element("div", { class: "scroll" }, grid),
  );
}

// Marks what lies under the window of the selected cell and moves the frame there.
function placeWindow(app) {
  const { geometry } = app.problem;
  const [v, h] = geometry.axes;
  const [p, q] = app.selection.index;
  const [top, left] = [p + v.before, q + h.before];
  const count = highestNumber(geometry, "dx");
  for (const stage of document.querySelectorAll(".stage")) {
    const { rows } = stage.querySelector("table");
    for (const cell of stage.querySelectorAll("td.under")) {
      cell.classList.remove("under");
    }
    for (const r of range(0, v.kernel)) {
      for (const s of range(0, h.kernel)) {
        // The turned kernel: the last tap comes first.
        const a = top + v.window - 1 - r * v.dilation;
        const b = left + h.window - 1 - s * h.dilation;
        const cell = rows[a + 1]?.cells[b + 1];
        if (!cell) continue;
        const colour = markColour(tapNumber(geometry, r, s), count);
        cell.classList.add("under");
        cell.style.setProperty("--mark", colour.background);
      }
    }
    const first = rows[top + 1].cells[left + 1];
    const last = rows[top + v.window].cells[left + h.window];
    const frame = stage.querySelector(".frame");
    frame.style.width = `${last.offsetLeft + last.offsetWidth - first.offsetLeft}px`;
    frame.style.height = `${last.offsetTop + last.offsetHeight - first.offsetTop}px`;
    frame.style.transform = `translate(${first.offsetLeft}px, ${first.offsetTop}px)`;
  }
  // The kernel shows its numbers in full, those of taps that meet a zero too.
  for (const cell of document.querySelectorAll(".kernel td[data-index]")) {
    const [r, s] = cell.dataset.index.split(",").map(Number);
    const number = tapNumber(geometry, r, s);
    const colour = markColour(number, count);
    cell.style.setProperty("--mark", colour.background);
    cell.style.setProperty("--mark-text", colour.text);
    if (!cell.dataset.mark) cell.dataset.mark = number;
    cell.classList.toggle("under", !cell.classList.contains("lit"));
  }
}
