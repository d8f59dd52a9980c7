// The page of `cards-edge serve`: takes a photograph, sends it to the device, shows the answer.
// Nothing is asked of another server, and texts are set as text, never as HTML.
"use strict";

const LONGEST_SIDE = 1920;
const byId = (id) => document.getElementById(id);
const [video, file, start, shoot, stop] = ["video", "file", "start", "shoot", "stop"].map(byId);

// The token stands after #, which browsers do not send; it is kept for this tab.
const given = /^#token=([\w.~-]+)$/.exec(location.hash);
if (given) {
  sessionStorage.setItem("token", given[1]);
  history.replaceState(null, "", location.pathname);
}

function headers() {
  const token = sessionStorage.getItem("token");
  return { "X-Cards-Edge": "1", ...(token && { Authorization: `Bearer ${token}` }) };
}

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: headers(), cache: "no-store" });
  } catch {
    throw new Error("The device does not answer. Is it on, and in the same network?");
  }
  const document = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(document.error || `The device answered ${response.status}.`);
  return document;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function say(text, isError = false) {
  const state = byId("state");
  state.textContent = text;
  state.className = isError ? "error" : "";
}

const percent = (value) => value.toFixed(3);

function cardView(card) {
  const view = element("article", undefined, card.card_id ? "known" : "unknown");
  const picture = element("img");
  picture.src = card.picture;
  picture.alt = "The card as the device saw it, straightened";
  const title = element("h3", card.card_id || "Unknown card");
  const verdict = card.card_id
    ? (card.level === "artwork" ? "Known artwork; the printing is not certain" : "Known card")
    : "No card of this release is similar enough";
  const figures = element("p", `Similarity ${percent(card.similarity)}; accepted from ${percent(card.threshold)}`);
  const table = element("table", undefined, "compared");
  table.append(element("caption", card.card_id ? "Nearest cards" : "Nearest cards, none near enough"));
  const head = element("tr");
  for (const text of ["Card", "Similarity"]) {
    const cell = element("th", text);
    cell.scope = "col";
    head.append(cell);
  }
  const body = element("tbody");
  for (const candidate of card.candidates) {
    const row = element("tr");
    row.append(element("td", candidate.card_id), element("td", percent(candidate.similarity)));
    body.append(row);
  }
  const top = element("thead");
  top.append(head);
  table.append(top, body);
  view.append(picture, title, element("p", verdict, "verdict"), figures, table);
  return view;
}

function show(answer) {
  const cards = byId("cards");
  cards.replaceChildren(...answer.cards.map(cardView));
  const known = answer.cards.filter((card) => card.card_id).map((card) => card.card_id);
  const unknown = answer.cards.length - known.length;
  let text = "No card was found in the photograph. Are all four edges visible?";
  if (answer.cards.length) {
    text = known.length ? `Found: ${known.join(", ")}.` : "";
    if (unknown) text += ` ${unknown === 1 ? "One card is" : `${unknown} cards are`} unknown.`;
    text += ` Compared with ${answer.compared_with.toLocaleString("en")} cards.`;
  }
  say(text.trim());
  byId("answer").focus();
}

async function send(photograph) {
  for (const button of [shoot, file]) button.disabled = true;
  byId("cards").replaceChildren();
  say("Looking for the card …");
  try {
    show(await ask("recognise", { method: "POST", body: photograph }));
  } catch (error) {
    say(error.message, true);
  } finally {
    for (const button of [shoot, file]) button.disabled = false;
  }
}

// Smaller before it is sent: the device needs no more, and a shop's network is slow.
function shrunk(source, width, height) {
  const scale = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
}

file.addEventListener("change", async () => {
  const chosen = file.files[0];
  if (!chosen) return;
  let photograph = chosen;
  try {
    const image = await createImageBitmap(chosen, { imageOrientation: "from-image" });
    photograph = (await shrunk(image, image.width, image.height)) || chosen;
  } catch { /* The device reads formats that the browser does not, or says why not. */ }
  await send(photograph);
  file.value = "";
});

start.addEventListener("click", async () => {
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1920 }, height: { ideal: 1080 } },
    });
    await video.play();
  } catch (error) {
    say(`The camera cannot be used (${error.name}). Choose a photograph instead.`, true);
    return;
  }
  byId("viewfinder").hidden = shoot.hidden = stop.hidden = false;
  start.hidden = true;
  shoot.focus();
});

shoot.addEventListener("click", async () => {
  await send(await shrunk(video, video.videoWidth, video.videoHeight));
});

stop.addEventListener("click", () => {
  for (const track of video.srcObject.getTracks()) track.stop();
  byId("viewfinder").hidden = shoot.hidden = stop.hidden = true;
  start.hidden = false;
  start.focus();
});

async function showRelease() {
  const line = byId("release");
  try {
    const status = await ask("status");
    line.textContent = `Release ${status.release}. ${status.freshness}`;
  } catch (error) {
    line.textContent = error.message;
    line.className = "error";
  }
}

if (navigator.mediaDevices && navigator.mediaDevices.getUserMedia) start.hidden = false;
else byId("insecure").hidden = false;
showRelease();
