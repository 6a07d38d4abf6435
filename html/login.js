// Opens a single-use link, authenticates with StackStorm, and asks the user to confirm which chat account acts as the
// StackStorm account. The link is in the fragment of the URL, which is not sent to servers and proxies; the script removes
// it from the address bar and the history first.
"use strict";

const link = location.hash.slice(1);
history.replaceState(null, "", location.pathname + location.search);

const form = document.getElementById("login");
const opening = document.getElementById("opening");
const submit = document.getElementById("submit");
const error = document.getElementById("error");
const limits = document.getElementById("limits");
const confirmation = document.getElementById("confirm");
const agree = document.getElementById("agree");
const decline = document.getElementById("decline");
const ways = ["password", "token", "api_key"];
const fields = { password: ["username", "password"], token: ["token"], api_key: ["api_key"] };

let page = null;
let proven = null;
let deadline = 0;
let timer = 0;

function field(name) {
  return document.getElementById(name);
}

async function ask(path, body, headers) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      referrerPolicy: "no-referrer",
    });
  } catch {
    return { outcome: "unreachable", message: "The bot cannot be reached. Check your connection and try again." };
  }
  try {
    return await response.json();
  } catch {
    return { outcome: "failed", message: `The bot sent an invalid response (status ${response.status}). Try again.` };
  }
}

// Shows the outcome of the login and removes the form with its contents.
function end(isGood, title, text) {
  clearInterval(timer);
  opening.hidden = true;
  form.reset();
  form.remove();
  confirmation.remove();
  limits.remove();
  const outcome = document.getElementById("outcome");
  outcome.classList.add(isGood ? "good" : "bad");
  document.getElementById("outcome-title").textContent = title;
  document.getElementById("outcome-text").textContent = text;
  document.title = `${title} · Petrel`;
  outcome.hidden = false;
  outcome.focus();
}

function complain(text, name) {
  error.textContent = text;
  error.hidden = false;
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  if (!name) return;
  field(name).setAttribute("aria-invalid", "true");
  field(name).focus();
}

function showLimits() {
  const seconds = Math.round((deadline - Date.now()) / 1000);
  if (seconds <= 0) {
    end(false, "This link has expired", "Request a new link from the bot in a direct chat.");
    return;
  }
  const time = seconds > 60 ? `${Math.ceil(seconds / 60)} minutes` : `${seconds} seconds`;
  const tries = page.tries_left === 1 ? "one attempt" : `${page.tries_left} attempts`;
  limits.textContent = proven ? `${time} left.` : `${time} and ${tries} left.`;
}

function chooseWay(chosen) {
  error.hidden = true;
  for (const way of ways) field(`way-${way}`).hidden = way !== chosen;
}

async function open() {
  opening.hidden = false;
  const answer = await ask("login/open", { link });
  if (answer.outcome !== "opened") {
    const isOver = answer.outcome === "ended";
    const hint = isOver ? "" : " Open the link from the chat again; if it has already been used, request a new one from the bot.";
    end(false, isOver ? "This link cannot be used" : "The page could not be opened", answer.message + hint);
    return;
  }
  page = answer;
  deadline = Date.now() + answer.seconds_left * 1000;
  field("who").textContent = answer.person;
  opening.hidden = true;
  form.hidden = false;
  showLimits();
  timer = setInterval(showLimits, 1000);
  field("word").focus();
}

// Ends the page if the link has ended or was opened by another browser. Returns true if it did.
function isOver(answer) {
  if (answer.outcome !== "ended" && answer.outcome !== "foreign") return false;
  end(false, "This link cannot be used", answer.message);
  return true;
}

function firstEmpty(way) {
  return ["word", ...fields[way]].find((name) => field(name).value === "");
}

async function send(event) {
  event.preventDefault();
  if (submit.disabled) return;
  const way = form.elements.way.value;
  const empty = firstEmpty(way);
  if (empty) {
    complain(`${form.querySelector(`label[for="${empty}"]`).textContent} is required.`, empty);
    return;
  }
  error.hidden = true;
  submit.disabled = true;
  submit.textContent = "Contacting StackStorm …";
  const body = { page: page.page, word: field("word").value };
  for (const name of fields[way]) body[name] = field(name).value;
  const answer = await ask("login/authenticate", body, { "X-Petrel-Token": page.token });
  submit.disabled = false;
  submit.textContent = "Continue";
  if (isOver(answer)) return;
  switch (answer.outcome) {
    case "proven":
      showConfirmation(answer);
      break;
    default:
      if (typeof answer.tries_left === "number") page.tries_left = answer.tries_left;
      showLimits();
      complain(answer.message, answer.field);
  }
}

// Shows both accounts and asks for confirmation. The login has not begun yet; the form is cleared.
function showConfirmation(answer) {
  proven = answer;
  form.reset();
  form.hidden = true;
  field("confirm-person").textContent = answer.person;
  field("confirm-account").textContent = answer.account;
  showLimits();
  confirmation.hidden = false;
  confirmation.focus();
}

async function confirmLogin(agrees) {
  if (agree.disabled) return;
  const complaint = field("confirm-error");
  complaint.hidden = true;
  agree.disabled = true;
  decline.disabled = true;
  const body = { page: page.page, account: proven.account, agrees };
  const answer = await ask("login/confirm", body, { "X-Petrel-Token": page.token });
  agree.disabled = false;
  decline.disabled = false;
  if (isOver(answer)) return;
  switch (answer.outcome) {
    case "accepted":
      end(true, "You are logged in", answer.message);
      break;
    case "declined":
      end(false, "This login is cancelled", answer.message);
      break;
    default:
      complaint.textContent = answer.message;
      complaint.hidden = false;
  }
}

// The user pasted another link into the same tab.
addEventListener("hashchange", () => location.reload());
for (const radio of form.elements.way) radio.addEventListener("change", () => chooseWay(radio.value));
form.addEventListener("submit", send);
agree.addEventListener("click", () => confirmLogin(true));
decline.addEventListener("click", () => confirmLogin(false));
// The browser may have restored another choice after a reload.
chooseWay(form.elements.way.value);

if (link === "") {
  end(false, "No login link", "This page was opened without a link, or it was reloaded. Request a new link from the bot in a direct chat.");
} else {
  open();
}
