// The page of a run: it asks the server for what is looked at, and again while the run is in progress.

const LOOK = 2000; // milliseconds between two looks at a running run
const PAGE = 50;
const FATE_KEYS = ["chosen", "pool", "duplicate", "rejected", "unjudged"];
const HEADS = [["", "id"], ["round", "round"], ["", "origin"], ["rank", "fate"], ["score", "score"], ["instruction", "instruction"]];
const state = { offset: 0, sort: "position", down: false, view: "rows", run: null, window: null, seen: "" };

async function ask(path, values = {}) {
  const query = new URLSearchParams(Object.entries(values).filter(([, v]) => v !== "" && v !== null));
  const answer = await fetch(`api/${path}?${query}`);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

const values = (form) => Object.fromEntries(new FormData(byId(form)));
const whole = (n) => Number(n).toLocaleString("en");
const dollars = (usd) => (usd === null ? "price unknown" : `$${usd.toFixed(usd >= 1 || usd === 0 ? 2 : 4)}`);

function later(work, wait = 150) {
  let timer;
  return (...given) => { clearTimeout(timer); timer = setTimeout(() => work(...given), wait); };
}

function tell(...parts) {
  const box = byId("story");
  box.replaceChildren(...parts);
  box.scrollTop = 0;
}

// The run ----------------------------------------------------------------------------------------

async function lookAtRun() {
  const run = await ask("run");
  const s = run.summary;
  state.run = run;
  document.title = `${run.folder} · lift-agent`;
  byId("title").textContent = run.folder;
  const last = run.rounds.at(-1);
  byId("state").textContent = run.running
    ? `Running: ${last ? `${whole(last.pool)} of ${whole(s.target)} accepted after ${last.round ? `round ${last.round}` : "the seeds"}` : "reading"}.`
    : s.stop ? `Stopped with ${s.stop}: ${s.why}. ${whole(s.rows)} of ${whole(s.target)} rows.` : "Not finished, and not running.";
  const figures = [
    [whole(s.read), "rows read"], [whole(s.near_duplicates), "near-duplicates"], [whole(s.written), "generated"],
    [whole(s.landed), "landed"], [whole(s.rows), "in the dataset"], [whole(s.calls), "calls"],
    [whole(s.tokens), "tokens"], [dollars(s.cost), "spent"],
  ];
  byId("figures").replaceChildren(...figures.map(([value, name]) => {
    const pair = element("div");
    pair.append(element("dt", name), element("dd", value));
    return pair;
  }));
  const rounds = byId("row-filter").elements.round;
  for (const { round } of run.rounds) {
    if (![...rounds.options].some((o) => o.value === String(round))) rounds.append(element("option", round ? `${round}` : "seeds", { value: round }));
  }
  const seen = JSON.stringify([run.rounds, s.calls, s.reused, s.rows, s.stop]);
  if (state.seen && state.seen !== seen) await draw();
  state.seen = seen;
  if (run.running || !s.stop) setTimeout(() => lookAtRun().catch(lost), LOOK);
}

function lost(error) {
  byId("state").textContent = `The page's server does not answer (${error.message}): start lift-agent view again.`;
}

// Rows -------------------------------------------------------------------------------------------

async function drawRows() {
  const found = await ask("rows", { ...values("row-filter"), sort: state.sort, down: state.down ? 1 : "", offset: state.offset });
  byId("lines").replaceChildren(...found.rows.map(lineOf));
  const last = Math.min(state.offset + PAGE, found.count);
  byId("place").textContent = found.count ? `${whole(state.offset + 1)}–${whole(last)} of ${whole(found.count)} rows` : "no such row";
  byId("before").disabled = !state.offset;
  byId("after").disabled = last >= found.count;
}

function lineOf(row) {
  const line = element("tr", undefined, { tabindex: 0 });
  const fate = element("td", FATES[FATE_KEYS.indexOf(row.fate)] + (row.rank ? ` · ${row.rank}` : ""), { class: row.fate, title: row.reason });
  line.append(
    element("td", row.id.slice(0, 8), { class: "id" }), element("td", row.round || "seeds"), element("td", row.origin), fate,
    element("td", row.score === null ? "–" : row.score.toFixed(1), { class: "n" }), element("td", row.instruction, { class: "text" }),
  );
  const open = () => {
    document.querySelectorAll("#lines [aria-current]").forEach((other) => other.removeAttribute("aria-current"));
    line.setAttribute("aria-current", "true");
    tellRow(row.id);
  };
  line.addEventListener("click", open);
  line.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
  return line;
}

async function tellRow(id) {
  const story = await ask(`rows/${id}`);
  const steps = element("ol");
  for (const step of story.steps) {
    const item = element("li");
    item.append(element("span", step.kind, { class: "kind" }), element("span", step.said.length > 1500 ? `${step.said.slice(0, 1500)} …` : step.said));
    if (step.row) item.append(linkTo(`row ${step.row}`, () => tellRow(step.row)));
    if (step.call) item.append(linkTo(`call ${step.call.slice(0, 10)}`, () => tellCall(step.call)));
    steps.append(item);
  }
  const asked = story.row.input ? `${story.row.instruction}\nInput: ${story.row.input}` : story.row.instruction;
  tell(element("h3", `Row ${id}`), element("pre", asked), element("pre", story.row.output), steps,
    element("p", `${whole(story.calls.length)} calls, ${whole(story.tokens)} tokens, ${dollars(story.cost)}, ${story.seconds.toFixed(1)} s`, { class: "soft" }));
}

function linkTo(text, go) {
  const button = element("button", text, { class: "link", type: "button" });
  button.addEventListener("click", () => go().catch(lost));
  const line = element("div");
  line.append(button);
  return line;
}

function drawHeads() {
  byId("heads").replaceChildren(...HEADS.map(([sort, name]) => {
    const head = element("th", undefined, { scope: "col", ...(name === "score" && { class: "n" }) });
    if (!sort) { head.textContent = name; return head; }
    const sorted = state.sort === sort;
    const button = element("button", name + (sorted ? (state.down ? " ▼" : " ▲") : ""), { type: "button" });
    head.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
    button.addEventListener("click", () => {
      Object.assign(state, { sort, down: sorted ? !state.down : sort === "score", offset: 0 });
      drawHeads();
      drawRows().catch(lost);
    });
    head.append(button);
    return head;
  }));
}

// Map --------------------------------------------------------------------------------------------

async function drawMap() {
  const window = state.window || [0, 1, 0, 1];
  const found = await ask("map", { ...values("row-filter"), window: window.join(",") });
  const traces = found.points ? traceOf(found.points) : [heat(found, window)];
  const drawn = found.points ? found.points.length : found.bins.reduce((sum, [, , n]) => sum + n, 0);
  byId("map-note").textContent = drawn ? `${whole(drawn)} rows here${found.points ? "" : ", counted in cells: zoom in to see them one by one"}.`
    : "No row is on the map: it is drawn when the seeds have been judged, and again when the run ends.";
  const wanted = byId("row-filter").elements.round.value;
  const round = wanted === "" ? Math.max(0, ...state.run.places.map((p) => p.round)) : Number(wanted);
  const names = new Map(state.run.places.map((p) => [`${p.round} ${p.id}`, p.name]));
  const centres = state.run.mapped.filter(([r]) => r === round);
  const axis = { ...BARE, range: window.slice(0, 2) };
  await Plotly.react("map", traces, layout({
    margin: { l: 6, r: 6, t: 6, b: 6 }, dragmode: "zoom", hovermode: "closest", showlegend: Boolean(found.points),
    legend: { orientation: "h", y: -0.01, itemsizing: "constant", font: { size: 12 } },
    xaxis: axis, yaxis: { ...BARE, range: window.slice(2) },
    annotations: named(centres.map(([r, id, x, y]) => ({ x, y, name: names.get(`${r} ${id}`) || id })), window, { showarrow: true, arrowhead: 0, arrowcolor: colour("made"), ax: 0, ay: -22 }),
  }), { ...OPTIONS, scrollZoom: true });
  if (state.listening) return;
  state.listening = true;
  byId("map").on("plotly_click", (event) => { const id = event.points[0].customdata; if (id) tellRow(id).catch(lost); });
  byId("map").on("plotly_relayout", later((change) => {
    const axes = byId("map").layout;
    if (change["xaxis.autorange"]) state.window = null;
    else if ("xaxis.range[0]" in change || "xaxis.range" in change) state.window = [...axes.xaxis.range, ...axes.yaxis.range].map((edge) => Math.min(1.2, Math.max(-0.2, edge)));
    else return;
    drawMap().catch(lost);
  }, 250));
}

function traceOf(points) {
  const groups = new Map();
  for (const point of points) {
    const key = FATE_KEYS.indexOf(point[4]) * 2 + (point[3] === "generated");
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(point);
  }
  return [...groups.entries()].sort((a, b) => b[0] - a[0]).map(([key, members]) => ({
    type: members.length > 3000 ? "scattergl" : "scatter", mode: "markers", legendrank: 1000 + key,
    name: `${key & 1 ? "generated" : "seeds"}, ${FATES[key >> 1]} (${whole(members.length)})`,
    marker: markerOf(key & 1, key >> 1, points.length > 3000 ? 0.7 : 1),
    x: members.map((p) => p[1]), y: members.map((p) => p[2]), customdata: members.map((p) => p[0]),
    text: members.map((p) => label(p[5], points.length > 3000)), hovertemplate: "%{text}<extra></extra>",
  }));
}

function heat(found, [left, right, bottom, top]) {
  const step = [(right - left) / found.across, (top - bottom) / found.across];
  const counts = Array.from({ length: found.across }, () => Array(found.across).fill(null));
  for (const [x, y, n] of found.bins) counts[y][x] = n;
  const middle = (from, size) => Array.from({ length: found.across }, (_, i) => from + (i + 0.5) * size);
  return {
    type: "heatmap", z: counts.map((line) => line.map((n) => n && Math.log10(n) + 0.3)), customdata: counts, x: middle(left, step[0]), y: middle(bottom, step[1]),
    showscale: false, hovertemplate: "%{customdata} rows<extra></extra>", colorscale: [[0, colour("line")], [1, colour("seed")]], hoverongaps: false,
  };
}

// Calls ------------------------------------------------------------------------------------------

async function drawCalls() {
  const wanted = values("call-filter");
  const found = await ask("calls", wanted);
  const open = new Set([...document.querySelectorAll("#tree details[open]")].map((d) => d.dataset.key));
  const rounds = new Map();
  for (const group of found.groups) {
    if (!rounds.has(group.round)) rounds.set(group.round, []);
    rounds.get(group.round).push(group);
  }
  const nodes = [...rounds.entries()].map(([round, groups]) => {
    const node = branch(`${round}`, round ? `round ${round}` : "seeds", groups, true);
    for (const group of groups) {
      const inner = branch(`${round} ${group.agent}`, group.agent, [group], open.has(`${round} ${group.agent}`));
      const fill = () => { if (inner.open && !inner.dataset.filled) { inner.dataset.filled = "yes"; addCalls(inner, { ...wanted, round, agent: group.agent }).catch(lost); } };
      inner.addEventListener("toggle", fill);
      fill();
      node.append(inner);
    }
    return node;
  });
  byId("tree").replaceChildren(...(nodes.length ? nodes : [element("p", "no such call", { class: "soft" })]));
}

function branch(key, name, groups, open) {
  const node = element("details", undefined, open ? { open: "" } : {});
  node.dataset.key = key;
  const sum = (field) => groups.reduce((total, group) => total + (group[field] || 0), 0);
  const known = groups.every((group) => group.cost !== null);
  const parts = [`${whole(sum("calls"))} calls`, sum("failed") ? `${whole(sum("failed"))} failed` : "", sum("cached") ? `${whole(sum("cached"))} cached` : "",
    `${whole(sum("input_tokens") + sum("output_tokens"))} tokens`, dollars(known ? sum("cost") : null), `${sum("seconds").toFixed(0)} s`];
  const head = element("summary");
  head.append(element("b", name), " ", element("span", parts.filter(Boolean).join(" · "), { class: "counts" }));
  node.append(head);
  return node;
}

async function addCalls(node, wanted, after = -1) {
  const found = await ask("calls", { ...wanted, after });
  for (const call of found.calls) {
    const line = element("button", undefined, { class: "row line", type: "button" });
    const about = call.about.title || call.about.subject;
    line.append(element("span", call.key.slice(0, 10), { class: "id" }), element("span", call.prompt), element("span", call.status, { class: call.status === "failed" ? "failed-call" : "" }),
      element("span", `${call.seconds.toFixed(1)} s`), element("span", `${about} → ${call.said.replace(/\s+/g, " ").slice(0, 200)}`));
    line.addEventListener("click", () => tellCall(call.key).catch(lost));
    node.append(line);
  }
  if (!found.more) return;
  const more = element("button", "more", { class: "more", type: "button" });
  more.addEventListener("click", () => { more.remove(); addCalls(node, wanted, found.calls.at(-1).number).catch(lost); });
  node.append(more);
}

async function tellCall(key) {
  const story = await ask(`calls/${key}`);
  const { call } = story;
  const parts = [element("h3", `Call ${key.slice(0, 10)}`)];
  const list = element("dl");
  const { messages, schema, ...parameters } = call.request;
  const facts = [["agent", `${call.agent}, ${call.round ? `round ${call.round}` : "seeds"}`], ["about", story.about.title || story.about.subject], ["prompt", call.prompt], ["model", call.model],
    ["status", call.error ? `failed: ${call.error}` : call.finish_reason || "ok"], ["tokens", `${whole(call.input_tokens)} in, ${whole(call.output_tokens)} out`], ["money", dollars(call.cost)],
    ["time", `${call.seconds.toFixed(2)} s${call.reused ? ", from the call cache" : ""}`], ["parameters", JSON.stringify(parameters)]];
  story.attempts.forEach((attempt, i) => facts.push([`request ${i + 1}`, attempt.seconds === null ? "the process ended while it was in flight" : `${attempt.outcome} after ${attempt.seconds.toFixed(2)} s`]));
  for (const [name, value] of facts) list.append(element("dt", name), element("dd", value));
  parts.push(list);
  for (const [role, content] of messages) parts.push(element("h3", role), element("pre", content));
  parts.push(element("h3", "answer"), element("pre", call.response || "(none)"));
  if (schema) parts.push(element("h3", "parsed result"), element("pre", story.result ? JSON.stringify(story.result, null, 2) : `(none: ${story.problem || call.error})`), element("h3", "schema"), element("pre", JSON.stringify(schema, null, 2)));
  tell(...parts);
}

// The page ---------------------------------------------------------------------------------------

const DRAW = { rows: drawRows, "map-view": drawMap, calls: drawCalls };
const draw = () => DRAW[state.view]().catch(lost);

function show(view) {
  state.view = view;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const chosen = tab.getAttribute("aria-controls") === view;
    tab.setAttribute("aria-selected", chosen);
    tab.tabIndex = chosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
  byId("row-filter").hidden = view === "calls";
  return draw();
}

async function main() {
  FATES.forEach((name, i) => byId("row-filter").elements.fate.append(element("option", name, { value: FATE_KEYS[i] })));
  drawHeads();
  const tabs = [...document.querySelectorAll("[role=tab]")];
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => show(tab.getAttribute("aria-controls")));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) { const next = tabs[(i + step + tabs.length) % tabs.length]; next.focus(); next.click(); }
    });
  });
  const again = later(() => { state.offset = 0; draw(); });
  byId("row-filter").addEventListener("input", again);
  byId("call-filter").addEventListener("input", later(draw));
  document.querySelectorAll("form").forEach((form) => form.addEventListener("submit", (event) => event.preventDefault()));
  byId("before").addEventListener("click", () => { state.offset = Math.max(0, state.offset - PAGE); draw(); });
  byId("after").addEventListener("click", () => { state.offset += PAGE; draw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  await lookAtRun();
  await draw();
  document.documentElement.dataset.ready = "yes";
}

main().catch(lost);
