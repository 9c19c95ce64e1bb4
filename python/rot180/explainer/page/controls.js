// What can be changed: sizes, stride, padding, dilation, groups; channels to show; the mistake.

// [label, where it is in the settings, smallest value, which limit it has]
const FIELDS = {
  Input: [
    ["height", ["size", 0], 1],
    ["width", ["size", 1], 1],
    ["channels", ["channels"], 1, "channels"],
  ],
  Kernel: [
    ["height", ["kernel", 0], 1],
    ["width", ["kernel", 1], 1],
    ["filters", ["filters"], 1, "channels"],
  ],
  Stride: [
    ["vertical", ["stride", 0], 1, "step"],
    ["horizontal", ["stride", 1], 1, "step"],
  ],
  Padding: [
    ["top", ["padding", 0, 0], 0, "step"],
    ["bottom", ["padding", 0, 1], 0, "step"],
    ["left", ["padding", 1, 0], 0, "step"],
    ["right", ["padding", 1, 1], 0, "step"],
  ],
  Dilation: [
    ["vertical", ["dilation", 0], 1, "step"],
    ["horizontal", ["dilation", 1], 1, "step"],
  ],
  Groups: [["groups", ["groups"], 1, "channels"]],
};

const LARGEST_SIZE = 64;

function setting(settings, path) {
  return path.reduce((at, key) => at[key], settings);
}

function withSetting(settings, path, value) {
  const changed = structuredClone(settings);
  setting(changed, path.slice(0, -1))[path.at(-1)] = value;
  return changed;
}

// The form's fields; `change(path, value, input)` is called with every whole number in range.
function geometryFields(app, change) {
  return Object.entries(FIELDS).map(([legend, fields]) =>
    element(
      "fieldset",
      {},
      element("legend", {}, legend),
      fields.map(([label, path, min, limit]) => {
        const max = limit ? app.data.limits[limit] : LARGEST_SIZE;
        const input = element("input", {
          type: "number",
          inputmode: "numeric",
          min,
          max,
          value: setting(app.settings, path),
          "data-setting": path.join("."),
          oninput: () => {
            const value = Number(input.value);
            const fits =
              input.value !== "" && Number.isInteger(value) && value >= min && value <= max;
            change(
              path,
              fits ? value : null,
              input,
              `${legend}, ${label}: a whole number from ${min} to ${max}`,
            );
          },
        });
        return element("label", {}, element("span", {}, label), input);
      }),
    ),
  );
}

// The convolution in a line: 5×5×2, kernel 3×3, 2 filters, stride 2, padding 1.
function geometrySummary({ size, channels, kernel, filters, stride, padding, dilation, groups }) {
  const pair = ([a, b]) => (a === b ? String(a) : `${a}×${b}`);
  const [[top, bottom], [left, right]] = padding;
  const sides =
    top === bottom && left === right ? pair([top, left]) : `${top}, ${bottom}, ${left}, ${right}`;
  return [
    `input ${size.join("×")}×${channels}`,
    `kernel ${kernel.join("×")}`,
    `${filters} ${filters === 1 ? "filter" : "filters"}`,
    pair(stride) === "1" ? null : `stride ${pair(stride)}`,
    sides === "0" ? null : `padding ${sides}`,
    pair(dilation) === "1" ? null : `dilation ${pair(dilation)}`,
    groups === 1 ? null : `${groups} groups`,
  ]
    .filter(Boolean)
    .join(" · ");
}

function mistakeOptions(app) {
  return [
    element("option", { value: "" }, "none"),
    MISTAKES.map((mistake) =>
      element(
        "option",
        { value: mistake.id, selected: app.mistake === mistake },
        `${mistake.array}: ${mistake.title} (${mistake.id.split(" ")[0]})`,
      ),
    ),
  ].flat();
}

// Why the mistake is one, and whether it shows here.
function mistakeSentence(app) {
  const { mistake, spoilt } = app;
  if (!mistake) return "";
  if (!spoilt) return `Not possible here: it needs ${mistake.needs}.`;
  if (!spoilt.shows) return `${mistake.why} Here it changes nothing: it needs ${mistake.needs}.`;
  const wrong = spoilt.wrong.filter(Boolean).length;
  const right = app.problem.arrays[mistake.array].shape;
  const shape =
    spoilt.shape.join() === right.join()
      ? `${wrong} of ${spoilt.wrong.length} cells differ.`
      : `It has the shape ${spoilt.shape.join("×")} instead of ${right.join("×")}.`;
  return `${mistake.why} ${shape}`;
}

// Tabs for channels and filters where there are several.
function channelChoices(app, choose) {
  const options = (count) => [["all", "all"], ...range(0, count).map((at) => [at, String(at)])];
  const { channels, filters } = app.problem.geometry;
  return [
    channels > 1
      ? choice("Channel", options(channels), app.channel, (value) => choose("channel", value))
      : null,
    filters > 1
      ? choice("Filter", options(filters), app.filter, (value) => choose("filter", value))
      : null,
  ].filter(Boolean);
}
