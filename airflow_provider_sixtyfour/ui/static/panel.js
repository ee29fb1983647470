/*
 * The tab "Sixtyfour" of a Dag run: its runs while they are under way, and what they brought.
 *
 * One module without a build step. React is Airflow's own (globalThis.React, since 3.1), colours are its CSS variables.
 * What comes from an XCom is shown as text alone: it is only ever a child of an element, and a link only if it begins
 * with http:// or https://.
 */
const { createElement: h, useEffect, useMemo, useState } = globalThis.React;

const API = new URL("../", import.meta.url); // the plugin's own address, whatever path Airflow is served under
const POLL_SECONDS = 5;
const PAGE_SIZE = 100; // rows that are shown at once
const SHOWN_COLUMNS = 40; // of the results

const CSS = `
.s64 { padding: 12px; color: var(--chakra-colors-fg, inherit); font-size: 14px; line-height: 1.4; }
.s64 h3 { font-size: 15px; font-weight: 600; margin: 16px 0 6px; }
.s64 table { border-collapse: collapse; width: 100%; }
.s64 th, .s64 td { padding: 5px 10px; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--chakra-colors-border, #8884); }
.s64 th button { font: inherit; font-weight: 600; cursor: pointer; background: none; border: 0; color: inherit; padding: 0; }
.s64 .num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.s64 .wide { overflow-x: auto; }
.s64 .muted { color: var(--chakra-colors-fg-muted, #777); }
.s64 .error { color: var(--chakra-colors-fg-error, #c53030); white-space: pre-wrap; overflow-wrap: anywhere; }
.s64 .numbers { display: flex; flex-wrap: wrap; gap: 6px 28px; margin: 8px 0; padding: 0; }
.s64 .numbers div { display: flex; flex-direction: column; }
.s64 .numbers dd { margin: 0; font-size: 18px; font-variant-numeric: tabular-nums; }
.s64 .bar { display: flex; height: 10px; min-width: 120px; border-radius: 5px; overflow: hidden;
  background: var(--chakra-colors-bg-emphasized, #8883); }
.s64 .bar span { display: block; height: 100%; }
.s64 .legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 6px 0; padding: 0; list-style: none; }
.s64 .legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 6px; }
.s64 .tools { display: flex; flex-wrap: wrap; gap: 8px 16px; margin: 10px 0; align-items: center; }
.s64 input, .s64 select, .s64 .tools button { font: inherit; color: inherit; padding: 3px 8px; border-radius: 5px;
  border: 1px solid var(--chakra-colors-border, #8886); background: var(--chakra-colors-bg, transparent); }
.s64 .open { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align: left; }
.s64 a { text-decoration: underline; }
.s64 code { font-size: 12px; overflow-wrap: anywhere; }
.s64 :focus-visible { outline: 2px solid var(--chakra-colors-brand-solid, #3b6cf6); outline-offset: 2px; }
`;

// In the order in which they are shown: failures first.
const KINDS = [
  { kind: "failed", palette: "red", fallback: "#d64545" },
  { kind: "running", palette: "blue", fallback: "#3b82f6" },
  { kind: "waiting", palette: "gray", fallback: "#9aa1ac" },
  { kind: "skipped", palette: "pink", fallback: "#c77bb0" },
  { kind: "done", palette: "green", fallback: "#2f9e5b" },
];
const ORDER = KINDS.map(({ kind }) => kind);
const colors = (shade) => Object.fromEntries(KINDS.map(({ kind, palette, fallback }) => [kind, `var(--chakra-colors-${palette}-${shade}, ${fallback})`]));
const COLOR = colors("solid");
const TEXT_COLOR = colors("fg"); // which can be read on the page, light or dark
const KIND_OF = {
  success: "done",
  failed: "failed",
  upstream_failed: "failed",
  skipped: "skipped",
  removed: "skipped",
  running: "running",
  deferred: "running",
};
const kindOf = (run) => KIND_OF[run.state] ?? "waiting";

const count = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const amount = new Intl.NumberFormat(undefined, { maximumFractionDigits: 2 });
const share = new Intl.NumberFormat(undefined, { style: "percent", maximumFractionDigits: 1 });
const isNumber = (value) => typeof value === "number";
const shownCount = (value) => (isNumber(value) ? count.format(value) : "–");
const shownAmount = (value) => (isNumber(value) ? amount.format(value) : "–");

function shownBytes(value) {
  if (!isNumber(value)) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit += 1) value /= 1000;
  return `${amount.format(Number(value.toPrecision(3)))} ${units[unit]}`;
}

function shownDuration(seconds) {
  if (!isNumber(seconds) || seconds < 0) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

const time = (text) => (text ? Date.parse(text) / 1000 : null);
const durationOf = (run, now) => (run.started_at ? (time(run.ended_at) ?? now) - time(run.started_at) : null);
const percentOf = (run) => (kindOf(run) === "done" ? 100 : (run.percent ?? 0));
const nameOf = (run) => (run.label ? `${run.task_id} [${run.label}]` : run.map_index >= 0 ? `${run.task_id} [${run.map_index}]` : run.task_id);
const keyOf = (run) => `${run.task_id}/${run.map_index}`;
/** Whether a text is an address that leads somewhere else: where the vendor has no page of a run, its link is this page. */
const isLink = (value) => typeof value === "string" && /^https?:\/\//i.test(value) && !value.startsWith(`${location.origin}/`);
/** Add up a number of each run, once for a run that several tasks have: the pilot's is that of the first batch, too. */
function sumOf(runs, name) {
  const known = new Map(runs.filter((run) => isNumber(run[name])).map((run) => [run.job_id ?? keyOf(run), run[name]]));
  return known.size ? [...known.values()].reduce((total, value) => total + value, 0) : null;
}

async function fetchJson(path, params) {
  const url = new URL(path, API);
  for (const [name, value] of Object.entries(params)) if (value !== undefined) url.searchParams.set(name, value);
  const response = await fetch(url, { credentials: "same-origin" });
  if (response.status === 401) throw new Error("You are not logged in: reload the page.");
  if (response.status === 403) throw new Error("You may not read the tasks and XComs of this Dag.");
  if (!response.ok) throw new Error(`Airflow answered ${response.status}. Trying again.`);
  return response.json();
}

/** Ask until the Dag run rests; after an error, wait three times as long. */
function usePolled(path, params) {
  const [state, setState] = useState({ data: null, error: null });
  const key = JSON.stringify(params);
  useEffect(() => {
    let timer;
    let gone = false;
    const ask = async () => {
      let pause = POLL_SECONDS;
      try {
        const data = await fetchJson(path, params);
        if (gone) return;
        setState({ data, error: null });
        if (["success", "failed"].includes(data.state)) return;
      } catch (error) {
        if (gone) return;
        setState((old) => ({ ...old, error: String(error.message ?? error) }));
        pause *= 3;
      }
      timer = setTimeout(ask, pause * 1000);
    };
    ask();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [path, key]);
  return state;
}

function Bar({ parts, label }) {
  const percent = Math.round(parts.reduce((total, { size }) => total + size, 0));
  return h(
    "div",
    { className: "bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": percent },
    parts.filter(({ size }) => size > 0).map(({ kind, size }) => h("span", { key: kind, style: { width: `${size}%`, background: COLOR[kind] } })),
  );
}

function Numbers({ pairs }) {
  return h(
    "dl",
    { className: "numbers" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "–")
      .map(([name, value]) => h("div", { key: name }, h("dt", { className: "muted" }, name), h("dd", null, value))),
  );
}

/** Seconds until all is done, if the rest goes on as it has so far; null if nobody can say. */
function secondsLeft(data, runs) {
  const started = time(data.started_at);
  const hasEnded = (run) => ["done", "failed", "skipped"].includes(kindOf(run));
  const percents = runs.map((run) => (hasEnded(run) ? 100 : percentOf(run)));
  const progress = runs.length ? percents.reduce((total, each) => total + each, 0) / (100 * runs.length) : 0;
  const isResting = data.state === "success" || data.state === "failed";
  if (isResting || !started || progress <= 0.02 || progress >= 1) return null;
  return ((time(data.now) - started) * (1 - progress)) / progress;
}

function Summary({ data, runs }) {
  const counts = Object.fromEntries(ORDER.map((kind) => [kind, 0]));
  for (const run of runs) counts[kindOf(run)] += 1;
  const size = (kind) => (runs.length ? (100 * counts[kind]) / runs.length : 0);
  const { estimate, budget, collect, approval } = data;
  const now = time(data.now);
  const credits = collect?.credits ?? sumOf(runs, "credits");
  const rowsIn = collect?.rows_sent ?? sumOf(runs, "rows_in");
  const rowsOut = collect?.rows ?? sumOf(runs, "rows_out");
  const left = secondsLeft(data, runs);
  return h(
    "section",
    { "aria-label": "Summary" },
    h(Bar, { label: "Runs that have ended", parts: ["done", "failed", "skipped", "running"].map((kind) => ({ kind, size: size(kind) })) }),
    h(
      "ul",
      { className: "legend", "aria-live": "polite" },
      ORDER.filter((kind) => counts[kind] > 0).map((kind) =>
        h("li", { key: kind, "data-kind": kind }, h("i", { style: { background: COLOR[kind] }, "aria-hidden": true }), `${count.format(counts[kind])} ${kind}`),
      ),
    ),
    h(Numbers, {
      pairs: [
        ["Rows in", shownCount(rowsIn)],
        ["Rows out", shownCount(rowsOut)],
        ["Credits so far", shownAmount(credits)],
        ["Estimated", estimate && isNumber(estimate.cost) ? `${shownAmount(estimate.cost + (estimate.spent ?? 0))} ${estimate.metric ?? ""}` : null],
        ["Limit", budget && isNumber(budget.limit) ? shownAmount(budget.limit) : null],
        ["Time", data.started_at ? shownDuration((time(data.ended_at) ?? now) - time(data.started_at)) : null],
        ["Left, about", left === null ? null : shownDuration(left)],
      ],
    }),
    budget?.batches_left_out > 0 &&
      h("p", { className: "error" }, `${budget.limited_by ?? "The limit"} leaves out ${shownCount(budget.batches_left_out)} batches with ${shownCount(budget.rows_left_out)} rows.`),
    approval?.asked &&
      h("p", null, `${approval.approved ? "Approved" : "Rejected"} by ${approval.by ?? "nobody in time"}: ${shownCount(approval.rows)} rows for ${isNumber(approval.cost) ? `about ${shownAmount(approval.cost)} ${approval.metric ?? ""}` : "an unknown cost"}.`),
  );
}

function Quality({ columns, title }) {
  if (!columns?.length) return null;
  return h(
    "section",
    { "aria-label": title },
    h("h3", null, title),
    h(
      "table",
      { style: { maxWidth: 720 } },
      h("thead", null, h("tr", null, ["Column", "Filled", "", "Of"].map((name, at) => h("th", { key: at, scope: "col", className: at === 1 || at === 3 ? "num" : "" }, name)))),
      h(
        "tbody",
        null,
        columns.slice(0, SHOWN_COLUMNS).map(({ name, filled, empty }) => {
          const part = filled + empty > 0 ? filled / (filled + empty) : 0;
          return h(
            "tr",
            { key: name },
            h("td", null, name),
            h("td", { className: "num" }, share.format(part)),
            h("td", { style: { width: "50%" } }, h(Bar, { label: `${name}: filled`, parts: [{ kind: "done", size: 100 * part }] })),
            h("td", { className: "num" }, shownCount(filled + empty)),
          );
        }),
      ),
    ),
    columns.length > SHOWN_COLUMNS && h("p", { className: "muted" }, `${count.format(columns.length - SHOWN_COLUMNS)} more columns.`),
  );
}

function Files({ files }) {
  if (!files?.length) return null;
  return h(
    "div",
    { className: "wide" },
    h("h3", null, "Files"),
    h(
      "table",
      null,
      h("thead", null, h("tr", null, ["Path", "Rows", "Size", "SHA-256"].map((name) => h("th", { key: name, scope: "col" }, name)))),
      h(
        "tbody",
        null,
        files.map((file, at) =>
          h("tr", { key: at }, h("td", null, h("code", null, file.path ?? "–")), h("td", { className: "num" }, shownCount(file.rows)), h("td", { className: "num" }, shownBytes(file.bytes)), h("td", null, h("code", null, file.sha256 ?? "–"))),
        ),
      ),
    ),
  );
}

/** The blocks of a run that has not completed, as they were published last. */
function Blocks({ blocks, run }) {
  if (!blocks?.length || run.state === "success") return null;
  const kind = (status) => (status === "completed" ? "done" : status === "running" ? "running" : status === "failed" ? "failed" : "waiting");
  return h(
    "div",
    null,
    h("h3", null, "Blocks"),
    h(
      "table",
      { style: { maxWidth: 720 } },
      h(
        "tbody",
        null,
        blocks.map((block, at) =>
          h(
            "tr",
            { key: at },
            h("td", { className: "num" }, block.number ?? ""),
            h("td", null, block.name ?? "–"),
            h("td", { style: { color: TEXT_COLOR[kind(block.status)] } }, block.status ?? "–"),
            h("td", { className: "num" }, isNumber(block.total) ? `${shownCount(block.processed ?? 0)} of ${shownCount(block.total)} rows` : ""),
            h("td", { className: "error" }, block.error ?? ""),
          ),
        ),
      ),
    ),
  );
}

function Details({ dagId, runId, run }) {
  const [state, setState] = useState({ data: null, error: null });
  useEffect(() => {
    let gone = false;
    fetchJson(`dags/${encodeURIComponent(dagId)}/details`, { run_id: runId, task_id: run.task_id, map_index: run.map_index })
      .then((data) => !gone && setState({ data, error: null }))
      .catch((error) => !gone && setState({ data: null, error: String(error.message ?? error) }));
    return () => {
      gone = true;
    };
  }, [dagId, runId, run.task_id, run.map_index, run.state, run.percent]);
  if (state.error) return h("p", { className: "error", role: "alert" }, state.error);
  if (!state.data) return h("p", { className: "muted" }, "Loading.");
  const { blocks, files, quality, error, manifest } = state.data;
  const isEmpty = !blocks.length && !files.length && !quality.length && !error;
  return h(
    "div",
    null,
    error && !run.error && run.state !== "success" && h("p", { className: "error" }, error), // else its row shows it
    h(Blocks, { blocks, run }),
    h(Files, { files }),
    manifest && h("p", { className: "muted" }, "Manifest: ", h("code", null, manifest)),
    h(Quality, { columns: quality, title: "Values that are filled" }),
    isEmpty && h("p", { className: "muted" }, "Nothing is known of this run yet."),
  );
}

const COLUMNS = [
  { name: "Task", value: nameOf },
  { name: "State", value: (run) => ORDER.indexOf(kindOf(run)) },
  { name: "Progress", value: percentOf },
  { name: "Block", value: (run) => run.block ?? "" },
  { name: "Rows", value: (run) => run.rows_out ?? run.processed ?? -1, isNumber: true },
  { name: "Credits", value: (run) => run.credits ?? -1, isNumber: true },
  { name: "Duration", value: (run, now) => durationOf(run, now) ?? -1, isNumber: true },
  { name: "Run" },
  { name: "Files", value: (run) => run.files, isNumber: true },
];
const compare = (one, other) => (typeof one === "number" ? one - other : one.localeCompare(other, undefined, { numeric: true }));

function Row({ run, now, isOpen, toggle }) {
  const kind = kindOf(run);
  const rows = isNumber(run.rows_out) ? shownCount(run.rows_out) : isNumber(run.total) ? `${shownCount(run.processed ?? 0)} of ${shownCount(run.total)}` : "–";
  const percent = percentOf(run);
  return h(
    "tr",
    { "data-run": keyOf(run), "data-kind": kind },
    h(
      "td",
      null,
      h("button", { className: "open", type: "button", "aria-expanded": isOpen, onClick: toggle }, `${isOpen ? "▾" : "▸"} ${nameOf(run)}`),
      run.error && h("div", { className: "error" }, run.error),
    ),
    h("td", { style: { color: TEXT_COLOR[kind] } }, run.state ?? "not started"),
    h("td", null, h(Bar, { label: `Progress of ${nameOf(run)}`, parts: [{ kind: kind === "waiting" ? "running" : kind, size: percent }] }), h("span", { className: "muted" }, `${Math.round(percent)} %`)),
    h("td", null, kind === "done" ? "" : (run.block ?? "")),
    h("td", { className: "num" }, rows),
    h("td", { className: "num" }, shownAmount(run.credits)),
    h("td", { className: "num" }, shownDuration(durationOf(run, now))),
    h("td", null, isLink(run.link) ? h("a", { href: run.link, target: "_blank", rel: "noopener noreferrer" }, (run.job_id ?? "run").slice(0, 8)) : (run.job_id ?? "").slice(0, 8)),
    h("td", { className: "num" }, run.files > 0 ? shownCount(run.files) : ""),
  );
}

function Runs({ dagId, runId, runs, now }) {
  const [sort, setSort] = useState({ column: 1, isDown: false });
  const [text, setText] = useState("");
  const [kind, setKind] = useState("");
  const [page, setPage] = useState(0);
  const [open, setOpen] = useState(() => new Set());
  const found = useMemo(() => {
    const words = text.toLowerCase();
    const matches = (run) => !words || [nameOf(run), run.job_id, run.block, run.error].some((value) => value?.toLowerCase().includes(words));
    const { value } = COLUMNS[sort.column];
    return runs
      .filter((run) => (!kind || kindOf(run) === kind) && matches(run))
      .sort((one, other) => (sort.isDown ? -1 : 1) * compare(value(one, now), value(other, now)) || compare(nameOf(one), nameOf(other)));
  }, [runs, text, kind, sort, now]);
  const pages = Math.max(1, Math.ceil(found.length / PAGE_SIZE));
  const at = Math.min(page, pages - 1);
  const toggle = (key) => setOpen((old) => new Set(old.has(key) ? [...old].filter((each) => each !== key) : [...old, key]));
  return h(
    "section",
    { "aria-label": "Runs" },
    h(
      "div",
      { className: "tools" },
      h("label", null, "Search ", h("input", { type: "search", value: text, onChange: (event) => setText(event.target.value) })),
      h(
        "label",
        null,
        "State ",
        h("select", { value: kind, onChange: (event) => setKind(event.target.value) }, h("option", { value: "" }, "all"), ORDER.map((each) => h("option", { key: each, value: each }, each))),
      ),
      h("span", { className: "muted" }, `${count.format(found.length)} of ${count.format(runs.length)}`),
      pages > 1 && h("button", { type: "button", disabled: at === 0, onClick: () => setPage(at - 1) }, "Previous"),
      pages > 1 && h("span", null, `${count.format(at + 1)} / ${count.format(pages)}`),
      pages > 1 && h("button", { type: "button", disabled: at === pages - 1, onClick: () => setPage(at + 1) }, "Next"),
    ),
    h(
      "div",
      { className: "wide" },
      h(
        "table",
        null,
        h(
          "thead",
          null,
          h(
            "tr",
            null,
            COLUMNS.map(({ name, value, isNumber: isRight }, column) =>
              h(
                "th",
                { key: name, scope: "col", className: isRight ? "num" : "", "aria-sort": sort.column === column ? (sort.isDown ? "descending" : "ascending") : undefined },
                value ? h("button", { type: "button", onClick: () => setSort({ column, isDown: sort.column === column && !sort.isDown }) }, name, sort.column === column ? (sort.isDown ? " ↓" : " ↑") : "") : name,
              ),
            ),
          ),
        ),
        h(
          "tbody",
          null,
          found.slice(at * PAGE_SIZE, (at + 1) * PAGE_SIZE).flatMap((run) => {
            const key = keyOf(run);
            const row = h(Row, { key, run, now, isOpen: open.has(key), toggle: () => toggle(key) });
            return open.has(key) ? [row, h("tr", { key: `${key} details` }, h("td", { colSpan: COLUMNS.length }, h(Details, { dagId, runId, run })))] : [row];
          }),
        ),
      ),
    ),
  );
}

function DagRunPanel({ dagId, runId, taskId, mapIndex }) {
  const params = { run_id: runId, task_id: taskId, map_index: mapIndex };
  const { data, error } = usePolled(`dags/${encodeURIComponent(dagId)}/runs`, params);
  const runs = data?.runs ?? [];
  return h(
    "div",
    { className: "s64", "data-loaded": data !== null },
    h("style", null, CSS),
    error && h("p", { className: "error", role: "alert" }, error),
    !data && !error && h("p", { className: "muted" }, "Loading."),
    data && runs.length === 0 && h("p", null, "No task of this Dag run has a Sixtyfour run yet."),
    runs.length > 0 && h(Summary, { data, runs }),
    data?.left_out > 0 && h("p", { className: "muted" }, `${count.format(data.left_out)} more runs are not shown.`),
    runs.length > 0 && h(Runs, { dagId, runId, runs, now: time(data.now) }),
    data?.collect && h(Files, { files: data.collect.files }),
    data?.collect && h(Quality, { columns: data.collect.quality, title: "Values that are filled, all batches" }),
  );
}

function SixtyfourPanel(props) {
  if (!props.dagId || !props.runId) {
    return h("div", { className: "s64" }, h("style", null, CSS), h("p", null, "Open a Dag run to see its Sixtyfour runs."));
  }
  return h(DagRunPanel, props);
}

globalThis.Sixtyfour = SixtyfourPanel; // Airflow takes it by the name of the app; 3.1 by the other one
globalThis.AirflowPlugin = SixtyfourPanel;
