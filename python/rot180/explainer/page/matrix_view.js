// The convolution as a matrix: y = W x + b forward, dx = Wᵀ dy backward, equal weights alike.

const MOST_ENTRIES = 6000;

function matrixView(app) {
  const { geometry } = app.problem;
  const inputs = chosenIndices(app, geometry.shapes.x, app.channel);
  const outputs = chosenIndices(app, geometry.shapes.y, app.filter);
  const backward = app.direction === "backward";
  const directions = choice(
    "Direction",
    [
      ["forward", "forward: y = W x + b"],
      ["backward", "backward: dx = Wᵀ dy"],
    ],
    app.direction,
    (direction) => setDirection(direction),
  );
  const size = inputs.length * outputs.length;
  if (size > MOST_ENTRIES) {
    return [
      directions,
      element(
        "p",
        { class: "none", role: "note" },
        `The matrix would have ${outputs.length} × ${inputs.length} entries. ` +
          `This view shows ${MOST_ENTRIES} at most: choose one channel and one filter, or a smaller input.`,
      ),
    ];
  }
  const parts = channelsAreCut(app, geometry)
    ? "A part of the sum: the chosen channel and filter alone. "
    : "";
  return [
    directions,
    element("div", { class: "scroll" }, matrixTable(app, inputs, outputs, backward)),
    element("p", { class: "note" }, parts + matrixFacts(geometry, inputs, outputs)),
  ];
}

function channelsAreCut(app, { channels, filters }) {
  return (app.channel !== "all" && channels > 1) || (app.filter !== "all" && filters > 1);
}

function chosenIndices(app, shape, chosen) {
  return indicesOf(shape).filter(([, , at]) => chosen === "all" || at === chosen);
}

// The weight by which an output sees an input, as an index of w; null where it does not.
function weightBetween(geometry, [i, j, k], [p, q, c]) {
  const [v, h] = geometry.axes;
  const channel = c - firstChannelOfFilter(geometry, k);
  const r = (p + v.before - i * v.stride) / v.dilation;
  const s = (q + h.before - j * h.stride) / h.dilation;
  const isTap = (at, size) => Number.isInteger(at) && at >= 0 && at < size;
  if (!isTap(r, v.kernel) || !isTap(s, h.kernel) || !isTap(channel, geometry.perGroup.channels)) {
    return null;
  }
  return [r, s, channel, k];
}

function matrixFacts(geometry, inputs, outputs) {
  const used = outputs.flatMap((output) =>
    inputs.map((input) => weightBetween(geometry, output, input)).filter(Boolean),
  );
  const distinct = new Set(used.map(String)).size;
  return (
    `${outputs.length} × ${inputs.length} entries, ${used.length} of them weights, ` +
    `${distinct} different ones: each appears once for every window that uses it inside the image.`
  );
}

function matrixTable(app, inputs, outputs, backward) {
  const { geometry, arrays } = app.problem;
  const count = highestNumber(geometry, "dx");
  const [vector, result] = backward ? ["dy", "dx"] : ["x", "y"];
  const [across, down] = backward ? [outputs, inputs] : [inputs, outputs];
  const largest = {
    [vector]: largestOf(arrays[vector].values),
    [result]: largestOf(arrays[result].values),
  };
  const shown = (name, index, role) =>
    valueCell(name, index, valueAt(arrays[name], index), {
      largest: largest[name],
      dtype: app.dtype,
      role,
    });
  const entry = (rowIndex, columnIndex) => {
    const [output, input] = backward ? [columnIndex, rowIndex] : [rowIndex, columnIndex];
    const weight = weightBetween(geometry, output, input);
    if (!weight) return element("td", { role: "gridcell", class: "nothing", "aria-label": "0" });
    const colour = markColour(tapNumber(geometry, weight[0], weight[1]), count);
    const value = valueAt(arrays.w, weight);
    return element(
      "td",
      {
        role: "gridcell",
        class: "weight",
        style: { "--mark": colour.background, "--mark-text": colour.text },
        "data-weight": weight.join(","),
        "aria-label": `${cellName("w", weight)} = ${fullNumber(value, app.dtype)}`,
      },
      element("span", {}, shortNumber(value)),
    );
  };
  const table = element(
    "table",
    {
      role: "grid",
      class: "matrix",
      "aria-label": backward ? "dx = W transposed times dy" : "y = W times x plus b",
    },
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        element("th", { class: "corner" }),
        across.map((index) =>
          element(
            "th",
            { scope: "col", class: "upright" },
            element("span", {}, cellName(vector, index)),
          ),
        ),
        element("th", { scope: "col" }, result),
      ),
      element(
        "tr",
        { class: "vector" },
        element("th", { scope: "row" }, vector),
        across.map((index) => shown(vector, index, "gridcell")),
        element("td", { role: "gridcell", class: "nothing" }),
      ),
    ),
    element(
      "tbody",
      {},
      down.map((index) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, cellName(result, index)),
          across.map((other) => entry(index, other)),
          shown(result, index, "gridcell"),
        ),
      ),
    ),
  );
  for (const cell of table.querySelectorAll(".vector td")) cell.removeAttribute("tabindex");
  table.querySelector("tbody td[tabindex]").setAttribute("tabindex", "0");
  return table;
}

// Raises the entries that the selected cell uses: its row or column, or one weight everywhere.
function lightMatrix(app) {
  for (const cell of document.querySelectorAll(".matrix .raised")) cell.classList.remove("raised");
  const { array, index } = app.selection;
  if (array === "dw") {
    const weight = index.join(",");
    for (const cell of document.querySelectorAll(`.matrix [data-weight="${weight}"]`)) {
      cell.classList.add("raised");
    }
  }
  for (const result of cellsOf(app.selection)) {
    const row = result.closest(".matrix tbody tr");
    for (const cell of row?.querySelectorAll(".weight") ?? []) cell.classList.add("raised");
  }
}
