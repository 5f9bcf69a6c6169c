(() => {
  "use strict";
  const form = document.getElementById("filters");
  if (!form) return;
  const items = [...document.querySelectorAll("#list > li")];
  const texts = items.map((item) => item.textContent.toLowerCase());
  const shown = document.getElementById("shown");
  const show = () => {
    const wanted = new FormData(form);
    const text = wanted.get("text").trim().toLowerCase();
    wanted.delete("text");
    let number = 0;
    items.forEach((item, place) => {
      const fits = texts[place].includes(text) && [...wanted].every(([name, value]) => !value || item.dataset[name] === value);
      item.hidden = !fits;
      number += fits;
    });
    shown.textContent = `${number} of ${items.length} shown`;
  };
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  show();
})();
