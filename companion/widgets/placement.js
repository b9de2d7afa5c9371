// Where to put dropout: choose a network and a site; see the habit, what stands behind it, and the measured gain.
// Sites, evidence and gains are the companion's; nothing is computed here.

import { change, fixed, html, label, longest, mount, readout, scale, slider, stage, svg, ticks, toggle, watch } from "./kit.js";

// ---- words --------------------------------------------------------------------------------------------------------

const signed = (value) => `${value > 0 ? "+" : ""}${fixed(value, 1)}`;

/** What an interval says about zero. */
export const verdict = ([, , low, high]) => (low > 0 ? "a gain" : high < 0 ? "a loss" : "undecided");

export function words(name, { name: site, habit, gains }, { none, seeds }) {
  const told = gains.map((gain) => `${gain[0]}: ${signed(gain[1])} points [${signed(gain[2])}, ${signed(gain[3])}], ${verdict(gain)}`);
  return `${name}, ${site}. Tutorials: ${habit}. Measured against ${fixed(none, 1)}% without dropout, ${seeds} paired seeds: ` +
    `${told.join("; ")}.`;
}

// ---- the picture --------------------------------------------------------------------------------------------------

/** Places the boxes and circles of a chain in rows of `width`: [{ text | site, x, y, w }], and the number of rows. */
export function flow(chain, width) {
  const placed = [];
  let x = 0;
  let rows = 0;
  for (const part of chain) {
    const w = typeof part === "string" ? (part === "+" ? 26 : 7.2 * part.length + 14) : 30;
    if (x + w > width && x > 0) { x = 0; rows += 1; }
    placed.push({ ...(typeof part === "string" ? { text: part } : { site: part[0] }), x, row: rows, w });
    x += w + 16;
  }
  return { placed, rows: rows + 1 };
}

/** The chosen site of the chosen network; sites are counted from 1, as in the picture. */
const siteOf = (model) => model.get("networks")[model.get("network")].sites[model.get(model.get("network")) - 1];

function drawing(model, width, choose) {
  const key = model.get("network");
  const { chain, sites } = model.get("networks")[key];
  const { id: chosen } = siteOf(model);
  const { placed, rows } = flow(chain, width - 4);
  const pitch = 56;
  const marks = [];
  placed.forEach(({ text, site, x, row, w }, i) => {
    const y = 26 + pitch * row;
    const next = placed[i + 1];
    if (next) {
      marks.push(svg("path", { class: "cf-axis", d: next.row === row ? `M${x + w + 2},${y}h12m-4,-3l4,3l-4,3` : `M${x + w + 2},${y}h8` }));
    }
    if (text) {
      marks.push(
        svg("rect", { class: "cf-axis", x: x + 2, y: y - 15, width: w - 2, height: 30, rx: text === "+" ? 15 : 4 }),
        label(x + 1 + w / 2, y + 4.5, text, { "text-anchor": "middle" }),
      );
      return;
    }
    const on = site === chosen || (chosen === "several" && site.startsWith("hidden")) ||
      (chosen === "all" && site !== "sum");
    const number = sites.findIndex((one) => one.id === site) + 1;
    marks.push(svg("g", { style: "cursor:pointer", onclick: () => choose(number) },
      svg("circle", { cx: x + w / 2, cy: y, r: 22, fill: "transparent" }),
      svg("circle", { class: on ? "cf-blue-fill" : "cf-blue-line", fill: on ? null : "var(--cf-paper)", cx: x + w / 2, cy: y, r: 13 }),
      label(x + w / 2, y + 4.5, `${number}`, { "text-anchor": "middle", class: on ? "cf-on cf-strong" : "cf-strong" })));
  });
  const top = 26 + pitch * rows + 22;
  const floor = top + 150;
  return { height: floor + 44, marks: [marks, chart(sites, sites.find((one) => one.id === chosen), { top, floor, left: 40, right: width - 8 })] };
}

function chart(sites, { gains }, { top, floor, left, right }) {
  const every = sites.flatMap((site) => site.gains);
  const low = Math.min(0, ...every.map((gain) => gain[2]));
  const high = Math.max(0, ...every.map((gain) => gain[3]));
  const y = scale([low, high], [floor, top]);
  const room = Math.min((right - left) / gains.length, 130);
  const marks = ticks(low, high, 5).map((value) => [
    svg("path", { class: value === 0 ? "cf-ink-line" : "cf-grid", d: `M${left},${y(value)}H${right}` }),
    label(left - 6, y(value) + 4, fixed(value, 0), { "text-anchor": "end", class: "cf-small" }),
  ]);
  gains.forEach((gain, i) => {
    const [name, mean, from, to] = gain;
    const x = left + room * (i + 0.5);
    const colour = verdict(gain) === "a gain" ? "blue" : verdict(gain) === "a loss" ? "orange" : "muted";
    const line = colour === "muted" ? "cf-axis" : `cf-${colour}-line`;
    marks.push(
      svg("path", { class: line, "stroke-width": 2.5, d: `M${x},${y(from)}V${y(to)}M${x - 6},${y(from)}h12M${x - 6},${y(to)}h12` }),
      colour === "muted"
        ? svg("circle", { class: "cf-axis", style: "fill:var(--cf-paper)", cx: x, cy: y(mean), r: 5 })
        : svg("circle", { class: `cf-${colour}-fill`, cx: x, cy: y(mean), r: 5.5 }),
      label(x + 11, y(mean) + 4.5, signed(mean), { class: "cf-strong cf-halo" }),
      label(x, floor + 18, name, { "text-anchor": "middle", class: "cf-small" }),
    );
  });
  return [
    label(left - 34, top - 16, right > 330 ? "Gain in test accuracy over no dropout (points)" : "Gain in test accuracy (points)", { class: "cf-strong" }),
    marks,
    label((left + right) / 2, floor + 38, "drop probability p at this site", { "text-anchor": "middle", class: "cf-small" }),
  ];
}

// ---- what holds, and what stands behind it: one paragraph a site, stacked, so that nothing moves ----------------------

function paragraph({ rule, evidence }) {
  const entries = evidence.flatMap(([strength, source, says]) => [html("br"), html("strong", {}, `${strength}. `), `${source}${says}`]);
  return html("p", {}, html("strong", {}, "Advice. "), rule, html("br"), "The evidence:", entries.length ? entries : " none that we know of.");
}

export function render({ model, el }) {
  const networks = model.get("networks");
  const names = model.get("names");
  const every = names.flatMap(([key, name]) => networks[key].sites.map((one) => words(name, one, networks[key])));
  const line = readout(longest(every));
  const picture = stage(model.get("alt"), (width) => drawing(model, width, (number) => change(model, { [model.get("network")]: number })));
  const parts = names.map(([key]) => {
    const { sites } = networks[key];
    const along = slider(model, key, { label: "Site", min: 1, max: sites.length, step: 1, format: (i) => `${i} ${sites[i - 1].name}` });
    return { key, along, told: sites.map(paragraph) };
  });
  const holder = html("div", { style: "flex: 1 1 14rem; min-width: 0" }); // of the slider of the chosen network
  mount(model, el, {
    pictures: [picture],
    readout: line,
    controls: [toggle(model, "network", { label: "Network", options: names }), holder],
  });
  const panel = html("div", { class: "cf-readout" }, parts.map(({ told }) => told));
  el.querySelector(".cf-controls").after(panel);
  return watch(model, ["network", ...parts.map(({ key }) => key)], () => {
    const network = model.get("network");
    parts.forEach(({ key, along, told }) => {
      if (key === network && holder.firstChild !== along) holder.replaceChildren(along);
      told.forEach((node, i) => {
        const here = key === network && i === model.get(key) - 1;
        node.style.display = key === network ? "" : "none";
        node.setAttribute("class", here ? "" : "cf-room");
        node.setAttribute("aria-hidden", here ? "false" : "true");
      });
    });
    picture.redraw();
    line.say(words(names.find(([key]) => key === network)[1], siteOf(model), networks[network]));
  });
}

export default { render };
