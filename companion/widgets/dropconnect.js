// DropConnect: one layer drawn with its wires. A silent neuron takes all of its wires along; cut wires throw their own
// coins. Masks and the exact numbers of patterns are the companion's.

import {
  button, change, clamp, count, cross, fixed, label, levels, longest, mount, readout, row, scale, slider, stage, sum, svg,
  threshold, toggle, watch,
} from "./kit.js";

// ---- numbers ----------------------------------------------------------------------------------------------------

/** Flags of the wires, one row for each of `outputs`: a mask of neurons is the same row for all of them. */
export function wireMask(kind, letters, step, inputs, outputs, most) {
  const mask = threshold(levels(letters), step);
  return Array.from({ length: outputs }, (_, o) => {
    const first = kind === "neurons" ? 0 : o * most;
    return mask.slice(first, first + inputs);
  });
}

/** Digits of a whole number as superscripts. */
export const raised = (n) => Array.from(`${n}`, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)]).join("");

/** "2¹² = 4,096 patterns"; where the number is too long to be read out, how many digits it has. */
export function patterns(exponent, exact) {
  const digits = exact.replaceAll(",", "").length;
  return digits <= 15 ? `2${raised(exponent)} = ${exact} patterns` : `2${raised(exponent)} patterns, a number of ${digits} digits`;
}

/** A list in words: "1, 3 and 2". */
export const listed = (values) =>
  values.length < 2 ? `${values}` : `${values.slice(0, -1).join(", ")} and ${values.at(-1)}`;

/** The number of patterns of a layer is 2 to this power. */
export const power = (kind, inputs, outputs) => (kind === "neurons" ? inputs : inputs * outputs);

function share({ kind, mask, inputs, outputs }) {
  const kept = mask.map(sum);
  const of = `of ${outputs === 1 ? "its" : "their"} ${count(inputs, "wire")}`;
  if (outputs === 1) return `the output keeps ${kept[0]} ${of}`;
  if (kind === "neurons") return `every output keeps the same ${kept[0]} of its ${count(inputs, "wire")}`;
  if (outputs <= 6) return `the outputs keep ${listed(kept)} ${of}`;
  return `the outputs keep from ${Math.min(...kept)} to ${Math.max(...kept)} ${of}`;
}

export function words({ kind, p, draw, mask, inputs, outputs, counts }) {
  const cut = inputs * outputs - sum(mask.map(sum));
  const gone = kind === "neurons"
    ? `${cut / outputs} of ${count(inputs, "input")} silent`
    : `${cut} of ${count(inputs * outputs, "wire")} cut`;
  const n = power(kind, inputs, outputs);
  const only = p === 0 || p === 1 ? " At this p only one of them can occur." : "";
  return `Mask ${draw + 1}, p = ${fixed(p)}, ${kind}: ${gone}; ${share({ kind, mask, inputs, outputs })}. ` +
    `${patterns(n, counts[n])}.${only}`;
}

/** Cuts a long number behind commas into lines of at most `most` characters. */
export function wrapped(text, most) {
  return text.split(/(?<=,)/).reduce((lines, group) => {
    const last = lines.at(-1);
    return last.length + group.length <= most ? [...lines.slice(0, -1), last + group] : [...lines, group];
  }, [""]);
}

// ---- the picture --------------------------------------------------------------------------------------------------

const LINE = 19;

/** The two counts, the chosen one in bold with a pointer before it. */
function counters({ kind, inputs, outputs, counts }, width) {
  const texts = ["neurons", "wires"].flatMap((name) => {
    const n = power(name, inputs, outputs);
    const lines = wrapped(`${name}: 2${raised(n)} = ${counts[n]} patterns`, Math.floor((width - 20) / 8.6));
    return lines.map((text, i) => ({ text, chosen: name === kind, first: i === 0 }));
  });
  return {
    height: texts.length * LINE,
    marks: texts.map(({ text, chosen, first }, i) => [
      chosen && first && label(0, LINE * i + 14, "▸", { class: "cf-strong" }),
      label(16, LINE * i + 14, text, { class: chosen ? "cf-strong" : "" }),
    ]),
  };
}

function legend(top) {
  return [
    svg("path", { class: "cf-blue-line", d: `M0,${top - 4}h24` }),
    label(30, top, "kept"),
    svg("path", { class: "cf-gone", d: `M78,${top - 4}h24` }),
    label(108, top, "cut"),
    crossed(156, top - 4, 7),
    label(169, top, "silent"),
  ];
}

function crossed(x, y, radius) {
  const arm = radius * 0.5;
  return [
    svg("circle", { class: "cf-gone", cx: x, cy: y, r: radius }),
    cross(x, y, arm),
  ];
}

function layer({ kind, mask, inputs, outputs }, width, top) {
  const room = Math.min(width, 720);
  const spread = (units) => scale([-0.5, units - 0.5], [0, room]);
  const [x, z] = [spread(inputs), spread(outputs)];
  const radius = (units) => clamp(room / units * 0.36, 4, 14);
  const [above, below] = [top + 40, top + 236];
  const wires = (wanted) => mask.flatMap((flags, o) => flags.map((kept, i) =>
    kept === wanted && `M${x(i)},${above + radius(inputs)}L${z(o)},${below - radius(outputs)}`)).filter(Boolean).join("");
  const many = inputs * outputs > 40;
  const silent = (i) => kind === "neurons" && mask.every((flags) => flags[i] === 0);
  return {
    height: below + 58,
    marks: [
      label(0, top + 14, "inputs", { class: "cf-small" }),
      !many && svg("path", { class: "cf-gone", d: wires(0) }),
      svg("path", { class: "cf-blue-line", fill: "none", style: many ? "stroke-width: 1; opacity: .7" : "", d: wires(1) }),
      mask[0].map((_, i) => silent(i)
        ? crossed(x(i), above, radius(inputs))
        : svg("circle", { class: "cf-blue-fill", cx: x(i), cy: above, r: radius(inputs) })),
      mask.map((flags, o) => [
        svg("circle", { class: "cf-card", cx: z(o), cy: below, r: radius(outputs), stroke: "var(--cf-ink)", "stroke-width": 1.5 }),
        room / outputs >= 22 && label(z(o), below + 31, `${sum(flags)}`, { "text-anchor": "middle", class: "cf-strong" }),
      ]),
      label(0, below + 52, room / outputs >= 22 ? "outputs, and how many wires each one keeps" : "outputs", { class: "cf-small" }),
    ],
  };
}

export function render({ model, el }) {
  const steps = model.get("steps");
  const counts = model.get("counts");
  const draws = model.get("neurons").length;
  const sizes = model.get("sizes");
  const current = () => {
    const [kind, inputs, outputs] = ["kind", "inputs", "outputs"].map((name) => model.get(name));
    const step = clamp(Math.round(model.get("p") * steps), 0, steps);
    const draw = clamp(model.get("draw"), 0, draws - 1);
    const mask = wireMask(kind, model.get(kind)[draw], step, inputs, outputs, sizes.most);
    return { kind, p: step / steps, draw, mask, inputs, outputs, counts };
  };
  const spoken = (kind, inputs, outputs) =>
    words({ kind, p: 0, draw: draws - 1, mask: Array(outputs).fill(Array(inputs).fill(1)), inputs, outputs, counts });
  const line = readout(longest(["neurons", "wires"].flatMap((kind) =>
    sizes.inputs.flatMap((n) => sizes.outputs.map((m) => spoken(kind, n, m))))));
  const picture = stage(model.get("alt"), (width) => {
    const now = current();
    const head = counters(now, width);
    const body = layer(now, width, head.height + 34);
    return { height: body.height, marks: [head.marks, legend(head.height + 22), body.marks] };
  });
  const choice = (values) => values.map((value) => [value, `${value}`]);
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      toggle(model, "kind", { label: "Drop", options: [["neurons", "neurons"], ["wires", "wires"]] }),
      row(button("New mask", () => change(model, { draw: (model.get("draw") + 1) % draws }), { main: true })),
      slider(model, "p", { label: "Drop probability p", min: 0, max: 1, step: 1 / steps, format: (p) => fixed(p) }),
      toggle(model, "inputs", { label: "Inputs", options: choice(sizes.inputs) }),
      toggle(model, "outputs", { label: "Outputs", options: choice(sizes.outputs) }),
    ],
  });
  return watch(model, ["kind", "p", "draw", "inputs", "outputs"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
