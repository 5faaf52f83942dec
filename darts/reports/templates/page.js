"use strict";
// The slider writes into each drawing what changes from epoch to epoch: classes, width, label.
for (const slider of document.querySelectorAll("input[data-epochs]")) {
  const {looks, epochs} = JSON.parse(document.getElementById(slider.dataset.epochs).textContent);
  const said = slider.parentElement.querySelector("output");
  const show = () => {
    const at = Number(slider.value);
    said.textContent = `epoch ${at + 1}`;
    for (const [kind, frames] of Object.entries(epochs)) {
      const drawing = document.querySelector(`figure[data-cell="${kind}"] svg`);
      frames[at].forEach(([look, width], number) => {
        const edge = drawing.querySelector(`[data-edge="${number}"]`);
        const [classes, label] = looks[look];
        edge.setAttribute("class", classes);
        edge.querySelector(".line").setAttribute("stroke-width", width);
        edge.querySelector("text").textContent = label;
      });
    }
  };
  slider.addEventListener("input", show);
  show();
}
// What is folded up on a screen could not be opened on paper.
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {  // no permission: leave the text marked, for Ctrl-C
      getSelection().selectAllChildren(source);
      button.textContent = "Marked: press Ctrl-C";
    }
  });
}
for (const filter of document.querySelectorAll("input[data-filter]")) {
  const rows = [...document.querySelectorAll(filter.dataset.filter)];
  const count = filter.parentElement.querySelector("output");
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = (word) => word.startsWith("verdict:")
        ? `verdict:${row.dataset.verdict}` === word : text.includes(word);
      row.hidden = !words.every(fits);
      shown += !row.hidden;
    }
    if (count) count.textContent = `${shown} of ${rows.length}`;
  };
  filter.addEventListener("input", apply);
  for (const button of document.querySelectorAll("button[data-word]"))
    button.addEventListener("click", () => { filter.value = button.dataset.word; apply(); });
  apply();
}
