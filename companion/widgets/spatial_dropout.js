// Spatial dropout: four feature maps of a trained network, and what is left of them when cells or channels are dropped.
// Maps, masks and the share that the neighbours tell are the companion's.

import {
  button, change, count, featureMap, fixed, label, levels, mapLegend, mount, readout, row, slider, stage, sum, svg, threshold,
  toggle, watch,
} from "./kit.js";

// ---- numbers ----------------------------------------------------------------------------------------------------

/** One flag a cell, 1 (kept) or 0 (dropped), for all maps one after the other: masks of channels are spread over their cells. */
export function cellMask(kind, letters, step, cells) {
  const mask = threshold(levels(letters), step);
  return kind === "cells" ? mask : mask.flatMap((kept) => Array(cells).fill(kept));
}

export function words({ kind, p, draw, mask, cells, told }) {
  const maps = mask.length / cells;
  const whole = Array.from({ length: maps }, (_, c) => sum(mask.slice(c * cells, (c + 1) * cells)));
  const gone = mask.length - sum(mask);
  const head = `Mask ${draw + 1}, p = ${fixed(p)}, ${kind}: `;
  if (gone === 0) return `${head}nothing is dropped.`;
  if (kind === "channels") {
    return `${head}${whole.filter((kept) => kept === 0).length} of ${count(maps, "map")} gone. ` +
      "Their own maps tell nothing of them.";
  }
  if (gone === mask.length) return `${head}all ${mask.length} cells gone, and nobody is left to tell.`;
  return `${head}${gone} of ${mask.length} cells gone. ` +
    `The survivors of the same map tell ${Math.round(100 * told)}% of their variance.`;
}

// ---- the picture --------------------------------------------------------------------------------------------------

export function render({ model, el }) {
  const cells = model.get("maps")[0].flat().length;
  const draws = model.get("cells").length;
  const current = () => {
    const step = Math.min(Math.max(Math.round(model.get("p") * model.get("steps")), 0), model.get("steps"));
    const draw = Math.min(Math.max(model.get("draw"), 0), draws - 1);
    const kind = model.get("kind");
    const mask = cellMask(kind, model.get(kind)[draw], step, cells);
    return { kind, p: step / model.get("steps"), draw, mask, cells, told: model.get("told")[draw][step] };
  };
  const line = readout(words({ kind: "cells", p: 0.55, draw: 99, mask: Array.from({ length: 4 * cells }, (_, i) => i % 2), cells, told: 1 }));
  const picture = stage(model.get("alt"), (width) => {
    const { mask } = current();
    const maps = model.get("maps");
    const side = maps[0].length;
    const columns = width >= 520 ? 4 : 2;
    const gap = 14;
    const size = Math.min((width - gap * (columns - 1)) / columns, 190);
    const pitch = size + gap + 18;
    const marks = maps.map((values, c) => {
      const left = (c % columns) * (size + gap);
      const top = 50 + Math.floor(c / columns) * pitch;
      const kept = mask.slice(c * cells, (c + 1) * cells);
      const name = sum(kept) === 0 ? `channel ${c + 1}: gone` : `channel ${c + 1}`;
      return [label(left, top - 8, name, { class: "cf-small" }), featureMap(values.flat(), kept, side, left, top, size / side)];
    });
    return { height: 50 + Math.ceil(maps.length / columns) * pitch - gap, marks: [mapLegend(), marks] };
  });
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [
      row(
        button("New mask", () => change(model, { draw: (model.get("draw") + 1) % draws }), { main: true }),
      ),
      toggle(model, "kind", { label: "Drop", options: [["cells", "cells"], ["channels", "channels"]] }),
      slider(model, "p", { label: "Drop probability p", min: 0, max: 1, step: 1 / model.get("steps"), format: (p) => fixed(p) }),
    ],
  });
  return watch(model, ["p", "kind", "draw"], () => {
    picture.redraw();
    line.say(words(current()));
  });
}

export default { render };
