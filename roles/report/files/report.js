// SPDX-FileCopyrightText: The vfio.variants authors
// SPDX-License-Identifier: GPL-3.0-or-later
// Everything is in the page without this script; it sorts, filters, and shows one kernel and one reason at a time.
"use strict";

const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));

// -- kernels as tabs: https://www.w3.org/WAI/ARIA/apg/patterns/tabs/

const panelsOf = (tab) => tab.getAttribute("aria-controls").split(" ").map((id) => document.getElementById(id));

function choose(tab, focus) {
  for (const other of all("[role=tab]")) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", String(chosen));
    other.tabIndex = chosen ? 0 : -1;
    for (const panel of panelsOf(other)) panel.hidden = !chosen;
  }
  if (focus) tab.focus();
}

function startTabs() {
  const tabs = all("[role=tab]");
  if (!tabs.length) return;
  tabs[0].parentElement.hidden = false;
  tabs.forEach((tab, place) => {
    tab.addEventListener("click", () => choose(tab, true));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const end = { Home: 0, End: tabs.length - 1 }[event.key];
      if (step === undefined && end === undefined) return;
      event.preventDefault();
      choose(tabs[end === undefined ? (place + step + tabs.length) % tabs.length : end], true);
    });
  });
  choose(tabs[0], false);
}

// -- the deciding event of a device

function show(reason) {
  const panel = reason.closest("[role=tabpanel]");
  choose(all("[role=tab]").find((tab) => panelsOf(tab).includes(panel)), false);
  for (const other of all(".reason", panel)) other.hidden = other !== reason;
  all(".hint", panel).forEach((hint) => { hint.hidden = true; });
  reason.focus({ preventScroll: true });
  reason.scrollIntoView({ block: "nearest" });
}

function startReasons() {
  for (const reason of all(".reason")) reason.hidden = true;
  all(".hint").forEach((hint) => { hint.hidden = false; });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    const target = link && (link.getAttribute("href") || "").startsWith("#") && document.getElementById(link.getAttribute("href").slice(1));
    if (!target || !target.classList.contains("reason")) return;
    event.preventDefault();
    show(target);
  });
  const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named && named.classList.contains("reason")) show(named);
}

// -- the table of a fleet

function startFleet() {
  const table = document.getElementById("fleet");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
  const search = document.getElementById("search");
  const said = document.getElementById("said");
  const states = all("[data-state]", document.getElementById("states"));

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = states.filter((button) => button.getAttribute("aria-pressed") === "true").map((button) => button.dataset.state);
    let shown = 0;
    for (const row of rows) {
      const fits = (!wanted.length || wanted.includes(row.dataset.state)) && words.every((word) => texts.get(row).includes(word));
      row.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    said.textContent = `${shown} of ${rows.length} hosts`;
  }

  function sort(header, column) {
    const descending = header.getAttribute("aria-sort") === "ascending";
    all("th", table.tHead).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const numeric = header.dataset.kind === "number";
    const collator = new Intl.Collator("en", { numeric: true });
    const keys = new Map(rows.map((row) => [row, row.cells[column].dataset.key || row.cells[column].textContent.trim()]));
    const compare = (one, other) => (numeric ? Number(keys.get(one)) - Number(keys.get(other)) : collator.compare(keys.get(one), keys.get(other)));
    rows.sort((one, other) => (descending ? compare(other, one) : compare(one, other)));
    body.append(...rows);
  }

  all("th", table.tHead).forEach((header, column) => {
    const button = header.querySelector("button");
    if (button) button.addEventListener("click", () => sort(header, column));
  });
  for (const button of states) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      filter();
    });
  }
  search.addEventListener("input", filter);
  document.querySelector(".tools").hidden = false;
  filter();
}

startTabs();
startReasons();
startFleet();
