// The report's map, charts and stories.

async function unpacked(id) {
  const coded = atob(byId(id).textContent);
  const bytes = new Uint8Array(coded.length);
  for (let i = 0; i < coded.length; i += 1) bytes[i] = coded.charCodeAt(i); // ten times as fast as from()
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const SIZE = 9999; // of the map's axes
const SHARP = 3000; // rows that are drawn as SVG, which prints sharply; more need WebGL
const WITHOUT_WEBGL = 6000; // rows that SVG can carry where there is no WebGL

function hasWebGL() {
  try { return Boolean(document.createElement("canvas").getContext("webgl")); } catch { return false; }
}

class RowMap {
  constructor(rows, places, tell) {
    this.rows = rows;
    this.places = places;
    this.tell = tell;
    const many = rows.id.length > SHARP;
    this.kind = many && hasWebGL() ? "scattergl" : "scatter";
    this.scale = rows.id.length > 20000 ? 0.45 : many ? 0.7 : 1;
    this.every = many && this.kind === "scatter" ? Math.ceil(rows.id.length / WITHOUT_WEBGL) : 1;
    if (this.every > 1) byId("map").before(element("p", `Without WebGL the map shows one row in ${this.every}.`, { class: "soft" }));
  }

  traces(round) {
    const groups = new Map();
    this.rows.id.forEach((_, i) => {
      if (this.rows.x[i] === null || i % this.every || (round !== "" && this.rows.round[i] !== Number(round))) return;
      const key = this.rows.fate[i] * 2 + this.rows.generated[i];
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(i);
    });
    // What is out is drawn first, so that it hides nothing.
    return [...groups.entries()].sort((a, b) => b[0] - a[0]).map(([key, members]) => {
      const fate = key >> 1;
      const name = `${key & 1 ? "generated" : "seeds"}, ${FATES[fate]} (${members.length.toLocaleString("en")})`;
      return {
        type: this.kind, mode: "markers", name, legendrank: 1000 + key, marker: markerOf(key & 1, fate, this.scale),
        x: members.map((i) => this.rows.x[i]), y: members.map((i) => this.rows.y[i]),
        customdata: members, hovertemplate: "%{text}<extra></extra>",
        text: members.map((i) => label(this.rows.instruction[i], this.scale < 1)),
      };
    });
  }

  outlined() {
    if (!byId("outlines").checked) return [];
    const round = byId("round").value;
    const last = Math.max(0, ...this.places.map((p) => p.round));
    return this.places.filter((p) => p.round === Number(round === "" ? last : round));
  }

  shapes() {
    return this.outlined().map((p) => ({
      type: "circle", layer: "below", line: { color: colour("made"), width: 1.4, dash: "dot" },
      x0: (p.x - p.r) * SIZE, x1: (p.x + p.r) * SIZE, y0: (p.y - p.r) * SIZE, y1: (p.y + p.r) * SIZE,
    }));
  }

  // Which names have room is known when the map is drawn.
  name() {
    if (!this.places.length) return;
    const { xaxis, yaxis } = byId("map").layout;
    const places = this.outlined().map((p) => ({ x: p.x * SIZE, y: (p.y + p.r) * SIZE, name: p.name }));
    Plotly.relayout("map", { annotations: named(places, [...xaxis.range, ...yaxis.range], { showarrow: false, yshift: 9 }) });
  }

  draw() {
    const round = byId("round").value;
    const drawn = layout({
      margin: { l: 6, r: 6, t: 6, b: 6 }, dragmode: "pan", hovermode: "closest",
      legend: { orientation: "h", y: -0.01, itemsizing: "constant", font: { size: 12 } },
      xaxis: BARE, yaxis: { ...BARE, scaleanchor: "x" }, uirevision: "map",
      shapes: this.shapes(),
    });
    Plotly.react("map", this.traces(round), drawn, { ...OPTIONS, scrollZoom: true });
    this.name();
  }

  start() {
    this.draw();
    byId("map").on("plotly_click", (event) => this.tell(event.points[0].customdata));
    byId("map").on("plotly_relayout", (change) => { if (!("annotations" in change)) this.name(); });
    for (const id of ["round", "outlines"]) byId(id).addEventListener("change", () => this.draw());
  }
}

function storyteller(rows, places) {
  const box = byId("story");
  const names = new Map(places.map((p) => [p.id, p.name]));
  const first = (i) => rows.instruction[i].replace(/\s+/g, " ").slice(0, 90) || rows.id[i];

  function link(i) {
    const button = element("button", first(i), { class: "link", type: "button" });
    button.addEventListener("click", () => tell(i));
    return button;
  }

  function facts(i) {
    const found = [];
    found.push(["fate", FATES[rows.fate[i]] + (rows.rank[i] ? `, chosen as number ${rows.rank[i]}` : "")]);
    if (rows.generated[i]) {
      found.push(["made", `in round ${rows.round[i]} by ${rows.strategy[i] || "rewriting"}`]);
      rows.parents[i].forEach((p) => found.push(["from", link(p)]));
      if (rows.subspace[i]) found.push(["for", names.get(rows.subspace[i]) || rows.subspace[i]]);
      if (rows.landed[i] !== null) found.push(["landed", rows.landed[i] ? "yes" : "no, elsewhere"]);
    } else {
      found.push(["from", `${rows.sources[rows.source[i]]}, line ${rows.line[i]}`]);
    }
    if (rows.verdict[i]) {
      const [other, cosine, layer, why] = rows.verdict[i];
      found.push(["repeats", link(other)]);
      found.push(["evidence", `${layer}, cosine ${cosine}${why ? `: ${why}` : ""}`]);
    }
    if (rows.score[i]) {
      const [final, judge, length] = rows.score[i];
      found.push(["score", `${final} (judge ${judge}, length ${length})`]);
    }
    if (rows.said[i]) found.push(["judge", rows.said[i]]);
    const reason = rows.reasons[rows.reason[i]];
    if (reason && !rows.verdict[i]) found.push(["reason", reason]);
    found.push(["id", rows.id[i]]);
    return found;
  }

  function tell(i) {
    const list = element("dl");
    for (const [name, value] of facts(i)) {
      list.append(element("dt", name));
      const cell = element("dd", typeof value === "string" ? value : undefined);
      if (typeof value !== "string") cell.append(value);
      list.append(cell);
    }
    box.replaceChildren(element("h3", "A row's story"), element("pre", rows.instruction[i]), element("pre", rows.output[i]), list);
    box.scrollTop = 0;
    box.focus({ preventScroll: true });
  }

  function find(words) {
    const wanted = words.trim().toLowerCase();
    if (!wanted) return box.replaceChildren(element("h3", "A row's story"), element("p", "Click a point, or search.", { class: "soft" }));
    const found = [];
    for (let i = 0; i < rows.id.length && found.length < 50; i += 1) {
      if (rows.id[i].startsWith(wanted) || rows.instruction[i].toLowerCase().includes(wanted)) found.push(i);
    }
    const list = element("div");
    found.forEach((i) => {
      const button = element("button", first(i), { class: "row", type: "button" });
      button.addEventListener("click", () => tell(i));
      list.append(button);
    });
    const many = found.length === 50 ? "the first 50 rows" : `${found.length} row${found.length === 1 ? "" : "s"}`;
    return box.replaceChildren(element("h3", `${many} with “${words.trim()}”`), list);
  }

  return { tell, find };
}

function drawScores(scores) {
  const middle = scores.all.map((_, i) => (i + 0.5) * scores.width);
  const used = scores.all.map((n, i) => (n ? i : -1)).filter((i) => i >= 0);
  if (!used.length) return byId("scores").replaceWith(element("p", "No row was scored.", { class: "soft" }));
  const range = [Math.max(0, used[0] - 1) * scores.width, Math.min(100, (used.at(-1) + 2) * scores.width)];
  const bars = (name, y, tone) => ({ type: "bar", name, x: middle, y, width: scores.width * 0.92, marker: { color: colour(tone) }, hovertemplate: `%{y} rows<extra>${name}</extra>` });
  return Plotly.react("scores", [bars("all that were scored", scores.all, "out"), bars("in the dataset", scores.dataset, "seed")],
    layout({ barmode: "overlay", height: 320, margin: { l: 55, r: 10, t: 10, b: 45 }, legend: { orientation: "h", y: 1.12 },
      xaxis: { title: { text: "final score" }, range }, yaxis: { title: { text: "rows" } } }), OPTIONS);
}

function drawRounds(rounds) {
  if (!rounds.length || !byId("rounds-chart")) return;
  const steps = [["planned", "tasks", "line"], ["written", "rows written", "out"], ["landed", "landed", "made"], ["accepted", "accepted", "seed"]];
  Plotly.react("rounds-chart", steps.map(([key, name, tone]) => ({ type: "bar", name, x: rounds.map((r) => `round ${r.round}`), y: rounds.map((r) => r[key]), marker: { color: colour(tone) } })),
    layout({ barmode: "group", height: 300, margin: { l: 45, r: 10, t: 10, b: 35 }, legend: { orientation: "h", y: 1.15 }, xaxis: {}, yaxis: { title: { text: "rows" } } }), OPTIONS);
}

async function main() {
  const [plotly, packed] = await Promise.all([unpacked("plotly"), unpacked("data")]);
  const data = JSON.parse(packed);
  document.head.append(element("script", plotly));
  const { tell, find } = storyteller(data.rows, data.places);
  const map = new RowMap(data.rows, data.places, tell);
  for (const round of [...new Set(data.rows.round)].sort((a, b) => a - b)) {
    byId("round").append(element("option", round ? `${round}` : "seeds", { value: round }));
  }
  const draw = () => { drawScores(data.scores); drawRounds(data.rounds); };
  map.start();
  draw();
  let waiting;
  byId("find").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => find(event.target.value), 120);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { map.draw(); draw(); });
  document.documentElement.dataset.ready = "yes";
}

main();
