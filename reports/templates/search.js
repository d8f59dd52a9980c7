const words = document.getElementById("words");
document.getElementById("search").hidden = false;
words.addEventListener("input", () => {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const row of document.getElementById("rows").rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !wanted.every(each => text.includes(each));
  }
});
