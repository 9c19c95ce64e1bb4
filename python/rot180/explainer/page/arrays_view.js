// All arrays. dx stands beside w and dy, of which it is made, also where two columns fill the width.

const MEANINGS = {
  x: "input",
  w: "kernel",
  b: "bias",
  y: "output",
  dy: "gradient of the output",
  dx: "gradient of the input",
  dw: "gradient of the kernel",
  db: "gradient of the bias",
};

function arraysView(app) {
  const column = (...names) =>
    element(
      "div",
      { class: "column" },
      names.flatMap((name) =>
        app.mistake?.array === name && app.spoilt
          ? [arrayFigure(app, name), spoiltFigure(app)]
          : [arrayFigure(app, name)],
      ),
    );
  return [
    element(
      "div",
      { class: "columns" },
      column("x", "dx"),
      column("w", "dy"),
      column("y", "dw", "b", "db"),
    ),
    app.problem.geometry.axes.some(({ remainder }) => remainder)
      ? element(
          "p",
          { class: "note" },
          "Hatched: the remainder, rows and columns that no window reaches.",
        )
      : "",
  ];
}

function arrayFigure(app, name) {
  const { shape, values } = app.problem.arrays[name];
  return namedFigure(name, MEANINGS[name], shape, slices(app, name, shape, values));
}

function spoiltFigure(app) {
  const { mistake, spoilt } = app;
  const figure = namedFigure(
    mistake.array,
    `with ${mistake.id.split(" ")[0]}: ${mistake.title}`,
    spoilt.shape,
    slices(app, "spoilt", spoilt.shape, spoilt.values, mistake.array),
  );
  figure.classList.add("spoilt");
  return figure;
}

function namedFigure(name, meaning, shape, grids) {
  return element(
    "figure",
    { class: "array" },
    element(
      "figcaption",
      {},
      element("strong", {}, name),
      element("span", {}, meaning),
      element("span", { class: "shape" }, shape.join("×")),
    ),
    element("div", { class: "slices" }, grids),
  );
}

// The grids of the channels and filters that are to be shown.
function slices(app, name, shape, values, kind = name) {
  const shown = { app, name, values, shape };
  if (shape.length === 1) return [biasGrid(shown, kind)];
  if (shape.length === 4) return [weightGrids(shown, kind)];
  const isImage = kind === "x" || kind === "dx";
  const word = isImage ? "channel" : "filter";
  const chosen = isImage ? app.channel : app.filter;
  return range(0, shape[2])
    .filter((at) => chosen === "all" || at === chosen)
    .map((at) => captioned(`${word} ${at}`, imageGrid(shown, kind, at, word)));
}

function captioned(caption, grid) {
  return element(
    "div",
    { class: "slice" },
    element("div", { class: "slice-caption", "aria-hidden": "true" }, caption),
    element("div", { class: "scroll" }, grid),
  );
}

function imageGrid(shown, kind, channel, word) {
  const { app, name, shape } = shown;
  const [v, h] = app.problem.geometry.axes;
  const [height, width] = shape;
  const padded = name === "x";
  const spread = (axis, size) => (padded ? range(-axis.before, size + axis.after) : range(0, size));
  const unread = (axis, p) => p + axis.before >= axis.padded - axis.remainder;
  const isInput = kind === "x" || kind === "dx";
  return sliceGrid({
    ...shown,
    rows: spread(v, height),
    columns: spread(h, width),
    at: (r, s) => [r, s, channel],
    label: `${kind}, ${name === "spoilt" ? "with the mistake" : MEANINGS[kind]}, ${word} ${channel}`,
    outside: (r, s) =>
      r < 0 || s < 0 || r >= height || s >= width
        ? ["0", `padding ${unread(v, r) || unread(h, s) ? "remainder" : ""}`, "padding, 0"]
        : null,
    kindOf: (r, s, index) => {
      if (name === "spoilt") return differs(app, index);
      return isInput && (unread(v, r) || unread(h, s)) ? "remainder" : "";
    },
  });
}

function differs(app, index) {
  return app.spoilt.wrong[flatIndex(app.spoilt.shape, index)] ? "wrong" : "";
}

function biasGrid(shown, kind) {
  const { app, name, shape } = shown;
  return captioned(
    app.filter === "all" ? "filters" : "filter",
    sliceGrid({
      ...shown,
      rows: [""],
      columns: app.filter === "all" ? range(0, shape[0]) : [app.filter],
      at: (_, k) => [k],
      label: `${kind}, ${MEANINGS[kind]}`,
      kindOf: (_, k) => (name === "spoilt" ? differs(app, [k]) : ""),
    }),
  );
}

// A row of grids for each channel, a column for each filter.
function weightGrids(shown, kind) {
  const { app, name, shape } = shown;
  const [rows, columns, channels, filters] = shape;
  const { geometry } = app.problem;
  const isShown = (c, k) =>
    (app.filter === "all" || app.filter === k) &&
    (app.channel === "all" || app.channel === firstChannelOfFilter(geometry, k) + c);
  const columnsShown = range(0, filters).filter((k) =>
    range(0, channels).some((c) => isShown(c, k)),
  );
  if (!columnsShown.length) {
    return element("p", { class: "none" }, "This filter does not read this channel.");
  }
  const grids = range(0, channels).flatMap((c) =>
    columnsShown
      .filter((k) => isShown(c, k))
      .map((k) =>
        captioned(
          `[:,:,${c},${k}]`,
          sliceGrid({
            ...shown,
            rows: range(0, rows),
            columns: range(0, columns),
            at: (r, s) => [r, s, c, k],
            label: `${kind}, ${MEANINGS[kind]}, channel ${c}, filter ${k}`,
            kindOf: (_r, _s, index) => (name === "spoilt" ? differs(app, index) : ""),
          }),
        ),
      ),
  );
  return element(
    "div",
    { class: "weights", style: { "--filters": Math.min(columnsShown.length, 4) } },
    grids,
  );
}
