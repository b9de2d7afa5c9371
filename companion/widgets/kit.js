// Shared parts of the interactive figures. Nothing here knows about dropout.
// A figure module imports from this file and exports render({ model, el }); base.py joins the two texts.

const SVG = "http://www.w3.org/2000/svg";

// ---- numbers and words (pure; tested without a browser) -------------------------------------------------------

/** A number with `digits` decimals and a true minus sign; never "−0.0". */
export function fixed(value, digits = 2) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "−");
}

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export const sum = (values) => values.reduce((total, value) => total + value, 0);

export const mean = (values) => sum(values) / values.length;

/** "1 unit", "3 units". */
export const count = (n, noun, nouns = `${noun}s`) => `${n} ${n === 1 ? noun : nouns}`;

/** The longest of some texts. */
export const longest = (texts) => texts.reduce((best, text) => (text.length > best.length ? text : best), "");

/** Maps the interval `from` onto `to`, linearly. */
export const scale = (from, to) => (value) => to[0] + ((value - from[0]) / (from[1] - from[0])) * (to[1] - to[0]);

/** Round tick values, at most about `wanted` of them, that cover [low, high]. */
export function ticks(low, high, wanted = 6) {
  const raw = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= raw * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i += 1) found.push(i * step + 0); // + 0: no negative zero
  return found;
}

/** Reads what base.drop_levels wrote: rows of letters, "a" = 0, "b" = 1, ... */
export const levels = (row) => Array.from(row, (letter) => letter.charCodeAt(0) - 97);

/** The mask at p = step / steps: 1 (kept) where the unit's level is at least `step`, else 0 (dropped). */
export const threshold = (row, step) => row.map((level) => (level >= step ? 1 : 0));

// ---- the model ------------------------------------------------------------------------------------------------

/** The few functions of an anywidget model that figures use, for pages without a kernel. */
export function staticModel(state) {
  const values = { ...state };
  const listeners = new Map();
  return {
    get: (name) => values[name],
    set(name, value) {
      if (Object.is(values[name], value)) return;
      values[name] = value;
      (listeners.get(`change:${name}`) ?? []).forEach((listener) => listener());
    },
    on: (event, listener) => listeners.set(event, [...(listeners.get(event) ?? []), listener]),
    off: (event, listener) =>
      listeners.set(event, (listeners.get(event) ?? []).filter((other) => other !== listener)),
    save_changes() {},
  };
}

/** Sets values of the model and sends them to Python where there is one. */
export function change(model, values) {
  Object.entries(values).forEach(([name, value]) => model.set(name, value));
  model.save_changes();
}

/** Calls `update` now and whenever one of the named values changes; returns the function that ends this. */
export function watch(model, names, update) {
  names.forEach((name) => model.on(`change:${name}`, update));
  update();
  return () => names.forEach((name) => model.off(`change:${name}`, update));
}

// ---- nodes ----------------------------------------------------------------------------------------------------

function build(made, attributes, children) {
  Object.entries(attributes).forEach(([name, value]) => {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  });
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** An HTML element: html("p", { class: "note" }, "text", otherNode). "onclick" and the like take functions. */
export const html = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);

/** An SVG element, in the same way. */
export const svg = (tag, attributes = {}, ...children) =>
  build(document.createElementNS(SVG, tag), attributes, children);

/** A line of text inside an SVG. */
export const label = (x, y, text, attributes = {}) => svg("text", { x, y, ...attributes }, text);

/** An id that no other figure on the page has. */
export function newId() {
  globalThis.companionFigureIds = (globalThis.companionFigureIds ?? 0) + 1;
  return `cf-${globalThis.companionFigureIds}`;
}

/** A cross around (x, y), `w` and `h` to each side: what is dropped. */
export const cross = (x, y, w, h = w) =>
  svg("path", { class: "cf-cross", d: `M${x - w},${y - h}l${2 * w},${2 * h}M${x - w},${y + h}l${2 * w},${-2 * h}` });

/** A feature map as squares: as opaque as the cell's value (0 to 100), crossed out where `mask` is 0. */
export function featureMap(values, mask, side, left, top, cell) {
  return values.flatMap((value, i) => {
    const [x, y] = [left + cell * (i % side), top + cell * Math.floor(i / side)];
    const box = { x: x + 0.5, y: y + 0.5, width: cell - 1, height: cell - 1 };
    if (mask[i]) return [svg("rect", { class: "cf-blue-fill", opacity: Math.max(value, 6) / 100, ...box })];
    return [svg("rect", { class: "cf-gone", ...box }), cross(x + cell / 2, y + cell / 2, cell * 0.18)];
  });
}

export const mapLegend = () => [
  ...featureMap([100], [1], 1, 0, 3, 14), label(20, 14, "active"),
  ...featureMap([12], [1], 1, 76, 3, 14), label(96, 14, "silent"),
  ...featureMap([0], [0], 1, 148, 3, 14), label(168, 14, "dropped"),
];

/** Diagonal stripes in the colour of `className`: put `.defs` into the SVG and use `.fill`. */
export function hatch(className, gap = 6) {
  const id = newId();
  const stripes = svg("path", { d: `M${-gap / 2},${gap / 2}l${gap},${-gap}M0,${gap}l${gap},${-gap}M${gap / 2},${1.5 * gap}l${gap},${-gap}` });
  const pattern = svg("pattern", { id, class: className, width: gap, height: gap, patternUnits: "userSpaceOnUse" }, stripes);
  return { defs: svg("defs", {}, pattern), fill: `url(#${id})` };
}

// ---- controls: each is named, works from the keyboard and writes into the model ----------------------------------

/** A slider for the number model.get(name). `format` gives the words of its value. */
export function slider(model, name, { label: text, min, max, step, format = String }) {
  const id = newId();
  const input = html("input", { id, type: "range", min, max, step });
  const output = html("span", { "aria-hidden": "true" }); // the slider itself speaks its value
  watch(model, [name], () => {
    input.value = model.get(name);
    input.setAttribute("aria-valuetext", format(model.get(name)));
    output.textContent = format(model.get(name));
  });
  input.addEventListener("input", () => change(model, { [name]: Number(input.value) }));
  return html("div", { class: "cf-slider" }, html("label", { for: id }, text), output, input);
}

/** A row of choices, exactly one chosen: `options` is [[value, text], ...]. Arrow keys move, as in any radio group. */
export function toggle(model, name, { label: text, options }) {
  const group = newId();
  const inputs = options.map(([value]) =>
    html("input", { type: "radio", name: group, value, onchange: () => change(model, { [name]: value }) }),
  );
  watch(model, [name], () => inputs.forEach((input, i) => (input.checked = options[i][0] === model.get(name))));
  const choices = options.map(([, words], i) => html("label", {}, inputs[i], html("span", {}, words)));
  return html("fieldset", { class: "cf-toggle" }, html("legend", {}, text), html("div", {}, choices));
}

/** A button. `main: true` marks the figure's chief action. */
export const button = (text, press, { main = false } = {}) =>
  html("button", { type: "button", class: main ? "cf-button cf-main" : "cf-button", onclick: press }, text);

/** Controls that stay side by side. */
export const row = (...controls) => html("div", { class: "cf-row" }, controls);

/**
 * The line that says the state in words; screen readers speak it when it changes. It keeps room for the `longest`
 * text that the figure can say, so that nothing below it moves.
 */
export function readout(longest = "") {
  const line = html("p", { role: "status", "aria-live": "polite", "aria-atomic": "true" });
  const room = html("p", { class: "cf-room", "aria-hidden": "true" }, longest);
  const say = (text) => line.textContent !== text && (line.textContent = text);
  return { node: html("div", { class: "cf-readout" }, line, room), say };
}

/**
 * The picture. `draw(width)` gets the width in CSS pixels and returns { height, marks }: text keeps its size on a
 * phone, because the drawing is made anew for the width instead of being shrunk.
 */
export function stage(alt, draw) {
  const picture = svg("svg", { class: "cf-picture", role: "img", "aria-label": alt });
  const box = html("div", { class: "cf-stage" }, picture);
  let width = 0;
  const redraw = () => {
    width = Math.round(box.clientWidth) || 640;
    const { height, marks } = draw(width);
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.replaceChildren(...marks.flat(Infinity).filter(Boolean));
  };
  new ResizeObserver(() => Math.round(box.clientWidth) !== width && redraw()).observe(box);
  return { node: box, redraw };
}

/** Puts a figure together: picture, read-out and controls. In a notebook's widget the caption comes along. */
export function mount(model, el, { pictures, readout: line, controls }) {
  const inPage = el.closest("figure.companion-figure") !== null;
  if (!inPage) el.classList.add("companion-figure");
  // JupyterLab takes arrows, Enter and Space of whatever has the focus and does not say this.
  el.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  el.replaceChildren(
    ...pictures.map((picture) => picture.node),
    line.node,
    html("div", { class: "cf-controls" }, controls),
    ...(inPage ? [] : [html("p", { class: "cf-caption" }, model.get("caption") ?? "")]),
  );
}

// ---- motion ----------------------------------------------------------------------------------------------------

export const reducedMotion = () => globalThis.matchMedia?.("(prefers-reduced-motion: reduce)").matches ?? false;

/** Calls frame(t) with t from 0 to 1 over `ms`; at once with 1 for those who asked for less motion. */
export function animate(ms, frame) {
  if (reducedMotion()) return frame(1);
  const start = performance.now();
  const tick = (now) => {
    const t = clamp((now - start) / ms, 0, 1);
    frame(t);
    if (t < 1) requestAnimationFrame(tick);
  };
  return requestAnimationFrame(tick);
}
