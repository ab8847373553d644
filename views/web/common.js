"use strict";
// What the report and the page share. All that the data says is written as text, never as HTML.

const FATES = ["in the dataset", "good, not chosen", "near-duplicate", "rejected", "not judged"];
const byId = (id) => document.getElementById(id);

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// What a point says when it is pointed at: a few lines, or one where there are many points.
function label(text, many) {
  return many ? escaped(text.slice(0, 90).replaceAll("\n", " ")) : wrapped(text);
}

function wrapped(text, width = 70, lines = 6) {
  const found = [];
  for (const word of text.slice(0, width * lines).split(/\s+/)) {
    const last = found.length - 1;
    if (last >= 0 && found[last].length + word.length < width) found[last] += ` ${word}`;
    else found.push(word.slice(0, width));
  }
  const shown = found.slice(0, lines).join("\n");
  return escaped(shown.length < text.trim().length ? `${shown} …` : shown).replaceAll("\n", "<br>");
}

// Plotly reads a little HTML in its labels.
function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// Annotations with the names of places ({ x, y, name }) on a map that shows `window` (left, right,
// bottom, top): a name that would lie on another one is left out, until zooming makes room.
function named(places, [left, right, bottom, top], look) {
  const across = byId("map").clientWidth / (right - left);
  const down = byId("map").clientHeight / (top - bottom);
  const taken = [];
  return places.map(({ x, y, name }) => {
    const short = name.length > 32 ? `${name.slice(0, 31)}…` : name;
    const box = { x: x * across, y: y * down, half: short.length * 3.3 + 6 };
    const free = taken.every((other) => Math.abs(other.x - box.x) > other.half + box.half || Math.abs(other.y - box.y) > 19);
    if (free) taken.push(box);
    return { x, y, text: free ? escaped(short) : "", font: { size: 11.5, color: colour("soft") }, bgcolor: free ? colour("card") : "rgba(0,0,0,0)", opacity: 0.9, ...look };
  });
}

function layout(more) {
  const axis = { gridcolor: colour("line"), zerolinecolor: colour("line"), linecolor: colour("line") };
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
    font: { color: colour("ink"), family: getComputedStyle(document.body).fontFamily, size: 13 },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") }, align: "left" },
    ...more,
    xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
  };
}

const OPTIONS = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"] };
const BARE = { showgrid: false, zeroline: false, showticklabels: false, visible: false };

// Seeds are circles, generated rows diamonds; what is out is small and pale.
function markerOf(generated, fate, scale) {
  const strong = generated ? colour("made") : colour("seed");
  const kept = fate <= 1;
  const colours = [strong, strong, colour("repeat"), colour("out"), colour("out")];
  return {
    color: colours[fate],
    size: (fate === 0 ? (generated ? 8 : 6.5) : 4.5) * scale,
    opacity: [0.9, 0.35, 0.4, 0.4, 0.4][fate],
    symbol: kept ? (generated ? "diamond" : "circle") : (generated ? "diamond-open" : "x-thin-open"),
    line: fate === 0 && generated ? { width: 0.6, color: colour("card") } : {},
  };
}
