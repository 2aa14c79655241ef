// Posters go to /v1/classify one request at a time; nothing leaves for another host.
const at = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}\u00a0%`;
const FEW = 6; // genres shown at first
const FAINT = 0.1; // log odds; a map that nowhere reaches them stays pale
let queue = Promise.resolve();

async function ask(path, file) {
  const form = new FormData();
  form.append("posters", file, file.name || "pasted");
  let response;
  try {
    response = await fetch(path, { method: "POST", body: form });
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  const told = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(told.detail || `The service answered ${response.status}.`);
  return told;
}

function bars(body, scores, genres, all) {
  const sorted = Object.entries(scores).sort((a, b) => b[1] - a[1]);
  body.replaceChildren(...sorted.slice(0, all ? sorted.length : FEW).map(([genre, score]) => {
    const row = document.createElement("tr");
    row.classList.toggle("likely", genres.includes(genre));
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = genre;
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.value = score;
    bar.setAttribute("aria-hidden", "true");
    const number = document.createElement("span");
    number.className = "percent";
    number.textContent = percent(score);
    const held = document.createElement("div");
    held.className = "row";
    held.append(bar, number);
    const cell = document.createElement("td");
    cell.append(held);
    row.append(head, cell);
    return row;
  }));
}

function paint(canvas, map, genre) {
  const rows = map.length, columns = map[0].length;
  const top = Math.max(...map.flat().map(Math.abs), FAINT);
  const small = document.createElement("canvas");
  [small.width, small.height] = [columns, rows];
  const pen = small.getContext("2d");
  const picture = pen.createImageData(columns, rows);
  map.flat().forEach((value, place) => {
    const colour = value > 0 ? [255, 120, 30] : [40, 130, 255];
    picture.data.set([...colour, 190 * Math.abs(value) / top], 4 * place);
  });
  pen.putImageData(picture, 0, 0);
  [canvas.width, canvas.height] = [40 * columns, 40 * rows];
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
  const place = map.flat().indexOf(Math.max(...map.flat()));
  const third = (part, names) => names[Math.min(2, Math.floor(3 * part))];
  const where = `${third(Math.floor(place / columns) / rows, ["top", "middle", "bottom"])} `
    + third((place % columns) / columns, ["left", "centre", "right"]);
  canvas.setAttribute("aria-label", `Covering the ${where} lowers the chance of ${genre} most.`);
  canvas.hidden = false;
}

function show(file, told) {
  const part = at("answer").content.cloneNode(true);
  const find = (what) => part.querySelector(what);
  const answer = told.answers[0];
  const [image, canvas] = [find("img"), find("canvas")];
  image.src = URL.createObjectURL(file);
  image.alt = `The poster ${file.name || "that was pasted"}`;
  find("h2").textContent = file.name || "Pasted poster";
  const verdict = find(".verdict");
  const likely = document.createElement("b");
  likely.textContent = answer.major;
  if (answer.abstain) verdict.append("Not sure. Perhaps ");
  verdict.append(likely);
  const more = answer.genres.filter((genre) => genre !== answer.major);
  more.sort((a, b) => answer.scores[b] - answer.scores[a]);
  if (more.length && !answer.abstain) verdict.append("also ", more.join(", "));
  const odd = {
    "too small": "The picture is very small.",
    "not poster-shaped": "The picture does not have the shape of a poster.",
  };
  find(".warnings").append(...answer.warnings.map((warning) => {
    const item = document.createElement("li");
    item.textContent = odd[warning] || warning;
    return item;
  }));
  const [body, all, look, pick, select] =
    ["tbody", ".all", ".look", ".pick", "select"].map(find);
  bars(body, answer.scores, answer.genres, false);
  all.setAttribute("aria-expanded", "false");
  all.hidden = Object.keys(answer.scores).length <= FEW;
  all.addEventListener("click", () => {
    const open = all.getAttribute("aria-expanded") === "false";
    all.setAttribute("aria-expanded", String(open));
    all.textContent = open ? "Fewer genres" : "All genres";
    bars(body, answer.scores, answer.genres, open);
  });
  look.addEventListener("click", async () => {
    look.disabled = true;
    at("status").textContent = "Covering the poster part by part …";
    try {
      const { maps } = await ask("/v1/explain", file);
      const sorted = Object.keys(answer.scores).sort((a, b) => answer.scores[b] - answer.scores[a]);
      select.append(...sorted.map((genre) => new Option(genre)));
      select.value = answer.major;
      const change = () => paint(canvas, maps[select.value], select.value);
      select.addEventListener("change", change);
      change();
      pick.hidden = false;
      look.hidden = true;
      select.focus();
      at("status").textContent = "";
    } catch (error) {
      at("status").textContent = error.message;
      look.disabled = false;
    }
  });
  find(".time").textContent = `Bold: above the genre’s threshold. Answered in ${told.milliseconds.toFixed(0)} ms.`;
  return part;
}

function fail(file, error) {
  const article = document.createElement("article");
  article.className = "failed";
  const [name, reason] = [document.createElement("h2"), document.createElement("p")];
  name.textContent = file.name || "Pasted picture";
  reason.className = "problem";
  reason.textContent = error.message;
  const told = document.createElement("div");
  told.append(name, reason);
  article.append(told);
  return article;
}

function take(files) {
  const posters = [...files];
  if (!posters.length) return;
  queue = queue.then(async () => {
    let read = 0;
    const earlier = at("answers").firstElementChild;
    for (const [number, file] of posters.entries()) {
      at("status").textContent = `Reading ${number + 1} of ${posters.length} …`;
      let part;
      try {
        part = show(file, await ask("/v1/classify", file));
        read += 1;
      } catch (error) {
        part = fail(file, error);
      }
      at("answers").insertBefore(part, earlier);
    }
    at("status").textContent = `${read} of ${posters.length} read.`;
  });
}

const drop = at("drop");
at("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") take(event.dataTransfer.files);
  });
}

const { card, majors, model, book } = await (await fetch("/v1/model")).json();
const told = [];
at("drawn").hidden = !card.drawn;
const right = card.measured?.balanced_top1;
if (right) {
  told.push(`On films that it had not met, it names the right one of ${majors.length} major genres `
    + `for ${percent(right.value)} of the films, averaged over genres `
    + `(${percent(right.low)} to ${percent(right.high)}; blind choice gets ${percent(right.base)}).`);
}
told.push("The genre named first is the likeliest if the film has just one of these; "
  + "the bars are chances of each genre, alone or with others.");
if (card.passing) {
  told.push(`It says “not sure” where films of that kind were not answered with 85 % accuracy: `
    + `${percent(card.passing.value)} of films with one major genre are answered.`);
}
told.push(`Network: ${model.name.replaceAll("_", " ")}, ${card.parameters?.toLocaleString("en") ?? "?"} parameters, served as ${model.form}.`);
at("about").textContent = told.join(" ");
at("book").hidden = !book;
at("unbuilt").hidden = Boolean(book);
