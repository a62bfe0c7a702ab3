// The page's own behavior: theme, keyboard, the editor's citations, copying, the late policy answer.
// Everything else is HTML and htmx. No framework, no build.
"use strict";

const byId = (id) => document.getElementById(id);
const say = (text) => { byId("said").textContent = text; };

// Theme

function switchTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const next = (document.documentElement.dataset.theme || system) === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try { localStorage.setItem("theme", next); } catch { /* it holds until the page is left */ }
}

// Editor: a quotation that was changed is no quotation any more

function watchEditor(editor) {
  const originals = new Map([...editor.querySelectorAll(".cited")].map((span) => [span, span.textContent]));
  const count = () => {
    const intact = [...originals.keys()].filter((span) => span.isConnected && span.dataset.source).length;
    const total = originals.size;
    byId("quotes").textContent = total ? `${intact} of ${total} quotations intact` : "";
  };
  editor.addEventListener("input", () => {
    for (const [span, text] of originals) {
      const isIntact = span.isConnected && span.textContent === text;
      if (isIntact) span.dataset.source = span.dataset.number; else delete span.dataset.source;
    }
    count();
  });
  for (const span of originals.keys()) span.dataset.number = span.dataset.source;
  count();
}

async function copyDraft() {
  const editor = byId("editor");
  if (!editor) return;
  const button = byId("copy");
  try {
    await navigator.clipboard.writeText(editor.textContent);
  } catch {
    // no clipboard permission, or not a secure context: select and copy as a person would
    const selection = getSelection();
    selection.selectAllChildren(editor);
    document.execCommand("copy");
    selection.removeAllRanges();
  }
  button.dataset.done = "true";
  setTimeout(() => delete button.dataset.done, 1600);
  say("Draft copied");
}

// The late policy answer: one server-sent event says that it is there, then its block is fetched

let events = null;

function watchPolicy(work) {
  events?.close();
  events = null;
  if (!work?.dataset.events) return;
  events = new EventSource(work.dataset.events);
  events.addEventListener("policy", () => {
    events.close();
    htmx.ajax("GET", work.dataset.policy, { target: "#policy", swap: "innerHTML" });
  });
}

function announcePolicy() {
  const block = document.querySelector("#policy .policy");
  if (block && block.dataset.status !== "pending") say(`Policy: ${block.querySelector(".verdict").textContent}`);
}

function takeIn() {
  const editor = byId("editor");
  if (editor) watchEditor(editor);
  watchPolicy(document.querySelector(".work"));
}

new MutationObserver((changes) => {
  if (changes.some((change) => change.target === byId("desk"))) takeIn();
  if (changes.some((change) => change.target === byId("policy"))) announcePolicy();
}).observe(byId("desk"), { childList: true, subtree: true });

// Inbox

function markPicked(button) {
  for (const other of document.querySelectorAll(".ticket[aria-current]")) other.removeAttribute("aria-current");
  button.setAttribute("aria-current", "true");
}

function moveFocus(step) {
  const tickets = [...document.querySelectorAll(".ticket")];
  if (!tickets.length) return;
  const at = tickets.indexOf(document.activeElement);
  const from = at >= 0 ? at : tickets.findIndex((ticket) => ticket.hasAttribute("aria-current"));
  tickets[Math.min(Math.max(from + step, 0), tickets.length - 1)].focus();
}

function openPaste() {
  const details = document.querySelector(".paste details");
  details.open = true;
  details.querySelector("textarea").focus();
}

function closePaste(details) {
  details.open = false;
  details.querySelector("summary").focus();
}

// Keyboard

const KEYS = {
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  n: openPaste,
  c: copyDraft,
  e: () => byId("editor")?.focus(),
  s: () => document.querySelector(".source button")?.focus(),
  t: switchTheme,
  "?": () => byId("keymap").showModal(),
};

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.key === "Escape" && target.id === "editor") { byId("copy").focus(); return; }
  const paste = target.closest(".paste details");
  if (event.key === "Escape" && paste) { closePaste(paste); return; }
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && paste) {
    event.preventDefault();
    paste.querySelector("form").requestSubmit();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, [contenteditable], dialog")) return;
  const action = KEYS[event.key];
  if (action) { event.preventDefault(); action(); }
});

document.addEventListener("click", (event) => {
  const target = event.target.closest("button, .cited");
  if (!target) return;
  if (target.id === "theme") switchTheme();
  else if (target.id === "keys") byId("keymap").showModal();
  else if (target.id === "copy") copyDraft();
  else if (target.matches(".ticket")) markPicked(target);
  else if (target.dataset.opens) byId(target.dataset.opens).showModal();
  else if ("closes" in target.dataset) target.closest("dialog").close();
});

takeIn();
